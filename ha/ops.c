/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/ops.h"

#include <assert.h>

#include "base/clock.h"

int ha_ops_start(struct ha_ops *ops, struct ha_dir *dir, uint64_t limit_ms)
{
	*ops = (struct ha_ops){.limit_ms = limit_ms};
	return ha_worker_start(dir, &ops->worker);
}

int ha_ops_stop(struct ha_ops *ops, uint64_t wait_ms)
{
	return ha_worker_stop(ops->worker, wait_ms);
}

int ha_ops_fd(const struct ha_ops *ops)
{
	return ha_worker_fd(ops->worker);
}

void ha_ops_begin(struct ha_ops *ops, enum ha_job_type type, struct ha_job *job)
{
	struct ha_op *op = &ops->outstanding[type];

	assert(op->id == 0);
	op->id = ++ops->last_id;
	op->until_ms = job ? clock_boot_ms() + ops->limit_ms : 0;
	if (job) {
		job->type = type;
		job->id = op->id;
		ha_worker_submit(ops->worker, job);
	}
}

void ha_ops_cancel(struct ha_ops *ops, enum ha_job_type type)
{
	struct ha_op *op = &ops->outstanding[type];

	if (op->id) {
		ha_worker_cancel(ops->worker, op->id);
		op->id = 0;
	}
}

void ha_ops_hold(struct ha_ops *ops, bool hold)
{
	ha_worker_hold(ops->worker, hold);
}

bool ha_ops_next(struct ha_ops *ops, enum ha_job_type *ret_type, struct ha_job **ret_job)
{
	uint64_t now_ms = clock_boot_ms();
	struct ha_job *job;

	while ((job = ha_worker_take(ops->worker))) {
		if (ops->outstanding[job->type].id == job->id) {
			ops->outstanding[job->type].id = 0;
			*ret_type = job->type;
			*ret_job = job;
			return true;
		}
		ha_job_free(job);
	}
	for (enum ha_job_type type = 0; type < HA_JOB_TYPE_MAX_; type++) {
		if (ops->outstanding[type].id && now_ms >= ops->outstanding[type].until_ms) {
			/* A record or a claim must not be carried out when it is meant no more. */
			ha_ops_cancel(ops, type);
			*ret_type = type;
			*ret_job = NULL;
			return true;
		}
	}
	return false;
}

uint64_t ha_ops_deadline_ms(const struct ha_ops *ops)
{
	uint64_t at_ms = UINT64_MAX;

	for (enum ha_job_type type = 0; type < HA_JOB_TYPE_MAX_; type++) {
		const struct ha_op *op = &ops->outstanding[type];

		if (op->id && op->until_ms < at_ms) {
			at_ms = op->until_ms;
		}
	}
	return at_ms;
}
