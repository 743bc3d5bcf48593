/* SPDX-License-Identifier: Apache-2.0 */
/* fs/schema.c: what is said of the tables is true of those that are made. */
#include <sqlite3.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "fs/db.h"
#include "fs/schema.h"
#include "tests/unit/unit.h"

/* Where a letter allows text and integers, the column must convert neither. */
static const char *type_of(char letter)
{
	return letter == 't' ? "TEXT" : letter == 'a' ? "" : "INTEGER";
}

static void the_description_fits_the_tables(void **state)
{
	_cleanup_(db_closep) sqlite3 *db = NULL;
	char text[16];

	(void)state;
	assert_ok(db_open(&db));
	assert_ok(schema_create(db));
	assert_ok(db_one_text(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'", text,
			      sizeof(text)));
	assert_int_equal(text[0] - '0', SCHEMA_TABLE_MAX_);
	assert_null(schema_tables[SCHEMA_TABLE_MAX_].name);
	for (const struct patch_table *t = schema_tables; t->name; t++) {
		sqlite3_stmt *st = NULL;
		char query[64];
		size_t i = 0;

		print_message("  %s\n", t->name);
		(void)snprintf(query, sizeof(query), "PRAGMA table_info(%s)", t->name);
		assert_ok(db_prepare(db, query, &st));
		for (; sqlite3_step(st) == SQLITE_ROW; i++) {
			assert_true(i < strlen(t->columns));
			assert_string_equal(db_text(st, 2), type_of(t->columns[i]));
			/* Never NULL, and only the first is the key. */
			assert_true(i == 0 || sqlite3_column_int(st, 3) == 1);
			assert_int_equal(sqlite3_column_int(st, 5), i == 0);
		}
		assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
		assert_int_equal(i, strlen(t->columns));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_description_fits_the_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
