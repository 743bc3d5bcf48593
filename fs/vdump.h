/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.db: only the plane's thread can tell what is in the database, so open(2) waits for it.  Any
 * thread.
 */
#ifndef FS_VDUMP_H
#define FS_VDUMP_H

#include <fuse_lowlevel.h>
#include <stdatomic.h>

#include "fs/plane.h"
#include "fs/vfile.h"

/*
 * Fill @f (taken), the open file of @fi, with the database and answer the open.  Its size goes to
 * *ret_n before, which must live as long as the plane.
 */
void vdump_open(struct plane *p, fuse_req_t req, const struct fuse_file_info *fi, struct vfile *f,
		atomic_size_t *ret_n);

#endif
