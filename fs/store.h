/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared log of generations, as few verbs: create if absent, get, list, delete; and what a
 * directory needs besides: refresh, sync, sweep.
 *
 * Implemented over a directory (local or NFS):
 *
 *	<backing>/.holdfast/plane                     format, plane id; created once
 *	<backing>/.holdfast/gen/00000000000000001234  a link (a change) or a file (an image)
 *	<backing>/.holdfast/tmp/<mount id>.<n>        staging of images
 *
 * Nothing above this header may assume a directory.  No function retries or decides; fs/chain.c
 * does.  One thread at a time, except store_list(), store_sync(), store_delete() and
 * store_sweep(), which any thread may call.
 */
#ifndef FS_STORE_H
#define FS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/parse.h"

/* The directory of the backing file system that passthrough must never show. */
#define STORE_DIRECTORY ".holdfast"

/* An index beyond this is damage or an attack, not an index. */
#define STORE_IMAGE_MAX_BYTES ((size_t)16 * 1024 * 1024)

struct store;

enum store_kind {
	STORE_CHANGE, /* one change, at most CHANGE_TARGET_MAX bytes */
	STORE_IMAGE,  /* the whole index */
};

struct store_object {
	enum store_kind kind;
	int64_t mtime_ms; /* when it was created, by the storage server's clock */
	size_t n;
	char *bytes; /* malloc'd */
};

struct store_entry {
	uint64_t generation;
	enum store_kind kind;
};

/* Free .bytes.  A zeroed object is allowed. */
void store_object_done(struct store_object *o);

/*
 * Open the log below the directory @backing_fd (not kept), creating what is missing.  @mount_id
 * names staging files.  @images_only matters when the plane is created: no changes in links then.
 *
 * -EBADMSG: `plane` is not ours or of another format; or the errno of the call that failed.
 */
int store_open(int backing_fd, const char *mount_id, bool images_only, struct store **ret,
	       struct err *reterr);

/*
 * Open the log that is there, to read it: store_refresh(), store_get(), store_list() only.  Nothing
 * is created or written, so a share that is mounted read-only will do.  -ENOENT: there is no log;
 * else as above.
 */
int store_open_readonly(int backing_fd, struct store **ret, struct err *reterr);

/* NULL is allowed. */
void store_close(struct store *s);

const char *store_plane_id(const struct store *s);

/* Can changes be published as such, or must every generation be an image? */
bool store_has_changes(const struct store *s);

/*
 * Create @generation exclusively and durably.
 *
 * 0: done, and on stable storage; *ret_mtime_ms is when, by the storage server's clock (untouched
 * if it does not tell).  -EEXIST: the name exists; it may be our own, since an answer can be lost
 * and the call repeated (link(2), BUGS).  Any other error: see commit_judge().
 */
int store_create(struct store *s, uint64_t generation, enum store_kind kind, const void *bytes,
		 size_t n, int64_t *ret_mtime_ms);

/*
 * Put the names of all generations that are there on stable storage, whoever created them.  That
 * another mount's name can be read does not say that its creator has come to do so.
 */
int store_sync(struct store *s);

/*
 * Make sure that store_get() sees what is there now: NFS caches for long that a name was not
 * there.  One call does for as many names as are then asked for.  After a failed create of a name
 * it is not needed for that name.
 */
int store_refresh(struct store *s);

/*
 * Read a generation.  -ENOENT; -EBADMSG: neither a link nor a plain file, or larger than allowed;
 * or an errno.
 */
int store_get(struct store *s, uint64_t generation, struct store_object *ret);

/*
 * All generations that are there now, ascending.  *ret_entries is malloc'd.  Names that are none
 * are left out.  -EAGAIN: one vanished meanwhile, so that the list would be no state of any time.
 */
int store_list(struct store *s, struct store_entry **ret_entries, size_t *ret_n);

/* 0, also if it was not there. */
int store_delete(struct store *s, uint64_t generation);

/*
 * Delete the staging files, of any mount, that were last written before @before_ms by the storage
 * server's clock; at most STORE_SWEEP_MAX staging files are looked at.  What cannot be deleted
 * stays.  The number deleted, or -errno.
 *
 * A publication whose staging file was deleted under it fails, and stages anew when it is repeated.
 */
#define STORE_SWEEP_MAX 1024
int store_sweep(struct store *s, int64_t before_ms);

/* The path of a generation below the backing directory, for messages. */
#define STORE_NAME_BYTES 48
void store_name(uint64_t generation, char ret[STORE_NAME_BYTES]);

#endif
