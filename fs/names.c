/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "fs/request.h"
#include "fs/store.h"

/* Staging files are kept in memory; nobody needs more than a few. */
#define STAGING_MAX 256

const char *const names_of_root[] = {"nodes",      "master",        "planeId",
				     "change.log", STORE_DIRECTORY, NULL};

enum inode_kind names_fixed_kind(const struct inode *parent, const char *name)
{
	static const struct {
		const char *name;
		enum inode_kind parent;
		enum inode_kind kind;
	} names[] = {
		{"nodes", INODE_PASS, INODE_NODES},
		{"master", INODE_PASS, INODE_MASTER},
		{"planeId", INODE_PASS, INODE_PLANE_ID},
		{"change.log", INODE_PASS, INODE_LOG},
		{STORE_DIRECTORY, INODE_PASS, INODE_CONTROL},
		{"plane.json", INODE_CONTROL, INODE_PLANE_JSON},
		{"index.db", INODE_CONTROL, INODE_INDEX_DB},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].parent == parent->kind && strcmp(names[i].name, name) == 0) {
			return names[i].kind;
		}
	}
	return INODE_KIND_MAX_;
}

bool names_is_staging(bool in_nodes, const char *name)
{
	size_t n = strlen(name), head = strcspn(name, ".");
	char id[PARSE_ID_BYTES];

	if (n >= NAMES_BYTES || head >= sizeof(id) || n < head + strlen(".x.tmp") ||
	    strcmp(name + n - 4, ".tmp") != 0) {
		return false;
	}
	(void)snprintf(id, sizeof(id), "%.*s", (int)head, name);
	return in_nodes ? parse_id_is_valid(id) : strcmp(id, REQUEST_MASTER) == 0;
}

const struct named *names_of(const struct inode *i)
{
	return (const struct named *)i; /* .inode is its first member */
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

ino_t names_ino(bool in_nodes, const char *name)
{
	/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/; the upper half is ours. */
	uint64_t hash = 0xcbf29ce484222325ULL ^ in_nodes;

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

static struct named *find_locked(struct names *t, bool in_nodes, const char *name)
{
	struct named *n;

	LIST_FOREACH (n, &t->list, entry) {
		if (n->in_nodes == in_nodes && !n->unlinked && strcmp(n->name, name) == 0) {
			return n;
		}
	}
	return NULL;
}

/* A new entry; for a staging file with empty content.  NULL: out of memory or of room. */
static struct named *add_locked(struct names *t, enum inode_kind kind, bool in_nodes,
				const char *name)
{
	struct named *n = calloc(1, sizeof(*n));

	if (!n) {
		return NULL;
	}
	n->inode =
		(struct inode){.kind = kind, .path_fd = -EBADF, .ino = names_ino(in_nodes, name)};
	n->in_nodes = in_nodes;
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
	if (n->inode.lookups == 0 && (n->unlinked || n->inode.kind == INODE_RECORD)) {
		LIST_REMOVE(n, entry);
		named_free(n);
	}
}

/* Find or add @name; NULL and *ret_error. */
static struct named *obtain_locked(struct names *t, bool in_nodes, const char *name, bool exists,
				   bool create, int *ret_error)
{
	bool is_staging = names_is_staging(in_nodes, name);
	struct named *n = find_locked(t, in_nodes, name);

	if (!is_staging && !(in_nodes && parse_id_is_valid(name))) {
		*ret_error = create ? -EINVAL : -ENOENT;
		return NULL;
	}
	/* The kernel may know a record by this name from before it was removed. */
	if (!create && !(is_staging ? n != NULL : exists)) {
		*ret_error = -ENOENT;
		return NULL;
	}
	*ret_error = -ENOMEM;
	return n ? n : add_locked(t, is_staging ? INODE_STAGING : INODE_RECORD, in_nodes, name);
}

int names_look_up(struct names *t, const struct inode *parent, const char *name, bool exists,
		  bool create, struct inode **ret)
{
	enum inode_kind fixed = names_fixed_kind(parent, name);
	struct named *n;
	int r;

	if (fixed != INODE_KIND_MAX_) {
		*ret = &t->fixed[fixed];
		return 0;
	}
	if (parent->kind == INODE_CONTROL) {
		return create ? -EACCES : -ENOENT;
	}
	(void)pthread_mutex_lock(&t->lock);
	n = obtain_locked(t, parent->kind == INODE_NODES, name, exists, create, &r);
	if (n) {
		n->inode.lookups++;
		*ret = &n->inode;
	}
	(void)pthread_mutex_unlock(&t->lock);
	return n ? 0 : r;
}

void names_forget(struct names *t, struct inode *i, uint64_t n)
{
	if (i->kind != INODE_RECORD && i->kind != INODE_STAGING) {
		return;
	}
	(void)pthread_mutex_lock(&t->lock);
	i->lookups -= n < i->lookups ? n : i->lookups;
	settle_locked((struct named *)i);
	(void)pthread_mutex_unlock(&t->lock);
}

struct content *names_staged(struct names *t, bool in_nodes, const char *name)
{
	struct content *k = NULL;
	const struct named *n;

	(void)pthread_mutex_lock(&t->lock);
	n = find_locked(t, in_nodes, name);
	if (n && n->content) {
		k = content_ref(n->content);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return k;
}

int names_unlink(struct names *t, bool in_nodes, const char *name)
{
	struct named *n;

	(void)pthread_mutex_lock(&t->lock);
	n = find_locked(t, in_nodes, name);
	if (n) {
		n->unlinked = true;
		t->n_staging--;
		settle_locked(n);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return n ? 0 : -ENOENT;
}

int names_each_staging(struct names *t, bool in_nodes, int (*fn)(void *ctx, const char *name),
		       void *ctx)
{
	const struct named *n;
	int r = 0;

	(void)pthread_mutex_lock(&t->lock);
	LIST_FOREACH (n, &t->list, entry) {
		if (r == 0 && n->content && n->in_nodes == in_nodes && !n->unlinked) {
			r = fn(ctx, n->name);
		}
	}
	(void)pthread_mutex_unlock(&t->lock);
	return r;
}
