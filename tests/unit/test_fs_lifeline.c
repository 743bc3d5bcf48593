/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lifeline.h"
#include "tests/unit/unit.h"

static void the_last_line_of_a_node_is_its_death(void **state)
{
	struct lifeline a = {0}, b = {0}, other = {0};
	struct lifelines t;

	(void)state;
	lifelines_init(&t);
	lifeline_tie(&t, &a, "a");
	lifeline_tie(&t, &b, "a");
	lifeline_tie(&t, &other, "b");

	assert_false(lifeline_cut(&t, &a));
	assert_true(lifeline_cut(&t, &b));
	assert_true(lifeline_cut(&t, &other));
	lifelines_done(&t);
}

static void what_was_never_tied_is_no_death(void **state)
{
	struct lifeline tied = {0}, loose = {0};
	struct lifelines t;

	(void)state;
	lifelines_init(&t);
	assert_false(lifeline_cut(&t, &loose));
	lifeline_tie(&t, &tied, "a");

	assert_false(lifeline_cut(&t, &loose));
	assert_true(lifeline_cut(&t, &tied));
	lifelines_done(&t);
}

static void a_line_is_tied_once_however_often_it_is_asked_for(void **state)
{
	struct lifeline l = {0};
	struct lifelines t;

	(void)state;
	lifelines_init(&t);
	lifeline_tie(&t, &l, "a");
	lifeline_tie(&t, &l, "a");

	assert_true(lifeline_cut(&t, &l));
	assert_true(LIST_EMPTY(&t.list));
	assert_false(lifeline_cut(&t, &l));
	lifelines_done(&t);
}

static void ids_are_compared_whole(void **state)
{
	struct lifeline a = {0}, longer = {0};
	struct lifelines t;

	(void)state;
	lifelines_init(&t);
	lifeline_tie(&t, &a, "a");
	lifeline_tie(&t, &longer, "aa");

	assert_true(lifeline_cut(&t, &a));
	assert_true(lifeline_cut(&t, &longer));
	lifelines_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_line_of_a_node_is_its_death),
		cmocka_unit_test(what_was_never_tied_is_no_death),
		cmocka_unit_test(a_line_is_tied_once_however_often_it_is_asked_for),
		cmocka_unit_test(ids_are_compared_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
