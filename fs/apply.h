/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of other mounts, brought into a database with the tables of schema.h.
 *
 * The result is that of sqlite3changeset_apply() with every conflict refused, row for row.  But
 * that one prepares its statements for each patchset, and makes SQLite prepare all others of the
 * database again as well: with many machines that write, most of a mount's work would be that.
 */
#ifndef FS_APPLY_H
#define FS_APPLY_H

#include <stddef.h>

#include "fs/patch.h"
#include "fs/schema.h"

struct sqlite3;
struct sqlite3_stmt;

/* The statements for one database, each prepared at its first use.  It begins as {0}. */
struct apply {
	struct sqlite3_stmt *statements[SCHEMA_TABLE_MAX_][PATCH_OP_MAX_];
};

/* Before the database is closed. */
void apply_done(struct apply *a);

/*
 * Run all of a patchset within the transaction that is open, which is to be rolled back if this
 * fails.  -EUCLEAN: it is malformed, or meets a row to insert that is there, or one to update or
 * delete that is not.
 */
int apply_patch(struct apply *a, struct sqlite3 *db, const void *patch, size_t n);

#endif
