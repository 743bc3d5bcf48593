/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's record, the JSON object in nodes/<id>:
 *
 *	{"nodeId":"yAVz0fzo","nodeUri":"http://a:8081/","status":"MASTER","priority":0,
 *	 "version":"0.1.0","localTimestamp":1466414301065}
 *
 * Encoding and decoding only; when a record is written is the engine's business.  Any thread.
 */
#ifndef HA_RECORD_H
#define HA_RECORD_H

#include <stdint.h>

#include "ha/engine.h"

struct json_t;

#define HA_TIMESTAMP_NONE INT64_MIN

/* The texts are borrowed: from the caller, or from the JSON object that was decoded. */
struct ha_record {
	const char *id;
	const char *uri;     /* NULL: none */
	const char *version; /* "" for none */
	enum ha_state status;
	int64_t priority;
	int64_t local_wall_ms; /* the node's own clock; HA_TIMESTAMP_NONE: unknown */
};

/* *ret_text is malloc'd.  -EINVAL: a text is no UTF-8; -ENOMEM. */
int ha_record_encode(const struct ha_record *r, char **ret_text);

/*
 * Decode the record of node @id.  Only what decides is required: -EBADMSG if it is no object, names
 * another node or has no known status.  Any other member that is missing or of the wrong type
 * counts as absent, so that a newer version's record is still read.
 */
int ha_record_decode(const struct json_t *object, const char *id, struct ha_record *ret);

#endif
