/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process beside the daemon that sees to the programs which are run because of its states.
 *
 * It is told each state that the daemon enters, and sees the end of the daemon's lease move on in
 * memory that both have.  So it acts in time also where the daemon cannot: hung, stopped, killed.
 * It touches neither the share nor the network, has one thread, and ends once it has lost the
 * daemon and done what there is to do.  ha/hooks.c and ha/exec.c are what keepers do.
 */
#ifndef HA_KEEPER_H
#define HA_KEEPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ha/engine.h"

#define HA_NOTICE_REASON_BYTES 128
#define HA_NOTICE_URI_BYTES    512

/* A state was entered. */
struct ha_notice {
	enum ha_state state;
	enum ha_state previous;
	uint64_t epoch; /* of the lease that begins or ends with it; 0: none does */
	char reason[HA_NOTICE_REASON_BYTES];
	char master_uri[HA_NOTICE_URI_BYTES]; /* "": there is none, or it is not known */
};

/* What a keeper has to say. */
enum ha_answer_type {
	HA_ANSWER_ENDED,   /* what ran under .epoch has ended */
	HA_ANSWER_GAVE_UP, /* what should run under .epoch does not */
};

struct ha_answer {
	enum ha_answer_type type;
	uint64_t epoch;
};

struct ha_keeper;

/* The keeper's side.  Keepers read the fields. */
struct ha_seat {
	const char *node_id;
	int daemon_fd; /* -EBADF: the daemon has left or died */
	int child_fd;  /* signalfd(2) for SIGCHLD */
	int lent_fd;   /* ha_keeper_lend(); -EBADF: nothing is lent.  Closed when the keeper ends */
	atomic_uint_fast64_t *until_ms;
};

typedef void ha_keeper_fn(struct ha_seat *seat, const void *arg);

/*
 * Fork.  The process has one thread, and @arg and @node_id must outlive it.  In the new process,
 * @run is all that is run.  @name is at most 15 bytes, for ps(1).
 */
int ha_keeper_start(const char *name, const char *node_id, ha_keeper_fn *run, const void *arg,
		    struct ha_keeper **ret);

/* The daemon's side; none of it blocks but ha_keeper_stop().  Agent thread only. */

/* The daemon is master until then, CLOCK_BOOTTIME. */
void ha_keeper_renew(struct ha_keeper *k, uint64_t until_ms);

void ha_keeper_tell(struct ha_keeper *k, const struct ha_notice *notice);

/* A descriptor for poll(2): readable when there are answers. */
int ha_keeper_fd(const struct ha_keeper *k);

/* 1: *ret_answer was taken; 0: there is none; -EPIPE: the keeper has ended. */
int ha_keeper_take(struct ha_keeper *k, struct ha_answer *ret_answer);

/*
 * Another descriptor of the same, for ha_keeper_lend(); the caller closes it.  -EBADF: NULL was
 * given, or there is none.
 */
int ha_keeper_dup(const struct ha_keeper *k);

/*
 * Have the keeper hold @fd open in place of what it held before, or nothing (-EBADF), so that for
 * whoever waits for its closing the daemon has not ended before the keeper has.  Any thread.
 */
void ha_keeper_lend(int keeper_fd, int fd);

/* Leave, and wait so long for its end.  It ends by itself if it needs more.  NULL is allowed. */
void ha_keeper_stop(struct ha_keeper *k, uint64_t wait_ms);

/* The keeper's side. */

enum {
	HA_SEAT_NOTICE = 1U << 0, /* *ret_notice was taken */
	HA_SEAT_LEFT = 1U << 1,   /* told once: there is no daemon any more */
	HA_SEAT_CHILD = 1U << 2,  /* a child has ended */
};

/* Wait until something of these happens, @output_fd is readable, or for @until_ms. */
unsigned ha_seat_wait(struct ha_seat *seat, int output_fd, uint64_t until_ms,
		      struct ha_notice *ret_notice);

/* End of the daemon's lease. */
uint64_t ha_seat_lease_end_ms(const struct ha_seat *seat);

void ha_seat_answer(const struct ha_seat *seat, enum ha_answer_type type, uint64_t epoch);

/* Put into the environment what a program is told, see README.md. */
void ha_seat_export(const struct ha_seat *seat, const struct ha_notice *n, uint64_t deadline_ms);

#endif
