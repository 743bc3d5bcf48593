/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/apply.h"

#include <errno.h>
#include <sqlite3.h>

#include "fs/db.h"

/*
 * Parameters are a row's columns.  No column of ours can be NULL, so that one which is not bound is
 * one that an update leaves as it is.
 */
static const char *const sql[SCHEMA_TABLE_MAX_][PATCH_OP_MAX_] = {
	[SCHEMA_IMAGE][PATCH_INSERT] = "INSERT INTO image VALUES (?1, ?2)",
	[SCHEMA_IMAGE][PATCH_UPDATE] =
		"UPDATE image SET value = coalesce(?2, value) WHERE key = ?1",
	[SCHEMA_IMAGE][PATCH_DELETE] = "DELETE FROM image WHERE key = ?1",
	[SCHEMA_PLANE][PATCH_INSERT] = "INSERT INTO plane VALUES (?1, ?2)",
	[SCHEMA_PLANE][PATCH_UPDATE] =
		"UPDATE plane SET value = coalesce(?2, value) WHERE key = ?1",
	[SCHEMA_PLANE][PATCH_DELETE] = "DELETE FROM plane WHERE key = ?1",
	[SCHEMA_NODE][PATCH_INSERT] = "INSERT INTO node VALUES (?1, ?2, ?3, ?4, ?5)",
	[SCHEMA_NODE][PATCH_UPDATE] =
		("UPDATE node SET mount = coalesce(?2, mount), beat = coalesce(?3, beat),"
		 " status = coalesce(?4, status), record = coalesce(?5, record)"
		 " WHERE id = ?1"),
	[SCHEMA_NODE][PATCH_DELETE] = "DELETE FROM node WHERE id = ?1",
	[SCHEMA_MOUNT][PATCH_INSERT] = "INSERT INTO mount VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[SCHEMA_MOUNT][PATCH_UPDATE] =
		("UPDATE mount SET boot = coalesce(?2, boot),"
		 " pid_ns = coalesce(?3, pid_ns), pid = coalesce(?4, pid),"
		 " started = coalesce(?5, started), host = coalesce(?6, host)"
		 " WHERE id = ?1"),
	[SCHEMA_MOUNT][PATCH_DELETE] = "DELETE FROM mount WHERE id = ?1",
	[SCHEMA_LEASE][PATCH_INSERT] = "INSERT INTO lease VALUES (?1, ?2, ?3, ?4)",
	[SCHEMA_LEASE][PATCH_UPDATE] =
		("UPDATE lease SET holder = coalesce(?2, holder),"
		 " epoch = coalesce(?3, epoch), timeout_ms = coalesce(?4, timeout_ms)"
		 " WHERE name = ?1"),
	[SCHEMA_LEASE][PATCH_DELETE] = "DELETE FROM lease WHERE name = ?1",
	[SCHEMA_LOCK][PATCH_INSERT] = "INSERT INTO lock VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[SCHEMA_LOCK][PATCH_UPDATE] =
		("UPDATE lock SET name = coalesce(?2, name), mount = coalesce(?3, mount),"
		 " owner = coalesce(?4, owner), exclusive = coalesce(?5, exclusive),"
		 " granted = coalesce(?6, granted), pid = coalesce(?7, pid),"
		 " command = coalesce(?8, command) WHERE seq = ?1"),
	[SCHEMA_LOCK][PATCH_DELETE] = "DELETE FROM lock WHERE seq = ?1",
	[SCHEMA_HISTORY][PATCH_INSERT] =
		"INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[SCHEMA_HISTORY][PATCH_UPDATE] =
		("UPDATE history SET at_wall_ms = coalesce(?2, at_wall_ms),"
		 " epoch = coalesce(?3, epoch), what = coalesce(?4, what),"
		 " node = coalesce(?5, node), detail = coalesce(?6, detail),"
		 " was = coalesce(?7, was), why = coalesce(?8, why),"
		 " who = coalesce(?9, who) WHERE seq = ?1"),
	[SCHEMA_HISTORY][PATCH_DELETE] = "DELETE FROM history WHERE seq = ?1",
};

void apply_done(struct apply *a)
{
	for (unsigned t = 0; t < SCHEMA_TABLE_MAX_; t++) {
		for (unsigned op = 0; op < PATCH_OP_MAX_; op++) {
			(void)sqlite3_finalize(a->statements[t][op]);
		}
	}
	*a = (struct apply){0};
}

static int bind_value(sqlite3_stmt *st, int parameter, const struct patch_value *v)
{
	switch (v->type) {
	case PATCH_INTEGER:
		return db_errno(sqlite3_bind_int64(st, parameter, v->integer));
	case PATCH_TEXT:
		return db_errno(sqlite3_bind_text64(st, parameter, v->text, v->text_bytes,
						    SQLITE_STATIC, SQLITE_UTF8));
	case PATCH_UNCHANGED:
	case PATCH_TYPE_MAX_:
		break;
	}
	return 0;
}

static int apply_row(struct apply *a, sqlite3 *db, const struct patch_row *row)
{
	size_t table = (size_t)(row->table - schema_tables);
	sqlite3_stmt **st = &a->statements[table][row->op];
	int r = db_prepare(db, sql[table][row->op], st);
	int put_back;

	if (r < 0) {
		return r;
	}
	for (size_t i = 0; r == 0 && i < row->n_values; i++) {
		r = bind_value(*st, (int)i + 1, &row->values[i]);
	}
	if (r == 0) {
		(void)sqlite3_step(*st);
	}
	put_back = db_put_back(*st);
	if (r == 0) {
		r = put_back;
	}
	return r == 0 && sqlite3_changes(db) != 1 ? -EUCLEAN : r;
}

int apply_patch(struct apply *a, sqlite3 *db, const void *patch, size_t n)
{
	struct patch_reader reader;
	struct patch_row row;
	int r;

	patch_reader_init(&reader, patch, n, schema_tables);
	while ((r = patch_next(&reader, &row)) > 0) {
		r = apply_row(a, db, &row);
		if (r < 0) {
			return r;
		}
	}
	return r;
}
