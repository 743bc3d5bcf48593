/* SPDX-License-Identifier: Apache-2.0 */
/* What the mount tells of the plane, as it is shown (docs/PROTOCOL.md).  Any thread. */
#ifndef FS_RENDER_H
#define FS_RENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/plane.h"
#include "fs/view.h"

/*
 * For how long the holder of the lease still has it, 0 if that is over.  False where this mount is
 * not the one to know: it is free, or another mount's node has it.
 */
bool render_remaining_ms(const struct view *v, const char *lease, uint64_t now_ms,
			 uint64_t *ret_ms);

/*
 * The file of a lock: a line for each who holds it or waits for it, in the order of asking.
 * malloc'd; NULL: out of memory.
 */
char *render_lock(const struct view *v, const char *name);

/* plane.json: the whole plane as @v has it.  malloc'd, NUL-terminated; NULL: out of memory. */
char *render_plane(struct plane *p, const struct view *v);

#endif
