/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The persisted state in the memory of a hot node: every regular file below the root of the mount
 * but the mount's own names, with its bytes.  Bringing it up to date looks at all files and reads
 * only those that are new or have changed.
 *
 * Follows no symbolic link.  Blocks for as long as the share hangs; one thread at a time.
 */
#ifndef HA_COPY_H
#define HA_COPY_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/* More than this is not kept: -EFBIG. */
#define HA_COPY_MAX_BYTES ((size_t)256 << 20)

struct ha_copy;

/* Empty.  -ENOMEM. */
int ha_copy_new(struct ha_copy **ret);

/* NULL is allowed. */
void ha_copy_free(struct ha_copy *c);

DEFINE_CLEANUP(struct ha_copy *, ha_copy_free);

/*
 * Bring it up to date, reading until CLOCK_BOOTTIME is @until_ms but one file at least.  0: it is
 * complete; 1: call again; or -errno, such as -ELOOP: a tree too deep.  What was read is kept.
 */
int ha_copy_refresh(struct ha_copy *c, int root_fd, uint64_t until_ms);

/* How much there is; and how many files were read since it was made. */
size_t ha_copy_n_files(const struct ha_copy *c);
size_t ha_copy_n_bytes(const struct ha_copy *c);
size_t ha_copy_n_reads(const struct ha_copy *c);

/* The bytes of the file @path ("entities/a"), NULL if there is none. */
const char *ha_copy_find(const struct ha_copy *c, const char *path, size_t *ret_n);

#endif
