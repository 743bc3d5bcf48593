/* SPDX-License-Identifier: Apache-2.0 */
/* ha/persisted.c, on an ordinary directory with the mount's names in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ha/persisted.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

static void put(const struct scratch *s, const char *name)
{
	int fd = openat(s->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	(void)close(fd);
}

static void make_dir(const struct scratch *s, const char *name)
{
	assert_int_equal(mkdirat(s->fd, name, 0700), 0);
}

static bool is_there(const struct scratch *s, const char *name)
{
	return faccessat(s->fd, name, F_OK, 0) == 0;
}

static int set_up(void **state)
{
	int r = scratch_set_up(state);

	if (r == 0) {
		make_dir(*state, "nodes");
		make_dir(*state, ".holdfast");
		put(*state, "nodes/abc");
		put(*state, ".holdfast/plane.json");
		put(*state, "master");
		put(*state, "planeId");
		put(*state, "change.log");
	}
	return r;
}

static void the_mounts_own_names_are_no_state(void **state)
{
	const struct scratch *s = *state;

	make_dir(s, "entities");
	make_dir(s, "entities/empty");
	assert_int_equal(ha_persisted_is_empty(s->fd), 1);

	/* The same name further down is anybody's. */
	put(s, "entities/empty/nodes");
	assert_int_equal(ha_persisted_is_empty(s->fd), 0);
}

static void clearing_removes_all_state_and_nothing_else(void **state)
{
	const struct scratch *s = *state;
	int steps = 0, r;

	put(s, "top");
	make_dir(s, "entities");
	make_dir(s, "entities/deep");
	put(s, "entities/deep/nodes");
	put(s, "entities/master");
	/* A slice whose time is over at once removes one entry all the same. */
	while ((r = ha_persisted_clear(s->fd, 0)) == 1) {
		steps++;
		assert_true(steps <= 10);
	}

	assert_ok(r);
	assert_int_equal(ha_persisted_is_empty(s->fd), 1);
	assert_false(is_there(s, "top"));
	assert_false(is_there(s, "entities"));
	assert_true(is_there(s, "nodes/abc"));
	assert_true(is_there(s, ".holdfast/plane.json"));
	assert_true(is_there(s, "master"));
	assert_true(is_there(s, "planeId"));
	assert_true(is_there(s, "change.log"));
}

static void clearing_does_not_follow_links_out(void **state)
{
	const struct scratch *s = *state;
	char outside[] = "/tmp/test_ha_persisted_outside.XXXXXX", kept[128];
	int fd;

	assert_non_null(mkdtemp(outside));
	(void)snprintf(kept, sizeof(kept), "%s/kept", outside);
	fd = open(kept, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(symlinkat(outside, s->fd, "link"), 0);
	assert_int_equal(ha_persisted_is_empty(s->fd), 0);
	assert_int_equal(ha_persisted_clear(s->fd, UINT64_MAX), 1);
	assert_int_equal(ha_persisted_clear(s->fd, UINT64_MAX), 0);

	assert_false(is_there(s, "link"));
	assert_int_equal(access(kept, F_OK), 0);
	assert_int_equal(unlink(kept), 0);
	assert_int_equal(rmdir(outside), 0);
}

/* Each level holds a descriptor open. */
static void a_tree_that_is_too_deep_is_state_and_is_not_cleared(void **state)
{
	const struct scratch *s = *state;
	int fd = dup(s->fd);

	for (int level = 0; level < 70; level++) {
		int next;

		assert_int_equal(mkdirat(fd, "d", 0700), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		(void)close(fd);
		fd = next;
	}
	(void)close(fd);

	assert_int_equal(ha_persisted_is_empty(s->fd), 0);
	assert_errno(ha_persisted_clear(s->fd, UINT64_MAX), ELOOP);
	assert_true(is_there(s, "d/d/d"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, scratch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_mounts_own_names_are_no_state),
		CASE(clearing_removes_all_state_and_nothing_else),
		CASE(clearing_does_not_follow_links_out),
		CASE(a_tree_that_is_too_deep_is_state_and_is_not_cleared),
	};

	return cmocka_run_group_tests_name("ha/persisted", tests, NULL, NULL);
}
