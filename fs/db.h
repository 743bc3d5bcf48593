/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite as the index uses it: databases in memory, errors as -errno, and statements that are
 * prepared once.  It knows no table.  One thread at a time for each database.
 */
#ifndef FS_DB_H
#define FS_DB_H

#include <stddef.h>
#include <stdint.h>

struct sqlite3;
struct sqlite3_stmt;

/*
 * What a result code of SQLite says: 0, -ENOMEM, -EUCLEAN (the database is damaged, or a row does
 * not fit into it), -EIO (anything else).
 */
int db_errno(int rc);

/* An empty database in memory.  What comes into it is data: it can call nothing. */
int db_open(struct sqlite3 **ret);
void db_close(struct sqlite3 *db); /* NULL is fine */
void db_closep(struct sqlite3 **db);

int db_exec(struct sqlite3 *db, const char *sql);

/* What is left of the work that a database may make; see db_restrict(). */
struct db_allowance {
	uint64_t calls;
};

/*
 * Bound what SQLite can be made to do by an image of @n bytes that anybody may have written: a few
 * pages that refer to each other in the right way have more rows for it than it could visit in a
 * life.  The allowance grows with the image's size and is in steps of SQLite's machine, not in
 * time: what one mount takes, a slower one must take as well.  *allowance is spent until
 * db_unrestrict(), whatever runs.
 */
int db_restrict(struct sqlite3 *db, size_t n, struct db_allowance *allowance);
void db_unrestrict(struct sqlite3 *db);

/* Make *st, if it is NULL, the statement @sql, for a long life.  sqlite3_finalize() it. */
int db_prepare(struct sqlite3 *db, const char *sql, struct sqlite3_stmt **st);

/* Run a statement, bound before, that gives no rows; and put it back. */
int db_run(struct sqlite3_stmt *st);

/*
 * Put a statement back for its next use.  What its last step said; or that memory ran out for a
 * text of the row, which then was read as "".
 */
int db_put_back(struct sqlite3_stmt *st);

/* Run a query that gives one text; -EUCLEAN if it gives none. */
int db_one_text(struct sqlite3 *db, const char *query, char *ret, size_t room);

/* Bound texts are the caller's and outlive the step, so nothing is copied. */
void db_bind_text(struct sqlite3_stmt *st, int parameter, const char *text);
void db_bind_u64(struct sqlite3_stmt *st, int parameter, uint64_t value);

/* A text of a row is valid until the statement steps on; a NULL reads as "". */
const char *db_text(struct sqlite3_stmt *st, int column);
void db_copy_text(struct sqlite3_stmt *st, int column, char *ret, size_t room);
uint64_t db_u64(struct sqlite3_stmt *st, int column);

#endif
