/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain of generations, from the store into the index and back: loading, following, publishing
 * and collecting old ones.  It knows nothing of requests, leases or threads.
 *
 * Each generation names the hash of its parent's bytes.  What is no valid generation is refused
 * with a text that names the file; nothing is ever overwritten or guessed, and from then on every
 * call here answers -EUCLEAN.
 *
 * One thread at a time, except chain_collect().
 */
#ifndef FS_CHAIN_H
#define FS_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/parse.h"
#include "fs/commit.h"
#include "fs/index.h"
#include "fs/store.h"

/* Every generation whose number this divides is an image. */
#define CHAIN_IMAGE_EVERY 64

/*
 * Candidates for the oldest image to keep, CHAIN_KEPT_APART_MS apart: more than COMMIT_KEEP_MS in
 * all.
 */
#define CHAIN_KEPT          16
#define CHAIN_KEPT_APART_MS 10000

struct chain_kept {
	uint64_t generation;
	uint64_t seen_ms;
};

/* Who wrote the generations that were applied since chain_news_clear(). */
#define CHAIN_NEWS_MAX 64
struct chain_news {
	bool any; /* more than is listed: it may have been anybody */
	unsigned n;
	char writers[CHAIN_NEWS_MAX][PARSE_ID_BYTES];
};

/* May @mount_id have written any of them? */
bool chain_news_has(const struct chain_news *news, const char *mount_id);

/* Only chain.c writes the fields; the owner reads them. */
struct chain {
	struct store *store; /* the owner's */
	struct index *index; /* the owner's */
	char mount_id[PARSE_ID_BYTES];

	uint64_t generation;          /* the newest one applied */
	int64_t mtime_ms;             /* of that one, by the storage server's clock */
	uint64_t loaded_ms;           /* CLOCK_BOOTTIME after it was applied */
	char hash[CHANGE_HASH_BYTES]; /* of its bytes */
	bool is_durable;              /* is its name known to be on stable storage? */
	uint64_t verified_ms; /* CLOCK_BOOTTIME: until when it is known to have been the newest */

	struct chain_news news;

	uint64_t oldest; /* nothing below this number is left, as far as we know */
	unsigned n_kept;
	struct chain_kept kept[CHAIN_KEPT]; /* images, ascending */

	bool damaged;
	struct err problem; /* if damaged: which file, and what is wrong with it */
};

/* What a mount wants a new plane to be; an existing plane stays as it is. */
struct chain_birth {
	uint64_t timeout_ms;
	uint64_t poll_ms;
};

/*
 * Load the newest image and all changes after it; create generation 1 if there is none, unless
 * @birth is NULL: then nothing is written, and that is -ENODATA.  -EUCLEAN with @reterr; or an
 * errno of the store.
 */
int chain_load(struct chain *c, struct store *store, struct index *index, const char *mount_id,
	       const struct chain_birth *birth, struct err *reterr);

/*
 * What makes a generation valid: make @ix, which shows the one before it, show @generation, whose
 * bytes these are.  @parent is that one's hash, or NULL where it is not known.  @ix may be NULL:
 * then all is checked but that the change applies.  -EUCLEAN with @reterr; -ENOMEM.
 */
int chain_apply(struct index *ix, uint64_t generation, const struct store_object *o,
		const char *parent, char ret_writer[PARSE_ID_BYTES], struct err *reterr);

/*
 * Apply what others have published since, or CHAIN_CATCH_UP_MAX generations of it.  0: the newest
 * stands already; else how many were applied, and there may be more; -EUCLEAN; an errno.
 */
#define CHAIN_CATCH_UP_MAX 64
int chain_catch_up(struct chain *c);

/* The owner has taken note of .news. */
void chain_news_clear(struct chain *c);

/*
 * Was the newest generation verified so long ago that chain_catch_up() must come before the next
 * attempt?  See commit_must_relist().  Or cannot the index be trusted any more?
 */
bool chain_is_stale(const struct chain *c);

/* One attempt to publish the transaction that is open on the index. */
struct chain_attempt {
	enum store_kind kind;
	void *bytes;
	size_t n;
	uint64_t t0_ms;   /* CLOCK_BOOTTIME before the first create; 0: not sent yet */
	bool doubted;     /* sent before, and its outcome is unknown still */
	int64_t mtime_ms; /* once it is ours: when it was created, by the storage server's clock */
};

/*
 * Take the changes of the open transaction as bytes with a nonce of their own.  1; 0: nothing has
 * changed; -errno.  With @always a generation that changes nothing is worth publishing as well: it
 * says that this mount lives.  chain_attempt_done() frees it.
 */
int chain_prepare(struct chain *c, bool always, struct chain_attempt *ret);

/* Is the next generation due to be an image? */
bool chain_image_is_due(const struct chain *c);

void chain_attempt_done(struct chain_attempt *a);

/*
 * Send the attempt once (again after COMMIT_UNKNOWN: the same bytes, the same t0).
 *
 * COMMIT_OURS: the transaction was committed and the chain stands at the new generation; for want
 * of memory the index may be torn.
 * COMMIT_THEIRS: it was rolled back, and the chain stands at the generation of whoever was first,
 * if that is valid. COMMIT_BEHIND, COMMIT_FAILED (*ret_error says why): it was rolled back; nothing
 * of it will ever be there.  COMMIT_UNKNOWN (*ret_error): the transaction is still open; send it
 * again.
 */
enum commit_verdict chain_send(struct chain *c, struct chain_attempt *a, int *ret_error);

/* Give up on an attempt that is UNKNOWN, because the process ends. */
void chain_abandon(struct chain *c);

/*
 * What may be deleted after the newest commit: the generations from .from up to but not including
 * .to. Empty if there is nothing to do.  They then count as gone.
 */
struct chain_old {
	uint64_t from, to;
};
struct chain_old chain_old(struct chain *c, uint64_t now_ms);

/*
 * Delete at most CHAIN_COLLECT_MAX of them, and take those out of @old.  What cannot be deleted is
 * left to the next start.  Any thread; it touches the store only.
 */
#define CHAIN_COLLECT_MAX 64
void chain_collect(struct store *store, struct chain_old *old);

#endif
