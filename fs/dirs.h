/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open directories: those of the share, the virtual ones, and the root, which shows both.
 * Entries of ops_table (fs/ops.c); each answers its request.  Any thread.
 */
#ifndef FS_DIRS_H
#define FS_DIRS_H

#include <fuse_lowlevel.h>

void dirs_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void dirs_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
		  struct fuse_file_info *fi);
void dirs_releasedir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void dirs_fsyncdir(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi);

#endif
