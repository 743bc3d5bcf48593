/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits of what programs staged in virtual files, and who waits for them: each function takes
 * over a FUSE request and answers it with the result, at once or from the plane's threads.  What is
 * asked of the plane is decided by fs/vkind.h.  Any thread.
 */
#ifndef FS_STAGED_H
#define FS_STAGED_H

#include <fuse_lowlevel.h>

#include "fs/lifeline.h"
#include "fs/names.h"
#include "fs/plane.h"
#include "fs/vfile.h"

/*
 * Commit what @f has staged.  If that was done already, or is under way, the result is that one's.
 * @lines: fsync asks, and @f is tied to its node if what it staged was committed, or may have been;
 * NULL: nothing is tied.
 */
void staged_commit_file(struct plane *p, fuse_req_t req, struct vfile *f, struct lifelines *lines);

/*
 * Commit @content (a reference, taken) of the staging file @name in @dir to the file @target of
 * @kind.  If that works the staging file's name is taken away.
 */
void staged_commit_rename(struct plane *p, fuse_req_t req, struct names *names, enum inode_kind dir,
			  const char *name, struct content *content, enum inode_kind kind,
			  const char *target);

/* Commit what @request asks. */
void staged_commit_request(struct plane *p, fuse_req_t req, const struct request *request);

/* Commit the removal of the file @name of @kind, which can be removed. */
void staged_commit_removal(struct plane *p, fuse_req_t req, enum inode_kind kind, const char *name);

#endif
