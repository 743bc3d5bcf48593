/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --hooks DIR: programs of the operator that are run when this node's state changes, one after the
 * other, in the order of the changes.
 *
 *	on-promote       this node is master now
 *	on-demote        it is not any more
 *	on-state-change  after either of them, and at all other changes
 *
 * A keeper runs them (ha/keeper.h), so that on-demote comes at the end of the lease even if the
 * daemon hangs, is stopped or was killed.  It waits for nobody: at a demotion what still runs is
 * killed, and what waits is forgotten.
 */
#ifndef HA_HOOKS_H
#define HA_HOOKS_H

#include <stdint.h>

#include "base/err.h"

struct ha_keeper;

struct ha_hooks_options {
	const char *dir;
	const char *node_id;
	uint64_t limit_ms; /* a hook is killed after that */
	uint64_t check_ms; /* how often to look whether a lease that seemed over was renewed */
};

/*
 * -EINVAL: @dir is not absolute; -EACCES: others than root and this user could put programs there
 * that we would run; or what stat(2) says.
 */
int ha_hooks_check(const char *dir, struct err *reterr);

/* As ha_keeper_start(); @options must outlive it. */
int ha_hooks_start(const struct ha_hooks_options *options, struct ha_keeper **ret);

#endif
