/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual files of the mount: the FUSE operations on them.  Their content is in the index
 * (fs/plane.h), never on the share.  Which ones there are is in fs/vkind.h.
 *
 *	write through a handle    staged; fsync, close or a rename onto the name commits it
 *	read                      the content as of open(2), whole; plane.json: as of a read at 0
 *	poll                      waits for a later plane.json; all others are always ready
 *	<file>.<anything>.tmp     a staging file: in memory, of this mount only
 *
 * A record that was committed by fsync(2) makes its open file the node's *life line*: when the
 * kernel releases it (the process ended, however) and the record does not say TERMINATED or FAILED,
 * the node is marked FAILED.
 *
 * Only root and the owner of the share may create, rename or remove virtual names: -EACCES.
 *
 * An open file of a lock that was lost answers -EIO to all but LOCK_UN and close(2).
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

/*
 * The session's loop has ended: from now on the kernel is told nothing that it has not asked.  Call
 * it before the session is unmounted and before the plane is closed.
 */
void control_stop(struct control *c);

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
void control_read(struct control *c, fuse_req_t req, size_t size, off_t offset,
		  struct fuse_file_info *fi);
void control_write(struct control *c, fuse_req_t req, const char *bytes, size_t size, off_t offset,
		   struct fuse_file_info *fi);

/* flock(2), of a lock's file; other virtual files have none: -ENOTSUP. */
void control_flock(struct control *c, fuse_req_t req, const struct inode *i,
		   struct fuse_file_info *fi, int op);

/* close(2): commit what is staged. */
void control_flush(struct control *c, fuse_req_t req, struct fuse_file_info *fi);

/* fsync(2): commit what is staged; a record's open file becomes its node's life line by it. */
void control_fsync(struct control *c, fuse_req_t req, struct fuse_file_info *fi);

/* plane.json is readable once it has something later to show; all others always are. */
void control_poll(struct control *c, fuse_req_t req, struct fuse_file_info *fi,
		  struct fuse_pollhandle *handle /* takes */);

void control_release(struct control *c, fuse_req_t req, struct fuse_file_info *fi);

void control_unlink(struct control *c, fuse_req_t req, const struct inode *parent,
		    const char *name);

/*
 * Of a staging file onto a file beside it that can be written: commits its content.  Anything else:
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

#endif
