/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plane as this mount lives in it: one thread owns the index, runs the requests of all others
 * in group commits, follows what other mounts publish, and sets the gate.
 *
 * Threads: the *plane thread* (index, chain, store) and the *collector* (deletes old generations
 * and the staging files of mounts that died) may hang on a share that does not answer.  The views,
 * the gate and the time limits go on: the *timekeeper* (fs/jobs) answers requests that got no
 * outcome in time, and never touches the share.
 */
#ifndef FS_PLANE_H
#define FS_PLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "fs/gate.h"
#include "fs/jobs.h"
#include "fs/request.h"
#include "fs/view.h"

struct plane;

struct plane_options {
	int backing_fd;      /* the shared directory; not kept */
	uint64_t timeout_ms; /* 0: whatever the plane has, or the default if it is new */
	uint64_t poll_ms;    /* likewise */
	bool images_only;    /* matters when the plane is created */
};

#define PLANE_DEFAULT_TIMEOUT_MS 30000
#define PLANE_DEFAULT_POLL_MS    1000

/*
 * Load the index (creating the plane if there is none) and start the threads: call it after the
 * last fork. -EINVAL: the timing is unsafe or is not the plane's, both values in @reterr; -EUCLEAN:
 * a generation is damaged, @reterr names the file; or an errno.
 */
int plane_open(const struct plane_options *options, struct plane **ret, struct err *reterr);

/*
 * Shut the gate, publish that this mount's nodes are gone, end the threads.  Waits at most a few
 * seconds for a share that does not answer.  The caller has ended everything that could call in
 * here.  0; -ETIMEDOUT: a thread hangs on the share, nothing is freed, and requests may still be
 * answered: the process must end.
 */
int plane_close(struct plane *p);

const char *plane_id(const struct plane *p);
const char *plane_mount_id(const struct plane *p);
struct gate *plane_gate(struct plane *p);

/* The newest view; give it back with view_unref().  Any thread, never waits for the share. */
struct view *plane_view(struct plane *p);

/* Why the plane refuses to go on, or "" if nothing is wrong.  Any thread. */
void plane_problem(struct plane *p, struct err *ret);

/*
 * The answer to a request: 0 or -errno (request_run()'s, -ETIMEDOUT if there was no outcome within
 * half the heartbeat timeout, -ECANCELED at the end, -EUCLEAN) or REQUEST_QUEUED.  @bytes is the
 * database for REQUEST_DUMP, valid during the call; else NULL.
 */
typedef jobs_done_fn plane_done_fn;

/*
 * Call @fn after each new generation that this mount shows, on the plane thread; it must not block
 * nor call plane_watch().  NULL ends that: no call is under way once it has returned.
 */
typedef void plane_watch_fn(void *ctx);
void plane_watch(struct plane *p, plane_watch_fn *fn, void *ctx);

/*
 * Queue a request for the next commit.  Returns at once; @done is called exactly once, on the plane
 * thread or the timekeeper, and must not block; NULL if nobody waits for the answer.  The request
 * and its text are copied.  -ENOMEM: not queued, @done is not called.  Any thread.
 */
int plane_submit(struct plane *p, const struct request *req, plane_done_fn *done, void *ctx);

#endif
