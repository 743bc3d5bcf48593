/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/persisted.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* Deeper trees are refused: each level holds a descriptor open. */
#define DEPTH_MAX 64

static DIR *open_stream(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;

	if (!stream) {
		closep(&fd);
	}
	return stream;
}

static void close_stream(DIR *stream)
{
	(void)closedir(stream);
}

DEFINE_CLEANUP(DIR *, close_stream);

/* Names that the mount makes up: they are no persisted state. */
static bool is_mounts_own(const char *name)
{
	static const char *const names[] = {"nodes", "master", "planeId", "change.log",
					    ".holdfast"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			return true;
		}
	}
	return false;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Is there a file in this tree?  Directories alone are no state. */
static int has_file(int parent, const char *name, unsigned depth)
{
	_cleanup_(close_streamp) DIR *stream = open_stream(parent, name);
	const struct dirent *entry;
	int r;

	if (!stream) {
		return errno == ENOTDIR || errno == ELOOP ? 1 : -errno;
	}
	while (errno = 0, (entry = readdir(stream))) {
		if (is_dot(entry->d_name) || (depth == 0 && is_mounts_own(entry->d_name))) {
			continue;
		}
		r = depth == DEPTH_MAX ? 1 : has_file(dirfd(stream), entry->d_name, depth + 1);
		if (r != 0) {
			return r;
		}
	}
	return -errno;
}

int ha_persisted_is_empty(int root_fd)
{
	int r = has_file(root_fd, ".", 0);

	return r < 0 ? r : !r;
}

struct walk {
	ha_persisted_fn *fn;
	void *ctx;
	dev_t device;
};

/* @path is that of the directory, with a slash at the end; or "" for the root. */
static int each_below(const struct walk *w, int parent, const char *name, const char *path,
		      unsigned depth)
{
	_cleanup_(close_streamp) DIR *stream = open_stream(parent, name);
	const struct dirent *entry;
	char below[PATH_MAX];
	struct stat st;

	if (!stream) {
		return errno == ENOENT ? 0 : -errno; /* removed meanwhile */
	}
	if (depth == DEPTH_MAX) {
		return -ELOOP;
	}
	while (errno = 0, (entry = readdir(stream))) {
		bool is_dir;
		int r;

		if (is_dot(entry->d_name) || (depth == 0 && is_mounts_own(entry->d_name)) ||
		    fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			continue;
		}
		is_dir = S_ISDIR(st.st_mode);
		if (st.st_dev != w->device || (!is_dir && !S_ISREG(st.st_mode))) {
			continue;
		}
		if (snprintf(below, sizeof(below), "%s%s%s", path, entry->d_name,
			     is_dir ? "/" : "") >= (int)sizeof(below)) {
			return -ENAMETOOLONG;
		}
		r = is_dir ? each_below(w, dirfd(stream), entry->d_name, below, depth + 1)
			   : w->fn(w->ctx, dirfd(stream), entry->d_name, below, &st);
		if (r != 0) {
			return r;
		}
	}
	return -errno;
}

int ha_persisted_each(int root_fd, ha_persisted_fn *fn, void *ctx)
{
	struct walk w = {.fn = fn, .ctx = ctx};
	struct stat st;

	if (fstat(root_fd, &st) < 0) {
		return -errno;
	}
	w.device = st.st_dev;
	return each_below(&w, root_fd, ".", "", 0);
}

static int clear_below(int parent, const char *name, dev_t device, uint64_t until_ms,
		       unsigned depth);

/* 1: it, or some of what it holds, is removed. */
static int clear_entry(int parent, const char *name, dev_t device, uint64_t until_ms,
		       unsigned depth)
{
	int r;

	if (unlinkat(parent, name, 0) == 0) {
		return 1;
	}
	if (errno != EISDIR) {
		return -errno;
	}
	r = clear_below(parent, name, device, until_ms, depth);
	if (r != 0) {
		return r;
	}
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : 1;
}

/* 0: it was empty; 1: something is removed, look again; removing while reading may skip entries. */
static int clear_below(int parent, const char *name, dev_t device, uint64_t until_ms,
		       unsigned depth)
{
	_cleanup_(close_streamp) DIR *stream = open_stream(parent, name);
	const struct dirent *entry;
	bool removed = false;
	struct stat st;

	if (!stream || fstat(dirfd(stream), &st) < 0) {
		return -errno;
	}
	/* What somebody mounted inside is not this plane's state. */
	if (st.st_dev != device) {
		return -EXDEV;
	}
	if (depth == DEPTH_MAX) {
		return -ELOOP;
	}
	while (errno = 0, (entry = readdir(stream))) {
		int r;

		if (is_dot(entry->d_name) || (depth == 0 && is_mounts_own(entry->d_name))) {
			continue;
		}
		r = clear_entry(dirfd(stream), entry->d_name, device, until_ms, depth + 1);
		if (r < 0) {
			return r;
		}
		removed = true;
		if (clock_boot_ms() >= until_ms) {
			return 1;
		}
	}
	return errno ? -errno : removed;
}

int ha_persisted_clear(int root_fd, uint64_t until_ms)
{
	struct stat st;

	if (fstat(root_fd, &st) < 0) {
		return -errno;
	}
	return clear_below(root_fd, ".", st.st_dev, until_ms, 0);
}
