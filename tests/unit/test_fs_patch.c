/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/patch.c by the byte; what SQLite itself writes and reads goes through it in test_fs_apply.c.
 */
#include <stdio.h>

#include "fs/patch.h"
#include "tests/unit/unit.h"

static const struct patch_table tables[] = {{"kv", "ta"}, {"n", "tin"}, {0}};

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

#define KV                                                                                         \
	"P\x02\x01\x00"                                                                            \
	"kv\0"
#define N                                                                                          \
	"P\x03\x01\x00\x00"                                                                        \
	"n\0"
#define K         "\x03\x01k"                            /* the text "k" */
#define ONE       "\x01\x00\x00\x00\x00\x00\x00\x00\x01" /* the integer 1 */
#define MINUS_ONE "\x01\xff\xff\xff\xff\xff\xff\xff\xff"
#define COUNT_MAX "\x01\x40\x00\x00\x00\x00\x00\x00\x00"
#define TOO_MANY  "\x01\x40\x00\x00\x00\x00\x00\x00\x01"

static void rows_of_known_tables_are_sound(void **state)
{
	static const struct {
		const uint8_t *bytes;
		size_t n;
	} cases[] = {
		{BYTES("")},
		{BYTES(KV "\x12\x00" K K)},
		{BYTES(KV "\x12\x00" K ONE)},
		{BYTES(KV "\x12\x01" K ONE "\x09\x00" K "\x17\x00" K ONE)},
		{BYTES(KV "\x17\x00" K "\x00")},
		{BYTES(N "\x17\x00" K "\x00" ONE)},
		{BYTES(N "\x17\x00" K MINUS_ONE COUNT_MAX)},
		{BYTES(KV "\x09\x00" K N "\x09\x00" K)},
		{BYTES(KV "\x12\x00"
			  "\x03\x00" ONE)}, /* the empty text */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %zu\n", i);
		assert_true(patch_is_sound(cases[i].bytes, cases[i].n, tables));
	}
}

/* What SQLite gives for a transaction without changes. */
static void nothing_at_all_is_sound(void **state)
{
	(void)state;
	assert_true(patch_is_sound(NULL, 0, tables));
}

static void everything_else_is_not(void **state)
{
	static const struct {
		const char *what;
		const uint8_t *bytes;
		size_t n;
	} cases[] = {
		{"a changeset, not a patchset", BYTES("T\x02\x01\x00"
						      "kv\0"
						      "\x12\x00" K K)},
		{"another table", BYTES("P\x02\x01\x00"
					"kw\0"
					"\x12\x00" K K)},
		{"a longer name", BYTES("P\x02\x01\x00"
					"kvx\0"
					"\x12\x00" K K)},
		{"another case", BYTES("P\x02\x01\x00"
				       "KV\0"
				       "\x12\x00" K K)},
		{"more columns", BYTES("P\x03\x01\x00\x00"
				       "kv\0"
				       "\x12\x00" K K K)},
		{"columns without end", BYTES("P\xff\xff\xff\xff\x7f\x01\x00"
					      "kv\0")},
		{"another key", BYTES("P\x02\x00\x01"
				      "kv\0"
				      "\x12\x00" K K)},
		{"two keys", BYTES("P\x02\x01\x02"
				   "kv\0"
				   "\x12\x00" K K)},
		{"no rows", BYTES(KV)},
		{"no rows before the next table", BYTES(KV N "\x09\x00" K)},
		{"an unknown operation", BYTES(KV "\x13\x00" K K)},
		{"indirect is no truth value", BYTES(KV "\x12\x02" K K)},
		{"an insert that leaves a column out", BYTES(KV "\x12\x00" K "\x00")},
		{"an update without its key", BYTES(KV "\x17\x00"
						       "\x00" K)},
		{"a deletion with more than the key", BYTES(KV "\x09\x00" K K)},
		{"a number for a text", BYTES(KV "\x12\x00" ONE K)},
		{"a text for a number", BYTES(N "\x12\x00" K K ONE)},
		{"a count below 0", BYTES(N "\x17\x00" K ONE MINUS_ONE)},
		{"a count that may overflow", BYTES(N "\x17\x00" K ONE TOO_MANY)},
		{"the same where a text may be", BYTES(KV "\x17\x00" K TOO_MANY)},
		{"a text with a NUL", BYTES(KV "\x12\x00" K "\x03\x02k\x00")},
		{"a key with a NUL", BYTES(KV "\x09\x00"
					      "\x03\x02\x00k")},
		{"a NULL", BYTES(KV "\x12\x00" K "\x05")},
		{"a float", BYTES(KV "\x12\x00" K "\x02\0\0\0\0\0\0\0\0")},
		{"a blob", BYTES(KV "\x12\x00" K "\x04\x01k")},
		{"an unknown type", BYTES(KV "\x12\x00" K "\x06")},
		{"a text behind the end", BYTES(KV "\x12\x00" K "\x03\x02k")},
		{"a huge text", BYTES(KV "\x12\x00" K "\x03\xff\xff\x7fk")},
		{"a length without end", BYTES(KV "\x12\x00" K "\x03\xff\xff\xff\xff\xff\xff")},
		{"a tail", BYTES(KV "\x12\x00" K K "\x00")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s\n", cases[i].what);
		assert_false(patch_is_sound(cases[i].bytes, cases[i].n, tables));
	}
}

static void no_proper_prefix_of_one_table_is_sound(void **state)
{
	static const char text[] = N "\x12\x00" K ONE ONE;

	(void)state;
	assert_true(patch_is_sound(BYTES(text), tables));
	for (size_t n = 1; n < sizeof(text) - 1; n++) {
		assert_false(patch_is_sound((const uint8_t *)text, n, tables));
	}
}

static void rows_read_as_they_were_written(void **state)
{
	static const char text[] = N "\x17\x00" K "\x00" ONE KV "\x12\x00" K ONE "\x09\x01" K;
	struct patch_reader reader;
	struct patch_row row;

	(void)state;
	patch_reader_init(&reader, BYTES(text), tables);
	assert_int_equal(patch_next(&reader, &row), 1);
	assert_ptr_equal(row.table, &tables[1]);
	assert_int_equal(row.op, PATCH_UPDATE);
	assert_int_equal(row.n_values, 3);
	assert_int_equal(row.values[0].type, PATCH_TEXT);
	assert_int_equal(row.values[0].text_bytes, 1);
	assert_int_equal(row.values[0].text[0], 'k');
	assert_int_equal(row.values[1].type, PATCH_UNCHANGED);
	assert_int_equal(row.values[2].type, PATCH_INTEGER);
	assert_int_equal(row.values[2].integer, 1);

	assert_int_equal(patch_next(&reader, &row), 1);
	assert_ptr_equal(row.table, &tables[0]);
	assert_int_equal(row.op, PATCH_INSERT);
	assert_int_equal(row.n_values, 2);

	assert_int_equal(patch_next(&reader, &row), 1);
	assert_int_equal(row.op, PATCH_DELETE);
	assert_int_equal(row.n_values, 1);
	assert_int_equal(patch_next(&reader, &row), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_known_tables_are_sound),
		cmocka_unit_test(nothing_at_all_is_sound),
		cmocka_unit_test(rows_read_as_they_were_written),
		cmocka_unit_test(everything_else_is_not),
		cmocka_unit_test(no_proper_prefix_of_one_table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
