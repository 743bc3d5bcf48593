/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/gate.c.  The clock is ours, see ld(1) --wrap; what the threads find out is asserted in the
 * test's own.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fs/gate.h"
#include "tests/unit/unit.h"

#define NEVER UINT64_MAX

static _Atomic uint64_t now_ms;
static atomic_uint readings;

uint64_t __wrap_clock_boot_ms(void);

uint64_t __wrap_clock_boot_ms(void)
{
	uint64_t now = now_ms;

	readings++;
	return now;
}

static int set_up(void **state)
{
	static struct gate g;

	now_ms = 1000;
	gate_init(&g);
	*state = &g;
	return 0;
}

static int tear_down(void **state)
{
	gate_done(*state);
	return 0;
}

static void a_new_gate_is_closed(void **state)
{
	struct gate_pass untouched = {.epoch = 77};

	assert_false(gate_is_open(*state));
	assert_errno(gate_enter(*state, &untouched), EROFS);
	assert_u64(untouched.epoch, 77);
}

static void it_is_open_until_the_deadline_and_not_at_it(void **state)
{
	struct gate *g = *state;
	struct gate_pass pass;

	gate_set(g, 3, 2000);
	now_ms = 1999;
	assert_true(gate_is_open(g));
	assert_ok(gate_enter(g, &pass));
	assert_u64(pass.epoch, 3);
	assert_ok(gate_leave(g, &pass));
	now_ms = 2000;
	assert_false(gate_is_open(g));
	assert_errno(gate_enter(g, &pass), EROFS);

	gate_set(g, 3, 3000); /* renewed */
	assert_ok(gate_enter(g, &pass));
	assert_ok(gate_leave(g, &pass));
}

static void an_operation_that_outlives_the_deadline_gets_eio(void **state)
{
	struct gate *g = *state;
	struct gate_pass pass;

	gate_set(g, 3, 2000);
	assert_ok(gate_enter(g, &pass));
	now_ms = 2000;
	assert_errno(gate_leave(g, &pass), EIO);

	/* Renewed meanwhile: the same lease, without a gap that another could have used. */
	now_ms = 1000;
	assert_ok(gate_enter(g, &pass));
	gate_set(g, 3, 4000);
	now_ms = 3999;
	assert_ok(gate_leave(g, &pass));
}

static void an_operation_that_straddles_two_epochs_gets_eio(void **state)
{
	struct gate *g = *state;
	struct gate_pass old, new;

	gate_set(g, 3, NEVER);
	assert_ok(gate_enter(g, &old));
	gate_set(g, 4, NEVER);
	assert_ok(gate_enter(g, &new));
	assert_errno(gate_leave(g, &old), EIO);
	assert_ok(gate_leave(g, &new));

	assert_ok(gate_enter(g, &old));
	gate_set(g, 0, 0);
	assert_errno(gate_leave(g, &old), EIO);
	assert_errno(gate_enter(g, &new), EROFS);
}

static void epoch_0_closes_whatever_the_deadline_says(void **state)
{
	gate_set(*state, 3, NEVER);
	gate_set(*state, 0, NEVER);
	assert_false(gate_is_open(*state));
}

static void a_shut_gate_lets_nobody_in_until_it_is_set_again(void **state)
{
	struct gate *g = *state;
	struct gate_pass pass;

	gate_set(g, 3, NEVER);
	gate_shut(g, 0); /* nobody is inside: it does not wait */
	assert_false(gate_is_open(g));
	assert_errno(gate_enter(g, &pass), EROFS);
	gate_set(g, 3, NEVER);
	assert_ok(gate_enter(g, &pass));
	assert_ok(gate_leave(g, &pass));
}

struct shutter {
	pthread_t thread;
	struct gate *gate;
	uint64_t margin_ms;
	atomic_bool returned;
};

static void *run_shutter(void *arg)
{
	struct shutter *s = arg;

	gate_shut(s->gate, s->margin_ms);
	s->returned = true;
	return NULL;
}

static void start_shutter(struct shutter *s, struct gate *g, uint64_t margin_ms)
{
	*s = (struct shutter){.gate = g, .margin_ms = margin_ms};
	assert_int_equal(pthread_create(&s->thread, NULL, run_shutter, s), 0);
	while (gate_is_open(g)) {
		(void)sched_yield();
	}
}

static void shutting_waits_for_those_inside_and_they_may_finish(void **state)
{
	struct gate *g = *state;
	struct gate_pass first, second, none;
	struct shutter s;

	gate_set(g, 3, NEVER);
	assert_ok(gate_enter(g, &first));
	assert_ok(gate_enter(g, &second));
	start_shutter(&s, g, 0);
	assert_errno(gate_enter(g, &none), EROFS);
	assert_ok(gate_leave(g, &first));
	assert_false(s.returned); /* one is inside still */
	assert_ok(gate_leave(g, &second));
	assert_int_equal(pthread_join(s.thread, NULL), 0);
	assert_true(s.returned);
}

/*
 * The shutter reads the clock twice a round while it waits.  When it has done so twice, or has
 * returned, it has decided on @at_ms.
 */
static void let_it_look_at(struct shutter *s, uint64_t at_ms)
{
	unsigned before;

	now_ms = at_ms;
	before = readings;
	while (readings < before + 4 && !s->returned) {
		(void)sched_yield();
	}
}

static void shutting_waits_until_the_margin_after_the_deadline_and_no_longer(void **state)
{
	static const uint64_t margins_ms[] = {1, 500};

	for (size_t i = 0; i < sizeof(margins_ms) / sizeof(margins_ms[0]); i++) {
		struct gate *g = *state;
		struct gate_pass pass;
		struct shutter s;

		now_ms = 1000;
		gate_set(g, 3, 2000);
		assert_ok(gate_enter(g, &pass));
		start_shutter(&s, g, margins_ms[i]);
		let_it_look_at(&s, 2000 + margins_ms[i] - 1);
		assert_false(s.returned); /* what is under way has the margin to arrive */
		now_ms = 2000 + margins_ms[i];
		assert_int_equal(pthread_join(s.thread, NULL), 0);
		assert_errno(gate_leave(g, &pass), EIO);
	}
}

struct writer {
	pthread_t thread;
	struct gate *gate;
	atomic_uint *inside;
	atomic_bool *ends;
	unsigned long entered;
};

static void *run_writer(void *arg)
{
	struct writer *w = arg;

	while (!*w->ends) {
		struct gate_pass pass;

		if (gate_enter(w->gate, &pass) == 0) {
			w->entered++;
			(void)atomic_fetch_add(w->inside, 1);
			(void)sched_yield();
			(void)atomic_fetch_sub(w->inside, 1);
			(void)gate_leave(w->gate, &pass);
		} else {
			(void)sched_yield();
		}
	}
	return NULL;
}

#define WRITERS 4
#define ROUNDS  300

static void nobody_is_inside_once_it_was_shut(void **state)
{
	struct gate *g = *state;
	struct writer writers[WRITERS];
	atomic_uint inside = 0;
	atomic_bool ends = false;
	unsigned long entered = 0;
	unsigned seen_inside = 0, seen_open = 0;

	for (size_t i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.gate = g, .inside = &inside, .ends = &ends};
		assert_int_equal(pthread_create(&writers[i].thread, NULL, run_writer, &writers[i]),
				 0);
	}
	for (uint64_t epoch = 1; epoch <= ROUNDS; epoch++) {
		gate_set(g, epoch, NEVER);
		while (inside == 0) {
			(void)sched_yield();
		}
		gate_shut(g, 0);
		seen_inside += inside;
		seen_open += gate_is_open(g);
	}
	ends = true;
	for (size_t i = 0; i < WRITERS; i++) {
		assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
		entered += writers[i].entered;
	}
	assert_int_equal(seen_inside, 0);
	assert_int_equal(seen_open, 0);
	assert_true(entered >= ROUNDS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_new_gate_is_closed),
		CASE(it_is_open_until_the_deadline_and_not_at_it),
		CASE(an_operation_that_outlives_the_deadline_gets_eio),
		CASE(an_operation_that_straddles_two_epochs_gets_eio),
		CASE(epoch_0_closes_whatever_the_deadline_says),
		CASE(a_shut_gate_lets_nobody_in_until_it_is_set_again),
		CASE(shutting_waits_for_those_inside_and_they_may_finish),
		CASE(shutting_waits_until_the_margin_after_the_deadline_and_no_longer),
		CASE(nobody_is_inside_once_it_was_shut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
