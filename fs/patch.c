/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/patch.h"

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

/* What is left to read. */
struct reader {
	const uint8_t *at, *end;
};

static bool take_byte(struct reader *r, uint8_t *ret)
{
	if (r->at == r->end) {
		return false;
	}
	*ret = *r->at++;
	return true;
}

static bool skip(struct reader *r, size_t n)
{
	if (n > (size_t)(r->end - r->at)) {
		return false;
	}
	r->at += n;
	return true;
}

/* SQLite's varint, of which a length needs three bytes at most: no text here reaches 2 MiB. */
static bool take_length(struct reader *r, size_t *ret)
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

static bool take_value(struct reader *r, char column, bool may_be_unchanged)
{
	size_t length = INTEGER_BYTES;
	uint8_t type;

	if (!take_byte(r, &type)) {
		return false;
	}
	if (type == VALUE_UNCHANGED) {
		return may_be_unchanged;
	}
	if (type == VALUE_INTEGER && column != 't') {
		return skip(r, length);
	}
	if (type == VALUE_TEXT && column != 'i') {
		return take_length(r, &length) && skip(r, length);
	}
	return false;
}

/* One row: the key alone where it is deleted, else all columns. */
static bool take_row(struct reader *r, const struct patch_table *t)
{
	uint8_t op, indirect;
	size_t n;

	if (!take_byte(r, &op) || !take_byte(r, &indirect) || indirect > 1 ||
	    (op != OP_DELETE && op != OP_INSERT && op != OP_UPDATE)) {
		return false;
	}
	n = op == OP_DELETE ? 1 : strlen(t->columns);
	for (size_t i = 0; i < n; i++) {
		if (!take_value(r, t->columns[i], op == OP_UPDATE && i > 0)) {
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
static const struct patch_table *take_table(struct reader *r, const struct patch_table *tables)
{
	const uint8_t *head = r->at;

	for (const struct patch_table *t = tables; t->name; t++) {
		size_t columns = strlen(t->columns), name_bytes = strlen(t->name) + 1;

		r->at = head;
		if (skip(r, 2 + columns + name_bytes) && head[0] == TABLE_HEADER &&
		    head[1] == columns && is_first_only(head + 2, columns) &&
		    memcmp(head + 2 + columns, t->name, name_bytes) == 0) {
			return t;
		}
	}
	return NULL;
}

bool patch_is_sound(const uint8_t *bytes, size_t n, const struct patch_table *tables)
{
	struct reader r = {.at = bytes, .end = bytes + n};

	while (r.at < r.end) {
		const struct patch_table *t = take_table(&r, tables);

		if (!t) {
			return false;
		}
		/* A table without rows is never written. */
		do {
			if (!take_row(&r, t)) {
				return false;
			}
		} while (r.at < r.end && *r.at != TABLE_HEADER);
	}
	return true;
}
