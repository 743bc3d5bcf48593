/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attributes of virtual files: what stat(2) shows, but for the owner, and the extended ones,
 * which the root has too.  Any thread.
 */
#ifndef FS_VATTR_H
#define FS_VATTR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "fs/inode.h"
#include "fs/plane.h"
#include "fs/request.h"

/* Extended attributes by these names are ours, on whatever file. */
#define VATTR_PREFIX "user.holdfast."

/* A directory without it is no Holdfast mount. */
#define VATTR_PLANE_ID VATTR_PREFIX "plane_id"

void vattr_stat(struct plane *p, const struct inode *i, struct stat *ret);

bool vattr_is_ours(const char *name);

/*
 * An extended attribute of a virtual file, or (INODE_PASS) of the root: its length, and *ret_value
 * malloc'd.  -ENODATA: it has no such attribute; -ENOMEM.
 */
int vattr_get(struct plane *p, const struct inode *i, const char *name, char **ret_value);

/* Write the names of @i's into @ret, each with its NUL, and return how many bytes that are. */
size_t vattr_list(const struct inode *i, char ret[XATTR_LIST_MAX]);

/*
 * What setting the attribute to @value (@n bytes) asks of the plane.  -EPERM: it cannot be set, or
 * is none of ours; -EINVAL.
 */
int vattr_to_request(const struct inode *i, const char *name, const char *value, size_t n,
		     struct request *ret);

#endif
