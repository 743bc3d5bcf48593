/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/record.h"
#include "tests/unit/unit.h"

#define UNTOUCHED "untouched"

static void assert_taken(const char *text, size_t n, const char *want)
{
	char status[INDEX_STATUS_BYTES] = UNTOUCHED;

	assert_ok(record_check(text, n, "a", status));
	assert_string_equal(status, want);
}

static void assert_refused(const char *text, size_t n)
{
	char status[INDEX_STATUS_BYTES] = UNTOUCHED;

	if (record_check(text, n, "a", status) != -EINVAL) {
		fail_msg("taken: %.100s", text);
	}
	assert_string_equal(status, UNTOUCHED);
}

static void each_of_the_seven_states_is_taken_and_means_what_it_says(void **state)
{
	static const struct {
		const char *status;
		enum lease_claim_of_record says;
	} states[] = {
		{"INITIALIZING", LEASE_RECORD_PLAIN}, {"STANDBY", LEASE_RECORD_PLAIN},
		{"HOT_STANDBY", LEASE_RECORD_PLAIN},  {"HOT_BACKUP", LEASE_RECORD_PLAIN},
		{"MASTER", LEASE_RECORD_MASTER},      {"FAILED", LEASE_RECORD_OVER},
		{"TERMINATED", LEASE_RECORD_OVER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "{\"nodeId\":\"a\",\"status\":\"%s\"}",
			       states[i].status);
		assert_taken(text, strlen(text), states[i].status);
		assert_int_equal(record_says(states[i].status), states[i].says);
	}
}

static void further_members_and_white_space_are_the_writers_own(void **state)
{
	static const char text[] = "\n { \"status\" : \"STANDBY\",\n\t\"more\": [1, {\"x\": null}],"
				   " \"nodeId\" : \"a\" } \n";

	(void)state;
	assert_taken(text, strlen(text), "STANDBY");
}

static void what_is_no_record_of_the_node_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"no JSON",
		"null",
		"[]",
		"\"nodeId\"",
		"{}",
		"{\"nodeId\":\"a\"}",
		"{\"status\":\"STANDBY\"}",
		"{\"nodeId\":\"b\",\"status\":\"STANDBY\"}",
		"{\"nodeId\":\"A\",\"status\":\"STANDBY\"}",
		"{\"nodeId\":\"aa\",\"status\":\"STANDBY\"}",
		"{\"nodeId\":1,\"status\":\"STANDBY\"}",
		"{\"nodeId\":\"a\",\"status\":\"standby\"}",
		"{\"nodeId\":\"a\",\"status\":\"UNKNOWN\"}",
		"{\"nodeId\":\"a\",\"status\":\"\"}",
		"{\"nodeId\":\"a\",\"status\":null}",
		"{\"nodeId\":\"a\",\"status\":[\"STANDBY\"]}",
		"{\"nodeId\":\"a\",\"status\":\"STANDBY\"",
		"{\"nodeId\":\"a\",\"status\":\"STANDBY\"}}",
		"{\"nodeId\":\"a\",\"status\":\"STANDBY\"}{}",
		"{\"nodeId\":\"a\",\"nodeId\":\"a\",\"status\":\"STANDBY\"}",
		"{\"nodeId\":\"a\",\"status\":\"STANDBY\",\"status\":\"MASTER\"}",
		"{\"nodeId\":\"a\",\"status\":\"STANDBY\",\"x\":\"\xff\"}",
		"{\"nodeId\":\"a\\u0000\",\"status\":\"STANDBY\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_refused(texts[i], strlen(texts[i]));
	}
}

static void no_proper_prefix_of_a_record_is_one(void **state)
{
	static const char text[] = "{\"nodeId\":\"a\",\"status\":\"STANDBY\"}";

	(void)state;
	assert_taken(text, strlen(text), "STANDBY");
	for (size_t n = 0; n < strlen(text); n++) {
		assert_refused(text, n);
	}
	assert_refused(text, sizeof(text)); /* with the NUL */
}

static void a_record_of_the_limit_is_taken_and_one_byte_more_is_not(void **state)
{
	static const char head[] = "{\"nodeId\":\"a\",\"status\":\"STANDBY\"}";
	char text[RECORD_MAX_BYTES + 1];

	(void)state;
	memset(text, ' ', sizeof(text));
	memcpy(text, head, sizeof(head) - 1);
	assert_taken(text, RECORD_MAX_BYTES, "STANDBY");
	assert_refused(text, RECORD_MAX_BYTES + 1);
}

static void with_status_changes_the_status_and_nothing_else(void **state)
{
	char *text = NULL;

	(void)state;
	assert_ok(record_with_status(
		"{\"nodeId\":\"a\",\"status\":\"MASTER\",\"priority\":3,\"x\":[1.5,null]}",
		"FAILED", &text));
	assert_string_equal(text, "{\"nodeId\":\"a\",\"status\":\"FAILED\",\"priority\":3,"
				  "\"x\":[1.5,null]}");
	assert_taken(text, strlen(text), "FAILED");
	free(text);

	text = NULL;
	assert_errno(record_with_status("no JSON", "FAILED", &text), EINVAL);
	assert_errno(record_with_status("[]", "FAILED", &text), EINVAL);
	assert_null(text);
}

/* Found by fuzz_record: jansson takes this text, and everything else would end at the NUL. */
static void a_record_with_a_nul_is_refused_wherever_it_is(void **state)
{
	static const char text[] = "{\"nodeId\":\"a\",\"status\":\"MASTER\",\"priority\":1\0}";

	(void)state;
	assert_refused(text, sizeof(text) - 1);
}

/* Found by fuzz_record: 1e300 is 22 bytes long when it is written again. */
static void with_status_a_record_stays_within_the_limit(void **state)
{
	static const char head[] = "{\"nodeId\":\"a\",\"status\":\"MASTER\",\"x\":[0";
	char text[RECORD_MAX_BYTES + 1];
	size_t n = sizeof(head) - 1;
	char *out = NULL;

	(void)state;
	memcpy(text, head, sizeof(head));
	while (n + 8 < sizeof(text)) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, ",1e300");
	}
	(void)snprintf(text + n, sizeof(text) - n, "]}");
	assert_taken(text, strlen(text), "MASTER");
	assert_ok(record_with_status(text, "FAILED", &out));
	assert_string_equal(out, "{\"nodeId\":\"a\",\"status\":\"FAILED\"}");
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_of_the_seven_states_is_taken_and_means_what_it_says),
		cmocka_unit_test(further_members_and_white_space_are_the_writers_own),
		cmocka_unit_test(what_is_no_record_of_the_node_is_refused),
		cmocka_unit_test(no_proper_prefix_of_a_record_is_one),
		cmocka_unit_test(a_record_of_the_limit_is_taken_and_one_byte_more_is_not),
		cmocka_unit_test(with_status_changes_the_status_and_nothing_else),
		cmocka_unit_test(a_record_with_a_nul_is_refused_wherever_it_is),
		cmocka_unit_test(with_status_a_record_stays_within_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
