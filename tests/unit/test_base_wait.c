/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/wait.c.  The clocks and the two calls that wait are ours, see ld(1) --wrap; one check waits
 * for a millisecond.
 */
#include <time.h>

#include "base/wait.h"
#include "tests/unit/unit.h"

static uint64_t boot_ms;
static struct timespec monotonic, until;
static unsigned n_plain, n_timed;

uint64_t __wrap_clock_boot_ms(void);
int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
				  const struct timespec *deadline);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
				  const struct timespec *deadline);

uint64_t __wrap_clock_boot_ms(void)
{
	return boot_ms;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	assert_int_equal(clock, CLOCK_MONOTONIC);
	*ret = monotonic;
	return 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
	(void)cond;
	(void)lock;
	n_plain++;
	return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
				  const struct timespec *deadline)
{
	(void)cond;
	(void)lock;
	n_timed++;
	until = *deadline;
	return 0;
}

static void what_is_left_of_the_deadline_is_waited_for_on_the_other_clock(void **state)
{
	/* The clocks differ by the time that the machine has slept. */
	static const struct {
		const char *label;
		uint64_t boot_ms, until_ms;
		struct timespec now, want;
	} cases[] = {
		{"less than a second", 7000, 7250, {5, 0}, {5, 250000000}},
		{"whole seconds", 7000, 9000, {5, 1}, {7, 1}},
		{"a second is filled", 7000, 8500, {5, 500000000}, {7, 0}},
		{"one nanosecond less", 7000, 8500, {5, 499999999}, {6, 999999999}},
		{"now", 7000, 7000, {5, 9}, {5, 9}},
		{"passed", 7000, 10, {5, 9}, {5, 9}},
		{"days", 7000, 86407000, {5, 9}, {86405, 9}},
	};
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond;

	(void)state;
	wait_cond_init(&cond);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("%s\n", cases[i].label);
		boot_ms = cases[i].boot_ms;
		monotonic = cases[i].now;
		n_plain = n_timed = 0;

		wait_until(&cond, &lock, cases[i].until_ms);

		assert_int_equal(n_plain, 0);
		assert_int_equal(n_timed, 1);
		assert_int_equal(until.tv_sec, cases[i].want.tv_sec);
		assert_int_equal(until.tv_nsec, cases[i].want.tv_nsec);
	}
	assert_int_equal(pthread_cond_destroy(&cond), 0);
}

static void without_a_deadline_only_a_signal_ends_it(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond;

	(void)state;
	wait_cond_init(&cond);
	n_plain = n_timed = 0;

	wait_until(&cond, &lock, WAIT_FOR_EVER);

	assert_int_equal(n_plain, 1);
	assert_int_equal(n_timed, 0);
	assert_int_equal(pthread_cond_destroy(&cond), 0);
}

/* A condition on the wall clock would count a deadline of the other clock as long past. */
static void the_condition_is_on_the_clock_that_is_counted_on(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct timespec from, to, deadline;
	pthread_cond_t cond;

	(void)state;
	wait_cond_init(&cond);
	(void)__real_clock_gettime(CLOCK_MONOTONIC, &from);
	deadline = from;
	deadline.tv_sec += deadline.tv_nsec >= 999000000;
	deadline.tv_nsec = (deadline.tv_nsec + 1000000) % 1000000000;

	assert_int_equal(pthread_mutex_lock(&lock), 0);
	while (__real_pthread_cond_timedwait(&cond, &lock, &deadline) == 0) {
	}
	assert_int_equal(pthread_mutex_unlock(&lock), 0);

	(void)__real_clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true(to.tv_sec > deadline.tv_sec ||
		    (to.tv_sec == deadline.tv_sec && to.tv_nsec >= deadline.tv_nsec));
	assert_int_equal(pthread_cond_destroy(&cond), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_left_of_the_deadline_is_waited_for_on_the_other_clock),
		cmocka_unit_test(without_a_deadline_only_a_signal_ends_it),
		cmocka_unit_test(the_condition_is_on_the_clock_that_is_counted_on),
	};

	return cmocka_run_group_tests_name("base/wait", tests, NULL, NULL);
}
