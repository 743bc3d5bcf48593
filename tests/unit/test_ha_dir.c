/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On an ordinary directory with the mount's attribute: what the mount decides is tested in system/.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/io.h"
#include "ha/dir.h"
#include "unit.h"

static char root[] = "/tmp/test_ha_dir.XXXXXX";
static struct ha_dir *dir;

static void put(const char *name)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
}

static void make_dir(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static bool is_there(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	return access(path, F_OK) == 0;
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/test_ha_dir.XXXXXX");
	if (!mkdtemp(root)) {
		return -1;
	}
	make_dir("nodes");
	make_dir(".holdfast");
	put("master");
	put("planeId");
	put("change.log");
	assert_int_equal(setxattr(root, "user.holdfast.plane_id", "p1", 2, 0), 0);
	assert_ok(ha_dir_open(root, "node1", &dir, NULL));
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	ha_dir_close(dir);
	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void a_directory_that_is_no_mount_is_told_how_to_become_one(void **state)
{
	struct ha_dir *other = NULL;
	struct err err = {0};

	(void)state;
	assert_int_equal(removexattr(root, "user.holdfast.plane_id"), 0);
	assert_errno(ha_dir_open(root, "node1", &other, &err), ENODEV);
	assert_non_null(strstr(err.text, "holdfast mount <share> /tmp/test_ha_dir."));
	assert_errno(ha_dir_open("/nowhere", "node1", &other, &err), ENOENT);
	assert_non_null(strstr(err.text, "holdfast mount <share> /nowhere"));
	assert_null(other);
}

static void a_shorter_record_leaves_nothing_of_the_longer_one(void **state)
{
	char path[128], *text = NULL;

	(void)state;
	assert_ok(ha_dir_write_record(dir, "{\"long\":true}"));
	assert_ok(ha_dir_write_record(dir, "{}"));

	(void)snprintf(path, sizeof(path), "%s/nodes/node1", root);
	assert_ok(io_read_file(AT_FDCWD, path, 100, &text, NULL));
	assert_string_equal(text, "{}");
	free(text);
}

static void a_claim_writes_the_id_and_reads_the_epoch(void **state)
{
	char path[128], *text = NULL;
	uint64_t epoch = 0;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/master", root);
	assert_int_equal(setxattr(path, "user.holdfast.epoch", "17", 2, 0), 0);
	assert_ok(ha_dir_claim(dir, "won, alone", &epoch));

	assert_u64(epoch, 17);
	assert_ok(io_read_file(AT_FDCWD, path, 100, &text, NULL));
	assert_string_equal(text, "node1\nwon, alone\n");
	free(text);
}

static void state_is_found_and_cleared(void **state)
{
	(void)state;
	assert_int_equal(ha_dir_is_empty(dir), 1);
	put("top");
	assert_int_equal(ha_dir_is_empty(dir), 0);
	assert_int_equal(ha_dir_clear(dir, UINT64_MAX), 1);
	assert_int_equal(ha_dir_clear(dir, UINT64_MAX), 0);

	assert_false(is_there("top"));
	assert_true(is_there("master"));
	assert_int_equal(ha_dir_is_empty(dir), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_directory_that_is_no_mount_is_told_how_to_become_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_shorter_record_leaves_nothing_of_the_longer_one,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_claim_writes_the_id_and_reads_the_epoch, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(state_is_found_and_cleared, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
