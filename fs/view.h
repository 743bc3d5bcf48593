/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plane at one generation, in memory, for everybody who must not wait for the share: immutable
 * and counted by reference.  It carries what this mount has observed as well (fs/lease.h): each new
 * view takes the observations of the one before it.
 *
 * Built by the plane's thread; read by any thread.
 */
#ifndef FS_VIEW_H
#define FS_VIEW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/parse.h"
#include "fs/chain.h"
#include "fs/index.h"
#include "fs/lease.h"
#include "fs/orders.h"

struct view_node {
	char id[PARSE_ID_BYTES];
	struct index_node row;
	bool ours;
	struct lease_seen seen;
	uint64_t t0_ms;   /* ours: before the first attempt to commit its last beat; 0: none */
	int64_t mtime_ms; /* of the generation that carried its last beat, by the server's clock */
	char *record;
	size_t n;
};

/* A mount that has records or locks.  A generation that it wrote is its beat. */
struct view_mount {
	char id[PARSE_ID_BYTES];
	struct index_mount row;
	struct lease_seen seen;
};

struct view_lease {
	char name[PARSE_ID_BYTES];
	struct index_lease row;
};

/* change.log as text, shared by the views between two events. */
struct view_log {
	atomic_uint refs;
	uint64_t newest; /* sequence number of the last event */
	char *text;
	size_t n;
};

struct view {
	atomic_uint refs;
	uint64_t generation;
	int64_t mtime_ms; /* of that generation */
	struct lease_timing timing;
	struct orders orders;
	uint64_t phase_since_ms; /* when this mount first saw the switchover in its phase */
	uint64_t own_t0_ms; /* before the first attempt to commit our own newest; 0: none yet */
	size_t n_nodes;
	struct view_node *nodes; /* in order of id */
	size_t n_mounts;
	struct view_mount *mounts;
	size_t n_leases;
	struct view_lease *leases;
	size_t n_locks;
	struct index_lock *locks; /* in the order of asking */
	struct view_log *log;
};

/* What is known of the generation that a new view shows. */
struct view_head {
	uint64_t generation;
	int64_t mtime_ms;
	uint64_t
		loaded_ms; /* CLOCK_BOOTTIME after it was loaded: from when what it says was seen */
	const char *own_mount;
	uint64_t t0_ms; /* before the first attempt to commit it, if this mount did; else 0 */
	const struct chain_news *news; /* who wrote what is new; NULL: not known */
};

/* Build the view of @ix.  @before is the last one or NULL.  Errors of index.h. */
int view_new(struct index *ix, const struct view *before, const struct view_head *head,
	     struct view **ret);

struct view *view_ref(struct view *v);

/* NULL is allowed. */
void view_unref(struct view *v);

/* NULL if there is none. */
const struct view_node *view_find_node(const struct view *v, const char *id);

/* A lease that was never granted is free with epoch 0. */
struct index_lease view_lease(const struct view *v, const char *name);

/* After how long a silence of its holder it may be taken: its own timeout, or the plane's. */
uint64_t view_lease_timeout_ms(const struct view *v, const char *name);

/* Until when this mount may act on the lease; 0: no node of this mount holds it. */
uint64_t view_lease_end_ms(const struct view *v, const char *name);

/* How soon this mount has to look for what others have published. */
uint64_t view_follow_ms(const struct view *v, uint64_t now_ms);

/* NULL if there is none. */
const struct view_mount *view_find_mount(const struct view *v, const char *id);

/*
 * Has the mount been silent for more than the timeout?  One that is not in the view has no locks
 * that anybody must heed.
 */
bool view_mount_has_lapsed(const struct view *v, const char *id, uint64_t now_ms);

/* The lock of the open file @owner of this mount, or NULL. */
const struct index_lock *view_find_lock(const struct view *v, const char *own_mount,
					uint64_t owner);

/* Until when this mount may act on the locks that were granted to it. */
uint64_t view_lock_end_ms(const struct view *v);

#endif
