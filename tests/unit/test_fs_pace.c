/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/pace.h"
#include "unit.h"

#define TOOK_US    UINT64_C(500)
#define COMPANY_US UINT64_C(1000000)
#define MOST_US    UINT64_C(500000)

/* @n generations of ours, one after the other; the time after the last. */
static uint64_t publish(struct pace *p, unsigned n, uint64_t now_us)
{
	for (unsigned i = 0; i < n; i++) {
		pace_won(p, now_us, now_us + TOOK_US);
		now_us += TOOK_US;
	}
	return now_us;
}

static uint64_t yield_us(const struct pace *p, uint64_t now_us)
{
	return pace_yield_us(p, COMPANY_US, MOST_US, now_us);
}

static void a_lone_mount_does_not_wait(void **state)
{
	struct pace p = {0};
	uint64_t now_us;

	(void)state;
	assert_u64(yield_us(&p, 1000), 0);
	now_us = publish(&p, 1, 1000);
	assert_u64(yield_us(&p, now_us), 0);
}

static void in_company_it_leaves_time_to_read_what_it_published(void **state)
{
	struct pace p = {0};
	uint64_t now_us;

	(void)state;
	pace_saw_others(&p, 1, 1000);
	now_us = publish(&p, 1, 1000);
	/* Reading is taken for four publications until it was measured. */
	assert_u64(yield_us(&p, now_us), 5 * TOOK_US);
	assert_u64(yield_us(&p, now_us + TOOK_US), 4 * TOOK_US);
	assert_u64(yield_us(&p, now_us + 5 * TOOK_US), 0);
	pace_read(&p, 3, 600);
	assert_u64(yield_us(&p, now_us), 200 + TOOK_US);
}

static void whoever_is_behind_does_not_wait(void **state)
{
	struct pace p = {0};
	uint64_t now_us;

	(void)state;
	now_us = publish(&p, PACE_RUN, 1000);
	pace_saw_others(&p, 1, now_us);
	assert_u64(yield_us(&p, now_us), 0);
}

static void company_that_is_silent_is_forgotten(void **state)
{
	struct pace p = {0};
	uint64_t now_us;

	(void)state;
	pace_saw_others(&p, 1, 1000);
	now_us = publish(&p, 1, 1000 + COMPANY_US - TOOK_US);
	assert_u64(yield_us(&p, now_us), 0);
}

/* A mount that has never published cannot be known: it needs a gap now and then. */
static void a_lone_mount_leaves_a_gap_after_each_run(void **state)
{
	struct pace p = {0};
	uint64_t now_us;

	(void)state;
	now_us = publish(&p, PACE_RUN - 1, 1000);
	assert_u64(yield_us(&p, now_us), 0);
	now_us = publish(&p, 1, now_us);
	assert_u64(yield_us(&p, now_us), 5 * TOOK_US);
	now_us = publish(&p, 1, now_us);
	assert_u64(yield_us(&p, now_us), 0);
}

static void no_wait_is_longer_than_the_most(void **state)
{
	struct pace p = {0};

	(void)state;
	pace_saw_others(&p, 1, 0);
	pace_won(&p, 0, MOST_US);
	assert_u64(yield_us(&p, MOST_US), MOST_US);
}

static void the_more_rivals_the_longer_are_the_waits(void **state)
{
	static const unsigned turns[] = {2, 4, 8, 10, 10};
	struct pace p = {0};
	uint64_t now_us;

	(void)state;
	pace_saw_others(&p, 9, 1000);
	now_us = publish(&p, 1, 1000);
	assert_u64(yield_us(&p, now_us), (4 + 9) * TOOK_US);
	for (unsigned i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
		pace_lost(&p, now_us, now_us + TOOK_US);
		assert_u64(pace_back_off_us(&p, MOST_US, UINT8_MAX), turns[i] * TOOK_US);
	}
	assert_u64(pace_back_off_us(&p, 3 * TOOK_US, UINT8_MAX), 3 * TOOK_US);
	assert_u64(pace_back_off_us(&p, MOST_US, 0), 0);
	/* One look at the share sees a part of them only; those who are gone are forgotten. */
	pace_saw_others(&p, 1, now_us);
	assert_u64(p.rivals, 8);
	for (int i = 0; i < 100; i++) {
		pace_saw_others(&p, 1, now_us);
	}
	assert_true(p.rivals < 8);
}

static void of_two_who_race_the_loser_tries_again_at_once_but_not_twice(void **state)
{
	struct pace p = {0};
	uint64_t now_us;

	(void)state;
	pace_saw_others(&p, 1, 1000);
	now_us = publish(&p, 1, 1000);
	assert_u64(pace_back_off_us(&p, MOST_US, UINT8_MAX), 0);
	pace_lost(&p, now_us, now_us + TOOK_US);
	assert_u64(pace_back_off_us(&p, MOST_US, UINT8_MAX), 0);
	pace_lost(&p, now_us, now_us + TOOK_US);
	assert_u64(pace_back_off_us(&p, MOST_US, UINT8_MAX), 2 * TOOK_US);
	(void)publish(&p, 1, now_us);
	assert_u64(pace_back_off_us(&p, MOST_US, UINT8_MAX), 0);
}

static void who_never_won_knows_from_its_losses_how_long_a_turn_is(void **state)
{
	struct pace p = {0};

	(void)state;
	pace_saw_others(&p, 3, 1000);
	pace_lost(&p, 1000, 1000 + TOOK_US);
	assert_u64(pace_back_off_us(&p, MOST_US, UINT8_MAX), 2 * TOOK_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lone_mount_does_not_wait),
		cmocka_unit_test(in_company_it_leaves_time_to_read_what_it_published),
		cmocka_unit_test(whoever_is_behind_does_not_wait),
		cmocka_unit_test(company_that_is_silent_is_forgotten),
		cmocka_unit_test(a_lone_mount_leaves_a_gap_after_each_run),
		cmocka_unit_test(no_wait_is_longer_than_the_most),
		cmocka_unit_test(the_more_rivals_the_longer_are_the_waits),
		cmocka_unit_test(of_two_who_race_the_loser_tries_again_at_once_but_not_twice),
		cmocka_unit_test(who_never_won_knows_from_its_losses_how_long_a_turn_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
