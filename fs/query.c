/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/query.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* One value; an image is no longer than that either. */
#define VALUE_MAX_BYTES (16 * 1024 * 1024)

/* The clock is looked at after so many steps of SQLite's machine: a few thousand times a second. */
#define STEPS_PER_LOOK 10000

struct query {
	sqlite3 *db;
	bool refused;         /* the statement wants to do more than read */
	uint64_t deadline_ms; /* UINT64_MAX: none */
};

/* What tells of the database; most others change it, or this connection. */
static bool pragma_tells(const char *name, const char *argument)
{
	static const char *const with_argument[] = {"index_info",      "index_list",  "index_xinfo",
						    "integrity_check", "quick_check", "table_info",
						    "table_list",      "table_xinfo", NULL};
	static const char *const bare[] = {
		"application_id", "encoding",     "page_count", "page_size",
		"schema_version", "user_version", NULL};

	for (const char *const *p = with_argument; *p; p++) {
		if (strcasecmp(name, *p) == 0) {
			return true;
		}
	}
	for (const char *const *p = bare; *p; p++) {
		if (!argument && strcasecmp(name, *p) == 0) {
			return true;
		}
	}
	return false;
}

/*
 * What sqlite3_stmt_readonly() lets pass, as it changes no database file at once.  The meaning of
 * the texts: https://www.sqlite.org/c3ref/c_alter_table.html
 */
static int authorize(void *ctx, int action, const char *first, const char *second, const char *db,
		     const char *trigger)
{
	struct query *q = ctx;

	(void)db;
	(void)trigger;
	switch (action) {
	case SQLITE_PRAGMA:
		if (pragma_tells(first, second)) {
			return SQLITE_OK;
		}
		break;
	case SQLITE_ATTACH:
	case SQLITE_DETACH:
	case SQLITE_SAVEPOINT:
	case SQLITE_TRANSACTION:
		break;
	default:
		return SQLITE_OK;
	}
	q->refused = true;
	return SQLITE_DENY;
}

static int is_over(void *ctx)
{
	const struct query *q = ctx;

	return clock_boot_ms() >= q->deadline_ms;
}

static int open_copy(struct query *q, const void *bytes, size_t n)
{
	unsigned char *copy;

	if (sqlite3_open_v2(":memory:", &q->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
			    NULL) != SQLITE_OK) {
		return -ENOMEM;
	}
	(void)sqlite3_db_config(q->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(q->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_limit(q->db, SQLITE_LIMIT_LENGTH, VALUE_MAX_BYTES);
	(void)sqlite3_limit(q->db, SQLITE_LIMIT_ATTACHED, 0);
	/* What is sorted or kept aside: not into files of /var/tmp. */
	if (sqlite3_exec(q->db, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL) != SQLITE_OK) {
		return -EIO;
	}
	copy = n <= INT_MAX ? sqlite3_malloc64(n) : NULL;
	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, bytes, n);
	/* Takes the copy, also when it fails. */
	if (sqlite3_deserialize(q->db, "main", copy, (sqlite3_int64)n, (sqlite3_int64)n,
				SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY) !=
	    SQLITE_OK) {
		return -EIO;
	}
	/* Until something was read of it, `PRAGMA page_size` answers a default. */
	if (sqlite3_exec(q->db, "SELECT 1 FROM sqlite_schema", NULL, NULL, NULL) != SQLITE_OK) {
		return -EIO;
	}
	(void)sqlite3_set_authorizer(q->db, authorize, q);
	sqlite3_progress_handler(q->db, STEPS_PER_LOOK, is_over, q);
	return 0;
}

int query_open(const void *bytes, size_t n, struct query **ret)
{
	struct query *q = calloc(1, sizeof(*q));
	int r;

	if (!q) {
		return -ENOMEM;
	}
	(void)sqlite3_hard_heap_limit64((sqlite3_int64)QUERY_MEMORY_MAX_BYTES);
	r = open_copy(q, bytes, n);
	if (r < 0) {
		query_close(q);
		return r;
	}
	*ret = q;
	return 0;
}

void query_close(struct query *q)
{
	if (q) {
		(void)sqlite3_close(q->db);
		free(q);
	}
}

static int failure(const struct query *q, int rc, struct err *reterr)
{
	if (q->refused) {
		return err_set(reterr, -EPERM, "the index is only read here: no other statement");
	}
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
	case SQLITE_TOOBIG:
		return err_set(reterr, -ENOMEM, "the query wants too much memory");
	case SQLITE_INTERRUPT:
		return err_set(reterr, -ETIME, "the query was not done in time");
	default:
		return err_set(reterr, -EIO, "%s", sqlite3_errmsg(q->db));
	}
}

/* The one statement of @sql; the caller finalizes it, also after an error. */
static int prepare(struct query *q, const char *sql, sqlite3_stmt **ret, struct err *reterr)
{
	sqlite3_stmt *more = NULL;
	const char *rest = NULL;
	int rc = sqlite3_prepare_v2(q->db, sql, -1, ret, &rest);

	if (rc != SQLITE_OK) {
		int r = failure(q, rc, reterr);

		return r == -EIO ? -EINVAL : r;
	}
	if (!*ret) {
		return err_set(reterr, -EINVAL, "there is no statement in it");
	}
	if (!sqlite3_stmt_readonly(*ret)) {
		q->refused = true;
		return failure(q, SQLITE_AUTH, reterr);
	}
	rc = sqlite3_prepare_v2(q->db, rest, -1, &more, NULL);
	(void)sqlite3_finalize(more);
	if (rc != SQLITE_OK || more) {
		return err_set(reterr, -EINVAL, "one statement at a time");
	}
	return 0;
}

static int read_value(sqlite3_stmt *st, int column, struct query_value *ret)
{
	*ret = (struct query_value){0};
	switch (sqlite3_column_type(st, column)) {
	case SQLITE_INTEGER:
		ret->type = QUERY_INTEGER;
		ret->integer = sqlite3_column_int64(st, column);
		return 0;
	case SQLITE_FLOAT:
		ret->type = QUERY_REAL;
		ret->real = sqlite3_column_double(st, column);
		return 0;
	case SQLITE_TEXT:
		ret->type = QUERY_TEXT;
		ret->bytes = (const char *)sqlite3_column_text(st, column);
		ret->n = (size_t)sqlite3_column_bytes(st, column);
		return ret->bytes ? 0 : -ENOMEM;
	case SQLITE_BLOB:
		ret->type = QUERY_BLOB;
		ret->bytes = sqlite3_column_blob(st, column);
		ret->n = (size_t)sqlite3_column_bytes(st, column);
		return ret->bytes || ret->n == 0 ? 0 : -ENOMEM;
	default:
		return 0;
	}
}

static int give_columns(sqlite3_stmt *st, int n, const struct query_sink *sink, void *ctx)
{
	_cleanup_free_ const char **names = calloc((size_t)n + 1, sizeof(*names));

	if (!names) {
		return -ENOMEM;
	}
	for (int i = 0; i < n; i++) {
		names[i] = sqlite3_column_name(st, i);
		if (!names[i]) {
			return -ENOMEM;
		}
	}
	return sink->on_columns(ctx, (unsigned)n, names);
}

static int give_rows(struct query *q, sqlite3_stmt *st, int n, const struct query_sink *sink,
		     void *ctx, struct err *reterr)
{
	_cleanup_free_ struct query_value *values = calloc((size_t)n + 1, sizeof(*values));
	int r = values ? 0 : -ENOMEM, rc;

	while (r == 0 && (rc = sqlite3_step(st)) != SQLITE_DONE) {
		if (rc != SQLITE_ROW) {
			return failure(q, rc, reterr);
		}
		for (int i = 0; r == 0 && i < n; i++) {
			r = read_value(st, i, &values[i]);
		}
		if (r == 0) {
			r = sink->on_row(ctx, (unsigned)n, values);
		}
	}
	return r;
}

int query_run(struct query *q, const char *sql, uint64_t limit_ms, const struct query_sink *sink,
	      void *ctx, struct err *reterr)
{
	sqlite3_stmt *st = NULL;
	int n, r;

	q->refused = false;
	q->deadline_ms = limit_ms ? clock_boot_ms() + limit_ms : UINT64_MAX;
	r = prepare(q, sql, &st, reterr);
	if (r == 0) {
		n = sqlite3_column_count(st);
		r = give_columns(st, n, sink, ctx);
		if (r == 0) {
			r = give_rows(q, st, n, sink, ctx, reterr);
		}
	}
	(void)sqlite3_finalize(st);
	return r;
}
