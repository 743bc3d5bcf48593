/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result of a query on a stream: an aligned table for people, or JSON, an array of objects.
 *
 * What the share says is anybody's text.  In the table, what a terminal would take for a command,
 * or show as something else than it is, stands as \xNN (a byte) or \u{NNNN} (a character).  JSON is
 * all ASCII; text that is no UTF-8 stands in it as it does in the table.
 */
#ifndef FS_ROWS_H
#define FS_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "fs/query.h"

/* So many rows are kept to find the width of the columns; further ones follow these widths. */
#define ROWS_KEPT 1000

/* Only rows.c reads or writes the fields. */
struct rows {
	FILE *out;
	bool json;
	struct err *reterr;
	unsigned n_columns;
	char **names;
	size_t *widths;
	char **cells; /* of the rows kept, one row after the other */
	size_t n_kept;
	bool flushed; /* the heading and the rows kept are written */
	uint64_t n;   /* rows so far */
};

/* Would rows_put_text() write these bytes as they are? */
bool rows_is_plain(const char *bytes, size_t n);
void rows_put_text(FILE *out, const char *bytes, size_t n);
void rows_put_hex(FILE *out, const char *bytes, size_t n);

/* Any value; texts by @put_text, real numbers with so many @digits (17 are exact). */
typedef void rows_text_fn(FILE *out, const char *bytes, size_t n);
void rows_put_value(FILE *out, const struct query_value *v, rows_text_fn *put_text, int digits);

/*
 * The context of rows_sink for one query_run(); after that rows_end(), and in any case rows_done().
 * @reterr gets the reason where the sink refuses the result: an object cannot have two members of
 * one name (-ENOTUNIQ).
 */
void rows_init(struct rows *rows, FILE *out, bool json, struct err *reterr);
extern const struct query_sink rows_sink;

/* Write what is kept, or the end of the array. */
void rows_end(struct rows *rows);
void rows_done(struct rows *rows);

#endif
