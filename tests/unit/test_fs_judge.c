/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/judge.h"
#include "fs/store.h"
#include "tests/unit/unit.h"

#define FINDINGS_MAX 8

static struct {
	size_t n;
	struct finding v[FINDINGS_MAX];
} got;

static void keep(void *arg, const struct finding *f)
{
	(void)arg;
	assert_true(got.n < FINDINGS_MAX);
	got.v[got.n++] = *f;
}

static const struct findings to = {.add = keep};

/* Every finding that is not well has to say why it matters and what to do. */
static void assert_verdict(const struct finding *f, enum finding_verdict want)
{
	if (f->verdict != want) {
		fail_msg("%s is %s: %s", f->item, findings_verdict_name(f->verdict), f->text);
	}
	assert_int_not_equal(strlen(f->text), 0);
	assert_int_equal(f->why[0] != '\0', want != FINDING_OK);
	assert_int_equal(f->advice[0] != '\0', want != FINDING_OK);
	/* Nothing was cut. */
	assert_true(strlen(f->why) < FINDING_TEXT_BYTES - 1);
	assert_true(strlen(f->advice) < FINDING_TEXT_BYTES - 1);
}

static void assert_one(enum finding_verdict want)
{
	assert_u64(got.n, 1);
	assert_verdict(&got.v[0], want);
	got.n = 0;
}

static struct lease_timing timing(uint64_t timeout_ms, uint64_t poll_ms)
{
	struct lease_timing t;

	assert_ok(lease_timing_init(&t, timeout_ms, poll_ms));
	return t;
}

static void an_error_is_a_failure(void **state)
{
	(void)state;
	judge_error(&to, "thing", -ENOSPC);
	assert_non_null(strstr(got.v[0].text, strerror(ENOSPC)));
	assert_one(FINDING_FAIL);
}

static void file_systems_are_judged_by_their_kind(void **state)
{
	static const struct {
		const char *type;
		enum finding_verdict want;
	} cases[] = {
		{"ext4", FINDING_OK},         {"nfs4", FINDING_OK},
		{"ceph", FINDING_OK},         {"tmpfs", FINDING_WARN},
		{"fuse.sshfs", FINDING_WARN}, {"fuse.holdfast", FINDING_FAIL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mountinfo m = {.source = "x", .point = "/x"};

		(void)snprintf(m.type, sizeof(m.type), "%s", cases[i].type);
		judge_kind(&to, &m);
		assert_one(cases[i].want);
	}
}

/* The one finding with this name. */
static const struct finding *item(const char *name)
{
	for (size_t i = 0; i < got.n; i++) {
		if (strcmp(got.v[i].item, name) == 0) {
			return &got.v[i];
		}
	}
	fail_msg("no finding %s", name);
	return NULL;
}

static void each_option_of_nfs_is_judged_by_itself(void **state)
{
	static const struct {
		const char *options, *item;
		enum finding_verdict want;
	} cases[] = {
		{"vers=4.2", "NFS version", FINDING_OK},
		{"vers=4.1", "NFS version", FINDING_OK},
		{"vers=4.0", "NFS version", FINDING_WARN},
		{"vers=3", "NFS version", FINDING_WARN},
		{"vers=3,proto=udp", "NFS version", FINDING_WARN},
		{"vers=2", "NFS version", FINDING_FAIL},
		{"vers=4.2", "late calls", FINDING_WARN},
		{"vers=4.2,soft", "late calls", FINDING_WARN},
		{"vers=4.2,soft,timeo=10,retrans=2", "late calls", FINDING_OK},
		{"vers=4.2,softerr,timeo=15,retrans=1", "late calls", FINDING_OK},
		{"vers=4.2,soft,timeo=16,retrans=1", "late calls", FINDING_WARN},
		{"vers=4.2,hard,timeo=1,retrans=1", "late calls", FINDING_WARN},
		{"vers=4.2", "NFS caches", FINDING_OK},
		{"vers=4.2,acregmax=60", "NFS caches", FINDING_OK},
		{"vers=4.2,acdirmax=61", "NFS caches", FINDING_WARN},
		{"vers=4.2,noac", "NFS caches", FINDING_WARN},
		{"vers=4.2,nocto", "NFS caches", FINDING_WARN},
		{"vers=4.2,softreval", "NFS caches", FINDING_WARN},
		{"vers=4.2,local_lock=none", "NFS locks", FINDING_OK},
		{"vers=4.2,local_lock=posix", "NFS locks", FINDING_WARN},
	};
	struct lease_timing t = timing(30000, 1000); /* margin 3 s */

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mountinfo m = {0};
		struct mountinfo_nfs n;

		print_message("  %s\n", cases[i].options);
		(void)snprintf(m.options, sizeof(m.options), "%s", cases[i].options);
		assert_ok(mountinfo_nfs(&m, &n));
		judge_nfs(&to, &n, &t, i % 2 == 1);
		assert_u64(got.n, 5);
		assert_verdict(item(cases[i].item), cases[i].want);
		assert_verdict(item("recover_lost_locks"), i % 2 ? FINDING_WARN : FINDING_OK);
		got.n = 0;
	}
}

/* Whoever follows the advice is told that all is well. */
static void the_advice_on_late_calls_is_within_the_margin(void **state)
{
	static const uint64_t timeouts_ms[] = {500, 2000, 5000, 30000, 600000};
	const char *options;

	(void)state;
	for (size_t i = 0; i < sizeof(timeouts_ms) / sizeof(timeouts_ms[0]); i++) {
		struct lease_timing t = timing(timeouts_ms[i], timeouts_ms[i] / 10);
		struct mountinfo_nfs n = {.major = 4, .minor = 2};
		struct mountinfo m = {0};

		judge_nfs(&to, &n, &t, false);
		options = strstr(item("late calls")->advice, "softerr,");
		if (!options) {
			assert_true(t.margin_ms < 200);
			assert_non_null(strstr(item("late calls")->advice, "heartbeat_timeout"));
			got.n = 0;
			continue;
		}
		(void)snprintf(m.options, sizeof(m.options), "vers=4.2,%.*s",
			       (int)strcspn(options, " "), options);
		assert_ok(mountinfo_nfs(&m, &n));
		got.n = 0;
		judge_nfs(&to, &n, &t, false);
		assert_verdict(item("late calls"), FINDING_OK);
		got.n = 0;
	}
}

static void a_race_without_exactly_one_winner_is_a_failure(void **state)
{
	static const struct {
		enum probe_outcome outcome;
		enum finding_verdict want;
	} cases[] = {
		{PROBE_FAIR, FINDING_OK},          {PROBE_LOST_ANSWER, FINDING_OK},
		{PROBE_TWO_WINNERS, FINDING_FAIL}, {PROBE_WRONG_WINNER, FINDING_FAIL},
		{PROBE_NOBODY, FINDING_FAIL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (enum probe_call call = 0; call < PROBE_CALL_MAX_; call++) {
			struct probe_race race = {.racers = 4, .rounds = 10};

			race.outcomes[PROBE_FAIR] = 9;
			race.outcomes[cases[i].outcome]++;
			judge_race(&to, call, &race, JUDGE_NO_PLANE, false);
			assert_one(cases[i].want);
		}
	}
}

static void symbolic_links_are_a_need_only_of_a_plane_made_with_them(void **state)
{
	struct probe_race race = {.racers = 4, .rounds = 10, .error = -EPERM};

	(void)state;
	race.outcomes[PROBE_NOBODY] = 10;
	judge_race(&to, PROBE_SYMLINK, &race, JUDGE_NO_PLANE, false);
	assert_one(FINDING_WARN);
	judge_race(&to, PROBE_SYMLINK, &race, JUDGE_PLANE_OF_IMAGES, false);
	assert_one(FINDING_WARN);
	judge_race(&to, PROBE_SYMLINK, &race, JUDGE_PLANE_OF_CHANGES, false);
	assert_one(FINDING_FAIL);
	judge_race(&to, PROBE_LINK, &race, JUDGE_PLANE_OF_IMAGES, false);
	assert_one(FINDING_FAIL);
	race.error = -EIO;
	judge_race(&to, PROBE_SYMLINK, &race, JUDGE_NO_PLANE, false);
	assert_one(FINDING_FAIL);

	judge_target(&to, 1000, JUDGE_PLANE_OF_CHANGES);
	assert_one(FINDING_OK);
	judge_target(&to, 999, JUDGE_NO_PLANE);
	assert_one(FINDING_WARN);
	judge_target(&to, 999, JUDGE_PLANE_OF_CHANGES);
	assert_one(FINDING_FAIL);
}

static void names_and_contents_are_judged(void **state)
{
	(void)state;
	judge_links(&to, &(struct probe_links){.linked = 2, .unlinked = 1});
	assert_one(FINDING_OK);
	judge_links(&to, &(struct probe_links){.linked = 1, .unlinked = 1});
	assert_one(FINDING_WARN);
	judge_links(&to, &(struct probe_links){.linked = 2, .unlinked = 2});
	assert_one(FINDING_WARN);
	judge_rename(&to, &(struct probe_rename){.shows_new = true, .keeps_old = true});
	assert_one(FINDING_OK);
	judge_rename(&to, &(struct probe_rename){.shows_new = true});
	assert_one(FINDING_WARN);
	judge_rename(&to, &(struct probe_rename){.keeps_old = true});
	assert_one(FINDING_FAIL);
	judge_direct(&to, 0);
	assert_one(FINDING_OK);
	judge_direct(&to, -EINVAL);
	assert_one(FINDING_OK);
	judge_direct(&to, -EIO);
	assert_one(FINDING_FAIL);
}

static void latencies_are_judged_by_the_timing_of_the_plane(void **state)
{
	struct lease_timing t = timing(30000, 1000), fast = timing(1000, 100);
	struct probe_times quick = {.n = 9, .p50_us = 900, .p99_us = 9000, .max_us = 90000};
	struct probe_times slow = {.n = 9, .p50_us = 90000, .p99_us = 90000, .max_us = 90000};
	struct probe_times stuck = {.n = 9, .p50_us = 900, .p99_us = 900, .max_us = 16000000};

	(void)state;
	judge_fsync(&to, &quick, &t);
	assert_non_null(strstr(got.v[0].text, "p50 0.90 ms, p99 9.00 ms, max 90.00 ms"));
	assert_one(FINDING_OK);
	judge_fsync(&to, &slow, &t);
	assert_one(FINDING_OK);
	judge_fsync(&to, &slow, &fast);
	assert_one(FINDING_WARN);
	judge_fsync(&to, &stuck, &t);
	assert_one(FINDING_FAIL);
	judge_visibility(&to, 0, &quick, &t);
	assert_one(FINDING_OK);
	judge_visibility(&to, 0, &stuck, &t);
	assert_one(FINDING_WARN);
	judge_visibility(&to, -ETIMEDOUT, &quick, &t);
	assert_one(FINDING_FAIL);
	judge_visibility(&to, -EIO, &quick, &t);
	assert_one(FINDING_FAIL);
}

static void clocks_are_judged_by_their_rates_and_only_beyond_the_error_of_measurement(void **state)
{
	static const struct {
		struct probe_clock clock;
		enum finding_verdict want;
	} cases[] = {
		{{.error_permille = 10}, FINDING_OK},
		{{.offset_ms = -59000, .drift_permille = -20, .error_permille = 10}, FINDING_OK},
		{{.offset_ms = 61000, .error_permille = 10}, FINDING_WARN},
		{{.offset_ms = -61000, .error_permille = 10}, FINDING_WARN},
		{{.drift_permille = 40, .error_permille = 30}, FINDING_OK},
		{{.drift_permille = 40, .error_permille = 10}, FINDING_WARN},
		{{.drift_permille = -40, .error_permille = 10}, FINDING_WARN},
		{{.drift_permille = 105, .error_permille = 10}, FINDING_WARN},
		{{.drift_permille = 120, .error_permille = 10}, FINDING_FAIL},
		{{.drift_permille = -900, .error_permille = 10}, FINDING_FAIL},
		{{.drift_permille = -900, .error_permille = 10, .in_whole_seconds = true},
		 FINDING_OK},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		judge_clock(&to, &cases[i].clock);
		assert_one(cases[i].want);
	}
}

static void space_is_judged_before_it_is_gone(void **state)
{
	const uint64_t image = STORE_IMAGE_MAX_BYTES, many = 1000000;
	const struct {
		uint64_t bytes, inodes;
		enum finding_verdict space, names;
	} cases[] = {
		{100 * image, many, FINDING_OK, FINDING_OK},
		{10 * image - 1, 9999, FINDING_WARN, FINDING_WARN},
		{image - 1, 999, FINDING_FAIL, FINDING_FAIL},
		{0, 0, FINDING_FAIL, FINDING_FAIL},
		{100 * image, UINT64_MAX, FINDING_OK, FINDING_OK},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		judge_space(&to, cases[i].bytes, cases[i].inodes);
		assert_u64(got.n, 2);
		assert_verdict(item("free space"), cases[i].space);
		assert_verdict(item("free inodes"), cases[i].names);
		got.n = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_is_a_failure),
		cmocka_unit_test(file_systems_are_judged_by_their_kind),
		cmocka_unit_test(each_option_of_nfs_is_judged_by_itself),
		cmocka_unit_test(the_advice_on_late_calls_is_within_the_margin),
		cmocka_unit_test(a_race_without_exactly_one_winner_is_a_failure),
		cmocka_unit_test(symbolic_links_are_a_need_only_of_a_plane_made_with_them),
		cmocka_unit_test(names_and_contents_are_judged),
		cmocka_unit_test(latencies_are_judged_by_the_timing_of_the_plane),
		cmocka_unit_test(
			clocks_are_judged_by_their_rates_and_only_beyond_the_error_of_measurement),
		cmocka_unit_test(space_is_judged_before_it_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
