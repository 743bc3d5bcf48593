/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/auth.h"

#include <errno.h>
#include <nettle/base16.h>
#include <nettle/base64.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#define SECURITY_KEY "brooklyn.webconsole.security"
#define USERS_KEY    SECURITY_KEY ".users"

#define NAME_BYTES   64 /* with the NUL */
#define KEY_BYTES    (sizeof(SECURITY_KEY) + NAME_BYTES + 32)
#define HEADER_BYTES 1024 /* a longer one is refused unread */
#define HEX_LENGTH   ((size_t)2 * SHA256_DIGEST_SIZE)

/*
 * Plain passwords are hashed as well, without a salt: one form to compare, and no secret is kept in
 * memory for as long as the server runs.
 */
struct user {
	char name[NAME_BYTES];
	struct sha256_ctx salted; /* the hash with the salt already in it */
	uint8_t digest[SHA256_DIGEST_SIZE];
};

struct rest_auth {
	struct user nobody; /* who unknown users are compared with, so that it takes as long */
	size_t n_users;
	struct user users[];
};

DEFINE_CLEANUP(struct rest_auth *, rest_auth_free);

void rest_auth_free(struct rest_auth *a)
{
	free(a);
}

static void digest_of(const struct user *u, size_t n, const uint8_t *password, uint8_t *ret_digest)
{
	struct sha256_ctx hash = u->salted;

	sha256_update(&hash, n, password);
	sha256_digest(&hash, SHA256_DIGEST_SIZE, ret_digest);
	explicit_bzero(&hash, sizeof(hash));
}

static int digest_parse(const char *hex, uint8_t *ret_digest)
{
	uint8_t digest[BASE16_DECODE_LENGTH(HEX_LENGTH)];
	struct base16_decode_ctx decoder;
	size_t n = sizeof(digest);

	base16_decode_init(&decoder);
	if (strlen(hex) != HEX_LENGTH ||
	    !base16_decode_update(&decoder, &n, digest, HEX_LENGTH, hex) ||
	    !base16_decode_final(&decoder) || n != SHA256_DIGEST_SIZE) {
		return -EINVAL;
	}
	memcpy(ret_digest, digest, SHA256_DIGEST_SIZE);
	return 0;
}

/* The value of a user's property; NULL if it is missing or empty. */
static const char *property_of(const struct user *u, const char *what, rest_auth_lookup_fn *lookup,
			       void *ctx)
{
	char key[KEY_BYTES];
	const char *value;

	(void)snprintf(key, sizeof(key), SECURITY_KEY ".user.%s.%s", u->name, what);
	value = lookup(ctx, key);
	return value && value[0] ? value : NULL;
}

static int user_read(struct user *u, rest_auth_lookup_fn *lookup, void *ctx, struct err *reterr)
{
	const char *password = property_of(u, "password", lookup, ctx);
	const char *salt = property_of(u, "salt", lookup, ctx);
	const char *hex = property_of(u, "sha256", lookup, ctx);

	sha256_init(&u->salted);
	if (password) {
		digest_of(u, strlen(password), (const uint8_t *)password, u->digest);
		return 0;
	}
	if (!salt || !hex) {
		return err_set(reterr, -EINVAL,
			       SECURITY_KEY ".user.%s.password is missing, and there is no pair of "
					    ".salt and .sha256 in its place",
			       u->name);
	}
	sha256_update(&u->salted, strlen(salt), (const uint8_t *)salt);
	if (digest_parse(hex, u->digest) < 0) {
		return err_set(reterr, -EINVAL,
			       SECURITY_KEY ".user.%s.sha256 is not 64 hexadecimal digits",
			       u->name);
	}
	return 0;
}

/* The next name of a list with commas, without the space around it; it may be empty. */
static size_t next_name(const char **list, const char **ret_name)
{
	const char *name = *list + strspn(*list, " \t");
	size_t n = strcspn(name, ",");

	*list = name[n] == ',' ? name + n + 1 : name + n;
	while (n > 0 && (name[n - 1] == ' ' || name[n - 1] == '\t')) {
		n--;
	}
	*ret_name = name;
	return n;
}

static size_t names_max(const char *list)
{
	size_t n = 1;

	for (; *list; list++) {
		n += *list == ',';
	}
	return n;
}

int rest_auth_new(rest_auth_lookup_fn *lookup, void *ctx, struct rest_auth **ret,
		  struct err *reterr)
{
	const char *list = lookup(ctx, USERS_KEY);
	_cleanup_(rest_auth_freep) struct rest_auth *a = NULL;
	const char *name;

	if (!list || !list[0]) {
		*ret = NULL;
		return 0;
	}
	a = calloc(1, sizeof(*a) + names_max(list) * sizeof(a->users[0]));
	if (!a) {
		return err_set(reterr, -ENOMEM, USERS_KEY ": out of memory");
	}
	sha256_init(&a->nobody.salted);
	while (*list) {
		size_t n = next_name(&list, &name);
		struct user *u = &a->users[a->n_users];
		int r;

		if (n == 0) {
			continue;
		}
		/* Names end at the first colon.  Not shown: what follows may be a password. */
		if (n >= NAME_BYTES || memchr(name, ':', n)) {
			return err_set(reterr, -EINVAL,
				       USERS_KEY ": name %zu has a colon or more than %d bytes",
				       a->n_users + 1, NAME_BYTES - 1);
		}
		memcpy(u->name, name, n);
		r = user_read(u, lookup, ctx, reterr);
		if (r < 0) {
			return r;
		}
		a->n_users++;
	}
	/* Something was meant: an empty list must not switch authentication off. */
	if (a->n_users == 0) {
		return err_set(reterr, -EINVAL, USERS_KEY " has commas but no name");
	}
	*ret = take_ptr(a);
	return 0;
}

/* Never ends early: which name fitted, and whether one did, shows in nothing but the result. */
static bool is_allowed(const struct rest_auth *a, const uint8_t *name, size_t n_name,
		       const uint8_t *password, size_t n_password)
{
	const struct user *user = &a->nobody;
	uint8_t digest[SHA256_DIGEST_SIZE];
	int same;

	for (size_t i = 0; i < a->n_users; i++) {
		const struct user *u = &a->users[i];

		if (n_name == strlen(u->name) && memeql_sec(name, u->name, n_name)) {
			user = u;
		}
	}
	digest_of(user, n_password, password, digest);
	same = memeql_sec(digest, user->digest, sizeof(digest));
	return same && user != &a->nobody;
}

bool rest_auth_allows(const struct rest_auth *a, const char *authorization)
{
	static const char scheme[] = "Basic ";
	uint8_t plain[BASE64_DECODE_LENGTH(HEADER_BYTES)];
	struct base64_decode_ctx decoder;
	size_t n = sizeof(plain);
	const char *encoded;
	const uint8_t *colon;
	bool allowed = false;

	if (!authorization || strnlen(authorization, HEADER_BYTES) == HEADER_BYTES ||
	    strncasecmp(authorization, scheme, strlen(scheme)) != 0) {
		return false;
	}
	encoded = authorization + strlen(scheme);
	base64_decode_init(&decoder);
	if (base64_decode_update(&decoder, &n, plain, strlen(encoded), encoded) &&
	    base64_decode_final(&decoder)) {
		colon = memchr(plain, ':', n);
		if (colon) {
			allowed = is_allowed(a, plain, (size_t)(colon - plain), colon + 1,
					     (size_t)(plain + n - colon - 1));
		}
	}
	explicit_bzero(plain, sizeof(plain));
	return allowed;
}
