/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images: a whole index as the bytes of one SQLite database, and what makes bytes an image of ours.
 * Whoever can write to the share can put any bytes there.  Nothing of them reaches the index before
 * its header, tables, rows and pages are looked through, and that look is bounded by their size.
 *
 * They come unpacked (pack.h).  Errors as for index.h.
 */
#ifndef FS_IMAGE_H
#define FS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/parse.h"
#include "fs/change.h"

struct sqlite3;

/* What an image says of itself. */
struct image_head {
	uint64_t generation;
	char writer[PARSE_ID_BYTES];
	char nonce[PARSE_ID_BYTES];
	char parent[CHANGE_HASH_BYTES]; /* "" for the first */
};

/* Note @head in the table `image`. */
int image_note(struct sqlite3 *db, const struct image_head *head);

/* The database as bytes, with what the open transaction changed; sqlite3_free() them. */
int image_dump(struct sqlite3 *db, void **ret_bytes, size_t *ret_n);

/*
 * Replace the content of @db by an image, whoever made it.  On failure (-EUCLEAN: no SQLite
 * database with our very tables, damaged, or with values that no change may bring; @reterr says
 * how) the old content stays.
 */
int image_load(struct sqlite3 *db, const void *bytes, size_t n, struct image_head *ret_head,
	       struct err *reterr);

/* What an image says of itself, without loading it.  Errors as for image_load(). */
int image_read_head(const void *bytes, size_t n, struct image_head *ret_head, struct err *reterr);

#endif
