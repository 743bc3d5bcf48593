/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/patch.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define TABLE_HEADER 'P'

/* Operations, as the bytes that stand for them. */
#define OP_DELETE 9
#define OP_INSERT 18
#define OP_UPDATE 23

/* Types of a value. */
#define VALUE_UNCHANGED 0
#define VALUE_INTEGER   1
#define VALUE_TEXT      3

#define INTEGER_BYTES 8

#define COUNT_MAX ((int64_t)1 << 62)

static bool take_byte(struct patch_reader *r, uint8_t *ret)
{
	if (r->at == r->end) {
		return false;
	}
	*ret = *r->at++;
	return true;
}

static bool skip(struct patch_reader *r, size_t n)
{
	if (n > (size_t)(r->end - r->at)) {
		return false;
	}
	r->at += n;
	return true;
}

static bool take_integer(struct patch_reader *r, int64_t *ret)
{
	const uint8_t *at = r->at;
	uint64_t value = 0;

	if (!skip(r, INTEGER_BYTES)) {
		return false;
	}
	for (size_t i = 0; i < INTEGER_BYTES; i++) {
		value = value << 8 | at[i];
	}
	*ret = (int64_t)value;
	return true;
}

/* SQLite's varint, of which a length needs three bytes at most: no text here reaches 2 MiB. */
static bool take_length(struct patch_reader *r, size_t *ret)
{
	size_t length = 0;

	for (int i = 0; i < 3; i++) {
		uint8_t b;

		if (!take_byte(r, &b)) {
			return false;
		}
		length = length << 7 | (b & 0x7f);
		if (!(b & 0x80)) {
			*ret = length;
			return true;
		}
	}
	return false;
}

bool patch_may_hold_integer(char column, int64_t value)
{
	return column == 'i' || (column != 't' && value >= 0 && value <= COUNT_MAX);
}

bool patch_may_hold_text(char column, const void *text, size_t n)
{
	return (column == 't' || column == 'a') && (n == 0 || !memchr(text, '\0', n));
}

static bool take_value(struct patch_reader *r, char column, bool may_be_unchanged,
		       struct patch_value *ret)
{
	uint8_t type;

	if (!take_byte(r, &type)) {
		return false;
	}
	switch (type) {
	case VALUE_UNCHANGED:
		ret->type = PATCH_UNCHANGED;
		return may_be_unchanged;
	case VALUE_INTEGER:
		ret->type = PATCH_INTEGER;
		return take_integer(r, &ret->integer) &&
		       patch_may_hold_integer(column, ret->integer);
	case VALUE_TEXT:
		ret->type = PATCH_TEXT;
		if (!take_length(r, &ret->text_bytes)) {
			return false;
		}
		ret->text = (const char *)r->at;
		return skip(r, ret->text_bytes) &&
		       patch_may_hold_text(column, ret->text, ret->text_bytes);
	default:
		return false;
	}
}

static bool take_op(struct patch_reader *r, enum patch_op *ret)
{
	uint8_t op, indirect;

	if (!take_byte(r, &op) || !take_byte(r, &indirect) || indirect > 1) {
		return false;
	}
	switch (op) {
	case OP_INSERT:
		*ret = PATCH_INSERT;
		return true;
	case OP_UPDATE:
		*ret = PATCH_UPDATE;
		return true;
	case OP_DELETE:
		*ret = PATCH_DELETE;
		return true;
	default:
		return false;
	}
}

static bool take_row(struct patch_reader *r, struct patch_row *ret)
{
	const char *columns = r->table->columns;

	ret->table = r->table;
	if (!take_op(r, &ret->op)) {
		return false;
	}
	ret->n_values = ret->op == PATCH_DELETE ? 1 : strlen(columns);
	for (size_t i = 0; i < ret->n_values; i++) {
		if (!take_value(r, columns[i], ret->op == PATCH_UPDATE && i > 0, &ret->values[i])) {
			return false;
		}
	}
	return true;
}

/* One byte for each column: only the first is the key. */
static bool is_first_only(const uint8_t *key, size_t columns)
{
	for (size_t i = 0; i < columns; i++) {
		if (key[i] != (i == 0 ? 1 : 0)) {
			return false;
		}
	}
	return true;
}

/* The header of a table: number of columns, which of them are the key, name. */
static bool take_table(struct patch_reader *r)
{
	const uint8_t *head = r->at;

	for (const struct patch_table *t = r->tables; t->name; t++) {
		size_t columns = strlen(t->columns), name_bytes = strlen(t->name) + 1;

		assert(columns <= PATCH_COLUMNS_MAX);
		r->at = head;
		if (skip(r, 2 + columns + name_bytes) && head[0] == TABLE_HEADER &&
		    head[1] == columns && is_first_only(head + 2, columns) &&
		    memcmp(head + 2 + columns, t->name, name_bytes) == 0) {
			r->table = t;
			return true;
		}
	}
	return false;
}

void patch_reader_init(struct patch_reader *r, const void *bytes, size_t n,
		       const struct patch_table *tables)
{
	const uint8_t *at = bytes;

	*r = (struct patch_reader){.at = at, .end = n > 0 ? at + n : at, .tables = tables};
}

int patch_next(struct patch_reader *r, struct patch_row *ret)
{
	if (r->at == r->end) {
		return 0;
	}
	/* A table without rows is never written: its header is followed by one. */
	if ((!r->table || *r->at == TABLE_HEADER) && !take_table(r)) {
		return -EUCLEAN;
	}
	return take_row(r, ret) ? 1 : -EUCLEAN;
}

bool patch_is_sound(const void *bytes, size_t n, const struct patch_table *tables)
{
	struct patch_reader r;
	struct patch_row row;
	int result;

	patch_reader_init(&r, bytes, n, tables);
	do {
		result = patch_next(&r, &row);
	} while (result > 0);
	return result == 0;
}
