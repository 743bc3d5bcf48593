/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images are published compressed (RFC 1950, zlib): a history of a thousand rows is mostly the same
 * few words, and what is written to the share is waited for.  Any thread.
 */
#ifndef FS_PACK_H
#define FS_PACK_H

#include <stddef.h>

/* *ret_packed is malloc'd.  -ENOMEM. */
int pack(const void *bytes, size_t n, void **ret_packed, size_t *ret_n);

/*
 * What pack() was given, malloc'd.  -EUCLEAN: not that, or longer than @max bytes, or something
 * stands behind it; -ENOMEM.
 */
int unpack(const void *packed, size_t n, size_t max, void **ret_bytes, size_t *ret_n);

#endif
