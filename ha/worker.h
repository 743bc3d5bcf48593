/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread that may be lost: it carries out operations on the persistence directory, one after
 * the other in the order of submission, and blocks for as long as the share hangs.
 *
 * It keeps no time; how long an answer is waited for is the caller's business (ha/agent.c).  All
 * functions are for one other thread, the agent's, and none of them blocks but ha_worker_stop().
 */
#ifndef HA_WORKER_H
#define HA_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/parse.h"

struct ha_dir;
struct ha_snapshot;
struct ha_worker;

enum ha_job_type {
	HA_JOB_WRITE_RECORD,
	HA_JOB_READ_PLANE,
	HA_JOB_CLAIM,
	HA_JOB_RELEASE,
	HA_JOB_SWITCHOVER,
	HA_JOB_REMOVE,
	HA_JOB_LOAD,   /* one slice of bringing the loaded copy up to date */
	HA_JOB_UNLOAD, /* forget it */
	HA_JOB_CLEAR,  /* one slice of removing all persisted state */
	HA_JOB_TYPE_MAX_,
};

/* An operation, and once it is taken back its answer. */
struct ha_job {
	enum ha_job_type type;
	uint64_t id;
	char *record;              /* WRITE_RECORD: the text; CLAIM: why */
	char node[PARSE_ID_BYTES]; /* SWITCHOVER ("": cancel), REMOVE */
	uint64_t slice_ms;         /* CLEAR, LOAD: how long it may take */

	int status;                   /* 0 or -errno; CLEAR, LOAD: 1 if it must be asked again */
	uint64_t epoch;               /* CLAIM, if 0 */
	struct ha_snapshot *snapshot; /* READ_PLANE, if 0 */

	struct ha_job *next; /* worker.c only */
};

/* With everything that it owns.  NULL is allowed. */
void ha_job_free(struct ha_job *job);

DEFINE_CLEANUP(struct ha_job *, ha_job_free);

/* On success the worker owns @dir. */
int ha_worker_start(struct ha_dir *dir, struct ha_worker **ret);

/* A descriptor for poll(2): readable when there may be answers. */
int ha_worker_fd(const struct ha_worker *w);

void ha_worker_submit(struct ha_worker *w, struct ha_job *job /* takes */);

/*
 * The next answered job, the caller's now; NULL: none, and the descriptor is quiet until there is
 * one.
 */
struct ha_job *ha_worker_take(struct ha_worker *w);

/*
 * Forget a job that has not been begun, so that it is never carried out after its time.  One
 * that is under way is answered some day.
 */
void ha_worker_cancel(struct ha_worker *w, uint64_t id);

/* Begin no job from now on; or go on.  What is under way goes on. */
void ha_worker_hold(struct ha_worker *w, bool hold);

/*
 * Finish the job under way, forget the others, close the directory and free everything.
 * -ETIMEDOUT: the thread is still held by the share after @wait_ms; nothing is freed, and only
 * _exit(2) ends it.
 */
int ha_worker_stop(struct ha_worker *w, uint64_t wait_ms);

#endif
