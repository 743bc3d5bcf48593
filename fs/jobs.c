/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/jobs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/wait.h"

static void answer(jobs_done_fn *done, void *ctx, int result, const void *bytes, size_t n)
{
	if (done) {
		done(ctx, result, bytes, n);
	}
}

static void job_free(struct job *j)
{
	free(j->text);
	free(j);
}

static struct job *job_new(const struct request *req)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j) {
		return NULL;
	}
	j->req = *req;
	if (req->n > 0) {
		j->text = malloc(req->n);
		if (!j->text) {
			free(j);
			return NULL;
		}
		memcpy(j->text, req->text, req->n);
	}
	j->req.text = j->text;
	return j;
}

int jobs_submit(struct jobs *q, const struct request *req, uint64_t limit_ms, jobs_done_fn *done,
		void *ctx)
{
	struct job *j = job_new(req);
	bool refused;

	if (!j) {
		return -ENOMEM;
	}
	j->limit_ms = limit_ms;
	j->done = done;
	j->ctx = ctx;

	(void)pthread_mutex_lock(&q->lock);
	refused = q->stopping;
	if (!refused) {
		TAILQ_INSERT_TAIL(&q->list, j, entry);
		(void)pthread_cond_signal(&q->work);
		(void)pthread_cond_signal(&q->limits);
	}
	(void)pthread_mutex_unlock(&q->lock);
	if (refused) {
		answer(done, ctx, -ECANCELED, NULL, 0);
		job_free(j);
	}
	return 0;
}

static unsigned take_locked(struct jobs *q, struct job **ret_jobs, unsigned max)
{
	uint64_t now_ms = clock_boot_ms();
	unsigned n = 0;
	struct job *j;

	TAILQ_FOREACH (j, &q->list, entry) {
		if (!j->taken && !j->answered && j->after_ms <= now_ms && n < max) {
			j->taken = true;
			ret_jobs[n++] = j;
		}
	}
	return n;
}

unsigned jobs_take(struct jobs *q, uint64_t until_ms, struct job **ret_jobs, unsigned max,
		   bool *ret_ended)
{
	unsigned n;

	(void)pthread_mutex_lock(&q->lock);
	while ((n = take_locked(q, ret_jobs, max)) == 0 && !q->stopping &&
	       clock_boot_ms() < until_ms) {
		wait_until(&q->work, &q->lock, until_ms);
	}
	*ret_ended = n == 0 && q->stopping;
	(void)pthread_mutex_unlock(&q->lock);
	return n;
}

bool jobs_is_answered(struct jobs *q, const struct job *j)
{
	bool answered;

	(void)pthread_mutex_lock(&q->lock);
	answered = j->answered;
	(void)pthread_mutex_unlock(&q->lock);
	return answered;
}

void jobs_finish(struct jobs *q, struct job *j, int result, const void *bytes, size_t n)
{
	bool is_first;

	(void)pthread_mutex_lock(&q->lock);
	is_first = !j->answered;
	j->answered = true;
	TAILQ_REMOVE(&q->list, j, entry);
	(void)pthread_mutex_unlock(&q->lock);
	if (is_first) {
		answer(j->done, j->ctx, result, bytes, n);
	}
	job_free(j);
}

void jobs_postpone(struct jobs *q, struct job *j, uint64_t after_ms)
{
	(void)pthread_mutex_lock(&q->lock);
	j->taken = false;
	j->after_ms = after_ms;
	(void)pthread_mutex_unlock(&q->lock);
}

/* The next job whose time is up, marked as answered; else NULL and the earliest limit. */
static struct job *take_late_locked(struct jobs *q, uint64_t *ret_next_ms)
{
	uint64_t now_ms = clock_boot_ms();
	struct job *j;

	*ret_next_ms = JOBS_NO_LIMIT;
	TAILQ_FOREACH (j, &q->list, entry) {
		if (j->answered) {
			continue;
		}
		if (j->limit_ms <= now_ms) {
			j->answered = true;
			return j;
		}
		if (j->limit_ms < *ret_next_ms) {
			*ret_next_ms = j->limit_ms;
		}
	}
	return NULL;
}

static void *run_timekeeper(void *arg)
{
	struct jobs *q = arg;

	(void)pthread_mutex_lock(&q->lock);
	while (!q->ended) {
		uint64_t next_ms;
		struct job *j = take_late_locked(q, &next_ms);
		jobs_done_fn *done;
		bool is_taken;
		void *ctx;

		if (!j) {
			wait_until(&q->limits, &q->lock, next_ms);
			continue;
		}
		/* Once unlocked, a taken job may be freed by the plane thread at any time. */
		done = j->done;
		ctx = j->ctx;
		is_taken = j->taken;
		if (!is_taken) {
			TAILQ_REMOVE(&q->list, j, entry);
		}
		(void)pthread_mutex_unlock(&q->lock);
		answer(done, ctx, -ETIMEDOUT, NULL, 0);
		if (!is_taken) {
			job_free(j);
		}
		(void)pthread_mutex_lock(&q->lock);
	}
	(void)pthread_mutex_unlock(&q->lock);
	return NULL;
}

int jobs_init(struct jobs *q)
{
	int r;

	*q = (struct jobs){0};
	TAILQ_INIT(&q->list);
	(void)pthread_mutex_init(&q->lock, NULL);
	wait_cond_init(&q->work);
	wait_cond_init(&q->limits);
	r = pthread_create(&q->timekeeper, NULL, run_timekeeper, q);
	if (r != 0) {
		(void)pthread_cond_destroy(&q->limits);
		(void)pthread_cond_destroy(&q->work);
		(void)pthread_mutex_destroy(&q->lock);
	}
	return -r;
}

void jobs_stop(struct jobs *q)
{
	(void)pthread_mutex_lock(&q->lock);
	q->stopping = true;
	(void)pthread_cond_broadcast(&q->work);
	(void)pthread_mutex_unlock(&q->lock);
}

void jobs_done(struct jobs *q)
{
	struct job *j;

	jobs_stop(q);
	(void)pthread_mutex_lock(&q->lock);
	q->ended = true;
	(void)pthread_cond_signal(&q->limits);
	(void)pthread_mutex_unlock(&q->lock);
	(void)pthread_join(q->timekeeper, NULL);
	while ((j = TAILQ_FIRST(&q->list))) {
		jobs_finish(q, j, -ECANCELED, NULL, 0);
	}
	(void)pthread_cond_destroy(&q->limits);
	(void)pthread_cond_destroy(&q->work);
	(void)pthread_mutex_destroy(&q->lock);
}
