/* SPDX-License-Identifier: Apache-2.0 */
/* ha/copy.c, on an ordinary directory with the mount's names in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ha/copy.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

static void put(const struct scratch *s, const char *name, const char *text)
{
	int fd = openat(s->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

static int set_up(void **state)
{
	int r = scratch_set_up(state);

	if (r == 0) {
		const struct scratch *s = *state;

		assert_int_equal(mkdirat(s->fd, "nodes", 0700), 0);
		assert_int_equal(mkdirat(s->fd, "entities", 0700), 0);
		put(s, "nodes/abc", "a record");
		put(s, "master", "abc");
		put(s, "entities/one", "first");
		put(s, "entities/two", "second");
	}
	return r;
}

static void assert_has(const struct ha_copy *c, const char *path, const char *text)
{
	size_t n;
	const char *bytes = ha_copy_find(c, path, &n);

	assert_non_null(bytes);
	assert_u64(n, strlen(text));
	assert_memory_equal(bytes, text, n);
}

static void it_has_the_state_and_not_the_mounts_own_files(void **state)
{
	const struct scratch *s = *state;
	_cleanup_(ha_copy_freep) struct ha_copy *c = NULL;
	size_t n;

	assert_int_equal(symlinkat("one", s->fd, "entities/link"), 0);
	assert_ok(ha_copy_new(&c));
	assert_ok(ha_copy_refresh(c, s->fd, UINT64_MAX));
	assert_u64(ha_copy_n_files(c), 2);
	assert_u64(ha_copy_n_bytes(c), strlen("first") + strlen("second"));
	assert_has(c, "entities/one", "first");
	assert_has(c, "entities/two", "second");
	assert_null(ha_copy_find(c, "nodes/abc", &n));
	assert_null(ha_copy_find(c, "entities/link", &n));
}

static void only_what_changed_is_read_again(void **state)
{
	const struct scratch *s = *state;
	_cleanup_(ha_copy_freep) struct ha_copy *c = NULL;
	size_t n;

	assert_ok(ha_copy_new(&c));
	assert_ok(ha_copy_refresh(c, s->fd, UINT64_MAX));
	assert_u64(ha_copy_n_reads(c), 2);
	assert_ok(ha_copy_refresh(c, s->fd, UINT64_MAX));
	assert_u64(ha_copy_n_reads(c), 2);

	put(s, "entities/two", "the second");
	put(s, "three", "third");
	assert_int_equal(unlinkat(s->fd, "entities/one", 0), 0);
	assert_ok(ha_copy_refresh(c, s->fd, UINT64_MAX));
	assert_u64(ha_copy_n_reads(c), 4);
	assert_u64(ha_copy_n_files(c), 2);
	assert_u64(ha_copy_n_bytes(c), strlen("the second") + strlen("third"));
	assert_has(c, "entities/two", "the second");
	assert_has(c, "three", "third");
	assert_null(ha_copy_find(c, "entities/one", &n));
}

static void it_is_loaded_in_slices_of_one_file_at_least(void **state)
{
	const struct scratch *s = *state;
	_cleanup_(ha_copy_freep) struct ha_copy *c = NULL;

	assert_ok(ha_copy_new(&c));
	assert_int_equal(ha_copy_refresh(c, s->fd, 0), 1);
	assert_u64(ha_copy_n_reads(c), 1);
	assert_ok(ha_copy_refresh(c, s->fd, 0));
	assert_u64(ha_copy_n_reads(c), 2);
	assert_has(c, "entities/one", "first");
	assert_has(c, "entities/two", "second");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, scratch_tear_down)
	const struct CMUnitTest tests[] = {
		CASE(it_has_the_state_and_not_the_mounts_own_files),
		CASE(only_what_changed_is_read_again),
		CASE(it_is_loaded_in_slices_of_one_file_at_least),
	};
#undef CASE

	return cmocka_run_group_tests(tests, NULL, NULL);
}
