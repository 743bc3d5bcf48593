/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: one small SQLite database in memory, and its changes as bytes.  The only file of the
 * tree that includes sqlite3.h is index.c.
 *
 * Tables (docs/PROTOCOL.md):
 *
 *	image    what the newest image says of itself: generation, writer, nonce, parent
 *	plane    key, value: the timing that all nodes share; where beats begin
 *	node     id, owning mount, beat counter, status, record (the bytes written)
 *	lease    name, holder ('' if free), epoch
 *	history  what happened, newest INDEX_HISTORY_ROWS kept
 *
 * It decides nothing (fs/lease.c does) and reads no clock.  All functions return 0 or -errno:
 * -ENOMEM, -EUCLEAN (the database, image or change is damaged), -EIO (any other error of SQLite);
 * in addition what their comments name.  One thread at a time.
 */
#ifndef FS_INDEX_H
#define FS_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/parse.h"
#include "fs/change.h"

#define INDEX_HISTORY_ROWS 1000
#define INDEX_STATUS_BYTES 16 /* "INITIALIZING" and a NUL fit */

struct index;

/* An empty index with all tables.  index_free() takes NULL. */
int index_new(struct index **ret);
void index_free(struct index *ix);

/* --- transactions ------------------------------------------------------------------------- */

/* Start recording changes.  Transactions do not nest; savepoints are one level deep inside. */
int index_begin(struct index *ix);

/*
 * What has changed since index_begin(), as a patchset for index_apply().  *ret_n is 0 if nothing
 * did. *ret_bytes is to be freed with index_free_bytes().
 */
int index_changes(struct index *ix, void **ret_bytes, size_t *ret_n);
int index_commit(struct index *ix);
void index_rollback(struct index *ix);

int index_savepoint(struct index *ix);
int index_savepoint_release(struct index *ix);
void index_savepoint_rollback(struct index *ix);

void index_free_bytes(void *bytes);

/* --- generations --------------------------------------------------------------------------- */

/* What an image says of itself. */
struct index_image {
	uint64_t generation;
	char writer[PARSE_ID_BYTES];
	char nonce[PARSE_ID_BYTES];
	char parent[CHANGE_HASH_BYTES]; /* "" for the first */
};

/* Apply another mount's change, all of it or nothing. */
int index_apply(struct index *ix, const void *patch, size_t n);

/* Note @head in the image table and give the whole database as bytes (index_free_bytes()). */
int index_to_image(struct index *ix, const struct index_image *head, void **ret_bytes,
		   size_t *ret_n);

/* The database as it is, noting nothing. */
int index_dump(struct index *ix, void **ret_bytes, size_t *ret_n);

/*
 * Replace the content by an image.  On failure (-EUCLEAN: no SQLite database of ours, or damaged;
 * @reterr says how) the old content stays.
 */
int index_from_image(struct index *ix, const void *bytes, size_t n, struct index_image *ret_head,
		     struct err *reterr);

/* What an image says of itself, without loading it.  Errors as for index_from_image(). */
int index_image_head(const void *bytes, size_t n, struct index_image *ret_head, struct err *reterr);

/* --- rows ---------------------------------------------------------------------------------- */

/* -ENOENT: the key is not there. */
int index_plane_get(struct index *ix, const char *key, uint64_t *ret_value);
int index_plane_set(struct index *ix, const char *key, uint64_t value);

struct index_node {
	char mount[PARSE_ID_BYTES];
	char status[INDEX_STATUS_BYTES];
	uint64_t beat;
};

/* -ENOENT: no such record. */
int index_node_get(struct index *ix, const char *id, struct index_node *ret);

/* Write a record, whether it was there or not, and raise its beat counter by one. */
int index_node_put(struct index *ix, const char *id, const char *mount, const char *status,
		   const char *record, size_t n);

/* The record's text; malloc'd, NUL-terminated.  -ENOENT. */
int index_node_record(struct index *ix, const char *id, char **ret_text);

int index_node_beat(struct index *ix, const char *id);

/*
 * A record that is made anew counts its beats from above those of all that were deleted: to a mount
 * that looked away meanwhile, a number that came again would be silence.
 */
int index_node_delete(struct index *ix, const char *id);

struct index_lease {
	char holder[PARSE_ID_BYTES]; /* "" if free */
	uint64_t epoch;
};

/* A lease that was never granted reads as free with epoch 0. */
int index_lease_get(struct index *ix, const char *name, struct index_lease *ret);

/* Give it to @holder and raise the epoch by one. */
int index_lease_grant(struct index *ix, const char *name, const char *holder);
int index_lease_free(struct index *ix, const char *name);

/* Does @holder have any lease? */
int index_lease_has_any(struct index *ix, const char *holder, bool *ret);

/* Free all leases of @holder. */
int index_lease_free_all(struct index *ix, const char *holder);

struct index_event {
	int64_t at_wall_ms; /* the committer's clock: for people only */
	uint64_t epoch;     /* of the lease `master` after the event */
	const char *what;   /* "created", "status", "master", "deleted" */
	const char *node;
	const char *detail; /* the new status; "" where there is none */
};

int index_history_add(struct index *ix, const struct index_event *event);

/* --- all rows, in key order; a callback that returns non-zero ends it with that result ------- */

typedef int index_node_fn(void *ctx, const char *id, const struct index_node *node,
			  const char *record, size_t n);
typedef int index_lease_fn(void *ctx, const char *name, const struct index_lease *lease);
typedef int index_history_fn(void *ctx, const struct index_event *event);

int index_each_node(struct index *ix, index_node_fn *fn, void *ctx);
int index_each_lease(struct index *ix, index_lease_fn *fn, void *ctx);
int index_each_event(struct index *ix, index_history_fn *fn, void *ctx);

/* The sequence number of the newest event; 0: none. */
int index_history_newest(struct index *ix, uint64_t *ret_seq);

#endif
