/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/json.h"

#include <errno.h>

int rest_json_text(json_t *value, char **ret_text)
{
	/* ENCODE_ANY: a state alone is a document, too. */
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	json_decref(value);
	if (!text) {
		return -ENOMEM;
	}
	*ret_text = text;
	return 0;
}

int rest_json_error(unsigned status, const char *message, char **ret_text)
{
	return rest_json_text(
		json_pack("{s:s,s:I}", "message", message, "error", (json_int_t)status), ret_text);
}
