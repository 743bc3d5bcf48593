/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "ha/address.h"
#include "unit.h"

static void a_port_is_a_number_and_perhaps_a_plus(void **state)
{
	static const struct {
		const char *text;
		uint16_t port;
		bool next_free;
	} good[] = {{"8081", 8081, false},
		    {"8081+", 8081, true},
		    {"1", 1, false},
		    {"65535+", 65535, true}};
	static const char *const bad[] = {"",       "+",           "0",     "0+",    "65536",
					  "8081++", "+8081",       "-1",    "80 81", "8081-",
					  "http",   "99999999999", " 8081", "0x50",  "8081 +"};
	uint16_t port;
	bool next_free;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		print_message("case %s\n", good[i].text);
		assert_ok(ha_address_parse_port(good[i].text, &port, &next_free));
		assert_int_equal(port, good[i].port);
		assert_int_equal(next_free, good[i].next_free);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		print_message("case %s\n", bad[i]);
		port = 7;
		next_free = true;
		assert_errno(ha_address_parse_port(bad[i], &port, &next_free), EINVAL);
		assert_int_equal(port, 7);
		assert_true(next_free);
	}
}

static void a_host_may_stand_in_a_url(void **state)
{
	static const char *const good[] = {"a", "node-1.example.org", "10.0.0.1", "::1", "my_vm"};
	static const char *const bad[] = {"",    "a b",      "http://a", "a:8081",
					  "a/b", "\xc3\xa9", "[::1]"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		print_message("case %s\n", good[i]);
		assert_true(ha_address_is_host(good[i]));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		print_message("case %s\n", bad[i]);
		assert_false(ha_address_is_host(bad[i]));
	}
}

static void the_network_is_let_in_only_past_a_password_or_on_request(void **state)
{
	static const struct {
		const char *asked;
		bool has_users, no_security;
		const char *bind; /* NULL: refused */
	} cases[] = {
		{NULL, true, false, "0.0.0.0"},
		{NULL, false, false, "127.0.0.1"},
		{NULL, false, true, "127.0.0.1"},
		{NULL, true, true, "127.0.0.1"},
		{"10.0.0.1", true, false, "10.0.0.1"},
		{"10.0.0.1", false, true, "10.0.0.1"},
		{"10.0.0.1", false, false, NULL},
		{"0.0.0.0", false, false, NULL},
		{"::", false, false, NULL},
		{"128.0.0.1", false, false, NULL},
		{"127.0.0.1", false, false, "127.0.0.1"},
		{"127.9.9.9", false, false, "127.9.9.9"},
		{"::1", false, false, "::1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *bind = NULL;
		struct err err = {0};
		int r = ha_address_choose_bind(cases[i].asked, cases[i].has_users,
					       cases[i].no_security, &bind, &err);

		print_message("case %zu\n", i);
		if (cases[i].bind) {
			assert_ok(r);
			assert_string_equal(bind, cases[i].bind);
		} else {
			assert_errno(r, EACCES);
			assert_null(bind);
			assert_non_null(strstr(err.text, "--noConsoleSecurity"));
		}
	}
}

static void the_uri_names_what_others_can_reach(void **state)
{
	static const struct {
		const char *public_host, *bind, *uri;
	} cases[] = {
		{NULL, "127.0.0.1", "http://127.0.0.1:8081/"},
		{NULL, "::1", "http://[::1]:8081/"},
		{"node1", "127.0.0.1", "http://node1:8081/"},
		{"node1", "0.0.0.0", "http://node1:8081/"},
		{"fe80::1", "::", "http://[fe80::1]:8081/"},
	};
	char uri[128], name[HOST_NAME_MAX + 1], want[sizeof(name) + 32];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_ok(ha_address_format_uri(cases[i].public_host, cases[i].bind, 8081, uri,
						sizeof(uri)));
		assert_string_equal(uri, cases[i].uri);
	}

	assert_int_equal(gethostname(name, sizeof(name)), 0);
	(void)snprintf(want, sizeof(want), "http://%s:1/", name);
	assert_ok(ha_address_format_uri(NULL, "0.0.0.0", 1, uri, sizeof(uri)));
	assert_string_equal(uri, want);
	assert_ok(ha_address_format_uri(NULL, "::", 1, uri, sizeof(uri)));
	assert_string_equal(uri, want);
	assert_errno(ha_address_format_uri("a", "::1", 1, uri, 4), ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_is_a_number_and_perhaps_a_plus),
		cmocka_unit_test(a_host_may_stand_in_a_url),
		cmocka_unit_test(the_network_is_let_in_only_past_a_password_or_on_request),
		cmocka_unit_test(the_uri_names_what_others_can_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
