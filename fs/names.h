/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inodes of the virtual files: those of fixed names, and those that ids name and staging
 * files, as far as the kernel knows them at the moment.  What a name stands for is in fs/vkind.h;
 * content is not its business.  Any thread.
 *
 * A directory is given by its kind; INODE_PASS is the root.
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
ino_t names_ino(enum inode_kind dir, const char *name);

/* A file that an id names, or a staging file. */
struct named {
	struct inode inode; /* first: the kernel's node id is its address */
	LIST_ENTRY(named) entry;
	enum inode_kind dir;
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

/* The file of an id, or staging file, that @i is. */
const struct named *names_of(const struct inode *i);

/* The name of any virtual file; "" for the root. */
const char *names_name(const struct inode *i);

/*
 * The inode of @name, with one more lookup counted.  @exists: the index has it, if it is no staging
 * file; @create: make it if it is not there.  -ENOENT; -EINVAL: a name that nothing there can have;
 * -EACCES: nothing can be created there; -ENOMEM, also when there are too many staging files.
 */
int names_look_up(struct names *t, const struct inode *parent, const char *name, bool exists,
		  bool create, struct inode **ret);

void names_forget(struct names *t, struct inode *i, uint64_t n);

/* A reference to the content of a staging file, or NULL. */
struct content *names_staged(struct names *t, enum inode_kind dir, const char *name);

/* Take a staging file's name away.  -ENOENT. */
int names_unlink(struct names *t, enum inode_kind dir, const char *name);

/* Call @fn for each staging file there is.  A result other than 0 ends it. */
int names_each_staging(struct names *t, enum inode_kind dir, int (*fn)(void *ctx, const char *name),
		       void *ctx);

#endif
