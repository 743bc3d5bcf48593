/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of the virtual files and the inodes behind them: the fixed ones, and the records and
 * staging files that the kernel knows at the moment.  Content is not its business.  Any thread.
 */
#ifndef FS_NAMES_H
#define FS_NAMES_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "fs/content.h"
#include "fs/inode.h"

#define NAMES_BYTES 256 /* of a file name, with the NUL */

/*
 * Inode numbers that no file system of today gives: of the fixed files by kind, and of all others
 * by name.
 */
#define NAMES_INO_FIXED (UINT64_MAX - 64)
ino_t names_ino(bool in_nodes, const char *name);

/* nodes/<id>, or a staging file beside a record or `master`. */
struct named {
	struct inode inode; /* first: the kernel's node id is its address */
	LIST_ENTRY(named) entry;
	bool in_nodes;
	bool unlinked; /* by names.lock: the name is gone, the kernel still knows it */
	char name[NAMES_BYTES];
	struct content *content; /* of a staging file; set once */
};

struct names {
	struct inode fixed[INODE_KIND_MAX_]; /* those that are always there, by kind */
	pthread_mutex_t lock;
	LIST_HEAD(, named) list; /* by .lock */
	unsigned n_staging;      /* by .lock */
};

void names_init(struct names *t);
void names_done(struct names *t);

/* The fixed names of the root; NULL ends. */
extern const char *const names_of_root[];

/*
 * The kind of the fixed file @name below @parent (the root or a virtual directory), or
 * INODE_KIND_MAX_.
 */
enum inode_kind names_fixed_kind(const struct inode *parent, const char *name);

/* "<record>.<anything>.tmp", where the record is `master` in the root and any id in nodes/. */
bool names_is_staging(bool in_nodes, const char *name);

/* The record or staging file that @i is. */
const struct named *names_of(const struct inode *i);

/*
 * The inode of @name, with one more lookup counted.  @exists: the index has such a record; @create:
 * make it if it is not there.  -ENOENT; -EINVAL: no name of a record or staging file; -EACCES:
 * nothing can be created there; -ENOMEM, also when there are too many staging files.
 */
int names_look_up(struct names *t, const struct inode *parent, const char *name, bool exists,
		  bool create, struct inode **ret);

void names_forget(struct names *t, struct inode *i, uint64_t n);

/* A reference to the content of a staging file, or NULL. */
struct content *names_staged(struct names *t, bool in_nodes, const char *name);

/* Take a staging file's name away.  -ENOENT. */
int names_unlink(struct names *t, bool in_nodes, const char *name);

/* Call @fn for each staging file there is.  A result other than 0 ends it. */
int names_each_staging(struct names *t, bool in_nodes, int (*fn)(void *ctx, const char *name),
		       void *ctx);

#endif
