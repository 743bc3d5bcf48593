/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading patchsets, which SQLite's session extension writes and other mounts send.  The extension
 * trusts the bytes: one flipped bit can make it loop for ever or read behind the end, and rows of a
 * table that is not there it leaves out in silence.  So it never gets to see what comes from the
 * share.
 *
 * Pure.  The format is that of the comment "CHANGESET BLOB FORMAT" in SQLite's sqlite3session.c.
 */
#ifndef FS_PATCH_H
#define FS_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATCH_COLUMNS_MAX 16

/*
 * A table whose first column is its primary key.  Its columns are a letter each: 't' text,
 * 'i' integer, 'n' integer that counts something, 'a' text or count.
 */
struct patch_table {
	const char *name;
	const char *columns; /* PATCH_COLUMNS_MAX at most */
};

/*
 * May a column with this letter hold the value, whether a change brings it or an image?  A count
 * begins at 0 and leaves room above that no counting uses up: SQLite goes on in floating point
 * where integers end.  A text is read as a C string: two that differ behind a NUL would be one.
 */
bool patch_may_hold_integer(char column, int64_t value);
bool patch_may_hold_text(char column, const void *text, size_t n);

enum patch_op {
	PATCH_INSERT,
	PATCH_UPDATE,
	PATCH_DELETE,
	PATCH_OP_MAX_,
};

enum patch_type {
	PATCH_UNCHANGED, /* in an update, of what is not the key */
	PATCH_INTEGER,
	PATCH_TEXT,
	PATCH_TYPE_MAX_,
};

struct patch_value {
	enum patch_type type;
	int64_t integer;
	const char *text; /* not NUL-terminated; in the patchset's bytes */
	size_t text_bytes;
};

/* One row: the key alone where it is deleted, else all columns. */
struct patch_row {
	const struct patch_table *table;
	enum patch_op op;
	size_t n_values;
	struct patch_value values[PATCH_COLUMNS_MAX];
};

/* What is left to read. */
struct patch_reader {
	const uint8_t *at, *end;
	const struct patch_table *tables, *table;
};

/* The bytes and @tables, which end with a NULL name, stay the caller's. */
void patch_reader_init(struct patch_reader *r, const void *bytes, size_t n,
		       const struct patch_table *tables);

/*
 * The next row: 1 and *ret filled, 0 at the end, or -EUCLEAN: no whole record of one of the tables,
 * with values that its columns may hold.
 */
int patch_next(struct patch_reader *r, struct patch_row *ret);

/* Whole records of these tables, and nothing behind them? */
bool patch_is_sound(const void *bytes, size_t n, const struct patch_table *tables);

#endif
