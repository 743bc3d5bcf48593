/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a commit ends: the decisions of publishing one generation by compare-and-swap.
 *
 * Pure, like fs/lease.h, and run by the simulator too.  An *attempt* is one sequence of bytes (they
 * carry a nonce, so no two attempts are alike) that is to become generation base + 1.
 *
 *	                create 0, or our bytes are there
 *	   ATTEMPT ───────────────────────────────────────► OURS     committed
 *	    │ ▲  │      other bytes are there
 *	    │ │  ├────────────────────────────────────────► THEIRS   apply them, run the transaction
 *	    │ │  │                                                   again on the new base
 *	    │ │  │      nothing is there, the server said no
 *	    │ │  ├────────────────────────────────────────► FAILED   tell the caller the error
 *	    │ │  │      it existed, and is gone
 *	    │ │  └────────────────────────────────────────► BEHIND   list again
 *	    │ │ the same bytes, the same t0
 *	    └─┴ UNKNOWN
 *
 * An UNKNOWN attempt may still be on its way to the server: nothing else may be published by this
 * mount until the same bytes, sent again, have settled it.  A refusal of the second sending says
 * nothing of the first: it settles nothing.
 */
#ifndef FS_COMMIT_H
#define FS_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

enum commit_verdict {
	COMMIT_OURS,
	COMMIT_THEIRS,
	COMMIT_FAILED,
	COMMIT_BEHIND,
	COMMIT_UNKNOWN,
	COMMIT_VERDICT_MAX_,
};

/*
 * @created is what the exclusive create returned; @got what reading the name back returned (0,
 * -ENOENT or another error; not asked if @created is 0); @same whether it read this attempt's
 * bytes; @doubted whether an earlier sending of them ended UNKNOWN.
 */
enum commit_verdict commit_judge(int created, int got, bool same, bool doubted);

/*
 * Old generations are deleted once they are COMMIT_KEEP_MS old, so a process that slept could read
 * or create a number that was used and deleted.  It asks the directory again after half of that.
 */
#define COMMIT_KEEP_MS  120000
#define COMMIT_TRUST_MS 60000

/*
 * Was the newest generation last verified so long ago that only a list of the directory can be
 * trusted?  @verified_ms: before the list or the probe that found nothing newer, or before the
 * first sending of our own.  To be asked before a create; after a create that succeeded, however
 * often it was sent; and after reading the next number.  What lies behind a sleep is loaded anew,
 * not followed number by number.
 */
bool commit_must_relist(uint64_t verified_ms, uint64_t now_ms);

#endif
