/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "ha/pidfile.h"
#include "unit.h"

static char dir[] = "/tmp/test_ha_pidfile.XXXXXX";
static char path[64];

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_ha_pidfile.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/pid.txt", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

static void assert_says_our_pid(void)
{
	char want[24], *text = NULL;

	(void)snprintf(want, sizeof(want), "%d\n", (int)getpid());
	assert_ok(io_read_file(AT_FDCWD, path, 100, &text, NULL));
	assert_string_equal(text, want);
	free(text);
}

static void a_file_left_by_a_dead_process_is_taken_over(void **state)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	(void)state;
	assert_true(fd >= 0);
	assert_ok(io_write_full(fd, "1234567890123\n", 14));
	(void)close(fd);

	assert_ok(ha_pidfile_acquire(path, &fd, NULL));
	assert_says_our_pid();
	ha_pidfile_release(path, fd);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_living_owner_is_named(void **state)
{
	struct err err = {0};
	char pid[24];
	int fd, second = -7;

	(void)state;
	assert_ok(ha_pidfile_acquire(path, &fd, NULL));

	assert_errno(ha_pidfile_acquire(path, &second, &err), EBUSY);
	assert_int_equal(second, -7);
	(void)snprintf(pid, sizeof(pid), " %d;", (int)getpid());
	assert_non_null(strstr(err.text, pid));
	assert_says_our_pid();
	ha_pidfile_release(path, fd);
}

static void somebody_elses_file_is_not_removed(void **state)
{
	int fd, theirs;

	(void)state;
	assert_ok(ha_pidfile_acquire(path, &fd, NULL));
	assert_int_equal(unlink(path), 0);
	assert_ok(ha_pidfile_acquire(path, &theirs, NULL));

	ha_pidfile_release(path, fd);
	assert_says_our_pid();
	ha_pidfile_release(path, theirs);
}

static void a_directory_that_cannot_be_written_is_named(void **state)
{
	struct err err = {0};
	int fd;

	(void)state;
	assert_errno(ha_pidfile_acquire("/nowhere/pid.txt", &fd, &err), ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/pid.txt"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_left_by_a_dead_process_is_taken_over, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_living_owner_is_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(somebody_elses_file_is_not_removed, set_up,
						tear_down),
		cmocka_unit_test(a_directory_that_cannot_be_written_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
