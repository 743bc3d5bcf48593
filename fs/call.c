/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/call.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

struct ops *call_ops(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

struct inode *call_inode(fuse_req_t req, fuse_ino_t id)
{
	/* A node id is the address of its inode; see call_entry(). */
	return id == FUSE_ROOT_ID ? &call_ops(req)->inodes.root
				  : (struct inode *)id; /* NOLINT(performance-no-int-to-ptr) */
}

bool call_is_root(fuse_req_t req, const struct inode *i)
{
	return i == &call_ops(req)->inodes.root;
}

bool call_is_virtual(const struct inode *i)
{
	return i->kind != INODE_PASS;
}

bool call_names_virtual(fuse_req_t req, const struct inode *parent, const char *name)
{
	return control_has_name(parent, call_is_root(req, parent), name);
}

void call_reply(fuse_req_t req, int result)
{
	(void)fuse_reply_err(req, result < 0 ? -result : 0);
}

int call_leave(fuse_req_t req, const struct gate_pass *pass, int result)
{
	int r = gate_leave(call_ops(req)->gate, pass);

	return result >= 0 && r < 0 ? r : result;
}

struct fuse_entry_param call_entry(const struct inode *i, const struct stat *st)
{
	return (struct fuse_entry_param){
		.ino = (fuse_ino_t)(uintptr_t)i,
		.generation = 1,
		.attr = *st,
		.attr_timeout = CALL_TIMEOUT_S,
		.entry_timeout = CALL_TIMEOUT_S,
	};
}

void call_act_as_caller(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	(void)setfsgid(ctx->gid);
	(void)setfsuid(ctx->uid);
}

void call_act_as_self(void)
{
	(void)setfsuid(geteuid());
	(void)setfsgid(getegid());
}

int call_refresh(int dir_fd)
{
	struct statx stx;

	return statx(dir_fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_MTIME, &stx) < 0
		       ? -errno
		       : 0;
}

int call_look_up(fuse_req_t req, int parent_fd, const char *name, struct inode **ret,
		 struct stat *ret_stat)
{
	struct ops *o = call_ops(req);
	int r = inodes_look_up(&o->inodes, parent_fd, name, ret, ret_stat);

	/*
	 * NFS remembers for long that a name was not there: another machine may have made it since.
	 */
	if (r == -ENOENT && call_refresh(parent_fd) == 0) {
		r = inodes_look_up(&o->inodes, parent_fd, name, ret, ret_stat);
	}
	if (r == 0 && ret_stat->st_ino == o->hidden_ino && ret_stat->st_dev == o->hidden_dev) {
		inodes_forget(&o->inodes, *ret, 1);
		return -ENOENT;
	}
	return r;
}
