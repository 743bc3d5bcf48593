/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/parse.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

/* More than a pipe takes at once, so that both sides see short calls. */
#define MANY_BYTES ((size_t)300000)

static char *pattern(size_t n)
{
	char *bytes = malloc(n);

	assert_non_null(bytes);
	for (size_t i = 0; i < n; i++) {
		bytes[i] = (char)(i * 31 >> 3);
	}
	return bytes;
}

struct source {
	int fd;
	const char *bytes;
	size_t n;
	int result;
};

static void *run_source(void *arg)
{
	struct source *s = arg;

	s->result = io_write_full(s->fd, s->bytes, s->n);
	(void)close(s->fd);
	return NULL;
}

static void all_bytes_come_through_a_narrow_pipe(void **state)
{
	char *bytes = pattern(MANY_BYTES), *back = NULL;
	struct source s = {.bytes = bytes, .n = MANY_BYTES};
	pthread_t thread;
	int ends[2];
	size_t n = 0;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	s.fd = ends[1];
	assert_int_equal(pthread_create(&thread, NULL, run_source, &s), 0);
	assert_ok(io_read_full(ends[0], MANY_BYTES, &back, &n));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_ok(s.result);
	assert_u64(n, MANY_BYTES);
	assert_memory_equal(back, bytes, n);
	assert_int_equal(back[n], '\0');
	(void)close(ends[0]);
	free(back);
	free(bytes);
}

static void a_file_of_the_limit_is_read_and_one_byte_more_is_too_big(void **state)
{
	/* Around the steps in which the buffer grows, too. */
	static const size_t sizes[] = {0, 1, 2047, 2048, 2049, 4095, 4096, 4097, 8192, 100000};
	const struct scratch *s = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *bytes = pattern(sizes[i] + 1), *back = NULL, *untouched = NULL;
		size_t n = 77;
		int fd = openat(s->fd, "f", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		assert_ok(io_write_full(fd, bytes, sizes[i]));
		assert_ok(io_read_file(s->fd, "f", sizes[i], &back, &n));
		assert_u64(n, sizes[i]);
		assert_memory_equal(back, bytes, n);
		assert_int_equal(back[n], '\0');

		assert_ok(io_write_full(fd, "x", 1));
		n = 77;
		assert_errno(io_read_file(s->fd, "f", sizes[i], &untouched, &n), EFBIG);
		assert_null(untouched);
		assert_u64(n, 77);
		(void)close(fd);
		free(back);
		free(bytes);
	}
}

static void reading_goes_on_from_where_the_file_stands(void **state)
{
	const struct scratch *s = *state;
	int fd = openat(s->fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	char *rest = NULL;

	assert_ok(io_write_full(fd, "0123456789", 10));
	assert_int_equal(lseek(fd, 4, SEEK_SET), 4);
	assert_ok(io_read_full(fd, 6, &rest, NULL));
	assert_string_equal(rest, "456789");
	free(rest);
	(void)close(fd);
}

static void what_cannot_be_opened_read_or_written_says_why(void **state)
{
	const struct scratch *s = *state;
	char *untouched = NULL;
	int fd;

	assert_errno(io_read_file(s->fd, "not-there", 10, &untouched, NULL), ENOENT);
	assert_errno(io_read_file(s->fd, ".", 10, &untouched, NULL), EISDIR);
	assert_errno(io_read_full(-1, 10, &untouched, NULL), EBADF);
	assert_null(untouched);
	assert_errno(io_write_full(-1, "x", 1), EBADF);
	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_errno(io_write_full(fd, "x", 1), ENOSPC);
	assert_ok(io_write_full(fd, "", 0));
	(void)close(fd);
}

static void random_ids_are_ids_and_no_two_are_alike(void **state)
{
	enum {
		N = 1000,
	};
	static char ids[N][IO_RANDOM_ID_LENGTH + 1];

	(void)state;
	for (size_t i = 0; i < N; i++) {
		memset(ids[i], '#', sizeof(ids[i]));
		io_random_id(ids[i]);
		assert_u64(strlen(ids[i]), IO_RANDOM_ID_LENGTH);
		assert_true(parse_id_is_valid(ids[i]));
		assert_false(ids[i][0] >= '0' && ids[i][0] <= '9');
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(ids[i], ids[k]);
		}
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_bytes_come_through_a_narrow_pipe),
		CASE(a_file_of_the_limit_is_read_and_one_byte_more_is_too_big),
		CASE(reading_goes_on_from_where_the_file_stands),
		CASE(what_cannot_be_opened_read_or_written_says_why),
		cmocka_unit_test(random_ids_are_ids_and_no_two_are_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
