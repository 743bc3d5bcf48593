/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "ha/persisted.h"

struct file {
	char *path; /* the key; first */
	struct stat st;
	char *bytes;
	size_t n;
	uint64_t pass; /* in which it was there last */
	struct file *next;
};

struct ha_copy {
	void *tree;         /* tsearch(3) over the files */
	struct file *first; /* all of them */
	uint64_t pass;
	size_t n_files, n_bytes, n_reads;
};

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct file *)a)->path, ((const struct file *)b)->path);
}

static void file_free(struct file *f)
{
	if (f) {
		free(f->path);
		free(f->bytes);
		free(f);
	}
}

DEFINE_CLEANUP(struct file *, file_free);

int ha_copy_new(struct ha_copy **ret)
{
	struct ha_copy *c = calloc(1, sizeof(*c));

	if (!c) {
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

/* Forget the file at @at, which is &c->first or some file's &next. */
static void forget(struct ha_copy *c, struct file **at)
{
	struct file *f = *at;

	*at = f->next;
	c->n_files--;
	c->n_bytes -= f->n;
	(void)tdelete(f, &c->tree, by_path);
	file_free(f);
}

void ha_copy_free(struct ha_copy *c)
{
	if (c) {
		while (c->first) {
			forget(c, &c->first);
		}
		free(c);
	}
}

static struct file *find(const struct ha_copy *c, const char *path)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): a key is only read. */
	const struct file key = {.path = (char *)(uintptr_t)path};
	struct file *const *node = tfind(&key, &c->tree, by_path);

	return node ? *node : NULL;
}

/* The one of @path, made without content if there is none; NULL without memory. */
static struct file *find_or_add(struct ha_copy *c, const char *path)
{
	_cleanup_(file_freep) struct file *f = NULL;
	struct file *known = find(c, path);

	if (known) {
		return known;
	}
	f = calloc(1, sizeof(*f));
	if (!f || !(f->path = strdup(path)) || !tsearch(f, &c->tree, by_path)) {
		return NULL;
	}
	f->next = c->first;
	c->first = f;
	c->n_files++;
	return take_ptr(f);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

struct refresh {
	struct ha_copy *copy;
	uint64_t until_ms;
	bool read_any;
};

/* A file that changes while it is read is not the same at the next look. */
static int on_file(void *ctx, int dir_fd, const char *name, const char *path, const struct stat *st)
{
	struct refresh *w = ctx;
	struct ha_copy *c = w->copy;
	struct file *f = find_or_add(c, path);
	char *bytes;
	size_t n;
	int r;

	if (!f) {
		return -ENOMEM;
	}
	f->pass = c->pass;
	if (f->bytes && is_same(&f->st, st)) {
		return 0;
	}
	if (w->read_any && clock_boot_ms() >= w->until_ms) {
		return 1;
	}
	r = io_read_file(dir_fd, name, HA_COPY_MAX_BYTES - (c->n_bytes - f->n), &bytes, &n);
	if (r < 0) {
		return r == -ENOENT || r == -ESTALE ? 0 : r; /* removed meanwhile */
	}
	c->n_bytes += n - f->n;
	c->n_reads++;
	w->read_any = true;
	free(f->bytes);
	f->bytes = bytes;
	f->n = n;
	f->st = *st;
	return 0;
}

int ha_copy_refresh(struct ha_copy *c, int root_fd, uint64_t until_ms)
{
	struct refresh w = {.copy = c, .until_ms = until_ms};
	int r;

	c->pass++;
	r = ha_persisted_each(root_fd, on_file, &w);
	if (r != 0) {
		return r;
	}
	for (struct file **at = &c->first; *at;) {
		if ((*at)->pass != c->pass || !(*at)->bytes) {
			forget(c, at);
		} else {
			at = &(*at)->next;
		}
	}
	return 0;
}

size_t ha_copy_n_files(const struct ha_copy *c)
{
	return c->n_files;
}

size_t ha_copy_n_bytes(const struct ha_copy *c)
{
	return c->n_bytes;
}

size_t ha_copy_n_reads(const struct ha_copy *c)
{
	return c->n_reads;
}

const char *ha_copy_find(const struct ha_copy *c, const char *path, size_t *ret_n)
{
	const struct file *f = find(c, path);

	if (f) {
		*ret_n = f->n;
	}
	return f ? f->bytes : NULL;
}
