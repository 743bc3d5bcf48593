/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits in poll(2) for a virtual file, and is to be woken.  An open file is armed by a POLL
 * request that asks for a wake-up, and disarmed by the wake-up itself: who wakes polls again.
 * Whether there is anything to read is not decided here.
 *
 * Arm first, then look whether the file is ready: then what comes in between is not missed.
 *
 * Any thread; the set has a lock of its own, which is not held while the kernel is told.
 */
#ifndef FS_POLLER_H
#define FS_POLLER_H

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <sys/queue.h>

/* One open file, armed or not.  Part of what is opened; all zero at first. */
struct poller {
	LIST_ENTRY(poller) entry;
	struct fuse_pollhandle *handle; /* by pollers.lock; NULL: not armed */
};

struct pollers {
	pthread_mutex_t lock;
	LIST_HEAD(, poller) list; /* by .lock: those that are armed */
};

void pollers_init(struct pollers *t);

/* Whoever is armed still is disarmed and not woken: the kernel does that when the mount ends. */
void pollers_done(struct pollers *t);

/* @handle takes the place of an older one; NULL: nobody waits, so nothing changes. */
void poller_arm(struct pollers *t, struct poller *p, struct fuse_pollhandle *handle /* takes */);

/* Answer for a file that nobody has to wait for, as the kernel does where it does not ask. */
void poller_decline(fuse_req_t req, struct fuse_pollhandle *handle /* takes */);

/* The file is closed. */
void poller_disarm(struct pollers *t, struct poller *p);

/* Wake everybody who is armed.  Never blocks. */
void pollers_wake(struct pollers *t);

#endif
