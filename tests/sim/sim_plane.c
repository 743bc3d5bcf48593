/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: sim_plane [SEEDS [FIRST_SEED]]
 *        sim_plane --corpus FILE
 *        sim_plane --trace SEED
 *
 * Runs one world per seed and stops at the first that breaks a property.  To see a failure again:
 * sim_plane 1 SEED; to follow it, --trace, which prints a line for each event: time, kind, machine,
 * its mount's generation, nonce and phase, its engine's state and reason, its operations under way,
 * the end of its lease.  Some worlds are run twice, and must be the same.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/sim.h"

#define TWICE_EVERY 50

static struct sim world;
static char abort_text[64]; /* for on_abort() */
static unsigned long worlds, events, commits, masters, crashes, pauses, handed, orders;

/*
 * Every seed gets its own mix of faults.  One fixed mix is too even: it never makes a world where
 * answers are rare but nothing crashes, and bugs live in such corners.
 */
static struct sim_faults draw_faults(struct sim *s)
{
	static const unsigned per_second[] = {0, 0, 0, 5, 20, 80};
	static const unsigned per_call[] = {0, 0, 20, 100, 300};
	static const unsigned switchover[] = {0, 0, 20, 100, 300};
	static const unsigned delay[] = {2, 20, 300, 1500};
	static const unsigned pause[] = {4000, 12000, 200000};
	static const unsigned call_timeout[] = {500, 1500, 4000};
	static const unsigned late[] = {1500, 6000, 150000};
	static const unsigned end[] = {60000, 120000, 120000, 400000};
#define ANY(of) (of)[sim_below(s, sizeof(of) / sizeof((of)[0]))]
	struct sim_faults f = {
		.daemon_crash_permille = ANY(per_second),
		.daemon_stop_permille = ANY(per_second),
		.daemon_pause_permille = ANY(per_second),
		.mount_crash_permille = ANY(per_second),
		.mount_pause_permille = ANY(per_second),
		.machine_crash_permille = ANY(per_second),
		.machine_sleep_permille = ANY(per_second),
		.cut_permille = ANY(per_second),
		.switchover_permille = ANY(switchover),
		.maintenance_permille = ANY(per_second) / 2,
		.mode_permille = ANY(per_second) / 2,
		.pause_max_ms = ANY(pause),
		.stall_permille = ANY(per_second),
		.stall_max_ms = ANY(pause) / 2,
		.lost_permille = ANY(per_call),
		.late_permille = ANY(per_call),
		.late_max_ms = ANY(late),
		.unheard_permille = ANY(per_call),
		.lie_permille = ANY(per_call),
		.refuse_permille = ANY(per_call) / 2,
		.delay_max_ms = ANY(delay),
		.call_timeout_ms = ANY(call_timeout),
		.drift_ppm = 40000,
		.end_ms = ANY(end),
	};
#undef ANY

	f.quiet_after_ms = f.end_ms - 35000;
	return f;
}

/* An assertion of the engine is a finding, too. */
static void on_abort(int sig)
{
	(void)sig;
	if (write(STDOUT_FILENO, abort_text, strlen(abort_text)) < 0) {
		return; /* nobody reads; the exit status tells all the same */
	}
}

static bool play(uint64_t seed, bool traced)
{
	struct lease_timing timing;
	struct sim_faults faults;

	if (lease_timing_init(&timing, 5000, 1000) < 0) {
		return false;
	}
	(void)snprintf(abort_text, sizeof(abort_text), "seed %" PRIu64 ": aborted\n", seed);
	world.rng = seed;
	faults = draw_faults(&world);
	sim_init(&world, seed, 2 + (unsigned)(seed % (SIM_MACHINES_MAX - 1)), &faults, &timing);
	world.traced = traced;
	return sim_run(&world);
}

static bool run(uint64_t seed)
{
	uint64_t digest;

	if (!play(seed, false)) {
		(void)printf("seed %" PRIu64 ": %s\n", seed, world.why);
		return false;
	}
	worlds++;
	events += world.steps;
	commits += world.commits;
	masters += world.masters;
	crashes += world.crashes;
	pauses += world.pauses;
	handed += world.handed;
	orders += world.orders;
	if (seed % TWICE_EVERY == 0) {
		digest = world.digest;
		if (!play(seed, false) || world.digest != digest) {
			(void)printf("seed %" PRIu64 ": is another world the second time\n", seed);
			return false;
		}
	}
	return true;
}

static bool run_corpus(const char *path)
{
	char line[128];
	bool good = true;
	FILE *f = fopen(path, "re");

	if (!f) {
		perror(path);
		return false;
	}
	while (good && fgets(line, sizeof(line), f)) {
		if (line[0] != '#' && line[0] != '\n') {
			good = run(strtoull(line, NULL, 10));
		}
	}
	(void)fclose(f);
	return good;
}

static bool run_range(uint64_t first, uint64_t n)
{
	for (uint64_t seed = first; seed < first + n; seed++) {
		if (!run(seed)) {
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	bool good;

	(void)signal(SIGABRT, on_abort);
	if (argc == 3 && strcmp(argv[1], "--corpus") == 0) {
		good = run_corpus(argv[2]);
	} else if (argc == 3 && strcmp(argv[1], "--trace") == 0) {
		return play(strtoull(argv[2], NULL, 10), true) ? EXIT_SUCCESS : EXIT_FAILURE;
	} else {
		good = run_range(argc > 2 ? strtoull(argv[2], NULL, 10) : 1,
				 argc > 1 ? strtoull(argv[1], NULL, 10) : 5000);
	}
	(void)printf("%lu worlds: %lu events, %lu commits, %lu masters, %lu of them by switchover, "
		     "%lu orders, %lu crashes, %lu pauses\n",
		     worlds, events, commits, masters, handed, orders, crashes, pauses);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
