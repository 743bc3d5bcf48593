/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON texts that the server sends: compact, keys in the order in which they were put in.  What
 * is in an answer is decided elsewhere.  Any thread.
 */
#ifndef REST_JSON_H
#define REST_JSON_H

#include <jansson.h>

/*
 * The text of @value, malloc'd.  -ENOMEM, also if @value is NULL: building a value fails for no
 * other reason, so that the builder's result needs no check of its own.
 */
int rest_json_text(json_t *value /* takes */, char **ret_text);

/* {"message":…,"error":<status>}, the form of Apache Brooklyn's ApiError.  -ENOMEM. */
int rest_json_error(unsigned status, const char *message, char **ret_text);

#endif
