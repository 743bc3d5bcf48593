/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/timing.h"
#include "unit.h"

static const struct ha_timing defaults = {
	.timeout_ms = 30000,
	.margin_ms = 3000,
	.poll_ms = 1000,
	.commit_ms = 10,
};

static void assert_ms(enum ha_timing_bound bound, double want_ms)
{
	double got_ms = ha_timing_bound_ms(bound, &defaults);

	if (got_ms < want_ms - 0.5 || got_ms > want_ms + 0.5) {
		fail_msg("bound %d: got %f, want %f", (int)bound, got_ms, want_ms);
	}
}

static void the_defaults_give_these_bounds(void **state)
{
	(void)state;
	assert_ms(HA_TIMING_FENCE, 27000);
	assert_ms(HA_TIMING_EARLIEST, 30000);
	assert_ms(HA_TIMING_COMMAND_END, 20250);
	assert_ms(HA_TIMING_COMMAND_KILL, 25650);
	assert_ms(HA_TIMING_STALL, 25990);
	assert_ms(HA_TIMING_STOPPED, 1030);
	assert_ms(HA_TIMING_KILLED, 1030);
	assert_ms(HA_TIMING_DEAD, 31280);
}

/* Of all that plane timings allow: four polls in a timeout, a margin of a tenth. */
static void what_must_have_ended_comes_before_what_may_begin(void **state)
{
	(void)state;
	for (unsigned whole_ms = 500; whole_ms <= 600000; whole_ms += whole_ms / 15) {
		const double timeout_ms = whole_ms;
		struct ha_timing t = {timeout_ms, timeout_ms / 10, timeout_ms / 4, 1};
		double previous_ms = 0;
		const enum ha_timing_bound in_order[] = {
			HA_TIMING_COMMAND_END, HA_TIMING_COMMAND_KILL, HA_TIMING_FENCE,
			HA_TIMING_EARLIEST,    HA_TIMING_DEAD,
		};

		for (size_t i = 0; i < sizeof(in_order) / sizeof(in_order[0]); i++) {
			double ms = ha_timing_bound_ms(in_order[i], &t);

			assert_true(ms > previous_ms);
			previous_ms = ms;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_defaults_give_these_bounds),
		cmocka_unit_test(what_must_have_ended_comes_before_what_may_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
