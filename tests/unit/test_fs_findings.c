/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/findings.h"
#include "tests/unit/unit.h"

#define FINDINGS_MAX 4

struct list {
	size_t n;
	struct finding v[FINDINGS_MAX];
};

static void keep(void *arg, const struct finding *f)
{
	struct list *list = arg;

	assert_true(list->n < FINDINGS_MAX);
	list->v[list->n++] = *f;
}

static struct list some_findings(void)
{
	struct list list = {0};
	struct findings to = {.add = keep, .arg = &list};

	findings_ok(&to, "one", "is %d", 1);
	findings_bad(&to, FINDING_WARN, "two", "it matters", "do this", "is %s", "a\nb\xff");
	return list;
}

static void the_worst_verdict_counts(void **state)
{
	struct list list = some_findings();
	struct findings to = {.add = keep, .arg = &list};

	(void)state;
	assert_int_equal(findings_worst(NULL, 0), FINDING_OK);
	assert_int_equal(findings_worst(list.v, 1), FINDING_OK);
	assert_int_equal(findings_worst(list.v, 2), FINDING_WARN);
	findings_bad(&to, FINDING_FAIL, "three", "why", "what", "bad");
	findings_ok(&to, "four", "good");
	assert_int_equal(findings_worst(list.v, list.n), FINDING_FAIL);
}

static void what_is_well_takes_one_line_and_the_rest_three(void **state)
{
	struct list list = some_findings();
	char text[512] = "";
	FILE *stream = fmemopen(text, sizeof(text), "w");

	(void)state;
	assert_non_null(stream);
	findings_print(stream, &list.v[0]);
	findings_print(stream, &list.v[1]);
	(void)fclose(stream);
	assert_string_equal(text, "ok    one: is 1\n"
				  "warn  two: is a?b\xff\n"
				  "      why: it matters\n"
				  "      do:  do this\n");
}

static void json_has_all_of_it_and_is_valid_whatever_a_file_is_called(void **state)
{
	struct list list = some_findings();
	char text[2048] = "";
	FILE *stream = fmemopen(text, sizeof(text), "w");
	json_auto_t *document = NULL;
	const json_t *one, *two;

	(void)state;
	assert_non_null(stream);
	assert_ok(findings_print_json(stream, "/srv/\xff", list.v, list.n));
	(void)fclose(stream);
	document = json_loads(text, 0, NULL);
	assert_non_null(document);
	assert_string_equal(json_string_value(json_object_get(document, "directory")), "/srv/?");
	assert_string_equal(json_string_value(json_object_get(document, "verdict")), "warn");
	one = json_array_get(json_object_get(document, "findings"), 0);
	two = json_array_get(json_object_get(document, "findings"), 1);
	assert_u64(json_array_size(json_object_get(document, "findings")), 2);
	assert_string_equal(json_string_value(json_object_get(one, "verdict")), "ok");
	assert_string_equal(json_string_value(json_object_get(one, "item")), "one");
	assert_string_equal(json_string_value(json_object_get(one, "finding")), "is 1");
	assert_true(json_is_null(json_object_get(one, "why")));
	assert_true(json_is_null(json_object_get(one, "advice")));
	assert_string_equal(json_string_value(json_object_get(two, "finding")), "is a?b?");
	assert_string_equal(json_string_value(json_object_get(two, "why")), "it matters");
	assert_string_equal(json_string_value(json_object_get(two, "advice")), "do this");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_worst_verdict_counts),
		cmocka_unit_test(what_is_well_takes_one_line_and_the_rest_three),
		cmocka_unit_test(json_has_all_of_it_and_is_valid_whatever_a_file_is_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
