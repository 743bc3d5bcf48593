/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flock(2) on the files of .holdfast/locks/: a lock that holds on all machines.
 *
 * Every call that asks draws a ticket, under which it gets a place in the lock's queue; that is in
 * the index (fs/lock.h).  A call that waits is answered when a view shows that its place was
 * granted, and its ticket is then what the open file holds.  The mount renews what its open files
 * hold as long as they are open (fs/plane.c).
 *
 * A lock can be lost: the mount could not commit for too long, or an operator has fenced its
 * machine.  From then on the open file answers -EIO to everything but LOCK_UN and close(2).
 *
 * Any thread.
 */
#ifndef FS_LOCKFILE_H
#define FS_LOCKFILE_H

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "fs/plane.h"

/* What an open file has of its lock.  Zeroed: nothing. */
struct lockfile {
	uint64_t owner;  /* by lockfiles.lock: the ticket that was granted; 0: it holds nothing */
	bool exclusive;  /* by lockfiles.lock: if it holds something */
	bool converting; /* by lockfiles.lock: a call that may let go of .owner is with the plane */
	bool lost;       /* by lockfiles.lock; for good, until LOCK_UN */
};

struct lockfile_call;

struct lockfiles {
	struct plane *plane;
	pthread_mutex_t lock;
	LIST_HEAD(, lockfile_call) waiting; /* by .lock: have their place and wait to be granted */
	uint64_t last_ticket;               /* by .lock */
	atomic_uint n_unlocks;              /* that the plane has not carried out yet */
};

void lockfiles_init(struct lockfiles *all, struct plane *plane);

/* Answers those who still wait with -EINTR. */
void lockfiles_stop(struct lockfiles *all);
void lockfiles_done(struct lockfiles *all);

/* There is a new view: answer those whose lock it shows as granted.  Plane's thread. */
void lockfiles_on_view(struct lockfiles *all);

/*
 * Carry out flock(2) on @f, an open file of the lock @name, and answer @req: 0, -EWOULDBLOCK,
 * -EINTR, -EINVAL, -EIO (lost), -ENOLCK (too many), -ETIMEDOUT (the share gave no answer; nothing
 * is held), or an error of the plane.
 */
void lockfile_flock(struct lockfiles *all, fuse_req_t req, struct lockfile *f, const char *name,
		    int op);

/* 0, or -EIO: it held the lock, and has lost it. */
int lockfile_check(struct lockfiles *all, struct lockfile *f, const char *name);

/* The open file is closed: the lock goes to the next. */
void lockfile_release(struct lockfiles *all, struct lockfile *f, const char *name);

#endif
