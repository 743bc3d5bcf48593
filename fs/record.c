/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/record.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/jsonmem.h"

static bool is_status(const char *text)
{
	static const char *const names[] = {"INITIALIZING", "STANDBY", "HOT_STANDBY",
					    "HOT_BACKUP",   "MASTER",  RECORD_FAILED,
					    "TERMINATED"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			return true;
		}
	}
	return false;
}

int record_check(const char *text, size_t n, const char *id, char ret_status[INDEX_STATUS_BYTES])
{
	json_auto_t *record = NULL;
	const char *node_id, *status;
	unsigned refused;

	/* Behind a number jansson overlooks a NUL; the index, and whoever reads there, do not. */
	if (n > RECORD_MAX_BYTES || (n > 0 && memchr(text, '\0', n))) {
		return -EINVAL;
	}
	refused = jsonmem_refused();
	record = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	if (jsonmem_refused() != refused) {
		return -ENOMEM;
	}
	node_id = json_string_value(json_object_get(record, "nodeId"));
	status = json_string_value(json_object_get(record, "status"));
	if (!node_id || strcmp(node_id, id) != 0 || !status || !is_status(status)) {
		return -EINVAL;
	}
	(void)snprintf(ret_status, INDEX_STATUS_BYTES, "%s", status);
	return 0;
}

enum lease_claim_of_record record_says(const char *status)
{
	if (strcmp(status, "MASTER") == 0) {
		return LEASE_RECORD_MASTER;
	}
	if (strcmp(status, RECORD_FAILED) == 0 || strcmp(status, "TERMINATED") == 0) {
		return LEASE_RECORD_OVER;
	}
	return LEASE_RECORD_PLAIN;
}

int record_with_status(const char *text, const char *status, char **ret_text)
{
	unsigned refused = jsonmem_refused();
	json_auto_t *record = json_loads(text, 0, NULL);
	_cleanup_free_ char *out = NULL;

	if (!json_is_object(record)) {
		return jsonmem_refused() != refused ? -ENOMEM : -EINVAL;
	}
	(void)json_object_set_new(record, "status", json_string(status));
	out = json_dumps(record, JSON_COMPACT);
	if (out && strlen(out) > RECORD_MAX_BYTES) {
		json_auto_t *least = json_pack("{s:O?, s:s}", "nodeId",
					       json_object_get(record, "nodeId"), "status", status);

		free(out);
		out = json_dumps(least, JSON_COMPACT);
	}
	if (!out || jsonmem_refused() != refused) {
		return -ENOMEM;
	}
	*ret_text = take_ptr(out);
	return 0;
}
