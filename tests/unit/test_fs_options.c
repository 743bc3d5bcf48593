/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "fs/options.h"
#include "tests/unit/unit.h"

#define WORDS_MAX 10

/* Parse a command line that is written with single blanks. */
static int parse(const char *line, struct options *ret, struct err *reterr)
{
	static char words[512];
	char *argv[WORDS_MAX + 1], *rest = words;
	int argc = 0;

	(void)snprintf(words, sizeof(words), "mount.holdfast%s%s", line[0] ? " " : "", line);
	while (rest && argc < WORDS_MAX) {
		argv[argc++] = strsep(&rest, " ");
	}
	argv[argc] = NULL;
	return options_parse(argc, argv, ret, reterr);
}

static struct options parsed(const char *line)
{
	struct options o = {0};
	struct err err = {{0}};

	if (parse(line, &o, &err) < 0) {
		fail_msg("%s: %s", line, err.text);
	}
	return o;
}

static void two_directories_are_enough(void **state)
{
	struct options o = parsed("/srv/x /mnt/x");

	(void)state;
	assert_string_equal(o.backing, "/srv/x");
	assert_string_equal(o.mountpoint, "/mnt/x");
	assert_u64(o.timeout_ms, 0);
	assert_u64(o.poll_ms, 0);
	assert_false(o.images_only);
	assert_false(o.foreground);
	assert_false(o.debug);
	assert_false(o.help);
	assert_false(o.version);
	assert_string_equal(o.fuse, "");
}

static void options_are_taken_in_any_place_and_number(void **state)
{
	static const char *const lines[] = {
		"-f -d -o heartbeat_timeout=3s,poll_period=500ms,images_only /srv/x /mnt/x",
		"/srv/x /mnt/x -fd -o heartbeat_timeout=3s -o poll_period=500ms,images_only",
		"/srv/x -f /mnt/x -d -oimages_only,,heartbeat_timeout=3s,poll_period=500ms,",
		"-f -d -o heartbeat_timeout=3s,poll_period=500ms,images_only -- /srv/x /mnt/x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct options o = parsed(lines[i]);

		assert_string_equal(o.backing, "/srv/x");
		assert_string_equal(o.mountpoint, "/mnt/x");
		assert_u64(o.timeout_ms, 3000);
		assert_u64(o.poll_ms, 500);
		assert_true(o.images_only);
		assert_true(o.foreground);
		assert_true(o.debug);
	}
}

static void the_kernel_is_told_what_is_for_the_kernel(void **state)
{
	struct options o = parsed("/srv/x /mnt/x -o rw,nodev,images_only,nosuid -o noatime");

	(void)state;
	assert_string_equal(o.fuse, ",rw,nodev,nosuid,noatime");
	assert_true(o.images_only);
}

/* mount(8) calls us so for a line of fstab. */
static void what_mount_8_adds_is_accepted(void **state)
{
	struct options o = parsed("/srv/x /mnt/x -n -s -v -t fuse.holdfast -o "
				  "rw,_netdev,nofail,defaults,noauto,user,comment=x,"
				  "x-systemd.automount,x-y=z");

	(void)state;
	assert_string_equal(o.fuse, ",rw");
}

static void help_and_version_need_no_directories(void **state)
{
	(void)state;
	assert_true(parsed("-h").help);
	assert_true(parsed("--help").help);
	assert_true(parsed("-V").version);
	assert_true(parsed("--version").version);
	assert_null(parsed("-h").backing);
	assert_non_null(strstr(options_usage, "holdfast mount"));
}

static void each_bad_line_is_refused_with_the_word_that_is_wrong(void **state)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{"", "wants a backing directory and a mount point"},
		{"/srv/x", "wants a backing directory and a mount point"},
		{"/srv/x /mnt/x /more", "wants a backing directory and a mount point"},
		{"-x /srv/x /mnt/x", "unknown option -x"},
		{"-xf /srv/x /mnt/x", "unknown option -x"},
		{"-fx /srv/x /mnt/x", "unknown option -x"},
		{"--nope /srv/x /mnt/x", "unknown option --nope"},
		{"/srv/x /mnt/x -o", "option -o wants a value"},
		{"/srv/x /mnt/x -o nope", "unknown option 'nope'"},
		{"/srv/x /mnt/x -o nope=1", "unknown option 'nope'"},
		{"/srv/x /mnt/x -o rw,nope", "unknown option 'nope'"},
		{"/srv/x /mnt/x -o rw=1", "unknown option 'rw'"},
		{"/srv/x /mnt/x -o images_only=1", "unknown option 'images_only'"},
		{"/srv/x /mnt/x -o =1", "unknown option ''"},
		{"/srv/x /mnt/x -o heartbeat_timeout", "heartbeat_timeout wants a duration"},
		{"/srv/x /mnt/x -o heartbeat_timeout=", "heartbeat_timeout wants a duration"},
		{"/srv/x /mnt/x -o heartbeat_timeout=30", "not '30'"},
		{"/srv/x /mnt/x -o heartbeat_timeout=-1s", "not '-1s'"},
		{"/srv/x /mnt/x -o heartbeat_timeout=0", "not '0'"},
		{"/srv/x /mnt/x -o poll_period=1y", "poll_period wants a duration"},
		{"/srv/x /mnt/x -o poll_period=99999999999999999999s", "poll_period wants"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct options untouched = {.timeout_ms = 77};
		struct err err = {{0}};

		print_message("  %s\n", cases[i].line);
		assert_errno(parse(cases[i].line, &untouched, &err), EINVAL);
		if (!strstr(err.text, cases[i].why)) {
			fail_msg("got '%s', want '%s'", err.text, cases[i].why);
		}
		assert_u64(untouched.timeout_ms, 77);
	}
}

/* A list cut in the middle would tell the kernel something else. */
static void more_options_than_fit_are_refused(void **state)
{
	static const char one_more[] = ",nodiratime";
	char words[2 * OPTIONS_FUSE_BYTES] = "rw";
	char name[] = "mount.holdfast", backing[] = "/srv/x", point[] = "/mnt/x", flag[] = "-o";
	char *argv[] = {name, backing, point, flag, words, NULL};
	size_t n = strlen(words);
	struct options o;
	struct err err = {{0}};

	(void)state;
	for (; n + strlen(one_more) < OPTIONS_FUSE_BYTES - 1; n += strlen(one_more)) {
		(void)snprintf(words + n, sizeof(words) - n, "%s", one_more);
	}
	assert_ok(options_parse(5, argv, &o, &err));
	assert_u64(strlen(o.fuse), n + 1);
	(void)snprintf(words + n, sizeof(words) - n, "%s", one_more);
	assert_errno(options_parse(5, argv, &o, &err), EINVAL);
	assert_non_null(strstr(err.text, "too many options"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_directories_are_enough),
		cmocka_unit_test(options_are_taken_in_any_place_and_number),
		cmocka_unit_test(the_kernel_is_told_what_is_for_the_kernel),
		cmocka_unit_test(what_mount_8_adds_is_accepted),
		cmocka_unit_test(help_and_version_need_no_directories),
		cmocka_unit_test(each_bad_line_is_refused_with_the_word_that_is_wrong),
		cmocka_unit_test(more_options_than_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
