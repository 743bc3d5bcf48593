/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/dirs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/call.h"

/*
 * An open directory: of the share (.stream), or a list of names that was made when it was opened.
 */
struct directory {
	DIR *stream;
	struct listed {
		char *name;
		mode_t type;
		ino_t ino;
	} * listed;
	size_t n_listed;
};

static struct directory *directory_of(const struct fuse_file_info *fi)
{
	return (struct directory *)(uintptr_t)fi->fh; /* NOLINT(performance-no-int-to-ptr) */
}

static void directory_free(struct directory *d)
{
	if (d->stream) {
		(void)closedir(d->stream);
	}
	for (size_t i = 0; i < d->n_listed; i++) {
		free(d->listed[i].name);
	}
	free(d->listed);
	free(d);
}

static int add_listed(void *ctx, const char *name, mode_t type, ino_t ino)
{
	struct directory *d = ctx;
	struct listed *more = d->listed;

	if ((d->n_listed & (d->n_listed - 1)) == 0) {
		more = reallocarray(d->listed, d->n_listed ? 2 * d->n_listed : 1, sizeof(*more));
		if (!more) {
			return -ENOMEM;
		}
		d->listed = more;
	}
	more[d->n_listed].name = strdup(name);
	if (!more[d->n_listed].name) {
		return -ENOMEM;
	}
	more[d->n_listed].type = type;
	more[d->n_listed].ino = ino;
	d->n_listed++;
	return 0;
}

/* The root shows our names before the share's, and never the share's under our names. */
static int list_root(fuse_req_t req, struct directory *d)
{
	struct inode *root = &call_ops(req)->inodes.root;
	const struct dirent *e;

	while (errno = 0, (e = readdir(d->stream))) {
		int r = control_has_name(root, true, e->d_name)
				? 0
				: add_listed(d, e->d_name, (mode_t)DTTOIF(e->d_type), e->d_ino);

		if (r < 0) {
			return r;
		}
	}
	return -errno;
}

static int fill_directory(fuse_req_t req, const struct inode *i, struct directory *d)
{
	struct ops *o = call_ops(req);
	int r = 0;

	if (!call_is_virtual(i)) {
		int fd = inode_open(&o->inodes, i, O_RDONLY | O_DIRECTORY);

		if (fd < 0) {
			return fd;
		}
		(void)call_refresh(fd);
		d->stream = fdopendir(fd);
		if (!d->stream) {
			r = -errno;
			(void)close(fd);
			return r;
		}
	}
	if (call_is_virtual(i)) {
		r = add_listed(d, ".", S_IFDIR, i->ino);
		r = r ? r : add_listed(d, "..", S_IFDIR, o->inodes.root.ino);
	}
	if (r == 0 && (call_is_virtual(i) || call_is_root(req, i))) {
		r = control_list(o->control, i, add_listed, d);
	}
	/* The root has both: its stream was opened above. */
	return r == 0 && d->stream && call_is_root(req, i) ? list_root(req, d) : r;
}

void dirs_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	struct directory *d = calloc(1, sizeof(*d));
	int r = d ? fill_directory(req, call_inode(req, id), d) : -ENOMEM;

	if (r < 0) {
		if (d) {
			directory_free(d);
		}
		call_reply(req, r);
		return;
	}
	fi->fh = (uint64_t)(uintptr_t)d;
	if (fuse_reply_open(req, fi) < 0) {
		directory_free(d);
	}
}

/* The next entry of @d from *offset on; false at the end or, with *ret_error, after an error. */
static bool next_entry(const struct directory *d, off_t *offset, const char **ret_name,
		       struct stat *ret_stat, int *ret_error)
{
	const struct dirent *e;

	if (d->listed) {
		const struct listed *l = &d->listed[*offset];

		if ((size_t)*offset >= d->n_listed) {
			return false;
		}
		*ret_name = l->name;
		*ret_stat = (struct stat){.st_mode = l->type, .st_ino = l->ino};
		(*offset)++;
		return true;
	}
	errno = 0;
	e = readdir(d->stream);
	if (!e) {
		*ret_error = -errno;
		return false;
	}
	*ret_name = e->d_name;
	*ret_stat = (struct stat){.st_mode = (mode_t)DTTOIF(e->d_type), .st_ino = e->d_ino};
	*offset = e->d_off;
	return true;
}

void dirs_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
		  struct fuse_file_info *fi)
{
	struct directory *d = directory_of(fi);
	_cleanup_free_ char *buf = malloc(size);
	const char *name;
	size_t used = 0;
	struct stat st;
	int error = 0;

	(void)id;
	if (!buf) {
		call_reply(req, -ENOMEM);
		return;
	}
	if (!d->listed && telldir(d->stream) != offset) {
		seekdir(d->stream, offset);
	}
	while (next_entry(d, &offset, &name, &st, &error)) {
		size_t n = fuse_add_direntry(req, buf + used, size - used, name, &st, offset);

		if (n > size - used) {
			break; /* next time it comes first: the kernel asks from its offset on */
		}
		used += n;
	}
	if (error < 0 && used == 0) {
		call_reply(req, error);
	} else {
		(void)fuse_reply_buf(req, buf, used);
	}
}

void dirs_releasedir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
	(void)id;
	directory_free(directory_of(fi));
	call_reply(req, 0);
}

void dirs_fsyncdir(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi)
{
	const struct directory *d = directory_of(fi);

	(void)id;
	(void)datasync;
	call_reply(req, d->stream && fsync(dirfd(d->stream)) < 0 ? -errno : 0);
}
