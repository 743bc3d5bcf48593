/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of requests to the plane: many threads submit, the plane thread takes and finishes, and
 * a timekeeper of its own answers those that get no outcome in time.  Each is answered exactly
 * once.
 */
#ifndef FS_JOBS_H
#define FS_JOBS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/wait.h"
#include "fs/request.h"

#define JOBS_NO_LIMIT WAIT_FOR_EVER

/* See plane_submit(). */
typedef void jobs_done_fn(void *ctx, int result, const void *bytes, size_t n);

struct job {
	struct request req;
	int result; /* the plane thread's: what the transaction said */

	/* jobs.c only. */
	TAILQ_ENTRY(job) entry;
	char *text;        /* what .req.text points to */
	uint64_t limit_ms; /* CLOCK_BOOTTIME: when the timekeeper answers it */
	uint64_t after_ms; /* by jobs.lock; CLOCK_BOOTTIME: not to be taken before */
	jobs_done_fn *done;
	void *ctx;
	bool taken;    /* by jobs.lock: the plane thread has it, and finishes it */
	bool answered; /* by jobs.lock */
};

TAILQ_HEAD(job_list, job);

/* Only jobs.c touches the fields. */
struct jobs {
	pthread_mutex_t lock;
	pthread_cond_t work;   /* wait_cond_init(): a job was queued, or .stopping */
	pthread_cond_t limits; /* wait_cond_init(): a limit may be earlier, or .ended */
	struct job_list list;  /* by .lock: queued and taken, in the order of submission */
	bool stopping;         /* by .lock: nothing new is accepted */
	bool ended;            /* by .lock: the timekeeper is to end */
	pthread_t timekeeper;
};

/* Starts the timekeeper.  -EAGAIN: no thread to be had. */
int jobs_init(struct jobs *q);

/* Answers what is left with -ECANCELED and ends the timekeeper. */
void jobs_done(struct jobs *q);

/*
 * Queue a copy of @req, to be answered by @limit_ms (CLOCK_BOOTTIME) at the latest.  -ENOMEM: not
 * queued, and @done is not called.
 */
int jobs_submit(struct jobs *q, const struct request *req, uint64_t limit_ms, jobs_done_fn *done,
		void *ctx);

/*
 * Plane thread: take up to @max jobs that wait, waiting for the first until @until_ms.  0: none
 * came, or (*ret_ended) jobs_stop() was called and none is left but postponed ones.
 */
unsigned jobs_take(struct jobs *q, uint64_t until_ms, struct job **ret_jobs, unsigned max,
		   bool *ret_ended);

/* Plane thread: has the timekeeper answered this one already? */
bool jobs_is_answered(struct jobs *q, const struct job *j);

/* Plane thread: answer @j, unless that was done, and free it. */
void jobs_finish(struct jobs *q, struct job *j, int result, const void *bytes, size_t n);

/* Plane thread: put @j back, to be taken again after @after_ms (CLOCK_BOOTTIME). */
void jobs_postpone(struct jobs *q, struct job *j, uint64_t after_ms);

/* Accept nothing more.  What is queued is still to be taken. */
void jobs_stop(struct jobs *q);

#endif
