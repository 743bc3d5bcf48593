/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pid.txt: tells people which process to end, and keeps two processes from sharing one.  The lock
 * is the process's life: after a crash the file stays and is taken over.  Main thread only.
 */
#ifndef HA_PIDFILE_H
#define HA_PIDFILE_H

#include "base/err.h"

/*
 * Create or take over @path in the current directory, write our process id.  *ret_fd holds the
 * lock.  -EBUSY: a living process has it (@reterr names its id); or the error of writing it.
 */
int ha_pidfile_acquire(const char *path, int *ret_fd, struct err *reterr);

/* Removes the file if it is still the one behind @fd, and closes that. */
void ha_pidfile_release(const char *path, int fd);

#endif
