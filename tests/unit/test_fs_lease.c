/* SPDX-License-Identifier: Apache-2.0 */
/* fs/lease.c, one rule at a time.  Whole planes are in tests/sim. */
#include <errno.h>

#include "fs/lease.h"
#include "tests/unit/unit.h"

/* Observed last at 10 s: alive until 15 s, lapsed after.  A holder stops 4.5 s after its t0. */
static const struct lease_timing timing = {.timeout_ms = 5000, .poll_ms = 1000, .margin_ms = 500};

#define ALIVE_MS  15000
#define LAPSED_MS 15001

#define SEEN                                                                                       \
	{                                                                                          \
		.beat = 7, .since_ms = 10000                                                       \
	}

static const struct lease_node unknown = {0};
static const struct lease_node mine = {
	.known = true, .ours = true, .seen = SEEN, .deadline_ms = 14500};
static const struct lease_node my_over = {
	.known = true, .ours = true, .over = true, .seen = SEEN, .deadline_ms = 14500};
static const struct lease_node theirs = {.known = true, .seen = SEEN};
static const struct lease_node their_over = {.known = true, .over = true, .seen = SEEN};

static void timings_that_cannot_be_safe_are_refused_with_the_reason(void **state)
{
	static const struct {
		uint64_t timeout_ms, poll_ms;
		const char *problem;
	} cases[] = {
		{499, 10, "heartbeatTimeout <= 10m"},
		{600001, 1000, "heartbeatTimeout <= 10m"},
		{5000, 9, "pollPeriod >= 10ms"},
		{3999, 1000, "4 x pollPeriod"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lease_timing untouched = {.timeout_ms = 1};

		print_message("  %s\n", cases[i].problem);
		assert_non_null(strstr(lease_timing_problem(cases[i].timeout_ms, cases[i].poll_ms),
				       cases[i].problem));
		assert_errno(lease_timing_init(&untouched, cases[i].timeout_ms, cases[i].poll_ms),
			     EINVAL);
		assert_u64(untouched.timeout_ms, 1);
	}
}

static void the_margin_is_a_tenth_of_the_timeout(void **state)
{
	static const uint64_t accepted[][3] = {
		{500, 10, 50}, {4000, 1000, 400}, {30000, 1000, 3000}, {600000, 150000, 60000}};

	(void)state;
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
		struct lease_timing t;

		assert_null(lease_timing_problem(accepted[i][0], accepted[i][1]));
		assert_ok(lease_timing_init(&t, accepted[i][0], accepted[i][1]));
		assert_u64(t.timeout_ms, accepted[i][0]);
		assert_u64(t.poll_ms, accepted[i][1]);
		assert_u64(t.margin_ms, accepted[i][2]);
	}
}

static void an_observation_counts_from_when_the_value_was_first_seen(void **state)
{
	struct lease_seen s = {0};

	(void)state;
	lease_see(&s, 0, 100);
	assert_u64(s.since_ms, 100);
	lease_see(&s, 0, 200);
	assert_u64(s.since_ms, 100);
	lease_see(&s, 1, 300);
	assert_u64(s.beat, 1);
	assert_u64(s.since_ms, 300);
}

static void a_node_lapses_only_after_more_than_the_timeout(void **state)
{
	const struct lease_seen never = {0};

	(void)state;
	assert_false(lease_has_lapsed(&never, &timing, 1000000));
	assert_false(lease_has_lapsed(&theirs.seen, &timing, 9000));
	assert_false(lease_has_lapsed(&theirs.seen, &timing, ALIVE_MS));
	assert_true(lease_has_lapsed(&theirs.seen, &timing, LAPSED_MS));
}

static void a_holder_stops_a_margin_before_it_may_be_deposed(void **state)
{
	(void)state;
	assert_u64(lease_deadline_ms(&timing, 10000), 14500);
}

static void a_record_is_written_by_its_own_mount_until_it_is_over(void **state)
{
	static const struct {
		const char *label;
		const struct lease_node *node;
		enum lease_claim_of_record says;
		bool holds_master;
		uint64_t now_ms;
		int result;
	} cases[] = {
		{"new", &unknown, LEASE_RECORD_PLAIN, false, ALIVE_MS, 0},
		{"new, over at once", &unknown, LEASE_RECORD_OVER, false, ALIVE_MS, 0},
		{"new and MASTER", &unknown, LEASE_RECORD_MASTER, false, ALIVE_MS, -ESTALE},
		{"mine", &mine, LEASE_RECORD_PLAIN, false, ALIVE_MS, 0},
		{"mine, lapsed", &mine, LEASE_RECORD_PLAIN, false, LAPSED_MS, 0},
		{"mine, holding", &mine, LEASE_RECORD_MASTER, true, ALIVE_MS, 0},
		{"mine, deposed", &mine, LEASE_RECORD_MASTER, false, ALIVE_MS, -ESTALE},
		{"mine, giving up", &mine, LEASE_RECORD_OVER, true, ALIVE_MS, 0},
		{"mine, back", &my_over, LEASE_RECORD_PLAIN, false, ALIVE_MS, 0},
		{"theirs", &theirs, LEASE_RECORD_PLAIN, false, ALIVE_MS, -EACCES},
		{"theirs, ended by me", &theirs, LEASE_RECORD_OVER, false, ALIVE_MS, -EACCES},
		{"theirs, lapsed", &theirs, LEASE_RECORD_PLAIN, false, LAPSED_MS, 0},
		{"theirs, over", &their_over, LEASE_RECORD_PLAIN, false, ALIVE_MS, 0},
		{"adopted as MASTER", &theirs, LEASE_RECORD_MASTER, true, LAPSED_MS, -ESTALE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s\n", cases[i].label);
		assert_int_equal(lease_may_write_record(cases[i].node, cases[i].says,
							cases[i].holds_master, &timing,
							cases[i].now_ms),
				 cases[i].result);
	}
}

static void a_record_is_removed_only_where_nobody_needs_it(void **state)
{
	static const struct {
		const char *label;
		const struct lease_node *node;
		uint64_t now_ms;
		int result;
		bool holds_any;
	} cases[] = {
		{"none", &unknown, ALIVE_MS, -ENOENT, false},
		{"alive", &theirs, ALIVE_MS, -EBUSY, false},
		{"mine and alive", &mine, ALIVE_MS, -EBUSY, false},
		{"lapsed", &theirs, LAPSED_MS, 0, false},
		{"lapsed, named as holder", &theirs, LAPSED_MS, -EBUSY, true},
		{"over", &their_over, ALIVE_MS, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s\n", cases[i].label);
		assert_int_equal(lease_may_remove_record(cases[i].node, cases[i].holds_any, &timing,
							 cases[i].now_ms),
				 cases[i].result);
	}
}

static void a_lease_goes_to_a_living_claimant_when_its_holder_is_gone(void **state)
{
	static const struct lease_node lasting = {
		.known = true, .ours = true, .seen = SEEN, .deadline_ms = 20000};
	static const struct {
		const char *label;
		const struct lease_node *claimant, *holder;
		uint64_t now_ms;
		int result;
	} cases[] = {
		{"free", &lasting, NULL, ALIVE_MS, 0},
		{"mine already", &lasting, &lasting, ALIVE_MS, 0},
		{"no record of mine", &unknown, NULL, ALIVE_MS, -EPERM},
		{"for another mount's", &theirs, NULL, ALIVE_MS, -EPERM},
		{"claimant is over", &my_over, NULL, 10000, -ESTALE},
		{"claimant just in time", &mine, NULL, 14499, 0},
		{"claimant too late", &mine, NULL, 14500, -ESTALE},
		{"mine, too late", &mine, &mine, 14500, -ESTALE},
		{"holder alive", &lasting, &theirs, ALIVE_MS, -EBUSY},
		{"holder lapsed", &lasting, &theirs, LAPSED_MS, 0},
		{"holder over", &lasting, &their_over, ALIVE_MS, 0},
		{"holder without record", &lasting, &unknown, ALIVE_MS, 0},
		{"another node of mine holds", &lasting, &mine, ALIVE_MS, -EBUSY},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s\n", cases[i].label);
		assert_int_equal(lease_may_claim(cases[i].claimant, cases[i].holder, &timing,
						 cases[i].now_ms),
				 cases[i].result);
	}
}

static void a_lease_is_given_back_by_its_holders_mount_only(void **state)
{
	(void)state;
	assert_ok(lease_may_release(&mine));
	assert_errno(lease_may_release(&theirs), EPERM);
	assert_errno(lease_may_release(&unknown), EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timings_that_cannot_be_safe_are_refused_with_the_reason),
		cmocka_unit_test(the_margin_is_a_tenth_of_the_timeout),
		cmocka_unit_test(an_observation_counts_from_when_the_value_was_first_seen),
		cmocka_unit_test(a_node_lapses_only_after_more_than_the_timeout),
		cmocka_unit_test(a_holder_stops_a_margin_before_it_may_be_deposed),
		cmocka_unit_test(a_record_is_written_by_its_own_mount_until_it_is_over),
		cmocka_unit_test(a_record_is_removed_only_where_nobody_needs_it),
		cmocka_unit_test(a_lease_goes_to_a_living_claimant_when_its_holder_is_gone),
		cmocka_unit_test(a_lease_is_given_back_by_its_holders_mount_only),
	};

	return cmocka_run_group_tests_name("fs/lease", tests, NULL, NULL);
}
