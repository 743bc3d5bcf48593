/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the load generator can commit to.  Each kind stores the same text, a node's record, and
 * answers when it is durable.  Used by processes of one thread.
 */
#ifndef TESTS_BENCH_KINDS_H
#define TESTS_BENCH_KINDS_H

#include <stdint.h>

#include "base/parse.h"

struct sqlite3;
struct sqlite3_stmt;

/* One committer's; each kind uses its own part. */
struct target {
	char node[PARSE_ID_BYTES]; /* the caller's */
	int fd;
	struct sqlite3 *db;
	struct sqlite3_stmt *update;
};

struct kind {
	const char *name;

	/* Get ready to commit at @where.  What it opened before it failed, close() closes. */
	int (*open)(struct target *t, const char *where);

	/* One commit, durable when it returns.  @version differs from that of the last one. */
	int (*commit)(struct target *t, uint64_t version);

	void (*close)(struct target *t);
};

/* NULL: there is none of that name. */
const struct kind *kinds_find(const char *name);

#endif
