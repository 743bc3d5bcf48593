/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The examination of a directory, item by item: collects the facts (fs/probe.h, fs/mountinfo.h,
 * fs/verify.h, the index) and has them judged.  It decides what is asked in which order.
 *
 * Any call here may hang for as long as the share does: it is to be run in a process that can be
 * killed (fs/doctor.c).  One thread.
 */
#ifndef FS_EXAMINE_H
#define FS_EXAMINE_H

#include <signal.h>
#include <stdbool.h>

#include "fs/findings.h"

struct examine {
	const char *directory;       /* a mount point of ours or a backing directory */
	const char *peer;            /* the backing directory through another mount, or NULL */
	bool repair;                 /* move damaged generations aside first (fs/repair.h) */
	volatile sig_atomic_t *stop; /* set by a signal: clean up and return early */
};

void examine_run(const struct examine *order, const struct findings *to);

#endif
