/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/process.h"
#include "unit.h"

/* A process of its own, which describes itself as a mount would and waits to be ended. */
struct other {
	pid_t pid;
	int end_fd; /* it ends when this is closed */
	struct index_mount described;
};

static void start(struct other *o)
{
	int end[2], said[2];

	assert_int_equal(pipe(end), 0);
	assert_int_equal(pipe(said), 0);
	o->pid = fork();
	assert_true(o->pid >= 0);
	if (o->pid == 0) {
		struct index_mount m;
		char c;

		(void)close(end[1]);
		process_describe(&m);
		if (write(said[1], &m, sizeof(m)) != (ssize_t)sizeof(m)) {
			_exit(1);
		}
		_exit(read(end[0], &c, 1) == 0 ? 0 : 1);
	}
	(void)close(end[0]);
	(void)close(said[1]);
	o->end_fd = end[1];
	assert_int_equal(read(said[0], &o->described, sizeof(o->described)), sizeof(o->described));
	(void)close(said[0]);
}

static void stop(struct other *o)
{
	int status;

	(void)close(o->end_fd);
	assert_int_equal(waitpid(o->pid, &status, 0), o->pid);
	assert_int_equal(status, 0);
}

static void a_process_is_there_until_it_ends(void **state)
{
	struct index_mount self;
	struct other o;

	(void)state;
	process_describe(&self);
	assert_u64(self.pid, (uint64_t)getpid());
	assert_true(strlen(self.boot) == 36);
	start(&o);
	assert_false(process_is_gone(&o.described, &self));
	stop(&o);
	assert_true(process_is_gone(&o.described, &self));
}

static void a_number_that_was_given_to_a_later_process_counts_as_gone(void **state)
{
	struct index_mount self, earlier;

	(void)state;
	process_describe(&self);
	earlier = self;
	assert_false(process_is_gone(&earlier, &self));
	earlier.started--;
	assert_true(process_is_gone(&earlier, &self));
}

static void any_doubt_leaves_it_alive(void **state)
{
	struct index_mount self, gone, m;
	struct other o;

	(void)state;
	process_describe(&self);
	start(&o);
	stop(&o);
	gone = o.described;

	m = gone;
	m.boot[0] = m.boot[0] == 'a' ? 'b' : 'a';
	assert_false(process_is_gone(&m, &self)); /* another boot, or another machine */
	m = gone;
	m.pid_ns++;
	assert_false(process_is_gone(&m, &self)); /* its numbers are not ours */
	m = gone;
	m.boot[0] = '\0';
	assert_false(process_is_gone(&m, &self));
	self.boot[0] = '\0';
	assert_false(process_is_gone(&m, &self)); /* two that know nothing are not the same */
}

static void host_names_are_for_people(void **state)
{
	struct index_mount self;
	struct other o;

	(void)state;
	process_describe(&self);
	start(&o);
	(void)snprintf(self.host, sizeof(self.host), "elsewhere");
	assert_false(process_is_gone(&o.described, &self));
	stop(&o);
	assert_true(process_is_gone(&o.described, &self)); /* as far as boot and namespace say */
	(void)snprintf(self.host, sizeof(self.host), "%s", o.described.host);
	self.boot[0] = self.boot[0] == 'a' ? 'b' : 'a';
	assert_false(process_is_gone(&o.described, &self)); /* a clone, by whatever name */
}

static void what_no_process_can_be_is_not_gone(void **state)
{
	static const uint64_t pids[] = {0, (uint64_t)INT32_MAX + 1, UINT64_MAX};
	struct index_mount self, m;

	(void)state;
	process_describe(&self);
	for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
		m = self;
		m.pid = pids[i];
		assert_false(process_is_gone(&m, &self));
	}
}

/* In a child: 0, or 77 where it is not permitted. */
static int enter_shifted_time(void)
{
	static const char offset[] = "boottime 172800 0";
	int fd;

	if (unshare(CLONE_NEWTIME) < 0) {
		return 77;
	}
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, offset, strlen(offset)) != (ssize_t)strlen(offset)) {
		return 77;
	}
	(void)close(fd);
	fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	return fd >= 0 && setns(fd, CLONE_NEWTIME) == 0 ? 0 : 77;
}

/* Starts read there are two days later than those that were written down here. */
static void in_another_time_namespace_nobody_is_gone(void **state)
{
	struct index_mount before, after;
	int status;
	pid_t pid;

	(void)state;
	process_describe(&before);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int r = enter_shifted_time();

		if (r == 0) {
			process_describe(&after);
			r = process_is_gone(&before, &after) || process_is_gone(&after, &before);
		}
		_exit(r);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77) {
		skip();
	}
	assert_int_equal(status, 0);
}

/* In a child: 0, or 77 where it is not permitted. */
static int lose_sight_of_others(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", 0, "hidepid=2") < 0 || setgid(65534) < 0 ||
	    setuid(65534) < 0) {
		return 77;
	}
	return 0;
}

static void who_is_hidden_is_not_gone(void **state)
{
	struct index_mount self;
	int status;
	pid_t pid;

	(void)state;
	process_describe(&self);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int r = lose_sight_of_others();

		_exit(r == 0 ? process_is_gone(&self, &self) : r);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77) {
		skip();
	}
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_there_until_it_ends),
		cmocka_unit_test(a_number_that_was_given_to_a_later_process_counts_as_gone),
		cmocka_unit_test(any_doubt_leaves_it_alive),
		cmocka_unit_test(host_names_are_for_people),
		cmocka_unit_test(what_no_process_can_be_is_not_gone),
		cmocka_unit_test(in_another_time_namespace_nobody_is_gone),
		cmocka_unit_test(who_is_hidden_is_not_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
