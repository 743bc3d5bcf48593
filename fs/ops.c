/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/call.h"
#include "fs/dirs.h"
#include "fs/files.h"
#include "fs/store.h"
#include "fs/xattrs.h"

static void do_lookup(fuse_req_t req, fuse_ino_t parent_id, const char *name)
{
	struct ops *o = call_ops(req);
	struct inode *parent = call_inode(req, parent_id), *i = NULL;
	_cleanup_close_ int fd = -EBADF;
	struct fuse_entry_param e;
	struct stat st;
	int r;

	if (call_names_virtual(req, parent, name)) {
		control_lookup(o->control, req, parent, name);
		return;
	}
	fd = inode_open_path(&o->inodes, parent);
	r = fd < 0 ? fd : call_look_up(req, fd, name, &i, &st);
	if (r < 0) {
		call_reply(req, r);
		return;
	}
	e = call_entry(i, &st);
	if (fuse_reply_entry(req, &e) < 0) {
		inodes_forget(&o->inodes, i, 1);
	}
}

static void forget_one(fuse_req_t req, fuse_ino_t id, uint64_t n)
{
	struct inode *i = call_inode(req, id);

	if (call_is_virtual(i)) {
		control_forget(call_ops(req)->control, i, n);
	} else {
		inodes_forget(&call_ops(req)->inodes, i, n);
	}
}

static void do_forget(fuse_req_t req, fuse_ino_t id, uint64_t n)
{
	forget_one(req, id, n);
	fuse_reply_none(req);
}

static void do_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < n; i++) {
		forget_one(req, forgets[i].ino, forgets[i].nlookup);
	}
	fuse_reply_none(req);
}

/* What an operation that makes a name needs to know. */
struct making {
	const char *name;
	mode_t mode;
	dev_t rdev;
	const char *target; /* of a symbolic link */
	struct inode *old;  /* of a hard link */
};

typedef int make_fn(fuse_req_t req, int parent_fd, const struct making *m);

/* The frame of mknod, mkdir, symlink and link: gate, make, look up, gate, answer. */
static void make(fuse_req_t req, fuse_ino_t parent_id, make_fn *fn, const struct making *m)
{
	struct ops *o = call_ops(req);
	struct inode *parent = call_inode(req, parent_id), *i = NULL;
	_cleanup_close_ int fd = -EBADF;
	struct fuse_entry_param e;
	struct gate_pass pass;
	struct stat st;
	int r;

	if (call_names_virtual(req, parent, m->name)) {
		call_reply(req, -EPERM);
		return;
	}
	fd = inode_open_path(&o->inodes, parent);
	r = fd < 0 ? fd : gate_enter(o->gate, &pass);
	if (r == 0) {
		r = fn(req, fd, m);
		if (r == 0) {
			r = call_look_up(req, fd, m->name, &i, &st);
		}
		r = call_leave(req, &pass, r);
	}
	if (r < 0) {
		if (i) {
			inodes_forget(&o->inodes, i, 1);
		}
		call_reply(req, r);
		return;
	}
	e = call_entry(i, &st);
	if (fuse_reply_entry(req, &e) < 0) {
		inodes_forget(&o->inodes, i, 1);
	}
}

static int make_node(fuse_req_t req, int parent_fd, const struct making *m)
{
	int r;

	call_act_as_caller(req);
	r = mknodat(parent_fd, m->name, m->mode, m->rdev) < 0 ? -errno : 0;
	call_act_as_self();
	return r;
}

static void do_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	make(req, parent, make_node, &(struct making){.name = name, .mode = mode, .rdev = rdev});
}

static int make_directory(fuse_req_t req, int parent_fd, const struct making *m)
{
	int r;

	call_act_as_caller(req);
	r = mkdirat(parent_fd, m->name, m->mode) < 0 ? -errno : 0;
	call_act_as_self();
	return r;
}

static void do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make(req, parent, make_directory, &(struct making){.name = name, .mode = mode});
}

static int make_symlink(fuse_req_t req, int parent_fd, const struct making *m)
{
	int r;

	call_act_as_caller(req);
	r = symlinkat(m->target, parent_fd, m->name) < 0 ? -errno : 0;
	call_act_as_self();
	return r;
}

static void do_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	make(req, parent, make_symlink, &(struct making){.name = name, .target = target});
}

static int make_link(fuse_req_t req, int parent_fd, const struct making *m)
{
	struct ops *o = call_ops(req);
	_cleanup_close_ int fd = inode_open_path(&o->inodes, m->old);
	char path[INODE_PROC_BYTES];
	int r = fd < 0 ? fd : 0;

	if (r == 0) {
		inode_proc_path(fd, path);
		r = linkat(AT_FDCWD, path, parent_fd, m->name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
	}
	return r;
}

static void do_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name)
{
	struct inode *old = call_inode(req, id);

	if (call_is_virtual(old)) {
		call_reply(req, -EPERM);
		return;
	}
	make(req, parent, make_link, &(struct making){.name = name, .old = old});
}

static void do_readlink(fuse_req_t req, fuse_ino_t id)
{
	struct inode *i = call_inode(req, id);
	_cleanup_close_ int fd = -EBADF;
	char target[PATH_MAX];
	ssize_t n;

	if (call_is_virtual(i)) {
		call_reply(req, -EINVAL);
		return;
	}
	fd = inode_open_path(&call_ops(req)->inodes, i);
	if (fd < 0) {
		call_reply(req, fd);
		return;
	}
	n = readlinkat(fd, "", target, sizeof(target) - 1);
	if (n < 0) {
		call_reply(req, -errno);
		return;
	}
	target[n] = '\0';
	(void)fuse_reply_readlink(req, target);
}

static void remove_name(fuse_req_t req, fuse_ino_t parent_id, const char *name, int flags)
{
	struct ops *o = call_ops(req);
	struct inode *parent = call_inode(req, parent_id);
	_cleanup_close_ int fd = -EBADF;
	struct gate_pass pass;
	int r;

	if (call_names_virtual(req, parent, name)) {
		if (flags == 0) {
			control_unlink(o->control, req, parent, name);
		} else {
			call_reply(req, -EPERM);
		}
		return;
	}
	fd = inode_open_path(&o->inodes, parent);
	r = fd < 0 ? fd : gate_enter(o->gate, &pass);
	if (r == 0) {
		r = unlinkat(fd, name, flags) < 0 ? -errno : 0;
		r = call_leave(req, &pass, r);
	}
	call_reply(req, r);
}

static void do_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, 0);
}

static void do_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_name(req, parent, name, AT_REMOVEDIR);
}

static void do_rename(fuse_req_t req, fuse_ino_t parent_id, const char *name,
		      fuse_ino_t new_parent_id, const char *new_name, unsigned flags)
{
	struct ops *o = call_ops(req);
	struct inode *parent = call_inode(req, parent_id);
	struct inode *new_parent = call_inode(req, new_parent_id);
	_cleanup_close_ int fd = -EBADF;
	_cleanup_close_ int new_fd = -EBADF;
	struct gate_pass pass;
	int r;

	if (call_names_virtual(req, parent, name) ||
	    call_names_virtual(req, new_parent, new_name)) {
		if (flags != 0) {
			call_reply(req, -EINVAL);
		} else {
			control_rename(o->control, req, parent, name, new_parent, new_name);
		}
		return;
	}
	fd = inode_open_path(&o->inodes, parent);
	new_fd = inode_open_path(&o->inodes, new_parent);
	r = fd < 0 ? fd : new_fd < 0 ? new_fd : gate_enter(o->gate, &pass);
	if (r == 0) {
		r = renameat2(fd, name, new_fd, new_name, flags) < 0 ? -errno : 0;
		r = call_leave(req, &pass, r);
	}
	call_reply(req, r);
}

static int stat_inode(fuse_req_t req, const struct inode *i, struct stat *ret)
{
	_cleanup_close_ int fd = inode_open_path(&call_ops(req)->inodes, i);

	if (fd < 0) {
		return fd;
	}
	return fstatat(fd, "", ret, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static void do_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct inode *i = call_inode(req, id);
	struct stat st;
	int r;

	(void)fi;
	if (call_is_virtual(i)) {
		control_getattr(call_ops(req)->control, req, i);
		return;
	}
	r = stat_inode(req, i, &st);
	if (r < 0) {
		call_reply(req, r);
	} else {
		(void)fuse_reply_attr(req, &st, CALL_TIMEOUT_S);
	}
}

static int set_owner(int path_fd, const struct stat *attr, int to_set)
{
	uid_t uid = to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1;
	gid_t gid = to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1;

	return fchownat(path_fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno
											: 0;
}

static struct timespec time_to_set(const struct timespec *value, int to_set, int set, int now)
{
	if (to_set & now) {
		return (struct timespec){.tv_nsec = UTIME_NOW};
	}
	return to_set & set ? *value : (struct timespec){.tv_nsec = UTIME_OMIT};
}

/* A path through /proc follows its link, which for a symbolic link would be one too many. */
static int set_times(int path_fd, const struct stat *attr, int to_set)
{
	const struct timespec times[2] = {
		time_to_set(&attr->st_atim, to_set, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW),
		time_to_set(&attr->st_mtim, to_set, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW),
	};

	return utimensat(path_fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_attributes(fuse_req_t req, const struct inode *i, const struct stat *attr,
			  int to_set, const struct fuse_file_info *fi, const struct gate_pass *pass)
{
	_cleanup_close_ int fd = inode_open_path(&call_ops(req)->inodes, i);
	char path[INODE_PROC_BYTES];
	int r = fd < 0 ? fd : 0;

	if (r < 0) {
		return r;
	}
	inode_proc_path(fd, path);
	if (to_set & FUSE_SET_ATTR_MODE) {
		r = chmod(path, attr->st_mode) < 0 ? -errno : 0;
	}
	if (r == 0 && (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))) {
		r = set_owner(fd, attr, to_set);
	}
	if (r == 0 && (to_set & FUSE_SET_ATTR_SIZE)) {
		r = fi                                  ? files_truncate(fi, pass, attr->st_size)
		    : truncate(path, attr->st_size) < 0 ? -errno
							: 0;
	}
	if (r == 0 && (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW |
				 FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))) {
		r = set_times(fd, attr, to_set);
	}
	return r;
}

static void do_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	struct ops *o = call_ops(req);
	struct inode *i = call_inode(req, id);
	struct gate_pass pass;
	struct stat st;
	int r;

	if (call_is_virtual(i)) {
		control_setattr(o->control, req, i, attr, to_set, fi);
		return;
	}
	r = gate_enter(o->gate, &pass);
	if (r == 0) {
		r = set_attributes(req, i, attr, to_set, fi, &pass);
		if (r == 0) {
			r = stat_inode(req, i, &st);
		}
		r = call_leave(req, &pass, r);
	}
	if (r < 0) {
		call_reply(req, r);
	} else {
		(void)fuse_reply_attr(req, &st, CALL_TIMEOUT_S);
	}
}

static void do_statfs(fuse_req_t req, fuse_ino_t id)
{
	struct statvfs st;

	(void)id;
	if (fstatvfs(call_ops(req)->root_fd, &st) < 0) {
		call_reply(req, -errno);
	} else {
		(void)fuse_reply_statfs(req, &st);
	}
}

static void do_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	/*
	 * O_TRUNC comes with the open: a record that is opened so is written anew, in one commit.
	 */
	if (conn->capable & FUSE_CAP_ATOMIC_O_TRUNC) {
		conn->want |= FUSE_CAP_ATOMIC_O_TRUNC;
	}
}

const struct fuse_lowlevel_ops ops_table = {
	.init = do_init,
	.lookup = do_lookup,
	.forget = do_forget,
	.forget_multi = do_forget_multi,
	.getattr = do_getattr,
	.setattr = do_setattr,
	.readlink = do_readlink,
	.mknod = do_mknod,
	.mkdir = do_mkdir,
	.unlink = do_unlink,
	.rmdir = do_rmdir,
	.symlink = do_symlink,
	.rename = do_rename,
	.link = do_link,
	.open = files_open,
	.read = files_read,
	.write = files_write,
	.flush = files_flush,
	.release = files_release,
	.fsync = files_fsync,
	.opendir = dirs_opendir,
	.readdir = dirs_readdir,
	.releasedir = dirs_releasedir,
	.fsyncdir = dirs_fsyncdir,
	.statfs = do_statfs,
	.setxattr = xattrs_setxattr,
	.getxattr = xattrs_getxattr,
	.listxattr = xattrs_listxattr,
	.removexattr = xattrs_removexattr,
	.create = files_create,
	.flock = files_flock,
	.fallocate = files_fallocate,
	.copy_file_range = files_copy_file_range,
	.lseek = files_lseek,
	.poll = files_poll,
};

int ops_init(struct ops *o, int root_fd, struct plane *plane)
{
	struct stat root, hidden;
	int r;

	*o = (struct ops){.plane = plane, .gate = plane_gate(plane), .root_fd = root_fd};
	if (fstat(root_fd, &root) < 0 ||
	    fstatat(root_fd, STORE_DIRECTORY, &hidden, AT_SYMLINK_NOFOLLOW) < 0) {
		return -errno;
	}
	o->hidden_dev = hidden.st_dev;
	o->hidden_ino = hidden.st_ino;
	r = inodes_init(&o->inodes, root_fd);
	if (r < 0) {
		return r;
	}
	r = control_new(plane, &root, &o->control);
	if (r < 0) {
		inodes_done(&o->inodes);
	}
	return r;
}

int ops_stop(struct ops *o)
{
	control_stop(o->control);
	return flockwait_stop(&o->flocks);
}

void ops_done(struct ops *o)
{
	control_free(o->control);
	inodes_done(&o->inodes);
}
