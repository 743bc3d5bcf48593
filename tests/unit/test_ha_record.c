/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "ha/record.h"
#include "unit.h"

static void a_record_is_one_line_in_the_documented_order(void **state)
{
	struct ha_record r = {
		.id = "yAVz0fzo",
		.uri = "http://a:8081/",
		.version = "0.1.0",
		.status = HA_MASTER,
		.priority = -3,
		.local_wall_ms = 1466414301065,
	};
	char *text = NULL;

	(void)state;
	assert_ok(ha_record_encode(&r, &text));

	assert_string_equal(text, "{\"nodeId\":\"yAVz0fzo\",\"nodeUri\":\"http://a:8081/\","
				  "\"status\":\"MASTER\",\"priority\":-3,\"version\":\"0.1.0\","
				  "\"localTimestamp\":1466414301065}");
	free(text);
}

static void a_node_without_a_web_server_has_a_null_uri(void **state)
{
	struct ha_record r = {.id = "a", .version = "1", .status = HA_STANDBY};
	char *text = NULL;

	(void)state;
	assert_ok(ha_record_encode(&r, &text));

	assert_non_null(strstr(text, "\"nodeUri\":null"));
	free(text);
}

static void a_text_that_is_no_utf8_is_refused(void **state)
{
	struct ha_record r = {.id = "a", .version = "\xff", .status = HA_STANDBY};
	char *text = NULL;

	(void)state;
	assert_errno(ha_record_encode(&r, &text), EINVAL);

	assert_null(text);
}

static const struct {
	const char *json;
	const char *uri;
	const char *version;
	int64_t priority;
	int64_t local_wall_ms;
} good[] = {
	{"{\"nodeId\":\"a\",\"nodeUri\":\"http://x/\",\"status\":\"STANDBY\",\"priority\":7,"
	 "\"version\":\"2\",\"localTimestamp\":5}",
	 "http://x/", "2", 7, 5},
	{"{\"nodeId\":\"a\",\"status\":\"STANDBY\"}", NULL, "", 0, HA_TIMESTAMP_NONE},
	{"{\"nodeId\":\"a\",\"nodeUri\":1,\"status\":\"STANDBY\",\"priority\":\"x\",\"version\":[],"
	 "\"localTimestamp\":1.5}",
	 NULL, "", 0, HA_TIMESTAMP_NONE},
	{"{\"nodeId\":\"a\",\"status\":\"STANDBY\",\"fromTheFuture\":{}}", NULL, "", 0,
	 HA_TIMESTAMP_NONE},
};

static void what_does_not_decide_may_be_missing_or_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		json_t *object = json_loads(good[i].json, 0, NULL);
		struct ha_record r;

		print_message("case %s\n", good[i].json);
		assert_ok(ha_record_decode(object, "a", &r));

		assert_string_equal(r.id, "a");
		assert_int_equal(r.status, HA_STANDBY);
		assert_string_equal(r.uri ? r.uri : "(none)", good[i].uri ? good[i].uri : "(none)");
		assert_string_equal(r.version, good[i].version);
		assert_true(r.priority == good[i].priority);
		assert_true(r.local_wall_ms == good[i].local_wall_ms);
		json_decref(object);
	}
}

static void what_decides_must_be_right(void **state)
{
	static const char *const bad[] = {
		"null",
		"[]",
		"\"a\"",
		"{}",
		"{\"nodeId\":\"a\"}",
		"{\"status\":\"STANDBY\"}",
		"{\"nodeId\":\"b\",\"status\":\"STANDBY\"}",
		"{\"nodeId\":1,\"status\":\"STANDBY\"}",
		"{\"nodeId\":\"a\",\"status\":\"standby\"}",
		"{\"nodeId\":\"a\",\"status\":\"KING\"}",
		"{\"nodeId\":\"a\",\"status\":null}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *object = json_loads(bad[i], JSON_DECODE_ANY, NULL);
		struct ha_record r = {.priority = 42};

		print_message("case %s\n", bad[i]);
		assert_non_null(object);
		assert_errno(ha_record_decode(object, "a", &r), EBADMSG);

		assert_true(r.priority == 42);
		json_decref(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_one_line_in_the_documented_order),
		cmocka_unit_test(a_node_without_a_web_server_has_a_null_uri),
		cmocka_unit_test(a_text_that_is_no_utf8_is_refused),
		cmocka_unit_test(what_does_not_decide_may_be_missing_or_wrong),
		cmocka_unit_test(what_decides_must_be_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
