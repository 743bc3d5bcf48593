/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/snapshot.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

static int get_u64(const json_t *object, const char *key, uint64_t *ret, struct err *reterr)
{
	const json_t *v = json_object_get(object, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0) {
		return err_set(reterr, -EBADMSG, "\"%s\" is no number", key);
	}
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

static int get_id(const json_t *object, const char *key, const char **ret, struct err *reterr)
{
	const char *id = json_string_value(json_object_get(object, key));

	if (!id || !parse_id_is_valid(id)) {
		return err_set(reterr, -EBADMSG, "\"%s\" is no id", key);
	}
	*ret = id;
	return 0;
}

static int parse_lease(const json_t *lease, struct ha_snapshot *s, struct err *reterr)
{
	if (!json_is_null(json_object_get(lease, "holder"))) {
		int r = get_id(lease, "holder", &s->master, reterr);

		if (r < 0) {
			return r;
		}
	}
	return get_u64(lease, "epoch", &s->epoch, reterr);
}

static int parse_node(const char *id, const json_t *entry, struct ha_snapshot_node *ret)
{
	const json_t *lapsed = json_object_get(entry, "lapsed");
	const json_t *remote = json_object_get(entry, "remoteTimestamp");
	struct ha_snapshot_node node = {.remote_wall_ms = HA_TIMESTAMP_NONE};

	if (!parse_id_is_valid(id) || !json_is_boolean(lapsed) ||
	    get_u64(entry, "beat", &node.beat, NULL) < 0) {
		return -EBADMSG;
	}
	(void)get_u64(entry, "ageMs", &node.age_ms, NULL); /* missing: of no age */
	if (json_is_integer(remote)) {
		node.remote_wall_ms = json_integer_value(remote);
	}
	node.lapsed = json_is_true(lapsed);
	*ret = node;
	return ha_record_decode(json_object_get(entry, "record"), id, &ret->record);
}

static int parse_switchover(const json_t *o, struct ha_snapshot *s, struct err *reterr)
{
	const char *phase = json_string_value(json_object_get(o, "phase"));
	int r;

	if (!o || json_is_null(o)) {
		return 0;
	}
	for (enum ha_switchover_phase p = HA_SWITCHOVER_PLANNED; p < HA_SWITCHOVER_MAX_; p++) {
		if (phase && strcmp(phase, ha_switchover_name(p)) == 0) {
			s->switchover = p;
		}
	}
	s->switchover_to = json_string_value(json_object_get(o, "to"));
	s->switchover_from = json_string_value(json_object_get(o, "from"));
	if (s->switchover == HA_SWITCHOVER_NONE ||
	    (s->switchover_to && !parse_id_is_valid(s->switchover_to)) ||
	    (s->switchover_from && !parse_id_is_valid(s->switchover_from))) {
		return err_set(reterr, -EBADMSG, "\"switchover\" is none");
	}
	r = get_u64(o, "atTimestamp", &s->switchover_at_wall_ms, reterr);
	return r < 0 ? r : get_u64(o, "ageMs", &s->switchover_age_ms, reterr);
}

static int parse_root(const json_t *root, struct ha_snapshot *s, struct err *reterr)
{
	json_t *nodes = json_object_get(root, "nodes");
	const char *id;
	json_t *entry;
	int r;

	if ((r = get_id(root, "planeId", &s->plane_id, reterr)) < 0 ||
	    (r = get_u64(root, "generation", &s->generation, reterr)) < 0 ||
	    (r = get_u64(root, "heartbeatTimeoutMs", &s->timeout_ms, reterr)) < 0 ||
	    (r = get_u64(root, "pollPeriodMs", &s->poll_ms, reterr)) < 0 ||
	    (r = get_u64(root, "marginMs", &s->margin_ms, reterr)) < 0 ||
	    (r = parse_switchover(json_object_get(root, "switchover"), s, reterr)) < 0) {
		return r;
	}
	s->problem = json_string_value(json_object_get(root, "problem"));
	s->paused_by = json_string_value(json_object_get(root, "pausedBy"));
	r = parse_lease(json_object_get(json_object_get(root, "leases"), "master"), s, reterr);
	if (r < 0) {
		return err_wrap(reterr, r, "lease \"master\"");
	}
	if (!json_is_object(nodes)) {
		return err_set(reterr, -EBADMSG, "\"nodes\" is no object");
	}
	json_object_foreach(nodes, id, entry)
	{
		if (parse_node(id, entry, &s->nodes[s->n_nodes]) == 0) {
			s->n_nodes++;
		}
	}
	return 0;
}

int ha_snapshot_parse(const char *text, size_t n, struct ha_snapshot **ret, struct err *reterr)
{
	json_auto_t *root = NULL;
	_cleanup_(ha_snapshot_unrefp) struct ha_snapshot *s = NULL;
	json_error_t error;
	size_t room;
	int r;

	root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
	if (!root) {
		return err_set(reterr, -EBADMSG, "line %d: %s", error.line, error.text);
	}
	room = json_object_size(json_object_get(root, "nodes"));
	s = calloc(1, sizeof(*s) + room * sizeof(s->nodes[0]));
	if (!s) {
		return -ENOMEM;
	}
	atomic_init(&s->refs, 1);
	r = parse_root(root, s, reterr);
	if (r < 0) {
		return r;
	}
	s->json = take_ptr(root);
	*ret = take_ptr(s);
	return 0;
}

struct ha_snapshot *ha_snapshot_ref(struct ha_snapshot *s)
{
	(void)atomic_fetch_add(&s->refs, 1);
	return s;
}

void ha_snapshot_unref(struct ha_snapshot *s)
{
	if (s && atomic_fetch_sub(&s->refs, 1) == 1) {
		json_decref(s->json);
		free(s);
	}
}

const struct ha_snapshot_node *ha_snapshot_find(const struct ha_snapshot *s, const char *id)
{
	for (size_t i = 0; i < s->n_nodes; i++) {
		if (strcmp(s->nodes[i].record.id, id) == 0) {
			return &s->nodes[i];
		}
	}
	return NULL;
}

/* Which nodes the engine must know of, the lowest number first. */
enum rank {
	RANK_INVOLVED, /* its own and the master's */
	RANK_ALIVE,
	RANK_GONE,
	RANK_MAX_,
};

static enum rank rank_of(const struct ha_snapshot *s, const struct ha_snapshot_node *n,
			 const char *own_id)
{
	enum ha_state status = n->record.status;

	if (strcmp(n->record.id, own_id) == 0 ||
	    (s->master && strcmp(n->record.id, s->master) == 0)) {
		return RANK_INVOLVED;
	}
	return n->lapsed || status == HA_FAILED || status == HA_TERMINATED ? RANK_GONE : RANK_ALIVE;
}

static void to_peer(const struct ha_snapshot_node *n, struct ha_peer *ret)
{
	*ret = (struct ha_peer){
		.status = n->record.status,
		.priority = n->record.priority,
		.beat = n->beat,
		.age_ms = n->age_ms,
		.lapsed = n->lapsed,
	};
	(void)snprintf(ret->id, sizeof(ret->id), "%s", n->record.id);
	(void)snprintf(ret->version, sizeof(ret->version), "%s", n->record.version);
}

static void to_switchover(const struct ha_snapshot *s, int64_t now_wall_ms,
			  struct ha_switchover *ret)
{
	*ret = (struct ha_switchover){
		.phase = s->switchover,
		.due = now_wall_ms >= 0 && (uint64_t)now_wall_ms >= s->switchover_at_wall_ms,
		.age_ms = s->switchover_age_ms,
	};
	(void)snprintf(ret->to, sizeof(ret->to), "%s", s->switchover_to ? s->switchover_to : "");
	(void)snprintf(ret->from, sizeof(ret->from), "%s",
		       s->switchover_from ? s->switchover_from : "");
}

void ha_snapshot_to_plane(const struct ha_snapshot *s, const char *own_id, int64_t now_wall_ms,
			  struct ha_plane *ret)
{
	*ret = (struct ha_plane){.epoch = s->epoch, .paused = s->paused_by != NULL};
	to_switchover(s, now_wall_ms, &ret->switchover);
	(void)snprintf(ret->master, sizeof(ret->master), "%s", s->master ? s->master : "");
	for (enum rank rank = 0; rank < RANK_MAX_; rank++) {
		for (size_t i = 0; i < s->n_nodes && ret->n_peers < HA_PEERS_MAX; i++) {
			if (rank_of(s, &s->nodes[i], own_id) == rank) {
				to_peer(&s->nodes[i], &ret->peers[ret->n_peers++]);
			}
		}
	}
}
