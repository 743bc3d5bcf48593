/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/xattrs.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "fs/call.h"
#include "fs/staged.h"
#include "fs/vattr.h"

static void reply_value(fuse_req_t req, size_t room, const char *value, size_t n)
{
	if (room == 0) {
		(void)fuse_reply_xattr(req, n);
	} else if (n > room) {
		call_reply(req, -ERANGE);
	} else {
		(void)fuse_reply_buf(req, value, n);
	}
}

static bool shows_xattrs(fuse_req_t req, const struct inode *i)
{
	return call_is_virtual(i) || call_is_root(req, i);
}

void xattrs_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
	struct ops *o = call_ops(req);
	struct inode *i = call_inode(req, id);
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *value = NULL;
	char path[INODE_PROC_BYTES];
	ssize_t n;

	if (shows_xattrs(req, i) && (call_is_virtual(i) || vattr_is_ours(name))) {
		n = vattr_get(o->plane, i, name, &value);
	} else {
		fd = inode_open_path(&o->inodes, i);
		value = malloc(size + 1);
		n = fd < 0 ? fd : value ? 0 : -ENOMEM;
		if (n == 0) {
			inode_proc_path(fd, path);
			n = getxattr(path, name, value, size);
			n = n < 0 ? -errno : n;
		}
	}
	if (n < 0) {
		call_reply(req, (int)n);
	} else {
		reply_value(req, size, value, (size_t)n);
	}
}

void xattrs_listxattr(fuse_req_t req, fuse_ino_t id, size_t size)
{
	struct ops *o = call_ops(req);
	struct inode *i = call_inode(req, id);
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *names = malloc(XATTR_LIST_MAX);
	char path[INODE_PROC_BYTES];
	size_t n_own = 0;
	ssize_t n = 0;

	if (!names) {
		call_reply(req, -ENOMEM);
		return;
	}
	if (shows_xattrs(req, i)) {
		n_own = vattr_list(i, names);
	}
	if (!call_is_virtual(i)) {
		fd = inode_open_path(&o->inodes, i);
		if (fd >= 0) {
			inode_proc_path(fd, path);
			n = listxattr(path, names + n_own, XATTR_LIST_MAX - n_own);
		}
		n = fd < 0 ? fd : n < 0 ? -errno : n;
	}
	if (n < 0) {
		call_reply(req, (int)n);
	} else {
		reply_value(req, size, names, n_own + (size_t)n);
	}
}

/*
 * An attribute of ours is set, or (@value is NULL) removed.  Those that can be set are there.
 */
static void change_own(fuse_req_t req, const struct inode *i, const char *name, const char *value,
		       size_t size, int flags)
{
	struct request request;
	int r = value ? vattr_to_request(i, name, value, size, &request) : -EPERM;

	if (r == 0 && (flags & XATTR_CREATE)) {
		r = -EEXIST;
	}
	if (r < 0) {
		call_reply(req, r);
	} else {
		staged_commit_request(call_ops(req)->plane, req, &request);
	}
}

/* The frame of setxattr and removexattr; @value is NULL for the latter. */
static void change_xattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *value,
			 size_t size, int flags)
{
	struct ops *o = call_ops(req);
	struct inode *i = call_inode(req, id);
	_cleanup_close_ int fd = -EBADF;
	char path[INODE_PROC_BYTES];
	struct gate_pass pass;
	int r;

	if (call_is_virtual(i) || vattr_is_ours(name)) {
		change_own(req, i, name, value, size, flags);
		return;
	}
	fd = inode_open_path(&o->inodes, i);
	r = fd < 0 ? fd : gate_enter(o->gate, &pass);
	if (r == 0) {
		inode_proc_path(fd, path);
		r = (value ? setxattr(path, name, value, size, flags) : removexattr(path, name)) < 0
			    ? -errno
			    : 0;
		r = call_leave(req, &pass, r);
	}
	call_reply(req, r);
}

void xattrs_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *value,
		     size_t size, int flags)
{
	change_xattr(req, id, name, value, size, flags);
}

void xattrs_removexattr(fuse_req_t req, fuse_ino_t id, const char *name)
{
	change_xattr(req, id, name, NULL, 0, 0);
}
