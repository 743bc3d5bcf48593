/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may ask: HTTP Basic authentication against the users of the properties files, in the forms
 * that Apache Brooklyn knows:
 *
 *	brooklyn.webconsole.security.users=alice,bob
 *	brooklyn.webconsole.security.user.alice.password=secret
 *	brooklyn.webconsole.security.user.bob.salt=aBcD
 *	brooklyn.webconsole.security.user.bob.sha256=<hex of SHA-256(salt + password)>
 *
 * Immutable after rest_auth_new(): any thread.  Comparisons take the same time whatever differs.
 */
#ifndef REST_AUTH_H
#define REST_AUTH_H

#include <stdbool.h>

#include "base/err.h"

struct rest_auth;

/* The value of a property or NULL; the text stays valid during rest_auth_new() only. */
typedef const char *rest_auth_lookup_fn(void *ctx, const char *key);

/*
 * Read the users.  *ret is NULL with result 0 if the key `…security.users` is missing or empty: no
 * users are configured.  -EINVAL: a name has a colon or more than 63 bytes, or a user has neither
 * password nor salt and a well-formed hash (the key is in @reterr, the secret never is); -ENOMEM.
 */
int rest_auth_new(rest_auth_lookup_fn *lookup, void *ctx, struct rest_auth **ret,
		  struct err *reterr);

/* NULL is allowed. */
void rest_auth_free(struct rest_auth *a);

/*
 * Does this header value of `Authorization` (NULL: it was missing) name a user and the password?
 * One of 1 KiB or more is not read.
 */
bool rest_auth_allows(const struct rest_auth *a, const char *authorization);

#endif
