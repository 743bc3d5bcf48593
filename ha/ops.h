/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on the mount with a time limit each: every one that is begun is answered exactly once,
 * by the worker or, once its time is over, as unknown.  Agent thread only; nothing here blocks but
 * ha_ops_stop().
 */
#ifndef HA_OPS_H
#define HA_OPS_H

#include "ha/worker.h"

struct ha_op {
	uint64_t id; /* of the job; 0: none is outstanding */
	uint64_t until_ms;
};

/* Only ops.c writes the fields. */
struct ha_ops {
	struct ha_worker *worker;
	uint64_t limit_ms;
	uint64_t last_id;
	struct ha_op outstanding[HA_JOB_TYPE_MAX_];
};

/* Takes @dir on success. */
int ha_ops_start(struct ha_ops *ops, struct ha_dir *dir, uint64_t limit_ms);

/* As ha_worker_stop(). */
int ha_ops_stop(struct ha_ops *ops, uint64_t wait_ms);

/* For poll(2), as ha_worker_fd(). */
int ha_ops_fd(const struct ha_ops *ops);

/*
 * Begin an operation; none of its type may be outstanding.  NULL: there was no memory for it, and
 * it is answered as unknown at the next turn.
 */
void ha_ops_begin(struct ha_ops *ops, enum ha_job_type type, struct ha_job *job /* takes */);

/* Give it up: it is not carried out if it has not been begun, and not answered. */
void ha_ops_cancel(struct ha_ops *ops, enum ha_job_type type);

/* Carry out nothing from now on; or go on.  Time limits are as they are. */
void ha_ops_hold(struct ha_ops *ops, bool hold);

/*
 * The next answer, if there is one.  *ret_job is the caller's; NULL: no answer came in time, and if
 * one comes later it is dropped.
 */
bool ha_ops_next(struct ha_ops *ops, enum ha_job_type *ret_type, struct ha_job **ret_job);

/* When to ask ha_ops_next() again even if the descriptor stays quiet. */
uint64_t ha_ops_deadline_ms(const struct ha_ops *ops);

#endif
