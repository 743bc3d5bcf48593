/* SPDX-License-Identifier: Apache-2.0 */
/* fs/query.c on a small index. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/index.h"
#include "fs/query.h"
#include "tests/unit/unit.h"

#define ENDLESS "WITH RECURSIVE r (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x FROM r"

static int set_up(void **state)
{
	struct index *ix;
	struct query *q;
	void *bytes;
	size_t n;

	assert_ok(index_new(&ix));
	assert_ok(index_node_put(ix, "a", "m1", "MASTER", "{\"priority\":7}", 14));
	assert_ok(index_node_put(ix, "b", "m2", "STANDBY", "{}", 2));
	assert_ok(index_dump(ix, &bytes, &n));
	index_free(ix);
	assert_ok(query_open(bytes, n, &q));
	index_free_bytes(bytes);
	*state = q;
	return 0;
}

static int tear_down(void **state)
{
	query_close(*state);
	return 0;
}

struct answer {
	char text[512];
	unsigned rows;
	unsigned stop_after; /* 0: never */
};

static void append(struct answer *a, const char *text, size_t n)
{
	size_t used = strlen(a->text);

	(void)snprintf(a->text + used, sizeof(a->text) - used, "%.*s", (int)n, text);
}

static int on_columns(void *ctx, unsigned n, const char *const *names)
{
	for (unsigned i = 0; i < n; i++) {
		append(ctx, names[i], strlen(names[i]));
		append(ctx, "|", 1);
	}
	return 0;
}

static int on_row(void *ctx, unsigned n, const struct query_value *values)
{
	struct answer *a = ctx;
	char text[64];

	append(a, "\n", 1);
	for (unsigned i = 0; i < n; i++) {
		const struct query_value *v = &values[i];

		switch (v->type) {
		case QUERY_NULL:
			append(a, "null", 4);
			break;
		case QUERY_INTEGER:
			(void)snprintf(text, sizeof(text), "%lld", (long long)v->integer);
			append(a, text, strlen(text));
			break;
		case QUERY_REAL:
			(void)snprintf(text, sizeof(text), "%.3f", v->real);
			append(a, text, strlen(text));
			break;
		case QUERY_TEXT:
			append(a, v->bytes, v->n);
			break;
		case QUERY_BLOB:
			(void)snprintf(text, sizeof(text), "<%zu>", v->n);
			append(a, text, strlen(text));
			break;
		}
		append(a, "|", 1);
	}
	return ++a->rows == a->stop_after ? -ECANCELED : 0;
}

static const struct query_sink sink = {on_columns, on_row};

static int ask(void *q, const char *sql, uint64_t limit_ms, struct answer *ret, struct err *reterr)
{
	*ret = (struct answer){.stop_after = ret->stop_after};
	return query_run(q, sql, limit_ms, &sink, ret, reterr);
}

static void every_kind_of_value_is_given(void **state)
{
	struct answer a = {.rows = 0};

	assert_ok(ask(*state, "SELECT NULL AS n, -7 AS i, 0.5 AS r, 'x' AS t, x'00ff' AS b, x''", 0,
		      &a, NULL));
	assert_string_equal(a.text, "n|i|r|t|b|x''|\nnull|-7|0.500|x|<2>|<0>|");
}

static void columns_are_told_also_where_there_is_no_row(void **state)
{
	struct answer a = {.rows = 0};

	assert_ok(ask(*state, "SELECT id, beat FROM node WHERE id = 'c'", 0, &a, NULL));
	assert_string_equal(a.text, "id|beat|");
	assert_ok(ask(*state, "SELECT id, beat FROM node;  -- all\n", 0, &a, NULL));
	assert_string_equal(a.text, "id|beat|\na|1|\nb|1|");
}

static void pragmas_tell_of_the_index(void **state)
{
	struct answer a = {.rows = 0};

	assert_ok(ask(*state, "PRAGMA page_size", 0, &a, NULL));
	assert_string_equal(a.text, "page_size|\n1024|");
	assert_ok(ask(*state, "PRAGMA application_id", 0, &a, NULL));
	assert_string_equal(a.text, "application_id|\n1213156420|");
}

static void reading_statements_of_all_kinds_are_allowed(void **state)
{
	static const char *const statements[] = {
		"SELECT count(*) FROM node JOIN lease",
		"VALUES (1), (2)",
		"WITH x AS (SELECT * FROM history) SELECT * FROM x ORDER BY seq DESC",
		"SELECT json_extract(record, '$.priority') FROM node",
		"SELECT value FROM node, json_each(record)",
		"SELECT lag(id) OVER (ORDER BY id) FROM node",
		"SELECT * FROM sqlite_schema",
		"PRAGMA table_info(node)",
		"SELECT * FROM pragma_table_info('node')",
		"PRAGMA quick_check",
		"PRAGMA user_version",
		"EXPLAIN QUERY PLAN SELECT * FROM node",
	};

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		struct answer a = {.rows = 0};

		print_message("%s\n", statements[i]);
		assert_ok(ask(*state, statements[i], 0, &a, NULL));
	}
}

static void what_does_more_than_read_is_refused(void **state)
{
	static const char *const statements[] = {
		"DELETE FROM node",
		"UPDATE lease SET holder = 'me'",
		"INSERT INTO node SELECT * FROM node",
		"WITH x AS (SELECT 1) DELETE FROM node",
		"DELETE FROM node RETURNING id",
		"CREATE TABLE t (x)",
		"CREATE TEMP TABLE t (x)",
		"CREATE TEMP VIEW v AS SELECT 1",
		"DROP TABLE node",
		"ALTER TABLE node ADD COLUMN x",
		"ATTACH '/tmp/holdfast-unit-attached' AS x",
		"DETACH main",
		"VACUUM",
		"VACUUM INTO '/tmp/holdfast-unit-vacuumed'",
		"BEGIN",
		"SAVEPOINT s",
		"REINDEX",
		"ANALYZE",
		"PRAGMA user_version = 9",
		"PRAGMA writable_schema = 1",
		"PRAGMA journal_mode = wal",
		"PRAGMA temp_store_directory = '/'",
		"PRAGMA hard_heap_limit = 1",
		"EXPLAIN DELETE FROM node",
	};
	struct answer a = {.rows = 0};

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		struct err err = {{0}};

		print_message("%s\n", statements[i]);
		assert_errno(ask(*state, statements[i], 0, &a, &err), EPERM);
		assert_non_null(strstr(err.text, "only read"));
	}
	assert_int_equal(access("/tmp/holdfast-unit-attached", F_OK), -1);
	assert_int_equal(access("/tmp/holdfast-unit-vacuumed", F_OK), -1);
	assert_ok(ask(*state, "SELECT count(*) FROM node", 0, &a, NULL));
	assert_string_equal(a.text, "count(*)|\n2|");
}

static void what_is_not_one_statement_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *sql, *reason;
	} cases[] = {
		{"SELEC 1", "syntax error"},
		{"SELECT x FROM node", "no such column: x"},
		{"SELECT * FROM nodes", "no such table: nodes"},
		{"SELECT 1; SELECT 2", "one statement"},
		{"SELECT 1; DELETE FROM node", "one statement"},
		{"SELECT 1; garbage", "one statement"},
		{"", "no statement"},
		{" -- nothing", "no statement"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answer a = {.rows = 0};
		struct err err = {{0}};

		print_message("%s\n", cases[i].sql);
		assert_errno(ask(*state, cases[i].sql, 0, &a, &err), EINVAL);
		assert_non_null(strstr(err.text, cases[i].reason));
		assert_string_equal(a.text, "");
	}
}

static void a_query_that_does_not_end_is_ended_by_its_limit(void **state)
{
	struct answer a = {.rows = 0};
	struct err err = {{0}};

	assert_errno(ask(*state, "SELECT count(*) FROM (" ENDLESS ")", 50, &a, &err), ETIME);
	assert_non_null(strstr(err.text, "in time"));
	/* The limit was that query's alone. */
	assert_ok(ask(*state, "SELECT 1", 0, &a, NULL));
}

static void a_query_that_takes_all_memory_is_ended(void **state)
{
	struct answer a = {.rows = 0};

	assert_errno(ask(*state, "SELECT zeroblob(1000000000)", 0, &a, NULL), ENOMEM);
	assert_errno(ask(*state, "SELECT x FROM (" ENDLESS ") ORDER BY hex(zeroblob(100000))", 0,
			 &a, NULL),
		     ENOMEM);
	assert_ok(ask(*state, "SELECT 1", 0, &a, NULL));
}

static void the_sink_ends_a_query_with_its_result(void **state)
{
	struct answer a = {.stop_after = 3};

	assert_errno(ask(*state, ENDLESS, 0, &a, NULL), ECANCELED);
	assert_int_equal(a.rows, 3);
}

struct nested {
	struct query *query;
	struct answer inner;
};

static int run_inner(void *ctx, unsigned n, const struct query_value *values)
{
	struct nested *nested = ctx;

	(void)n;
	(void)values;
	return query_run(nested->query, "SELECT id FROM node", 0, &sink, &nested->inner, NULL);
}

static int no_columns(void *ctx, unsigned n, const char *const *names)
{
	(void)ctx;
	(void)n;
	(void)names;
	return 0;
}

static void a_sink_may_run_another_query(void **state)
{
	static const struct query_sink outer = {no_columns, run_inner};
	struct nested nested = {.query = *state};

	assert_ok(query_run(*state, "VALUES (1), (2)", 0, &outer, &nested, NULL));
	assert_string_equal(nested.inner.text, "id|\na|\nb|id|\na|\nb|");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_kind_of_value_is_given),
		TEST(columns_are_told_also_where_there_is_no_row),
		TEST(pragmas_tell_of_the_index),
		TEST(reading_statements_of_all_kinds_are_allowed),
		TEST(what_does_more_than_read_is_refused),
		TEST(what_is_not_one_statement_is_refused_with_the_reason),
		TEST(a_query_that_does_not_end_is_ended_by_its_limit),
		TEST(a_query_that_takes_all_memory_is_ended),
		TEST(the_sink_ends_a_query_with_its_result),
		TEST(a_sink_may_run_another_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
