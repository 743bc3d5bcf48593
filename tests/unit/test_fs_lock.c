/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fs/lock.h"
#include "unit.h"

/*
 * A queue as text: 'x' and 's' wait for an exclusive or a shared lock, 'X' and 'S' hold one.
 */
static void assert_grants(const char *before, const char *after)
{
	struct lock_place q[8];
	size_t n = strlen(before);

	assert_true(n <= sizeof(q) / sizeof(q[0]));
	for (size_t i = 0; i < n; i++) {
		q[i] = (struct lock_place){.exclusive = before[i] == 'x' || before[i] == 'X',
					   .granted = before[i] == 'X' || before[i] == 'S'};
	}

	lock_grant(q, n);

	for (size_t i = 0; i < n; i++) {
		if (q[i].granted != (after[i] == 'X' || after[i] == 'S')) {
			fail_msg("%s should become %s, place %zu does not", before, after, i);
		}
	}
}

static void the_first_is_granted(void **state)
{
	(void)state;
	assert_grants("", "");
	assert_grants("x", "X");
	assert_grants("s", "S");
}

static void an_exclusive_holder_is_alone(void **state)
{
	(void)state;
	assert_grants("Xx", "Xx");
	assert_grants("Xs", "Xs");
	assert_grants("xs", "Xs");
	assert_grants("xx", "Xx");
}

static void shared_holders_go_together_up_to_the_first_exclusive(void **state)
{
	(void)state;
	assert_grants("sss", "SSS");
	assert_grants("Ssxs", "SSxs");
	assert_grants("SSx", "SSx");
}

static void nobody_is_overtaken(void **state)
{
	(void)state;
	assert_grants("Sxss", "Sxss");
	assert_grants("xss", "Xss");
	assert_grants("ssx", "SSx");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_granted),
		cmocka_unit_test(an_exclusive_holder_is_alone),
		cmocka_unit_test(shared_holders_go_together_up_to_the_first_exclusive),
		cmocka_unit_test(nobody_is_overtaken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
