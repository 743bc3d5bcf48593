/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every FUSE operation begins and ends with: from the kernel's words to ours, the gate, the
 * answer. Any thread.
 */
#ifndef FS_CALL_H
#define FS_CALL_H

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "fs/ops.h"

struct ops *call_ops(fuse_req_t req);
struct inode *call_inode(fuse_req_t req, fuse_ino_t id);
bool call_is_root(fuse_req_t req, const struct inode *i);

/* Not a file of the share: fs/control.h deals with it. */
bool call_is_virtual(const struct inode *i);

/* Is @name below @parent one of the virtual files? */
bool call_names_virtual(fuse_req_t req, const struct inode *parent, const char *name);

/* Answer with no more than success or an error. */
void call_reply(fuse_req_t req, int result);

/*
 * The end of an operation that passed the gate: what succeeded while the lease ended has an unknown
 * outcome, -EIO.  Else @result.
 */
int call_leave(fuse_req_t req, const struct gate_pass *pass, int result);

/* The answer to a lookup.  A node id is the address of its inode. */
struct fuse_entry_param call_entry(const struct inode *i, const struct stat *st);

/*
 * Make the kernel ask the share's server about a directory, whatever it has cached of it.  -errno.
 */
int call_refresh(int dir_fd);

/*
 * Look @name up below @parent_fd, counting a lookup.  The control data of the share has no name
 * here, whatever leads to it.  -ENOENT and other errors.
 */
int call_look_up(fuse_req_t req, int parent_fd, const char *name, struct inode **ret,
		 struct stat *ret_stat);

/* New files belong to the caller: the calling thread takes on its ids for one system call. */
void call_act_as_caller(fuse_req_t req);
void call_act_as_self(void);

/* How long the kernel may trust names and attributes of the share: as long as NFS itself does. */
#define CALL_TIMEOUT_S 1.0

#endif
