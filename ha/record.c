/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/record.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

int ha_record_encode(const struct ha_record *r, char **ret_text)
{
	json_t *object =
		json_pack("{s:s, s:s?, s:s, s:I, s:s, s:I}", "nodeId", r->id, "nodeUri", r->uri,
			  "status", ha_state_name(r->status), "priority", (json_int_t)r->priority,
			  "version", r->version, "localTimestamp", (json_int_t)r->local_wall_ms);
	char *text;

	if (!object) {
		return -EINVAL;
	}
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (!text) {
		return -ENOMEM;
	}
	*ret_text = text;
	return 0;
}

static int64_t integer_or(const json_t *object, const char *key, int64_t missing)
{
	const json_t *v = json_object_get(object, key);

	return json_is_integer(v) ? json_integer_value(v) : missing;
}

int ha_record_decode(const struct json_t *object, const char *id, struct ha_record *ret)
{
	/*
	 * json_string_value() and json_object_get() accept NULL and wrong types, and answer NULL.
	 */
	const char *own = json_string_value(json_object_get(object, "nodeId"));
	const char *status = json_string_value(json_object_get(object, "status"));
	const char *version = json_string_value(json_object_get(object, "version"));
	enum ha_state state;

	if (!own || strcmp(own, id) != 0 || !status || ha_state_parse(status, &state) < 0) {
		return -EBADMSG;
	}
	*ret = (struct ha_record){
		.id = own,
		.uri = json_string_value(json_object_get(object, "nodeUri")),
		.version = version ? version : "",
		.status = state,
		.priority = integer_or(object, "priority", 0),
		.local_wall_ms = integer_or(object, "localTimestamp", HA_TIMESTAMP_NONE),
	};
	return 0;
}
