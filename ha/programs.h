/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent has to do with the programs that are run because of its node's states: hooks
 * (ha/hooks.h) and the command of --exec (ha/exec.h).
 *
 * Nothing here blocks but ha_programs_stop().  ha_programs_start() is for a process with one
 * thread, the rest for the agent thread.  NULL is allowed everywhere: there are no programs.
 */
#ifndef HA_PROGRAMS_H
#define HA_PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "ha/engine.h"

struct ha_programs;

/* The texts must outlive the programs. */
struct ha_programs_options {
	const char *hooks_dir; /* NULL: no hooks */
	const char *command;   /* NULL: none */
	const char *node_id;
	uint64_t timeout_ms; /* the plane's timings, as in struct ha_config */
	uint64_t margin_ms;
	uint64_t poll_ms;
};

/* *ret is NULL if there is nothing to be run. */
int ha_programs_start(const struct ha_programs_options *options, struct ha_programs **ret);

/* The lease ends then, CLOCK_BOOTTIME, if it is not renewed. */
void ha_programs_renew(struct ha_programs *p, uint64_t until_ms);

/* @entered is an HA_ACT_ENTERED; @master_uri is NULL if it is not known. */
void ha_programs_enter(struct ha_programs *p, const struct ha_action *entered,
		       const char *master_uri);

/* For ha_dir_set_witness(): the command has ended before its keeper has. */
int ha_programs_witness(const struct ha_programs *p);

/* For poll(2): readable when ha_programs_take() is to be called; or -EBADF. */
int ha_programs_fd(const struct ha_programs *p);

/* True, once: the command does not run, and will not, under the epoch that is now. */
bool ha_programs_take(struct ha_programs *p);

/*
 * Must the lease be kept, as something still runs that must have ended before another node may be
 * master?  Not after the lease's end.
 */
bool ha_programs_must_wait(const struct ha_programs *p, uint64_t now_ms);

/* When that becomes false by itself; UINT64_MAX: it is. */
uint64_t ha_programs_wait_end_ms(const struct ha_programs *p);

/* How long they take to end, once they are told to. */
uint64_t ha_programs_grace_ms(const struct ha_programs *p);

/* The hooks of the last state may take their time, but not for ever: they end by themselves. */
void ha_programs_stop(struct ha_programs *p);

#endif
