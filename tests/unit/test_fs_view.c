/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/view.c: what a mount has observed goes from view to view, and only what it knows is renewed.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/view.h"
#include "tests/unit/unit.h"

static struct {
	struct index *ix;
	struct view *view;
} world;

static int set_up(void **state)
{
	(void)state;
	world.view = NULL;
	assert_ok(index_new(&world.ix));
	assert_ok(index_plane_set(world.ix, "heartbeat_timeout_ms", 5000));
	assert_ok(index_plane_set(world.ix, "poll_period_ms", 1000));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	view_unref(world.view);
	index_free(world.ix);
	return 0;
}

static void beat(const char *node, const char *mount)
{
	assert_ok(index_node_put(world.ix, node, mount, "STANDBY", "{}", 2));
}

/* The next view of the mount "own".  @t0_ms 0: somebody else's generation. */
static void look(uint64_t loaded_ms, uint64_t t0_ms)
{
	const struct view_head head = {
		.generation = world.view ? world.view->generation + 1 : 1,
		.mtime_ms = (int64_t)loaded_ms + 7, /* the server's clock is another one */
		.loaded_ms = loaded_ms,
		.own_mount = "own",
		.t0_ms = t0_ms,
	};
	struct view *next;

	assert_ok(view_new(world.ix, world.view, &head, &next));
	view_unref(world.view);
	world.view = next;
}

static const struct view_node *node(const char *id)
{
	const struct view_node *n = view_find_node(world.view, id);

	assert_non_null(n);
	return n;
}

static void silence_counts_from_when_a_beat_was_first_seen(void **state)
{
	(void)state;
	beat("a", "other");
	look(1000, 0);
	assert_u64(node("a")->seen.beat, 1);
	assert_u64(node("a")->seen.since_ms, 1000);
	look(2000, 0);
	assert_u64(node("a")->seen.since_ms, 1000);
	beat("a", "other");
	look(3000, 0);
	assert_u64(node("a")->seen.beat, 2);
	assert_u64(node("a")->seen.since_ms, 3000);
	look(4000, 4000); /* our own commit of something else */
	assert_u64(node("a")->seen.since_ms, 3000);
}

static void the_servers_time_is_that_of_the_last_beat(void **state)
{
	(void)state;
	beat("a", "other");
	look(1000, 0);
	look(2000, 0);
	assert_u64((uint64_t)node("a")->mtime_ms, 1007);
	assert_u64((uint64_t)world.view->mtime_ms, 2007);
	beat("a", "other");
	look(3000, 0);
	assert_u64((uint64_t)node("a")->mtime_ms, 3007);
}

static void our_own_commit_renews_our_nodes_that_beat_in_it_from_its_start(void **state)
{
	(void)state;
	beat("mine", "own");
	beat("quiet", "own");
	beat("theirs", "other");
	look(1000, 900);
	assert_u64(node("mine")->t0_ms, 900);

	beat("mine", "own");
	beat("theirs", "other");
	look(2000, 1900);
	assert_u64(node("mine")->t0_ms, 1900);
	assert_u64(node("quiet")->t0_ms, 900);
	assert_u64(node("theirs")->t0_ms, 0);
}

/* A beat of ours whose answer was lost for good: when its sending began is not known any more. */
static void a_beat_of_ours_that_came_back_with_others_renews_nothing(void **state)
{
	(void)state;
	beat("mine", "own");
	look(1000, 900);
	beat("mine", "own");
	look(2000, 0);
	assert_u64(node("mine")->seen.beat, 2);
	assert_u64(node("mine")->t0_ms, 900);
}

static void a_mount_that_starts_trusts_no_beat_that_it_finds(void **state)
{
	(void)state;
	beat("mine", "own");
	look(1000, 0);
	assert_true(node("mine")->ours);
	assert_u64(node("mine")->t0_ms, 0);
}

static void a_node_that_another_mount_adopted_has_no_deadline_here(void **state)
{
	(void)state;
	beat("a", "own");
	look(1000, 900);
	assert_true(node("a")->ours);
	beat("a", "other");
	look(2000, 0);
	assert_false(node("a")->ours);
	assert_u64(node("a")->t0_ms, 0);
	/* And if it comes back to us, only our own beat gives it one. */
	beat("a", "own");
	look(3000, 0);
	assert_true(node("a")->ours);
	assert_u64(node("a")->t0_ms, 0);
}

static void a_view_has_all_nodes_and_finds_each(void **state)
{
	char id[8];

	(void)state;
	for (int i = 0; i < 100; i++) {
		(void)snprintf(id, sizeof(id), "n%d", i * 37 % 100);
		beat(id, "own");
	}
	look(1000, 900);
	assert_u64(world.view->n_nodes, 100);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(id, sizeof(id), "n%d", i);
		assert_string_equal(node(id)->id, id);
		assert_string_equal(node(id)->record, "{}");
		assert_u64(node(id)->n, 2);
	}
	assert_null(view_find_node(world.view, "n100"));
	assert_null(view_find_node(world.view, ""));
	assert_ok(index_node_delete(world.ix, "n50"));
	look(2000, 1900);
	assert_null(view_find_node(world.view, "n50"));
	assert_u64(world.view->n_nodes, 99);
}

static void leases_are_there_and_one_never_granted_is_free(void **state)
{
	struct index_lease l;

	(void)state;
	look(1000, 0);
	assert_null(view_find_node(world.view, "a"));
	l = view_lease(world.view, "master");
	assert_string_equal(l.holder, "");
	assert_u64(l.epoch, 0);

	assert_ok(index_lease_grant(world.ix, "master", "a"));
	assert_ok(index_lease_grant(world.ix, "master", "b"));
	assert_ok(index_lease_grant(world.ix, "other", "c"));
	look(2000, 0);
	l = view_lease(world.view, "master");
	assert_string_equal(l.holder, "b");
	assert_u64(l.epoch, 2);
	assert_string_equal(view_lease(world.view, "other").holder, "c");
}

static void the_log_reads_as_apache_brooklyns(void **state)
{
	static const struct index_event events[] = {
		{1466414301065, 0, "created", "a", "STANDBY", "", "", ""},
		{1466414302000, 1, "master", "a", "", "", "", ""},
		{1466414303000, 1, "status", "a", "TERMINATED", "", "", ""},
		{1466414303000, 1, "master", "", "", "", "", ""},
		{1466414304000, 1, "deleted", "a", "", "", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		assert_ok(index_history_add(world.ix, &events[i]));
	}
	look(1000, 0);
	assert_string_equal(world.view->log->text,
			    "2016-06-20 09:18:21.065: created node a\n"
			    "2016-06-20 09:18:22.000: set master to a\n"
			    "2016-06-20 09:18:23.000: set node a status to TERMINATED\n"
			    "2016-06-20 09:18:23.000: set master to \n"
			    "2016-06-20 09:18:24.000: deleted node a\n");
	assert_u64(world.view->log->n, strlen(world.view->log->text));
}

static void the_log_is_shared_until_something_happens(void **state)
{
	static const struct index_event event = {1466414301065, 0, "created", "a", "", "", "", ""};
	const struct view_log *log;
	struct view *first;

	(void)state;
	look(1000, 0);
	first = view_ref(world.view);
	beat("a", "own");
	look(2000, 0);
	assert_ptr_equal(world.view->log, first->log);
	assert_ok(index_history_add(world.ix, &event));
	look(3000, 0);
	log = world.view->log;
	assert_ptr_not_equal(log, first->log);
	assert_string_equal(first->log->text, "");
	view_unref(first);
	look(4000, 0);
	assert_ptr_equal(world.view->log, log);
}

/* An index that nobody of ours could have written. */
static void an_index_without_safe_timing_is_damaged(void **state)
{
	const struct view_head head = {.generation = 1, .own_mount = "own"};
	struct view *untouched = NULL;
	struct index *empty;

	(void)state;
	assert_ok(index_new(&empty));
	assert_errno(view_new(empty, NULL, &head, &untouched), EUCLEAN);
	assert_ok(index_plane_set(empty, "heartbeat_timeout_ms", 5000));
	assert_errno(view_new(empty, NULL, &head, &untouched), EUCLEAN);
	assert_ok(index_plane_set(empty, "poll_period_ms", 5000));
	assert_errno(view_new(empty, NULL, &head, &untouched), EUCLEAN);
	assert_null(untouched);
	index_free(empty);
}

/* The next view; these mounts wrote what is new in it, or anybody may have. */
static void look_at_news(uint64_t loaded_ms, uint64_t t0_ms, const struct chain_news *news)
{
	const struct view_head head = {
		.generation = world.view ? world.view->generation + 1 : 1,
		.loaded_ms = loaded_ms,
		.own_mount = "own",
		.t0_ms = t0_ms,
		.news = news,
	};
	struct view *next;

	assert_ok(view_new(world.ix, world.view, &head, &next));
	view_unref(world.view);
	world.view = next;
}

static void note_mount(const char *id)
{
	static const struct index_mount process = {.boot = "boot"};

	assert_ok(index_mount_put(world.ix, id, &process));
}

static void a_generation_that_a_mount_wrote_is_its_beat(void **state)
{
	static const struct chain_news of_a = {.n = 1, .writers = {"a"}};

	(void)state;
	note_mount("a");
	note_mount("b");
	look_at_news(1000, 0, &of_a);
	look_at_news(4000, 0, &of_a);
	/* The timeout is 5 s. */
	assert_false(view_mount_has_lapsed(world.view, "b", 6000));
	assert_true(view_mount_has_lapsed(world.view, "b", 6001));
	assert_false(view_mount_has_lapsed(world.view, "a", 9000));
	assert_true(view_mount_has_lapsed(world.view, "a", 9001));
	assert_true(view_mount_has_lapsed(world.view, "never noted", 4000));
}

static void what_was_jumped_over_may_have_been_anybodys_beat(void **state)
{
	static const struct chain_news of_a = {.n = 1, .writers = {"a"}};
	static const struct chain_news unknown = {.any = true};

	(void)state;
	note_mount("b");
	look_at_news(1000, 0, &of_a);
	look_at_news(5000, 0, &unknown);
	assert_false(view_mount_has_lapsed(world.view, "b", 10000));
	look_at_news(6000, 0, NULL);
	assert_false(view_mount_has_lapsed(world.view, "b", 11000));
	assert_true(view_mount_has_lapsed(world.view, "b", 11001));
}

static void locks_are_trusted_from_the_start_of_our_own_last_generation(void **state)
{
	static const struct chain_news of_a = {.n = 1, .writers = {"a"}};

	(void)state;
	look_at_news(1000, 0, &of_a);
	assert_u64(view_lock_end_ms(world.view), 0);
	look_at_news(2000, 1900, &of_a);
	assert_u64(view_lock_end_ms(world.view), 1900 + 4500);
	look_at_news(9000, 0, &of_a);
	assert_u64(view_lock_end_ms(world.view), 1900 + 4500);
}

static void names_that_no_mount_of_ours_gives_are_not_shown(void **state)
{
	static const struct index_lock locks[] = {
		{.name = "../x", .mount = "own", .owner = 1},
		{.name = "job", .mount = "\xff", .owner = 2},
		{.name = "job", .mount = "own", .owner = 3},
	};

	(void)state;
	assert_ok(index_lease_grant(world.ix, "..", "a"));
	assert_ok(index_lease_grant(world.ix, "x", "\xff\xfe"));
	assert_ok(index_lease_grant(world.ix, "y", "a"));
	for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++) {
		assert_ok(index_lock_add(world.ix, &locks[i]));
	}
	look(1000, 0);
	assert_u64(world.view->n_leases, 1);
	assert_string_equal(world.view->leases[0].name, "y");
	assert_u64(world.view->n_locks, 1);
	assert_non_null(view_find_lock(world.view, "own", 3));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(silence_counts_from_when_a_beat_was_first_seen),
		CASE(the_servers_time_is_that_of_the_last_beat),
		CASE(our_own_commit_renews_our_nodes_that_beat_in_it_from_its_start),
		CASE(a_beat_of_ours_that_came_back_with_others_renews_nothing),
		CASE(a_mount_that_starts_trusts_no_beat_that_it_finds),
		CASE(a_node_that_another_mount_adopted_has_no_deadline_here),
		CASE(a_view_has_all_nodes_and_finds_each),
		CASE(leases_are_there_and_one_never_granted_is_free),
		CASE(the_log_reads_as_apache_brooklyns),
		CASE(the_log_is_shared_until_something_happens),
		CASE(an_index_without_safe_timing_is_damaged),
		CASE(a_generation_that_a_mount_wrote_is_its_beat),
		CASE(what_was_jumped_over_may_have_been_anybodys_beat),
		CASE(locks_are_trusted_from_the_start_of_our_own_last_generation),
		CASE(names_that_no_mount_of_ours_gives_are_not_shown),
	};

	/* change.log is in local time. */
	if (setenv("TZ", "UTC", 1) < 0) {
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
