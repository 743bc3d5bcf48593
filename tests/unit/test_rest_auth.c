/* SPDX-License-Identifier: Apache-2.0 */
/* rest/auth.c: users from properties, and who is let in. */
#include <errno.h>
#include <stdio.h>

#include "rest/auth.h"
#include "tests/unit/unit.h"

#define SECURITY "brooklyn.webconsole.security."

/* printf 'aBcDopen sesame' | sha256sum */
#define SESAME          "d2117e8794abee5a56699c39c5f22a76064fcd7af916b52219da859eeab62327"
#define SESAME_CAPITALS "D2117E8794ABEE5A56699C39C5F22A76064FCD7AF916B52219DA859EEAB62327"
#define SIXTEEN         "0123456789abcdef"

struct property {
	const char *key;
	const char *value;
};

#define PROPERTIES_MAX 8

static const char *lookup(void *ctx, const char *key)
{
	const struct property *p = ctx;

	for (; p->key; p++) {
		if (strcmp(p->key, key) == 0) {
			return p->value;
		}
	}
	return NULL;
}

/* alice with a plain password, bob with a salted hash. */
static struct rest_auth *alice_and_bob(void)
{
	static struct property properties[] = {
		{SECURITY "users", " alice ,, bob"},
		{SECURITY "user.alice.password", "secret"},
		{SECURITY "user.bob.salt", "aBcD"},
		{SECURITY "user.bob.sha256", SESAME},
		{0},
	};
	struct rest_auth *a = NULL;

	assert_ok(rest_auth_new(lookup, properties, &a, NULL));
	assert_non_null(a);
	return a;
}

static void the_right_password_is_let_in(void **state)
{
	static const struct {
		const char *why;
		const char *header;
	} cases[] = {
		{"plain password", "Basic YWxpY2U6c2VjcmV0"},
		{"salted hash", "Basic Ym9iOm9wZW4gc2VzYW1l"},
		{"scheme in lower case", "basic YWxpY2U6c2VjcmV0"},
		{"more space", "Basic   YWxpY2U6c2VjcmV0 "},
	};
	struct rest_auth *a = alice_and_bob();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s\n", cases[i].why);
		assert_true(rest_auth_allows(a, cases[i].header));
	}
	rest_auth_free(a);
}

static void everything_else_is_kept_out(void **state)
{
	static const struct {
		const char *why;
		const char *header;
	} cases[] = {
		{"empty", ""},
		{"scheme only", "Basic"},
		{"scheme and space", "Basic "},
		{"other scheme", "Bearer YWxpY2U6c2VjcmV0"},
		{"no space", "BasicYWxpY2U6c2VjcmV0"},
		{"wrong password", "Basic YWxpY2U6U2VjcmV0"},
		{"prefix of the password", "Basic YWxpY2U6c2VjcmU="},
		{"password and more", "Basic YWxpY2U6c2VjcmV0IQ=="},
		{"no password", "Basic YWxpY2U6"},
		{"no colon", "Basic YWxpY2U="},
		{"nothing but a colon", "Basic Og=="},
		{"unknown user", "Basic Y2Fyb2w6c2VjcmV0"},
		{"no user", "Basic OnNlY3JldA=="},
		{"prefix of the user", "Basic YWxpYzpzZWNyZXQ="},
		{"user of a longer name", "Basic YWxpY2VhOnNlY3JldA=="},
		{"another user's password", "Basic Ym9iOnNlY3JldA=="},
		{"salt and password", "Basic Ym9iOmFCY0RvcGVuIHNlc2FtZQ=="},
		{"NUL behind the password", "Basic YWxpY2U6c2VjcmV0AA=="},
		{"NUL behind the user", "Basic YWxpY2UAOnNlY3JldA=="},
		{"not base64", "Basic !!!!"},
		{"base64 cut short behind the password", "Basic YWxpY2U6c2VjcmV0I"},
		{"not encoded", "Basic alice:secret"},
	};
	struct rest_auth *a = alice_and_bob();

	(void)state;
	assert_false(rest_auth_allows(a, NULL));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s\n", cases[i].why);
		assert_false(rest_auth_allows(a, cases[i].header));
	}
	rest_auth_free(a);
}

/* The right password behind much space: refused for its length and for nothing else. */
static void a_huge_header_is_kept_out(void **state)
{
	static const char right[] = "YWxpY2U6c2VjcmV0";
	char header[4096];
	struct rest_auth *a = alice_and_bob();

	(void)state;
	(void)snprintf(header, sizeof(header), "Basic %900s", right);
	assert_true(rest_auth_allows(a, header));

	(void)snprintf(header, sizeof(header), "Basic %2000s", right);
	assert_false(rest_auth_allows(a, header));
	rest_auth_free(a);
}

static void a_hash_may_be_in_capitals(void **state)
{
	struct property properties[] = {
		{SECURITY "users", "bob"},
		{SECURITY "user.bob.salt", "aBcD"},
		{SECURITY "user.bob.sha256", SESAME_CAPITALS},
		{0},
	};
	struct rest_auth *a = NULL;

	(void)state;
	assert_ok(rest_auth_new(lookup, properties, &a, NULL));

	assert_true(rest_auth_allows(a, "Basic Ym9iOm9wZW4gc2VzYW1l"));
	rest_auth_free(a);
}

static void without_users_there_is_nothing_to_ask(void **state)
{
	struct property missing[] = {{SECURITY "user.alice.password", "secret"}, {0}};
	struct property empty[] = {{SECURITY "users", ""}, {0}};
	struct property *const cases[] = {missing, empty};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rest_auth *previous = alice_and_bob();
		struct rest_auth *a = previous;

		assert_ok(rest_auth_new(lookup, cases[i], &a, NULL));
		assert_null(a);
		rest_auth_free(previous);
	}
	rest_auth_free(NULL);
}

static void a_user_without_a_usable_secret_is_refused_by_key(void **state)
{
	static const struct {
		const char *why;
		const char *names; /* what the message must say */
		struct property properties[PROPERTIES_MAX];
	} cases[] = {
		{"no secret", "user.alice.password", {{SECURITY "users", "alice"}}},
		{"empty password",
		 "user.alice.password",
		 {{SECURITY "users", "alice"}, {SECURITY "user.alice.password", ""}}},
		{"second user without",
		 "user.bob.password",
		 {{SECURITY "users", "alice,bob"}, {SECURITY "user.alice.password", "secret"}}},
		{"salt without hash",
		 "user.bob.password",
		 {{SECURITY "users", "bob"}, {SECURITY "user.bob.salt", "secret"}}},
		{"hash without salt",
		 "user.bob.password",
		 {{SECURITY "users", "bob"}, {SECURITY "user.bob.sha256", SESAME}}},
		{"hash too short",
		 "user.bob.sha256",
		 {{SECURITY "users", "bob"},
		  {SECURITY "user.bob.salt", "aBcD"},
		  {SECURITY "user.bob.sha256", "secret"}}},
		{"hash too long",
		 "user.bob.sha256",
		 {{SECURITY "users", "bob"},
		  {SECURITY "user.bob.salt", "aBcD"},
		  {SECURITY "user.bob.sha256", SESAME "00"}}},
		{"hash not hexadecimal",
		 "user.bob.sha256",
		 {{SECURITY "users", "bob"},
		  {SECURITY "user.bob.salt", "aBcD"},
		  {SECURITY "user.bob.sha256", SIXTEEN "secretsecret1234" SIXTEEN SIXTEEN}}},
		{"hash with space",
		 "user.bob.sha256",
		 {{SECURITY "users", "bob"},
		  {SECURITY "user.bob.salt", "aBcD"},
		  {SECURITY "user.bob.sha256", SIXTEEN "                " SIXTEEN SIXTEEN}}},
		{"colon in a name", "users: name 1", {{SECURITY "users", "alice:secret"}}},
		{"name too long",
		 "users: name 2",
		 {{SECURITY "users", "alice," SIXTEEN SIXTEEN SIXTEEN SIXTEEN},
		  {SECURITY "user.alice.password", "secret"}}},
		{"commas only", "users has", {{SECURITY "users", " , ,"}}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct property properties[PROPERTIES_MAX];
		struct rest_auth *previous = alice_and_bob();
		struct rest_auth *a = previous;
		struct err err = {""};

		print_message("  %s\n", cases[i].why);
		memcpy(properties, cases[i].properties, sizeof(properties));
		assert_errno(rest_auth_new(lookup, properties, &a, &err), EINVAL);

		assert_ptr_equal(a, previous);
		assert_non_null(strstr(err.text, cases[i].names));
		assert_null(strstr(err.text, "secret"));
		rest_auth_free(previous);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_right_password_is_let_in),
		cmocka_unit_test(everything_else_is_kept_out),
		cmocka_unit_test(a_huge_header_is_kept_out),
		cmocka_unit_test(a_hash_may_be_in_capitals),
		cmocka_unit_test(without_users_there_is_nothing_to_ask),
		cmocka_unit_test(a_user_without_a_usable_secret_is_refused_by_key),
	};

	return cmocka_run_group_tests_name("rest/auth", tests, NULL, NULL);
}
