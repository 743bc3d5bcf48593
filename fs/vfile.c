/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/vkind.h"

/* What @i shows now, in *ret_text (malloc'd; NULL where nothing is known yet). */
static int text_of(struct plane *p, const struct inode *i, char **ret_text)
{
	struct view *v;
	int r;

	if (!vkinds[i->kind].text) {
		return 0;
	}
	v = plane_view(p);
	r = vkinds[i->kind].text(p, v, names_name(i), ret_text);
	view_unref(v);
	return r;
}

static bool is_for_writing(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/* The content of a handle that is being opened.  -ENOENT, -ENOMEM. */
static int open_content(struct plane *p, const struct inode *i, int flags, struct content **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = 0;

	if (i->kind == INODE_STAGING) {
		struct content *k = content_ref(names_of(i)->content);

		if (is_for_writing(flags) && (flags & O_TRUNC)) {
			(void)pthread_mutex_lock(&k->lock);
			(void)content_resize_locked(k, 0);
			(void)pthread_mutex_unlock(&k->lock);
		}
		*ret = k;
		return 0;
	}
	if (!(flags & O_TRUNC) && !vkinds[i->kind].has_news) {
		r = text_of(p, i, &text);
	}
	if (r == 0) {
		n = text ? strlen(text) : 0;
		*ret = content_new(take_ptr(text), n);
		r = *ret ? 0 : -ENOMEM;
	}
	return r;
}

int vfile_new(struct plane *p, const struct inode *i, int flags, struct vfile **ret)
{
	_cleanup_(vfile_freep) struct vfile *f = NULL;
	const struct vkind *kind = &vkinds[i->kind];
	bool can_be_written = i->kind == INODE_STAGING || kind->to_request || kind->ignores_writes;
	int r;

	if (is_for_writing(flags) && !can_be_written) {
		return -EACCES;
	}
	f = calloc(1, sizeof(*f));
	if (!f) {
		return -ENOMEM;
	}
	f->kind = i->kind;
	(void)snprintf(f->name, sizeof(f->name), "%s", names_name(i));
	f->writable = is_for_writing(flags);
	f->dirty = f->writable && (flags & O_TRUNC) && !kind->ignores_writes;
	f->result = VFILE_NEVER_COMMITTED;
	r = open_content(p, i, flags, &f->content);
	if (r == 0) {
		*ret = take_ptr(f);
	}
	return r;
}

void vfile_free(struct vfile *f)
{
	content_unref(f->content);
	free(f);
}

static uint64_t generation_of(struct vfile *f)
{
	uint64_t generation;

	(void)pthread_mutex_lock(&f->content->lock);
	generation = f->generation;
	(void)pthread_mutex_unlock(&f->content->lock);
	return generation;
}

bool vfile_is_behind(struct plane *p, struct vfile *f)
{
	struct view *v = plane_view(p);
	bool is_behind = v->generation > generation_of(f);

	view_unref(v);
	return is_behind;
}

/* Let it show the plane as it is now.  -ENOMEM: it shows what it did. */
static int renew(struct plane *p, struct vfile *f)
{
	struct content *k = f->content;
	struct view *v = plane_view(p);
	char *text;
	int r = vkinds[f->kind].text(p, v, f->name, &text);

	if (r == 0) {
		(void)pthread_mutex_lock(&k->lock);
		free(k->bytes);
		k->bytes = text;
		k->n = strlen(text);
		f->generation = v->generation;
		(void)pthread_mutex_unlock(&k->lock);
	}
	view_unref(v);
	return r;
}

int vfile_read(struct plane *p, struct vfile *f, size_t size, off_t offset, char **ret_bytes,
	       size_t *ret_n)
{
	struct content *k = f->content;
	size_t from, n;
	char *bytes;
	int r;

	if (vkinds[f->kind].has_news && (offset == 0 || generation_of(f) == 0)) {
		r = renew(p, f);
		if (r < 0) {
			return r;
		}
	}
	(void)pthread_mutex_lock(&k->lock);
	from = (size_t)offset < k->n ? (size_t)offset : k->n;
	n = k->n - from < size ? k->n - from : size;
	bytes = malloc(n + 1);
	if (!bytes) {
		(void)pthread_mutex_unlock(&k->lock);
		return -ENOMEM;
	}
	if (n > 0) {
		memcpy(bytes, k->bytes + from, n);
	}
	(void)pthread_mutex_unlock(&k->lock);
	*ret_bytes = bytes;
	*ret_n = n;
	return 0;
}

int vfile_write(struct vfile *f, const char *bytes, size_t n, off_t offset)
{
	struct content *k = f->content;
	size_t end;
	int r = 0;

	if (!f->writable) {
		return -EBADF;
	}
	if (vkinds[f->kind].ignores_writes) {
		return 0;
	}
	if (offset < 0 || offset > CONTENT_MAX_BYTES || n > CONTENT_MAX_BYTES) {
		return -EFBIG;
	}
	end = (size_t)offset + n;
	(void)pthread_mutex_lock(&k->lock);
	if (end > k->n) {
		r = content_resize_locked(k, end);
	}
	if (r == 0 && n > 0) {
		memcpy(k->bytes + offset, bytes, n);
		f->dirty = true;
	}
	(void)pthread_mutex_unlock(&k->lock);
	return r;
}

int vfile_resize(struct vfile *f, off_t size)
{
	int r;

	if (!f->writable) {
		return -EPERM;
	}
	if (size < 0) {
		return -EINVAL;
	}
	if (vkinds[f->kind].ignores_writes) {
		return 0;
	}
	(void)pthread_mutex_lock(&f->content->lock);
	r = content_resize_locked(f->content, (size_t)size);
	f->dirty = f->dirty || r == 0;
	(void)pthread_mutex_unlock(&f->content->lock);
	return r;
}
