/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a generation that is a symbolic link: one change of the index in one name.
 *
 *	<version>.<mount id>.<nonce>.<hash of the parent>.<base64url patchset>
 *	1.AbCdEfGh.xY12ab34.0123456789abcdef.VAUBAAAA…
 *
 * Pure (nettle computes, and does no I/O).  docs/PROTOCOL.md describes the same bytes with
 * examples.
 */
#ifndef FS_CHANGE_H
#define FS_CHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"

/* XFS takes targets of 1,023 bytes, other file systems more. */
#define CHANGE_TARGET_MAX 1000

/* What base64 and the shortest head leave of that, rounded up. */
#define CHANGE_PATCH_MAX 768

/*
 * SHA-256 in hex, with the NUL.  Links carry the first CHANGE_SHORT_HASH digits of their parent's.
 */
#define CHANGE_HASH_BYTES 65
#define CHANGE_SHORT_HASH 16

struct change {
	char writer[PARSE_ID_BYTES]; /* id of the mount that made it */
	char nonce[PARSE_ID_BYTES];  /* drawn for each attempt: tells our own from an equal one */
	char parent[CHANGE_HASH_BYTES];
	size_t n;
	uint8_t patch[CHANGE_PATCH_MAX];
};

/* SHA-256 of the bytes of a generation (link target or image), in hex. */
void change_hash(const void *bytes, size_t n, char ret[CHANGE_HASH_BYTES]);

/*
 * Write the target text and a NUL to @ret (@room bytes).  The length, or -E2BIG if it would be
 * longer than CHANGE_TARGET_MAX: such a change is published as an image.
 */
int change_format(const struct change *c, char *ret, size_t room);

/* -EBADMSG unless @text is exactly what change_format() writes; .parent has the short hash. */
int change_parse(const char *text, size_t n, struct change *ret);

#endif
