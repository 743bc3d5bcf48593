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
#include "fs/orders.h"
#include "fs/request.h"
#include "tests/unit/unit.h"

#define TIMEOUT_MS  UINT64_C(5000)
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
	struct chain_news news = {.n = by ? 1 : 0};

	world.generation++;
	(void)snprintf(news.writers[0], sizeof(news.writers[0]), "%s", by ? by->id : "");
	for (size_t i = 0; i < 2; i++) {
		const struct view_head head = {
			.generation = world.generation,
			.loaded_ms = world.now_ms,
			.own_mount = mounts[i]->id,
			.t0_ms = mounts[i] == by ? world.now_ms : 0,
			.news = &news,
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

static const struct index_mount process = {
	.boot = "boot", .pid_ns = 1, .pid = 2, .started = 3, .host = "host"};

/* One request in the open transaction, as fs/plane.c runs it. */
static int run_in_batch(const struct mount *m, const struct request *req)
{
	const struct request_facts facts = {
		.own_mount = m->id,
		.own_process = &process,
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
	(void)snprintf(req.name, sizeof(req.name), "%s", lease);
	return req;
}

static int write_record(const struct mount *m, const char *node, const char *status)
{
	struct request req = record_of(node, status);

	return run(m, &req);
}

static int claim(const struct mount *m, const char *node)
{
	struct request req = about(REQUEST_CLAIM, node, LEASE_MASTER);

	return run(m, &req);
}

static int release(const struct mount *m)
{
	struct request req = about(REQUEST_RELEASE, "", LEASE_MASTER);

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

/* One of the last two lines of the change log is this one. */
static void assert_logged(const char *line)
{
	const struct view_log *log = world.here.view->log;
	const char *last = log->text + log->n - 1, *from;
	char wanted[128];

	assert_true(log->n > 0 && *last == '\n');
	from = memrchr(log->text, '\n', (size_t)(last - log->text));
	from = from ? memrchr(log->text, '\n', (size_t)(from - log->text)) : NULL;
	(void)snprintf(wanted, sizeof(wanted), ": %s\n", line);
	if (!strstr(from ? from : log->text, wanted)) {
		fail_msg("not at the end: '%s'\n%.*s", line, (int)log->n, log->text);
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
	assert_lease(LEASE_MASTER, "", 1);
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
	assert_lease(LEASE_MASTER, "a", 1);
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
		assert_lease(LEASE_MASTER, "", 1);
		assert_lease("other", "", 1);
		assert_logged("set master to ");
		(void)snprintf(line, sizeof(line), "set node a status to %s\n", over[i]);
		assert_non_null(strstr(world.here.view->log->text, line));

		/* Said once more, it is no news. */
		assert_ok(write_record(&world.here, "a", over[i]));
		assert_logged("set master to ");
	}
}

static void a_free_lease_is_granted_and_the_grant_is_a_beat(void **state)
{
	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	world.now_ms += 1000;
	assert_ok(claim(&world.here, "a"));
	assert_lease(LEASE_MASTER, "a", 1);
	assert_u64(row("a").beat, 2);
	assert_u64(view_find_node(world.here.view, "a")->t0_ms, world.now_ms);
	assert_logged("set master to a");
}

static void each_grant_raises_the_epoch_also_to_the_holder(void **state)
{
	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_ok(claim(&world.here, "a"));
	assert_ok(claim(&world.here, "a"));
	assert_lease(LEASE_MASTER, "a", 2);
	assert_ok(release(&world.here));
	assert_lease(LEASE_MASTER, "", 2);
	assert_ok(claim(&world.here, "a"));
	assert_lease(LEASE_MASTER, "a", 3);
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
	assert_lease(LEASE_MASTER, "b", 2);
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
	struct request late = about(REQUEST_CLAIM, "c", LEASE_MASTER);

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
	struct request second = about(REQUEST_CLAIM, "a", LEASE_MASTER);

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
	assert_lease(LEASE_MASTER, "a", 1);
	assert_ok(release(&world.here));
	assert_lease(LEASE_MASTER, "", 1);
	assert_logged("set master to ");
	assert_ok(release(&world.there)); /* free already: nothing to refuse */
	assert_lease("other", "a", 1);
}

static void a_death_publishes_failed_and_frees_the_leases(void **state)
{
	_cleanup_free_ char *text = NULL;

	(void)state;
	a_is_master();
	assert_ok(node_died(&world.here, "a"));
	assert_string_equal(row("a").status, "FAILED");
	assert_ok(index_node_record(world.ix, "a", &text));
	assert_string_equal(text, "{\"nodeId\":\"a\",\"status\":\"FAILED\"}");
	assert_lease(LEASE_MASTER, "", 1);
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
	assert_lease(LEASE_MASTER, "a", 1);

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
/* Another lease than `master`. */
static int on_lease(const struct mount *m, enum request_verb verb, const char *node,
		    const char *name, uint64_t timeout_ms)
{
	struct request req = about(verb, node, name);

	req.timeout_ms = timeout_ms;
	return run(m, &req);
}

static void a_lease_may_have_a_timeout_of_its_own(void **state)
{
	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_ok(write_record(&world.there, "b", "STANDBY"));
	assert_errno(on_lease(&world.here, REQUEST_SET_TIMEOUT, "", "x", 8000), ENOENT);
	assert_ok(on_lease(&world.here, REQUEST_RELEASE, "", "x", 0));
	assert_lease("x", "", 0);
	assert_errno(on_lease(&world.here, REQUEST_SET_TIMEOUT, "", "x", 3999), EINVAL);
	assert_errno(on_lease(&world.here, REQUEST_SET_TIMEOUT, "", LEASE_MASTER, 8000), EPERM);
	assert_ok(on_lease(&world.here, REQUEST_SET_TIMEOUT, "", "x", 8000));
	assert_ok(on_lease(&world.here, REQUEST_CLAIM, "a", "x", 0));
	assert_u64(view_lease_end_ms(world.here.view, "x"), world.now_ms + 7200);
	assert_u64(view_lease_end_ms(world.there.view, "x"), 0);

	/* Who trusts eight seconds must not find that they were four. */
	assert_errno(on_lease(&world.here, REQUEST_SET_TIMEOUT, "", "x", 4000), EBUSY);
	world.now_ms += 7000;
	assert_ok(write_record(&world.there, "b", "STANDBY"));
	assert_errno(on_lease(&world.there, REQUEST_CLAIM, "b", "x", 0), EBUSY);
	world.now_ms += 1001;
	assert_ok(on_lease(&world.there, REQUEST_CLAIM, "b", "x", 0));
	assert_lease("x", "b", 2);
}

/* To adopt a record frees its leases: none of them may be trusted any more. */
static void a_node_is_not_adopted_before_its_longest_lease_ran_out(void **state)
{
	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_ok(on_lease(&world.here, REQUEST_RELEASE, "", "x", 0));
	assert_ok(on_lease(&world.here, REQUEST_SET_TIMEOUT, "", "x", 8000));
	assert_ok(on_lease(&world.here, REQUEST_CLAIM, "a", "x", 0));
	world.now_ms += 8000;
	assert_errno(write_record(&world.there, "a", "STANDBY"), EACCES);
	assert_lease("x", "a", 1);
	world.now_ms += 1;
	assert_ok(write_record(&world.there, "a", "STANDBY"));
	assert_lease("x", "", 1);
}

/* A fencing token is never used twice, though the lease was removed and made anew. */
static void epochs_go_on_after_a_lease_was_removed(void **state)
{
	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_ok(on_lease(&world.here, REQUEST_CLAIM, "a", "x", 0));
	assert_ok(on_lease(&world.here, REQUEST_CLAIM, "a", "x", 0));
	assert_lease("x", "a", 2);
	assert_errno(on_lease(&world.there, REQUEST_REMOVE_LEASE, "", "x", 0), EBUSY);
	assert_ok(on_lease(&world.here, REQUEST_RELEASE, "", "x", 0));
	assert_ok(on_lease(&world.there, REQUEST_REMOVE_LEASE, "", "x", 0));
	assert_errno(on_lease(&world.there, REQUEST_REMOVE_LEASE, "", "x", 0), ENOENT);
	assert_errno(on_lease(&world.here, REQUEST_REMOVE_LEASE, "", LEASE_MASTER, 0), EPERM);
	assert_ok(on_lease(&world.here, REQUEST_CLAIM, "a", "x", 0));
	assert_lease("x", "a", 3);
	assert_ok(on_lease(&world.here, REQUEST_CLAIM, "a", "y", 0));
	assert_lease("y", "a", 3);
}

static void a_plane_has_a_bounded_number_of_leases(void **state)
{
	char name[16];

	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	for (int i = 0; i < REQUEST_LEASES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "l%d", i);
		assert_ok(on_lease(&world.here, REQUEST_RELEASE, "", name, 0));
	}
	assert_errno(on_lease(&world.here, REQUEST_RELEASE, "", "more", 0), ENOSPC);
	assert_errno(on_lease(&world.here, REQUEST_CLAIM, "a", "more", 0), ENOSPC);
	assert_ok(claim(&world.here, "a"));
}

static void a_node_that_holds_all_there_are_loses_all(void **state)
{
	char name[16];
	bool holds_any;

	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	for (int i = 0; i < REQUEST_LEASES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "z%d", i);
		assert_ok(on_lease(&world.here, REQUEST_CLAIM, "a", name, 0));
	}
	assert_ok(claim(&world.here, "a"));
	assert_ok(write_record(&world.here, "a", "TERMINATED"));
	assert_ok(index_lease_has_any(world.ix, "a", &holds_any));
	assert_false(holds_any);
}

/*
 * The ticket @owner asks for the lock "l" in @mode: 'x' or 's', a capital waits; @previous lets go.
 */
static int convert(const struct mount *m, uint64_t owner, uint64_t previous, char mode)
{
	struct request req = about(REQUEST_LOCK, "", "l");

	req.owner = owner;
	req.previous = previous;
	req.exclusive = mode == 'x' || mode == 'X';
	req.wait = mode == 'X' || mode == 'S';
	req.text = "job";
	req.n = 3;
	return run(m, &req);
}

static int lock(const struct mount *m, uint64_t owner, char mode)
{
	return convert(m, owner, 0, mode);
}

static int unlock(const struct mount *m, uint64_t owner)
{
	struct request req = about(REQUEST_UNLOCK, "", "l");

	req.owner = owner;
	return run(m, &req);
}

static bool holds(const struct mount *m, uint64_t owner)
{
	const struct index_lock *l = view_find_lock(world.here.view, m->id, owner);

	return l && l->granted;
}

static void a_lock_has_one_exclusive_holder(void **state)
{
	(void)state;
	assert_ok(lock(&world.here, 1, 'x'));
	assert_true(holds(&world.here, 1));
	assert_errno(lock(&world.there, 1, 'x'), EAGAIN);
	assert_errno(lock(&world.there, 1, 's'), EAGAIN);
	assert_errno(lock(&world.here, 2, 'x'), EAGAIN);
	assert_ok(unlock(&world.here, 1));
	assert_ok(unlock(&world.here, 1));
	assert_ok(lock(&world.there, 1, 'x'));
	assert_ok(unlock(&world.here, 1)); /* not theirs */
	assert_true(holds(&world.there, 1));
}

static void waiters_are_served_in_order_across_mounts(void **state)
{
	(void)state;
	assert_ok(lock(&world.here, 1, 'x'));
	assert_int_equal(lock(&world.there, 1, 'X'), REQUEST_QUEUED);
	assert_int_equal(lock(&world.here, 2, 'S'), REQUEST_QUEUED);
	assert_int_equal(lock(&world.there, 2, 'S'), REQUEST_QUEUED);
	assert_ok(unlock(&world.here, 1));
	assert_true(holds(&world.there, 1));
	assert_false(holds(&world.here, 2));
	/* One who gave up is not waited for. */
	assert_ok(unlock(&world.here, 2));
	assert_ok(unlock(&world.there, 1));
	assert_true(holds(&world.there, 2));
	assert_u64(world.here.view->n_locks, 1);
}

static void a_conversion_asks_at_the_end_of_the_queue(void **state)
{
	(void)state;
	assert_ok(lock(&world.here, 1, 's'));
	assert_ok(lock(&world.there, 1, 's'));
	assert_errno(convert(&world.here, 2, 1, 'x'), EAGAIN);
	assert_true(holds(&world.here, 1)); /* refused: it keeps what it has */
	assert_int_equal(convert(&world.here, 3, 1, 'X'), REQUEST_QUEUED);
	assert_false(holds(&world.here, 1));
	assert_ok(unlock(&world.there, 1));
	assert_true(holds(&world.here, 3));
	assert_ok(convert(&world.here, 4, 3, 's'));
	assert_ok(lock(&world.there, 2, 's'));
}

static void the_locks_of_a_silent_mount_go_to_the_next_after_the_timeout(void **state)
{
	const struct request sweep = {.verb = REQUEST_SWEEP};

	(void)state;
	assert_ok(lock(&world.there, 1, 'x'));
	assert_int_equal(lock(&world.here, 1, 'X'), REQUEST_QUEUED);
	world.now_ms += TIMEOUT_MS;
	assert_ok(run(&world.here, &sweep));
	assert_true(holds(&world.there, 1)); /* exactly the timeout is still alive */
	look(&world.there);                  /* any generation of the mount renews its locks */
	world.now_ms += TIMEOUT_MS;
	assert_ok(run(&world.here, &sweep));
	assert_true(holds(&world.there, 1));
	world.now_ms += 1;
	assert_ok(run(&world.here, &sweep));
	assert_false(holds(&world.there, 1));
	assert_true(holds(&world.here, 1));
}

/* What it holds is its own business until others take it; see fs/lock.h. */
static void a_mount_never_takes_itself_for_dead(void **state)
{
	const struct request sweep = {.verb = REQUEST_SWEEP};
	uint64_t locked_ms = world.now_ms;

	(void)state;
	assert_ok(lock(&world.here, 1, 'x'));
	world.now_ms += 10 * TIMEOUT_MS;
	assert_ok(run(&world.here, &sweep));
	assert_true(holds(&world.here, 1));
	assert_u64(view_lock_end_ms(world.here.view), locked_ms + DEADLINE_MS);
}

static void a_plane_has_a_bounded_number_of_locks(void **state)
{
	(void)state;
	/* One machine cannot take them all. */
	for (uint64_t i = 1; i <= REQUEST_LOCKS_OWN; i++) {
		assert_true(lock(&world.here, i, 'S') >= 0);
	}
	assert_errno(lock(&world.here, REQUEST_LOCKS_OWN + 1, 'S'), ENOLCK);
	assert_ok(lock(&world.there, 1, 's'));

	for (uint64_t i = REQUEST_LOCKS_OWN + 1; i < REQUEST_LOCKS_MAX; i++) {
		const struct index_lock row = {.name = "m", .mount = "more", .owner = i};

		assert_ok(index_lock_add(world.ix, &row));
	}
	assert_errno(lock(&world.there, 2, 's'), ENOLCK);
}

static int fence(const struct mount *m, const char *node)
{
	struct request req = about(REQUEST_FENCE, node, "");

	(void)snprintf(req.who, sizeof(req.who), "root@ops");
	(void)snprintf(req.why, sizeof(req.why), "power is off");
	return run(m, &req);
}

#define HISTORY_BYTES 1024

static int print_event(void *ctx, const struct index_event *e)
{
	char *all = ctx;
	size_t n = strlen(all);

	(void)snprintf(all + n, HISTORY_BYTES - n, "%s(%s<%s) %s by %s\n", e->what, e->node, e->was,
		       e->why, e->who);
	return 0;
}

/* The history has these lines, one after the other. */
static void assert_history(const char *lines)
{
	char history[HISTORY_BYTES] = "";

	assert_ok(index_each_event(world.ix, print_event, history));
	if (!strstr(history, lines)) {
		fail_msg("not there:\n%s\nbut:\n%s", lines, history);
	}
}

static void fencing_frees_what_the_machine_had_and_is_told_with_its_reason(void **state)
{
	(void)state;
	a_is_master();
	assert_ok(lock(&world.here, 1, 'x'));
	assert_errno(fence(&world.there, "nobody"), ENOENT);
	assert_ok(fence(&world.there, "a"));
	assert_lease(LEASE_MASTER, "", 1);
	assert_lease("other", "", 1);
	assert_string_equal(row("a").status, "FAILED");
	assert_string_equal(row("a").mount, "here"); /* it may come back under its id */
	assert_false(holds(&world.here, 1));
	assert_ok(claim(&world.there, "b"));
	assert_history("fenced(a<MASTER) fenced: power is off by root@ops\n"
		       "status(a<MASTER) fenced: power is off by root@ops\n"
		       "master(<a) fenced: power is off by root@ops\n"
		       "lease(<a) fenced: power is off by root@ops\n"
		       "master(b<) asked by there\n");
}

static void fencing_a_node_takes_the_other_nodes_of_its_mount_along(void **state)
{
	(void)state;
	a_is_master();
	assert_ok(write_record(&world.here, "c", "STANDBY"));
	assert_ok(fence(&world.there, "c"));
	assert_lease(LEASE_MASTER, "", 1);
	assert_string_equal(row("a").status, "FAILED");
	assert_string_equal(row("c").status, "FAILED");
	assert_string_equal(row("b").status, "STANDBY");
	assert_null(view_find_mount(world.there.view, "here"));
}

static void a_mount_without_a_node_is_fenced_by_its_own_id(void **state)
{
	(void)state;
	assert_ok(lock(&world.here, 1, 'x'));
	assert_int_equal(lock(&world.there, 1, 'X'), REQUEST_QUEUED);
	assert_ok(fence(&world.there, "here"));
	assert_true(holds(&world.there, 1));
	assert_null(view_find_mount(world.there.view, "here"));
	assert_history("fenced(here<) fenced: power is off by root@ops\n");
	assert_errno(fence(&world.there, "here"), ENOENT);
}

static void a_mount_that_is_fenced_by_mistake_goes_on_with_its_next_record(void **state)
{
	(void)state;
	a_is_master();
	assert_ok(fence(&world.here, "a"));
	assert_null(view_find_mount(world.here.view, "here"));
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_non_null(view_find_mount(world.here.view, "here"));
	assert_ok(claim(&world.here, "a"));
	assert_lease(LEASE_MASTER, "a", 2);
}

static void whoever_takes_a_lease_from_a_silent_node_is_told_so(void **state)
{
	(void)state;
	a_is_master();
	world.now_ms += TIMEOUT_MS + 1;
	assert_ok(write_record(&world.there, "b", "STANDBY"));
	assert_ok(claim(&world.there, "b"));
	assert_history("master(b<a) lapsed by there\n");
}

static void a_mount_is_buried_with_all_that_it_had(void **state)
{
	struct request bury = about(REQUEST_BURY, "", "here");

	(void)state;
	a_is_master();
	assert_ok(lock(&world.here, 1, 'x'));
	assert_int_equal(lock(&world.there, 1, 'X'), REQUEST_QUEUED);
	assert_non_null(view_find_mount(world.there.view, "here"));
	assert_ok(run(&world.there, &bury));
	assert_lease(LEASE_MASTER, "", 1);
	assert_lease("other", "", 1);
	assert_string_equal(row("a").status, "FAILED");
	assert_true(holds(&world.there, 1));
	assert_null(view_find_mount(world.there.view, "here"));
	assert_string_equal(row("b").status, "STANDBY");
	assert_ok(run(&world.there, &bury)); /* twice is no news */
}

static void a_mount_that_ends_leaves_nothing_behind_but_its_records(void **state)
{
	const struct request goodbye = {.verb = REQUEST_GOODBYE};

	(void)state;
	a_is_master();
	assert_ok(lock(&world.here, 1, 'x'));
	assert_ok(run(&world.here, &goodbye));
	assert_lease(LEASE_MASTER, "", 1);
	assert_string_equal(row("a").status, "FAILED");
	assert_u64(world.here.view->n_locks, 0);
	assert_null(view_find_mount(world.here.view, "here"));
	assert_non_null(view_find_mount(world.here.view, "there"));
}

static int switch_over(const struct mount *m, const char *to)
{
	struct request req = about(REQUEST_SWITCHOVER, to, "");

	(void)snprintf(req.who, sizeof(req.who), "root@ops");
	return run(m, &req);
}

static int cancel_switchover(const struct mount *m)
{
	struct request req = {.verb = REQUEST_SWITCHOVER, .who = "root@ops", .off = true};

	return run(m, &req);
}

static int pause_plane(const struct mount *m, bool paused)
{
	struct request req = {
		.verb = REQUEST_PAUSE, .who = "root@ops", .why = "upgrade", .off = !paused};

	return run(m, &req);
}

static void assert_phase(enum lease_switchover phase, const char *to, const char *from)
{
	struct orders orders;

	assert_ok(orders_get(world.ix, &orders));
	assert_int_equal(orders.switchover.phase, phase);
	assert_string_equal(orders.switchover.to, to);
	assert_string_equal(orders.switchover.from, from);
}

/* Two beats a poll, so that nobody lapses. */
static void both_beat_for(uint64_t ms)
{
	for (uint64_t end_ms = world.now_ms + ms; world.now_ms < end_ms;) {
		world.now_ms += end_ms - world.now_ms < 500 ? end_ms - world.now_ms : 500;
		assert_ok(write_record(&world.here, "a", "STANDBY"));
		assert_ok(write_record(&world.there, "b", "STANDBY"));
	}
}

/* "a" has handed over to "b", and "c", of here, looks on. */
static void a_has_handed_over_to_b(void)
{
	a_is_master();
	assert_ok(write_record(&world.here, "c", "STANDBY"));
	assert_ok(switch_over(&world.here, "b"));
	assert_phase(LEASE_SWITCHOVER_ANNOUNCED, "b", "a");
	assert_lease(LEASE_MASTER, "a", 1);
	assert_ok(release(&world.here));
	assert_phase(LEASE_SWITCHOVER_HANDED, "b", "a");
	assert_lease(LEASE_MASTER, "", 1);
}

static void what_is_handed_over_is_for_its_target(void **state)
{
	(void)state;
	a_has_handed_over_to_b();
	assert_errno(claim(&world.here, "c"), EBUSY);
	assert_errno(claim(&world.here, "a"), EBUSY);
	assert_ok(claim(&world.there, "b"));
	assert_lease(LEASE_MASTER, "b", 2);
	assert_phase(LEASE_SWITCHOVER_NONE, "", "");
	assert_history("switchover(b<a) asked by root@ops\n"
		       "master(<a) handed by here\n"
		       "master(b<) handed by there\n");
}

static void what_its_target_does_not_take_goes_back_after_a_poll(void **state)
{
	(void)state;
	a_has_handed_over_to_b();
	both_beat_for(1000);
	assert_errno(claim(&world.here, "a"), EBUSY);
	both_beat_for(1);
	assert_ok(claim(&world.here, "a"));
	assert_phase(LEASE_SWITCHOVER_NONE, "", "");
	assert_errno(claim(&world.there, "b"), EBUSY);
}

static void what_nobody_takes_is_for_everybody_after_the_timeout(void **state)
{
	(void)state;
	a_has_handed_over_to_b();
	both_beat_for(TIMEOUT_MS);
	assert_ok(write_record(&world.here, "c", "STANDBY"));
	assert_errno(claim(&world.here, "c"), EBUSY);
	both_beat_for(1);
	assert_ok(claim(&world.here, "c"));
	assert_lease(LEASE_MASTER, "c", 2);
}

static void what_was_handed_over_in_the_same_commit_is_no_older(void **state)
{
	struct request give = about(REQUEST_RELEASE, "", LEASE_MASTER);
	struct request take = about(REQUEST_CLAIM, "a", LEASE_MASTER);

	(void)state;
	a_is_master();
	assert_ok(switch_over(&world.here, "b"));
	both_beat_for(3000);
	assert_ok(index_begin(world.ix));
	assert_ok(run_in_batch(&world.here, &give));
	assert_errno(run_in_batch(&world.here, &take), EBUSY);
	index_rollback(world.ix);
}

static void a_switchover_goes_to_a_living_node_that_may_and_is_not_master(void **state)
{
	(void)state;
	assert_errno(switch_over(&world.here, ""), EHOSTDOWN); /* nobody could choose */
	a_is_master();
	assert_errno(switch_over(&world.here, "nobody"), ENOENT);
	assert_errno(switch_over(&world.here, "a"), EALREADY);
	assert_ok(write_record(&world.there, "d", "HOT_BACKUP"));
	assert_errno(switch_over(&world.here, "d"), EHOSTDOWN);
	assert_ok(write_record(&world.there, "d", "TERMINATED"));
	assert_errno(switch_over(&world.here, "d"), EHOSTDOWN);
	world.now_ms += TIMEOUT_MS + 1;
	assert_ok(write_record(&world.here, "a", "MASTER"));
	assert_errno(switch_over(&world.here, "b"), EHOSTDOWN);
	assert_phase(LEASE_SWITCHOVER_NONE, "", "");
}

static void one_switchover_is_under_way_at_a_time(void **state)
{
	(void)state;
	a_is_master();
	assert_ok(write_record(&world.here, "c", "STANDBY"));
	assert_ok(switch_over(&world.here, ""));
	assert_phase(LEASE_SWITCHOVER_PLANNED, "", "");
	assert_ok(switch_over(&world.here, "b")); /* what was only planned is overridden */
	assert_ok(switch_over(&world.there, "b"));
	assert_errno(switch_over(&world.here, "c"), EBUSY);
	assert_ok(cancel_switchover(&world.there));
	assert_errno(cancel_switchover(&world.there), ENOENT);
	assert_ok(switch_over(&world.here, "c"));
	assert_ok(release(&world.here));
	assert_errno(cancel_switchover(&world.here), EBUSY);
}

static void a_plan_for_later_binds_nobody(void **state)
{
	struct request later = about(REQUEST_SWITCHOVER, "b", "");

	(void)state;
	later.at_wall_ms = 1466414999000;
	a_is_master();
	assert_ok(run(&world.here, &later));
	assert_ok(release(&world.here));
	assert_phase(LEASE_SWITCHOVER_PLANNED, "b", "");
	assert_ok(claim(&world.here, "a"));
	assert_phase(LEASE_SWITCHOVER_PLANNED, "b", "");
}

static void a_master_that_dies_hands_nothing_over(void **state)
{
	(void)state;
	a_is_master();
	assert_ok(write_record(&world.there, "e", "STANDBY"));
	assert_ok(switch_over(&world.here, "b"));
	assert_ok(node_died(&world.here, "a"));
	assert_phase(LEASE_SWITCHOVER_NONE, "", "");
	assert_ok(claim(&world.there, "e"));
}

static void without_a_master_the_target_is_the_one(void **state)
{
	(void)state;
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_ok(write_record(&world.there, "b", "STANDBY"));
	assert_ok(switch_over(&world.here, "b"));
	assert_phase(LEASE_SWITCHOVER_HANDED, "b", "");
	assert_errno(claim(&world.here, "a"), EBUSY);
	assert_ok(claim(&world.there, "b"));
}

static void while_paused_nobody_becomes_master_by_itself(void **state)
{
	struct request other = about(REQUEST_CLAIM, "b", "other");

	(void)state;
	a_is_master();
	assert_ok(pause_plane(&world.there, true));
	assert_ok(claim(&world.here, "a")); /* it is */
	assert_ok(node_died(&world.here, "a"));
	assert_errno(claim(&world.there, "b"), EAGAIN);
	assert_ok(run(&world.there, &other)); /* only `master` is */
	assert_ok(pause_plane(&world.here, false));
	assert_ok(claim(&world.there, "b"));
	assert_history("paused(<) upgrade by root@ops\n");
	assert_history("resumed(<) upgrade by root@ops\n");
}

static void while_paused_a_lapsed_master_keeps_its_lease(void **state)
{
	(void)state;
	a_is_master();
	assert_ok(pause_plane(&world.there, true));
	a_is_silent_for(TIMEOUT_MS + 1);
	assert_errno(claim(&world.there, "b"), EAGAIN);
	assert_ok(write_record(&world.here, "a", "STANDBY"));
	assert_ok(claim(&world.here, "a"));
}

static void while_paused_a_switchover_works_and_its_way_back(void **state)
{
	(void)state;
	a_is_master();
	assert_ok(pause_plane(&world.there, true));
	assert_ok(switch_over(&world.here, "b"));
	assert_ok(release(&world.here));
	assert_ok(claim(&world.there, "b"));

	assert_ok(switch_over(&world.here, "a"));
	assert_ok(release(&world.there));
	both_beat_for(1001);
	assert_ok(claim(&world.there, "b"));
	assert_lease(LEASE_MASTER, "b", 3);
}

static void a_pause_asked_for_twice_changes_nothing(void **state)
{
	(void)state;
	assert_ok(pause_plane(&world.here, false));
	assert_ok(pause_plane(&world.here, true));
	assert_ok(pause_plane(&world.here, true));
	assert_string_equal(world.there.view->orders.paused_by, "root@ops");
	assert_ok(pause_plane(&world.here, false));
	assert_string_equal(world.there.view->orders.paused_by, "");
}

static void both_in_a_switchover_watch_closely_and_not_for_ever(void **state)
{
	(void)state;
	a_is_master();
	assert_u64(view_follow_ms(world.here.view, world.now_ms), 250);
	assert_ok(switch_over(&world.here, "b"));
	assert_u64(view_follow_ms(world.here.view, world.now_ms), 10);
	assert_u64(view_follow_ms(world.there.view, world.now_ms + 3999), 10);
	assert_u64(view_follow_ms(world.there.view, world.now_ms + 4000), 250);
	assert_ok(cancel_switchover(&world.here));
	assert_u64(view_follow_ms(world.there.view, world.now_ms), 250);
}

static void a_mount_is_noted_while_it_has_records_or_locks(void **state)
{
	(void)state;
	assert_ok(lock(&world.here, 1, 'x'));
	assert_string_equal(view_find_mount(world.there.view, "here")->row.boot, "boot");
	assert_ok(unlock(&world.here, 1));
	assert_ok(write_record(&world.there, "b", "TERMINATED"));
	assert_ok(remove_record(&world.there, "b"));
	assert_null(view_find_mount(world.there.view, "here"));
}

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
		CASE(a_lease_may_have_a_timeout_of_its_own),
		CASE(a_node_is_not_adopted_before_its_longest_lease_ran_out),
		CASE(epochs_go_on_after_a_lease_was_removed),
		CASE(a_plane_has_a_bounded_number_of_leases),
		CASE(a_node_that_holds_all_there_are_loses_all),
		CASE(a_lock_has_one_exclusive_holder),
		CASE(waiters_are_served_in_order_across_mounts),
		CASE(a_conversion_asks_at_the_end_of_the_queue),
		CASE(the_locks_of_a_silent_mount_go_to_the_next_after_the_timeout),
		CASE(a_mount_never_takes_itself_for_dead),
		CASE(a_plane_has_a_bounded_number_of_locks),
		CASE(fencing_frees_what_the_machine_had_and_is_told_with_its_reason),
		CASE(fencing_a_node_takes_the_other_nodes_of_its_mount_along),
		CASE(a_mount_without_a_node_is_fenced_by_its_own_id),
		CASE(a_mount_that_is_fenced_by_mistake_goes_on_with_its_next_record),
		CASE(whoever_takes_a_lease_from_a_silent_node_is_told_so),
		CASE(a_mount_is_buried_with_all_that_it_had),
		CASE(a_mount_that_ends_leaves_nothing_behind_but_its_records),
		CASE(what_is_handed_over_is_for_its_target),
		CASE(what_its_target_does_not_take_goes_back_after_a_poll),
		CASE(what_nobody_takes_is_for_everybody_after_the_timeout),
		CASE(what_was_handed_over_in_the_same_commit_is_no_older),
		CASE(a_switchover_goes_to_a_living_node_that_may_and_is_not_master),
		CASE(one_switchover_is_under_way_at_a_time),
		CASE(a_plan_for_later_binds_nobody),
		CASE(a_master_that_dies_hands_nothing_over),
		CASE(without_a_master_the_target_is_the_one),
		CASE(while_paused_nobody_becomes_master_by_itself),
		CASE(while_paused_a_lapsed_master_keeps_its_lease),
		CASE(while_paused_a_switchover_works_and_its_way_back),
		CASE(a_pause_asked_for_twice_changes_nothing),
		CASE(both_in_a_switchover_watch_closely_and_not_for_ever),
		CASE(a_mount_is_noted_while_it_has_records_or_locks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
