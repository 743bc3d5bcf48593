/* SPDX-License-Identifier: Apache-2.0 */
/* A method, a blank and a path. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "rest/router.h"
#include "tests/fuzz/fuzz.h"

/* What the header `Allow` names is there, and what was asked for is not in it. */
static void check_allowed(char *allow, const char *method, const char *path)
{
	char *name = allow;

	must(*name);
	while (name) {
		char *comma = strstr(name, ", ");

		if (comma) {
			*comma = '\0';
		}
		must(strcmp(name, method) != 0);
		must(rest_router_match(name, path).verdict == REST_FOUND);
		name = comma ? comma + strlen(", ") : NULL;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	_cleanup_free_ char *method = fuzz_text(data, n);
	char *blank = strchr(method, ' ');
	struct rest_match match;

	if (!blank) {
		return 0;
	}
	*blank = '\0';
	match = rest_router_match(method, blank + 1);
	switch (match.verdict) {
	case REST_FOUND:
		must(match.route < REST_ROUTE_MAX_ && blank[1] == '/');
		break;
	case REST_NO_SUCH_METHOD:
		must(memchr(match.allow, '\0', sizeof(match.allow)));
		check_allowed(match.allow, method, blank + 1);
		break;
	case REST_NO_SUCH_PATH:
		break;
	case REST_VERDICT_MAX_:
		must(false);
	}
	return 0;
}
