/* SPDX-License-Identifier: Apache-2.0 */
/* fs/orders.c: what is kept, and what nobody of ours would have kept. */
#include "fs/index.h"
#include "fs/orders.h"
#include "tests/unit/unit.h"

static int set_up(void **state)
{
	struct index *ix;

	assert_ok(index_new(&ix));
	assert_ok(index_begin(ix));
	*state = ix;
	return 0;
}

static int tear_down(void **state)
{
	index_free(*state);
	return 0;
}

static struct orders read_orders(struct index *ix)
{
	struct orders o;

	assert_ok(orders_get(ix, &o));
	return o;
}

static void without_orders_there_are_none(void **state)
{
	struct orders o = read_orders(*state);

	assert_int_equal(o.switchover.phase, LEASE_SWITCHOVER_NONE);
	assert_string_equal(o.paused_by, "");
}

static void what_is_ordered_is_read_back_until_it_is_taken_back(void **state)
{
	struct orders_switchover s = {.phase = LEASE_SWITCHOVER_HANDED,
				      .to = "b",
				      .from = "a",
				      .at_wall_ms = 1466414301000};
	struct orders o;

	assert_ok(orders_set_switchover(*state, &s));
	assert_ok(orders_set_paused(*state, "root@ops"));
	o = read_orders(*state);
	assert_int_equal(o.switchover.phase, LEASE_SWITCHOVER_HANDED);
	assert_string_equal(o.switchover.to, "b");
	assert_string_equal(o.switchover.from, "a");
	assert_u64(o.switchover.at_wall_ms, 1466414301000);
	assert_string_equal(o.paused_by, "root@ops");

	s.phase = LEASE_SWITCHOVER_NONE;
	assert_ok(orders_set_switchover(*state, &s));
	assert_ok(orders_set_paused(*state, ""));
	o = read_orders(*state);
	assert_int_equal(o.switchover.phase, LEASE_SWITCHOVER_NONE);
	assert_string_equal(o.switchover.to, "");
	assert_u64(o.switchover.at_wall_ms, 0);
	assert_string_equal(o.paused_by, "");
}

static void what_makes_no_sense_is_no_order(void **state)
{
	static const struct {
		const char *label;
		uint64_t phase;
		const char *to, *from;
	} cases[] = {
		{"phase unknown", LEASE_SWITCHOVER_MAX_, "b", "a"},
		{"to nobody", LEASE_SWITCHOVER_ANNOUNCED, "", "a"},
		{"to no id", LEASE_SWITCHOVER_HANDED, "../b", "a"},
		{"from no id", LEASE_SWITCHOVER_HANDED, "b", "a b"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct orders o;

		print_message("  %s\n", cases[i].label);
		assert_ok(index_plane_set(*state, "switchover_phase", cases[i].phase));
		assert_ok(index_plane_set_text(*state, "switchover_to", cases[i].to));
		assert_ok(index_plane_set_text(*state, "switchover_from", cases[i].from));
		o = read_orders(*state);
		assert_int_equal(o.switchover.phase, LEASE_SWITCHOVER_NONE);
		assert_string_equal(o.switchover.to, "");
	}
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(without_orders_there_are_none),
		CASE(what_is_ordered_is_read_back_until_it_is_taken_back),
		CASE(what_makes_no_sense_is_no_order),
	};
#undef CASE

	return cmocka_run_group_tests(tests, NULL, NULL);
}
