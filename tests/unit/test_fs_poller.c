/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel is played here: a handle is a count of what became of it. */
#include <poll.h>
#include <string.h>

#include "fs/poller.h"
#include "tests/unit/unit.h"

struct fuse_pollhandle {
	unsigned notified, destroyed;
};

/* Called while a handle is notified: what a program does that was woken. */
static void (*on_notify)(void);
static unsigned replied;

int __wrap_fuse_lowlevel_notify_poll(struct fuse_pollhandle *handle);
int __wrap_fuse_lowlevel_notify_poll(struct fuse_pollhandle *handle)
{
	assert_int_equal(handle->destroyed, 0);
	handle->notified++;
	if (on_notify) {
		on_notify();
	}
	return 0;
}

void __wrap_fuse_pollhandle_destroy(struct fuse_pollhandle *handle);
void __wrap_fuse_pollhandle_destroy(struct fuse_pollhandle *handle)
{
	handle->destroyed++;
}

int __wrap_fuse_reply_poll(fuse_req_t req, unsigned events);
int __wrap_fuse_reply_poll(fuse_req_t req, unsigned events)
{
	(void)req;
	replied = events;
	return 0;
}

static void assert_handle(const struct fuse_pollhandle *handle, unsigned notified,
			  unsigned destroyed)
{
	assert_int_equal(handle->notified, notified);
	assert_int_equal(handle->destroyed, destroyed);
}

/* Of the test that runs. */
static struct pollers all;
static struct poller a, b;
static struct fuse_pollhandle h[3];

static int set_up(void **state)
{
	(void)state;
	pollers_init(&all);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	memset(h, 0, sizeof(h));
	on_notify = NULL;
	return 0;
}

static void everybody_who_is_armed_is_woken_once(void **state)
{
	(void)state;
	poller_arm(&all, &a, &h[0]);
	poller_arm(&all, &b, &h[1]);
	pollers_wake(&all);
	assert_handle(&h[0], 1, 1);
	assert_handle(&h[1], 1, 1);

	pollers_wake(&all);
	assert_handle(&h[0], 1, 1);
	assert_handle(&h[1], 1, 1);
	pollers_done(&all);
}

static void a_newer_handle_takes_the_place_of_the_older(void **state)
{
	(void)state;
	poller_arm(&all, &a, &h[0]);
	poller_arm(&all, &a, &h[1]);
	assert_handle(&h[0], 0, 1);
	assert_handle(&h[1], 0, 0);

	pollers_wake(&all);
	assert_handle(&h[0], 0, 1);
	assert_handle(&h[1], 1, 1);
	pollers_done(&all);
}

static void a_poll_that_does_not_wait_leaves_the_armed_one(void **state)
{
	(void)state;
	poller_arm(&all, &a, &h[0]);
	poller_arm(&all, &a, NULL);
	pollers_wake(&all);
	assert_handle(&h[0], 1, 1);
	pollers_done(&all);
}

static void what_is_closed_is_not_woken(void **state)
{
	(void)state;
	poller_arm(&all, &a, &h[0]);
	poller_disarm(&all, &a);
	poller_disarm(&all, &b);
	assert_handle(&h[0], 0, 1);

	pollers_wake(&all);
	assert_handle(&h[0], 0, 1);
	pollers_done(&all);
}

static void rearm_and_close_the_other(void)
{
	on_notify = NULL;
	/* The last one armed is the last in the row. */
	if (h[0].notified) {
		poller_arm(&all, &a, &h[2]);
		poller_disarm(&all, &b);
	} else {
		poller_arm(&all, &b, &h[2]);
		poller_disarm(&all, &a);
	}
}

static void who_is_woken_may_arm_again_and_the_next_may_be_closed_meanwhile(void **state)
{
	(void)state;
	poller_arm(&all, &a, &h[0]);
	poller_arm(&all, &b, &h[1]);
	on_notify = rearm_and_close_the_other;
	pollers_wake(&all);

	assert_int_equal(h[0].notified + h[1].notified, 1);
	assert_int_equal(h[0].destroyed, 1);
	assert_int_equal(h[1].destroyed, 1);
	/* Not in the same turn, or two who answer each other would hold the waker for ever. */
	assert_handle(&h[2], 0, 0);

	pollers_wake(&all);
	assert_handle(&h[2], 1, 1);
	pollers_done(&all);
}

static void at_the_end_the_handles_are_given_up(void **state)
{
	(void)state;
	poller_arm(&all, &a, &h[0]);
	poller_arm(&all, &b, &h[1]);
	pollers_done(&all);
	assert_handle(&h[0], 0, 1);
	assert_handle(&h[1], 0, 1);
}

static void a_file_without_news_is_always_ready(void **state)
{
	(void)state;
	poller_decline(NULL, &h[0]);
	assert_int_equal(replied, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
	assert_handle(&h[0], 0, 1);

	replied = 0;
	poller_decline(NULL, NULL);
	assert_int_equal(replied, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
	pollers_done(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(everybody_who_is_armed_is_woken_once, set_up),
		cmocka_unit_test_setup(a_newer_handle_takes_the_place_of_the_older, set_up),
		cmocka_unit_test_setup(a_poll_that_does_not_wait_leaves_the_armed_one, set_up),
		cmocka_unit_test_setup(what_is_closed_is_not_woken, set_up),
		cmocka_unit_test_setup(
			who_is_woken_may_arm_again_and_the_next_may_be_closed_meanwhile, set_up),
		cmocka_unit_test_setup(at_the_end_the_handles_are_given_up, set_up),
		cmocka_unit_test_setup(a_file_without_news_is_always_ready, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
