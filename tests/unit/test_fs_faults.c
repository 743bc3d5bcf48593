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
#include "fs/chain.h"
#include "tests/lib/fault.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

#define TMP STORE_DIRECTORY "/tmp"

static const struct chain_birth birth = {.timeout_ms = 5000, .poll_ms = 1000};

static bool is_thorough; /* fail every allocation of every scenario */

static uint64_t now_ms; /* CLOCK_BOOTTIME; ours, see ld(1) --wrap */

uint64_t __wrap_clock_boot_ms(void);

uint64_t __wrap_clock_boot_ms(void)
{
	return now_ms;
}

struct mount {
	char id[PARSE_ID_BYTES];
	struct store *store;
	struct index *index;
	struct chain chain;
};

static void mount_close(struct mount *m)
{
	index_free(m->index);
	store_close(m->store);
	*m = (struct mount){0};
}

static int mount_open(struct mount *m, const struct scratch *s, const char *id, bool images_only)
{
	int r;

	*m = (struct mount){0};
	(void)snprintf(m->id, sizeof(m->id), "%s", id);
	r = store_open(s->fd, id, images_only, &m->store, NULL);
	if (r == 0) {
		r = index_new(&m->index);
	}
	if (r == 0) {
		r = chain_load(&m->chain, m->store, m->index, id, &birth, NULL);
	}
	if (r < 0) {
		mount_close(m);
	}
	return r;
}

/* Up to the newest generation. */
static int follow(struct mount *m)
{
	int r;

	do {
		r = chain_catch_up(&m->chain);
	} while (r > 0);
	return r;
}

static bool has_node(struct mount *m, const char *id)
{
	struct index_node node;
	int r = index_node_get(m->index, id, &node);

	assert_true(r == 0 || r == -ENOENT);
	return r == 0;
}

static int print_node(void *ctx, const char *id, const struct index_node *node, const char *record,
		      size_t n)
{
	(void)fprintf(ctx, "%s %s %s %llu %.*s\n", id, node->mount, node->status,
		      (unsigned long long)node->beat, (int)n, record);
	return 0;
}

static int print_lease(void *ctx, const char *name, const struct index_lease *lease)
{
	(void)fprintf(ctx, "%s %s %llu\n", name, lease->holder, (unsigned long long)lease->epoch);
	return 0;
}

static int print_event(void *ctx, const struct index_event *e)
{
	(void)fprintf(ctx, "%s %s %s\n", e->what, e->node, e->detail);
	return 0;
}

/* All rows; malloc'd. */
static char *rows_of(struct mount *m)
{
	char *text;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	assert_ok(index_each_node(m->index, print_node, out));
	assert_ok(index_each_lease(m->index, print_lease, out));
	assert_ok(index_each_event(m->index, print_event, out));
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_agree(struct mount *a, struct mount *b)
{
	_cleanup_free_ char *rows_a = rows_of(a);
	_cleanup_free_ char *rows_b = rows_of(b);

	assert_u64(a->chain.generation, b->chain.generation);
	assert_string_equal(a->chain.hash, b->chain.hash);
	assert_string_equal(rows_a, rows_b);
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

static int publish(struct mount *m, struct chain_attempt *a)
{
	enum commit_verdict verdict;
	int error = 0;

	do {
		verdict = chain_send(&m->chain, a, &error);
	} while (verdict == COMMIT_UNKNOWN);
	if (verdict == COMMIT_OURS) {
		return 1;
	}
	if (verdict == COMMIT_FAILED) {
		return error;
	}
	return follow(m);
}

/* 1: all have their answer; 0: run them again; -errno: the answer for all. */
static int try_jobs(struct mount *m, struct jobs *jobs)
{
	struct chain_attempt attempt = {0};
	int r = m->chain.damaged ? -EUCLEAN : chain_is_stale(&m->chain) ? follow(m) : 0;

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
		r = publish(m, &attempt);
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
	assert_int_equal(publish(m, &attempt), 1);
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
	assert_ok(mount_open(&w->a, w->scratch, "a", w->images_only));
}

static void open_both(struct world *w)
{
	open_a(w);
	assert_ok(mount_open(&w->b, w->scratch, "b", w->images_only));
}

/* Damage is what an operator has to repair: one call that failed is none. */
static void assert_is_no_damage(int r)
{
	assert_true(r >= 0 || (r != -EUCLEAN && r != -EBADMSG));
}

/* Mount a goes on, and a mount that starts now arrives where it is. */
static void check_next_commit(struct world *w)
{
	struct mount late;

	assert_false(w->a.chain.damaged);
	assert_ok(follow(&w->a));
	assert_ok(mount_open(&late, w->scratch, "late", w->images_only));
	assert_agree(&w->a, &late);
	commit_one(&w->a, "next");
	assert_ok(follow(&late));
	assert_true(has_node(&late, "next"));
	assert_agree(&w->a, &late);
	mount_close(&late);
}

static void act_open(struct world *w)
{
	w->answer = mount_open(&w->a, w->scratch, "a", w->images_only);
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

	assert_ok(mount_open(&late, w->scratch, "late", w->images_only));
	for (unsigned i = 0; i < w->jobs.n; i++) {
		assert_is_no_damage(w->jobs.v[i].answer);
		assert_int_equal(has_node(&late, w->jobs.v[i].node), w->jobs.v[i].answer == 0);
		assert_true(w->jobs.v[i].answer < 0 || !w->jobs.v[i].refusal);
	}
	assert_true(has_node(&late, "before"));
	mount_close(&late);
	check_next_commit(w);
}

/* Another mount was first: its generation is read, and the jobs are run again on top of it. */
static void prepare_race(struct world *w)
{
	prepare_commit(w);
	assert_ok(mount_open(&w->b, w->scratch, "b", w->images_only));
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
	w->answer = follow(&w->a);
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
	now_ms += COMMIT_TRUST_MS + 1;
}

/* A create that succeeds late: its number may have been used and collected. */
static void prepare_late(struct world *w)
{
	prepare_commit(w);
	w->a.chain.verified_ms = now_ms;
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
		now_ms += COMMIT_TRUST_MS + 1;
		if (r > 0) {
			r = publish(&w->a, &attempt);
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
		now_ms += COMMIT_TRUST_MS - 1;
		commit_image(&w->a, "before");
	}
	now_ms += COMMIT_TRUST_MS - 1;
	commit_one(&w->a, "before");
	assert_int_equal(symlinkat("x", w->scratch->fd, TMP "/dead.1"), 0);
}

static void act_collect(struct world *w)
{
	struct chain_old old = chain_old(&w->a.chain, now_ms);

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

static const struct scenario scenarios[] = {
	{"creating a plane", false, 197, NULL, act_open, check_open},
	{"creating a plane of images", true, 211, NULL, act_open, check_open},
	{"loading", false, 199, prepare_load, act_open, check_load},
	{"committing a link", false, 2, prepare_commit, act_commit, check_commit},
	{"committing an image", true, 7, prepare_commit, act_commit, check_commit},
	{"losing a race of links", false, 5, prepare_race, act_commit, check_race},
	{"losing a race of images", true, 41, prepare_race, act_commit, check_race},
	{"following links", false, 29, prepare_follow, act_follow, check_follow},
	{"following images", true, 37, prepare_follow, act_follow, check_follow},
	{"loading anew", false, 97, prepare_stale, act_follow, check_follow},
	{"committing late", false, 29, prepare_late, act_late, check_commit},
	{"collecting", false, 1, prepare_collect, act_collect, check_collect},
};

#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* Where a test that fails has come to; the teardown prints it. */
static struct place {
	const char *scenario, *call;
	struct fault fault;
} last;

static int print_place(void **state)
{
	(void)state;
	print_message("last: %s, %s() no. %u, %s %s\n", last.scenario, last.call, last.fault.nth,
		      last.fault.how == FAULT_DENY ? "denied" : "refused",
		      last.fault.error ? strerrorname_np(last.fault.error) : "short");
	return 0;
}

/* False: there are fewer calls than that. */
static bool run_scenario(const struct scenario *scenario, const struct fault *fault)
{
	struct world w = {.images_only = scenario->images_only};
	int fds = fault_open_fds();
	const char *call = "none";
	void *own = NULL;
	bool reached;

	now_ms = 1000000;
	assert_ok(scratch_set_up(&own));
	w.scratch = own;
	if (scenario->prepare) {
		scenario->prepare(&w);
	}
	fault_arm(fault);
	scenario->act(&w);
	reached = fault_disarm(&call);
	last = (struct place){scenario->name, call, *fault};
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

	(void)state;
	for (size_t i = 0; i < SCENARIOS; i++) {
		for (size_t k = 0; k < sizeof(errors) / sizeof(errors[0]); k++) {
			for (enum fault_how how = FAULT_REFUSE; how <= FAULT_DENY; how++) {
				struct fault fault = {
					.kind = FAULT_CALL, .how = how, .error = errors[k]};

				assert_true(run_places(&scenarios[i], fault, 1) > 0 ||
					    how == FAULT_DENY);
			}
		}
	}
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
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_call_fails_once_at_each_place, print_place),
		cmocka_unit_test_teardown(every_read_and_write_comes_short_once, print_place),
		cmocka_unit_test_teardown(allocations_fail_once, print_place),
	};

	is_thorough = argc > 1 && strcmp(argv[1], "all") == 0;
	fault_watch_sqlite();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
