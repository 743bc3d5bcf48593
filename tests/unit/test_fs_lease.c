/* SPDX-License-Identifier: Apache-2.0 */
/* fs/lease.c, one rule at a time.  Whole planes are in tests/sim. */
#include <errno.h>

#include "fs/lease.h"
#include "ha/engine.h"
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
		/* Four times this is 0 in 64 bits: the values may come from the share. */
		{5000, UINT64_C(1) << 62, "4 x pollPeriod"},
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

/* From one end of what is allowed to the other: the two that are given, and all that follows. */
static const struct lease_timing allowed[] = {
	{.timeout_ms = 500,
	 .poll_ms = 10,
	 .margin_ms = 50,
	 .follow_ms = 2,
	 .close_ms = 1,
	 .closely_ms = 40,
	 .limit_ms = 250,
	 .retry_ms = 10,
	 .others_ms = 20,
	 .yield_ms = 5,
	 .staging_ms = 600000},
	{.timeout_ms = 500,
	 .poll_ms = 125,
	 .margin_ms = 50,
	 .follow_ms = 31,
	 .close_ms = 1,
	 .closely_ms = 500,
	 .limit_ms = 250,
	 .retry_ms = 125,
	 .others_ms = 250,
	 .yield_ms = 62,
	 .staging_ms = 600000},
	{.timeout_ms = 30000,
	 .poll_ms = 1000,
	 .margin_ms = 3000,
	 .follow_ms = 250,
	 .close_ms = 10,
	 .closely_ms = 4000,
	 .limit_ms = 15000,
	 .retry_ms = 1000,
	 .others_ms = 2000,
	 .yield_ms = 500,
	 .staging_ms = 600000},
	{.timeout_ms = 600000,
	 .poll_ms = 10,
	 .margin_ms = 60000,
	 .follow_ms = 2,
	 .close_ms = 1,
	 .closely_ms = 40,
	 .limit_ms = 300000,
	 .retry_ms = 10,
	 .others_ms = 20,
	 .yield_ms = 5,
	 .staging_ms = 1200000},
	{.timeout_ms = 600000,
	 .poll_ms = 150000,
	 .margin_ms = 60000,
	 .follow_ms = 37500,
	 .close_ms = 1500,
	 .closely_ms = 600000,
	 .limit_ms = 300000,
	 .retry_ms = 1000,
	 .others_ms = 300000,
	 .yield_ms = 75000,
	 .staging_ms = 1200000},
};

#define EACH_ALLOWED(t)                                                                            \
	const struct lease_timing *t = allowed;                                                    \
	t < allowed + sizeof(allowed) / sizeof(allowed[0]);                                        \
	t++

static void all_times_follow_from_the_two_that_are_given(void **state)
{
	(void)state;
	for (EACH_ALLOWED(want)) {
		struct lease_timing t;

		assert_null(lease_timing_problem(want->timeout_ms, want->poll_ms));
		assert_ok(lease_timing_init(&t, want->timeout_ms, want->poll_ms));
		assert_memory_equal(&t, want, sizeof(t));
	}
}

static void the_times_fit_into_each_other(void **state)
{
	(void)state;
	for (EACH_ALLOWED(t)) {
		uint64_t stop_ms = lease_deadline_ms(t, 0);

		assert_u64(stop_ms + t->margin_ms, t->timeout_ms);
		/* What others publish is seen between two beats, at whatever pace. */
		assert_true(t->follow_ms > 0 && t->follow_ms <= t->poll_ms / 4);
		/* Who is told that the outcome is unknown may still try once, within the lease. */
		assert_true(t->limit_ms + t->poll_ms + t->yield_ms < stop_ms);
		/* A share that answers again is asked before the next beat is due. */
		assert_true(t->retry_ms <= t->poll_ms);
		/* What is being published is never taken for a leftover. */
		assert_true(t->staging_ms > t->timeout_ms);
	}
}

/* ha/ may not include fs/: what each of them says of a lease's end is compared here. */
static void the_daemon_counts_as_the_mount_does(void **state)
{
	static const struct ha_plane empty = {.epoch = 1};
	static const struct ha_plane joined = {.epoch = 1, .n_peers = 1, .peers = {{.id = "me"}}};
	static const struct ha_event events[] = {
		{.type = HA_EV_TICK, .now_ms = 10000},
		{.type = HA_EV_PLANE, .now_ms = 10001, .plane = &empty},
		{.type = HA_EV_RECORD, .now_ms = 10002},
		{.type = HA_EV_PLANE, .now_ms = 10003, .plane = &joined}, /* it claims */
		{.type = HA_EV_CLAIM, .now_ms = 10005, .epoch = 2},
	};

	(void)state;
	for (EACH_ALLOWED(t)) {
		const struct ha_config cfg = {.id = "me",
					      .mode = HA_MODE_MASTER,
					      .timeout_ms = t->timeout_ms,
					      .margin_ms = t->margin_ms,
					      .poll_ms = t->poll_ms};
		struct ha_actions acts;
		struct ha_engine e;

		assert_ok(ha_engine_init(&e, &cfg));
		for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
			ha_engine_step(&e, &events[i], &acts);
		}

		assert_int_equal(e.state, HA_MASTER);
		assert_u64(e.until_ms, lease_deadline_ms(t, 10003));
		/* The mount answers first, and the daemon knows before its lease ends. */
		assert_true(ha_engine_call_limit_ms(&cfg) > t->limit_ms);
		assert_true(ha_engine_call_limit_ms(&cfg) < lease_deadline_ms(t, 0));
	}
}

static void the_daemon_refuses_the_polls_that_the_mount_refuses(void **state)
{
	static const uint64_t timeouts_ms[] = {500, 30001, 600000};

	(void)state;
	for (size_t i = 0; i < sizeof(timeouts_ms) / sizeof(timeouts_ms[0]); i++) {
		for (uint64_t over = 0; over < 2; over++) {
			struct ha_config cfg = {.id = "me",
						.mode = HA_MODE_AUTO,
						.timeout_ms = timeouts_ms[i],
						.margin_ms = timeouts_ms[i] / 10,
						.poll_ms = timeouts_ms[i] / 4 + over};
			struct lease_timing t;
			struct ha_engine e;
			int result = over ? -EINVAL : 0;

			assert_int_equal(lease_timing_init(&t, cfg.timeout_ms, cfg.poll_ms),
					 result);
			assert_int_equal(ha_engine_init(&e, &cfg), result);
		}
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
		assert_int_equal(lease_may_claim(cases[i].claimant, cases[i].holder, NULL, &timing,
						 cases[i].now_ms),
				 cases[i].result);
	}
}

static void orders_stand_in_the_way_of_whom_they_do_not_mean(void **state)
{
	static const struct lease_node lasting = {
		.known = true, .ours = true, .seen = SEEN, .deadline_ms = 99000};
	/* Handed over at 20000, as this mount saw it. */
	static const struct {
		const char *label;
		struct lease_orders orders;
		uint64_t now_ms;
		int result;
	} cases[] = {
		{"none", {false, false, false, false, 0}, 20000, 0},
		{"paused", {true, false, false, false, 0}, 20000, -EAGAIN},
		{"for me", {false, true, true, false, 20000}, 20000, 0},
		{"for me, paused", {true, true, true, false, 20000}, 20000, 0},
		{"from me", {false, true, false, true, 20000}, 21000, -EBUSY},
		{"from me, a poll ago", {false, true, false, true, 20000}, 21001, 0},
		{"from me, paused", {true, true, false, true, 20000}, 21001, 0},
		{"for others", {false, true, false, false, 20000}, 25000, -EBUSY},
		{"not seen yet", {false, true, false, false, 20000}, 19000, -EBUSY},
		{"a timeout ago", {false, true, false, false, 20000}, 25001, 0},
		{"then paused", {true, true, false, false, 20000}, 25001, -EAGAIN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s\n", cases[i].label);
		assert_int_equal(
			lease_may_claim(&lasting, NULL, &cases[i].orders, &timing, cases[i].now_ms),
			cases[i].result);
		assert_int_equal(lease_may_claim(&lasting, &lasting, &cases[i].orders, &timing,
						 cases[i].now_ms),
				 0);
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
		cmocka_unit_test(all_times_follow_from_the_two_that_are_given),
		cmocka_unit_test(the_times_fit_into_each_other),
		cmocka_unit_test(the_daemon_counts_as_the_mount_does),
		cmocka_unit_test(the_daemon_refuses_the_polls_that_the_mount_refuses),
		cmocka_unit_test(an_observation_counts_from_when_the_value_was_first_seen),
		cmocka_unit_test(a_node_lapses_only_after_more_than_the_timeout),
		cmocka_unit_test(a_holder_stops_a_margin_before_it_may_be_deposed),
		cmocka_unit_test(a_record_is_written_by_its_own_mount_until_it_is_over),
		cmocka_unit_test(a_record_is_removed_only_where_nobody_needs_it),
		cmocka_unit_test(a_lease_goes_to_a_living_claimant_when_its_holder_is_gone),
		cmocka_unit_test(orders_stand_in_the_way_of_whom_they_do_not_mean),
		cmocka_unit_test(a_lease_is_given_back_by_its_holders_mount_only),
	};

	return cmocka_run_group_tests_name("fs/lease", tests, NULL, NULL);
}
