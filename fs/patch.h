/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this a patchset that SQLite may be given?  Its session extension trusts the bytes: one flipped
 * bit can make it loop for ever or read behind the end, and rows of a table that is not there it
 * leaves out in silence.  So what comes from the share is looked through first.
 *
 * Pure.  The format is that of the comment "CHANGESET BLOB FORMAT" in SQLite's sqlite3session.c.
 */
#ifndef FS_PATCH_H
#define FS_PATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A table whose first column is its primary key. */
struct patch_table {
	const char *name;
	const char *columns; /* a letter for each: 't' text, 'i' integer, 'a' any of the two */
};

/* Whole records of these tables, and nothing behind them?  @tables ends with a NULL name. */
bool patch_is_sound(const uint8_t *bytes, size_t n, const struct patch_table *tables);

#endif
