/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes one call of the code under test fail: a system call on files, or an allocation, SQLite's
 * included.
 *
 *	fault_watch_sqlite();		first of all
 *	fault_arm(&(struct fault){.nth = 3, .kind = FAULT_CALL, .how = FAULT_REFUSE, .error = EIO});
 *	...
 *	if (!fault_disarm(&what)) …	there were fewer calls than that
 *
 * The program is linked with --wrap for each call of fault.c, see tests/unit/meson.build.  Only
 * calls of the thread that armed it count.
 */
#ifndef TESTS_LIB_FAULT_H
#define TESTS_LIB_FAULT_H

#include <stdbool.h>

enum fault_kind {
	FAULT_CALL,
	FAULT_ALLOCATION,
};

enum fault_how {
	FAULT_REFUSE, /* not carried out */
	FAULT_DENY,   /* carried out, and reported as failed: counts calls that change something */
	FAULT_SHORT,  /* half of it: counts write() and read() */
};

struct fault {
	enum fault_kind kind;
	unsigned nth; /* of those that count, from 0 */
	enum fault_how how;
	int error;
};

void fault_arm(const struct fault *f);

/* Was it reached?  Then *ret_call names the function. */
bool fault_disarm(const char **ret_call);

/* Count SQLite's allocations too, small ones included.  Before any other call of SQLite. */
void fault_watch_sqlite(void);

/* Bytes that SQLite has not given back. */
long fault_sqlite_bytes(void);

/* Descriptors that this process has open. */
int fault_open_fds(void);

#endif
