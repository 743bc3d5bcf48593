/* SPDX-License-Identifier: Apache-2.0 */
/* fs/image.c: an image carries everything to another index, and nothing else gets in. */
#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/index.h"
#include "fs/store.h"
#include "tests/lib/pair.h"
#include "tests/unit/unit.h"

#define SEED 20221122

struct image {
	void *bytes; /* index_free_bytes() */
	size_t n;
};

static struct image image_of(struct index *ix)
{
	static const struct image_head head = {
		.generation = 64, .writer = "mount1", .nonce = "nonce", .parent = "cafe"};
	struct image i;

	assert_ok(index_to_image(ix, &head, &i.bytes, &i.n));
	return i;
}

static void assert_loads(struct index *ix, struct image i)
{
	struct image_head head, head_alone;
	struct err err = {{0}};

	assert_ok(image_read_head(i.bytes, i.n, &head_alone, NULL));
	assert_u64(head_alone.generation, 64);
	if (index_from_image(ix, i.bytes, i.n, &head, &err) < 0) {
		fail_msg("refused: %s", err.text);
	}
	assert_u64(head.generation, 64);
	assert_string_equal(head.writer, "mount1");
	assert_string_equal(head.nonce, "nonce");
	assert_string_equal(head.parent, "cafe");
}

/* Fill one of the pair, and make the other one of its image. */
static void fill_by_image(struct pair *p)
{
	struct image i;

	pair_fill(p->a);
	i = image_of(p->a);
	assert_loads(p->b, i);
	index_free_bytes(i.bytes);
}

static void an_image_carries_everything(void **state)
{
	struct pair *p = *state;

	fill_by_image(p);
	pair_assert_same(p->a, p->b);
}

/* With sqlite3_deserialize() in place, the second image would lack what its transaction wrote. */
static void an_image_has_what_the_open_transaction_changed(void **state)
{
	struct pair *p = *state;
	struct image i;

	for (int round = 0; round < 2; round++) {
		assert_ok(index_begin(p->a));
		pair_fill(p->a);
		i = image_of(p->a);
		assert_loads(p->b, i);
		index_free_bytes(i.bytes);
		pair_assert_same(p->a, p->b);
		index_rollback(p->a);

		i = image_of(p->b);
		assert_loads(p->a, i); /* for the second round */
		index_free_bytes(i.bytes);
	}
}

static void a_dump_is_the_image_without_a_note(void **state)
{
	struct pair *p = *state;
	struct image i, dump;

	pair_fill(p->a);
	i = image_of(p->a);
	assert_ok(index_dump(p->a, &dump.bytes, &dump.n));
	assert_u64(dump.n, i.n);
	assert_memory_equal(dump.bytes, i.bytes, i.n);
	index_free_bytes(dump.bytes);
	index_free_bytes(i.bytes);
}

static void changes_go_on_after_an_image(void **state)
{
	struct pair *p = *state;

	fill_by_image(p);
	for (int round = 0; round < 2; round++) {
		assert_ok(index_begin(p->b));
		assert_ok(index_node_beat(p->b, "a"));
		assert_ok(index_lease_free(p->b, "master"));
		assert_ok(index_lease_grant(p->b, "master", "a"));
		pair_carry(p->b, p->a);
		pair_assert_same(p->a, p->b);
	}
}

/* Refused with a reason, and *ix is what it was. */
static void assert_refused(struct index *ix, const void *bytes, size_t n, const char *why)
{
	_cleanup_free_ char *before = pair_rows(ix);
	_cleanup_free_ char *after = NULL;
	struct image_head untouched = {.generation = 4711};
	struct err err = {{0}};

	assert_errno(index_from_image(ix, bytes, n, &untouched, &err), EUCLEAN);
	assert_non_null(strstr(err.text, why));
	assert_errno(image_read_head(bytes, n, &untouched, &err), EUCLEAN);
	assert_u64(untouched.generation, 4711);
	after = pair_rows(ix);
	assert_string_equal(after, before);
}

static void what_is_no_database_is_refused(void **state)
{
	struct index *ix = ((struct pair *)*state)->a;
	uint8_t noise[5000];
	uint32_t rng = SEED;

	pair_fill(ix);
	assert_refused(ix, "", 0, "empty");
	for (size_t n = 1; n < sizeof(noise); n += 1 + n / 2) {
		for (size_t k = 0; k < n; k++) {
			noise[k] = (uint8_t)pair_draw(&rng, 256);
		}
		assert_refused(ix, noise, n, "no image of a Holdfast index");
	}
}

static void a_truncated_image_is_refused(void **state)
{
	struct pair *p = *state;
	struct image i;

	pair_fill(p->a);
	i = image_of(p->a);
	for (size_t n = i.n - 1; n > 0; n = n > 300 ? n - 299 : n - 1) {
		/* A copy of that very size: the sanitizer sees who reads behind it. */
		_cleanup_free_ void *cut = malloc(n);

		assert_non_null(cut);
		memcpy(cut, i.bytes, n);
		assert_refused(p->b, cut, n, "");
	}
	index_free_bytes(i.bytes);
}

/* Reads and writes all that there is. */
static bool works(struct index *ix)
{
	int r;

	free(pair_rows(ix));
	r = index_begin(ix);
	r = r < 0 ? r : index_plane_set(ix, "k9", 1);
	r = r < 0 ? r : index_node_put(ix, "zz", "m", "FAILED", PAIR_RECORD, strlen(PAIR_RECORD));
	r = r < 0 ? r : index_lease_grant(ix, "zz", "zz");
	index_rollback(ix);
	return r == 0;
}

static void an_image_with_flipped_bits_is_refused_or_works(void **state)
{
	struct pair *p = *state;
	unsigned refused = 0, taken = 0;
	uint32_t rng = SEED;
	struct image i;

	pair_fill(p->a);
	i = image_of(p->a);
	/* Every byte of the header and the schema's page, and every seventh one of the rest. */
	for (size_t at = 0; at < i.n; at += at < 1024 ? 1 : 7) {
		uint8_t *byte = (uint8_t *)i.bytes + at, keep = *byte;
		_cleanup_free_ char *before = pair_rows(p->b);
		struct image_head head;
		int r;

		*byte = (uint8_t)(keep ^ (1U << pair_draw(&rng, 8)));
		r = index_from_image(p->b, i.bytes, i.n, &head, NULL);
		if (r == 0) {
			if (!works(p->b)) {
				fail_msg("byte %zu is 0x%02x, not 0x%02x: loaded, but of no use",
					 at, *byte, keep);
			}
			taken++;
		} else {
			_cleanup_free_ char *after = pair_rows(p->b);

			assert_errno(r, EUCLEAN);
			assert_string_equal(after, before);
			refused++;
		}
		*byte = keep;
	}
	index_free_bytes(i.bytes);
	print_message("  %u refused, %u taken\n", refused, taken);
	assert_true(refused > 200);
	assert_true(taken > 0);
}

/* @i after some SQL of somebody who is not us. */
static struct image tampered(struct image i, const char *sql)
{
	unsigned char *copy = sqlite3_malloc64(i.n);
	sqlite3_int64 n;
	struct image out;
	sqlite3 *db;

	assert_non_null(copy);
	memcpy(copy, i.bytes, i.n);
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_deserialize(db, "main", copy, (sqlite3_int64)i.n, (sqlite3_int64)i.n,
				    SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE),
		SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	}
	out.bytes = sqlite3_serialize(db, "main", &n, 0);
	assert_non_null(out.bytes);
	out.n = (size_t)n;
	(void)sqlite3_close(db);
	return out;
}

static void an_image_with_another_schema_is_refused(void **state)
{
	static const struct {
		const char *sql, *why;
	} cases[] = {
		{"PRAGMA application_id = 1", "no image of a Holdfast index"},
		{"PRAGMA user_version = 1", "another schema version"},
		{"CREATE TRIGGER t AFTER UPDATE ON node BEGIN DELETE FROM lease; END", "tables"},
		{"CREATE VIEW v AS SELECT * FROM node", "tables"},
		{"CREATE TABLE more (a PRIMARY KEY)", "tables"},
		{"CREATE INDEX i ON node (mount)", "tables"},
		{"DROP TABLE history", "tables"},
		{"DROP TABLE node; CREATE TABLE node (id TEXT PRIMARY KEY, mount, beat, status,"
		 " record) WITHOUT ROWID",
		 "tables"},
		{"ALTER TABLE node RENAME COLUMN status TO state", "tables"},
		{"ALTER TABLE lease ADD COLUMN more", "tables"},
		{"ALTER TABLE lease ADD COLUMN made AS (zeroblob(1000000000))", "tables"},
		{"CREATE VIRTUAL TABLE v USING fts5 (a)", "tables"},
		{"CREATE INDEX i ON node (mount) WHERE beat = 1", "tables"},
		{"ANALYZE", "tables"},
		{"PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = sql || char(0)"
		 " WHERE name = 'plane'; CREATE VIEW zz AS SELECT * FROM node",
		 "tables"},
		{"PRAGMA writable_schema = 1; INSERT INTO sqlite_schema"
		 " VALUES ('index', 'sqlite_autoindex_node_1', 'node', 3, NULL)",
		 "tables"},
		{"PRAGMA writable_schema = 1; UPDATE sqlite_schema SET rootpage ="
		 " (SELECT rootpage FROM sqlite_schema WHERE name = 'plane') WHERE name = 'image'",
		 "damaged"},
		{"UPDATE node SET beat = -1", "values"},
		{"UPDATE node SET beat = 9223372036854775807", "values"},
		{"UPDATE node SET beat = 1.5", "values"},
		{"UPDATE node SET beat = 'many'", "values"},
		{"UPDATE node SET record = x'7b7d'", "values"},
		{"UPDATE node SET id = id || char(0) || 'x'", "values"},
		{"UPDATE lease SET epoch = -1", "values"},
		{"UPDATE history SET seq = 9223372036854775807", "values"},
		{"UPDATE node SET record = hex(zeroblob(40000))", "values"},
		{"DELETE FROM image WHERE key = 'generation'", "which generation"},
		{"DELETE FROM image WHERE key = 'parent'", "which generation"},
		{"UPDATE image SET value = '12x' WHERE key = 'generation'", "which generation"},
		{"UPDATE image SET value = -1 WHERE key = 'generation'", "values"},
	};
	struct pair *p = *state;
	struct image i;

	pair_fill(p->a);
	i = image_of(p->a);
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		struct image bad = tampered(i, cases[k].sql);

		print_message("  %s\n", cases[k].sql);
		assert_refused(p->b, bad.bytes, bad.n, cases[k].why);
		sqlite3_free(bad.bytes);
	}
	/* The same way with harmless SQL, to show that it is not the way that is refused. */
	{
		struct image good = tampered(i, "UPDATE lease SET epoch = 7");

		assert_loads(p->b, good);
		sqlite3_free(good.bytes);
	}
	index_free_bytes(i.bytes);
}

/* What the header may not say, though SQLite would take some of it. */
static void an_image_with_another_header_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		const char *why;
	} cases[] = {
		{0, 's', "no image"},
		{17, 1, "page size"},
		{18, 2, "not complete, or read-only"}, /* with a write-ahead log */
		{19, 2, "not complete, or read-only"},
		{20, 8, "page layout"},
		{21, 63, "page layout"},
		{28, 0x7f, "cut or has a tail"}, /* more than two milliards of pages */
		{31, 0, "cut or has a tail"},
		{47, 1, "schema format"},
		{55, 3, "shrinks by itself"},
		{59, 2, "UTF-8"},
		{63, 77, "schema version"},
		{68, 0, "no image"},
	};
	struct pair *p = *state;
	struct image i;

	pair_fill(p->a);
	i = image_of(p->a);
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		uint8_t *byte = (uint8_t *)i.bytes + cases[k].at, keep = *byte;

		print_message("  byte %zu is %u\n", cases[k].at, cases[k].value);
		*byte = cases[k].value;
		assert_refused(p->b, i.bytes, i.n, cases[k].why);
		*byte = keep;
	}
	assert_loads(p->b, i);
	index_free_bytes(i.bytes);
}

#define PAGE_BYTES     ((size_t)1024)
#define PAGE_1_HEADER  100 /* the file's header stands before that of its page */
#define INTERIOR_TABLE 5

/* Big-endian. */
static void put_number(uint8_t *at, uint64_t value, size_t n)
{
	while (n > 0) {
		at[--n] = (uint8_t)value;
		value >>= 8;
	}
}

static uint32_t root_of(struct image i, const char *table)
{
	sqlite3_stmt *st;
	uint32_t root;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_deserialize(db, "main", i.bytes, (sqlite3_int64)i.n,
					     (sqlite3_int64)i.n, SQLITE_DESERIALIZE_READONLY),
			 SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
					    -1, &st, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	root = (uint32_t)sqlite3_column_int(st, 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
	return root;
}

/* Make the @room bytes before the end of a page an inner page of a table, @n times one child. */
static void write_inner_page(uint8_t *page_end, size_t room, unsigned n, uint32_t child)
{
	const size_t header_bytes = 12, cell_bytes = 5;
	uint8_t *page = page_end - PAGE_BYTES, *header = page_end - room;

	memset(header, 0, room);
	header[0] = INTERIOR_TABLE;
	put_number(header + 3, n, 2);
	put_number(header + 5, PAGE_BYTES - n * cell_bytes, 2);
	put_number(header + 8, child, 4); /* the last child has no cell */
	for (unsigned k = 0; k < n; k++) {
		size_t at = PAGE_BYTES - (k + 1) * cell_bytes;

		put_number(header + header_bytes + 2 * (size_t)k, at, 2);
		put_number(page + at, child, 4);
		page[at + 4] = (uint8_t)k; /* the key */
	}
}

/*
 * @i with @levels further pages between the root of a tree and its first leaf; each has the next
 * one as its child, @children times over.
 */
static struct image woven(struct image i, uint32_t root, unsigned levels, unsigned children)
{
	struct image out = {.n = i.n + levels * PAGE_BYTES};
	uint32_t next = (uint32_t)(i.n / PAGE_BYTES) + 1, leaf = 0;
	size_t skip = root == 1 ? PAGE_1_HEADER : 0;
	uint8_t *bytes = calloc(1, out.n), *root_page;
	size_t first_cell;

	assert_non_null(bytes);
	memcpy(bytes, i.bytes, i.n);
	root_page = bytes + (root - 1) * PAGE_BYTES;
	assert_int_equal(root_page[skip], INTERIOR_TABLE);
	first_cell = (size_t)root_page[skip + 12] << 8 | root_page[skip + 13];
	for (size_t k = 0; k < 4; k++) {
		leaf = leaf << 8 | root_page[first_cell + k];
	}
	write_inner_page(root_page + PAGE_BYTES, PAGE_BYTES - skip, children - 1, next);
	for (unsigned k = 0; k < levels; k++, next++) {
		write_inner_page(bytes + next * PAGE_BYTES, PAGE_BYTES, children - 1,
				 k + 1 < levels ? next + 1 : leaf);
	}
	put_number(bytes + 28, out.n / PAGE_BYTES, 4);
	out.bytes = bytes;
	return out;
}

/* An image whose tables `history` and `sqlite_schema` have inner pages. */
static struct image image_with_inner_pages(struct index *ix)
{
	struct index_event event = {.what = "status", .node = "a", .detail = "FAILED"};

	pair_fill(ix);
	for (int k = 0; k < 200; k++) {
		assert_ok(index_history_add(ix, &event));
	}
	return image_of(ix);
}

/* 16 levels of 50 children: more rows than 2^90, in 20 KiB. */
static void an_image_of_pages_with_many_parents_is_refused_in_time(void **state)
{
	struct pair *p = *state;
	struct image i = image_with_inner_pages(p->a);
	const uint32_t roots[] = {root_of(i, "history"), 1};

	for (size_t k = 0; k < sizeof(roots) / sizeof(roots[0]); k++) {
		struct image bad = woven(i, roots[k], 16, 50);

		assert_refused(p->b, bad.bytes, bad.n, "damaged");
		free(bad.bytes);
	}
	index_free_bytes(i.bytes);
}

static void an_image_that_is_a_page_of_its_own_is_refused(void **state)
{
	struct pair *p = *state;
	struct image i = image_with_inner_pages(p->a);
	uint32_t root = root_of(i, "history");

	write_inner_page((uint8_t *)i.bytes + root * PAGE_BYTES, PAGE_BYTES, 50, root);
	assert_refused(p->b, i.bytes, i.n, "damaged");
	index_free_bytes(i.bytes);
}

#define SMALL_STACK_BYTES ((size_t)512 * 1024)

struct small_stack {
	struct index *ix;
	struct image image;
	int result;
};

static void *load_on_a_small_stack(void *arg)
{
	struct small_stack *s = arg;
	struct image_head head;

	s->result = index_from_image(s->ix, s->image.bytes, s->image.n, &head, NULL);
	return NULL;
}

/* PRAGMA quick_check goes down page by page in recursion, and would leave the stack. */
static void an_image_as_deep_as_it_has_pages_is_refused_on_a_small_stack(void **state)
{
	struct pair *p = *state;
	struct image i = image_with_inner_pages(p->a);
	struct image bad = woven(i, root_of(i, "history"), 16000, 1);
	struct small_stack s = {.ix = p->b, .image = bad};
	pthread_attr_t attr;
	pthread_t thread;

	assert_int_equal(pthread_attr_init(&attr), 0);
	assert_int_equal(pthread_attr_setstacksize(&attr, SMALL_STACK_BYTES), 0);
	assert_int_equal(pthread_create(&thread, &attr, load_on_a_small_stack, &s), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(pthread_attr_destroy(&attr), 0);
	assert_errno(s.result, EUCLEAN);
	free(bad.bytes);
	index_free_bytes(i.bytes);
}

/* What bounds the work of looking through an image must leave room for the longest look. */
static void an_image_of_many_small_rows_is_taken(void **state)
{
	struct pair *p = *state;
	struct image i;

	assert_ok(index_begin(p->a));
	for (unsigned k = 0; k < 20000; k++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "%x", k);
		assert_ok(index_plane_set(p->a, name, 0));
	}
	assert_ok(index_commit(p->a));
	i = image_of(p->a);
	assert_loads(p->b, i);
	index_free_bytes(i.bytes);
}

static void an_image_beyond_the_limit_is_refused(void **state)
{
	struct pair *p = *state;
	_cleanup_free_ uint8_t *bytes = calloc(1, STORE_IMAGE_MAX_BYTES + PAGE_BYTES);
	struct image i = image_of(p->a);

	assert_non_null(bytes);
	memcpy(bytes, i.bytes, i.n);
	index_free_bytes(i.bytes);
	put_number(bytes + 28, STORE_IMAGE_MAX_BYTES / PAGE_BYTES + 1, 4);
	assert_refused(p->b, bytes, STORE_IMAGE_MAX_BYTES + PAGE_BYTES, "too large");
}

static int create_table(void *db, int n, char **values, char **names)
{
	(void)n;
	(void)names;
	return sqlite3_exec(db, values[0], NULL, NULL, NULL);
}

/* It would be copied into a database in memory, whose page size cannot change. */
static void an_image_with_another_page_size_is_refused(void **state)
{
	struct pair *p = *state;
	struct image i = image_of(p->a), bad;
	sqlite3 *image, *other;
	sqlite3_int64 n;

	assert_int_equal(sqlite3_open(":memory:", &image), SQLITE_OK);
	assert_int_equal(sqlite3_open(":memory:", &other), SQLITE_OK);
	assert_int_equal(sqlite3_deserialize(image, "main", i.bytes, (sqlite3_int64)i.n,
					     (sqlite3_int64)i.n, SQLITE_DESERIALIZE_READONLY),
			 SQLITE_OK);
	assert_int_equal(sqlite3_exec(other,
				      "PRAGMA page_size = 4096; PRAGMA user_version = 2;"
				      "PRAGMA application_id = 1213156420",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(image, "SELECT sql FROM sqlite_schema", create_table, other, NULL),
		SQLITE_OK);
	bad.bytes = sqlite3_serialize(other, "main", &n, 0);
	assert_non_null(bad.bytes);
	bad.n = (size_t)n;
	assert_refused(p->b, bad.bytes, bad.n, "page size");
	sqlite3_free(bad.bytes);
	(void)sqlite3_close(other);
	(void)sqlite3_close(image);
	index_free_bytes(i.bytes);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, pair_set_up, pair_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_image_carries_everything),
		CASE(an_image_has_what_the_open_transaction_changed),
		CASE(a_dump_is_the_image_without_a_note),
		CASE(changes_go_on_after_an_image),
		CASE(what_is_no_database_is_refused),
		CASE(a_truncated_image_is_refused),
		CASE(an_image_with_flipped_bits_is_refused_or_works),
		CASE(an_image_with_another_schema_is_refused),
		CASE(an_image_with_another_header_is_refused),
		CASE(an_image_of_pages_with_many_parents_is_refused_in_time),
		CASE(an_image_that_is_a_page_of_its_own_is_refused),
		CASE(an_image_as_deep_as_it_has_pages_is_refused_on_a_small_stack),
		CASE(an_image_of_many_small_rows_is_taken),
		CASE(an_image_beyond_the_limit_is_refused),
		CASE(an_image_with_another_page_size_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
