/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes one call of the code under test fail, or some in a row: system calls on files, or
 * allocations, those of SQLite, jansson and zlib included.
 *
 *	fault_watch_sqlite();
 *	fault_arm("loading", &(struct fault){.nth = 3, .kind = FAULT_CALL, .error = EIO});
 *	...
 *	if (!fault_disarm()) …	there were fewer calls than that
 *
 * The program is linked with --wrap for each call of fault.c, see tests/unit/meson.build.  Calls
 * of the thread that armed it count, and those of threads that joined.
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
	unsigned nth;  /* of those that count, from 0 */
	unsigned more; /* so many fail after it */
	enum fault_how how;
	int error;
};

/* @scenario is for fault_print(), and stays the caller's. */
void fault_arm(const char *scenario, const struct fault *f);

/* Calls of this thread count as well.  It runs only while all others that count wait for it. */
void fault_join(void);

/* Was it reached? */
bool fault_disarm(void);

/* The first call that failed since fault_arm(), or NULL. */
const char *fault_call(void);

/* A teardown of cmocka's: print where a test that fails has come to. */
int fault_print(void **cmocka_state);

/* Count SQLite's allocations too, small ones included.  No database is open. */
void fault_watch_sqlite(void);

/* Bytes that SQLite has not given back. */
long fault_sqlite_bytes(void);

/* Descriptors that this process has open. */
int fault_open_fds(void);

#endif
