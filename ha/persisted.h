/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persisted state: all that is below the root of the mount but the names that the mount makes up.
 * Here it is looked for, gone through, and removed.
 *
 * Decides nothing: ha/agent.c knows when clearing is asked for and allowed, and what is removed is
 * gone.  Follows no symbolic link, and enters no file system that is mounted inside.  Blocks for as
 * long as the share hangs; any thread.
 */
#ifndef HA_PERSISTED_H
#define HA_PERSISTED_H

#include <stdint.h>

struct stat;

/* 1 if there is no file; directories alone are no state.  0, or -errno. */
int ha_persisted_is_empty(int root_fd);

/*
 * Call @fn for each regular file, with the directory that has it open and its path from the root.
 * A result of @fn other than 0 ends it.  Nor are errors of @fn's: -ELOOP: too deep; or -errno.
 */
typedef int ha_persisted_fn(void *ctx, int dir_fd, const char *name, const char *path,
			    const struct stat *st);
int ha_persisted_each(int root_fd, ha_persisted_fn *fn, void *ctx);

/*
 * Remove it until CLOCK_BOOTTIME is @until_ms, but one entry at least.  0: nothing was left to
 * remove; 1: call again; -EXDEV: a file system is mounted inside; -ELOOP: too deep; or -errno.
 */
int ha_persisted_clear(int root_fd, uint64_t until_ms);

#endif
