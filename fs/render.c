/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/render.h"

#include <jansson.h>

#include "base/clock.h"

/* Milliseconds that are left, or null where this mount is not the one to know. */
static json_t *remaining(const struct view *v, const char *holder, uint64_t now_ms)
{
	const struct view_node *n = view_find_node(v, holder);

	if (!n || !n->ours || n->deadline_ms == 0) {
		return json_null();
	}
	return json_integer(n->deadline_ms > now_ms ? (json_int_t)(n->deadline_ms - now_ms) : 0);
}

static json_t *render_lease(const struct view *v, const struct index_lease *l, uint64_t now_ms)
{
	return json_pack("{s:s?, s:I, s:o}", "holder", l->holder[0] ? l->holder : NULL, "epoch",
			 (json_int_t)l->epoch, "remainingMs", remaining(v, l->holder, now_ms));
}

static json_t *render_node(const struct view *v, const struct view_node *n, uint64_t now_ms)
{
	/* Another mount's record is its word, not ours: one that is no JSON is shown as null. */
	json_t *record = json_loadb(n->record, n->n, 0, NULL);

	return json_pack("{s:s, s:b, s:I, s:I, s:b, s:I, s:o}", "mountId", n->row.mount, "ours",
			 n->ours, "beat", (json_int_t)n->row.beat, "ageMs",
			 (json_int_t)(now_ms - n->seen.since_ms), "lapsed",
			 lease_has_lapsed(&n->seen, &v->timing, now_ms), "remoteTimestamp",
			 (json_int_t)n->mtime_ms, "record", record ? record : json_null());
}

static json_t *render_leases(const struct view *v, uint64_t now_ms)
{
	struct index_lease master = view_lease(v, REQUEST_MASTER);
	json_t *leases = json_object();

	/* Always there, also before it was ever granted. */
	(void)json_object_set_new(leases, REQUEST_MASTER, render_lease(v, &master, now_ms));
	for (size_t i = 0; i < v->n_leases; i++) {
		(void)json_object_set_new(leases, v->leases[i].name,
					  render_lease(v, &v->leases[i].row, now_ms));
	}
	return leases;
}

char *render_plane(struct plane *p)
{
	struct view *v = plane_view(p);
	uint64_t now_ms = clock_boot_ms();
	json_t *nodes = json_object();
	struct err problem;
	json_t *all;
	char *text;

	plane_problem(p, &problem);
	for (size_t i = 0; i < v->n_nodes; i++) {
		(void)json_object_set_new(nodes, v->nodes[i].id,
					  render_node(v, &v->nodes[i], now_ms));
	}
	all = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:s?, s:o, s:o}", "planeId", plane_id(p),
			"mountId", plane_mount_id(p), "generation", (json_int_t)v->generation,
			"heartbeatTimeoutMs", (json_int_t)v->timing.timeout_ms, "pollPeriodMs",
			(json_int_t)v->timing.poll_ms, "marginMs", (json_int_t)v->timing.margin_ms,
			"problem", problem.text[0] ? problem.text : NULL, "leases",
			render_leases(v, now_ms), "nodes", nodes);
	view_unref(v);
	text = all ? json_dumps(all, JSON_COMPACT) : NULL;
	json_decref(all);
	return text;
}
