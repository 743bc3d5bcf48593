/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/call.h"
#include "fs/poller.h"

/* The kernel asks for up to 4 GiB in one call, which can go on long after the lease. */
#define COPY_MAX ((size_t)1024 * 1024)

/* An open file of the share. */
struct file {
	int fd;
	/*
	 * Of the lease when it was opened for writing.  Under a later epoch somebody else has been
	 * master in between: what the program knows of the file is out of date, and its writes
	 * fail.
	 */
	uint64_t epoch;
};

static struct file *file_of(const struct fuse_file_info *fi)
{
	return (struct file *)(uintptr_t)fi->fh; /* NOLINT(performance-no-int-to-ptr) */
}

static int file_fd(const struct fuse_file_info *fi)
{
	return file_of(fi)->fd;
}

/* gate_enter() for a change through an open file. */
static int enter(fuse_req_t req, const struct fuse_file_info *fi, struct gate_pass *ret)
{
	struct gate *gate = call_ops(req)->gate;
	int r = gate_enter(gate, ret);

	if (r == 0 && ret->epoch != file_of(fi)->epoch) {
		(void)gate_leave(gate, ret);
		return -EIO;
	}
	return r;
}

static bool is_mutating(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
}

/* What the share's file is opened with.  O_DIRECT has demands on memory that ours need not meet. */
static int backing_flags(int flags)
{
	return flags & ~(O_DIRECT | O_CREAT | O_EXCL | O_NOCTTY);
}

/* Give @fd (taken) to a new open file.  -ENOMEM. */
static int set_file(int *fd, uint64_t epoch, struct fuse_file_info *fi)
{
	struct file *f = malloc(sizeof(*f));

	if (!f) {
		return -ENOMEM;
	}
	*f = (struct file){.fd = take_fd(fd), .epoch = epoch};
	fi->fh = (uint64_t)(uintptr_t)f;
	/* Where the end of an appended file is, the share knows, and the kernel's cache may not. */
	fi->direct_io = (fi->flags & (O_DIRECT | O_APPEND)) != 0;
	return 0;
}

static void file_free(struct file *f)
{
	(void)close(f->fd);
	free(f);
}

void files_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct ops *o = call_ops(req);
	struct inode *i = call_inode(req, id);
	_cleanup_close_ int fd = -EBADF;
	struct gate_pass pass = {0};
	int r;

	if (call_is_virtual(i)) {
		control_open(o->control, req, i, fi);
		return;
	}
	/* A handle that could only ever fail is refused where programs look for it. */
	r = is_mutating(fi->flags) ? gate_enter(o->gate, &pass) : 0;
	if (r == 0) {
		fd = inode_open(&o->inodes, i, backing_flags(fi->flags));
		r = fd < 0 ? fd : 0;
		if (is_mutating(fi->flags)) {
			r = call_leave(req, &pass, r);
		}
	}
	if (r == 0) {
		r = set_file(&fd, pass.epoch, fi);
	}
	if (r < 0) {
		call_reply(req, r);
	} else if (fuse_reply_open(req, fi) < 0) {
		file_free(file_of(fi));
	}
}

static int create_file(fuse_req_t req, int parent_fd, const char *name, mode_t mode, int flags)
{
	int fd;

	call_act_as_caller(req);
	fd = openat(parent_fd, name,
		    backing_flags(flags) | O_CREAT | (flags & O_EXCL) | O_NOFOLLOW | O_CLOEXEC,
		    mode);
	fd = fd < 0 ? -errno : fd;
	call_act_as_self();
	return fd;
}

void files_create(fuse_req_t req, fuse_ino_t parent_id, const char *name, mode_t mode,
		  struct fuse_file_info *fi)
{
	struct ops *o = call_ops(req);
	struct inode *parent = call_inode(req, parent_id), *i = NULL;
	_cleanup_close_ int parent_fd = -EBADF;
	_cleanup_close_ int fd = -EBADF;
	struct fuse_entry_param e;
	struct gate_pass pass;
	struct stat st;
	int r;

	if (call_names_virtual(req, parent, name)) {
		control_create(o->control, req, parent, name, fi);
		return;
	}
	parent_fd = inode_open_path(&o->inodes, parent);
	r = parent_fd < 0 ? parent_fd : gate_enter(o->gate, &pass);
	if (r == 0) {
		fd = create_file(req, parent_fd, name, mode, fi->flags);
		r = fd < 0 ? fd : call_look_up(req, parent_fd, name, &i, &st);
		r = call_leave(req, &pass, r);
	}
	if (r == 0) {
		r = set_file(&fd, pass.epoch, fi);
	}
	if (r < 0) {
		if (i) {
			inodes_forget(&o->inodes, i, 1);
		}
		call_reply(req, r);
		return;
	}
	e = call_entry(i, &st);
	if (fuse_reply_create(req, &e, fi) < 0) {
		file_free(file_of(fi));
		inodes_forget(&o->inodes, i, 1);
	}
}

void files_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct fuse_bufvec buf = FUSE_BUFVEC_INIT(size);

	if (call_is_virtual(call_inode(req, id))) {
		control_read(call_ops(req)->control, req, size, offset, fi);
		return;
	}
	buf.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	buf.buf[0].fd = file_fd(fi);
	buf.buf[0].pos = offset;
	(void)fuse_reply_data(req, &buf, 0);
}

/*
 * Written through: on the server before it is answered, so that the kernel never holds a dirty page
 * that could reach the server after the lease is gone.
 */
static ssize_t write_through(int fd, const char *bytes, size_t size, off_t offset)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): an iovec knows no const; it is only read. */
	const struct iovec iov = {(void *)(uintptr_t)bytes, size};
	ssize_t n;

	do {
		n = pwritev2(fd, &iov, 1, offset, RWF_DSYNC);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

void files_write(fuse_req_t req, fuse_ino_t id, const char *bytes, size_t size, off_t offset,
		 struct fuse_file_info *fi)
{
	struct gate_pass pass;
	ssize_t n;

	if (call_is_virtual(call_inode(req, id))) {
		control_write(call_ops(req)->control, req, bytes, size, offset, fi);
		return;
	}
	n = enter(req, fi, &pass);
	if (n == 0) {
		n = write_through(file_fd(fi), bytes, size, offset);
		n = n < 0 ? call_leave(req, &pass, (int)n)
			  : (call_leave(req, &pass, 0) < 0 ? -EIO : n);
	}
	if (n < 0) {
		call_reply(req, (int)n);
	} else {
		(void)fuse_reply_write(req, (size_t)n);
	}
}

void files_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	if (call_is_virtual(call_inode(req, id))) {
		control_flush(call_ops(req)->control, req, fi);
	} else {
		call_reply(req, 0); /* everything was written through */
	}
}

void files_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	if (call_is_virtual(call_inode(req, id))) {
		control_fsync(call_ops(req)->control, req, fi);
	} else {
		/*
		 * The data is there; what is left are the attributes, which nobody else can have
		 * changed.
		 */
		call_reply(req, fsync(file_fd(fi)) < 0 ? -errno : 0);
	}
}

void files_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	if (call_is_virtual(call_inode(req, id))) {
		control_release(call_ops(req)->control, req, fi);
		return;
	}
	file_free(file_of(fi));
	call_reply(req, 0);
}

void files_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t offset, off_t length,
		     struct fuse_file_info *fi)
{
	struct gate_pass pass;
	int r;

	if (call_is_virtual(call_inode(req, id))) {
		call_reply(req, -EOPNOTSUPP);
		return;
	}
	r = enter(req, fi, &pass);
	if (r == 0) {
		int fd = file_fd(fi);

		r = fallocate(fd, mode, offset, length) < 0 ? -errno : 0;
		if (r == 0 && fdatasync(fd) < 0) {
			r = -errno;
		}
		r = call_leave(req, &pass, r);
	}
	call_reply(req, r);
}

void files_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t in_offset,
			   struct fuse_file_info *in_fi, fuse_ino_t out, off_t out_offset,
			   struct fuse_file_info *out_fi, size_t n, int flags)
{
	struct gate_pass pass;
	ssize_t copied;

	if (call_is_virtual(call_inode(req, in)) || call_is_virtual(call_inode(req, out))) {
		call_reply(req, -EXDEV); /* the kernel copies through read and write instead */
		return;
	}
	copied = enter(req, out_fi, &pass);
	if (copied == 0) {
		int fd = file_fd(out_fi);

		/* The rest is for the next call: the gate is asked again, as for each write. */
		n = n < COPY_MAX ? n : COPY_MAX;
		copied = copy_file_range(file_fd(in_fi), &in_offset, fd, &out_offset, n,
					 (unsigned)flags);
		copied = copied < 0 ? -errno : copied;
		if (copied > 0 && fdatasync(fd) < 0) {
			copied = -errno;
		}
		copied = call_leave(req, &pass, 0) < 0 && copied >= 0 ? -EIO : copied;
	}
	if (copied < 0) {
		call_reply(req, (int)copied);
	} else {
		(void)fuse_reply_write(req, (size_t)copied);
	}
}

int files_truncate(const struct fuse_file_info *fi, const struct gate_pass *pass, off_t size)
{
	if (pass->epoch != file_of(fi)->epoch) {
		return -EIO;
	}
	return ftruncate(file_fd(fi), size) < 0 ? -errno : 0;
}

void files_poll(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi,
		struct fuse_pollhandle *handle)
{
	if (call_is_virtual(call_inode(req, id))) {
		control_poll(call_ops(req)->control, req, fi, handle);
	} else {
		poller_decline(req, handle);
	}
}

void files_lseek(fuse_req_t req, fuse_ino_t id, off_t offset, int whence, struct fuse_file_info *fi)
{
	off_t at;

	if (call_is_virtual(call_inode(req, id))) {
		call_reply(req, -EINVAL);
		return;
	}
	at = lseek(file_fd(fi), offset, whence);
	if (at < 0) {
		call_reply(req, -errno);
	} else {
		(void)fuse_reply_lseek(req, at);
	}
}

void files_flock(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi, int op)
{
	struct ops *o = call_ops(req);
	struct inode *i = call_inode(req, id);

	if (call_is_virtual(i)) {
		control_flock(o->control, req, i, fi, op);
	} else if (flock(file_fd(fi), op | LOCK_NB) == 0) {
		call_reply(req, 0);
	} else if (errno != EWOULDBLOCK || (op & LOCK_NB)) {
		call_reply(req, -errno);
	} else {
		flockwait_add(&o->flocks, req, file_fd(fi), op);
	}
}
