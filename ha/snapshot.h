/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reading of .holdfast/plane.json: the whole plane at one generation.
 *
 * Decodes and counts references; reads no file and decides nothing.  Immutable after
 * ha_snapshot_parse(), so any thread may read what it holds a reference to.
 */
#ifndef HA_SNAPSHOT_H
#define HA_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "ha/engine.h"
#include "ha/record.h"

struct ha_snapshot_node {
	struct ha_record record;
	uint64_t beat;
	uint64_t age_ms;        /* since the mount first saw that */
	bool lapsed;            /* no beat seen for the heartbeat timeout */
	int64_t remote_wall_ms; /* the storage server's clock; HA_TIMESTAMP_NONE: unknown */
};

/* The texts belong to .json. */
struct ha_snapshot {
	atomic_uint refs;
	struct json_t *json;
	const char *plane_id;
	const char *problem;   /* what keeps the mount from going on; NULL: nothing */
	const char *paused_by; /* who paused the plane; NULL: nobody */
	enum ha_switchover_phase switchover;
	const char *switchover_to;   /* NULL: whom the master finds best */
	const char *switchover_from; /* NULL: there was no master */
	uint64_t switchover_at_wall_ms;
	uint64_t switchover_age_ms; /* since the mount first saw it in its phase */
	const char *master;         /* holder of the lease `master`; NULL: it is free */
	uint64_t epoch;             /* of that lease */
	uint64_t generation;
	uint64_t timeout_ms;
	uint64_t poll_ms;
	uint64_t margin_ms;
	size_t n_nodes;
	struct ha_snapshot_node nodes[]; /* in the order of plane.json */
};

/*
 * -EBADMSG with the reason, -ENOMEM.  A node whose entry or record is malformed is left out: one
 * bad record never blocks the plane.
 */
int ha_snapshot_parse(const char *text, size_t n, struct ha_snapshot **ret, struct err *reterr);

struct ha_snapshot *ha_snapshot_ref(struct ha_snapshot *s);
void ha_snapshot_unref(struct ha_snapshot *s);

DEFINE_CLEANUP(struct ha_snapshot *, ha_snapshot_unref);

/* NULL if the plane has no such node. */
const struct ha_snapshot_node *ha_snapshot_find(const struct ha_snapshot *s, const char *id);

/*
 * What the engine of node @own_id needs at @now_wall_ms.  Where there are more nodes than
 * HA_PEERS_MAX, it keeps its own and the master's before all, and leaves out lapsed and ended ones
 * first.
 */
void ha_snapshot_to_plane(const struct ha_snapshot *s, const char *own_id, int64_t now_wall_ms,
			  struct ha_plane *ret);

#endif
