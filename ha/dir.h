/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The persistence directory as one node uses it: a Holdfast mount, through ordinary file
 * operations.
 *
 * Decides nothing.  Every function may block for as long as the share hangs, so once the daemon
 * runs only the worker thread calls them; one thread at a time.
 *
 * Where the mount has died (ENOTCONN and its like), its handles are dropped and the next call
 * opens the directory again, but goes on only if it is a mount of the same plane: a directory that
 * lost its mount is never written to.
 */
#ifndef HA_DIR_H
#define HA_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct ha_dir;
struct ha_snapshot;

/*
 * Nothing is written yet.  -ENODEV: @path is no Holdfast mount (@reterr names the command that
 * makes it one); or the error of opening it.
 */
int ha_dir_open(const char *path, const char *node_id, struct ha_dir **ret, struct err *reterr);

/*
 * The mount learns of this process's death when its record is closed: have a keeper, by its
 * ha_keeper_dup(), hold that open, too.  -EBADF: none.
 */
void ha_dir_set_witness(struct ha_dir *d, int keeper_fd /* takes */);

/* The kernel then tells the mount that this node's process is gone.  NULL is allowed. */
void ha_dir_close(struct ha_dir *d);

DEFINE_CLEANUP(struct ha_dir *, ha_dir_close);

/* As it was given.  Any thread. */
const char *ha_dir_path(const struct ha_dir *d);

/*
 * Commit the node's record.  The answers are those of HA_ACT_WRITE_RECORD; -ESTALE only ever
 * means that the lease is not ours, never a stale file handle.
 */
int ha_dir_write_record(struct ha_dir *d, const char *text);

/* -EBADMSG with the reason where the text is not as it should be. */
int ha_dir_read_plane(struct ha_dir *d, struct ha_snapshot **ret, struct err *reterr);

/*
 * Claim the lease `master`, because of @why (NULL: for no reason that is told).  The answers are
 * those of HA_ACT_CLAIM.
 */
int ha_dir_claim(struct ha_dir *d, const char *why, uint64_t *ret_epoch);

/* Give the lease `master` back: 0; -EPERM: it is not ours any more; or as above. */
int ha_dir_release(struct ha_dir *d);

/* Ask for a switchover to @node, or to cancel the one there is (""); see docs/PROTOCOL.md. */
int ha_dir_switch_over(struct ha_dir *d, const char *node);

/* Remove the record of a node that is dead.  -EBUSY: it is not; -ENOENT. */
int ha_dir_remove_record(struct ha_dir *d, const char *node);

/*
 * Bring the loaded copy of the persisted state up to date, as ha_copy_refresh() does; or forget it.
 */
int ha_dir_load(struct ha_dir *d, uint64_t until_ms);
void ha_dir_unload(struct ha_dir *d);

/* 1 if there is no persisted state: no file outside the mount's own names.  0, or -errno. */
int ha_dir_is_empty(struct ha_dir *d);

/*
 * Remove persisted state, all but the mount's own names, until CLOCK_BOOTTIME is @until_ms but one
 * entry at least.  0: nothing was left to remove; 1: call again; -errno, such as -EROFS once
 * the lease is gone.
 */
int ha_dir_clear(struct ha_dir *d, uint64_t until_ms);

#endif
