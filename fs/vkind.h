/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the virtual files are, one row a kind: where it is, what a reader sees, what a write and a
 * removal ask of the plane.  A new kind is a member of enum inode_kind and a row here; its extended
 * attributes, if any, are rows in fs/vattr.c.
 *
 * Two kinds have no text here: a staging file has bytes of its own (fs/vfile.h), and index.db is
 * asked for (fs/vdump.h).  No FUSE, no state.  Any thread.
 */
#ifndef FS_VKIND_H
#define FS_VKIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/inode.h"
#include "fs/plane.h"
#include "fs/request.h"
#include "fs/view.h"

/* What stat(2) tells of a file. */
struct vkind_facts {
	size_t n;         /* its length */
	int64_t mtime_ms; /* by the storage server's clock */
};

/*
 * The functions take the file's name in its directory, and may be NULL.  Below, "@v" is the view
 * that is to be shown.
 */
struct vkind {
	const char *name;    /* of the only file of this kind, which is always there; or NULL */
	enum inode_kind dir; /* the directory that has .name; INODE_PASS: the root */
	mode_t mode;
	bool has_life_line; /* fsync ties one, see fs/lifeline.h */
	bool has_news;      /* a read from its start shows it anew, and poll(2) says when to */

	/* Of a directory: the kind of its files that have ids as names; INODE_PASS: it has none. */
	enum inode_kind children;
	/* The @i-th of those ids, or NULL.  The view's. */
	const char *(*id_at)(const struct view *v, size_t i);

	/* -ENOENT: there is no such file.  NULL: no length is known before it is opened. */
	int (*facts)(struct plane *p, const struct view *v, const char *name,
		     struct vkind_facts *ret);

	/* What open(2) shows, malloc'd.  -ENOENT, -ENOMEM. */
	int (*text)(struct plane *p, const struct view *v, const char *name, char **ret);

	/*
	 * What a write of @text (@n bytes, which must outlive *ret) asks of the plane.  NULL: the
	 * file cannot be written.  -EINVAL, -ENOMEM.
	 */
	int (*to_request)(const char *name, const char *text, size_t n, struct request *ret);

	/* It may be opened for writing all the same; what is written is nobody's business. */
	bool ignores_writes;

	/* What unlink(2) asks of the plane.  NULL: it cannot be removed. */
	void (*to_removal)(const char *name, struct request *ret);
};

extern const struct vkind vkinds[INODE_KIND_MAX_];

/*
 * The kind of the file that @name is, or would be, in the directory @dir (INODE_PASS: the root).
 * "<file>.<anything>.tmp" is a staging file wherever <file> is one that can be written.
 * INODE_KIND_MAX_: no name of ours.
 */
enum inode_kind vkind_find(enum inode_kind dir, const char *name);

#endif
