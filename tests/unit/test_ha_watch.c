/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount is played by an ordinary file, which is always ready like that of a mount without
 * poll(2), and by a FIFO, which can hang and whose other end can go away.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ha/watch.h"
#include "unit.h"

#define LONG_MS UINT64_C(60000)

static char root[] = "/tmp/test_ha_watch.XXXXXX";
static char path[64];

/* The waits of the watch's thread, in order, as it begins them. */
struct wait {
	bool is_for_file;
	int ms;
};
static int waits[2];

int __real_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
	if (n == 2) {
		const struct wait wait = {fds[1].fd >= 0, ms};

		(void)!write(waits[1], &wait, sizeof(wait));
	}
	return __real_poll(fds, n, ms);
}

static void assert_waits(bool for_file, int ms)
{
	struct wait wait;

	assert_int_equal(read(waits[0], &wait, sizeof(wait)), sizeof(wait));
	assert_int_equal(wait.is_for_file, for_file);
	assert_int_equal(wait.ms, ms);
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/test_ha_watch.XXXXXX");
	assert_non_null(mkdtemp(root));
	(void)snprintf(path, sizeof(path), "%s/.holdfast", root);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/.holdfast/plane.json", root);
	return pipe2(waits, O_CLOEXEC);
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	(void)close(waits[0]);
	(void)close(waits[1]);
	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void make_file(void)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "{}", 2), 2);
	(void)close(fd);
}

static void assert_news(struct ha_watch *w)
{
	struct pollfd fd = {.fd = ha_watch_fd(w), .events = POLLIN};

	assert_int_equal(poll(&fd, 1, LONG_MS), 1);
	ha_watch_take(w);
	assert_int_equal(poll(&fd, 1, 0), 0);
}

static void a_file_that_is_always_ready_is_looked_at_a_few_times_a_poll_only(void **state)
{
	struct ha_watch *w;

	(void)state;
	make_file();
	assert_ok(ha_watch_start(root, 32 * LONG_MS, &w));
	assert_waits(true, -1);
	assert_news(w);
	assert_waits(false, LONG_MS);
	assert_ok(ha_watch_stop(w, LONG_MS));
}

static void where_there_is_no_mount_it_is_looked_for_once_a_poll(void **state)
{
	struct ha_watch *w;

	(void)state;
	assert_ok(ha_watch_start(root, LONG_MS, &w));
	assert_waits(false, LONG_MS);
	assert_ok(ha_watch_stop(w, LONG_MS));
}

static void a_mount_that_comes_is_news(void **state)
{
	struct ha_watch *w;

	(void)state;
	assert_ok(ha_watch_start(root, 10, &w));
	assert_waits(false, 10);
	make_file();
	assert_news(w);
	assert_ok(ha_watch_stop(w, LONG_MS));
}

static void a_mount_that_goes_is_no_news_and_is_looked_for_once_a_poll(void **state)
{
	struct pollfd news = {.events = POLLIN};
	struct ha_watch *w;
	int fd;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(ha_watch_start(root, LONG_MS, &w));
	assert_waits(true, -1);
	(void)close(fd);
	assert_waits(false, LONG_MS);
	news.fd = ha_watch_fd(w);
	assert_int_equal(poll(&news, 1, 0), 0);
	assert_ok(ha_watch_stop(w, LONG_MS));
}

static void a_mount_that_hangs_does_not_hold_up_the_end(void **state)
{
	struct ha_watch *w;
	int fd;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	/* Opening it waits for a writer. */
	assert_ok(ha_watch_start(root, LONG_MS, &w));
	assert_errno(ha_watch_stop(w, 0), ETIMEDOUT);

	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(ha_watch_stop(w, LONG_MS));
	(void)close(fd);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_file_that_is_always_ready_is_looked_at_a_few_times_a_poll_only),
		CASE(where_there_is_no_mount_it_is_looked_for_once_a_poll),
		CASE(a_mount_that_comes_is_news),
		CASE(a_mount_that_goes_is_no_news_and_is_looked_for_once_a_poll),
		CASE(a_mount_that_hangs_does_not_hold_up_the_end),
	};
#undef CASE

	return cmocka_run_group_tests(tests, NULL, NULL);
}
