/* SPDX-License-Identifier: Apache-2.0 */
/* plane.json: the whole plane at one generation as text (docs/PROTOCOL.md).  Any thread. */
#ifndef FS_RENDER_H
#define FS_RENDER_H

#include "fs/plane.h"

/* malloc'd, NUL-terminated; NULL: out of memory. */
char *render_plane(struct plane *p);

#endif
