/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/plane.c with its threads, over a real directory.  Two planes in one process are two mounts.
 * symlinkat(2) is ours (see ld(1) --wrap), so that the share can hang for one of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "fs/plane.h"
#include "fs/store.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

/* Short, to see timeouts pass; and long, where none should. */
#define SHORT_MS  500
#define MIDDLE_MS 3000
#define LONG_MS   20000
#define POLL_MS   20
#define LIMIT_MS  10000 /* nothing here takes that long unless it hangs */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char mount_id[PARSE_ID_BYTES]; /* whose changes hang; "": nobody's */
	unsigned hanging;
} hang = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __real_symlinkat(const char *target, int dir, const char *name);
int __wrap_symlinkat(const char *target, int dir, const char *name);

/* The text of a change names its writer: "1.<mount id>.…". */
static bool hangs_locked(const char *target)
{
	size_t n = strlen(hang.mount_id);

	return n > 0 && strncmp(target, "1.", 2) == 0 && strncmp(target + 2, hang.mount_id, n) == 0;
}

static atomic_int refusal; /* errno of all that would be created; 0: none */

int __wrap_symlinkat(const char *target, int dir, const char *name)
{
	if (refusal != 0) {
		errno = refusal;
		return -1;
	}
	(void)pthread_mutex_lock(&hang.lock);
	while (hangs_locked(target)) {
		hang.hanging = 1;
		(void)pthread_cond_broadcast(&hang.changed);
		(void)pthread_cond_wait(&hang.changed, &hang.lock);
	}
	hang.hanging = 0;
	(void)pthread_mutex_unlock(&hang.lock);
	return __real_symlinkat(target, dir, name);
}

/* Memory runs out for the views of this mount; "": of none. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char mount_id[PARSE_ID_BYTES];
	unsigned failed;
} poor = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __real_view_new(struct index *ix, const struct view *before, const struct view_head *head,
		    struct view **ret);
int __wrap_view_new(struct index *ix, const struct view *before, const struct view_head *head,
		    struct view **ret);

int __wrap_view_new(struct index *ix, const struct view *before, const struct view_head *head,
		    struct view **ret)
{
	bool fails;

	(void)pthread_mutex_lock(&poor.lock);
	fails = strcmp(poor.mount_id, head->own_mount) == 0;
	poor.failed += fails;
	(void)pthread_cond_broadcast(&poor.changed);
	(void)pthread_mutex_unlock(&poor.lock);
	return fails ? -ENOMEM : __real_view_new(ix, before, head, ret);
}

static void make_poor(const char *mount_id)
{
	(void)pthread_mutex_lock(&poor.lock);
	(void)snprintf(poor.mount_id, sizeof(poor.mount_id), "%s", mount_id);
	(void)pthread_mutex_unlock(&poor.lock);
}

static void wait_until_it_fails(void)
{
	(void)pthread_mutex_lock(&poor.lock);
	while (poor.failed == 0) {
		(void)pthread_cond_wait(&poor.changed, &poor.lock);
	}
	(void)pthread_mutex_unlock(&poor.lock);
}

static void hang_for(const char *mount_id)
{
	(void)pthread_mutex_lock(&hang.lock);
	(void)snprintf(hang.mount_id, sizeof(hang.mount_id), "%s", mount_id);
	(void)pthread_cond_broadcast(&hang.changed);
	(void)pthread_mutex_unlock(&hang.lock);
}

static void wait_until_it_hangs(void)
{
	(void)pthread_mutex_lock(&hang.lock);
	while (!hang.hanging) {
		(void)pthread_cond_wait(&hang.changed, &hang.lock);
	}
	(void)pthread_mutex_unlock(&hang.lock);
}

struct answer {
	pthread_mutex_t lock;
	pthread_cond_t told;
	unsigned times;
	int result;
	char head[16]; /* of the bytes that came with it */
};

#define ANSWER                                                                                     \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER                \
	}

static void on_answer(void *ctx, int result, const void *bytes, size_t n)
{
	struct answer *a = ctx;

	(void)pthread_mutex_lock(&a->lock);
	a->times++;
	a->result = result;
	memcpy(a->head, bytes ? bytes : "", bytes && n > sizeof(a->head) ? sizeof(a->head) : 1);
	(void)pthread_cond_signal(&a->told);
	(void)pthread_mutex_unlock(&a->lock);
}

static int wait_for(struct answer *a)
{
	int result;

	(void)pthread_mutex_lock(&a->lock);
	while (a->times == 0) {
		(void)pthread_cond_wait(&a->told, &a->lock);
	}
	result = a->result;
	(void)pthread_mutex_unlock(&a->lock);
	return result;
}

static unsigned times_told(struct answer *a)
{
	unsigned times;

	(void)pthread_mutex_lock(&a->lock);
	times = a->times;
	(void)pthread_mutex_unlock(&a->lock);
	return times;
}

static int ask(struct plane *p, const struct request *req)
{
	struct answer a = ANSWER;
	int r = plane_submit(p, req, on_answer, &a);

	return r < 0 ? r : wait_for(&a);
}

static struct request record_of(const char *node, const char *status, char *text, size_t room)
{
	struct request req = {.verb = REQUEST_WRITE_RECORD, .text = text};

	(void)snprintf(req.node, sizeof(req.node), "%s", node);
	(void)snprintf(req.status, sizeof(req.status), "%s", status);
	req.n = (size_t)snprintf(text, room, "{\"nodeId\":\"%s\",\"status\":\"%s\"}", node, status);
	return req;
}

static int write_record(struct plane *p, const char *node, const char *status)
{
	char text[128];
	struct request req = record_of(node, status, text, sizeof(text));

	return ask(p, &req);
}

static struct request about(enum request_verb verb, const char *node)
{
	struct request req = {.verb = verb, .name = LEASE_MASTER};

	(void)snprintf(req.node, sizeof(req.node), "%s", node);
	return req;
}

static int claim(struct plane *p, const char *node)
{
	struct request req = about(REQUEST_CLAIM, node);

	return ask(p, &req);
}

static int try_open(const struct scratch *s, uint64_t timeout_ms, uint64_t poll_ms,
		    struct plane **ret, struct err *reterr)
{
	const struct plane_options o = {
		.backing_fd = s->fd, .timeout_ms = timeout_ms, .poll_ms = poll_ms};

	return plane_open(&o, ret, reterr);
}

static struct plane *open_plane(const struct scratch *s, uint64_t timeout_ms)
{
	struct plane *p = NULL;

	assert_ok(try_open(s, timeout_ms, POLL_MS, &p, NULL));
	return p;
}

/* Until the expression holds; the test fails if it never does. */
#define wait_until(expr)                                                                           \
	do {                                                                                       \
		uint64_t limit_ms_ = clock_boot_ms() + LIMIT_MS;                                   \
		while (!(expr)) {                                                                  \
			const struct timespec step_ = {.tv_nsec = 1000000};                        \
			if (clock_boot_ms() > limit_ms_) {                                         \
				fail_msg("never: %s", #expr);                                      \
			}                                                                          \
			(void)nanosleep(&step_, NULL);                                             \
		}                                                                                  \
	} while (0)

static bool shows_status(struct plane *p, const char *node, const char *status)
{
	struct view *v = plane_view(p);
	const struct view_node *n = view_find_node(v, node);
	bool shows = n && strcmp(n->row.status, status) == 0;

	view_unref(v);
	return shows;
}

static uint64_t beats_of(struct plane *p, const char *node)
{
	struct view *v = plane_view(p);
	const struct view_node *n = view_find_node(v, node);
	uint64_t beats = n ? n->row.beat : 0;

	view_unref(v);
	return beats;
}

static bool shows_holder(struct plane *p, const char *node)
{
	struct view *v = plane_view(p);
	bool shows = strcmp(view_lease(v, LEASE_MASTER).holder, node) == 0;

	view_unref(v);
	return shows;
}

static bool may_write(struct plane *p)
{
	struct gate_pass pass;

	return gate_enter(plane_gate(p), &pass) == 0 && gate_leave(plane_gate(p), &pass) == 0;
}

/* A loaded machine may need more than one try within so short a timeout. */
static bool became_master(struct plane *p, const char *node)
{
	return write_record(p, node, "STANDBY") == 0 && claim(p, node) == 0;
}

static void a_new_plane_takes_the_timing_that_it_is_given(void **state)
{
	struct plane *a = open_plane(*state, LONG_MS), *b = NULL;
	struct view *v;

	assert_ok(try_open(*state, 0, 0, &b, NULL)); /* whatever it has */
	v = plane_view(b);
	assert_u64(v->timing.timeout_ms, LONG_MS);
	assert_u64(v->timing.poll_ms, POLL_MS);
	view_unref(v);
	assert_string_equal(plane_id(a), plane_id(b));
	assert_string_not_equal(plane_mount_id(a), plane_mount_id(b));
	plane_close(b);
	plane_close(a);
}

static void a_new_plane_without_a_word_gets_the_defaults(void **state)
{
	struct plane *p = NULL;
	struct view *v;

	assert_ok(try_open(*state, 0, 0, &p, NULL));
	v = plane_view(p);
	assert_u64(v->timing.timeout_ms, PLANE_DEFAULT_TIMEOUT_MS);
	assert_u64(v->timing.poll_ms, PLANE_DEFAULT_POLL_MS);
	view_unref(v);
	plane_close(p);
}

static void another_timing_is_refused_with_both_values(void **state)
{
	struct plane *p = open_plane(*state, LONG_MS), *untouched = NULL;
	struct err err = {{0}};

	assert_errno(try_open(*state, 30000, 0, &untouched, &err), EINVAL);
	assert_string_equal(err.text, "heartbeat_timeout=30s was given, but this plane has 20s");
	err.text[0] = '\0';
	assert_errno(try_open(*state, LONG_MS, 1000, &untouched, &err), EINVAL);
	assert_string_equal(err.text, "poll_period=1s was given, but this plane has 20ms");
	assert_null(untouched);
	plane_close(p);
}

static void an_unsafe_timing_is_refused_before_anything_is_made(void **state)
{
	struct plane *untouched = NULL;
	struct err err = {{0}};

	assert_errno(try_open(*state, 3000, 1000, &untouched, &err), EINVAL);
	assert_non_null(strstr(err.text, "unsafe timing: heartbeatTimeout >= 4 x pollPeriod"));
	assert_null(untouched);
	assert_int_equal(scratch_count(*state, "."), 0);
}

static void two_planes_on_one_directory_see_each_others_commits(void **state)
{
	struct plane *a = open_plane(*state, LONG_MS), *b = open_plane(*state, LONG_MS);

	assert_ok(write_record(a, "a", "STANDBY"));
	assert_true(
		shows_status(a, "a", "STANDBY")); /* at once: it is answered after it is shown */
	wait_until(shows_status(b, "a", "STANDBY"));
	assert_errno(write_record(b, "a", "STANDBY"), EACCES);
	assert_ok(write_record(b, "b", "STANDBY"));
	wait_until(shows_status(a, "b", "STANDBY"));
	plane_close(a);
	plane_close(b);
}

static void the_gate_is_open_where_the_master_is(void **state)
{
	struct plane *a = open_plane(*state, LONG_MS), *b = open_plane(*state, LONG_MS);
	struct request release = about(REQUEST_RELEASE, "");

	assert_false(may_write(a));
	assert_ok(write_record(a, "a", "STANDBY"));
	assert_ok(write_record(b, "b", "STANDBY"));
	assert_false(may_write(a));
	assert_ok(claim(a, "a"));
	assert_true(may_write(a));
	assert_errno(claim(b, "b"), EBUSY);
	assert_false(may_write(b));

	assert_ok(ask(a, &release));
	assert_false(may_write(a));
	assert_ok(claim(b, "b"));
	assert_true(may_write(b));
	plane_close(a);
	plane_close(b);
}

/* A claim by the mount's other node shuts the gate first; refused, it must be open again. */
static void a_refused_claim_leaves_the_gate_open(void **state)
{
	struct plane *p = open_plane(*state, LONG_MS);

	assert_ok(write_record(p, "a", "STANDBY"));
	assert_ok(write_record(p, "c", "STANDBY"));
	assert_ok(claim(p, "a"));
	assert_errno(claim(p, "c"), EBUSY);
	assert_true(may_write(p));
	plane_close(p);
}

/* Also when the deadline is over: the margin is for those who are late. */
static void a_lease_that_is_given_up_late_waits_for_those_inside(void **state)
{
	struct plane *p = open_plane(*state, MIDDLE_MS);
	struct request death = about(REQUEST_NODE_DIED, "a");
	struct answer died = ANSWER;
	struct gate_pass pass;
	struct view *v;
	uint64_t free_ms;

	wait_until(became_master(p, "a"));
	assert_ok(gate_enter(plane_gate(p), &pass));
	wait_until(!may_write(p));
	v = plane_view(p);
	free_ms = view_lease_end_ms(v, LEASE_MASTER) + v->timing.margin_ms;
	view_unref(v);
	assert_ok(plane_submit(p, &death, on_answer, &died));
	assert_ok(wait_for(&died));
	assert_true(clock_boot_ms() >= free_ms);
	assert_errno(gate_leave(plane_gate(p), &pass), EIO);
	plane_close(p);
}

/* EPERM of a claim means that it is not this mount's node, not that the share refuses. */
static void errors_of_the_share_are_no_verdicts(void **state)
{
	static const int refusals[] = {EPERM, EACCES};
	struct plane *p = open_plane(*state, LONG_MS);

	assert_ok(write_record(p, "a", "STANDBY"));
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		refusal = refusals[i];
		assert_errno(claim(p, "a"), EIO);
		assert_errno(write_record(p, "a", "STANDBY"), EIO);
	}
	refusal = ENOSPC;
	assert_errno(write_record(p, "a", "STANDBY"), ENOSPC);
	refusal = 0;
	assert_ok(claim(p, "a"));
	plane_close(p);
}

static uint64_t seen_ms(struct plane *p, const char *mount_id)
{
	struct view *v = plane_view(p);
	uint64_t first_ms = view_find_mount(v, mount_id)->seen.since_ms;

	view_unref(v);
	return first_ms;
}

/* What was there already when it was loaded is no sign of life. */
static void silence_counts_from_the_start(void **state)
{
	struct plane *a = open_plane(*state, LONG_MS), *b;
	uint64_t first_ms;

	assert_ok(write_record(a, "a", "STANDBY"));
	b = open_plane(*state, LONG_MS);
	first_ms = seen_ms(b, plane_mount_id(a));
	wait_until(clock_boot_ms() > first_ms);
	assert_ok(write_record(b, "b", "STANDBY"));
	assert_u64(seen_ms(b, plane_mount_id(a)), first_ms);
	plane_close(a);
	plane_close(b);
}

static void a_dump_is_the_database(void **state)
{
	struct plane *p = open_plane(*state, LONG_MS);
	struct request dump = about(REQUEST_DUMP, "");
	struct answer a = ANSWER;

	assert_ok(plane_submit(p, &dump, on_answer, &a));
	assert_ok(wait_for(&a));
	assert_memory_equal(a.head, "SQLite format 3", 16);
	plane_close(p);
}

struct beater {
	pthread_t thread;
	struct plane *plane;
	char node[8];
	unsigned failed;
};

#define BEATERS 4
#define BEATS   25

static void *run_beater(void *arg)
{
	struct beater *b = arg;

	for (int i = 0; i < BEATS; i++) {
		b->failed += write_record(b->plane, b->node, "STANDBY") != 0;
	}
	return NULL;
}

static void no_beat_of_many_threads_on_two_planes_is_lost(void **state)
{
	struct plane *planes[2] = {open_plane(*state, LONG_MS), open_plane(*state, LONG_MS)};
	struct beater beaters[BEATERS];

	for (size_t i = 0; i < BEATERS; i++) {
		beaters[i] = (struct beater){.plane = planes[i % 2]};
		(void)snprintf(beaters[i].node, sizeof(beaters[i].node), "n%zu", i);
		assert_int_equal(pthread_create(&beaters[i].thread, NULL, run_beater, &beaters[i]),
				 0);
	}
	for (size_t i = 0; i < BEATERS; i++) {
		assert_int_equal(pthread_join(beaters[i].thread, NULL), 0);
	}
	for (size_t i = 0; i < BEATERS; i++) {
		assert_int_equal(beaters[i].failed, 0);
		wait_until(beats_of(planes[0], beaters[i].node) == BEATS);
		wait_until(beats_of(planes[1], beaters[i].node) == BEATS);
	}
	plane_close(planes[0]);
	plane_close(planes[1]);
}

#define TMP STORE_DIRECTORY "/tmp"

static int lock(struct plane *p)
{
	struct request req = {.verb = REQUEST_LOCK, .name = "job", .owner = 1, .exclusive = true};

	return ask(p, &req);
}

/*
 * Found by review: the index had another mount's lock, and the view had not, for want of memory; so
 * that mount counted as dead.
 */
static void nobody_is_judged_by_a_view_that_is_behind(void **state)
{
	struct plane *a = open_plane(*state, LONG_MS), *b = open_plane(*state, LONG_MS);

	make_poor(plane_mount_id(b));
	assert_ok(lock(a));
	wait_until_it_fails();
	assert_errno(lock(b), ENOMEM);
	make_poor("");
	assert_errno(lock(b), EAGAIN);
	assert_ok(plane_close(a));
	assert_ok(plane_close(b));
}

static void make_staging_file(const struct scratch *s, const char *name, time_t age_s)
{
	const struct timespec then = {.tv_sec = time(NULL) - age_s};

	assert_int_equal(__real_symlinkat("x", s->fd, name), 0);
	assert_int_equal(
		utimensat(s->fd, name, (struct timespec[]){then, then}, AT_SYMLINK_NOFOLLOW), 0);
}

static bool is_there(const struct scratch *s, const char *name)
{
	return faccessat(s->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void staging_files_of_the_dead_are_swept(void **state)
{
	const struct scratch *s = *state;
	struct plane *p;

	plane_close(open_plane(s, LONG_MS));
	make_staging_file(s, TMP "/alive.1", 60);
	make_staging_file(s, TMP "/dead.1", 3600);
	p = open_plane(s, LONG_MS);
	wait_until(!is_there(s, TMP "/dead.1"));
	plane_close(p);
	assert_true(is_there(s, TMP "/alive.1"));
}

static void a_hanging_share_does_not_hold_up_limits_views_and_the_gate(void **state)
{
	struct plane *a = open_plane(*state, SHORT_MS), *b = open_plane(*state, SHORT_MS);
	struct request death = about(REQUEST_NODE_DIED, "nobody");
	struct answer beat = ANSWER, died = ANSWER, late = ANSWER;
	char text[128];
	struct request record;
	uint64_t before_ms;

	wait_until(became_master(a, "a"));
	hang_for(plane_mount_id(a));
	record = record_of("a", "STANDBY", text, sizeof(text));
	before_ms = clock_boot_ms();
	assert_ok(plane_submit(a, &record, on_answer, &beat));
	wait_until_it_hangs();
	assert_ok(plane_submit(a, &death, on_answer, &died));
	assert_ok(plane_submit(a, &record, on_answer, &late)); /* not even begun */

	assert_errno(wait_for(&beat), ETIMEDOUT);
	assert_errno(wait_for(&late), ETIMEDOUT);
	assert_true(clock_boot_ms() - before_ms >= SHORT_MS / 2);
	assert_true(shows_holder(a, "a")); /* the view answers */

	/* Nobody renews, so the gate closes by the clock, and before another may be master. */
	wait_until(!may_write(a));
	assert_true(shows_holder(a, "a"));
	wait_until(became_master(b, "b"));
	assert_true(may_write(b));
	assert_false(may_write(a));
	assert_int_equal(times_told(&died), 0); /* this news is never given up */

	hang_for("");
	assert_ok(wait_for(&died));
	wait_until(shows_holder(a, "b"));
	assert_false(may_write(a));
	assert_errno(write_record(a, "a", "MASTER"), ESTALE);
	assert_ok(write_record(a, "a", "STANDBY"));
	assert_int_equal(times_told(&beat), 1);
	assert_int_equal(times_told(&late), 1);
	plane_close(a);
	plane_close(b);
}

static void a_closed_plane_has_said_that_its_nodes_are_gone(void **state)
{
	struct plane *a = open_plane(*state, LONG_MS), *b = open_plane(*state, LONG_MS);

	assert_ok(write_record(a, "a", "STANDBY"));
	assert_ok(write_record(a, "gone", "TERMINATED"));
	assert_ok(write_record(b, "b", "STANDBY"));
	assert_ok(claim(a, "a"));
	plane_close(a);
	assert_ok(claim(b, "b")); /* at once, though the timeout is long */
	assert_true(shows_status(b, "a", "FAILED"));
	assert_true(shows_status(b, "gone", "TERMINATED"));
	plane_close(b);
}

static void damage_closes_the_plane_and_names_the_file(void **state)
{
	const struct scratch *s = *state;
	struct plane *p = open_plane(s, LONG_MS);
	struct err problem;
	char name[STORE_NAME_BYTES];
	struct view *v;

	assert_ok(write_record(p, "a", "STANDBY"));
	assert_ok(claim(p, "a"));
	plane_problem(p, &problem);
	assert_string_equal(problem.text, "");
	v = plane_view(p);
	store_name(v->generation + 1, name);
	view_unref(v);
	assert_int_equal(__real_symlinkat("no change", s->fd, name), 0);

	wait_until((plane_problem(p, &problem), problem.text[0]));
	assert_non_null(strstr(problem.text, name));
	assert_errno(write_record(p, "a", "MASTER"), EUCLEAN);
	assert_false(may_write(p));
	plane_close(p);
}

static int tear_down(void **state)
{
	refusal = 0;
	return scratch_tear_down(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_new_plane_takes_the_timing_that_it_is_given),
		CASE(a_new_plane_without_a_word_gets_the_defaults),
		CASE(another_timing_is_refused_with_both_values),
		CASE(an_unsafe_timing_is_refused_before_anything_is_made),
		CASE(two_planes_on_one_directory_see_each_others_commits),
		CASE(the_gate_is_open_where_the_master_is),
		CASE(a_refused_claim_leaves_the_gate_open),
		CASE(a_lease_that_is_given_up_late_waits_for_those_inside),
		CASE(errors_of_the_share_are_no_verdicts),
		CASE(silence_counts_from_the_start),
		CASE(a_dump_is_the_database),
		CASE(no_beat_of_many_threads_on_two_planes_is_lost),
		CASE(nobody_is_judged_by_a_view_that_is_behind),
		CASE(staging_files_of_the_dead_are_swept),
		CASE(a_hanging_share_does_not_hold_up_limits_views_and_the_gate),
		CASE(a_closed_plane_has_said_that_its_nodes_are_gone),
		CASE(damage_closes_the_plane_and_names_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
