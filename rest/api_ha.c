/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/api_ha.h"

#include "rest/json.h"

static json_t *timestamp_to_json(int64_t ms)
{
	return ms == REST_TIMESTAMP_NONE ? json_null() : json_integer((json_int_t)ms);
}

static json_t *node_to_json(const struct rest_node *n)
{
	return json_pack("{s:s,s:s?,s:s,s:o,s:o,s:I}", "nodeId", n->id, "nodeUri", n->uri, "status",
			 n->status, "localTimestamp", timestamp_to_json(n->local_timestamp_ms),
			 "remoteTimestamp", timestamp_to_json(n->remote_timestamp_ms), "priority",
			 (json_int_t)n->priority);
}

static json_t *nodes_to_json(const struct rest_plane *p)
{
	json_t *nodes = json_object();

	for (size_t i = 0; i < p->n_nodes; i++) {
		if (json_object_set_new(nodes, p->nodes[i].id, node_to_json(&p->nodes[i])) < 0) {
			json_decref(nodes);
			return NULL;
		}
	}
	return nodes;
}

static json_t *switchover_to_json(const struct rest_plane *p)
{
	return p->switchover_phase ? json_pack("{s:s,s:s?,s:s?}", "phase", p->switchover_phase,
					       "to", p->switchover_to, "from", p->switchover_from)
				   : json_null();
}

/* `links` is always empty in Apache Brooklyn, too. */
static json_t *plane_to_json(const struct rest_plane *p)
{
	return json_pack("{s:s,s:s?,s:o,s:{},s:s?,s:I,s:I,s:s?,s:o}", "ownId", p->own_id,
			 "masterId", p->master_id, "nodes", nodes_to_json(p), "links", "planeId",
			 p->plane_id, "epoch", (json_int_t)p->epoch, "generation",
			 (json_int_t)p->generation, "pausedBy", p->paused_by, "switchover",
			 switchover_to_json(p));
}

int rest_api_ha_state(const struct rest_backend *b, char **ret_text)
{
	return rest_json_text(json_string(b->state(b->ctx)), ret_text);
}

int rest_api_ha_states(const struct rest_backend *b, char **ret_text)
{
	const struct rest_plane *plane = b->plane_get(b->ctx);
	json_t *document = plane_to_json(plane);

	b->plane_put(b->ctx, plane);
	return rest_json_text(document, ret_text);
}
