/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fault loop of a whole mount: whatever is asked of a plane, each allocation on the way from
 * the request to its answer fails once, and in another round so do those that follow it.  The
 * answer is true of what is on the share then, nothing is leaked, the next commit works, and who
 * starts now sees what this mount shows.
 *
 * The plane's thread does a round of its loop when the test says so; see jobs_take() below.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "fs/plane.h"
#include "fs/process.h"
#include "fs/record.h"
#include "fs/render.h"
#include "fs/verify.h"
#include "tests/lib/fault.h"
#include "tests/lib/mount.h"
#include "tests/lib/pair.h"
#include "tests/unit/unit.h"

#define ROUNDS_MAX 1000 /* an answer takes a few */
#define SHORTAGE   20   /* allocations in a row that fail where memory stays short */
#define DUMP_MAX   ((size_t)1024 * 1024)

static bool is_thorough; /* fail every allocation of every scenario */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool held;   /* by .lock: the plane's thread waits before each round */
	bool waits;  /* by .lock */
	bool may_go; /* by .lock: for one round */
} reins = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

unsigned __real_jobs_take(struct jobs *q, uint64_t until_ms, struct job **ret_jobs, unsigned max,
			  bool *ret_ended);
unsigned __wrap_jobs_take(struct jobs *q, uint64_t until_ms, struct job **ret_jobs, unsigned max,
			  bool *ret_ended);

unsigned __wrap_jobs_take(struct jobs *q, uint64_t until_ms, struct job **ret_jobs, unsigned max,
			  bool *ret_ended)
{
	bool held;

	fault_join();
	(void)pthread_mutex_lock(&reins.lock);
	reins.waits = true;
	(void)pthread_cond_broadcast(&reins.changed);
	while (reins.held && !reins.may_go) {
		(void)pthread_cond_wait(&reins.changed, &reins.lock);
	}
	reins.may_go = false;
	reins.waits = false;
	held = reins.held;
	(void)pthread_mutex_unlock(&reins.lock);
	return __real_jobs_take(q, held ? 0 : until_ms, ret_jobs, max, ret_ended);
}

static void hold(bool held)
{
	(void)pthread_mutex_lock(&reins.lock);
	reins.held = held;
	(void)pthread_cond_broadcast(&reins.changed);
	(void)pthread_mutex_unlock(&reins.lock);
}

/* One round: the requests that wait, or, without any, what is done then. */
static void go_round(void)
{
	(void)pthread_mutex_lock(&reins.lock);
	reins.may_go = true;
	(void)pthread_cond_broadcast(&reins.changed);
	while (reins.may_go || !reins.waits) {
		(void)pthread_cond_wait(&reins.changed, &reins.lock);
	}
	(void)pthread_mutex_unlock(&reins.lock);
}

int __wrap_nanosleep(const struct timespec *t, struct timespec *ret_left);

/* Nobody else is at work who could be waited for. */
int __wrap_nanosleep(const struct timespec *t, struct timespec *ret_left)
{
	(void)t;
	(void)ret_left;
	return 0;
}

#define ASKS_MAX 3

struct ask {
	struct request request;
	int expected; /* the answer if nothing fails */
	/* What the request is for; NULL: it changes nothing. */
	bool (*is_there)(struct index *ix, const struct request *req);
	bool queued;
	bool answered;
	int answer;
};

struct world {
	struct scratch *scratch;
	bool images_only;
	struct plane *plane;
	struct mount rival;
	unsigned n;
	struct ask asks[ASKS_MAX];
	/* When the act is over, where nothing is asked. */
	bool (*is_done)(struct world *w);
};

struct scenario {
	const char *name;
	bool images_only;
	unsigned stride;
	void (*prepare)(struct world *w);
};

static uint8_t dump[DUMP_MAX]; /* the last one; not allocated, as allocations are counted */
static size_t dump_n;

static void on_answer(void *ctx, int result, const void *bytes, size_t n)
{
	struct ask *a = ctx;

	assert(!a->answered && n <= DUMP_MAX);
	a->answered = true;
	a->answer = result;
	if (bytes) {
		memcpy(dump, bytes, n);
		dump_n = n;
	}
}

static void submit(struct world *w, struct ask *a)
{
	int r = plane_submit(w->plane, &a->request, on_answer, a);

	a->queued = r == 0;
	if (r < 0) {
		a->answered = true;
		a->answer = r;
	}
}

/* What must happen may be put off for a poll period, again and again. */
static void submit_and_wait(struct world *w, struct ask *a)
{
	submit(w, a);
	for (int i = 0; !a->answered; i++) {
		assert_true(i < ROUNDS_MAX);
		go_round();
		mount_now_ms += a->answered ? 0 : MOUNT_POLL_MS;
	}
}

/* Without a fault. */
static void want(struct world *w, struct request request, int expected)
{
	struct ask a = {.request = request};

	submit_and_wait(w, &a);
	assert_int_equal(a.answer, expected);
}

static void will_ask(struct world *w, struct request request, int expected,
		     bool (*is_there)(struct index *ix, const struct request *req))
{
	assert_true(w->n < ASKS_MAX);
	w->asks[w->n++] = (struct ask){
		.request = request,
		.expected = expected,
		.is_there = is_there,
	};
}

/* Requests, and what they are for. */

#define NODE "a"
#define LOCK "nightly"

/* Its text is good until the next one is made. */
static struct request record_of(const char *node, const char *status, size_t n_padding)
{
	static char text[RECORD_MAX_BYTES];
	struct request req = {.verb = REQUEST_WRITE_RECORD, .text = text};
	size_t n;

	(void)snprintf(req.node, sizeof(req.node), "%s", node);
	(void)snprintf(req.status, sizeof(req.status), "%s", status);
	n = (size_t)snprintf(text, sizeof(text),
			     "{\"nodeId\":\"%s\",\"status\":\"%s\",\"uri\":\"%0*d\"}", node, status,
			     (int)n_padding, 0);
	assert_true(n < sizeof(text));
	req.n = n;
	return req;
}

static struct request of_lease(enum request_verb verb, const char *name)
{
	struct request req = {
		.verb = verb, .node = NODE, .timeout_ms = UINT64_C(2) * MOUNT_TIMEOUT_MS};

	(void)snprintf(req.name, sizeof(req.name), "%s", name);
	return req;
}

static struct request of_node(enum request_verb verb, const char *node)
{
	struct request req = {.verb = verb, .why = "it is off", .who = "root@host"};

	(void)snprintf(req.node, sizeof(req.node), "%s", node);
	return req;
}

static struct request of_lock(enum request_verb verb, uint64_t owner)
{
	return (struct request){.verb = verb,
				.name = LOCK,
				.owner = owner,
				.exclusive = true,
				.wait = true,
				.text = "job.sh",
				.n = strlen("job.sh")};
}

static bool record_is_there(struct index *ix, const struct request *req)
{
	_cleanup_free_ char *record = NULL;
	int r = index_node_record(ix, req->node, &record);

	assert_true(r == 0 || r == -ENOENT);
	return r == 0 && strlen(record) == req->n && memcmp(record, req->text, req->n) == 0;
}

static bool record_is_gone(struct index *ix, const struct request *req)
{
	struct index_node node;

	return index_node_get(ix, req->node, &node) == -ENOENT;
}

static struct index_lease lease_of(struct index *ix, const char *name)
{
	struct index_lease lease;

	assert_ok(index_lease_get(ix, name, &lease));
	return lease;
}

static bool lease_is_held(struct index *ix, const struct request *req)
{
	return strcmp(lease_of(ix, req->name).holder, req->node) == 0;
}

static bool lease_is_free(struct index *ix, const struct request *req)
{
	struct index_lease lease = lease_of(ix, req->name);

	return lease.exists && lease.holder[0] == '\0';
}

static bool lease_is_gone(struct index *ix, const struct request *req)
{
	return !lease_of(ix, req->name).exists;
}

static bool timeout_is_set(struct index *ix, const struct request *req)
{
	return lease_of(ix, req->name).timeout_ms == req->timeout_ms;
}

/* In one commit or not at all: what it says, and that it holds nothing. */
static bool node_is(struct index *ix, const char *id, const char *want_status)
{
	char status[INDEX_STATUS_BYTES];
	_cleanup_free_ char *record = NULL;
	struct index_node node;
	bool has_any;

	assert_ok(index_node_get(ix, id, &node));
	assert_ok(index_node_record(ix, id, &record));
	assert_ok(record_check(record, strlen(record), id, status));
	assert_string_equal(node.status, status);
	if (strcmp(status, want_status) != 0) {
		return false;
	}
	assert_ok(index_lease_has_any(ix, id, &has_any));
	assert_false(has_any);
	return true;
}

static bool node_is_terminated(struct index *ix, const struct request *req)
{
	return node_is(ix, req->node, "TERMINATED");
}

static bool node_has_failed(struct index *ix, const struct request *req)
{
	return node_is(ix, req->node, RECORD_FAILED);
}

struct find_lock {
	const struct request *req;
	unsigned found;
	bool granted;
};

static int on_lock(void *ctx, const struct index_lock *lock)
{
	struct find_lock *f = ctx;

	if (lock->owner == f->req->owner && strcmp(lock->name, f->req->name) == 0) {
		f->found++;
		f->granted = lock->granted;
	}
	return 0;
}

static struct find_lock find_lock(struct index *ix, const struct request *req)
{
	struct find_lock f = {.req = req};

	assert_ok(index_each_lock(ix, on_lock, &f));
	assert_true(f.found <= 1);
	return f;
}

static bool lock_is_held(struct index *ix, const struct request *req)
{
	struct find_lock f = find_lock(ix, req);

	assert_true(f.granted == (f.found > 0));
	return f.granted;
}

static bool lock_is_queued(struct index *ix, const struct request *req)
{
	struct find_lock f = find_lock(ix, req);

	assert_false(f.granted);
	return f.found > 0;
}

#define WAITER 2 /* for the lock that owner 1 has */

static bool lock_is_passed_on(struct index *ix, const struct request *req)
{
	const struct request waiter = of_lock(REQUEST_LOCK, WAITER);
	bool held = find_lock(ix, req).found > 0;

	assert_true(find_lock(ix, &waiter).granted == !held);
	return !held;
}

#define RIVALS_NODE "b"

static int is_rivals(void *ctx, const char *id, const struct index_mount *m)
{
	(void)ctx;
	(void)m;
	return strcmp(id, "rival") == 0;
}

/* All that it had, or nothing. */
static bool rival_is_gone(struct index *ix, const struct request *req)
{
	const struct request lock = of_lock(REQUEST_LOCK, 1);
	bool gone = index_each_mount(ix, is_rivals, NULL) == 0;

	(void)req;
	assert_true(node_is(ix, RIVALS_NODE, RECORD_FAILED) == gone);
	assert_true((find_lock(ix, &lock).found == 0) == gone);
	return gone;
}

/* Scenes. */

static int try_open_plane(struct world *w)
{
	const struct plane_options options = {.backing_fd = w->scratch->fd,
					      .timeout_ms = MOUNT_TIMEOUT_MS,
					      .poll_ms = MOUNT_POLL_MS,
					      .images_only = w->images_only};

	return plane_open(&options, &w->plane, NULL);
}

static void open_plane(struct world *w)
{
	assert_ok(try_open_plane(w));
}

static void open_rival(struct world *w)
{
	assert_ok(mount_open(&w->rival, w->scratch, "rival", w->images_only, NULL));
}

static void rival_begins(struct world *w)
{
	assert_ok(mount_follow(&w->rival));
	assert_ok(index_begin(w->rival.index));
}

static void rival_publishes(struct world *w)
{
	struct chain_attempt attempt = {0};

	assert_int_equal(chain_prepare(&w->rival.chain, false, &attempt), 1);
	assert_int_equal(mount_publish(&w->rival, &attempt), 1);
	chain_attempt_done(&attempt);
}

static void put_rivals_record(struct world *w, size_t n_padding)
{
	const struct request req = record_of(RIVALS_NODE, "MASTER", n_padding);

	assert_ok(index_node_put(w->rival.index, RIVALS_NODE, w->rival.id, req.status, req.text,
				 req.n));
}

/* A node, `master` and a lock of another machine. */
static void rival_takes_all(struct world *w)
{
	const struct index_mount process = {.pid = 1, .host = "elsewhere"};
	struct index_lock lock = {.name = LOCK, .mount = "rival", .owner = 1, .exclusive = true};

	open_rival(w);
	rival_begins(w);
	assert_ok(index_mount_put(w->rival.index, w->rival.id, &process));
	put_rivals_record(w, 0);
	assert_ok(index_lease_grant(w->rival.index, LEASE_MASTER, RIVALS_NODE));
	assert_ok(index_lock_add(w->rival.index, &lock));
	assert_ok(index_lock_grant(w->rival.index, 1));
	rival_publishes(w);
}

static void first_record(struct world *w)
{
	open_plane(w);
	will_ask(w, record_of(NODE, "STANDBY", 0), 0, record_is_there);
}

static void open_with_node(struct world *w)
{
	open_plane(w);
	want(w, record_of(NODE, "STANDBY", 0), 0);
}

static void open_as_master(struct world *w)
{
	open_with_node(w);
	want(w, of_lease(REQUEST_CLAIM, LEASE_MASTER), 0);
}

static void next_record(struct world *w)
{
	open_as_master(w);
	will_ask(w, record_of(NODE, "MASTER", 0), 0, record_is_there);
}

static void long_record(struct world *w)
{
	open_with_node(w);
	will_ask(w, record_of(NODE, "STANDBY", RECORD_MAX_BYTES - 100), 0, record_is_there);
}

static void claim(struct world *w)
{
	open_with_node(w);
	will_ask(w, of_lease(REQUEST_CLAIM, LEASE_MASTER), 0, lease_is_held);
}

static void claim_in_vain(struct world *w)
{
	rival_takes_all(w);
	open_with_node(w);
	will_ask(w, of_lease(REQUEST_CLAIM, LEASE_MASTER), -EBUSY, lease_is_held);
}

static void release(struct world *w)
{
	open_as_master(w);
	will_ask(w, of_lease(REQUEST_RELEASE, LEASE_MASTER), 0, lease_is_free);
}

static void farewell(struct world *w)
{
	open_as_master(w);
	will_ask(w, record_of(NODE, "TERMINATED", 0), 0, node_is_terminated);
}

static void death(struct world *w)
{
	open_as_master(w);
	want(w, record_of(NODE, "MASTER", 100), 0);
	will_ask(w, of_node(REQUEST_NODE_DIED, NODE), 0, node_has_failed);
}

static void removal(struct world *w)
{
	open_with_node(w);
	want(w, record_of(NODE, "TERMINATED", 0), 0);
	will_ask(w, of_node(REQUEST_REMOVE_RECORD, NODE), 0, record_is_gone);
}

static void new_lease(struct world *w)
{
	open_plane(w);
	will_ask(w, of_lease(REQUEST_RELEASE, "jobs"), 0, lease_is_free);
}

static void new_timeout(struct world *w)
{
	open_plane(w);
	want(w, of_lease(REQUEST_RELEASE, "jobs"), 0);
	will_ask(w, of_lease(REQUEST_SET_TIMEOUT, "jobs"), 0, timeout_is_set);
}

static void lease_removal(struct world *w)
{
	open_plane(w);
	want(w, of_lease(REQUEST_RELEASE, "jobs"), 0);
	will_ask(w, of_lease(REQUEST_REMOVE_LEASE, "jobs"), 0, lease_is_gone);
}

static void locking(struct world *w)
{
	open_plane(w);
	will_ask(w, of_lock(REQUEST_LOCK, 1), 0, lock_is_held);
}

static void queueing(struct world *w)
{
	rival_takes_all(w);
	open_plane(w);
	will_ask(w, of_lock(REQUEST_LOCK, WAITER), REQUEST_QUEUED, lock_is_queued);
}

static void unlocking(struct world *w)
{
	open_plane(w);
	want(w, of_lock(REQUEST_LOCK, 1), 0);
	want(w, of_lock(REQUEST_LOCK, WAITER), REQUEST_QUEUED);
	will_ask(w, of_lock(REQUEST_UNLOCK, 1), 0, lock_is_passed_on);
}

static bool waiter_has_lock(struct world *w)
{
	struct view *v = plane_view(w->plane);
	const struct index_lock *lock = view_find_lock(v, plane_mount_id(w->plane), WAITER);
	bool has = lock && lock->granted;

	view_unref(v);
	return has;
}

static void sweeping(struct world *w)
{
	queueing(w);
	w->n = 0;
	want(w, of_lock(REQUEST_LOCK, WAITER), REQUEST_QUEUED);
	mount_now_ms += MOUNT_TIMEOUT_MS + 1;
	w->is_done = waiter_has_lock;
}

static void fencing(struct world *w)
{
	rival_takes_all(w);
	open_plane(w);
	will_ask(w, of_node(REQUEST_FENCE, RIVALS_NODE), 0, rival_is_gone);
}

static void burying(struct world *w)
{
	rival_takes_all(w);
	open_plane(w);
	will_ask(w, of_lease(REQUEST_BURY, "rival"), 0, rival_is_gone);
}

static void dumping(struct world *w)
{
	open_with_node(w);
	will_ask(w, of_lease(REQUEST_DUMP, ""), 0, NULL);
}

static void group(struct world *w)
{
	rival_takes_all(w);
	open_with_node(w);
	will_ask(w, of_lease(REQUEST_CLAIM, "jobs"), 0, lease_is_held);
	will_ask(w, of_lease(REQUEST_CLAIM, LEASE_MASTER), -EBUSY, lease_is_held);
	will_ask(w, record_of(NODE, "HOT_STANDBY", 0), 0, record_is_there);
}

/* What the plane has not read yet; the second is an image. */
static void rival_goes_on(struct world *w)
{
	for (size_t n_padding = 10; n_padding < RECORD_MAX_BYTES / 2; n_padding *= 100) {
		rival_begins(w);
		put_rivals_record(w, n_padding);
		rival_publishes(w);
	}
}

static void race(struct world *w)
{
	rival_takes_all(w);
	open_with_node(w);
	rival_goes_on(w);
	will_ask(w, of_lease(REQUEST_CLAIM, "jobs"), 0, lease_is_held);
}

static bool has_followed(struct world *w)
{
	struct view *v = plane_view(w->plane);
	bool has = v->generation == w->rival.chain.generation;

	view_unref(v);
	return has;
}

static void following(struct world *w)
{
	rival_takes_all(w);
	open_with_node(w);
	rival_goes_on(w);
	w->is_done = has_followed;
}

static const struct scenario scenarios[] = {
	{"a first record", false, 17, first_record},
	{"a master's record", false, 5, next_record},
	{"a record for which an image is made", false, 5, long_record},
	{"a record in a plane of images", true, 7, next_record},
	{"a claim", false, 7, claim},
	{"a claim that is refused", false, 7, claim_in_vain},
	{"a release", false, 7, release},
	{"a farewell", false, 7, farewell},
	{"a death", false, 11, death},
	{"a removal", false, 11, removal},
	{"a new lease", false, 7, new_lease},
	{"a lease's timeout", false, 5, new_timeout},
	{"a lease's removal", false, 7, lease_removal},
	{"a lock", false, 11, locking},
	{"a place in a lock's queue", false, 17, queueing},
	{"a lock that goes to the next", false, 7, unlocking},
	{"a lock of the dead", false, 11, sweeping},
	{"fencing", false, 29, fencing},
	{"burying", false, 31, burying},
	{"a dump", false, 1, dumping},
	{"a group", false, 23, group},
	{"a lost race", false, 29, race},
	{"a lost race of images", true, 41, race},
	{"following", false, 29, following},
};

#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static bool is_done(struct world *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		if (!w->asks[i].answered) {
			return false;
		}
	}
	return !w->is_done || w->is_done(w);
}

static void act(struct world *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		submit(w, &w->asks[i]);
	}
	for (int i = 0; i == 0 || !is_done(w); i++) {
		assert_true(i < ROUNDS_MAX);
		mount_now_ms += i > 0 ? MOUNT_POLL_MS : 0;
		go_round();
	}
}

static void check_dump(struct mount *late)
{
	struct image_head head;
	struct index *ix;

	assert_ok(index_new(&ix));
	assert_ok(index_from_image(ix, dump, dump_n, &head, NULL));
	pair_assert_same(ix, late->index);
	index_free(ix);
}

/* Nobody asks again for these. */
static bool must_happen(enum request_verb verb)
{
	return verb == REQUEST_NODE_DIED || verb == REQUEST_UNLOCK || verb == REQUEST_BURY;
}

/* What was answered is what whoever starts now finds. */
static void check_answers(struct world *w, struct mount *late)
{
	for (unsigned i = 0; i < w->n; i++) {
		const struct ask *a = &w->asks[i];

		if (a->answer != a->expected) {
			assert_int_equal(a->answer, -ENOMEM);
			assert_false(a->queued && must_happen(a->request.verb));
		}
		if (a->is_there) {
			assert_int_equal(a->is_there(late->index, &a->request), a->answer >= 0);
		} else if (a->answer == 0) {
			check_dump(late);
		}
	}
}

/* All that a view shows of the plane, malloc'd. */
static char *text_of(const struct view *v)
{
	char *text;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	(void)fprintf(out, "generation %llu\n%s", (unsigned long long)v->generation, v->log->text);
	for (size_t i = 0; i < v->n_nodes; i++) {
		const struct view_node *node = &v->nodes[i];

		(void)fprintf(out, "node %s %s %s %llu %s\n", node->id, node->row.mount,
			      node->row.status, (unsigned long long)node->row.beat, node->record);
	}
	for (size_t i = 0; i < v->n_mounts; i++) {
		(void)fprintf(out, "mount %s\n", v->mounts[i].id);
	}
	for (size_t i = 0; i < v->n_leases; i++) {
		const struct view_lease *l = &v->leases[i];

		(void)fprintf(out, "lease %s %s %llu %llu\n", l->name, l->row.holder,
			      (unsigned long long)l->row.epoch,
			      (unsigned long long)l->row.timeout_ms);
	}
	for (size_t i = 0; i < v->n_locks; i++) {
		(void)fprintf(out, "lock %s %s %llu %d\n", v->locks[i].name, v->locks[i].mount,
			      (unsigned long long)v->locks[i].owner, v->locks[i].granted);
	}
	assert_int_equal(fclose(out), 0);
	return text;
}

/* The plane shows what @late has loaded. */
static void assert_agree(struct world *w, struct mount *late)
{
	const struct view_head head = {.generation = late->chain.generation, .own_mount = late->id};
	struct view *shown = plane_view(w->plane), *fresh;
	_cleanup_free_ char *shown_text = text_of(shown);
	_cleanup_free_ char *fresh_text = NULL;

	assert_ok(view_new(late->index, NULL, &head, &fresh));
	fresh_text = text_of(fresh);
	view_unref(fresh);
	view_unref(shown);
	assert_string_equal(shown_text, fresh_text);
}

static void check_next_commit(struct world *w, struct mount *late)
{
	struct ask next = {.request = record_of("next", "STANDBY", 0)};
	struct ask all = {.request = of_lease(REQUEST_DUMP, "")};
	struct err problem;

	submit_and_wait(w, &next);
	assert_int_equal(next.answer, 0);
	assert_ok(mount_follow(late));
	assert_true(record_is_there(late->index, &next.request));
	assert_agree(w, late);
	submit_and_wait(w, &all);
	assert_int_equal(all.answer, 0);
	check_dump(late);
	plane_problem(w->plane, &problem);
	assert_string_equal(problem.text, "");
}

static void check_farewell(struct world *w, struct mount *late)
{
	struct fs_verify_report report;

	hold(false);
	assert_int_equal(plane_close(w->plane), 0);
	assert_ok(mount_follow(late));
	assert_true(node_is(late->index, "next", RECORD_FAILED));
	assert_ok(fs_verify_generations(late->store, NULL, NULL, &report));
	assert_u64(report.newest, late->chain.generation);
	assert_int_equal(report.faults, 0);
}

static void check(struct world *w)
{
	struct mount late;

	assert_ok(mount_open(&late, w->scratch, "late", w->images_only, NULL));
	check_answers(w, &late);
	check_next_commit(w, &late);
	check_farewell(w, &late);
	mount_close(&late);
}

static void set_up(struct world *w)
{
	void *own = NULL;

	mount_now_ms = MOUNT_NOW_MS;
	hold(true);
	assert_ok(scratch_set_up(&own));
	w->scratch = own;
}

static void tear_down(struct world *w)
{
	void *own = w->scratch;

	mount_close(&w->rival);
	assert_ok(scratch_tear_down(&own));
	assert_int_equal(fault_sqlite_bytes(), 0);
}

/* False: there are fewer allocations than that. */
static bool run_scenario(const struct scenario *scenario, const struct fault *fault)
{
	struct world w = {.images_only = scenario->images_only};
	int fds = fault_open_fds();
	bool reached;

	set_up(&w);
	scenario->prepare(&w);
	fault_arm(scenario->name, fault);
	act(&w);
	reached = fault_disarm();
	check(&w);
	tear_down(&w);
	assert_int_equal(fault_open_fds(), fds);
	return reached;
}

static bool run_start(const struct scenario *scenario, const struct fault *fault)
{
	struct world w = {.images_only = scenario->images_only};
	int fds = fault_open_fds();
	bool reached;
	int r;

	set_up(&w);
	if (scenario->prepare) {
		scenario->prepare(&w);
		mount_close(&w.rival);
	}
	fault_arm(scenario->name, fault);
	r = try_open_plane(&w);
	reached = fault_disarm();
	if (r < 0) {
		assert_int_equal(r,
				 strcmp(fault_call(), "pthread_create") == 0 ? -EAGAIN : -ENOMEM);
		assert_null(w.plane);
		assert_int_equal(fault_open_fds(), fds + 1);
		assert_int_equal(fault_sqlite_bytes(), 0);
		open_plane(&w);
	}
	check(&w);
	tear_down(&w);
	assert_int_equal(fault_open_fds(), fds);
	return reached;
}

/* It finds what an earlier process of this machine has left, and which is not there any more. */
static void predecessor(struct world *w)
{
	struct index_mount process;

	rival_takes_all(w);
	rival_begins(w);
	process_describe(&process);
	process.started++;
	assert_ok(index_mount_delete(w->rival.index, w->rival.id));
	assert_ok(index_mount_put(w->rival.index, w->rival.id, &process));
	rival_publishes(w);
}

static const struct scenario starts[] = {
	{"a new plane", false, 101, NULL},
	{"a new plane of images", true, 113, NULL},
	{"a plane that is there", false, 127, predecessor},
};

#define STARTS (sizeof(starts) / sizeof(starts[0]))

/* Every so many places, until there are no more.  Returns how many there were. */
static unsigned run_places(const struct scenario *scenario, unsigned more,
			   bool (*run_one)(const struct scenario *s, const struct fault *f))
{
	struct fault fault = {
		.kind = FAULT_ALLOCATION, .how = FAULT_REFUSE, .error = ENOMEM, .more = more};
	/* Where more fails, neighbours are alike. */
	unsigned step = is_thorough ? 1 : more > 0 ? 5 * scenario->stride : scenario->stride;
	unsigned places = 0;

	while (run_one(scenario, &fault)) {
		fault.nth += step;
		places++;
	}
	return places;
}

static void run_all(unsigned more)
{
	unsigned places = 0;

	for (size_t i = 0; i < SCENARIOS; i++) {
		places += run_places(&scenarios[i], more, run_scenario);
	}
	for (size_t i = 0; i < STARTS; i++) {
		places += run_places(&starts[i], more, run_start);
	}
	print_message("  %u places\n", places);
	assert_true(places > 0);
}

static void allocations_fail_once(void **state)
{
	(void)state;
	run_all(0);
}

static void memory_stays_short_for_a_while(void **state)
{
	(void)state;
	run_all(SHORTAGE);
}

/* jansson may go on without what it could not allocate. */
static void json_comes_whole_or_not_at_all(void **state)
{
	struct request record;
	struct fault fault = {.kind = FAULT_ALLOCATION, .error = ENOMEM};
	struct world w = {0};
	_cleanup_free_ char *whole = NULL, *failed = NULL;
	struct view *v;
	bool reached;

	(void)state;
	set_up(&w);
	open_as_master(&w);
	v = plane_view(w.plane);
	whole = render_plane(w.plane, v);
	assert_non_null(whole);
	record = record_of(NODE, "STANDBY", 100);
	assert_ok(record_with_status(record.text, RECORD_FAILED, &failed));
	do {
		_cleanup_free_ char *text = NULL, *rewritten = NULL;
		char status[INDEX_STATUS_BYTES];
		int checked, written;

		fault_arm("JSON", &fault);
		text = render_plane(w.plane, v);
		reached = fault_disarm();
		assert_true(reached == !text);
		assert_true(!text || strcmp(text, whole) == 0);

		fault_arm("JSON", &fault);
		checked = record_check(record.text, record.n, NODE, status);
		assert_int_equal(checked, fault_disarm() ? -ENOMEM : 0);

		fault_arm("JSON", &fault);
		written = record_with_status(record.text, RECORD_FAILED, &rewritten);
		assert_int_equal(written, fault_disarm() ? -ENOMEM : 0);
		assert_true(written < 0 || strcmp(rewritten, failed) == 0);
		fault.nth++;
	} while (reached);
	view_unref(v);
	hold(false);
	assert_int_equal(plane_close(w.plane), 0);
	tear_down(&w);
}

/* `all`: every allocation, which takes minutes; else as many as a unit test has time for. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(allocations_fail_once, fault_print),
		cmocka_unit_test_teardown(json_comes_whole_or_not_at_all, fault_print),
		cmocka_unit_test_teardown(memory_stays_short_for_a_while, fault_print),
	};

	is_thorough = argc > 1 && strcmp(argv[1], "all") == 0;
	fault_watch_sqlite();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
