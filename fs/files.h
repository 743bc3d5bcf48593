/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files of the share: reading, and writing that has reached the share before it is answered.
 * Entries of ops_table (fs/ops.c); each answers its request.  Any thread.
 */
#ifndef FS_FILES_H
#define FS_FILES_H

#include <fuse_lowlevel.h>

#include "fs/gate.h"

void files_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void files_create(fuse_req_t req, fuse_ino_t parent_id, const char *name, mode_t mode,
		  struct fuse_file_info *fi);
void files_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
		struct fuse_file_info *fi);
void files_write(fuse_req_t req, fuse_ino_t id, const char *bytes, size_t size, off_t offset,
		 struct fuse_file_info *fi);
void files_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void files_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi);
void files_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void files_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t offset, off_t length,
		     struct fuse_file_info *fi);
void files_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t in_offset,
			   struct fuse_file_info *in_fi, fuse_ino_t out, off_t out_offset,
			   struct fuse_file_info *out_fi, size_t n, int flags);
void files_poll(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi,
		struct fuse_pollhandle *handle);
void files_lseek(fuse_req_t req, fuse_ino_t id, off_t offset, int whence,
		 struct fuse_file_info *fi);

/* flock(2), passed to the share; without a limit in time, but interruptible. */
void files_flock(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi, int op);

/*
 * For setattr on an open file, by a caller that has passed the gate.  -EIO: under another epoch
 * than its open.
 */
int files_truncate(const struct fuse_file_info *fi, const struct gate_pass *pass, off_t size);

#endif
