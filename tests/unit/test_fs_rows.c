/* SPDX-License-Identifier: Apache-2.0 */
/* fs/rows.c: what reaches a terminal, and what a program gets. */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/rows.h"
#include "tests/unit/unit.h"

#define TEXT(s) ((struct query_value){.type = QUERY_TEXT, .bytes = (s), .n = sizeof(s) - 1})
#define INT(i)  ((struct query_value){.type = QUERY_INTEGER, .integer = (i)})

struct output {
	FILE *stream;
	char *text;
	size_t n;
};

static void output_open(struct output *o)
{
	o->stream = open_memstream(&o->text, &o->n);
	assert_non_null(o->stream);
}

static char *output_close(struct output *o)
{
	assert_int_equal(fclose(o->stream), 0);
	return o->text;
}

static void nothing_reaches_a_terminal_that_it_would_act_on(void **state)
{
	static const struct {
		const char *label;
		struct query_value in;
		const char *want;
	} cases[] = {
		{"plain", TEXT("a b~{\"x\"}"), "a b~{\"x\"}"},
		{"letters of others", TEXT("Zürich 東京 🦀"), "Zürich 東京 🦀"},
		{"an escape sequence", TEXT("\x1b[2J"), "\\x1b[2J"},
		{"line breaks", TEXT("a\nb\r\tc"), "a\\x0ab\\x0d\\x09c"},
		{"a NUL", TEXT("a\0b"), "a\\x00b"},
		{"delete", TEXT("\x7f"), "\\x7f"},
		{"a C1 control, as UTF-8",
		 TEXT("\xc2\x9b"
		      "2J"),
		 "\\u{9b}2J"},
		{"a C1 control, as a byte",
		 TEXT("\x9b"
		      "2J"),
		 "\\x9b2J"},
		{"text turned around", TEXT("a\u202eb\u2066c"), "a\\u{202e}b\\u{2066}c"},
		{"what is invisible", TEXT("a\u200bb\ufeff\U000e0041"),
		 "a\\u{200b}b\\u{feff}\\u{e0041}"},
		{"too long a form", TEXT("\xc0\xaf\xe0\x80\xaf"), "\\xc0\\xaf\\xe0\\x80\\xaf"},
		{"half a pair", TEXT("\xed\xa0\x80"), "\\xed\\xa0\\x80"},
		{"above Unicode", TEXT("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"},
		{"cut off", TEXT("\xe6\x9d"), "\\xe6\\x9d"},
		{"empty", TEXT(""), ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_free_ char *got = NULL;
		struct output o;

		print_message("%s\n", cases[i].label);
		output_open(&o);
		rows_put_text(o.stream, cases[i].in.bytes, cases[i].in.n);
		got = output_close(&o);
		assert_string_equal(got, cases[i].want);
		assert_int_equal(rows_is_plain(cases[i].in.bytes, cases[i].in.n),
				 strcmp(cases[i].in.bytes, cases[i].want) == 0);
	}
}

/* Give @n_rows rows of @n values to a sink. */
static int give(struct rows *rows, unsigned n, const char *const *names, size_t n_rows,
		const struct query_value *values)
{
	int r = rows_sink.on_columns(rows, n, names);

	for (size_t i = 0; r == 0 && i < n_rows; i++) {
		r = rows_sink.on_row(rows, n, values + i * n);
	}
	return r;
}

static char *print(bool json, unsigned n, const char *const *names, size_t n_rows,
		   const struct query_value *values)
{
	struct output o;
	struct rows rows;

	output_open(&o);
	rows_init(&rows, o.stream, json, NULL);
	assert_ok(give(&rows, n, names, n_rows, values));
	rows_end(&rows);
	rows_done(&rows);
	return output_close(&o);
}

static void columns_are_aligned_as_they_are_shown(void **state)
{
	static const char *const names[] = {"id", "beat", "record"};
	const struct query_value values[] = {
		TEXT("a"), INT(100000), TEXT("{}"), TEXT("Zürich"), INT(-1), TEXT("\x1b"),
	};
	_cleanup_free_ char *got = print(false, 3, names, 2, values);

	(void)state;
	assert_string_equal(got, "id      beat    record\n"
				 "a       100000  {}\n"
				 "Zürich  -1      \\x1b\n");
}

static void a_result_without_rows_is_its_heading(void **state)
{
	static const char *const names[] = {"id", "beat"};
	_cleanup_free_ char *text = print(false, 2, names, 0, NULL);
	_cleanup_free_ char *json = print(true, 2, names, 0, NULL);
	_cleanup_free_ char *nothing = print(false, 0, NULL, 0, NULL);

	(void)state;
	assert_string_equal(text, "id  beat\n");
	assert_string_equal(json, "[]");
	assert_string_equal(nothing, "");
}

/* Rows that come when the first ones are written are not held back. */
static void a_long_result_flows(void **state)
{
	static const char *const names[] = {"n", "x"};
	const struct query_value row[] = {INT(1), TEXT("y")}, wide[] = {INT(100), TEXT("z")};
	struct output o;
	struct rows rows;

	(void)state;
	output_open(&o);
	rows_init(&rows, o.stream, false, NULL);
	assert_ok(give(&rows, 2, names, 0, NULL));
	for (unsigned i = 0; i < ROWS_KEPT - 1; i++) {
		assert_ok(rows_sink.on_row(&rows, 2, row));
	}
	assert_int_equal(fflush(o.stream), 0);
	assert_u64(o.n, 0);
	assert_ok(rows_sink.on_row(&rows, 2, row));
	assert_ok(rows_sink.on_row(&rows, 2, wide));
	assert_int_equal(fflush(o.stream), 0);
	assert_u64(o.n, 5 + ROWS_KEPT * 5 + 7);
	assert_string_equal(o.text + o.n - 12, "1  y\n100  z\n");
	rows_end(&rows);
	rows_done(&rows);
	free(output_close(&o));
}

static void json_is_exact_and_ascii(void **state)
{
	static const char *const names[] = {"text", "bad", "int", "real", "blob", "null"};
	const struct query_value values[] = {
		TEXT("ü\n\x1b\0z"),
		TEXT("\xff"),
		INT(INT64_MIN),
		{.type = QUERY_REAL, .real = 0.5},
		{.type = QUERY_BLOB, .bytes = "\x01\xfe", .n = 2},
		{.type = QUERY_NULL},
	};
	_cleanup_free_ char *got = print(true, 6, names, 1, values);

	(void)state;
	assert_string_equal(got, "[\n{\"text\":\"\\u00FC\\n\\u001B\\u0000z\",\"bad\":\"\\\\xff\","
				 "\"int\":-9223372036854775808,\"real\":0.5,\"blob\":\"01fe\","
				 "\"null\":null}\n]");
}

static void an_infinite_number_is_null_in_json(void **state)
{
	static const char *const names[] = {"x"};
	const struct query_value values[] = {{.type = QUERY_REAL, .real = __builtin_inf()}, INT(2)};
	_cleanup_free_ char *got = print(true, 1, names, 2, values);

	(void)state;
	assert_string_equal(got, "[\n{\"x\":null},\n{\"x\":2}\n]");
}

static void two_columns_of_one_name_are_refused_in_json_only(void **state)
{
	static const char *const names[] = {"id", "\x1b", "id"};
	const struct query_value values[] = {INT(1), INT(2), INT(3)};
	_cleanup_free_ char *table = print(false, 3, names, 1, values);
	struct err err = {{0}};
	struct output o;
	struct rows rows;

	(void)state;
	assert_string_equal(table, "id  \\x1b  id\n1   2     3\n");
	output_open(&o);
	rows_init(&rows, o.stream, true, &err);
	assert_errno(give(&rows, 3, names, 1, values), ENOTUNIQ);
	assert_non_null(strstr(err.text, "named id"));
	rows_done(&rows);
	free(output_close(&o));
	assert_u64(o.n, 0);
}

static void a_stream_that_fails_ends_the_query(void **state)
{
	static const char *const names[] = {"x"};
	const struct query_value value = INT(1);
	FILE *full = fopen("/dev/full", "we");
	struct rows rows;

	(void)state;
	assert_non_null(full);
	(void)setvbuf(full, NULL, _IONBF, 0);
	rows_init(&rows, full, true, NULL);
	assert_errno(give(&rows, 1, names, 1, &value), EIO);
	rows_done(&rows);
	(void)fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_reaches_a_terminal_that_it_would_act_on),
		cmocka_unit_test(columns_are_aligned_as_they_are_shown),
		cmocka_unit_test(a_result_without_rows_is_its_heading),
		cmocka_unit_test(a_long_result_flows),
		cmocka_unit_test(json_is_exact_and_ascii),
		cmocka_unit_test(an_infinite_number_is_null_in_json),
		cmocka_unit_test(two_columns_of_one_name_are_refused_in_json_only),
		cmocka_unit_test(a_stream_that_fails_ends_the_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
