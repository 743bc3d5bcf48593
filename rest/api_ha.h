/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers below /v1/server/ha: what the backend knows, as Apache Brooklyn writes it.  Keys that
 * Brooklyn has come first and in its order, ours after them; what is not known is null, not left
 * out.  Any thread.
 */
#ifndef REST_API_HA_H
#define REST_API_HA_H

#include "rest/backend.h"

/* "MASTER" and so on, with the quotation marks.  The text is malloc'd.  -ENOMEM. */
int rest_api_ha_state(const struct rest_backend *b, char **ret_text);

/* The plane's nodes and who is master.  The text is malloc'd.  -ENOMEM. */
int rest_api_ha_states(const struct rest_backend *b, char **ret_text);

#endif
