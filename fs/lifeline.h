/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life lines: the open files whose closing means that their node's process ended
 * (docs/decisions/0007-life-line.md).  What ties one is decided in fs/staged.c; what follows from
 * the cutting of a node's last one, in fs/control.c.  Any thread; the set has a lock of its own.
 */
#ifndef FS_LIFELINE_H
#define FS_LIFELINE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

/* One open file, tied or not.  Part of what is opened; all zero at first. */
struct lifeline {
	LIST_ENTRY(lifeline) entry;
	const char *node; /* its id; the caller's, for as long as this is tied */
	bool is_tied;     /* by lifelines.lock */
};

struct lifelines {
	pthread_mutex_t lock;
	LIST_HEAD(, lifeline) list; /* by .lock: those that are tied */
};

void lifelines_init(struct lifelines *t);

/* None is tied any more. */
void lifelines_done(struct lifelines *t);

/* Make @l a life line of @node; one that is tied stays as it is. */
void lifeline_tie(struct lifelines *t, struct lifeline *l, const char *node);

/* @l is closed.  True if it was the last that tied its node: the node's process has ended. */
bool lifeline_cut(struct lifelines *t, struct lifeline *l);

#endif
