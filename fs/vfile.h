/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open virtual file: what it shows, which is what there was when it was opened (plane.json: when
 * its start was read), and what was written to it.  It commits nothing (fs/staged.h does) and
 * answers no request.  Any thread.
 */
#ifndef FS_VFILE_H
#define FS_VFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "fs/content.h"
#include "fs/lifeline.h"
#include "fs/lockfile.h"
#include "fs/names.h"
#include "fs/plane.h"
#include "fs/poller.h"

struct staged_commit;

struct vfile {
	/* Set once. */
	enum inode_kind kind;
	char name[NAMES_BYTES];
	bool writable;
	struct content *content; /* of a staging file: the one that all its handles share */

	bool dirty; /* by .content->lock: changed since the last commit began */

	/* Of a file that has news. */
	uint64_t generation; /* by .content->lock: that it shows; 0: nothing was read yet */
	struct poller poller;

	/* For fs/staged.c. */
	struct staged_commit *pending; /* by .content->lock: the newest one that is under way */
	int result;           /* by .content->lock: of the last that ended, or the following */
	struct lifeline line; /* of a record */

	struct lockfile lock; /* of a lock, for fs/lockfile.c */
};

#define VFILE_NEVER_COMMITTED 1

/*
 * Open @i with @flags of open(2).  -EACCES: for writing, and it cannot be written; -ENOENT: it was
 * removed; -ENOMEM.
 */
int vfile_new(struct plane *p, const struct inode *i, int flags, struct vfile **ret);
void vfile_free(struct vfile *f);
DEFINE_CLEANUP(struct vfile *, vfile_free);

/*
 * At most @size bytes from @offset on; *ret_bytes is malloc'd.  What a file that has news shows is
 * made when its start is read, and stays until that is read again.  -ENOMEM.
 */
int vfile_read(struct plane *p, struct vfile *f, size_t size, off_t offset, char **ret_bytes,
	       size_t *ret_n);

/* Of a file that has news: is there a later generation than the one that it shows? */
bool vfile_is_behind(struct plane *p, struct vfile *f);

/* -EBADF: not open for writing; -EFBIG; -ENOMEM. */
int vfile_write(struct vfile *f, const char *bytes, size_t n, off_t offset);

/* ftruncate(2).  -EPERM: not open for writing; -EINVAL, -EFBIG, -ENOMEM. */
int vfile_resize(struct vfile *f, off_t size);

#endif
