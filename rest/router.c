/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/router.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A row for each method; a new answer is a new row here and a function in server.c. */
static const struct row {
	const char *path;
	const char *method;
	enum rest_route route;
} rows[] = {
	{"/v1/server/ha/state", "GET", REST_ROUTE_HA_STATE},
	{"/v1/server/ha/states", "GET", REST_ROUTE_HA_STATES},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static bool is_same_path(const char *path, const char *known)
{
	size_t n = strlen(known);

	return strncmp(path, known, n) == 0 &&
	       (path[n] == '\0' || (path[n] == '/' && path[n + 1] == '\0'));
}

static void append(char *list, const char *text)
{
	size_t used = strlen(list);
	size_t n = strlen(text) + 1;

	assert(used + n <= REST_ALLOW_BYTES);
	memcpy(list + used, text, n);
}

static void allow(char *list, const char *method)
{
	if (list[0]) {
		append(list, ", ");
	}
	append(list, method);
}

struct rest_match rest_router_match(const char *method, const char *path)
{
	struct rest_match match = {.verdict = REST_NO_SUCH_PATH};
	const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

	for (size_t i = 0; i < ROWS; i++) {
		if (!is_same_path(path, rows[i].path)) {
			continue;
		}
		if (strcmp(wanted, rows[i].method) == 0) {
			return (struct rest_match){.verdict = REST_FOUND, .route = rows[i].route};
		}
		match.verdict = REST_NO_SUCH_METHOD;
		allow(match.allow, rows[i].method);
		if (strcmp(rows[i].method, "GET") == 0) {
			allow(match.allow, "HEAD");
		}
	}
	return match;
}
