/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/patch.c by the byte; what SQLite itself writes and reads goes through it in test_fs_index.c.
 */
#include <stdio.h>

#include "fs/patch.h"
#include "tests/unit/unit.h"

static const struct patch_table tables[] = {{"kv", "ta"}, {"n", "tii"}, {0}};

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

#define KV                                                                                         \
	"P\x02\x01\x00"                                                                            \
	"kv\0"
#define N                                                                                          \
	"P\x03\x01\x00\x00"                                                                        \
	"n\0"
#define K   "\x03\x01k"                            /* the text "k" */
#define ONE "\x01\x00\x00\x00\x00\x00\x00\x00\x01" /* the integer 1 */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_known_tables_are_sound),
		cmocka_unit_test(everything_else_is_not),
		cmocka_unit_test(no_proper_prefix_of_one_table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
