/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process a mount is, so that the one that a supervisor starts in its place can tell that it
 * is gone.  Never by host name or machine id: clones share those.  Reads proc(5); any thread.
 */
#ifndef FS_PROCESS_H
#define FS_PROCESS_H

#include <stdbool.h>

#include "fs/index.h"

/*
 * Describe the calling process: call it after the last fork.  Where /proc does not tell, or counts
 * from another time than the boot (a time namespace), .boot is "", and nobody will ever say of it
 * that it is gone.
 */
void process_describe(struct index_mount *ret);

/*
 * Is it certain that the process @m is no more: same boot, same PID namespace as @self's, and no
 * process of that number, or one that started later?  Whatever cannot be read leaves doubt.
 */
bool process_is_gone(const struct index_mount *m, const struct index_mount *self);

#endif
