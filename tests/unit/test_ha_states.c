/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "ha/states.h"
#include "unit.h"

#define NODE(id, status, remote)                                                                   \
	"\"" id "\":{\"nodeId\":\"" id "\",\"nodeUri\":\"http://" id                               \
	":8081/\",\"status\":\"" status "\",\"localTimestamp\":1,\"remoteTimestamp\":" remote "}"

static json_t *parse(const char *text)
{
	json_t *states = NULL;

	assert_ok(ha_states_parse(text, strlen(text), &states));
	return states;
}

static void only_a_named_node_with_status_master_is_a_master(void **state)
{
	static const struct {
		const char *text;
		bool has_master;
	} cases[] = {
		{"{\"ownId\":\"a\",\"masterId\":\"a\",\"nodes\":{" NODE("a", "MASTER", "1") "}}",
		 true},
		{"{\"ownId\":\"b\",\"masterId\":\"a\",\"nodes\":{" NODE("a", "FAILED", "1") "}}",
		 false},
		{"{\"ownId\":\"b\",\"masterId\":\"c\",\"nodes\":{" NODE("a", "MASTER", "1") "}}",
		 false},
		{"{\"ownId\":\"b\",\"masterId\":null,\"nodes\":{" NODE("a", "MASTER", "1") "}}",
		 false},
		{"{\"ownId\":\"b\",\"masterId\":null,\"nodes\":{},\"links\":{}}", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *states = parse(cases[i].text);

		print_message("case %s\n", cases[i].text);
		assert_int_equal(ha_states_has_master(states), cases[i].has_master);
		json_decref(states);
	}
}

static void other_answers_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"\"MASTER\"",
		"{}",
		"<html>",
		"{\"masterId\":null,\"nodes\":{}}",
		"{\"ownId\":\"a\",\"nodes\":{}}",
		"{\"ownId\":\"a\",\"masterId\":1,\"nodes\":{}}",
		"{\"ownId\":\"a\",\"masterId\":null}",
		"{\"ownId\":\"a\",\"masterId\":null,\"nodes\":[]}",
		"{\"ownId\":\"a\",\"masterId\":null,\"nodes\":{\"a\":1}}",
		"{\"ownId\":\"a\",\"masterId\":null,\"nodes\":{\"a\":{\"nodeId\":\"a\"}}}",
		"{\"ownId\":\"a\",\"masterId\":null,\"nodes\":{" NODE("a", "KING", "1") "}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *states = NULL;

		print_message("case %s\n", bad[i]);
		assert_errno(ha_states_parse(bad[i], strlen(bad[i]), &states), EBADMSG);

		assert_null(states);
	}
}

static void the_table_counts_from_the_newest_commit(void **state)
{
	/* clang-format off */
	static const char answer[] = "{\"ownId\":\"a\",\"masterId\":\"bbbbbbbb\",\"nodes\":{"
		NODE("a", "STANDBY", "1000000") ","
		NODE("bbbbbbbb", "MASTER", "995000") ","
		NODE("c", "FAILED", "100000") ","
		NODE("d", "TERMINATED", "null") "}}";
	/* clang-format on */
	json_t *states = parse(answer);
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	(void)state;
	ha_states_print(states, out);
	(void)fclose(out);

	assert_string_equal(
		text, "NODE      STATUS        ADDRESS                LAST SEEN\n"
		      "a         STANDBY       http://a:8081/         0s ago  (answered this)\n"
		      "bbbbbbbb  MASTER        http://bbbbbbbb:8081/  5s ago  master\n"
		      "c         FAILED        http://c:8081/         15m ago\n"
		      "d         TERMINATED    http://d:8081/         unknown\n");
	free(text);
	json_decref(states);
}

static void below_the_table_stands_what_was_ordered(void **state)
{
	json_t *states =
		parse("{\"ownId\":\"a\",\"masterId\":null,\"nodes\":{},\"pausedBy\":\"root@ops\","
		      "\"switchover\":{\"phase\":\"planned\",\"to\":null,\"from\":null}}");
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	(void)state;
	ha_states_print(states, out);
	(void)fclose(out);
	assert_non_null(strstr(text, "\npaused by root@ops: nobody becomes master by itself\n"
				     "switchover planned, to the best\n"));
	free(text);
	json_decref(states);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_named_node_with_status_master_is_a_master),
		cmocka_unit_test(other_answers_are_refused),
		cmocka_unit_test(the_table_counts_from_the_newest_commit),
		cmocka_unit_test(below_the_table_stands_what_was_ordered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
