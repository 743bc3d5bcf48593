/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fault loop: whatever the store and the chain do, each of their calls on files and each of
 * their allocations, SQLite's included, fails once at each place.  Afterwards the share has the old
 * state or the new one, the answer was true, nothing is leaked and the next commit works.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/lib/fault.h"
#include "tests/lib/mount.h"
#include "tests/lib/pair.h"
#include "tests/unit/unit.h"

#define TMP STORE_DIRECTORY "/tmp"

static bool is_thorough; /* fail every allocation of every scenario */

static bool has_node(struct mount *m, const char *id)
{
	struct index_node node;
	int r = index_node_get(m->index, id, &node);

	assert_true(r == 0 || r == -ENOENT);
	return r == 0;
}

static void assert_agree(struct mount *a, struct mount *b)
{
	assert_u64(a->chain.generation, b->chain.generation);
	assert_string_equal(a->chain.hash, b->chain.hash);
	pair_assert_same(a->index, b->index);
}

#define JOBS_MAX 4

struct jobs {
	unsigned n;
	struct {
		const char *node;
		int refusal; /* what the rules say in the end; 0: granted */
		int answer;
	} v[JOBS_MAX];
};

/* Write a record, claim a lease, note it; then see what the rules say. */
static int run_job(struct mount *m, const char *node, int refusal)
{
	const struct index_event event = {
		.what = "created", .node = node, .detail = "", .was = "", .why = "", .who = ""};
	struct index_lease lease;
	int r = index_savepoint(m->index);

	if (r < 0) {
		return r;
	}
	r = index_node_put(m->index, node, m->id, "STANDBY", "{}", 2);
	if (r == 0) {
		r = index_lease_get(m->index, "master", &lease);
	}
	if (r == 0) {
		r = index_lease_grant(m->index, "master", node);
	}
	if (r == 0) {
		r = index_history_add(m->index, &event);
	}
	if (r == 0) {
		r = refusal;
	}
	if (r < 0) {
		index_savepoint_rollback(m->index);
		return r;
	}
	return index_savepoint_release(m->index);
}

/* 1: all have their answer; 0: run them again; -errno: the answer for all. */
static int try_jobs(struct mount *m, struct jobs *jobs)
{
	struct chain_attempt attempt = {0};
	int r = m->chain.damaged ? -EUCLEAN : chain_is_stale(&m->chain) ? mount_follow(m) : 0;

	if (r == 0) {
		r = index_begin(m->index);
	}
	if (r < 0) {
		return r;
	}
	for (unsigned i = 0; i < jobs->n; i++) {
		jobs->v[i].answer = run_job(m, jobs->v[i].node, jobs->v[i].refusal);
	}
	r = chain_prepare(&m->chain, false, &attempt);
	if (r > 0) {
		r = mount_publish(m, &attempt);
		chain_attempt_done(&attempt);
		return r;
	}
	index_rollback(m->index);
	return r < 0 ? r : 1;
}

static void commit(struct mount *m, struct jobs *jobs)
{
	int r;

	do {
		r = try_jobs(m, jobs);
	} while (r == 0);
	for (unsigned i = 0; r < 0 && i < jobs->n; i++) {
		jobs->v[i].answer = r;
	}
}

static void commit_one(struct mount *m, const char *node)
{
	struct jobs jobs = {.n = 1, .v = {{.node = node}}};

	commit(m, &jobs);
	assert_ok(jobs.v[0].answer);
}

/* A record too long for a link makes its generation an image. */
static void commit_image(struct mount *m, const char *node)
{
	char record[CHANGE_TARGET_MAX];
	struct chain_attempt attempt = {0};

	memset(record, 'r', sizeof(record));
	assert_ok(index_begin(m->index));
	assert_ok(index_node_put(m->index, node, m->id, "STANDBY", record, sizeof(record)));
	assert_int_equal(chain_prepare(&m->chain, false, &attempt), 1);
	assert_int_equal(attempt.kind, STORE_IMAGE);
	assert_int_equal(mount_publish(m, &attempt), 1);
	chain_attempt_done(&attempt);
}

struct world {
	struct scratch *scratch;
	bool images_only;
	struct mount a, b;
	struct jobs jobs;
	int answer;
};

struct scenario {
	const char *name;
	bool images_only;
	unsigned stride; /* SQLite allocates a lot: every so many of the allocations fails */
	void (*prepare)(struct world *w); /* nothing fails here */
	void (*act)(struct world *w);     /* one call fails here */
	void (*check)(struct world *w);   /* nor here */
};

static void open_a(struct world *w)
{
	assert_ok(mount_open(&w->a, w->scratch, "a", w->images_only, NULL));
}

static void open_both(struct world *w)
{
	open_a(w);
	assert_ok(mount_open(&w->b, w->scratch, "b", w->images_only, NULL));
}

/* Damage is what an operator has to repair: one call that failed is none. */
static void assert_is_no_damage(int r)
{
	assert_true(r >= 0 || (r != -EUCLEAN && r != -EBADMSG));
}

/* Mount a goes on, and @late, which started after the fault, arrives where it is; closes that. */
static void check_next_commit_with(struct world *w, struct mount *late)
{
	assert_false(w->a.chain.damaged);
	assert_ok(mount_follow(&w->a));
	assert_agree(&w->a, late);
	commit_one(&w->a, "next");
	assert_ok(mount_follow(late));
	assert_true(has_node(late, "next"));
	assert_agree(&w->a, late);
	mount_close(late);
}

static void open_late(struct world *w, struct mount *late)
{
	assert_ok(mount_open(late, w->scratch, "late", w->images_only, NULL));
}

static void check_next_commit(struct world *w)
{
	struct mount late;

	open_late(w, &late);
	check_next_commit_with(w, &late);
}

static void act_open(struct world *w)
{
	w->answer = mount_open(&w->a, w->scratch, "a", w->images_only, NULL);
}

static void check_open(struct world *w)
{
	assert_is_no_damage(w->answer);
	if (w->answer < 0) {
		open_a(w);
	}
	check_next_commit(w);
}

/* A plane with an image and changes after it. */
static void prepare_load(struct world *w)
{
	open_a(w);
	commit_image(&w->a, "before");
	commit_one(&w->a, "after");
	commit_one(&w->a, "after");
	mount_close(&w->a);
}

static void check_load(struct world *w)
{
	check_open(w);
	assert_true(has_node(&w->a, "before"));
	assert_true(has_node(&w->a, "after"));
}

static void prepare_commit(struct world *w)
{
	open_a(w);
	commit_one(&w->a, "before");
	w->jobs = (struct jobs){.n = 4,
				.v = {{.node = "first"},
				      {.node = "refused", .refusal = -EBUSY},
				      {.node = "second"},
				      {.node = "third"}}};
}

static void act_commit(struct world *w)
{
	commit(&w->a, &w->jobs);
}

/* What was answered is what whoever starts now finds, whether or not it is all granted. */
static void check_commit(struct world *w)
{
	struct mount late;

	open_late(w, &late);
	for (unsigned i = 0; i < w->jobs.n; i++) {
		assert_is_no_damage(w->jobs.v[i].answer);
		assert_int_equal(has_node(&late, w->jobs.v[i].node), w->jobs.v[i].answer == 0);
		assert_true(w->jobs.v[i].answer < 0 || !w->jobs.v[i].refusal);
	}
	assert_true(has_node(&late, "before"));
	check_next_commit_with(w, &late);
}

/* Another mount was first: its generation is read, and the jobs are run again on top of it. */
static void prepare_race(struct world *w)
{
	prepare_commit(w);
	assert_ok(mount_open(&w->b, w->scratch, "b", w->images_only, NULL));
	commit_one(&w->b, "theirs");
}

static void check_race(struct world *w)
{
	check_commit(w);
	assert_true(has_node(&w->a, "theirs"));
}

static void prepare_follow(struct world *w)
{
	open_both(w);
	commit_one(&w->b, "theirs");
	commit_one(&w->b, "theirs2");
}

static void act_follow(struct world *w)
{
	w->answer = mount_follow(&w->a);
}

static void check_follow(struct world *w)
{
	assert_is_no_damage(w->answer);
	check_next_commit(w);
	assert_true(has_node(&w->a, "theirs2"));
}

/* It has slept: what is behind it is listed, and loaded from an image. */
static void prepare_stale(struct world *w)
{
	prepare_follow(w);
	mount_now_ms += COMMIT_TRUST_MS + 1;
}

/* A create that succeeds late: its number may have been used and collected. */
static void prepare_late(struct world *w)
{
	prepare_commit(w);
	w->a.chain.verified_ms = mount_now_ms;
}

static void act_late(struct world *w)
{
	struct chain_attempt attempt = {0};
	int r = index_begin(w->a.index);

	if (r == 0) {
		w->jobs.n = 1;
		w->jobs.v[0].answer = run_job(&w->a, "first", 0);
		r = w->jobs.v[0].answer;
		if (r == 0) {
			r = chain_prepare(&w->a.chain, false, &attempt);
		}
		mount_now_ms += COMMIT_TRUST_MS + 1;
		if (r > 0) {
			r = mount_publish(&w->a, &attempt);
			chain_attempt_done(&attempt);
		} else {
			index_rollback(w->a.index);
		}
	}
	w->jobs.n = 1;
	w->jobs.v[0].answer = r < 0 ? r : 0;
}

/* Old generations, and what a dead mount has left in tmp. */
static void prepare_collect(struct world *w)
{
	open_a(w);
	for (int i = 0; i < 3; i++) {
		commit_one(&w->a, "before");
		mount_now_ms += COMMIT_TRUST_MS - 1;
		commit_image(&w->a, "before");
	}
	mount_now_ms += COMMIT_TRUST_MS - 1;
	commit_one(&w->a, "before");
	assert_int_equal(symlinkat("x", w->scratch->fd, TMP "/dead.1"), 0);
}

static void act_collect(struct world *w)
{
	struct chain_old old = chain_old(&w->a.chain, mount_now_ms);

	assert_true(old.from < old.to);
	while (old.from < old.to) {
		chain_collect(w->a.store, &old);
	}
	w->answer = store_sweep(w->a.store, INT64_MAX);
}

static void check_collect(struct world *w)
{
	assert_is_no_damage(w->answer);
	check_next_commit(w);
	assert_true(store_sweep(w->a.store, INT64_MAX) >= 0);
	assert_int_equal(scratch_count(w->scratch, TMP), 0);
}

/*
 * What was written is undone, because memory ran out or a rule refuses it.  Undoing may want memory
 * itself, and SQLite may end a transaction in which the rest is written all the same.
 */
static void prepare_undo(struct world *w)
{
	prepare_race(w);
	assert_ok(mount_follow(&w->a));
	assert_ok(index_begin(w->a.index));
	assert_ok(index_savepoint(w->a.index));
	assert_ok(index_node_put(w->a.index, "undone", w->a.id, "STANDBY", "{}", 2));
}

static void act_undo(struct world *w)
{
	int r = index_lease_grant(w->a.index, "master", "undone");

	w->answer = r < 0 ? r : index_node_beat(w->a.index, "undone");
	index_savepoint_rollback(w->a.index);
	index_rollback(w->a.index);
}

static void check_undo(struct world *w)
{
	assert_is_no_damage(w->answer);
	check_next_commit(w);
}

static const struct scenario scenarios[] = {
	{"creating a plane", false, 397, NULL, act_open, check_open},
	{"creating a plane of images", true, 401, NULL, act_open, check_open},
	{"loading", false, 389, prepare_load, act_open, check_load},
	{"committing a link", false, 3, prepare_commit, act_commit, check_commit},
	{"committing an image", true, 7, prepare_commit, act_commit, check_commit},
	{"undoing", false, 1, prepare_undo, act_undo, check_undo},
	{"undoing what was built on an image", true, 1, prepare_undo, act_undo, check_undo},
	{"losing a race of links", false, 5, prepare_race, act_commit, check_race},
	{"losing a race of images", true, 83, prepare_race, act_commit, check_race},
	{"following links", false, 37, prepare_follow, act_follow, check_follow},
	{"following images", true, 79, prepare_follow, act_follow, check_follow},
	{"loading anew", false, 193, prepare_stale, act_follow, check_follow},
	{"committing late", false, 29, prepare_late, act_late, check_commit},
	{"collecting", false, 1, prepare_collect, act_collect, check_collect},
};

#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* False: there are fewer calls than that. */
static bool run_scenario(const struct scenario *scenario, const struct fault *fault)
{
	struct world w = {.images_only = scenario->images_only};
	int fds = fault_open_fds();
	void *own = NULL;
	bool reached;

	mount_now_ms = MOUNT_NOW_MS;
	assert_ok(scratch_set_up(&own));
	w.scratch = own;
	if (scenario->prepare) {
		scenario->prepare(&w);
	}
	fault_arm(scenario->name, fault);
	scenario->act(&w);
	reached = fault_disarm();
	scenario->check(&w);
	mount_close(&w.a);
	mount_close(&w.b);
	assert_ok(scratch_tear_down(&own));
	assert_int_equal(fault_open_fds(), fds);
	assert_int_equal(fault_sqlite_bytes(), 0);
	return reached;
}

/* Every @step-th place, until there are no more.  Returns how many there were. */
static unsigned run_places(const struct scenario *scenario, struct fault fault, unsigned step)
{
	unsigned places = 0;

	for (fault.nth = 0; run_scenario(scenario, &fault); fault.nth += step) {
		places++;
	}
	return places;
}

static void every_call_fails_once_at_each_place(void **state)
{
	static const int errors[] = {ENOSPC, EDQUOT, EIO, ESTALE, ENOENT, EINTR, EROFS};
	unsigned places = 0;

	(void)state;
	for (size_t i = 0; i < SCENARIOS; i++) {
		for (size_t k = 0; k < sizeof(errors) / sizeof(errors[0]); k++) {
			for (enum fault_how how = FAULT_REFUSE; how <= FAULT_DENY; how++) {
				struct fault fault = {
					.kind = FAULT_CALL, .how = how, .error = errors[k]};

				places += run_places(&scenarios[i], fault, 1);
			}
		}
	}
	assert_true(places > 0);
}

static void every_read_and_write_comes_short_once(void **state)
{
	unsigned places = 0;

	(void)state;
	for (size_t i = 0; i < SCENARIOS; i++) {
		struct fault fault = {.kind = FAULT_CALL, .how = FAULT_SHORT};

		places += run_places(&scenarios[i], fault, 1);
	}
	assert_true(places > 0);
}

static void allocations_fail_once(void **state)
{
	unsigned places = 0;

	(void)state;
	for (size_t i = 0; i < SCENARIOS; i++) {
		struct fault fault = {
			.kind = FAULT_ALLOCATION, .how = FAULT_REFUSE, .error = ENOMEM};

		places += run_places(&scenarios[i], fault, is_thorough ? 1 : scenarios[i].stride);
	}
	assert_true(places > 0);
}

/* `all`: every allocation, which takes minutes; else as many as a unit test has time for. */
int main(int argc, char **argv)
{
	const struct CMUnitTest calls[] = {
		cmocka_unit_test_teardown(every_call_fails_once_at_each_place, fault_print),
		cmocka_unit_test_teardown(every_read_and_write_comes_short_once, fault_print),
	};
	const struct CMUnitTest allocations[] = {
		cmocka_unit_test_teardown(allocations_fail_once, fault_print),
	};
	int failed = cmocka_run_group_tests(calls, NULL, NULL);

	is_thorough = argc > 1 && strcmp(argv[1], "all") == 0;
	/* Not earlier, as it makes SQLite slower. */
	fault_watch_sqlite();
	return failed + cmocka_run_group_tests(allocations, NULL, NULL);
}
