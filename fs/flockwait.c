/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/flockwait.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>

#define TRY_FIRST_MS 2
#define TRY_LAST_MS  64 /* doubling up to here */
#define STOP_TRIES   100
#define STOP_TRY_MS  10

struct flockwait_call {
	struct flockwait *all;
	fuse_req_t req;
	int fd;
	int op;
};

static void pause_ms(long ms)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static int try_until_done(const struct flockwait_call *c)
{
	long wait_ms = TRY_FIRST_MS;

	while (flock(c->fd, c->op | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			return errno;
		}
		if (fuse_req_interrupted(c->req) || c->all->stopping) {
			return EINTR;
		}
		pause_ms(wait_ms);
		wait_ms = wait_ms < TRY_LAST_MS ? 2 * wait_ms : wait_ms;
	}
	return 0;
}

static void *run(void *arg)
{
	struct flockwait_call *c = arg;
	struct flockwait *all = c->all;

	(void)fuse_reply_err(c->req, try_until_done(c));
	free(c);
	(void)atomic_fetch_sub(&all->n, 1);
	return NULL;
}

void flockwait_add(struct flockwait *w, fuse_req_t req, int fd, int op)
{
	struct flockwait_call *c = malloc(sizeof(*c));
	pthread_t thread;

	if (c) {
		*c = (struct flockwait_call){.all = w, .req = req, .fd = fd, .op = op};
	}
	if (atomic_fetch_add(&w->n, 1) >= FLOCKWAIT_MAX || !c ||
	    pthread_create(&thread, NULL, run, c) != 0) {
		(void)atomic_fetch_sub(&w->n, 1);
		free(c);
		(void)fuse_reply_err(req, ENOLCK);
		return;
	}
	(void)pthread_detach(thread);
}

int flockwait_stop(struct flockwait *w)
{
	w->stopping = true;
	for (int i = 0; i < STOP_TRIES && w->n > 0; i++) {
		pause_ms(STOP_TRY_MS);
	}
	return w->n > 0 ? -ETIMEDOUT : 0;
}
