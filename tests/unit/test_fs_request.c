/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/request.c on a real index: each rule of fs/lease.h from the request to the rows.  Two mounts
 * look at one index, as if every commit reached both at once; each has its own view.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/request.h"
#include "tests/unit/unit.h"

#define TIMEOUT_MS  5000
#define DEADLINE_MS 4500 /* after the beat: the timeout less a tenth */

struct mount {
	const char *id;
	struct view *view;
};

static struct {
	struct index *ix;
	uint64_t now_ms;
	uint64_t generation;
	struct mount here, there;
} world;

/* A commit of @by has reached everybody. */
static void look(const struct mount *by)
{
	struct mount *const mounts[] = {&world.here, &world.there};

	world.generation++;
	for (size_t i = 0; i < 2; i++) {
		const struct view_head head = {
			.generation = world.generation,
			.loaded_ms = world.now_ms,
			.own_mount = mounts[i]->id,
			.t0_ms = mounts[i] == by ? world.now_ms : 0,
		};
		struct view *next;

		assert_ok(view_new(world.ix, mounts[i]->view, &head, &next));
		view_unref(mounts[i]->view);
		mounts[i]->view = next;
	}
}

static int set_up(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	world.now_ms = 100000;
	world.here.id = "here";
	world.there.id = "there";
	assert_ok(index_new(&world.ix));
	assert_ok(index_plane_set(world.ix, "heartbeat_timeout_ms", TIMEOUT_MS));
	assert_ok(index_plane_set(world.ix, "poll_period_ms", 1000));
	look(NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	view_unref(world.here.view);
	view_unref(world.there.view);
	index_free(world.ix);
	return 0;
}

/* One request in the open transaction, as fs/plane.c runs it. */
static int run_in_batch(const struct mount *m, const struct request *req)
{
	const struct request_facts facts = {
		.own_mount = m->id,
		.view = m->view,
		.now_ms = world.now_ms,
		.wall_ms = 1466414301000,
	};
	int r;

	assert_ok(index_savepoint(world.ix));
	r = request_run(world.ix, &facts, req);
	if (r < 0) {
		index_savepoint_rollback(world.ix);
	} else {
		assert_ok(index_savepoint_release(world.ix));
	}
	return r;
}

/* One request in a commit of its own.  What is refused or does nothing must leave no change. */
static int run(const struct mount *m, const struct request *req)
{
	void *patch;
	size_t n;
	int r;

	assert_ok(index_begin(world.ix));
	r = run_in_batch(m, req);
	assert_ok(index_changes(world.ix, &patch, &n));
	index_free_bytes(patch);
	assert_ok(index_commit(world.ix));
	if (r < 0) {
		assert_u64(n, 0);
	} else if (n > 0) {
		look(m);
	}
	return r;
}

static struct request record_of(const char *node, const char *status)
{
	static char text[128];
	struct request req = {.verb = REQUEST_WRITE_RECORD, .text = text};

	(void)snprintf(req.node, sizeof(req.node), "%s", node);
	(void)snprintf(req.status, sizeof(req.status), "%s", status);
	req.n = (size_t)snprintf(text, sizeof(text), "{\"nodeId\":\"%s\",\"status\":\"%s\"}", node,
				 status);
	return req;
}

static struct request about(enum request_verb verb, const char *node, const char *lease)
{
	struct request req = {.verb = verb};

	(void)snprintf(req.node, sizeof(req.node), "%s", node);
	(void)snprintf(req.lease, sizeof(req.lease), "%s", lease);
	return req;
}

static int write_record(const struct mount *m, const char *node, const char *status)
{
	struct request req = record_of(node, status);

	return run(m, &req);
}

static int claim(const struct mount *m, const char *node)
{
	struct request req = about(REQUEST_CLAIM, node, REQUEST_MASTER);

	return run(m, &req);
}

static int release(const struct mount *m)
{
	struct request req = about(REQUEST_RELEASE, "", REQUEST_MASTER);

	return run(m, &req);
}

static int node_died(const struct mount *m, const char *node)
{
	struct request req = about(REQUEST_NODE_DIED, node, "");

	return run(m, &req);
}

static int remove_record(const struct mount *m, const char *node)
{
	struct request req = about(REQUEST_REMOVE_RECORD, node, "");

	return run(m, &req);
}

static struct index_node row(const char *node)
{
	struct index_node n;

	assert_ok(index_node_get(world.ix, node, &n));
	return n;
}

static void assert_lease(const char *name, const char *holder, uint64_t epoch)
{
	struct index_lease l;

	assert_ok(index_lease_get(world.ix, name, &l));
	assert_string_equal(l.holder, holder);
	assert_u64(l.epoch, epoch);
}

/* The change log ends with this line. */
static void assert_logged(const char *line)
{
	const struct view_log *log = world.here.view->log;
	size_t n = strlen(line);

	if (log->n < n + 1 || strncmp(log->text + log->n - n - 1, line, n) != 0) {
		fail_msg("not the last line: '%s'\n%.*s", line, (int)log->n, log->text);
	}
}

/* "a" of here is master and has a second lease; "b" of there looks on. */
static void a_is_master(void)
{
	struct request more = about(REQUEST_CLAIM, "a", "other");

	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_ok(write_record(&world.there, "b", "STANDBY"));
	assert_ok(claim(&world.here, "a"));
	assert_ok(run(&world.here, &more));
	assert_lease("other", "a", 1);
	assert_ok(write_record(&world.here, "a", "MASTER"));
}

/* Time passes, and of the two only "b" beats. */
static void a_is_silent_for(uint64_t ms)
{
	world.now_ms += ms;
	assert_ok(write_record(&world.there, "b", "STANDBY"));
}

/* --- records ---------------------------------------------------------------------------------- */

static void the_first_record_makes_the_node_the_mounts_own(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_string_equal(row("a").mount, "here");
	assert_string_equal(row("a").status, "STANDBY");
	assert_u64(row("a").beat, 1);
	assert_ok(index_node_record(world.ix, "a", &text));
	assert_string_equal(text, "{\"nodeId\":\"a\",\"status\":\"STANDBY\"}");
	assert_logged("created node a");
}

static void every_record_is_a_beat(void **state)
{
	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_u64(row("a").beat, 3);
	assert_logged("created node a");
}

static void a_living_node_of_another_mount_cannot_be_written(void **state)
{
	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_errno(write_record(&world.there, "a", "STANDBY"), EACCES);
	world.now_ms += TIMEOUT_MS;
	assert_errno(write_record(&world.there, "a", "TERMINATED"), EACCES);
	assert_string_equal(row("a").mount, "here");
}

static void a_lapsed_node_is_adopted_and_its_leases_are_free(void **state)
{
	(void)state;
	a_is_master();
	a_is_silent_for(TIMEOUT_MS + 1);
	assert_ok(write_record(&world.there, "a", "STANDBY"));
	assert_string_equal(row("a").mount, "there");
	assert_lease(REQUEST_MASTER, "", 1);
	assert_lease("other", "", 1);
	assert_logged("set master to ");

	/* The machine that had it finds out at its next beat. */
	assert_errno(write_record(&world.here, "a", "MASTER"), EACCES);
}

static void a_node_that_is_over_is_adopted_at_once(void **state)
{
	(void)state;
	a_is_master();
	assert_ok(write_record(&world.here, "a", "TERMINATED"));
	assert_ok(write_record(&world.there, "a", "STANDBY"));
	assert_string_equal(row("a").mount, "there");
}

static void an_adopted_record_cannot_say_master(void **state)
{
	(void)state;
	a_is_master();
	a_is_silent_for(TIMEOUT_MS + 1);
	assert_errno(write_record(&world.there, "a", "MASTER"), ESTALE);
	assert_string_equal(row("a").mount, "here");
	assert_lease(REQUEST_MASTER, "a", 1);
}

static void only_the_holder_of_the_lease_can_say_master(void **state)
{
	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_errno(write_record(&world.here, "a", "MASTER"), ESTALE);
	assert_errno(write_record(&world.here, "new", "MASTER"), ESTALE);
	assert_u64(row("a").beat, 1);
	assert_ok(claim(&world.here, "a"));
	assert_ok(write_record(&world.here, "a", "MASTER"));

	/* Deposed: its late beat is refused. */
	assert_ok(write_record(&world.there, "b", "STANDBY"));
	a_is_silent_for(TIMEOUT_MS + 1);
	assert_ok(claim(&world.there, "b"));
	assert_errno(write_record(&world.here, "a", "MASTER"), ESTALE);
	assert_ok(write_record(&world.here, "a", "STANDBY"));
}

static void a_record_that_says_over_frees_all_leases_in_the_same_commit(void **state)
{
	static const char *const over[] = {"TERMINATED", "FAILED"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char line[64];

		(void)tear_down(NULL);
		(void)set_up(NULL);
		a_is_master();
		assert_ok(write_record(&world.here, "a", over[i]));
		assert_lease(REQUEST_MASTER, "", 1);
		assert_lease("other", "", 1);
		assert_logged("set master to ");
		(void)snprintf(line, sizeof(line), "set node a status to %s\n", over[i]);
		assert_non_null(strstr(world.here.view->log->text, line));

		/* Said once more, it is no news. */
		assert_ok(write_record(&world.here, "a", over[i]));
		assert_logged("set master to ");
	}
}

/* --- leases ----------------------------------------------------------------------------------- */

static void a_free_lease_is_granted_and_the_grant_is_a_beat(void **state)
{
	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	world.now_ms += 1000;
	assert_ok(claim(&world.here, "a"));
	assert_lease(REQUEST_MASTER, "a", 1);
	assert_u64(row("a").beat, 2);
	assert_u64(view_find_node(world.here.view, "a")->deadline_ms, world.now_ms + DEADLINE_MS);
	assert_logged("set master to a");
}

static void each_grant_raises_the_epoch_also_to_the_holder(void **state)
{
	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_ok(claim(&world.here, "a"));
	assert_ok(claim(&world.here, "a"));
	assert_lease(REQUEST_MASTER, "a", 2);
	assert_ok(release(&world.here));
	assert_lease(REQUEST_MASTER, "", 2);
	assert_ok(claim(&world.here, "a"));
	assert_lease(REQUEST_MASTER, "a", 3);
}

static void a_living_holder_keeps_the_lease_and_a_lapsed_one_loses_it(void **state)
{
	(void)state;
	a_is_master();
	assert_errno(claim(&world.there, "b"), EBUSY);
	a_is_silent_for(TIMEOUT_MS);
	assert_errno(claim(&world.there, "b"), EBUSY);
	a_is_silent_for(1);
	assert_ok(claim(&world.there, "b"));
	assert_lease(REQUEST_MASTER, "b", 2);
	assert_logged("set master to b");
	assert_lease("other", "a", 1);
}

static void a_holder_that_beats_is_never_deposed(void **state)
{
	(void)state;
	a_is_master();
	for (int i = 0; i < 5; i++) {
		a_is_silent_for(TIMEOUT_MS - 1000);
		assert_ok(write_record(&world.here, "a", "MASTER"));
		a_is_silent_for(TIMEOUT_MS - 1000);
		assert_errno(claim(&world.there, "b"), EBUSY);
	}
}

/* Two nodes on one machine: the beat is in the transaction already, though in no view yet. */
static void a_beat_earlier_in_the_batch_counts(void **state)
{
	struct request beat = record_of("a", "STANDBY");
	struct request late = about(REQUEST_CLAIM, "c", REQUEST_MASTER);

	(void)state;
	a_is_master();
	world.now_ms += TIMEOUT_MS + 1;
	assert_ok(write_record(&world.here, "c", "STANDBY"));
	assert_ok(index_begin(world.ix));
	assert_ok(run_in_batch(&world.here, &beat));
	assert_errno(run_in_batch(&world.here, &late), EBUSY);
	index_rollback(world.ix);
	assert_ok(run(&world.here, &late));
}

static void only_a_living_node_of_the_mount_can_claim(void **state)
{
	(void)state;
	assert_errno(claim(&world.here, "nobody"), EPERM);
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_errno(claim(&world.there, "a"), EPERM);

	world.now_ms += DEADLINE_MS;
	assert_errno(claim(&world.here, "a"), ESTALE);
	world.now_ms--;
	assert_ok(claim(&world.here, "a"));

	assert_ok(write_record(&world.here, "a", "FAILED"));
	assert_errno(claim(&world.here, "a"), ESTALE);
}

/* Its deadline counts from a commit that is known to have succeeded. */
static void a_record_of_the_same_batch_is_too_young_to_claim(void **state)
{
	struct request first = record_of("a", "STANDBY");
	struct request second = about(REQUEST_CLAIM, "a", REQUEST_MASTER);

	(void)state;
	assert_ok(index_begin(world.ix));
	assert_ok(run_in_batch(&world.here, &first));
	assert_errno(run_in_batch(&world.here, &second), ESTALE);
	assert_ok(index_commit(world.ix));
	look(&world.here);
	assert_ok(run(&world.here, &second));
}

/*
 * A mount that was started anew has no deadline for the nodes of its predecessor, which had another
 * id.
 */
static void a_node_of_an_earlier_mount_process_is_foreign(void **state)
{
	struct mount reborn = {.id = "reborn"};

	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	reborn.view = world.here.view;
	assert_errno(claim(&reborn, "a"), EPERM);
	assert_errno(write_record(&reborn, "a", "STANDBY"), EACCES);
}

static void only_the_holders_mount_can_release(void **state)
{
	(void)state;
	a_is_master();
	assert_errno(release(&world.there), EPERM);
	assert_lease(REQUEST_MASTER, "a", 1);
	assert_ok(release(&world.here));
	assert_lease(REQUEST_MASTER, "", 1);
	assert_logged("set master to ");
	assert_ok(release(&world.there)); /* free already: nothing to refuse */
	assert_lease("other", "a", 1);
}

/* --- deaths and removal ----------------------------------------------------------------------- */

static void a_death_publishes_failed_and_frees_the_leases(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	a_is_master();
	assert_ok(node_died(&world.here, "a"));
	assert_string_equal(row("a").status, "FAILED");
	assert_ok(index_node_record(world.ix, "a", &text));
	assert_string_equal(text, "{\"nodeId\":\"a\",\"status\":\"FAILED\"}");
	assert_lease(REQUEST_MASTER, "", 1);
	assert_lease("other", "", 1);
	assert_ok(claim(&world.there, "b"));
}

static void a_death_told_twice_changes_nothing(void **state)
{
	uint64_t generation;

	(void)state;
	a_is_master();
	assert_ok(node_died(&world.here, "a"));
	generation = world.generation;
	assert_ok(node_died(&world.here, "a"));
	assert_ok(node_died(&world.here, "nobody"));
	assert_u64(world.generation, generation);
}

static void a_death_after_a_goodbye_or_of_anothers_node_is_ignored(void **state)
{
	(void)state;
	a_is_master();
	assert_ok(node_died(&world.there, "a"));
	assert_string_equal(row("a").status, "MASTER");
	assert_lease(REQUEST_MASTER, "a", 1);

	assert_ok(write_record(&world.here, "a", "TERMINATED"));
	assert_ok(node_died(&world.here, "a"));
	assert_string_equal(row("a").status, "TERMINATED");
}

static void a_record_is_removed_only_when_it_is_over_and_holds_nothing(void **state)
{
	(void)state;
	assert_errno(remove_record(&world.here, "nobody"), ENOENT);
	a_is_master();
	assert_errno(remove_record(&world.here, "a"), EBUSY);
	assert_errno(remove_record(&world.there, "a"), EBUSY);
	a_is_silent_for(TIMEOUT_MS + 1);
	assert_errno(remove_record(&world.there, "a"),
		     EBUSY); /* lapsed, but it holds leases still */

	assert_ok(node_died(&world.here, "a"));
	assert_ok(remove_record(&world.there, "a"));
	assert_null(view_find_node(world.here.view, "a"));
	assert_logged("deleted node a");
	assert_errno(remove_record(&world.there, "a"), ENOENT);

	/* Lapsed and without a lease: gone as well. */
	assert_ok(write_record(&world.here, "c", "STANDBY"));
	assert_errno(remove_record(&world.there, "c"), EBUSY);
	a_is_silent_for(TIMEOUT_MS + 1);
	assert_ok(remove_record(&world.there, "c"));
}

static void a_dump_changes_nothing(void **state)
{
	struct request req = {.verb = REQUEST_DUMP};
	uint64_t generation;

	(void)state;
	a_is_master();
	generation = world.generation;
	assert_ok(run(&world.here, &req));
	assert_u64(world.generation, generation);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_first_record_makes_the_node_the_mounts_own),
		CASE(every_record_is_a_beat),
		CASE(a_living_node_of_another_mount_cannot_be_written),
		CASE(a_lapsed_node_is_adopted_and_its_leases_are_free),
		CASE(a_node_that_is_over_is_adopted_at_once),
		CASE(an_adopted_record_cannot_say_master),
		CASE(only_the_holder_of_the_lease_can_say_master),
		CASE(a_record_that_says_over_frees_all_leases_in_the_same_commit),
		CASE(a_free_lease_is_granted_and_the_grant_is_a_beat),
		CASE(each_grant_raises_the_epoch_also_to_the_holder),
		CASE(a_living_holder_keeps_the_lease_and_a_lapsed_one_loses_it),
		CASE(a_holder_that_beats_is_never_deposed),
		CASE(a_beat_earlier_in_the_batch_counts),
		CASE(only_a_living_node_of_the_mount_can_claim),
		CASE(a_record_of_the_same_batch_is_too_young_to_claim),
		CASE(a_node_of_an_earlier_mount_process_is_foreign),
		CASE(only_the_holders_mount_can_release),
		CASE(a_death_publishes_failed_and_frees_the_leases),
		CASE(a_death_told_twice_changes_nothing),
		CASE(a_death_after_a_goodbye_or_of_anothers_node_is_ignored),
		CASE(a_record_is_removed_only_when_it_is_over_and_holds_nothing),
		CASE(a_dump_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
