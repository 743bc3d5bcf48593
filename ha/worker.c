/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/worker.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/wait.h"
#include "ha/dir.h"
#include "ha/snapshot.h"

struct job_list {
	struct ha_job *first;
	struct ha_job **end; /* where the next one is hung */
};

struct ha_worker {
	struct ha_dir *dir; /* worker thread only */
	pthread_t thread;
	int answered_fd;
	pthread_mutex_t lock;
	pthread_cond_t changed;   /* wait_cond_init() */
	struct job_list waiting;  /* by lock */
	struct job_list answered; /* by lock */
	bool held;                /* by lock: no job is to be begun */
	bool stopping;            /* by lock */
	bool ended;               /* by lock: the thread touches nothing any more */
};

void ha_job_free(struct ha_job *job)
{
	if (job) {
		ha_snapshot_unref(job->snapshot);
		free(job->record);
		free(job);
	}
}

static void list_init(struct job_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_append(struct job_list *list, struct ha_job *job)
{
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
}

/* Unhang the job at @at, which is &list->first or some job's &next. */
static struct ha_job *list_remove(struct job_list *list, struct ha_job **at)
{
	struct ha_job *job = *at;

	if (job) {
		*at = job->next;
		if (!*at) {
			list->end = at;
		}
	}
	return job;
}

static void list_clear(struct job_list *list)
{
	struct ha_job *job;

	while ((job = list_remove(list, &list->first))) {
		ha_job_free(job);
	}
}

static void carry_out(struct ha_dir *dir, struct ha_job *job)
{
	switch (job->type) {
	case HA_JOB_WRITE_RECORD:
		job->status = ha_dir_write_record(dir, job->record);
		break;
	case HA_JOB_READ_PLANE:
		job->status = ha_dir_read_plane(dir, &job->snapshot, NULL);
		break;
	case HA_JOB_CLAIM:
		job->status = ha_dir_claim(dir, job->record, &job->epoch);
		break;
	case HA_JOB_RELEASE:
		job->status = ha_dir_release(dir);
		break;
	case HA_JOB_SWITCHOVER:
		job->status = ha_dir_switch_over(dir, job->node);
		break;
	case HA_JOB_REMOVE:
		job->status = ha_dir_remove_record(dir, job->node);
		break;
	case HA_JOB_LOAD:
		job->status = ha_dir_load(dir, clock_boot_ms() + job->slice_ms);
		break;
	case HA_JOB_UNLOAD:
		ha_dir_unload(dir);
		break;
	case HA_JOB_CLEAR:
		job->status = ha_dir_clear(dir, clock_boot_ms() + job->slice_ms);
		break;
	case HA_JOB_TYPE_MAX_:
		job->status = -EINVAL;
		break;
	}
}

static void *run(void *arg)
{
	struct ha_worker *w = arg;
	struct ha_job *job;

	(void)pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->stopping && (w->held || !w->waiting.first)) {
			(void)pthread_cond_wait(&w->changed, &w->lock);
		}
		if (w->stopping) {
			break;
		}
		job = list_remove(&w->waiting, &w->waiting.first);
		(void)pthread_mutex_unlock(&w->lock);
		carry_out(w->dir, job);
		(void)pthread_mutex_lock(&w->lock);
		list_append(&w->answered, job);
		(void)eventfd_write(w->answered_fd, 1);
	}
	w->ended = true;
	(void)pthread_cond_broadcast(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void worker_free(struct ha_worker *w)
{
	list_clear(&w->waiting);
	list_clear(&w->answered);
	closep(&w->answered_fd);
	(void)pthread_cond_destroy(&w->changed);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

DEFINE_CLEANUP(struct ha_worker *, worker_free);

int ha_worker_start(struct ha_dir *dir, struct ha_worker **ret)
{
	_cleanup_(worker_freep) struct ha_worker *w = calloc(1, sizeof(*w));
	int r;

	if (!w) {
		return -ENOMEM;
	}
	list_init(&w->waiting);
	list_init(&w->answered);
	(void)pthread_mutex_init(&w->lock, NULL);
	wait_cond_init(&w->changed);
	w->dir = dir;
	w->answered_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->answered_fd < 0) {
		return -errno;
	}
	r = pthread_create(&w->thread, NULL, run, w);
	if (r > 0) {
		return -r;
	}
	*ret = take_ptr(w);
	return 0;
}

int ha_worker_fd(const struct ha_worker *w)
{
	return w->answered_fd;
}

void ha_worker_submit(struct ha_worker *w, struct ha_job *job)
{
	(void)pthread_mutex_lock(&w->lock);
	list_append(&w->waiting, job);
	(void)pthread_cond_signal(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
}

struct ha_job *ha_worker_take(struct ha_worker *w)
{
	struct ha_job *job;
	eventfd_t count;

	(void)pthread_mutex_lock(&w->lock);
	job = list_remove(&w->answered, &w->answered.first);
	if (!job) {
		(void)eventfd_read(w->answered_fd, &count);
	}
	(void)pthread_mutex_unlock(&w->lock);
	return job;
}

void ha_worker_cancel(struct ha_worker *w, uint64_t id)
{
	(void)pthread_mutex_lock(&w->lock);
	for (struct ha_job **at = &w->waiting.first; *at; at = &(*at)->next) {
		if ((*at)->id == id) {
			ha_job_free(list_remove(&w->waiting, at));
			break;
		}
	}
	(void)pthread_mutex_unlock(&w->lock);
}

void ha_worker_hold(struct ha_worker *w, bool hold)
{
	(void)pthread_mutex_lock(&w->lock);
	w->held = hold;
	(void)pthread_cond_signal(&w->changed);
	(void)pthread_mutex_unlock(&w->lock);
}

int ha_worker_stop(struct ha_worker *w, uint64_t wait_ms)
{
	uint64_t until_ms = clock_boot_ms() + wait_ms;
	bool ended;

	(void)pthread_mutex_lock(&w->lock);
	w->stopping = true;
	(void)pthread_cond_broadcast(&w->changed);
	while (!w->ended && clock_boot_ms() < until_ms) {
		wait_until(&w->changed, &w->lock, until_ms);
	}
	ended = w->ended;
	(void)pthread_mutex_unlock(&w->lock);
	if (!ended) {
		return -ETIMEDOUT;
	}
	(void)pthread_join(w->thread, NULL);
	ha_dir_close(w->dir);
	worker_free(w);
	return 0;
}
