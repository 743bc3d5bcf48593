/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual files of the mount: records, the lease `master`, planeId, change.log and the control
 * directory. Their content is in the index (fs/plane.h), never on the share.
 *
 *	write through a handle    staged; fsync, close or a rename onto the name commits it
 *	read                      the content as of open(2), whole
 *	<record>.<anything>.tmp   a staging file: in memory, of this mount only
 *
 * A record that was committed by fsync(2) makes its open file the node's *life line*: when the
 * kernel releases it (the process ended, however) and the record does not say TERMINATED or FAILED,
 * the node is marked FAILED.
 *
 * Each function takes over a FUSE request and answers it, at once or later from the plane's
 * threads.
 */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "fs/inode.h"
#include "fs/plane.h"

struct control;

/* @owner: uid and gid that the virtual files show.  -ENOMEM. */
int control_new(struct plane *plane, const struct stat *owner, struct control **ret);
void control_free(struct control *c);

/* Is @name below @parent one of ours?  In a virtual directory every name is. */
bool control_has_name(const struct inode *parent, bool parent_is_root, const char *name);

void control_lookup(struct control *c, fuse_req_t req, const struct inode *parent,
		    const char *name);
void control_forget(struct control *c, struct inode *i, uint64_t n);
void control_getattr(struct control *c, fuse_req_t req, const struct inode *i);

/* ftruncate(2) changes what is staged; owner, mode and times cannot be changed. */
void control_setattr(struct control *c, fuse_req_t req, const struct inode *i,
		     const struct stat *attr, int to_set, struct fuse_file_info *fi);
void control_open(struct control *c, fuse_req_t req, struct inode *i, struct fuse_file_info *fi);
void control_create(struct control *c, fuse_req_t req, const struct inode *parent, const char *name,
		    struct fuse_file_info *fi);
void control_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi);
void control_write(fuse_req_t req, const char *bytes, size_t size, off_t offset,
		   struct fuse_file_info *fi);

/* close(2): commit what is staged. */
void control_flush(struct control *c, fuse_req_t req, struct fuse_file_info *fi);

/* fsync(2): commit what is staged; a record's open file becomes its node's life line. */
void control_fsync(struct control *c, fuse_req_t req, struct fuse_file_info *fi);
void control_release(struct control *c, fuse_req_t req, struct fuse_file_info *fi);

void control_unlink(struct control *c, fuse_req_t req, const struct inode *parent,
		    const char *name);

/*
 * Of a staging file onto a record or `master` beside it: commits its content.  Anything else:
 * -EXDEV.
 */
void control_rename(struct control *c, fuse_req_t req, const struct inode *parent, const char *name,
		    const struct inode *new_parent, const char *new_name);

/*
 * Call @add for each name in the virtual directory @dir, or for those that the root shows besides
 * the share's own.  A result of @add other than 0 ends it.
 */
typedef int control_add_fn(void *ctx, const char *name, mode_t type, ino_t ino);
int control_list(struct control *c, const struct inode *dir, control_add_fn *add, void *ctx);

/* -ENODATA: no such attribute; else the length, and *ret_value malloc'd. */
int control_getxattr(struct control *c, const struct inode *i, const char *name, char **ret_value);

/* The names of the attributes, each with its NUL. */
const char *control_listxattr(const struct inode *i, size_t *ret_n);

/* Does this attribute belong to us, on whatever file? */
bool control_has_xattr(const char *name);

#endif
