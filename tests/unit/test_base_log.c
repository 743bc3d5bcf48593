/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/unit.h"

#define LINE_BYTES 1024

static int pipe_end = -1, real_stderr = -1;

/* A pipe in packet mode in the place of stderr: one read(2) gives what one write(2) wrote. */
static int set_up(void **state)
{
	int ends[2];

	(void)state;
	log_set_level(LOG_INFO);
	assert_int_equal(pipe2(ends, O_DIRECT | O_NONBLOCK | O_CLOEXEC), 0);
	pipe_end = ends[0];
	real_stderr = dup(STDERR_FILENO);
	assert_true(real_stderr >= 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	(void)close(ends[1]);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(dup2(real_stderr, STDERR_FILENO), STDERR_FILENO);
	(void)close(real_stderr);
	(void)close(pipe_end);
	return 0;
}

/* What one write gave; "" if nothing was written. */
static const char *written(void)
{
	static char line[2 * LINE_BYTES];
	ssize_t n = read(pipe_end, line, sizeof(line) - 1);

	line[n > 0 ? n : 0] = '\0';
	return line;
}

static void an_event_is_one_line_written_at_once(void **state)
{
	(void)state;
	log_line(LOG_WARN, "fs", "commit failed, retrying", "error=%s generation=%d", "EIO", 12);
	assert_string_equal(written(),
			    "level=warn mod=fs msg=\"commit failed, retrying\" error=EIO "
			    "generation=12\n");
	assert_string_equal(written(), "");
}

static void a_line_may_have_no_keys(void **state)
{
	(void)state;
	log_line(LOG_ERR, "ha", "stopped", "");
	assert_string_equal(written(), "level=err mod=ha msg=\"stopped\"\n");
}

static void levels_above_the_one_set_are_dropped(void **state)
{
	static const char *const names[] = {"err", "warn", "info", "debug"};

	(void)state;
	for (int max = LOG_ERR; max < (int)LOG_LEVEL_MAX_; max++) {
		log_set_level((enum log_level)max);
		for (int level = LOG_ERR; level < (int)LOG_LEVEL_MAX_; level++) {
			char want[64] = "";

			log_line((enum log_level)level, "fs", "x", "");
			if (level <= max) {
				(void)snprintf(want, sizeof(want), "level=%s mod=fs msg=\"x\"\n",
					       names[level]);
			}
			assert_string_equal(written(), want);
		}
	}
}

static void a_value_cannot_begin_a_line_of_its_own(void **state)
{
	(void)state;
	log_line(LOG_INFO, "fs", "read", "text=\"%s\"", "a\nlevel=err\tmod=x\r\x1b[31m");
	assert_string_equal(written(),
			    "level=info mod=fs msg=\"read\" text=\"a level=err mod=x  [31m\"\n");
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
	static char many[4 * LINE_BYTES];

	(void)state;
	memset(many, 'x', sizeof(many) - 1);
	for (int in_keys = 0; in_keys < 2; in_keys++) {
		const char *line;

		log_line(LOG_INFO, "fs", in_keys ? "read" : many, "text=%s", many);
		line = written();
		assert_u64(strlen(line), LINE_BYTES - 1);
		assert_int_equal(line[LINE_BYTES - 2], '\n');
		assert_string_equal(written(), "");
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_event_is_one_line_written_at_once),
		CASE(a_line_may_have_no_keys),
		CASE(levels_above_the_one_set_are_dropped),
		CASE(a_value_cannot_begin_a_line_of_its_own),
		CASE(a_long_line_is_cut_and_still_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
