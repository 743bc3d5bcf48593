/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FUSE operations: passthrough of ordinary files and directories to the share, behind the gate;
 * the virtual files are handed to fs/control.h.  Every mutating operation passes the gate before it
 * touches the share and again before its result is returned.
 *
 * Worker threads of libfuse call in here, many at a time.
 */
#ifndef FS_OPS_H
#define FS_OPS_H

#include <fuse_lowlevel.h>

#include "fs/control.h"
#include "fs/flockwait.h"
#include "fs/inode.h"
#include "fs/plane.h"

/* One mount.  The session's user data. */
struct ops {
	struct plane *plane;
	struct gate *gate;
	struct control *control;
	struct inodes inodes;
	struct flockwait flocks;
	int root_fd;
	dev_t hidden_dev; /* the share's .holdfast, which no lookup may reach */
	ino_t hidden_ino;
};

/* @root_fd and @plane stay the caller's.  -errno. */
int ops_init(struct ops *o, int root_fd, struct plane *plane);

/*
 * As control_stop(), and answer all that still wait.  -ETIMEDOUT: the share holds some of them, and
 * *o must stay until the process ends.
 */
int ops_stop(struct ops *o);

void ops_done(struct ops *o);

extern const struct fuse_lowlevel_ops ops_table;

#endif
