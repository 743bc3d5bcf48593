/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/inode.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/*
 * Two inodes are one if device, number and handle agree: a handle tells a number that was used
 * again.
 */
static int compare(const void *a, const void *b)
{
	const struct inode *x = a, *y = b;

	if (x->dev != y->dev) {
		return x->dev < y->dev ? -1 : 1;
	}
	if (x->ino != y->ino) {
		return x->ino < y->ino ? -1 : 1;
	}
	if (!x->handle || !y->handle) {
		return (x->handle != NULL) - (y->handle != NULL);
	}
	if (x->handle->handle_bytes != y->handle->handle_bytes) {
		return x->handle->handle_bytes < y->handle->handle_bytes ? -1 : 1;
	}
	return memcmp(x->handle->f_handle, y->handle->f_handle, x->handle->handle_bytes);
}

static void inode_free(struct inode *i)
{
	closep(&i->path_fd);
	free(i->handle);
	free(i);
}

static void inode_freep(struct inode **i)
{
	if (*i) {
		inode_free(*i);
	}
}

/* The handle of the O_PATH descriptor @fd; NULL if it has none that root_fd could open. */
static struct file_handle *handle_of(int fd, int mount_no)
{
	struct file_handle *handle = malloc(sizeof(*handle) + MAX_HANDLE_SZ);
	int at;

	if (!handle) {
		return NULL;
	}
	handle->handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(fd, "", handle, &at, AT_EMPTY_PATH) < 0 || at != mount_no) {
		free(handle);
		return NULL;
	}
	return handle;
}

/* Can handles be opened here (CAP_DAC_READ_SEARCH, and a file system that decodes them)? */
static bool handles_open(int root_fd, const struct file_handle *handle)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ struct file_handle *copy = malloc(sizeof(*handle) + handle->handle_bytes);

	if (!copy) {
		return false;
	}
	memcpy(copy, handle, sizeof(*handle) + handle->handle_bytes);
	fd = open_by_handle_at(root_fd, copy, O_PATH | O_CLOEXEC);
	return fd >= 0;
}

int inodes_init(struct inodes *t, int root_fd)
{
	_cleanup_free_ struct file_handle *handle = malloc(sizeof(*handle) + MAX_HANDLE_SZ);
	struct stat st;

	*t = (struct inodes){.root_fd = root_fd, .mount_no = -1};
	if (!handle) {
		return -ENOMEM;
	}
	if (fstat(root_fd, &st) < 0) {
		return -errno;
	}
	handle->handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(root_fd, "", handle, &t->mount_no, AT_EMPTY_PATH) < 0 ||
	    !handles_open(root_fd, handle)) {
		t->mount_no = -1;
	}
	t->root = (struct inode){.kind = INODE_PASS,
				 .lookups = 1,
				 .dev = st.st_dev,
				 .ino = st.st_ino,
				 .path_fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0)};
	if (t->root.path_fd < 0) {
		return -errno;
	}
	(void)pthread_mutex_init(&t->lock, NULL);
	return 0;
}

static void free_node(void *node)
{
	inode_free(node);
}

void inodes_done(struct inodes *t)
{
	tdestroy(t->tree, free_node);
	closep(&t->root.path_fd);
	(void)pthread_mutex_destroy(&t->lock);
}

/* The inode equal to @made, which is taken in if there was none; one more lookup is counted. */
static int intern(struct inodes *t, struct inode **made, struct inode **ret)
{
	struct inode **found;
	int r = 0;

	(void)pthread_mutex_lock(&t->lock);
	found = tsearch(*made, &t->tree, compare);
	if (!found) {
		r = -ENOMEM;
	} else {
		if (*found == *made) {
			*made = NULL;
		}
		(*found)->lookups++;
		*ret = *found;
	}
	(void)pthread_mutex_unlock(&t->lock);
	return r;
}

int inodes_look_up(struct inodes *t, int parent_fd, const char *name, struct inode **ret,
		   struct stat *ret_stat)
{
	_cleanup_(inode_freep) struct inode *made = calloc(1, sizeof(*made));
	_cleanup_close_ int fd = openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r;

	if (!made) {
		return -ENOMEM;
	}
	made->path_fd = -EBADF;
	if (fd < 0 || fstat(fd, &st) < 0) {
		return -errno;
	}
	made->kind = INODE_PASS;
	made->dev = st.st_dev;
	made->ino = st.st_ino;
	if (t->mount_no >= 0) {
		made->handle = handle_of(fd, t->mount_no);
	}
	if (!made->handle) {
		made->path_fd = take_fd(&fd);
	}
	r = intern(t, &made, ret);
	if (r == 0) {
		*ret_stat = st;
	}
	return r;
}

void inodes_forget(struct inodes *t, struct inode *i, uint64_t n)
{
	bool gone;

	if (i == &t->root) {
		return;
	}
	(void)pthread_mutex_lock(&t->lock);
	i->lookups -= n < i->lookups ? n : i->lookups;
	gone = i->lookups == 0;
	if (gone) {
		(void)tdelete(i, &t->tree, compare);
	}
	(void)pthread_mutex_unlock(&t->lock);
	if (gone) {
		inode_free(i);
	}
}

int inode_open_path(const struct inodes *t, const struct inode *i)
{
	int fd = i->handle ? open_by_handle_at(t->root_fd, i->handle, O_PATH | O_CLOEXEC)
			   : fcntl(i->path_fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int inode_open(const struct inodes *t, const struct inode *i, int flags)
{
	_cleanup_close_ int path_fd = inode_open_path(t, i);
	char path[INODE_PROC_BYTES];
	int fd;

	if (path_fd < 0) {
		return path_fd;
	}
	inode_proc_path(path_fd, path);
	fd = open(path, (flags & ~O_NOFOLLOW) | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void inode_proc_path(int fd, char ret[INODE_PROC_BYTES])
{
	(void)snprintf(ret, INODE_PROC_BYTES, "/proc/self/fd/%d", fd);
}
