/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/poller.h"

#include <poll.h>

#include "base/cleanup.h"

void pollers_init(struct pollers *t)
{
	(void)pthread_mutex_init(&t->lock, NULL);
	LIST_INIT(&t->list);
}

/* What @p was armed with, the caller's now; NULL: nothing. */
static struct fuse_pollhandle *take_handle_locked(struct poller *p)
{
	if (p->handle) {
		LIST_REMOVE(p, entry);
	}
	return take_ptr(p->handle);
}

/* NULL is allowed. */
static void destroy(struct fuse_pollhandle *handle)
{
	if (handle) {
		fuse_pollhandle_destroy(handle);
	}
}

void pollers_done(struct pollers *t)
{
	while (!LIST_EMPTY(&t->list)) {
		destroy(take_handle_locked(LIST_FIRST(&t->list)));
	}
	(void)pthread_mutex_destroy(&t->lock);
}

void poller_arm(struct pollers *t, struct poller *p, struct fuse_pollhandle *handle)
{
	struct fuse_pollhandle *old;

	if (!handle) {
		return;
	}
	(void)pthread_mutex_lock(&t->lock);
	old = take_handle_locked(p);
	p->handle = handle;
	LIST_INSERT_HEAD(&t->list, p, entry);
	(void)pthread_mutex_unlock(&t->lock);
	destroy(old);
}

void poller_decline(fuse_req_t req, struct fuse_pollhandle *handle)
{
	destroy(handle);
	(void)fuse_reply_poll(req, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
}

void poller_disarm(struct pollers *t, struct poller *p)
{
	struct fuse_pollhandle *old;

	(void)pthread_mutex_lock(&t->lock);
	old = take_handle_locked(p);
	(void)pthread_mutex_unlock(&t->lock);
	destroy(old);
}

void pollers_wake(struct pollers *t)
{
	LIST_HEAD(, poller) woken = LIST_HEAD_INITIALIZER(woken);
	struct fuse_pollhandle *handle;
	struct poller *p;

	/* Only those of now: who is woken may be armed again before the last one is told. */
	(void)pthread_mutex_lock(&t->lock);
	while ((p = LIST_FIRST(&t->list))) {
		LIST_REMOVE(p, entry);
		LIST_INSERT_HEAD(&woken, p, entry);
	}
	while ((p = LIST_FIRST(&woken))) {
		handle = take_handle_locked(p);
		(void)pthread_mutex_unlock(&t->lock);
		/* Of a file that was closed meanwhile the kernel knows nothing and says so. */
		(void)fuse_lowlevel_notify_poll(handle);
		fuse_pollhandle_destroy(handle);
		(void)pthread_mutex_lock(&t->lock);
	}
	(void)pthread_mutex_unlock(&t->lock);
}
