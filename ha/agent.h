/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shell around the engine: brings it events, carries out its actions, tells others from memory.
 *
 * Decides nothing.  ha_agent_run() is the agent thread (the process's main thread); it waits in
 * poll(2) and never touches the share: file operations are the worker's (ha/worker.h), waiting for
 * news is the watch's (ha/watch.h).  An operation without an answer after half the heartbeat
 * timeout plus a poll is answered to the engine as -ETIMEDOUT, its late answer dropped.  A hung
 * share delays neither a step-down nor the end of the process.
 */
#ifndef HA_AGENT_H
#define HA_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ha/engine.h"
#include "ha/record.h"

struct ha_agent;
struct ha_dir;
struct ha_programs;
struct ha_snapshot;

struct ha_agent_options {
	const char *id;                /* must outlive the agent */
	enum ha_mode mode;             /* HA_MODE_DISABLED: no engine is run, nothing is written */
	uint64_t prune_ms;             /* remove records that are dead for so long; 0: never */
	bool clear_on_first_promotion; /* --persist clean */
	bool refusal_is_fatal;         /* end if the plane refuses the mode */
	struct ha_programs *programs;  /* NULL: there are none; must outlive ha_agent_run() */
};

/*
 * @dir and @plane, its first reading, are NULL exactly if the mode is DISABLED; both are taken
 * on success.  -EINVAL: timings that the engine refuses.
 */
int ha_agent_new(const struct ha_agent_options *options, struct ha_dir *dir,
		 struct ha_snapshot *plane, struct ha_agent **ret, struct err *reterr);

/* What the node knows at one moment. */
struct ha_look {
	struct ha_record own;       /* with the state that it has now */
	uint64_t own_epoch;         /* of the lease, if .own says MASTER */
	struct ha_snapshot *newest; /* a reference, the caller's; NULL where no engine is run */
};

/* Both answer from memory, never wait for the share, and may be called by any thread. */
enum ha_state ha_agent_state(struct ha_agent *a);
void ha_agent_look(struct ha_agent *a, struct ha_look *ret);

/*
 * Take part in the plane until @stop_fd becomes readable; @node_uri (NULL: none) must outlive the
 * agent.  Then publish TERMINATED, waiting for it only so long.  0; -ECANCELED: the plane refused
 * the mode, and that is fatal; or -errno: nothing was begun.
 */
int ha_agent_run(struct ha_agent *a, const char *node_uri, int stop_fd);

/*
 * -ETIMEDOUT: the share still holds a thread; nothing more is freed, and only _exit(2) ends the
 * process.
 */
int ha_agent_free(struct ha_agent *a);

#endif
