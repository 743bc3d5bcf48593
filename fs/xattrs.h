/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: the share's own, and `user.holdfast.*` of the virtual files and the root.
 * Entries of ops_table (fs/ops.c); each answers its request.  Any thread.
 */
#ifndef FS_XATTRS_H
#define FS_XATTRS_H

#include <fuse_lowlevel.h>

void xattrs_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size);
void xattrs_listxattr(fuse_req_t req, fuse_ino_t id, size_t size);
void xattrs_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *value,
		     size_t size, int flags);
void xattrs_removexattr(fuse_req_t req, fuse_ino_t id, const char *name);

#endif
