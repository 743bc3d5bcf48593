/* SPDX-License-Identifier: Apache-2.0 */
/* fs/db.c: what SQLite says as -errno, and what a database of somebody else cannot do. */
#include <errno.h>
#include <sqlite3.h>

#include "base/cleanup.h"
#include "fs/db.h"
#include "tests/unit/unit.h"

static int set_up(void **state)
{
	static sqlite3 *db;

	assert_ok(db_open(&db));
	*state = db;
	return 0;
}

static int tear_down(void **state)
{
	db_close(*state);
	return 0;
}

static void errors_of_sqlite_are_damage_want_of_memory_or_anything_else(void **state)
{
	(void)state;
	assert_int_equal(db_errno(SQLITE_OK), 0);
	assert_int_equal(db_errno(SQLITE_DONE), 0);
	assert_errno(db_errno(SQLITE_NOMEM), ENOMEM);
	assert_errno(db_errno(SQLITE_CORRUPT_VTAB), EUCLEAN);
	assert_errno(db_errno(SQLITE_CONSTRAINT_PRIMARYKEY), EUCLEAN);
	assert_errno(db_errno(SQLITE_ERROR), EIO);
}

static void a_schema_cannot_be_forged(void **state)
{
	sqlite3 *db = *state;

	assert_ok(db_exec(db, "CREATE TABLE t (a); PRAGMA writable_schema = 1"));
	assert_errno(db_exec(db, "UPDATE sqlite_schema SET sql = 'CREATE TABLE t (b)'"), EIO);
}

/* Nothing is too small to be looked through, and nothing is looked through for ever. */
static void restricted_work_ends(void **state)
{
	static const char rows[] = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
				   " LIMIT 1000) SELECT count(*) FROM n";
	static const char endless[] = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1"
				      " FROM n) SELECT count(*) FROM n";
	struct db_allowance allowance;
	sqlite3 *db = *state;
	char text[8];

	assert_ok(db_restrict(db, 0, &allowance));
	assert_ok(db_one_text(db, rows, text, sizeof(text)));
	assert_string_equal(text, "1000");
	assert_errno(db_one_text(db, endless, text, sizeof(text)), EIO);
	assert_errno(db_one_text(db, rows, text, sizeof(text)), EIO); /* it is spent */
	db_unrestrict(db);
	assert_ok(db_one_text(db, rows, text, sizeof(text)));
}

static void one_text_is_one(void **state)
{
	sqlite3 *db = *state;
	char text[4] = "old";

	assert_errno(db_one_text(db, "SELECT 'new' WHERE 0", text, sizeof(text)), EUCLEAN);
	assert_errno(db_one_text(db, "SELECT new", text, sizeof(text)), EIO);
	assert_string_equal(text, "old");
	assert_ok(db_one_text(db, "SELECT 'newer'", text, sizeof(text)));
	assert_string_equal(text, "new");
}

static void a_statement_is_prepared_once_and_forgets_what_was_bound(void **state)
{
	sqlite3 *db = *state;
	sqlite3_stmt *st = NULL, *first;

	assert_ok(db_prepare(db, "SELECT ?1", &st));
	first = st;
	assert_ok(db_prepare(db, "SELECT ?1", &st));
	assert_ptr_equal(st, first);
	db_bind_u64(st, 1, UINT64_MAX);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_u64(db_u64(st, 0), UINT64_MAX);
	assert_ok(db_put_back(st));
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_string_equal(db_text(st, 0), "");
	assert_ok(db_put_back(st));
	(void)sqlite3_finalize(st);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(errors_of_sqlite_are_damage_want_of_memory_or_anything_else),
		CASE(a_schema_cannot_be_forged),
		CASE(restricted_work_ends),
		CASE(one_text_is_one),
		CASE(a_statement_is_prepared_once_and_forgets_what_was_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
