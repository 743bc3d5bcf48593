/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to a copy of the index in SQL, for people: what would change anything, open another
 * file or take the machine's memory is refused.  The mount does not use it.
 *
 * One thread at a time.
 */
#ifndef FS_QUERY_H
#define FS_QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* What all queries of the process may take together, the results of theirs that are kept aside. */
#define QUERY_MEMORY_MAX_BYTES ((size_t)256 * 1024 * 1024)

struct query;

/* @bytes are of index_dump(), and copied.  -ENOMEM, or -EIO.  query_close() takes NULL. */
int query_open(const void *bytes, size_t n, struct query **ret);
void query_close(struct query *q);

enum query_type {
	QUERY_NULL,
	QUERY_INTEGER,
	QUERY_REAL,
	QUERY_TEXT, /* UTF-8 unless somebody stored something else; may have NULs */
	QUERY_BLOB,
};

struct query_value {
	enum query_type type;
	int64_t integer;
	double real;
	const char *bytes; /* of a text or blob; valid during the call only */
	size_t n;
};

/*
 * Who gets the result: its columns once, then each row.  A negative result ends the query.  Both
 * may run another one, if none has a limit.
 */
struct query_sink {
	int (*on_columns)(void *ctx, unsigned n, const char *const *names);
	int (*on_row)(void *ctx, unsigned n, const struct query_value *values);
};

/*
 * Run one statement.  @limit_ms: how long it may take; 0: for ever.
 *
 * -EINVAL: it is no SQL, or not one statement; -EPERM: it does more than read; -ETIME: not done
 * within the limit; -ENOMEM: it wants too much memory; -EIO: it failed while it ran; what @sink
 * returned.  @reterr has what there is to say besides.
 */
int query_run(struct query *q, const char *sql, uint64_t limit_ms, const struct query_sink *sink,
	      void *ctx, struct err *reterr);

#endif
