/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon is played: a keeper is told of states and sees a lease that the test renews or not. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "ha/exec.h"
#include "ha/keeper.h"
#include "tests/lib/scratch.h"
#include "unit.h"

#define LONG_MS 60000

/* Says under which epoch it runs and which processes it has, and cannot be asked to end. */
#define STUBBORN                                                                                   \
	"trap '' TERM; setsid sleep 1000 & echo $HOLDFAST_EPOCH $$ $! >ran.new; mv ran.new ran; "  \
	"while :; do sleep 1; done"

static struct ha_exec_options options;
static struct ha_keeper *keeper;

static void start(void **state, const char *command, uint64_t lease_ms)
{
	const struct scratch *s = *state;

	assert_int_equal(fchdir(s->fd), 0);
	options = (struct ha_exec_options){
		.command = command, .node_id = "node1", .lease_ms = lease_ms, .pause_ms = 1};
	assert_ok(ha_exec_start(&options, &keeper));
}

static void tell(enum ha_state now, enum ha_state before, uint64_t epoch)
{
	const struct ha_notice notice = {.state = now, .previous = before, .epoch = epoch};

	ha_keeper_tell(keeper, &notice);
}

static struct ha_answer next_answer(void)
{
	struct pollfd fd = {.fd = ha_keeper_fd(keeper), .events = POLLIN};
	struct ha_answer answer;

	assert_int_equal(poll(&fd, 1, LONG_MS), 1);
	assert_int_equal(ha_keeper_take(keeper, &answer), 1);
	return answer;
}

static void pause_shortly(void)
{
	const struct timespec pause = {.tv_nsec = 2000000};

	(void)nanosleep(&pause, NULL);
}

/* Waits for STUBBORN to run; the processes that it has. */
static void wait_for_run(void **state, uint64_t want_epoch, pid_t ret[2])
{
	const struct scratch *s = *state;
	char *text = NULL;
	char *rest;

	while (io_read_file(s->fd, "ran", 100, &text, NULL) < 0) {
		pause_shortly();
	}
	assert_u64(strtoull(text, &rest, 10), want_epoch);
	ret[0] = (pid_t)strtol(rest, &rest, 10);
	ret[1] = (pid_t)strtol(rest, &rest, 10);
	assert_true(ret[0] > 0 && ret[1] > 0);
	free(text);
}

static void wait_for_death(const pid_t pids[2])
{
	for (size_t i = 0; i < 2; i++) {
		while (kill(pids[i], 0) == 0) {
			pause_shortly();
		}
	}
}

static void it_runs_under_an_epoch_and_its_end_is_told(void **state)
{
	struct ha_answer answer;
	pid_t pids[2];

	start(state, STUBBORN, 1000);
	ha_keeper_renew(keeper, clock_boot_ms() + LONG_MS);
	tell(HA_MASTER, HA_STANDBY, 7);
	wait_for_run(state, 7, pids);
	tell(HA_STANDBY, HA_MASTER, 7);
	answer = next_answer();

	assert_int_equal(answer.type, HA_ANSWER_ENDED);
	assert_u64(answer.epoch, 7);
	wait_for_death(pids);
	ha_keeper_stop(keeper, LONG_MS);
}

static void a_lease_that_nobody_renews_ends_it(void **state)
{
	pid_t pids[2];

	start(state, STUBBORN, 2000);
	ha_keeper_renew(keeper, clock_boot_ms() + 2000);
	tell(HA_MASTER, HA_STANDBY, 1);
	wait_for_run(state, 1, pids);

	wait_for_death(pids);
	ha_keeper_stop(keeper, LONG_MS);
}

static void the_end_of_the_daemon_ends_it_at_once(void **state)
{
	pid_t pids[2];

	/* A grace would be 12,000 s. */
	start(state, STUBBORN, UINT64_C(1000) * LONG_MS);
	ha_keeper_renew(keeper, clock_boot_ms() + 1000 * (uint64_t)LONG_MS);
	tell(HA_MASTER, HA_STANDBY, 1);
	wait_for_run(state, 1, pids);
	ha_keeper_stop(keeper, LONG_MS);

	wait_for_death(pids);
}

static void what_ends_again_and_again_is_given_up_until_the_next_office(void **state)
{
	start(state, "echo x >>runs", LONG_MS);
	ha_keeper_renew(keeper, clock_boot_ms() + LONG_MS);
	for (uint64_t epoch = 1; epoch <= 2; epoch++) {
		const struct scratch *s = *state;
		struct ha_answer answer;
		char *text = NULL;

		tell(HA_MASTER, HA_STANDBY, epoch);
		answer = next_answer();
		assert_int_equal(answer.type, HA_ANSWER_GAVE_UP);
		assert_u64(answer.epoch, epoch);
		assert_ok(io_read_file(s->fd, "runs", 1000, &text, NULL));
		assert_u64(strlen(text), 2 * epoch * HA_EXEC_EXITS_MAX);
		free(text);

		tell(HA_FAILED, HA_MASTER, epoch);
		assert_int_equal(next_answer().type, HA_ANSWER_ENDED);
	}
	ha_keeper_stop(keeper, LONG_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_runs_under_an_epoch_and_its_end_is_told,
						scratch_set_up, scratch_tear_down),
		cmocka_unit_test_setup_teardown(a_lease_that_nobody_renews_ends_it, scratch_set_up,
						scratch_tear_down),
		cmocka_unit_test_setup_teardown(the_end_of_the_daemon_ends_it_at_once,
						scratch_set_up, scratch_tear_down),
		cmocka_unit_test_setup_teardown(
			what_ends_again_and_again_is_given_up_until_the_next_office, scratch_set_up,
			scratch_tear_down),
	};

	return cmocka_run_group_tests_name("ha/exec", tests, NULL, NULL);
}
