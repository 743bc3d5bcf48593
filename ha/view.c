/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/view.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ha/snapshot.h"

/* NOLINTNEXTLINE(misc-redundant-expression): two headers, one value, and that is the point. */
_Static_assert(HA_TIMESTAMP_NONE == REST_TIMESTAMP_NONE, "timestamps are handed on as they are");

struct view {
	struct rest_plane plane; /* first: plane and view have one address */
	struct ha_snapshot *snapshot;
	struct rest_node nodes[];
};

static struct rest_node to_node(const struct ha_record *r, enum ha_state status, int64_t remote_ms)
{
	return (struct rest_node){
		.id = r->id,
		.uri = r->uri,
		.status = ha_state_name(status),
		.local_timestamp_ms = r->local_wall_ms,
		.remote_timestamp_ms = remote_ms,
		.priority = r->priority,
	};
}

static enum ha_state status_shown(const struct ha_snapshot_node *n)
{
	return n->lapsed && n->record.status != HA_TERMINATED ? HA_FAILED : n->record.status;
}

const struct rest_plane *ha_view_new(struct ha_snapshot *newest, const struct ha_record *own,
				     uint64_t own_epoch)
{
	size_t others = newest ? newest->n_nodes : 0, n = 0;
	struct view *v = calloc(1, sizeof(*v) + (others + 1) * sizeof(v->nodes[0]));
	const struct ha_snapshot_node *self;

	if (!v) {
		return NULL;
	}
	v->plane = (struct rest_plane){.own_id = own->id, .nodes = v->nodes};
	for (size_t i = 0; i < others; i++) {
		const struct ha_snapshot_node *node = &newest->nodes[i];
		bool is_own = strcmp(node->record.id, own->id) == 0;

		v->nodes[n++] =
			to_node(is_own ? own : &node->record,
				is_own ? own->status : status_shown(node), node->remote_wall_ms);
	}
	self = newest ? ha_snapshot_find(newest, own->id) : NULL;
	if (!self) {
		/* On its own, this node's clock is the storage's as well. */
		v->nodes[n++] =
			to_node(own, own->status, newest ? HA_TIMESTAMP_NONE : own->local_wall_ms);
	}
	v->plane.n_nodes = n;
	if (newest) {
		v->snapshot = ha_snapshot_ref(newest);
		v->plane.plane_id = newest->plane_id;
		v->plane.generation = newest->generation;
		v->plane.master_id = newest->master;
		v->plane.epoch = newest->epoch;
		v->plane.paused_by = newest->paused_by;
		v->plane.switchover_phase = ha_switchover_name(newest->switchover);
		v->plane.switchover_to = newest->switchover_to;
		v->plane.switchover_from = newest->switchover_from;
	}
	if (own->status == HA_MASTER) {
		/* The claim's answer may be newer than the last reading. */
		v->plane.master_id = own->id;
		v->plane.epoch = own_epoch;
	}
	return &v->plane;
}

void ha_view_free(const struct rest_plane *plane)
{
	struct view *v = (struct view *)(uintptr_t)plane; /* NOLINT(performance-no-int-to-ptr) */

	if (v) {
		ha_snapshot_unref(v->snapshot);
		free(v);
	}
}
