/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/rows.h"

#define EXACT_DIGITS 17

struct dump {
	struct query *query;
	FILE *out;
	struct err *reterr;
	const char *subject; /* the table or pragma whose rows come */
};

static int no_columns(void *ctx, unsigned n, const char *const *names)
{
	(void)ctx;
	(void)n;
	(void)names;
	return 0;
}

static void put_text(FILE *out, const char *bytes, size_t n)
{
	if (!rows_is_plain(bytes, n)) {
		(void)fputs("CAST(x'", out);
		rows_put_hex(out, bytes, n);
		(void)fputs("' AS TEXT)", out);
		return;
	}
	(void)fputc('\'', out);
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\'') {
			(void)fputc('\'', out);
		}
		(void)fputc(bytes[i], out);
	}
	(void)fputc('\'', out);
}

static int on_row(void *ctx, unsigned n, const struct query_value *values)
{
	const struct dump *d = ctx;

	(void)fprintf(d->out, "INSERT INTO %s VALUES (", d->subject);
	for (unsigned i = 0; i < n; i++) {
		(void)fputs(i > 0 ? ", " : "", d->out);
		rows_put_value(d->out, &values[i], put_text, EXACT_DIGITS);
	}
	(void)fputs(");\n", d->out);
	return 0;
}

static int on_table(void *ctx, unsigned n, const struct query_value *values)
{
	static const struct query_sink sink = {no_columns, on_row};
	struct dump *d = ctx;
	_cleanup_free_ char *select = NULL;

	(void)n;
	d->subject = values[0].bytes;
	(void)fprintf(d->out, "%s;\n", values[1].bytes);
	if (asprintf(&select, "SELECT * FROM %s", d->subject) < 0) {
		select = NULL;
		return -ENOMEM;
	}
	return query_run(d->query, select, 0, &sink, d, d->reterr);
}

static int on_pragma(void *ctx, unsigned n, const struct query_value *values)
{
	const struct dump *d = ctx;

	(void)n;
	(void)fprintf(d->out, "PRAGMA %s = %" PRId64 ";\n", d->subject, values[0].integer);
	return 0;
}

static int put_pragma(struct dump *d, const char *name, const char *query)
{
	static const struct query_sink sink = {no_columns, on_pragma};

	d->subject = name;
	return query_run(d->query, query, 0, &sink, d, d->reterr);
}

int dump_sql(struct query *q, FILE *out, struct err *reterr)
{
	static const struct query_sink sink = {no_columns, on_table};
	struct dump d = {.query = q, .out = out, .reterr = reterr};
	int r = put_pragma(&d, "page_size", "PRAGMA page_size");

	if (r == 0) {
		r = put_pragma(&d, "application_id", "PRAGMA application_id");
	}
	if (r == 0) {
		r = put_pragma(&d, "user_version", "PRAGMA user_version");
	}
	if (r == 0) {
		(void)fputs("BEGIN;\n", out);
		/* The names are ours: an index with other tables is refused when it is loaded. */
		r = query_run(q,
			      "SELECT name, sql FROM sqlite_schema WHERE type = 'table'"
			      " ORDER BY rowid",
			      0, &sink, &d, reterr);
	}
	if (r == 0) {
		(void)fputs("COMMIT;\n", out);
	}
	return r;
}
