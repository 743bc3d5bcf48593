/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/lockfile.c between three sides that may each answer a call of flock(2): the plane, a view and
 * a signal.  The plane and libfuse are played by this file, in every order that can happen.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "fs/lockfile.h"
#include "tests/unit/unit.h"

#define CALLS_MAX  8
#define NOT_YET    (-1)
#define OWN_MOUNT  "own"
#define LOCK_NAME  "job"
#define NOW_MS     100000
#define TIMEOUT_MS 10000

/* What libfuse and the kernel know of a call.  A fuse_req_t is the address of one. */
struct call {
	int answer; /* an errno, 0 or NOT_YET */
	fuse_interrupt_func_t on_interrupt;
	void *ctx;
};

static struct {
	struct lockfiles all;
	struct call calls[CALLS_MAX];
	bool interrupt_at_once; /* the next call is interrupted while it begins */

	/* What was asked of the plane, in order. */
	unsigned n_requests;
	struct {
		struct request request;
		jobs_done_fn *done;
		void *ctx;
	} requests[CALLS_MAX];
	int submit_result;

	struct view view;
	struct index_lock lock; /* the only one of the view, if .view.n_locks is 1 */
	uint64_t now_ms;
} world;

uint64_t __wrap_clock_boot_ms(void);
int __wrap_plane_submit(struct plane *p, const struct request *req, plane_done_fn *done, void *ctx);
struct view *__wrap_plane_view(struct plane *p);
const char *__wrap_plane_mount_id(const struct plane *p);
int __wrap_fuse_reply_err(fuse_req_t req, int error);
void __wrap_fuse_req_interrupt_func(fuse_req_t req, fuse_interrupt_func_t func, void *data);
const struct fuse_ctx *__wrap_fuse_req_ctx(fuse_req_t req);

uint64_t __wrap_clock_boot_ms(void)
{
	return world.now_ms;
}

int __wrap_plane_submit(struct plane *p, const struct request *req, plane_done_fn *done, void *ctx)
{
	(void)p;
	if (world.submit_result < 0) {
		return world.submit_result;
	}
	assert_true(world.n_requests < CALLS_MAX);
	world.requests[world.n_requests].request = *req;
	world.requests[world.n_requests].done = done;
	world.requests[world.n_requests++].ctx = ctx;
	return 0;
}

struct view *__wrap_plane_view(struct plane *p)
{
	(void)p;
	return view_ref(&world.view);
}

const char *__wrap_plane_mount_id(const struct plane *p)
{
	(void)p;
	return OWN_MOUNT;
}

static struct call *call_of(fuse_req_t req)
{
	return (struct call *)(void *)req;
}

static fuse_req_t req_of(struct call *c)
{
	return (fuse_req_t)(void *)c;
}

int __wrap_fuse_reply_err(fuse_req_t req, int error)
{
	assert_int_equal(call_of(req)->answer, NOT_YET); /* once, and no more */
	call_of(req)->answer = error;
	return 0;
}

void __wrap_fuse_req_interrupt_func(fuse_req_t req, fuse_interrupt_func_t func, void *data)
{
	call_of(req)->on_interrupt = func;
	call_of(req)->ctx = data;
	if (func && world.interrupt_at_once) {
		world.interrupt_at_once = false;
		func(req, data);
		/* libfuse touches the request after this. */
		assert_int_equal(call_of(req)->answer, NOT_YET);
	}
}

const struct fuse_ctx *__wrap_fuse_req_ctx(fuse_req_t req)
{
	static const struct fuse_ctx ctx = {.pid = 0};

	(void)req;
	return &ctx;
}

static int set_up(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	world.now_ms = NOW_MS;
	atomic_init(&world.view.refs, 1);
	assert_ok(lease_timing_init(&world.view.timing, TIMEOUT_MS, 1000));
	world.view.own_t0_ms = NOW_MS;
	world.view.locks = &world.lock;
	lockfiles_init(&world.all, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	lockfiles_stop(&world.all);
	lockfiles_done(&world.all);
	return 0;
}

static void flock_by(struct call *c, struct lockfile *f, int op)
{
	c->answer = NOT_YET;
	lockfile_flock(&world.all, req_of(c), f, LOCK_NAME, op);
}

/* The plane answers its @i-th request. */
static void give_verdict(unsigned i, int result)
{
	assert_true(i < world.n_requests && world.requests[i].done);
	world.requests[i].done(world.requests[i].ctx, result, NULL, 0);
}

static void interrupt(struct call *c)
{
	if (c->on_interrupt) {
		c->on_interrupt(req_of(c), c->ctx);
	}
}

/* From now on the view shows this place in the queue. */
static void show_place(uint64_t owner, bool granted)
{
	world.lock = (struct index_lock){
		.name = LOCK_NAME, .mount = OWN_MOUNT, .owner = owner, .granted = granted};
	world.view.n_locks = 1;
	lockfiles_on_view(&world.all);
}

static void show_nothing(void)
{
	world.view.n_locks = 0;
	lockfiles_on_view(&world.all);
}

static void assert_asked(unsigned n, enum request_verb verb, uint64_t owner)
{
	assert_u64(world.n_requests, n);
	assert_int_equal(world.requests[n - 1].request.verb, verb);
	assert_u64(world.requests[n - 1].request.owner, owner);
}

/* @f holds the lock under the number 1. */
static void take(struct lockfile *f)
{
	flock_by(&world.calls[0], f, LOCK_EX);
	assert_asked(1, REQUEST_LOCK, 1);
	show_place(1, true);
	give_verdict(0, 0);
	assert_int_equal(world.calls[0].answer, 0);
	assert_int_equal(lockfile_check(&world.all, f, LOCK_NAME), 0);
}

static void a_free_lock_is_granted_and_let_go(void **state)
{
	struct lockfile f = {0};

	(void)state;
	take(&f);
	flock_by(&world.calls[1], &f, LOCK_UN);
	assert_asked(2, REQUEST_UNLOCK, 1);
	assert_int_equal(world.calls[1].answer, NOT_YET);
	give_verdict(1, 0);
	assert_int_equal(world.calls[1].answer, 0);

	/* A late LOCK_UN of the first must never undo the second. */
	flock_by(&world.calls[2], &f, LOCK_EX);
	assert_asked(3, REQUEST_LOCK, 2);
	show_place(2, true);
	give_verdict(2, 0);
	assert_int_equal(world.calls[2].answer, 0);

	/* What it has already it need not ask for. */
	flock_by(&world.calls[3], &f, LOCK_EX);
	assert_int_equal(world.calls[3].answer, 0);
	assert_u64(world.n_requests, 3);
	lockfile_release(&world.all, &f, LOCK_NAME);
	assert_asked(4, REQUEST_UNLOCK, 2);
}

static void a_taken_lock_is_refused_and_leaves_nothing(void **state)
{
	struct lockfile f = {0};

	(void)state;
	flock_by(&world.calls[0], &f, LOCK_EX | LOCK_NB);
	assert_false(world.requests[0].request.wait);
	give_verdict(0, -EAGAIN);
	assert_int_equal(world.calls[0].answer, EWOULDBLOCK);
	flock_by(&world.calls[1], &f, LOCK_UN);
	assert_int_equal(world.calls[1].answer, 0);
	assert_u64(world.n_requests, 1);
}

static void who_waits_is_answered_by_the_view_that_grants(void **state)
{
	struct lockfile f = {0};

	(void)state;
	flock_by(&world.calls[0], &f, LOCK_SH);
	show_place(1, false);
	give_verdict(0, REQUEST_QUEUED);
	show_place(1, false);
	assert_int_equal(world.calls[0].answer, NOT_YET);
	show_place(1, true);
	assert_int_equal(world.calls[0].answer, 0);
	assert_int_equal(lockfile_check(&world.all, &f, LOCK_NAME), 0);
	interrupt(&world.calls[0]); /* too late */
	assert_u64(world.n_requests, 1);
	lockfile_release(&world.all, &f, LOCK_NAME);
}

/* Others took this mount for dead while it waited. */
static void who_lost_its_place_asks_again(void **state)
{
	struct lockfile f = {0};

	(void)state;
	flock_by(&world.calls[0], &f, LOCK_EX);
	show_place(1, false);
	give_verdict(0, REQUEST_QUEUED);
	show_nothing();
	assert_int_equal(world.requests[1].request.verb, REQUEST_UNLOCK);
	assert_asked(3, REQUEST_LOCK, 2);
	show_place(2, false);
	give_verdict(2, REQUEST_QUEUED);
	show_place(2, true);
	assert_int_equal(world.calls[0].answer, 0);
	lockfile_release(&world.all, &f, LOCK_NAME);
	assert_asked(4, REQUEST_UNLOCK, 2);
}

/* Queued and granted in one commit: no later view may come for a long time. */
static void who_is_granted_in_the_commit_that_queued_it_is_answered_at_once(void **state)
{
	struct lockfile f = {0};

	(void)state;
	flock_by(&world.calls[0], &f, LOCK_EX);
	show_place(1, true);
	give_verdict(0, REQUEST_QUEUED);
	assert_int_equal(world.calls[0].answer, 0);
	lockfile_release(&world.all, &f, LOCK_NAME);
	assert_asked(2, REQUEST_UNLOCK, 1);
}

/*
 * Two threads, or a forked child, share the open file.  Found by review: what one of them let go of
 * was counted as the other's, whose lock then stayed for ever.
 */
static void what_one_thread_lets_go_of_is_not_the_others(void **state)
{
	struct lockfile f = {0};

	(void)state;
	flock_by(&world.calls[0], &f, LOCK_EX);
	show_place(1, false);
	give_verdict(0, REQUEST_QUEUED);
	flock_by(&world.calls[1], &f, LOCK_UN);
	assert_int_equal(world.calls[1].answer, 0);
	flock_by(&world.calls[2], &f, LOCK_EX | LOCK_NB);
	assert_asked(2, REQUEST_LOCK, 2);
	give_verdict(1, -EAGAIN);
	assert_int_equal(world.calls[2].answer, EWOULDBLOCK);

	show_place(1, true);
	assert_int_equal(world.calls[0].answer, 0);
	assert_int_equal(lockfile_check(&world.all, &f, LOCK_NAME), 0);
	lockfile_release(&world.all, &f, LOCK_NAME);
	assert_asked(3, REQUEST_UNLOCK, 1);
}

static void of_two_grants_to_one_open_file_one_is_given_back(void **state)
{
	struct lockfile f = {0};

	(void)state;
	flock_by(&world.calls[0], &f, LOCK_SH);
	flock_by(&world.calls[1], &f, LOCK_SH);
	give_verdict(0, 0);
	give_verdict(1, 0);
	assert_asked(3, REQUEST_UNLOCK, 1);
	lockfile_release(&world.all, &f, LOCK_NAME);
	assert_asked(4, REQUEST_UNLOCK, 2);
}

static void a_conversion_that_is_refused_keeps_what_was_held(void **state)
{
	struct lockfile f = {0};

	(void)state;
	take(&f);
	flock_by(&world.calls[1], &f, LOCK_SH | LOCK_NB);
	assert_asked(2, REQUEST_LOCK, 2);
	assert_u64(world.requests[1].request.previous, 1);
	/* The plane may have let go of it already: not yet lost. */
	show_nothing();
	assert_int_equal(lockfile_check(&world.all, &f, LOCK_NAME), 0);
	show_place(1, true);
	give_verdict(1, -EAGAIN);
	assert_int_equal(lockfile_check(&world.all, &f, LOCK_NAME), 0);
	lockfile_release(&world.all, &f, LOCK_NAME);
	assert_asked(3, REQUEST_UNLOCK, 1);
}

static void a_conversion_that_a_signal_ends_has_lost_what_was_held(void **state)
{
	struct lockfile f = {0};

	(void)state;
	take(&f);
	flock_by(&world.calls[1], &f, LOCK_SH);
	interrupt(&world.calls[1]);
	assert_int_equal(world.calls[1].answer, EINTR);
	assert_errno(lockfile_check(&world.all, &f, LOCK_NAME), EIO);
	give_verdict(1, REQUEST_QUEUED);
	assert_int_equal(world.requests[2].request.verb, REQUEST_UNLOCK);
	assert_u64(world.requests[2].request.owner, 2);
	assert_asked(4, REQUEST_UNLOCK, 1);
}

static void a_signal_ends_the_waiting_and_gives_the_place_up(void **state)
{
	struct lockfile f = {0};

	(void)state;
	flock_by(&world.calls[0], &f, LOCK_EX);
	show_place(1, false);
	give_verdict(0, REQUEST_QUEUED);
	interrupt(&world.calls[0]);
	assert_int_equal(world.calls[0].answer, EINTR);
	assert_asked(2, REQUEST_UNLOCK, 1);
	show_place(1, true);
	lockfile_release(&world.all, &f, LOCK_NAME);
	assert_u64(world.n_requests, 2);
}

static void a_signal_before_the_verdict_gives_up_whatever_it_is(void **state)
{
	static const int verdicts[] = {0, REQUEST_QUEUED, -EAGAIN, -ETIMEDOUT, -EIO};

	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		struct lockfile f = {0};

		assert_int_equal(set_up(state), 0);
		flock_by(&world.calls[0], &f, LOCK_EX);
		interrupt(&world.calls[0]);
		assert_int_equal(world.calls[0].answer, EINTR);
		lockfile_release(&world.all, &f, LOCK_NAME); /* the process is gone */
		give_verdict(0, verdicts[i]);
		assert_asked(2, REQUEST_UNLOCK, 1);
		assert_int_equal(tear_down(state), 0);
	}
	assert_int_equal(set_up(state), 0);
}

static void a_signal_while_the_call_begins_is_not_answered_from_inside(void **state)
{
	struct lockfile f = {0};

	world.interrupt_at_once = true;
	flock_by(&world.calls[0], &f, LOCK_EX);
	assert_int_equal(world.calls[0].answer, EINTR);
	assert_u64(world.n_requests, 0);

	/* LOCK_UN happens all the same. */
	assert_int_equal(tear_down(state), 0);
	assert_int_equal(set_up(state), 0);
	take(&f);
	world.interrupt_at_once = true;
	flock_by(&world.calls[1], &f, LOCK_UN);
	assert_int_equal(world.calls[1].answer, 0);
	assert_asked(2, REQUEST_UNLOCK, 1);
}

static void an_unlock_whose_caller_is_gone_happens_all_the_same(void **state)
{
	struct lockfile f = {0};

	(void)state;
	take(&f);
	flock_by(&world.calls[1], &f, LOCK_UN);
	interrupt(&world.calls[1]);
	assert_int_equal(world.calls[1].answer, 0);
	give_verdict(1, 0);
	assert_u64(world.n_requests, 2);
}

/* It may yet happen: what nobody knows of must not be held. */
static void an_unknown_outcome_is_undone(void **state)
{
	struct lockfile f = {0};

	(void)state;
	flock_by(&world.calls[0], &f, LOCK_EX);
	give_verdict(0, -ETIMEDOUT);
	assert_int_equal(world.calls[0].answer, ETIMEDOUT);
	assert_asked(2, REQUEST_UNLOCK, 1);
	flock_by(&world.calls[1], &f, LOCK_EX);
	assert_asked(3, REQUEST_LOCK, 2);
	give_verdict(2, -EAGAIN);
	assert_int_equal(lockfile_check(&world.all, &f, LOCK_NAME), 0);
}

static void a_lock_is_lost_when_its_place_is_gone_or_the_time_is_up(void **state)
{
	for (int by_time = 0; by_time < 2; by_time++) {
		struct lockfile f = {0};

		assert_int_equal(set_up(state), 0);
		take(&f);
		if (by_time) {
			world.now_ms = NOW_MS + TIMEOUT_MS - TIMEOUT_MS / 10 - 1;
			assert_int_equal(lockfile_check(&world.all, &f, LOCK_NAME), 0);
			world.now_ms++;
		} else {
			show_nothing();
		}
		assert_errno(lockfile_check(&world.all, &f, LOCK_NAME), EIO);
		assert_asked(2, REQUEST_UNLOCK, 1);

		/* For good, also when the share is back, until the program has taken note. */
		world.view.own_t0_ms = world.now_ms;
		show_place(1, true);
		assert_errno(lockfile_check(&world.all, &f, LOCK_NAME), EIO);
		flock_by(&world.calls[1], &f, LOCK_EX);
		assert_int_equal(world.calls[1].answer, EIO);
		flock_by(&world.calls[2], &f, LOCK_UN);
		assert_int_equal(world.calls[2].answer, 0);
		flock_by(&world.calls[3], &f, LOCK_EX);
		assert_asked(3, REQUEST_LOCK, 2);
		give_verdict(2, 0);
		assert_int_equal(world.calls[3].answer, 0);
		assert_int_equal(tear_down(state), 0);
	}
	assert_int_equal(set_up(state), 0);
}

static void want_of_memory_is_answered(void **state)
{
	struct lockfile f = {0};

	(void)state;
	world.submit_result = -ENOMEM;
	flock_by(&world.calls[0], &f, LOCK_EX);
	assert_int_equal(world.calls[0].answer, ENOMEM);
	flock_by(&world.calls[1], &f, LOCK_UN);
	assert_int_equal(world.calls[1].answer, 0); /* it holds nothing */
}

static void the_end_of_the_mount_answers_all_who_wait(void **state)
{
	struct lockfile f = {0};

	(void)state;
	flock_by(&world.calls[0], &f, LOCK_EX);
	show_place(1, false);
	give_verdict(0, REQUEST_QUEUED);
	lockfiles_stop(&world.all);
	assert_int_equal(world.calls[0].answer, EINTR);
}

static void other_operations_are_refused(void **state)
{
	struct lockfile f = {0};

	(void)state;
	flock_by(&world.calls[0], &f, LOCK_EX | LOCK_SH);
	assert_int_equal(world.calls[0].answer, EINVAL);
	flock_by(&world.calls[1], &f, 0);
	assert_int_equal(world.calls[1].answer, EINVAL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_free_lock_is_granted_and_let_go),
		CASE(a_taken_lock_is_refused_and_leaves_nothing),
		CASE(who_waits_is_answered_by_the_view_that_grants),
		CASE(who_lost_its_place_asks_again),
		CASE(who_is_granted_in_the_commit_that_queued_it_is_answered_at_once),
		CASE(what_one_thread_lets_go_of_is_not_the_others),
		CASE(of_two_grants_to_one_open_file_one_is_given_back),
		CASE(a_conversion_that_is_refused_keeps_what_was_held),
		CASE(a_conversion_that_a_signal_ends_has_lost_what_was_held),
		CASE(a_signal_ends_the_waiting_and_gives_the_place_up),
		CASE(a_signal_before_the_verdict_gives_up_whatever_it_is),
		CASE(a_signal_while_the_call_begins_is_not_answered_from_inside),
		CASE(an_unlock_whose_caller_is_gone_happens_all_the_same),
		CASE(an_unknown_outcome_is_undone),
		CASE(a_lock_is_lost_when_its_place_is_gone_or_the_time_is_up),
		CASE(want_of_memory_is_answered),
		CASE(the_end_of_the_mount_answers_all_who_wait),
		CASE(other_operations_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
