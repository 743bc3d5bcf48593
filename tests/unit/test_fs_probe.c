/* SPDX-License-Identifier: Apache-2.0 */
/* That a share lies is tested in tests/system/doctor.py; here a directory is what it should be. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/probe.h"
#include "fs/store.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

static volatile sig_atomic_t stop;

static struct probe *opened(const struct scratch *s, int peer_fd)
{
	const struct probe_place place = {.backing_fd = s->fd, .peer_fd = peer_fd, .stop = &stop};
	struct err why = {{0}};
	struct probe *p = NULL;

	if (probe_open(&place, &p, &why) < 0) {
		fail_msg("%s", why.text);
	}
	return p;
}

static void each_outcome_of_a_race_is_told_from_the_others(void **state)
{
	static const struct {
		int results[3];
		unsigned holder;
		enum probe_outcome want;
	} cases[] = {
		{{0, -EEXIST, -EEXIST}, 0, PROBE_FAIR},
		{{-EEXIST, -EEXIST, 0}, 2, PROBE_FAIR},
		{{0, -EIO, -EEXIST}, 0, PROBE_FAIR},
		{{-EEXIST, -EEXIST, -EEXIST}, 1, PROBE_LOST_ANSWER},
		{{-EEXIST, -EIO, -EEXIST}, 1, PROBE_LOST_ANSWER},
		{{0, 0, -EEXIST}, 0, PROBE_TWO_WINNERS},
		{{0, 0, 0}, 3, PROBE_TWO_WINNERS},
		{{0, -EEXIST, -EEXIST}, 1, PROBE_WRONG_WINNER},
		{{0, -EEXIST, -EEXIST}, 3, PROBE_NOBODY},
		{{-EEXIST, -EEXIST, -EEXIST}, 3, PROBE_NOBODY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(probe_judge_round(cases[i].results, 3, cases[i].holder),
				 cases[i].want);
	}
}

static void percentiles_are_values_that_were_measured(void **state)
{
	uint64_t one[] = {7}, two[] = {9, 5}, hundred[100], more[200];
	struct probe_times t = probe_summarize(one, 1);

	(void)state;
	assert_u64(t.p50_us, 7);
	assert_u64(t.p99_us, 7);
	assert_u64(t.max_us, 7);
	t = probe_summarize(two, 2);
	assert_u64(t.n, 2);
	assert_u64(t.p50_us, 5);
	assert_u64(t.p99_us, 9);
	for (unsigned i = 0; i < 100; i++) {
		hundred[i] = 100 - i;
	}
	t = probe_summarize(hundred, 100);
	assert_u64(t.p50_us, 50);
	assert_u64(t.p99_us, 99);
	assert_u64(t.max_us, 100);
	for (unsigned i = 0; i < 200; i++) {
		more[i] = 1 + i;
	}
	t = probe_summarize(more, 200);
	assert_u64(t.p50_us, 100);
	assert_u64(t.p99_us, 198);
	assert_u64(t.max_us, 200);
}

static void all_probes_pass_on_a_local_directory_and_leave_nothing(void **state)
{
	const struct scratch *s = *state;
	struct probe *p = opened(s, -EBADF);
	struct probe_rename rename = {0};
	struct probe_links links = {0};
	struct probe_times times = {0};
	size_t longest = 0;
	int64_t now_ms = 0;

	assert_int_equal(scratch_count(s, "."), 1);
	for (enum probe_call call = 0; call < PROBE_CALL_MAX_; call++) {
		struct probe_race race = {0};

		assert_ok(probe_race(p, call, &race));
		assert_int_equal(race.error, 0);
		assert_true(race.racers > 1);
		assert_true(race.rounds > 1);
		assert_u64(race.outcomes[PROBE_FAIR], race.rounds);
	}
	assert_ok(probe_target(p, &longest));
	assert_true(longest > 255);
	assert_ok(probe_links(p, &links));
	assert_u64(links.linked, 2);
	assert_u64(links.unlinked, 1);
	assert_ok(probe_rename(p, &rename));
	assert_true(rename.shows_new);
	assert_true(rename.keeps_old);
	assert_ok(probe_fsync(p, &times));
	assert_true(times.n > 0);
	assert_true(times.p50_us <= times.p99_us && times.p99_us <= times.max_us);
	assert_ok(probe_now_ms(p, &now_ms));
	assert_true(now_ms > 0);
	assert_false(probe_has_peer(p));
	assert_ok(probe_close(p));
	assert_int_equal(scratch_count(s, "."), 0);
}

static void where_there_is_an_index_the_probes_are_among_its_staging_files(void **state)
{
	const struct scratch *s = *state;
	struct probe *p;

	assert_ok(mkdirat(s->fd, STORE_DIRECTORY, 0700));
	assert_ok(mkdirat(s->fd, STORE_DIRECTORY "/tmp", 0700));
	p = opened(s, -EBADF);
	assert_int_equal(scratch_count(s, "."), 1);
	assert_int_equal(scratch_count(s, STORE_DIRECTORY "/tmp"), 1);
	assert_ok(probe_close(p));
	assert_int_equal(scratch_count(s, STORE_DIRECTORY "/tmp"), 0);
}

static void names_show_on_the_peer(void **state)
{
	const struct scratch *s = *state;
	_cleanup_close_ int peer_fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct probe *p = opened(s, peer_fd);
	struct probe_times times = {0};
	struct probe_race race = {0};

	assert_true(probe_has_peer(p));
	assert_ok(probe_visibility(p, &times));
	assert_true(times.n > 0);
	assert_ok(probe_race(p, PROBE_LINK, &race));
	assert_u64(race.outcomes[PROBE_FAIR], race.rounds);
	assert_ok(probe_close(p));
}

static void a_peer_that_is_another_share_is_refused_and_nothing_is_left(void **state)
{
	const struct scratch *s = *state;
	_cleanup_close_ int peer_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct probe_place place = {.backing_fd = s->fd, .peer_fd = peer_fd, .stop = &stop};
	struct err why = {{0}};
	struct probe *p;

	assert_errno(probe_open(&place, &p, &why), ESTALE);
	assert_int_not_equal(strlen(why.text), 0);
	assert_int_equal(scratch_count(s, "."), 0);
}

static void where_nothing_can_be_made_it_says_so(void **state)
{
	_cleanup_close_ int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct probe_place place = {.backing_fd = proc_fd, .peer_fd = -EBADF, .stop = &stop};
	struct err why = {{0}};
	struct probe *p = NULL;

	(void)state;
	assert_true(probe_open(&place, &p, &why) < 0);
	assert_null(p);
	assert_int_not_equal(strlen(why.text), 0);
}

static void a_signal_ends_every_long_probe_and_what_was_made_is_removed(void **state)
{
	const struct scratch *s = *state;
	struct probe *p = opened(s, s->fd);
	struct probe_times times = {0};
	struct probe_clock clock = {0};
	struct probe_race race = {0};
	size_t longest = 77;

	stop = 1;
	assert_errno(probe_race(p, PROBE_CREATE, &race), EINTR);
	assert_errno(probe_target(p, &longest), EINTR);
	assert_errno(probe_fsync(p, &times), EINTR);
	assert_errno(probe_visibility(p, &times), EINTR);
	assert_errno(probe_clock(p, &clock), EINTR);
	assert_u64(longest, 77);
	assert_u64(times.n, 0);
	assert_u64(race.rounds, 0);
	stop = 0;
	assert_ok(probe_close(p));
	assert_int_equal(scratch_count(s, "."), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_outcome_of_a_race_is_told_from_the_others),
		cmocka_unit_test(percentiles_are_values_that_were_measured),
		cmocka_unit_test_setup_teardown(
			all_probes_pass_on_a_local_directory_and_leave_nothing, scratch_set_up,
			scratch_tear_down),
		cmocka_unit_test_setup_teardown(
			where_there_is_an_index_the_probes_are_among_its_staging_files,
			scratch_set_up, scratch_tear_down),
		cmocka_unit_test_setup_teardown(names_show_on_the_peer, scratch_set_up,
						scratch_tear_down),
		cmocka_unit_test_setup_teardown(
			a_peer_that_is_another_share_is_refused_and_nothing_is_left, scratch_set_up,
			scratch_tear_down),
		cmocka_unit_test(where_nothing_can_be_made_it_says_so),
		cmocka_unit_test_setup_teardown(
			a_signal_ends_every_long_probe_and_what_was_made_is_removed, scratch_set_up,
			scratch_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
