/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"

/*
 * After this part of a poll period the file is looked at again.  A mount that looks four times a
 * poll period what others have published has no more news than that, but in a switchover, when this
 * is part of the time without a master; and one that cannot tell, whose files are always ready,
 * costs no more readings.
 */
#define LOOKS_PER_POLL 32

struct ha_watch {
	/* Set before the thread starts. */
	char *path;
	int poll_ms;
	int news_fd;  /* to the agent */
	int stop_fd;  /* from the agent */
	int ended_fd; /* the thread touches nothing any more */
	pthread_t thread;
};

/* Wait for @fd (-1: for nothing), at most @wait_ms (-1: for ever).  False: the end has come. */
static bool wait_for(const struct ha_watch *w, int fd, int wait_ms, short *ret_events)
{
	struct pollfd fds[] = {
		{.fd = w->stop_fd, .events = POLLIN},
		{.fd = fd, .events = POLLIN},
	};

	if (poll(fds, 2, wait_ms) < 0) {
		fds[1].revents = 0; /* EINTR, ENOMEM: as if the time were over */
		fds[0].revents = 0;
	}
	*ret_events = fds[1].revents;
	return !fds[0].revents;
}

/* Tell of each change of @fd.  Ends with the watch, or when the file's mount is gone. */
static void follow(const struct ha_watch *w, int fd)
{
	short events;
	char first;

	/* A file of which nothing was read has news: whatever came before it was opened. */
	while (wait_for(w, fd, -1, &events)) {
		/* Before the agent is told: what comes after this is news again. */
		if (events & ~POLLIN || pread(fd, &first, 1, 0) != 1) {
			return;
		}
		(void)eventfd_write(w->news_fd, 1);
		if (!wait_for(w, -1, w->poll_ms / LOOKS_PER_POLL, &events)) {
			return;
		}
	}
}

static void *run(void *arg)
{
	const struct ha_watch *w = arg;
	short events;

	do {
		_cleanup_close_ int fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		if (fd >= 0) {
			follow(w, fd);
		}
	} while (wait_for(w, -1, w->poll_ms, &events));
	(void)eventfd_write(w->ended_fd, 1);
	return NULL;
}

static void watch_free(struct ha_watch *w)
{
	closep(&w->news_fd);
	closep(&w->stop_fd);
	closep(&w->ended_fd);
	free(w->path);
	free(w);
}

DEFINE_CLEANUP(struct ha_watch *, watch_free);

int ha_watch_start(const char *dir, uint64_t poll_ms, struct ha_watch **ret)
{
	_cleanup_(watch_freep) struct ha_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w) {
		return -ENOMEM;
	}
	w->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->stop_fd = eventfd(0, EFD_CLOEXEC);
	w->ended_fd = eventfd(0, EFD_CLOEXEC);
	if (w->news_fd < 0 || w->stop_fd < 0 || w->ended_fd < 0) {
		return -errno;
	}
	if (asprintf(&w->path, "%s/.holdfast/plane.json", dir) < 0) {
		w->path = NULL;
		return -ENOMEM;
	}
	w->poll_ms = poll_ms < INT_MAX ? (int)poll_ms : INT_MAX;
	r = pthread_create(&w->thread, NULL, run, w);
	if (r > 0) {
		return -r;
	}
	*ret = take_ptr(w);
	return 0;
}

int ha_watch_fd(const struct ha_watch *w)
{
	return w->news_fd;
}

void ha_watch_take(struct ha_watch *w)
{
	eventfd_t count;

	(void)eventfd_read(w->news_fd, &count);
}

int ha_watch_stop(struct ha_watch *w, uint64_t wait_ms)
{
	struct pollfd ended = {.fd = w->ended_fd, .events = POLLIN};

	(void)eventfd_write(w->stop_fd, 1);
	if (poll(&ended, 1, (int)wait_ms) != 1) {
		return -ETIMEDOUT;
	}
	(void)pthread_join(w->thread, NULL);
	watch_free(w);
	return 0;
}
