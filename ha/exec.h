/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --exec COMMAND: a program that runs while this node is master, and at no other time.
 *
 * A keeper runs it (ha/keeper.h) by /bin/sh.  It is told to end (SIGTERM to all its descendants, in
 * whatever group and session) when the node leaves office, or when a quarter of the lease is left
 * and no beat has renewed it; what remains a fifth of the lease later is killed, and so is
 * everything at once when the daemon dies.  The agent gives the lease up only when
 * nothing of it runs any more.
 *
 * If it ends by itself it is started again, after a pause that doubles.  HA_EXEC_EXITS_MAX ends in
 * a row, each within HA_EXEC_STEADY_MS of its start: the keeper gives up.
 */
#ifndef HA_EXEC_H
#define HA_EXEC_H

#include <stdint.h>

#define HA_EXEC_EXITS_MAX 5
#define HA_EXEC_STEADY_MS 60000

struct ha_keeper;

struct ha_exec_options {
	const char *command;
	const char *node_id;
	uint64_t lease_ms; /* how long a beat renews it for */
	uint64_t pause_ms; /* before it is started again for the first time */
};

/* As ha_keeper_start(); @options must outlive it. */
int ha_exec_start(const struct ha_exec_options *options, struct ha_keeper **ret);

/* How long it may take to end, once it was told to. */
uint64_t ha_exec_grace_ms(uint64_t lease_ms);

#endif
