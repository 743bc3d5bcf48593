/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `holdfast doctor --repair`: make a plane load again whose newest generations are damaged, by
 * moving those aside that no mount can load: the first damaged or missing one after the newest
 * valid image, and all after it.  They go to .holdfast/damaged/; nothing is deleted or written.
 *
 * What they carried is lost to the plane, epochs that they granted will be granted again.  So it
 * does nothing while anybody commits: a lease is live only as long as its holder's beats become
 * generations, so it watches for the longest timeout that the plane knows, and leaves all as it is
 * if a generation appears.  One thread.
 */
#ifndef FS_REPAIR_H
#define FS_REPAIR_H

#include <signal.h>
#include <stdint.h>

#include "fs/findings.h"
#include "fs/store.h"

#define REPAIR_DIRECTORY STORE_DIRECTORY "/damaged"

struct repair {
	int backing_fd;
	struct store *store; /* may be one of store_open_readonly() */
	uint64_t watch_ms;   /* the longest heartbeat timeout that may be in force */
	volatile sig_atomic_t *stop;
};

/* Findings of the item "repair" say what was done, or why nothing was. */
void repair_run(const struct repair *order, const struct findings *to);

#endif
