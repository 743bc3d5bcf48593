/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/index.c: changes and images carry the same content to another index, and nothing else gets in.
 */
#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/index.h"
#include "tests/unit/unit.h"

#define RECORD "{\"nodeId\":\"a\",\"status\":\"STANDBY\"}"
#define SEED   20221122

/* xorshift32: the same sequence everywhere. */
static uint32_t draw(uint32_t *state, uint32_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % below;
}

/* --- all rows as text ------------------------------------------------------------------------- */

static int print_node(void *ctx, const char *id, const struct index_node *node, const char *record,
		      size_t n)
{
	(void)fprintf(ctx, "node %s %s %s %llu %.*s\n", id, node->mount, node->status,
		      (unsigned long long)node->beat, (int)n, record);
	return 0;
}

static int print_lease(void *ctx, const char *name, const struct index_lease *lease)
{
	(void)fprintf(ctx, "lease %s '%s' %llu\n", name, lease->holder,
		      (unsigned long long)lease->epoch);
	return 0;
}

static int print_event(void *ctx, const struct index_event *e)
{
	(void)fprintf(ctx, "event %lld %llu %s %s %s\n", (long long)e->at_wall_ms,
		      (unsigned long long)e->epoch, e->what, e->node, e->detail);
	return 0;
}

/* malloc'd. */
static char *rows(struct index *ix)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	uint64_t value, newest;

	assert_non_null(out);
	for (char key[] = "k0"; key[1] < '4'; key[1]++) {
		if (index_plane_get(ix, key, &value) == 0) {
			(void)fprintf(out, "plane %s %llu\n", key, (unsigned long long)value);
		}
	}
	assert_ok(index_each_node(ix, print_node, out));
	assert_ok(index_each_lease(ix, print_lease, out));
	assert_ok(index_each_event(ix, print_event, out));
	assert_ok(index_history_newest(ix, &newest));
	(void)fprintf(out, "newest %llu\n", (unsigned long long)newest);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_same_rows(struct index *a, struct index *b)
{
	_cleanup_free_ char *left = rows(a);
	_cleanup_free_ char *right = rows(b);

	assert_string_equal(left, right);
}

/* --- fixtures --------------------------------------------------------------------------------- */

struct pair {
	struct index *a, *b;
};

static int set_up(void **state)
{
	static struct pair p;

	assert_ok(index_new(&p.a));
	assert_ok(index_new(&p.b));
	*state = &p;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *p = *state;

	index_free(p->a);
	index_free(p->b);
	return 0;
}

/* A database with something in every table, as an image of generation 64. */
static void fill(struct index *ix)
{
	static const struct index_event created = {1466414301000, 1, "created", "a", "STANDBY"};

	assert_ok(index_plane_set(ix, "k1", 30000));
	assert_ok(index_node_put(ix, "a", "mount1", "STANDBY", RECORD, strlen(RECORD)));
	assert_ok(index_node_put(ix, "b", "mount2", "MASTER", RECORD, strlen(RECORD)));
	assert_ok(index_lease_grant(ix, "master", "b"));
	assert_ok(index_history_add(ix, &created));
}

struct image {
	void *bytes; /* index_free_bytes() */
	size_t n;
};

static struct image image_of(struct index *ix)
{
	static const struct index_image head = {
		.generation = 64, .writer = "mount1", .nonce = "nonce", .parent = "cafe"};
	struct image i;

	assert_ok(index_to_image(ix, &head, &i.bytes, &i.n));
	return i;
}

/* The change that @ix's open transaction is, applied to @to; ends the transaction. */
static void commit_to(struct index *ix, struct index *to)
{
	void *patch;
	size_t n;

	assert_ok(index_changes(ix, &patch, &n));
	assert_ok(index_commit(ix));
	if (n > 0) {
		assert_ok(index_apply(to, patch, n));
	}
	index_free_bytes(patch);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void one_random_operation(struct index *ix, uint32_t *rng)
{
	char id[] = "a", name[] = "lease0", key[] = "k0", text[64];
	struct index_event event = {.what = "status", .node = id, .detail = text};

	id[0] = (char)('a' + draw(rng, 5));
	name[5] = (char)('0' + draw(rng, 3));
	key[1] = (char)('0' + draw(rng, 4));
	(void)snprintf(text, sizeof(text), "{\"n\":%u}", draw(rng, 1000));
	switch (draw(rng, 8)) {
	case 0:
	case 1:
		assert_ok(index_node_put(ix, id, draw(rng, 2) ? "m1" : "m2", "STANDBY", text,
					 strlen(text)));
		break;
	case 2:
		assert_ok(index_node_beat(ix, id));
		break;
	case 3:
		assert_ok(index_node_delete(ix, id));
		break;
	case 4:
		assert_ok(index_lease_grant(ix, name, id));
		break;
	case 5:
		assert_ok(draw(rng, 2) ? index_lease_free(ix, name) : index_lease_free_all(ix, id));
		break;
	case 6:
		assert_ok(index_plane_set(ix, key, draw(rng, 100)));
		break;
	default:
		event.at_wall_ms = draw(rng, 100000);
		event.epoch = draw(rng, 10);
		assert_ok(index_history_add(ix, &event));
		break;
	}
}

static void a_change_makes_another_index_the_same(void **state)
{
	struct pair *p = *state;
	uint32_t rng = SEED;

	for (int commits = 0; commits < 400; commits++) {
		assert_ok(index_begin(p->a));
		for (uint32_t savepoints = draw(&rng, 4) + 1; savepoints > 0; savepoints--) {
			assert_ok(index_savepoint(p->a));
			for (uint32_t n = draw(&rng, 5); n > 0; n--) {
				one_random_operation(p->a, &rng);
			}
			if (draw(&rng, 3) == 0) {
				index_savepoint_rollback(p->a);
			} else {
				assert_ok(index_savepoint_release(p->a));
			}
		}
		if (draw(&rng, 5) == 0) {
			index_rollback(p->a);
		} else {
			commit_to(p->a, p->b);
		}
		assert_same_rows(p->a, p->b);
	}
}

static void what_a_savepoint_took_back_is_in_no_change(void **state)
{
	struct pair *p = *state;
	void *patch;
	size_t n = 99;

	assert_ok(index_begin(p->a));
	assert_ok(index_savepoint(p->a));
	fill(p->a);
	index_savepoint_rollback(p->a);
	assert_ok(index_changes(p->a, &patch, &n));
	assert_u64(n, 0);
	index_free_bytes(patch);
	index_rollback(p->a);
	assert_same_rows(p->a, p->b);
}

static void a_transaction_that_was_rolled_back_left_nothing(void **state)
{
	struct pair *p = *state;

	assert_ok(index_begin(p->a));
	fill(p->a);
	index_rollback(p->a);
	assert_same_rows(p->a, p->b);
	assert_ok(index_begin(p->a));
	fill(p->a);
	commit_to(p->a, p->b);
	assert_same_rows(p->a, p->b);
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
	assert_ok(index_node_put(p->b, "b", "mount3", "STANDBY", RECORD, strlen(RECORD)));
	before = rows(p->b);
	assert_ok(index_begin(p->a));
	fill(p->a);
	assert_ok(index_changes(p->a, &patch, &n));
	assert_ok(index_commit(p->a));
	assert_errno(index_apply(p->b, patch, n), EUCLEAN);
	index_free_bytes(patch);
	after = rows(p->b);
	assert_string_equal(after, before);

	/* An update of a row that is not there. */
	assert_ok(index_begin(p->a));
	assert_ok(index_node_beat(p->a, "a"));
	assert_ok(index_changes(p->a, &patch, &n));
	assert_ok(index_commit(p->a));
	assert_errno(index_apply(p->b, patch, n), EUCLEAN);
	index_free_bytes(patch);
	after = (free(after), rows(p->b));
	assert_string_equal(after, before);
}

/* Whatever a flipped bit makes of a change: refused and nothing applied, or whole rows. */
static void a_damaged_change_is_refused_or_applies_whole(void **state)
{
	struct pair *p = *state;
	_cleanup_free_ char *empty = rows(p->b);
	unsigned refused = 0;
	void *patch;
	size_t n;

	assert_ok(index_begin(p->a));
	fill(p->a);
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
			after = rows(ix);
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
			_cleanup_free_ char *after = rows(p->b);

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
	assert_same_rows(p->a, p->b);
}

/* --- rows ------------------------------------------------------------------------------------- */

static void a_heartbeat_fits_into_a_link_of_400_bytes(void **state)
{
	static const char first[] =
		"{\"nodeId\":\"qL3xT9aB\",\"nodeUri\":\"http://brooklyn-02.example.com:8081/\","
		"\"status\":\"MASTER\",\"priority\":10,\"version\":\"1.2.0-20160620.1118\","
		"\"localTimestamp\":1466414301065}";
	static const char second[] =
		"{\"nodeId\":\"qL3xT9aB\",\"nodeUri\":\"http://brooklyn-02.example.com:8081/\","
		"\"status\":\"MASTER\",\"priority\":10,\"version\":\"1.2.0-20160620.1118\","
		"\"localTimestamp\":1466414302066}";
	struct change change = {.writer = "AbCdEfGh", .nonce = "xY12ab34"};
	struct pair *p = *state;
	char target[CHANGE_TARGET_MAX + 1];
	void *patch;
	int length;

	change_hash("", 0, change.parent);
	assert_ok(index_node_put(p->a, "qL3xT9aB", "AbCdEfGh", "MASTER", first, strlen(first)));
	assert_ok(index_begin(p->a));
	assert_ok(index_node_put(p->a, "qL3xT9aB", "AbCdEfGh", "MASTER", second, strlen(second)));
	assert_ok(index_changes(p->a, &patch, &change.n));
	index_rollback(p->a);
	assert_in_range(change.n, 1, sizeof(change.patch));
	memcpy(change.patch, patch, change.n);
	index_free_bytes(patch);
	length = change_format(&change, target, sizeof(target));
	print_message("  a heartbeat: %zu bytes of change, %d bytes of text\n", change.n, length);
	assert_in_range(length, 1, 399);
}

static void history_keeps_its_newest_rows(void **state)
{
	struct pair *p = *state;
	_cleanup_free_ char *text = NULL;
	unsigned n = 0;
	uint64_t newest;

	assert_ok(index_history_newest(p->a, &newest));
	assert_u64(newest, 0);
	for (int i = 1; i <= INDEX_HISTORY_ROWS + 3; i++) {
		struct index_event event = {i, 0, "status", "a", "FAILED"};

		/* In changes, so that trimming travels too. */
		assert_ok(index_begin(p->a));
		assert_ok(index_history_add(p->a, &event));
		commit_to(p->a, p->b);
	}
	assert_same_rows(p->a, p->b);
	text = rows(p->a);
	for (const char *at = text; (at = strstr(at, "event ")); at++) {
		n++;
	}
	assert_int_equal(n, INDEX_HISTORY_ROWS);
	assert_non_null(strstr(text, "event 4 "));
	assert_null(strstr(text, "event 3 "));
	assert_ok(index_history_newest(p->a, &newest));
	assert_u64(newest, INDEX_HISTORY_ROWS + 3);
}

static void rows_say_what_was_written(void **state)
{
	struct index *ix = ((struct pair *)*state)->a;
	struct index_node node = {.beat = 99};
	struct index_lease lease;
	_cleanup_free_ char *text = NULL;
	bool has = true;
	uint64_t value = 99;

	assert_errno(index_plane_get(ix, "k1", &value), ENOENT);
	assert_errno(index_node_get(ix, "a", &node), ENOENT);
	assert_errno(index_node_record(ix, "a", &text), ENOENT);
	assert_u64(value, 99);
	assert_u64(node.beat, 99);
	assert_null(text);
	assert_ok(index_lease_get(ix, "master", &lease));
	assert_string_equal(lease.holder, "");
	assert_u64(lease.epoch, 0);
	assert_ok(index_lease_has_any(ix, "b", &has));
	assert_false(has);

	fill(ix);
	assert_ok(index_plane_get(ix, "k1", &value));
	assert_u64(value, 30000);
	assert_ok(index_node_get(ix, "a", &node));
	assert_string_equal(node.mount, "mount1");
	assert_string_equal(node.status, "STANDBY");
	assert_u64(node.beat, 1);
	assert_ok(index_node_record(ix, "a", &text));
	assert_string_equal(text, RECORD);
	assert_ok(index_lease_get(ix, "master", &lease));
	assert_string_equal(lease.holder, "b");
	assert_u64(lease.epoch, 1);
	assert_ok(index_lease_has_any(ix, "b", &has));
	assert_true(has);

	assert_ok(index_node_put(ix, "a", "mount3", "FAILED", "{}", 2));
	assert_ok(index_node_beat(ix, "a"));
	assert_ok(index_node_get(ix, "a", &node));
	assert_string_equal(node.mount, "mount3");
	assert_string_equal(node.status, "FAILED");
	assert_u64(node.beat, 3);

	/* Freeing keeps the epoch; the next grant raises it, whoever gets it. */
	assert_ok(index_lease_grant(ix, "other", "b"));
	assert_ok(index_lease_free(ix, "master"));
	assert_ok(index_lease_has_any(ix, "b", &has));
	assert_true(has);
	assert_ok(index_lease_free_all(ix, "b"));
	assert_ok(index_lease_has_any(ix, "b", &has));
	assert_false(has);
	assert_ok(index_lease_grant(ix, "master", "b"));
	assert_ok(index_lease_get(ix, "master", &lease));
	assert_u64(lease.epoch, 2);
}

/*
 * Observers take an unchanged counter for silence.  One who looks away while a record is removed
 * and made again must not find the number that it knew.
 */
static void a_record_that_is_made_again_never_repeats_a_beat(void **state)
{
	struct index *ix = ((struct pair *)*state)->a;
	struct index_node before, after;

	fill(ix);
	assert_ok(index_node_beat(ix, "a"));
	assert_ok(index_node_get(ix, "a", &before));
	assert_ok(index_node_delete(ix, "a"));
	assert_errno(index_node_get(ix, "a", &after), ENOENT);
	assert_ok(index_node_put(ix, "a", "mount1", "STANDBY", RECORD, strlen(RECORD)));
	assert_ok(index_node_get(ix, "a", &after));
	assert_true(after.beat > before.beat);
}

/* --- images ----------------------------------------------------------------------------------- */

static void assert_loads(struct index *ix, struct image i)
{
	struct index_image head;
	struct err err = {{0}};

	if (index_from_image(ix, i.bytes, i.n, &head, &err) < 0) {
		fail_msg("refused: %s", err.text);
	}
	assert_u64(head.generation, 64);
	assert_string_equal(head.writer, "mount1");
	assert_string_equal(head.nonce, "nonce");
	assert_string_equal(head.parent, "cafe");
}

static void an_image_carries_everything(void **state)
{
	struct pair *p = *state;
	struct image i;

	fill(p->a);
	i = image_of(p->a);
	assert_loads(p->b, i);
	index_free_bytes(i.bytes);
	assert_same_rows(p->a, p->b);
}

/* With sqlite3_deserialize() in place, the second image would lack what its transaction wrote. */
static void an_image_has_what_the_open_transaction_changed(void **state)
{
	struct pair *p = *state;
	struct image i;

	for (int round = 0; round < 2; round++) {
		assert_ok(index_begin(p->a));
		fill(p->a);
		i = image_of(p->a);
		assert_loads(p->b, i);
		index_free_bytes(i.bytes);
		assert_same_rows(p->a, p->b);
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

	fill(p->a);
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
	struct image i;

	fill(p->a);
	i = image_of(p->a);
	assert_loads(p->b, i);
	index_free_bytes(i.bytes);
	for (int round = 0; round < 2; round++) {
		assert_ok(index_begin(p->b));
		assert_ok(index_node_beat(p->b, "a"));
		assert_ok(index_lease_free(p->b, "master"));
		assert_ok(index_lease_grant(p->b, "master", "a"));
		commit_to(p->b, p->a);
		assert_same_rows(p->a, p->b);
	}
}

/* Refused with a reason, and *ix is what it was. */
static void assert_refused(struct index *ix, const void *bytes, size_t n, const char *why)
{
	_cleanup_free_ char *before = rows(ix);
	_cleanup_free_ char *after = NULL;
	struct index_image untouched = {.generation = 4711};
	struct err err = {{0}};

	assert_errno(index_from_image(ix, bytes, n, &untouched, &err), EUCLEAN);
	assert_non_null(strstr(err.text, why));
	assert_u64(untouched.generation, 4711);
	after = rows(ix);
	assert_string_equal(after, before);
}

static void what_is_no_database_is_refused(void **state)
{
	struct index *ix = ((struct pair *)*state)->a;
	uint8_t noise[5000];
	uint32_t rng = SEED;

	fill(ix);
	assert_refused(ix, "", 0, "empty");
	for (size_t n = 1; n < sizeof(noise); n += 1 + n / 2) {
		for (size_t k = 0; k < n; k++) {
			noise[k] = (uint8_t)draw(&rng, 256);
		}
		assert_refused(ix, noise, n, "no image of a Holdfast index");
	}
}

static void a_truncated_image_is_refused(void **state)
{
	struct pair *p = *state;
	struct image i;

	fill(p->a);
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

	free(rows(ix));
	r = index_begin(ix);
	r = r < 0 ? r : index_plane_set(ix, "k9", 1);
	r = r < 0 ? r : index_node_put(ix, "zz", "m", "FAILED", RECORD, strlen(RECORD));
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

	fill(p->a);
	i = image_of(p->a);
	/* Every byte of the header and the schema's page, and every seventh one of the rest. */
	for (size_t at = 0; at < i.n; at += at < 1024 ? 1 : 7) {
		uint8_t *byte = (uint8_t *)i.bytes + at, keep = *byte;
		_cleanup_free_ char *before = rows(p->b);
		struct index_image head;
		int r;

		*byte = (uint8_t)(keep ^ (1U << draw(&rng, 8)));
		r = index_from_image(p->b, i.bytes, i.n, &head, NULL);
		if (r == 0) {
			if (!works(p->b)) {
				fail_msg("byte %zu is 0x%02x, not 0x%02x: loaded, but of no use",
					 at, *byte, keep);
			}
			taken++;
		} else {
			_cleanup_free_ char *after = rows(p->b);

			assert_errno(r, EUCLEAN);
			assert_string_equal(after, before);
			refused++;
		}
		*byte = keep;
	}
	index_free_bytes(i.bytes);
	print_message("  %u refused, %u taken\n", refused, taken);
	assert_true(refused > 400);
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
		{"PRAGMA user_version = 2", "another schema version"},
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
		{"DELETE FROM image WHERE key = 'generation'", "which generation"},
		{"DELETE FROM image WHERE key = 'parent'", "which generation"},
		{"UPDATE image SET value = '12x' WHERE key = 'generation'", "which generation"},
		{"UPDATE image SET value = -1 WHERE key = 'generation'", "which generation"},
	};
	struct pair *p = *state;
	struct image i;

	fill(p->a);
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
				      "PRAGMA page_size = 4096; PRAGMA user_version = 1;"
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

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_change_makes_another_index_the_same),
		CASE(what_a_savepoint_took_back_is_in_no_change),
		CASE(a_transaction_that_was_rolled_back_left_nothing),
		CASE(a_change_that_meets_another_content_is_refused_and_leaves_nothing),
		CASE(a_damaged_change_is_refused_or_applies_whole),
		CASE(a_change_for_a_table_that_is_not_ours_is_refused),
		CASE(a_heartbeat_fits_into_a_link_of_400_bytes),
		CASE(history_keeps_its_newest_rows),
		CASE(rows_say_what_was_written),
		CASE(a_record_that_is_made_again_never_repeats_a_beat),
		CASE(an_image_carries_everything),
		CASE(an_image_has_what_the_open_transaction_changed),
		CASE(a_dump_is_the_image_without_a_note),
		CASE(changes_go_on_after_an_image),
		CASE(what_is_no_database_is_refused),
		CASE(a_truncated_image_is_refused),
		CASE(an_image_with_flipped_bits_is_refused_or_works),
		CASE(an_image_with_another_schema_is_refused),
		CASE(an_image_with_another_page_size_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
