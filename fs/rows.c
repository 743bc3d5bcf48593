/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/rows.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define GAP "  "

#define SHOWN_DIGITS 15 /* of a real number: as many as never differ from what was written */

/* One character of UTF-8: its length, or 0 if there is none. */
static size_t decode(const unsigned char *p, size_t n, uint32_t *ret)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least; /* smaller ones have a shorter form */
	} forms[] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	for (size_t k = 0; k < sizeof(forms) / sizeof(forms[0]) && k < n; k++) {
		uint32_t c = p[0] & (uint32_t)(unsigned char)~forms[k].mask;

		if ((p[0] & forms[k].mask) != forms[k].lead) {
			continue;
		}
		for (size_t i = 1; i <= k; i++) {
			if ((p[i] & 0xc0) != 0x80) {
				return 0;
			}
			c = c << 6 | (p[i] & 0x3f);
		}
		if (c < forms[k].least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
			return 0;
		}
		*ret = c;
		return k + 1;
	}
	return 0;
}

/* Is it shown as itself?  Not what controls, is invisible or turns the text around. */
static bool is_plain(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} others[] = {
		{0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},       {0x61c, 0x61c},
		{0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},
		{0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xe0000, 0xe0fff},
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (c >= others[i].first && c <= others[i].last) {
			return false;
		}
	}
	return true;
}

bool rows_is_plain(const char *bytes, size_t n)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t k;

	for (; n > 0; p += k, n -= k) {
		uint32_t c;

		k = decode(p, n, &c);
		if (k == 0 || !is_plain(c)) {
			return false;
		}
	}
	return true;
}

void rows_put_text(FILE *out, const char *bytes, size_t n)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t k;

	for (; n > 0; p += k, n -= k) {
		uint32_t c;

		k = decode(p, n, &c);
		if (k > 0 && is_plain(c)) {
			(void)fwrite(p, 1, k, out);
		} else if (k > 1) {
			(void)fprintf(out, "\\u{%" PRIx32 "}", c);
		} else {
			(void)fprintf(out, "\\x%02x", p[0]);
			k = 1;
		}
	}
}

void rows_put_hex(FILE *out, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		(void)fprintf(out, "%02x", (unsigned char)bytes[i]);
	}
}

void rows_put_value(FILE *out, const struct query_value *v, rows_text_fn *put_text, int digits)
{
	switch (v->type) {
	case QUERY_NULL:
		(void)fputs("NULL", out);
		break;
	case QUERY_INTEGER:
		(void)fprintf(out, "%" PRId64, v->integer);
		break;
	case QUERY_REAL:
		(void)fprintf(out, "%.*g", digits, v->real);
		break;
	case QUERY_TEXT:
		put_text(out, v->bytes, v->n);
		break;
	case QUERY_BLOB:
		(void)fputs("x'", out);
		rows_put_hex(out, v->bytes, v->n);
		(void)fputc('\'', out);
		break;
	}
}

/* The same in memory.  NULL: there is none left. */
static char *format_value(const struct query_value *v)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	if (!out) {
		return NULL;
	}
	rows_put_value(out, v, rows_put_text, SHOWN_DIGITS);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* How many characters @cell, which is ours, has. */
static size_t width_of(const char *cell)
{
	size_t width = 0;

	for (; *cell; cell++) {
		width += ((unsigned char)*cell & 0xc0) != 0x80;
	}
	return width;
}

static void put_row(const struct rows *rows, char *const *cells)
{
	for (unsigned i = 0; i < rows->n_columns; i++) {
		size_t width = width_of(cells[i]);

		(void)fputs(cells[i], rows->out);
		if (i + 1 < rows->n_columns) {
			for (; width < rows->widths[i]; width++) {
				(void)fputc(' ', rows->out);
			}
			(void)fputs(GAP, rows->out);
		}
	}
	(void)fputc('\n', rows->out);
}

static void forget_row(const struct rows *rows, char **cells)
{
	for (unsigned i = 0; i < rows->n_columns; i++) {
		free(cells[i]);
		cells[i] = NULL;
	}
}

static void flush(struct rows *rows)
{
	if (!rows->flushed && rows->n_columns > 0) {
		put_row(rows, rows->names);
	}
	for (size_t k = 0; k < rows->n_kept; k++) {
		char **cells = rows->cells + k * rows->n_columns;

		put_row(rows, cells);
		forget_row(rows, cells);
	}
	rows->n_kept = 0;
	rows->flushed = true;
}

static int keep_row(struct rows *rows, const struct query_value *values)
{
	char **cells = rows->cells + rows->n_kept * rows->n_columns;

	for (unsigned i = 0; i < rows->n_columns; i++) {
		cells[i] = format_value(&values[i]);
		if (!cells[i]) {
			forget_row(rows, cells);
			return -ENOMEM;
		}
		if (!rows->flushed && width_of(cells[i]) > rows->widths[i]) {
			rows->widths[i] = width_of(cells[i]);
		}
	}
	rows->n_kept++;
	if (rows->flushed || rows->n_kept == ROWS_KEPT) {
		flush(rows);
	}
	return 0;
}

static json_t *text_to_json(const char *bytes, size_t n)
{
	_cleanup_free_ char *shown = NULL;
	json_t *v = json_stringn(bytes, n);
	struct query_value text = {.type = QUERY_TEXT, .bytes = bytes, .n = n};

	if (!v) {
		shown = format_value(&text);
		v = shown ? json_string(shown) : NULL;
	}
	return v;
}

static json_t *blob_to_json(const char *bytes, size_t n)
{
	_cleanup_free_ char *hex = NULL;
	size_t length;
	FILE *out = open_memstream(&hex, &length);

	if (!out) {
		return NULL;
	}
	rows_put_hex(out, bytes, n);
	return fclose(out) == 0 ? json_string(hex) : NULL;
}

static json_t *value_to_json(const struct query_value *v)
{
	json_t *real;

	switch (v->type) {
	case QUERY_NULL:
		break;
	case QUERY_INTEGER:
		return json_integer(v->integer);
	case QUERY_REAL:
		/* There is no infinity in JSON. */
		real = json_real(v->real);
		return real ? real : json_null();
	case QUERY_TEXT:
		return text_to_json(v->bytes, v->n);
	case QUERY_BLOB:
		return blob_to_json(v->bytes, v->n);
	}
	return json_null();
}

static int put_object(struct rows *rows, const struct query_value *values)
{
	json_auto_t *object = json_object();

	for (unsigned i = 0; i < rows->n_columns; i++) {
		if (json_object_set_new(object, rows->names[i], value_to_json(&values[i])) < 0) {
			return -ENOMEM;
		}
	}
	(void)fputs(rows->n > 0 ? ",\n" : "\n", rows->out);
	return json_dumpf(object, rows->out, JSON_ENSURE_ASCII | JSON_COMPACT) < 0 ? -EIO : 0;
}

void rows_init(struct rows *rows, FILE *out, bool json, struct err *reterr)
{
	*rows = (struct rows){.out = out, .json = json, .reterr = reterr};
}

static int add_name(struct rows *rows, unsigned i, const char *name)
{
	struct query_value text = {.type = QUERY_TEXT, .bytes = name, .n = strlen(name)};

	rows->names[i] = format_value(&text);
	if (!rows->names[i]) {
		return -ENOMEM;
	}
	rows->widths[i] = width_of(rows->names[i]);
	for (unsigned k = 0; rows->json && k < i; k++) {
		if (strcmp(rows->names[k], rows->names[i]) == 0) {
			return err_set(rows->reterr, -ENOTUNIQ,
				       "two columns are named %s: give one of them another with AS",
				       rows->names[i]);
		}
	}
	return 0;
}

static int on_columns(void *ctx, unsigned n, const char *const *names)
{
	struct rows *rows = ctx;
	int r = 0;

	rows->names = calloc((size_t)n + 1, sizeof(*rows->names));
	rows->widths = calloc((size_t)n + 1, sizeof(*rows->widths));
	rows->cells = calloc((size_t)n * ROWS_KEPT + 1, sizeof(*rows->cells));
	if (!rows->names || !rows->widths || !rows->cells) {
		return -ENOMEM;
	}
	rows->n_columns = n;
	for (unsigned i = 0; r == 0 && i < n; i++) {
		r = add_name(rows, i, names[i]);
	}
	if (r == 0 && rows->json) {
		(void)fputc('[', rows->out);
	}
	return r;
}

static int on_row(void *ctx, unsigned n, const struct query_value *values)
{
	struct rows *rows = ctx;
	int r;

	(void)n;
	r = rows->json ? put_object(rows, values) : keep_row(rows, values);
	if (r == 0) {
		rows->n++;
		r = ferror(rows->out) ? -EIO : 0;
	}
	return r;
}

const struct query_sink rows_sink = {on_columns, on_row};

void rows_end(struct rows *rows)
{
	if (rows->json) {
		(void)fputs(rows->n > 0 ? "\n]" : "]", rows->out);
	} else {
		flush(rows);
	}
}

void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < rows->n_kept * rows->n_columns; i++) {
		free(rows->cells[i]);
	}
	for (unsigned i = 0; rows->names && i < rows->n_columns; i++) {
		free(rows->names[i]);
	}
	free(rows->names);
	free(rows->widths);
	free(rows->cells);
	*rows = (struct rows){0};
}
