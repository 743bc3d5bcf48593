/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flock(2) on files of the share where it has to wait: a thread for each call tries again and
 * again.  The system call that waits would hold a FUSE worker, and could not be interrupted; NFS
 * clients poll the server for such a lock as well.  Any thread.
 */
#ifndef FS_FLOCKWAIT_H
#define FS_FLOCKWAIT_H

#include <fuse_lowlevel.h>
#include <stdatomic.h>

#define FLOCKWAIT_MAX 256

/* Zeroed: nobody waits. */
struct flockwait {
	atomic_uint n; /* calls that wait */
	atomic_bool stopping;
};

/*
 * Answer @req when flock(@fd, @op) has succeeded, or with its error; -EINTR at a signal; -ENOLCK:
 * FLOCKWAIT_MAX wait already, or there is no memory.  The caller keeps @fd open until then.
 */
void flockwait_add(struct flockwait *w, fuse_req_t req, int fd, int op);

/*
 * Answer all with -EINTR.  Waits a second for threads that the share holds; -ETIMEDOUT: it still
 * does, and *w must stay until the process ends.
 */
int flockwait_stop(struct flockwait *w);

#endif
