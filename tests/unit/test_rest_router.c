/* SPDX-License-Identifier: Apache-2.0 */
/* rest/router.c: which paths and methods there are. */
#include "rest/router.h"
#include "tests/unit/unit.h"

struct request {
	const char *method;
	const char *path;
};

static void known_paths_lead_to_their_routes(void **state)
{
	static const struct {
		struct request request;
		enum rest_route route;
	} cases[] = {
		{{"GET", "/v1/server/ha/state"}, REST_ROUTE_HA_STATE},
		{{"HEAD", "/v1/server/ha/state"}, REST_ROUTE_HA_STATE},
		{{"GET", "/v1/server/ha/state/"}, REST_ROUTE_HA_STATE},
		{{"GET", "/v1/server/ha/states"}, REST_ROUTE_HA_STATES},
		{{"HEAD", "/v1/server/ha/states"}, REST_ROUTE_HA_STATES},
		{{"GET", "/v1/server/ha/states/"}, REST_ROUTE_HA_STATES},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct request *q = &cases[i].request;
		struct rest_match match;

		print_message("  %s %s\n", q->method, q->path);
		match = rest_router_match(q->method, q->path);

		assert_int_equal(match.verdict, REST_FOUND);
		assert_int_equal(match.route, cases[i].route);
	}
}

static void other_paths_are_not_there_whatever_the_method(void **state)
{
	static const struct request cases[] = {
		{"GET", ""},
		{"GET", "/"},
		{"GET", "*"},
		{"GET", "/v1/server/ha"},
		{"GET", "/v1/server/ha/stat"},
		{"GET", "/v1/server/ha/statesx"},
		{"GET", "/v1/server/ha/state//"},
		{"GET", "/v1/server/ha/state/x"},
		{"GET", "//v1/server/ha/state"},
		{"GET", "/v1/server/ha/./state"},
		{"GET", "/v1/server/ha/x/../state"},
		{"GET", "/V1/server/ha/state"},
		{"GET", "/v1/server%2Fha/state"},
		{"GET", "/v1/server/ha/state%00"},
		{"GET", "/v1/server/ha/state?x"},
		{"POST", "/v1/server/ha/nothing"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s %s\n", cases[i].method, cases[i].path);
		assert_int_equal(rest_router_match(cases[i].method, cases[i].path).verdict,
				 REST_NO_SUCH_PATH);
	}
}

static void other_methods_of_a_known_path_learn_the_allowed_ones(void **state)
{
	static const struct request cases[] = {
		{"POST", "/v1/server/ha/state"},   {"PUT", "/v1/server/ha/states"},
		{"DELETE", "/v1/server/ha/state"}, {"OPTIONS", "/v1/server/ha/states/"},
		{"get", "/v1/server/ha/state"},    {"GETS", "/v1/server/ha/state"},
		{"", "/v1/server/ha/state"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rest_match match;

		print_message("  %s %s\n", cases[i].method, cases[i].path);
		match = rest_router_match(cases[i].method, cases[i].path);

		assert_int_equal(match.verdict, REST_NO_SUCH_METHOD);
		assert_string_equal(match.allow, "GET, HEAD");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_paths_lead_to_their_routes),
		cmocka_unit_test(other_paths_are_not_there_whatever_the_method),
		cmocka_unit_test(other_methods_of_a_known_path_learn_the_allowed_ones),
	};

	return cmocka_run_group_tests_name("rest/router", tests, NULL, NULL);
}
