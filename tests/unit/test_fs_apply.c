/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/apply.c: changes of others give what sqlite3changeset_apply() would, or nothing; and no
 * statement is prepared twice for them.
 */
#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/apply.h"
#include "fs/db.h"
#include "tests/lib/pair.h"
#include "tests/unit/unit.h"

#define SEED   20221122
#define ROUNDS 2000

static sqlite3 *new_database(void)
{
	sqlite3 *db;

	assert_ok(db_open(&db));
	assert_ok(schema_create(db));
	return db;
}

/* Every value with its type, malloc'd. */
static char *content(sqlite3 *db)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	for (const struct patch_table *t = schema_tables; t->name; t++) {
		sqlite3_stmt *st = NULL;
		char query[64];

		(void)snprintf(query, sizeof(query), "SELECT * FROM %s", t->name);
		assert_ok(db_prepare(db, query, &st));
		while (sqlite3_step(st) == SQLITE_ROW) {
			(void)fprintf(out, "%s", t->name);
			for (int i = 0; i < sqlite3_column_count(st); i++) {
				(void)fprintf(out, " %d'%s'", sqlite3_column_type(st, i),
					      db_text(st, i));
			}
			(void)fprintf(out, "\n");
		}
		assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	}
	assert_int_equal(fclose(out), 0);
	return text;
}

static void bind_random(sqlite3_stmt *st, int parameter, char column, bool is_key, uint32_t *rng)
{
	static const char *const texts[] = {
		"", "a", "b", "gr\xc3\xbc\xc3\x9f", "12", "not \xff UTF-8"};
	static const int64_t numbers[] = {0, 1, 2, 77, (int64_t)1 << 62, INT64_MIN, -1};

	if (column == 't' || (column == 'a' && pair_draw(rng, 2))) {
		db_bind_text(st, parameter, texts[pair_draw(rng, is_key ? 3 : 6)]);
	} else {
		(void)sqlite3_bind_int64(st, parameter,
					 numbers[is_key ? pair_draw(rng, 3)
							: pair_draw(rng, column == 'i' ? 7 : 5)]);
	}
}

/* Whatever the row was: it may be there or not. */
static void change_at_random(sqlite3 *db, uint32_t *rng)
{
	const struct patch_table *t = &schema_tables[pair_draw(rng, SCHEMA_TABLE_MAX_)];
	int n = (int)strlen(t->columns), column = 1 + (int)pair_draw(rng, (uint32_t)n - 1);
	sqlite3_stmt *all = NULL, *st = NULL;
	char query[160];

	(void)snprintf(query, sizeof(query), "SELECT * FROM %s", t->name);
	assert_ok(db_prepare(db, query, &all));
	switch (pair_draw(rng, 4)) {
	case 0:
		(void)snprintf(query, sizeof(query), "DELETE FROM %s WHERE %s = ?1", t->name,
			       sqlite3_column_name(all, 0));
		n = 1;
		break;
	case 1:
		(void)snprintf(query, sizeof(query), "UPDATE %s SET %s = ?%d WHERE %s = ?1",
			       t->name, sqlite3_column_name(all, column), column + 1,
			       sqlite3_column_name(all, 0));
		break;
	default:
		(void)snprintf(query, sizeof(query),
			       "INSERT OR REPLACE INTO %s VALUES (?1, ?2%.*s)", t->name,
			       (n - 2) * 4, ", ?3, ?4, ?5, ?6, ?7, ?8, ?9");
		break;
	}
	assert_ok(db_prepare(db, query, &st));
	for (int i = 0; i < n && i < sqlite3_bind_parameter_count(st); i++) {
		bind_random(st, i + 1, t->columns[i], i == 0, rng);
	}
	assert_ok(db_run(st));
	(void)sqlite3_finalize(st);
	(void)sqlite3_finalize(all);
}

/* What up to three random changes of @db are; sqlite3_free() it. */
static void *random_patch(sqlite3 *db, uint32_t *rng, int *ret_n)
{
	sqlite3_session *session;
	void *patch;

	assert_int_equal(sqlite3session_create(db, "main", &session), SQLITE_OK);
	assert_int_equal(sqlite3session_attach(session, NULL), SQLITE_OK);
	for (uint32_t n = 1 + pair_draw(rng, 3); n > 0; n--) {
		change_at_random(db, rng);
	}
	assert_int_equal(sqlite3session_patchset(session, ret_n, &patch), SQLITE_OK);
	sqlite3session_delete(session);
	return patch;
}

static int refuse_conflict(void *ctx, int kind, sqlite3_changeset_iter *iter)
{
	(void)ctx;
	(void)kind;
	(void)iter;
	return SQLITE_CHANGESET_ABORT;
}

/* As index_apply() does. */
static int apply(struct apply *a, sqlite3 *db, const void *patch, size_t n)
{
	int r;

	assert_ok(db_exec(db, "BEGIN"));
	r = apply_patch(a, db, patch, n);
	assert_ok(db_exec(db, r < 0 ? "ROLLBACK" : "COMMIT"));
	return r;
}

/* How often each operation on each table was the only one of a patchset. */
struct tally {
	unsigned taken[SCHEMA_TABLE_MAX_][PATCH_OP_MAX_], refused[SCHEMA_TABLE_MAX_][PATCH_OP_MAX_];
};

static void count(struct tally *tally, const void *patch, size_t n, bool is_taken)
{
	struct patch_reader reader;
	struct patch_row row, further;

	patch_reader_init(&reader, patch, n, schema_tables);
	if (patch_next(&reader, &row) == 1 && patch_next(&reader, &further) == 0) {
		size_t table = (size_t)(row.table - schema_tables);

		(is_taken ? tally->taken : tally->refused)[table][row.op]++;
	}
}

/* Some of what the writer does is never told, so that what it does later meets other rows. */
static void every_change_does_what_sqlite_would_do_with_it(void **state)
{
	sqlite3 *writer = new_database(), *ours = new_database(), *theirs = new_database();
	struct tally tally = {0};
	struct apply a = {0};
	uint32_t rng = SEED;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		_cleanup_free_ char *left = NULL;
		_cleanup_free_ char *right = NULL;
		int n, rc, r;
		void *patch;

		if (pair_draw(&rng, 4) == 0) {
			change_at_random(writer, &rng);
		}
		patch = random_patch(writer, &rng, &n);
		rc = sqlite3changeset_apply(theirs, n, patch, NULL, refuse_conflict, NULL);
		r = apply(&a, ours, patch, (size_t)n);
		if (r != (rc == SQLITE_OK ? 0 : -EUCLEAN)) {
			fail_msg("round %d: %d, SQLite says %d", round, r, rc);
		}
		left = content(ours);
		right = content(theirs);
		assert_string_equal(left, right);
		count(&tally, patch, (size_t)n, r == 0);
		sqlite3_free(patch);
	}
	for (unsigned t = 0; t < SCHEMA_TABLE_MAX_; t++) {
		for (unsigned op = 0; op < PATCH_OP_MAX_; op++) {
			if (!tally.taken[t][op] || !tally.refused[t][op]) {
				fail_msg("%s, operation %u: never taken, or never refused",
					 schema_tables[t].name, op);
			}
		}
	}
	apply_done(&a);
	db_close(writer);
	db_close(ours);
	db_close(theirs);
}

static void a_change_that_meets_another_content_is_refused_and_leaves_nothing(void **state)
{
	struct pair *p = *state;
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *after = NULL;
	void *patch;
	size_t n;

	/*
	 * The other has "b" already, and no "a": the first rows of the change fit, a later one does
	 * not.
	 */
	assert_ok(index_node_put(p->b, "b", "mount3", "STANDBY", PAIR_RECORD, strlen(PAIR_RECORD)));
	before = pair_rows(p->b);
	assert_ok(index_begin(p->a));
	pair_fill(p->a);
	assert_ok(index_changes(p->a, &patch, &n));
	assert_ok(index_commit(p->a));
	assert_errno(index_apply(p->b, patch, n), EUCLEAN);
	index_free_bytes(patch);
	after = pair_rows(p->b);
	assert_string_equal(after, before);

	/* An update of a row that is not there. */
	assert_ok(index_begin(p->a));
	assert_ok(index_node_beat(p->a, "a"));
	assert_ok(index_changes(p->a, &patch, &n));
	assert_ok(index_commit(p->a));
	assert_errno(index_apply(p->b, patch, n), EUCLEAN);
	index_free_bytes(patch);
	after = (free(after), pair_rows(p->b));
	assert_string_equal(after, before);
}

/* Whatever a flipped bit makes of a change: refused and nothing applied, or whole rows. */
static void a_damaged_change_is_refused_or_applies_whole(void **state)
{
	struct pair *p = *state;
	_cleanup_free_ char *empty = pair_rows(p->b);
	unsigned refused = 0;
	void *patch;
	size_t n;

	assert_ok(index_begin(p->a));
	pair_fill(p->a);
	assert_ok(index_changes(p->a, &patch, &n));
	assert_ok(index_commit(p->a));
	for (size_t i = 0; i < n; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			_cleanup_free_ char *after = NULL;
			struct index *ix;
			int r;

			((uint8_t *)patch)[i] ^= (uint8_t)(1U << bit);
			assert_ok(index_new(&ix));
			r = index_apply(ix, patch, n);
			after = pair_rows(ix);
			if (r < 0) {
				assert_errno(r, EUCLEAN);
				assert_string_equal(after, empty);
				refused++;
			} else {
				/* Every table got its rows: no part was left out. */
				assert_non_null(strstr(after, "node "));
				assert_non_null(strstr(after, "lease "));
				assert_non_null(strstr(after, "event "));
			}
			index_free(ix);
			((uint8_t *)patch)[i] ^= (uint8_t)(1U << bit);
		}
	}
	assert_true(refused > n); /* more than one of eight bits */
	for (size_t cut = 1; cut < n; cut++) {
		int r = index_apply(p->b, patch, cut);

		/*
		 * A patch may end between two tables; the text around it says what belongs
		 * together.
		 */
		if (r == 0) {
			index_free(p->b);
			assert_ok(index_new(&p->b));
		} else {
			_cleanup_free_ char *after = pair_rows(p->b);

			assert_errno(r, EUCLEAN);
			assert_string_equal(after, empty);
		}
	}
	index_free_bytes(patch);
}

static void a_change_for_a_table_that_is_not_ours_is_refused(void **state)
{
	struct pair *p = *state;
	sqlite3_session *session;
	sqlite3 *db;
	void *patch;
	int n;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "CREATE TABLE foreign_one (a PRIMARY KEY, b)", NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3session_create(db, "main", &session), SQLITE_OK);
	assert_int_equal(sqlite3session_attach(session, NULL), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "INSERT INTO foreign_one VALUES (1, 2)", NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3session_patchset(session, &n, &patch), SQLITE_OK);
	assert_errno(index_apply(p->a, patch, (size_t)n), EUCLEAN);
	sqlite3_free(patch);
	sqlite3session_delete(session);
	(void)sqlite3_close(db);
	pair_assert_same(p->a, p->b);
}
static sqlite3 *opened; /* the database that was opened last */

static int on_open(sqlite3 *db, const char **reterr, const struct sqlite3_api_routines *api)
{
	(void)reterr;
	(void)api;
	opened = db;
	return SQLITE_OK;
}

static unsigned count_preparations(sqlite3 *db)
{
	unsigned n = 0, statements = 0;

	for (sqlite3_stmt *st = NULL; (st = sqlite3_next_stmt(db, st)); statements++) {
		n += (unsigned)sqlite3_stmt_status(st, SQLITE_STMTSTATUS_REPREPARE, 0);
	}
	assert_true(statements > 20);
	return n + statements;
}

/* A row is made, changed and removed in each table that requests change. */
static void request_everything(struct index *ix, struct index *to)
{
	uint64_t timeout_ms;
	bool has;

	assert_ok(index_begin(ix));
	pair_fill(ix);
	pair_carry(ix, to);
	assert_ok(index_begin(ix));
	assert_ok(index_savepoint(ix));
	assert_ok(index_plane_get(ix, "k1", &timeout_ms));
	assert_ok(index_plane_set(ix, "k1", timeout_ms + 1));
	assert_ok(index_node_beat(ix, "a"));
	assert_ok(index_lease_has_any(ix, "b", &has));
	assert_ok(index_lease_free(ix, "master"));
	assert_ok(index_lock_grant(ix, 1));
	assert_ok(index_savepoint_release(ix));
	pair_carry(ix, to);
	assert_ok(index_begin(ix));
	assert_ok(index_node_delete(ix, "a"));
	assert_ok(index_node_delete(ix, "b"));
	assert_ok(index_mount_delete(ix, "mount1"));
	assert_ok(index_lease_delete(ix, "master"));
	assert_ok(index_lock_delete(ix, 1));
	pair_carry(ix, to);
}

/*
 * Of two that write in turns, each applies the other's changes between its own requests.  SQLite
 * prepares a statement again, unasked, when something has made it expire.
 */
static void no_statement_is_prepared_twice(void **state)
{
	sqlite3 *db_a, *db_b;
	struct index *a, *b;
	unsigned n_a, n_b;

	(void)state;
	assert_int_equal(sqlite3_auto_extension((void (*)(void))on_open), SQLITE_OK);
	assert_ok(index_new(&a));
	db_a = opened;
	assert_ok(index_new(&b));
	db_b = opened;
	sqlite3_reset_auto_extension();

	request_everything(a, b);
	request_everything(b, a);
	n_a = count_preparations(db_a);
	n_b = count_preparations(db_b);
	for (int round = 0; round < 100; round++) {
		request_everything(a, b);
		request_everything(b, a);
	}
	assert_int_equal(count_preparations(db_a), n_a);
	assert_int_equal(count_preparations(db_b), n_b);
	pair_assert_same(a, b);
	index_free(a);
	index_free(b);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, pair_set_up, pair_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_change_does_what_sqlite_would_do_with_it),
		CASE(a_change_that_meets_another_content_is_refused_and_leaves_nothing),
		CASE(a_damaged_change_is_refused_or_applies_whole),
		CASE(a_change_for_a_table_that_is_not_ours_is_refused),
		cmocka_unit_test(no_statement_is_prepared_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
