/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/exec.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/log.h"
#include "ha/child.h"
#include "ha/keeper.h"

/*
 * Parts of a lease: so much is left when COMMAND is told to end, so much time it has then, and so
 * much is left when it is dead.
 */
#define RESERVE_PARTS 4
#define GRACE_PARTS   5
#define SPARE_PARTS   20

#define PAUSE_DOUBLES_MAX 3

enum phase {
	IDLE,    /* nothing runs */
	RUNNING, /* it does */
	ENDING,  /* it was told to end, or has ended and left others behind */
	KILLING, /* its time to do so is over */
};

struct exec {
	struct ha_seat *seat;
	const struct ha_exec_options *options;
	const char *argv[4];
	struct ha_notice office; /* what made us master */
	bool in_office;          /* the daemon is master, as far as it has told us */
	bool gave_up;            /* for this office */
	uint64_t ending_epoch;   /* the daemon waits until nothing of it runs; 0: it does not */
	enum phase phase;
	struct ha_child child;
	unsigned n_exits;    /* in a row */
	uint64_t started_ms; /* if .phase is RUNNING */
	uint64_t kill_ms;    /* if .phase is ENDING: at the latest */
	uint64_t start_ms;   /* if .phase is IDLE: not before */
};

uint64_t ha_exec_grace_ms(uint64_t lease_ms)
{
	return lease_ms / GRACE_PARTS;
}

/* So long before the lease's end; 0: there is no lease any more. */
static uint64_t before_end_ms(const struct exec *e, uint64_t ms)
{
	uint64_t end_ms = ha_seat_lease_end_ms(e->seat);

	return end_ms > ms ? end_ms - ms : 0;
}

/* When it must be told to end, if no beat comes. */
static uint64_t reserve_begins_ms(const struct exec *e)
{
	return before_end_ms(e, e->options->lease_ms / RESERVE_PARTS);
}

static void kill_all(struct exec *e)
{
	e->phase = KILLING;
	ha_child_signal_descendants(SIGKILL);
}

/* Ask all of it to end. */
static void end(struct exec *e, const char *why)
{
	log_line(LOG_INFO, "ha", "the command is told to end", "reason=\"%s\" epoch=%" PRIu64, why,
		 e->office.epoch);
	e->phase = ENDING;
	e->kill_ms = clock_boot_ms() + ha_exec_grace_ms(e->options->lease_ms);
	ha_child_signal_descendants(SIGTERM);
}

/* If it was asked to end: the latest that any of it may live until. */
static uint64_t kill_ms(const struct exec *e)
{
	uint64_t last_ms = before_end_ms(e, e->options->lease_ms / SPARE_PARTS);

	return e->kill_ms < last_ms ? e->kill_ms : last_ms;
}

static void give_up(struct exec *e)
{
	e->gave_up = true;
	log_line(LOG_ERR, "ha", "the command ends again and again", "times=%u epoch=%" PRIu64,
		 e->n_exits, e->office.epoch);
	ha_seat_answer(e->seat, HA_ANSWER_GAVE_UP, e->office.epoch);
}

static void on_exit_by_itself(struct exec *e, int status)
{
	uint64_t now_ms = clock_boot_ms();
	unsigned doubles;
	char how[32];

	if (now_ms - e->started_ms >= HA_EXEC_STEADY_MS) {
		e->n_exits = 0;
	}
	doubles = e->n_exits < PAUSE_DOUBLES_MAX ? e->n_exits : PAUSE_DOUBLES_MAX;
	e->n_exits++;
	e->start_ms = now_ms + (e->options->pause_ms << doubles);
	ha_child_describe(status, how, sizeof(how));
	log_line(LOG_WARN, "ha", "the command has ended by itself, retrying",
		 "how=\"%s\" times=%u epoch=%" PRIu64, how, e->n_exits, e->office.epoch);
	if (e->n_exits >= HA_EXEC_EXITS_MAX) {
		give_up(e);
	}
}

static void start(struct exec *e)
{
	int r;

	ha_seat_export(e->seat, &e->office, ha_exec_grace_ms(e->options->lease_ms));
	r = ha_child_start(&e->child, "command", e->argv, false);
	e->started_ms = clock_boot_ms();
	if (r < 0) {
		log_line(LOG_WARN, "ha", "the command could not be started, retrying",
			 "error=\"%s\"", strerror(-r));
		e->start_ms = e->started_ms + e->options->pause_ms;
		return;
	}
	log_line(LOG_INFO, "ha", "the command is started", "pid=%d epoch=%" PRIu64,
		 (int)e->child.pid, e->office.epoch);
	e->phase = RUNNING;
}

static void on_child(struct exec *e)
{
	bool has_ended, none_left;
	int status;

	has_ended = ha_child_reap(&e->child, &status, &none_left);
	if (has_ended && e->phase == RUNNING) {
		on_exit_by_itself(e, status);
		if (!none_left) {
			end(e, "its first process has ended");
		}
	}
	if (none_left) {
		e->phase = IDLE;
	} else if (e->phase == KILLING) {
		kill_all(e); /* whoever was forked meanwhile */
	}
}

static void on_notice(struct exec *e, const struct ha_notice *notice)
{
	if (notice->state == HA_MASTER) {
		e->office = *notice;
		e->in_office = true;
		e->gave_up = false;
		e->n_exits = 0;
		e->start_ms = 0;
		if (e->phase == RUNNING) {
			end(e, "it runs under an earlier epoch");
		}
	} else if (e->in_office) {
		e->in_office = false;
		e->ending_epoch = e->office.epoch;
		if (e->phase == RUNNING) {
			end(e, notice->reason);
		}
	}
}

/* The mount frees the lease as soon as it learns of it: there is no time. */
static void on_left(struct exec *e)
{
	e->in_office = false;
	if (e->phase != IDLE) {
		kill_all(e);
	}
}

static void look_at_the_clock(struct exec *e)
{
	uint64_t now_ms = clock_boot_ms(), reserve_ms = reserve_begins_ms(e);

	if (e->phase == RUNNING && now_ms >= reserve_ms) {
		end(e, "no beat has renewed the lease");
	}
	if (e->phase == ENDING && now_ms >= kill_ms(e)) {
		log_line(LOG_WARN, "ha", "the command is killed: its time is over, ignoring",
			 "epoch=%" PRIu64, e->office.epoch);
		kill_all(e);
	}
	if (e->phase == IDLE && e->ending_epoch > 0) {
		ha_seat_answer(e->seat, HA_ANSWER_ENDED, e->ending_epoch);
		e->ending_epoch = 0;
	}
	if (e->phase == IDLE && e->in_office && !e->gave_up && now_ms >= e->start_ms &&
	    now_ms < reserve_ms) {
		start(e);
	}
}

static uint64_t next_look_ms(const struct exec *e)
{
	uint64_t now_ms = clock_boot_ms();

	switch (e->phase) {
	case IDLE:
		if (!e->in_office || e->gave_up) {
			return UINT64_MAX;
		}
		/* Whether the lease was renewed meanwhile is not told, but can be seen. */
		return e->start_ms > now_ms ? e->start_ms
					    : now_ms + ha_exec_grace_ms(e->options->lease_ms);
	case RUNNING:
		return reserve_begins_ms(e);
	case ENDING:
		return kill_ms(e);
	case KILLING:
		break;
	}
	return UINT64_MAX;
}

static void run(struct ha_seat *seat, const void *arg)
{
	struct exec e = {
		.seat = seat,
		.options = arg,
		.argv = {"/bin/sh", "-c", ((const struct ha_exec_options *)arg)->command},
		.child = {.output_fd = -EBADF},
	};

	/* So that whoever loses its parent becomes our child, and not init's. */
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	while (seat->daemon_fd >= 0 || e.phase != IDLE) {
		struct ha_notice notice;
		unsigned happened = ha_seat_wait(seat, -1, next_look_ms(&e), &notice);

		if (happened & HA_SEAT_CHILD) {
			on_child(&e);
		}
		if (happened & HA_SEAT_NOTICE) {
			on_notice(&e, &notice);
		}
		if (happened & HA_SEAT_LEFT) {
			on_left(&e);
		}
		look_at_the_clock(&e);
	}
}

int ha_exec_start(const struct ha_exec_options *options, struct ha_keeper **ret)
{
	return ha_keeper_start("holdfastd-exec", options->node_id, run, options, ret);
}
