/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/vkind.h"

/* Staging files are kept in memory; nobody needs more than a few. */
#define STAGING_MAX 256

const struct named *names_of(const struct inode *i)
{
	return (const struct named *)i; /* .inode is its first member */
}

const char *names_name(const struct inode *i)
{
	if (i->kind == INODE_PASS) {
		return "";
	}
	return vkinds[i->kind].name ? vkinds[i->kind].name : names_of(i)->name;
}

void names_init(struct names *t)
{
	*t = (struct names){0};
	for (unsigned kind = 0; kind < INODE_KIND_MAX_; kind++) {
		t->fixed[kind] = (struct inode){.kind = (enum inode_kind)kind,
						.path_fd = -EBADF,
						.ino = NAMES_INO_FIXED + kind};
	}
	LIST_INIT(&t->list);
	(void)pthread_mutex_init(&t->lock, NULL);
}

ino_t names_ino(enum inode_kind dir, const char *name)
{
	/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/; the upper half is ours. */
	uint64_t hash = 0xcbf29ce484222325ULL ^ (uint64_t)dir;

	for (const char *p = name; *p; p++) {
		hash = (hash ^ (unsigned char)*p) * 0x100000001b3ULL;
	}
	return (hash >> 2) | 1ULL << 63;
}

static void named_free(struct named *n)
{
	content_unref(n->content);
	free(n);
}

void names_done(struct names *t)
{
	struct named *n;

	while ((n = LIST_FIRST(&t->list))) {
		LIST_REMOVE(n, entry);
		named_free(n);
	}
	(void)pthread_mutex_destroy(&t->lock);
}

static struct named *find_locked(struct names *t, enum inode_kind dir, const char *name)
{
	struct named *n;

	LIST_FOREACH (n, &t->list, entry) {
		if (n->dir == dir && !n->unlinked && strcmp(n->name, name) == 0) {
			return n;
		}
	}
	return NULL;
}

/* A new entry; for a staging file with empty content.  NULL: out of memory or of room. */
static struct named *add_locked(struct names *t, enum inode_kind kind, enum inode_kind dir,
				const char *name)
{
	struct named *n = calloc(1, sizeof(*n));

	if (!n) {
		return NULL;
	}
	n->inode = (struct inode){.kind = kind, .path_fd = -EBADF, .ino = names_ino(dir, name)};
	n->dir = dir;
	(void)snprintf(n->name, sizeof(n->name), "%s", name);
	if (kind == INODE_STAGING) {
		n->content = t->n_staging < STAGING_MAX ? content_new(NULL, 0) : NULL;
		if (!n->content) {
			free(n);
			return NULL;
		}
		t->n_staging++;
	}
	LIST_INSERT_HEAD(&t->list, n, entry);
	return n;
}

/* Let go of an entry that neither a name nor the kernel needs. */
static void settle_locked(struct named *n)
{
	if (n->inode.lookups == 0 && (n->unlinked || n->inode.kind != INODE_STAGING)) {
		LIST_REMOVE(n, entry);
		named_free(n);
	}
}

int names_look_up(struct names *t, const struct inode *parent, const char *name, bool exists,
		  bool create, struct inode **ret)
{
	enum inode_kind kind = vkind_find(parent->kind, name);
	struct named *n;
	int r = 0;

	if (kind == INODE_KIND_MAX_) {
		bool has_room = vkinds[parent->kind].children != INODE_PASS;

		return !create ? -ENOENT : has_room ? -EINVAL : -EACCES;
	}
	if (vkinds[kind].name) {
		*ret = &t->fixed[kind];
		return 0;
	}
	(void)pthread_mutex_lock(&t->lock);
	n = find_locked(t, parent->kind, name);
	if (!create && !(kind == INODE_STAGING ? n != NULL : exists)) {
		r = -ENOENT; /* the kernel may know a record from before it was removed */
	} else if (!n) {
		n = add_locked(t, kind, parent->kind, name);
		r = n ? 0 : -ENOMEM;
	}
	if (r == 0) {
		n->inode.lookups++;
		*ret = &n->inode;
	}
	(void)pthread_mutex_unlock(&t->lock);
	return r;
}

void names_forget(struct names *t, struct inode *i, uint64_t n)
{
	if (vkinds[i->kind].name) {
		return; /* always there */
	}
	(void)pthread_mutex_lock(&t->lock);
	i->lookups -= n < i->lookups ? n : i->lookups;
	settle_locked((struct named *)i);
	(void)pthread_mutex_unlock(&t->lock);
}

struct content *names_staged(struct names *t, enum inode_kind dir, const char *name)
{
	struct content *k = NULL;
	const struct named *n;

	(void)pthread_mutex_lock(&t->lock);
	n = find_locked(t, dir, name);
	if (n && n->content) {
		k = content_ref(n->content);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return k;
}

int names_unlink(struct names *t, enum inode_kind dir, const char *name)
{
	struct named *n;

	(void)pthread_mutex_lock(&t->lock);
	n = find_locked(t, dir, name);
	if (n) {
		n->unlinked = true;
		t->n_staging--;
		settle_locked(n);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return n ? 0 : -ENOENT;
}

int names_each_staging(struct names *t, enum inode_kind dir, int (*fn)(void *ctx, const char *name),
		       void *ctx)
{
	const struct named *n;
	int r = 0;

	(void)pthread_mutex_lock(&t->lock);
	LIST_FOREACH (n, &t->list, entry) {
		if (r == 0 && n->content && n->dir == dir && !n->unlinked) {
			r = fn(ctx, n->name);
		}
	}
	(void)pthread_mutex_unlock(&t->lock);
	return r;
}
