/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/db.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>

#include "base/cleanup.h"

#define STEPS_PER_CALL 1000
#define STEPS_PER_BYTE 4
#define STEPS_FREE     100000

int db_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_ABORT:
	case SQLITE_SCHEMA:
		return -EUCLEAN;
	default:
		return -EIO;
	}
}

int db_open(sqlite3 **ret)
{
	_cleanup_(db_closep) sqlite3 *db = NULL;
	int r = db_errno(sqlite3_open_v2(
		":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		NULL));

	if (r < 0) {
		return r;
	}
	/* What comes from the share is data: no functions or virtual tables in a schema. */
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	*ret = take_ptr(db);
	return 0;
}

void db_close(sqlite3 *db)
{
	(void)sqlite3_close(db);
}

void db_closep(sqlite3 **db)
{
	db_close(*db);
}

int db_exec(sqlite3 *db, const char *sql)
{
	return db_errno(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

/* For SQLite's progress handler: the allowance is a countdown, and at its end the statement. */
static int spend(void *arg)
{
	struct db_allowance *allowance = arg;

	return allowance->calls == 0 || --allowance->calls == 0;
}

int db_restrict(sqlite3 *db, size_t n, struct db_allowance *allowance)
{
	static const struct {
		int id, value;
	} limits[] = {
		{SQLITE_LIMIT_LENGTH, 65536},    /* of a row; a record has 4 KiB */
		{SQLITE_LIMIT_SQL_LENGTH, 4096}, /* of a table's text, which is parsed */
		{SQLITE_LIMIT_EXPR_DEPTH, 20},   /* in there: the parser uses the stack */
		{SQLITE_LIMIT_COLUMN, 100},      {SQLITE_LIMIT_COMPOUND_SELECT, 10},
		{SQLITE_LIMIT_VDBE_OP, 25000},   {SQLITE_LIMIT_ATTACHED, 0},
		{SQLITE_LIMIT_TRIGGER_DEPTH, 1},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		(void)sqlite3_limit(db, limits[i].id, limits[i].value);
	}
	allowance->calls = (STEPS_FREE + (uint64_t)n * STEPS_PER_BYTE) / STEPS_PER_CALL;
	sqlite3_progress_handler(db, STEPS_PER_CALL, spend, allowance);
	return db_exec(db, "PRAGMA cell_size_check = ON");
}

void db_unrestrict(sqlite3 *db)
{
	sqlite3_progress_handler(db, 0, NULL, NULL);
}

int db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **st)
{
	return *st ? 0
		   : db_errno(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL));
}

int db_run(sqlite3_stmt *st)
{
	(void)sqlite3_step(st);
	return db_put_back(st);
}

int db_put_back(sqlite3_stmt *st)
{
	int r = db_errno(sqlite3_reset(st));

	(void)sqlite3_clear_bindings(st);
	return r;
}

int db_one_text(sqlite3 *db, const char *query, char *ret, size_t room)
{
	sqlite3_stmt *st = NULL;
	int r = db_errno(sqlite3_prepare_v2(db, query, -1, &st, NULL));
	int rc;

	if (r == 0) {
		rc = sqlite3_step(st);
		r = rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -EUCLEAN : db_errno(rc);
		if (r == 0) {
			db_copy_text(st, 0, ret, room);
		}
	}
	/* It tells if memory ran out for the text. */
	rc = sqlite3_finalize(st);
	return r < 0 ? r : db_errno(rc);
}

void db_bind_text(sqlite3_stmt *st, int parameter, const char *text)
{
	(void)sqlite3_bind_text(st, parameter, text, -1, SQLITE_STATIC);
}

void db_bind_u64(sqlite3_stmt *st, int parameter, uint64_t value)
{
	(void)sqlite3_bind_int64(st, parameter, (sqlite3_int64)value);
}

const char *db_text(sqlite3_stmt *st, int column)
{
	const unsigned char *text = sqlite3_column_text(st, column);

	return text ? (const char *)text : "";
}

void db_copy_text(sqlite3_stmt *st, int column, char *ret, size_t room)
{
	(void)snprintf(ret, room, "%s", db_text(st, column));
}

uint64_t db_u64(sqlite3_stmt *st, int column)
{
	return (uint64_t)sqlite3_column_int64(st, column);
}
