/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/states.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "ha/engine.h"
#include "ha/record.h"

#define AGE_BYTES 32

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool is_text_or_null(const json_t *v)
{
	return json_is_string(v) || json_is_null(v);
}

static bool is_node(const json_t *node)
{
	const char *status = text_of(node, "status");
	enum ha_state any;

	return text_of(node, "nodeId") && status && ha_state_parse(status, &any) == 0;
}

int ha_states_parse(const char *text, size_t n, struct json_t **ret)
{
	json_auto_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	json_t *nodes = json_object_get(root, "nodes"), *node;
	const char *id;

	if (!text_of(root, "ownId") || !is_text_or_null(json_object_get(root, "masterId")) ||
	    !json_is_object(nodes)) {
		return -EBADMSG;
	}
	json_object_foreach(nodes, id, node)
	{
		if (!is_node(node)) {
			return -EBADMSG;
		}
	}
	*ret = take_ptr(root);
	return 0;
}

bool ha_states_has_master(const struct json_t *states)
{
	const char *id = text_of(states, "masterId");
	const json_t *node = id ? json_object_get(json_object_get(states, "nodes"), id) : NULL;
	const char *status = text_of(node, "status");

	return status && strcmp(status, ha_state_name(HA_MASTER)) == 0;
}

/* HA_TIMESTAMP_NONE: unknown. */
static int64_t seen_at_ms(const json_t *node)
{
	const json_t *v = json_object_get(node, "remoteTimestamp");

	return json_is_integer(v) ? json_integer_value(v) : HA_TIMESTAMP_NONE;
}

static void format_age(int64_t seen_ms, int64_t newest_ms, char *ret, size_t n)
{
	uint64_t s;

	if (seen_ms == HA_TIMESTAMP_NONE) {
		(void)snprintf(ret, n, "unknown");
		return;
	}
	s = ((uint64_t)newest_ms - (uint64_t)seen_ms) / 1000;
	if (s < 120) {
		(void)snprintf(ret, n, "%" PRIu64 "s ago", s);
	} else if (s < 7200) {
		(void)snprintf(ret, n, "%" PRIu64 "m ago", s / 60);
	} else {
		(void)snprintf(ret, n, "%" PRIu64 "h ago", s / 3600);
	}
}

static void print_orders(const json_t *states, FILE *out)
{
	const char *paused = text_of(states, "pausedBy");
	const json_t *switchover = json_object_get(states, "switchover");
	const char *phase = text_of(switchover, "phase"), *to = text_of(switchover, "to");

	if (paused) {
		(void)fprintf(out, "paused by %s: nobody becomes master by itself\n", paused);
	}
	if (phase) {
		(void)fprintf(out, "switchover %s, to %s\n", phase, to ? to : "the best");
	}
}

void ha_states_print(const struct json_t *states, FILE *out)
{
	json_t *nodes = json_object_get(states, "nodes"), *node;
	const char *own = text_of(states, "ownId"), *master = text_of(states, "masterId"), *id;
	int64_t newest_ms = HA_TIMESTAMP_NONE;
	int id_width = 4, uri_width = 7;

	json_object_foreach(nodes, id, node)
	{
		const char *uri = text_of(node, "nodeUri");

		newest_ms = seen_at_ms(node) > newest_ms ? seen_at_ms(node) : newest_ms;
		id_width = (int)strlen(id) > id_width ? (int)strlen(id) : id_width;
		uri_width = uri && (int)strlen(uri) > uri_width ? (int)strlen(uri) : uri_width;
	}
	(void)fprintf(out, "%-*s  %-12s  %-*s  %s\n", id_width, "NODE", "STATUS", uri_width,
		      "ADDRESS", "LAST SEEN");
	json_object_foreach(nodes, id, node)
	{
		const char *uri = text_of(node, "nodeUri");
		bool is_own = strcmp(id, own) == 0, is_master = master && strcmp(id, master) == 0;
		char age[AGE_BYTES];

		format_age(seen_at_ms(node), newest_ms, age, sizeof(age));
		(void)fprintf(out, "%-*s  %-12s  %-*s  %s%s%s\n", id_width, id,
			      text_of(node, "status"), uri_width, uri ? uri : "-", age,
			      is_master ? "  master" : "", is_own ? "  (answered this)" : "");
	}
	print_orders(states, out);
}
