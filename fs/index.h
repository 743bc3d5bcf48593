/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: one small SQLite database in memory, its requests' statements, its transactions and
 * their changes as bytes.  db.h opens it, schema.h has its tables, apply.h brings changes of others
 * into it, image.h makes it bytes and bytes it.
 *
 * Tables (docs/PROTOCOL.md):
 *
 *	image    what the newest image says of itself: generation, writer, nonce, parent
 *	plane    key, value: the timing that all nodes share; where beats begin; orders
 *	node     id, owning mount, beat counter, status, record (the bytes written)
 *	mount    id, and which process on which boot of which machine it is
 *	lease    name, holder ('' if free), epoch, timeout of its own or 0
 *	lock     the holders of locks and those who wait, in the order of their asking
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
#include "fs/image.h"

#define INDEX_HISTORY_ROWS 1000
#define INDEX_STATUS_BYTES 16 /* "INITIALIZING" and a NUL fit */

struct index;

/* An empty index with all tables.  index_free() takes NULL. */
int index_new(struct index **ret);
void index_free(struct index *ix);

/* Start recording changes.  Transactions do not nest; savepoints are one level deep inside. */
int index_begin(struct index *ix);

/*
 * What has changed since index_begin(), as a patchset for index_apply().  *ret_n is 0 if nothing
 * did. *ret_bytes is to be freed with index_free_bytes().  -EUCLEAN also if no mount would take it.
 */
int index_changes(struct index *ix, void **ret_bytes, size_t *ret_n);
int index_commit(struct index *ix);
void index_rollback(struct index *ix);

/*
 * Has want of memory left parts of a transaction that was to be undone, or may it have?  Then
 * nothing that is read here can be trusted until index_from_image().
 */
bool index_is_torn(const struct index *ix);

int index_savepoint(struct index *ix);
int index_savepoint_release(struct index *ix);
void index_savepoint_rollback(struct index *ix);

void index_free_bytes(void *bytes);

/* Apply another mount's change, all of it or nothing; see apply.h. */
int index_apply(struct index *ix, const void *patch, size_t n);

/* Note @head in the image table and give the whole database as bytes (index_free_bytes()). */
int index_to_image(struct index *ix, const struct image_head *head, void **ret_bytes,
		   size_t *ret_n);

/* The database as it is, noting nothing. */
int index_dump(struct index *ix, void **ret_bytes, size_t *ret_n);

/*
 * Replace the content by an image, whoever made it; see image_load().  On failure the old content
 * stays.
 */
int index_from_image(struct index *ix, const void *bytes, size_t n, struct image_head *ret_head,
		     struct err *reterr);

/* -ENOENT: the key is not there. */
int index_plane_get(struct index *ix, const char *key, uint64_t *ret_value);
int index_plane_set(struct index *ix, const char *key, uint64_t value);

/* Likewise where the value is a text.  Deleting what is not there does nothing. */
int index_plane_get_text(struct index *ix, const char *key, char *ret, size_t room);
int index_plane_set_text(struct index *ix, const char *key, const char *value);
int index_plane_delete(struct index *ix, const char *key);

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

/* The process that a mount is, so that a later one on the same machine can tell that it is gone. */
struct index_mount {
	char boot[40];             /* /proc/sys/kernel/random/boot_id */
	uint64_t pid_ns;           /* inode number of its PID namespace */
	uint64_t pid;              /* in that namespace */
	uint64_t started;          /* proc(5), stat, field 22: clock ticks since boot */
	char host[PARSE_ID_BYTES]; /* for people: clones share it */
};

/* Note the mount @id, unless it is noted already. */
int index_mount_put(struct index *ix, const char *id, const struct index_mount *m);
int index_mount_delete(struct index *ix, const char *id);

/* Delete all mounts but @but that have neither a record nor a lock. */
int index_mount_prune(struct index *ix, const char *but);

struct index_lease {
	bool exists;
	char holder[PARSE_ID_BYTES]; /* "" if free */
	uint64_t epoch;
	uint64_t timeout_ms; /* 0: the plane's heartbeatTimeout */
};

/* One that does not exist reads as free, with epoch 0. */
int index_lease_get(struct index *ix, const char *name, struct index_lease *ret);

/*
 * Make it, free, if it is not there.  Its epochs go on from above those of all leases that were
 * deleted: a fencing token is never used twice.
 */
int index_lease_new(struct index *ix, const char *name);

/* Give it to @holder and raise the epoch by one.  It is made if it is not there. */
int index_lease_grant(struct index *ix, const char *name, const char *holder);
int index_lease_free(struct index *ix, const char *name);
int index_lease_set_timeout(struct index *ix, const char *name, uint64_t timeout_ms);
int index_lease_delete(struct index *ix, const char *name);

/* Does @holder have any lease? */
int index_lease_has_any(struct index *ix, const char *holder, bool *ret);

#define INDEX_COMMAND_BYTES 80

/* One who holds a lock or waits for it. */
struct index_lock {
	uint64_t seq; /* later ones are greater */
	char name[PARSE_ID_BYTES];
	char mount[PARSE_ID_BYTES];
	uint64_t owner; /* which open file of that mount */
	bool exclusive;
	bool granted;
	uint64_t pid; /* for people, as is .command */
	char command[INDEX_COMMAND_BYTES];
};

/* Append to the queue, not granted; .seq is set by the index. */
int index_lock_add(struct index *ix, const struct index_lock *lock);
int index_lock_grant(struct index *ix, uint64_t seq);
int index_lock_delete(struct index *ix, uint64_t seq);

struct index_event {
	int64_t at_wall_ms; /* the committer's clock: for people only */
	uint64_t epoch;     /* of the lease after the event; of `master` for the records' events */
	const char *what; /* "created", "status", "fenced", "deleted": a record; "master", "lease";
			 "switchover"; "paused", "resumed" */
	const char *node; /* whose record; who holds the lease now, "" if nobody */
	const char *detail; /* the new status; the lease's name */
	const char *was;    /* the status before; who held the lease.  As below, NULL is "" */
	const char *why;    /* "asked", "lapsed", "died", ...: see request.c */
	const char *who;    /* the mount that did it, or "user@host" of a person */
};

int index_history_add(struct index *ix, const struct index_event *event);

/*
 * All rows, in key order; their texts are valid during the call.  A callback that returns non-zero
 * ends it with that result.
 */
typedef int index_node_fn(void *ctx, const char *id, const struct index_node *node,
			  const char *record, size_t n);
typedef int index_mount_fn(void *ctx, const char *id, const struct index_mount *m);
typedef int index_lease_fn(void *ctx, const char *name, const struct index_lease *lease);
typedef int index_lock_fn(void *ctx, const struct index_lock *lock);
typedef int index_history_fn(void *ctx, const struct index_event *event);

int index_each_node(struct index *ix, index_node_fn *fn, void *ctx);
int index_each_mount(struct index *ix, index_mount_fn *fn, void *ctx);
int index_each_lease(struct index *ix, index_lease_fn *fn, void *ctx);
int index_each_lock(struct index *ix, index_lock_fn *fn, void *ctx);
int index_each_event(struct index *ix, index_history_fn *fn, void *ctx);

/* The sequence number of the newest event; 0: none. */
int index_history_newest(struct index *ix, uint64_t *ret_seq);

#endif
