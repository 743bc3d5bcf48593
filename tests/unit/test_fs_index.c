/* SPDX-License-Identifier: Apache-2.0 */
/* fs/index.c: requests change rows, and their changes carry the same rows to another index. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/index.h"
#include "tests/lib/pair.h"
#include "tests/unit/unit.h"

#define SEED 20221122

static void one_random_operation(struct index *ix, uint32_t *rng)
{
	char id[] = "a", name[] = "lease0", key[] = "k0", text[64];
	struct index_event event = {.what = "status", .node = id, .detail = text};

	id[0] = (char)('a' + pair_draw(rng, 5));
	name[5] = (char)('0' + pair_draw(rng, 3));
	key[1] = (char)('0' + pair_draw(rng, 4));
	(void)snprintf(text, sizeof(text), "{\"n\":%u}", pair_draw(rng, 1000));
	switch (pair_draw(rng, 8)) {
	case 0:
	case 1:
		assert_ok(index_node_put(ix, id, pair_draw(rng, 2) ? "m1" : "m2", "STANDBY", text,
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
		assert_ok(index_lease_free(ix, name));
		break;
	case 6:
		assert_ok(index_plane_set(ix, key, pair_draw(rng, 100)));
		break;
	default:
		event.at_wall_ms = pair_draw(rng, 100000);
		event.epoch = pair_draw(rng, 10);
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
		for (uint32_t savepoints = pair_draw(&rng, 4) + 1; savepoints > 0; savepoints--) {
			assert_ok(index_savepoint(p->a));
			for (uint32_t n = pair_draw(&rng, 5); n > 0; n--) {
				one_random_operation(p->a, &rng);
			}
			if (pair_draw(&rng, 3) == 0) {
				index_savepoint_rollback(p->a);
			} else {
				assert_ok(index_savepoint_release(p->a));
			}
		}
		if (pair_draw(&rng, 5) == 0) {
			index_rollback(p->a);
		} else {
			pair_carry(p->a, p->b);
		}
		pair_assert_same(p->a, p->b);
	}
}

static void what_a_savepoint_took_back_is_in_no_change(void **state)
{
	struct pair *p = *state;
	void *patch;
	size_t n = 99;

	assert_ok(index_begin(p->a));
	assert_ok(index_savepoint(p->a));
	pair_fill(p->a);
	index_savepoint_rollback(p->a);
	assert_ok(index_changes(p->a, &patch, &n));
	assert_u64(n, 0);
	index_free_bytes(patch);
	index_rollback(p->a);
	pair_assert_same(p->a, p->b);
}

static void a_transaction_that_was_rolled_back_left_nothing(void **state)
{
	struct pair *p = *state;

	assert_ok(index_begin(p->a));
	pair_fill(p->a);
	index_rollback(p->a);
	pair_assert_same(p->a, p->b);
	assert_ok(index_begin(p->a));
	pair_fill(p->a);
	pair_carry(p->a, p->b);
	pair_assert_same(p->a, p->b);
}

/* The log would end with it, on every mount. */
static void a_change_that_nobody_would_take_is_not_made(void **state)
{
	struct index *ix = ((struct pair *)*state)->a;
	void *patch = NULL;
	size_t n = 99;

	assert_ok(index_begin(ix));
	assert_ok(index_plane_set(ix, "k1", UINT64_MAX)); /* SQLite's -1 */
	assert_errno(index_changes(ix, &patch, &n), EUCLEAN);
	assert_null(patch);
	assert_u64(n, 99);
	index_rollback(ix);
}

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
		struct index_event event = {i, 0, "status", "a", "FAILED", "MASTER", "died", "m1"};

		/* In changes, so that trimming travels too. */
		assert_ok(index_begin(p->a));
		assert_ok(index_history_add(p->a, &event));
		pair_carry(p->a, p->b);
	}
	pair_assert_same(p->a, p->b);
	text = pair_rows(p->a);
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

	pair_fill(ix);
	assert_ok(index_plane_get(ix, "k1", &value));
	assert_u64(value, 30000);
	assert_ok(index_node_get(ix, "a", &node));
	assert_string_equal(node.mount, "mount1");
	assert_string_equal(node.status, "STANDBY");
	assert_u64(node.beat, 1);
	assert_ok(index_node_record(ix, "a", &text));
	assert_string_equal(text, PAIR_RECORD);
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
	assert_ok(index_lease_free(ix, "other"));
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

	pair_fill(ix);
	assert_ok(index_node_beat(ix, "a"));
	assert_ok(index_node_get(ix, "a", &before));
	assert_ok(index_node_delete(ix, "a"));
	assert_errno(index_node_get(ix, "a", &after), ENOENT);
	assert_ok(index_node_put(ix, "a", "mount1", "STANDBY", PAIR_RECORD, strlen(PAIR_RECORD)));
	assert_ok(index_node_get(ix, "a", &after));
	assert_true(after.beat > before.beat);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, pair_set_up, pair_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_change_makes_another_index_the_same),
		CASE(what_a_savepoint_took_back_is_in_no_change),
		CASE(a_transaction_that_was_rolled_back_left_nothing),
		CASE(a_change_that_nobody_would_take_is_not_made),
		CASE(a_heartbeat_fits_into_a_link_of_400_bytes),
		CASE(history_keeps_its_newest_rows),
		CASE(rows_say_what_was_written),
		CASE(a_record_that_is_made_again_never_repeats_a_beat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
