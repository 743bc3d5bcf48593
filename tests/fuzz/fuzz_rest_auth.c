/* SPDX-License-Identifier: Apache-2.0 */
/* A value of the header `Authorization`.  Whoever gets in is one of two users. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "rest/auth.h"
#include "tests/fuzz/fuzz.h"

#define PREFIX "brooklyn.webconsole.security."

/* Name and password in base64. */
#define ALICE "YWxpY2U6c2VjcmV0"
#define BOB   "Ym9iOmh1c2g="

static const char *look_up(void *ctx, const char *key)
{
	static const struct {
		const char *key, *value;
	} properties[] = {
		{PREFIX "users", "alice,bob"},
		{PREFIX "user.alice.password", "secret"},
		{PREFIX "user.bob.salt", "aBcD"},
		/* printf aBcDhush | sha256sum */
		{PREFIX "user.bob.sha256",
		 "1b78ebffa026ae8389fe160438fea48a9272d8a9a9b4d582375aedbf2f388d84"},
	};

	(void)ctx;
	for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++) {
		if (strcmp(properties[i].key, key) == 0) {
			return properties[i].value;
		}
	}
	return NULL;
}

/* The decoder overlooks them. */
static void remove_blanks(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (!isspace((unsigned char)*text)) {
			*to++ = *text;
		}
	}
	*to = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct rest_auth *auth;
	_cleanup_free_ char *header = fuzz_text(data, n);

	if (!auth) {
		must(rest_auth_new(look_up, NULL, &auth, NULL) == 0 && auth);
		must(rest_auth_allows(auth, "Basic " ALICE));
		must(rest_auth_allows(auth, "Basic " BOB));
	}
	if (rest_auth_allows(auth, header)) {
		must(strncasecmp(header, "Basic ", strlen("Basic ")) == 0);
		remove_blanks(header);
		must(strcmp(header + strlen("Basic"), ALICE) == 0 ||
		     strcmp(header + strlen("Basic"), BOB) == 0);
	}
	return 0;
}
