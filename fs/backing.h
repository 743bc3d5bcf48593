/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which directory a Holdfast mount shows, for programs that are given the mount point.  The kernel
 * is asked, never the share.  Any thread.
 */
#ifndef FS_BACKING_H
#define FS_BACKING_H

#include <limits.h>

/*
 * The path that the mount was given, in the mount namespace of that time.  -ENOENT: there is no
 * Holdfast mount at @mountpoint; or an errno.
 *
 * What is at that path for the caller may be something else: compare the plane ids.
 */
int backing_of_mount(const char *mountpoint, char ret[PATH_MAX]);

#endif
