/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/render.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fs/jsonmem.h"
#include "fs/lease.h"
#include "fs/record.h"

bool render_remaining_ms(const struct view *v, const char *lease, uint64_t now_ms, uint64_t *ret_ms)
{
	uint64_t end_ms = view_lease_end_ms(v, lease);

	if (end_ms == 0) {
		return false;
	}
	*ret_ms = end_ms > now_ms ? end_ms - now_ms : 0;
	return true;
}

static json_t *render_lease(const struct view *v, const char *name, uint64_t now_ms)
{
	struct index_lease l = view_lease(v, name);
	uint64_t ms;
	json_t *remaining = render_remaining_ms(v, name, now_ms, &ms) ? json_integer((json_int_t)ms)
								      : json_null();

	return json_pack("{s:s?, s:I, s:o, s:I}", "holder", l.holder[0] ? l.holder : NULL, "epoch",
			 (json_int_t)l.epoch, "remainingMs", remaining, "timeoutMs",
			 (json_int_t)view_lease_timeout_ms(v, name));
}

static json_t *render_node(const struct view *v, const struct view_node *n, uint64_t now_ms)
{
	char status[INDEX_STATUS_BYTES];
	json_t *record = NULL;

	/* Another mount's record is its word: what ours would not have taken is shown as null. */
	if (record_check(n->record, n->n, n->id, status) == 0) {
		record = json_loadb(n->record, n->n, 0, NULL);
	}

	return json_pack("{s:s, s:b, s:I, s:I, s:b, s:I, s:o}", "mountId", n->row.mount, "ours",
			 n->ours, "beat", (json_int_t)n->row.beat, "ageMs",
			 (json_int_t)(now_ms - n->seen.since_ms), "lapsed",
			 lease_has_lapsed(&n->seen, &v->timing, now_ms), "remoteTimestamp",
			 (json_int_t)n->mtime_ms, "record", record ? record : json_null());
}

static json_t *render_leases(const struct view *v, uint64_t now_ms)
{
	json_t *leases = json_object();

	/* Always there, also before it was ever granted. */
	(void)json_object_set_new(leases, LEASE_MASTER, render_lease(v, LEASE_MASTER, now_ms));
	for (size_t i = 0; i < v->n_leases; i++) {
		(void)json_object_set_new(leases, v->leases[i].name,
					  render_lease(v, v->leases[i].name, now_ms));
	}
	return leases;
}

static json_t *render_switchover(const struct view *v, uint64_t now_ms)
{
	const struct orders_switchover *s = &v->orders.switchover;

	if (s->phase == LEASE_SWITCHOVER_NONE) {
		return json_null();
	}
	return json_pack("{s:s, s:s?, s:s?, s:I, s:I}", "phase", orders_phase_name(s->phase), "to",
			 s->to[0] ? s->to : NULL, "from", s->from[0] ? s->from : NULL,
			 "atTimestamp", (json_int_t)s->at_wall_ms, "ageMs",
			 (json_int_t)(now_ms - v->phase_since_ms));
}

/* A text of another mount's, so that nothing in it can be taken for more than it is. */
static void print_quoted(FILE *out, const char *text)
{
	(void)fputc('"', out);
	for (const char *p = text; *p; p++) {
		(void)fputc(*p < ' ' || *p > '~' || *p == '"' || *p == '\\' ? '?' : *p, out);
	}
	(void)fputc('"', out);
}

char *render_lock(const struct view *v, const char *name)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (!out) {
		return NULL;
	}
	for (size_t i = 0; i < v->n_locks; i++) {
		const struct index_lock *l = &v->locks[i];
		const struct view_mount *m = view_find_mount(v, l->mount);

		if (strcmp(l->name, name) != 0) {
			continue;
		}
		(void)fprintf(out, "%s mode=%s mount=%s host=", l->granted ? "holds" : "waits",
			      l->exclusive ? "exclusive" : "shared", l->mount);
		print_quoted(out, m ? m->row.host : "");
		(void)fprintf(out, " pid=%" PRIu64 " command=", l->pid);
		print_quoted(out, l->command);
		(void)fputc('\n', out);
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

char *render_plane(struct plane *p, const struct view *v)
{
	uint64_t now_ms = clock_boot_ms();
	unsigned refused = jsonmem_refused();
	json_t *nodes = json_object();
	struct err problem;
	json_t *all;
	char *text;

	plane_problem(p, &problem);
	for (size_t i = 0; i < v->n_nodes; i++) {
		(void)json_object_set_new(nodes, v->nodes[i].id,
					  render_node(v, &v->nodes[i], now_ms));
	}
	all = json_pack(
		"{s:s, s:s, s:I, s:I, s:I, s:I, s:s?, s:s?, s:o, s:o, s:o}", "planeId", plane_id(p),
		"mountId", plane_mount_id(p), "generation", (json_int_t)v->generation,
		"heartbeatTimeoutMs", (json_int_t)v->timing.timeout_ms, "pollPeriodMs",
		(json_int_t)v->timing.poll_ms, "marginMs", (json_int_t)v->timing.margin_ms,
		"problem", problem.text[0] ? problem.text : NULL, "pausedBy",
		v->orders.paused_by[0] ? v->orders.paused_by : NULL, "switchover",
		render_switchover(v, now_ms), "leases", render_leases(v, now_ms), "nodes", nodes);
	text = all ? json_dumps(all, JSON_COMPACT) : NULL;
	json_decref(all);
	/* Who reads it must not take a node that is missing for one that is gone. */
	if (jsonmem_refused() != refused) {
		free(text);
		return NULL;
	}
	return text;
}
