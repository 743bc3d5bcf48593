/* SPDX-License-Identifier: Apache-2.0 */
/* ha/election.c: Apache Brooklyn's order of candidates. */
#include <stdio.h>

#include "ha/election.h"
#include "ha/engine.h"
#include "tests/unit/unit.h"

static void add(struct ha_plane *plane, const char *id, const char *version, int64_t priority,
		enum ha_state status)
{
	struct ha_peer *p = &plane->peers[plane->n_peers++];

	*p = (struct ha_peer){.priority = priority, .status = status};
	(void)snprintf(p->id, sizeof(p->id), "%s", id);
	(void)snprintf(p->version, sizeof(p->version), "%s", version);
}

/* Take away the winner until none is left: the whole order. */
static void assert_order(struct ha_plane *plane, const char *const *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct ha_peer *winner = ha_election_winner(plane, NULL);

		assert_non_null(winner);
		assert_string_equal(winner->id, ids[i]);
		plane->peers[winner - plane->peers].status = HA_FAILED;
	}
	assert_null(ha_election_winner(plane, NULL));
}

/* Apache Brooklyn's MasterChooserTest.testVersionsMaybeNull. */
static void priority_then_version_decide_and_no_version_is_last(void **state)
{
	static const char *const order[] = {"node1", "node5", "node6", "node2",
					    "node4", "node7", "node3"};
	struct ha_plane plane = {0};

	(void)state;
	add(&plane, "node1", "v10", 0, HA_STANDBY);
	add(&plane, "node2", "v3-snapshot", 0, HA_STANDBY);
	add(&plane, "node3", "v3-snapshot", -1, HA_STANDBY);
	add(&plane, "node4", "v3-snapshot", 0, HA_STANDBY);
	add(&plane, "node5", "v3-stable", 0, HA_STANDBY);
	add(&plane, "node6", "v1", 0, HA_STANDBY);
	add(&plane, "node7", "", 0, HA_STANDBY);

	assert_order(&plane, order, 7);
}

/* Its testExplicityPriority. */
static void the_higher_priority_wins_and_none_is_zero(void **state)
{
	static const char *const order[] = {"node1", "node3", "node2"};
	struct ha_plane plane = {0};

	(void)state;
	add(&plane, "node1", "v1", 2, HA_STANDBY);
	add(&plane, "node2", "v1", -1, HA_STANDBY);
	add(&plane, "node3", "v1", 0, HA_STANDBY);

	assert_order(&plane, order, 3);
}

static void the_better_version_wins_wherever_it_stands(void **state)
{
	static const struct {
		const char *better, *worse;
	} cases[] = {
		{"v10", "v3.20"},
		{"v3.20", "v3.9"},
		{"1.0.1", "1.0"},
		{"1.0", "1.0-SNAPSHOT"},
		{"0.1", "9.0-Snapshot"},
		{"2.0-SNAPSHOT", "1.9-SNAPSHOT"},
		{"1.0-SNAPSHOT", ""},
		{"1.010", "1.9"},
		{"18446744073709551617", "18446744073709551616"},
		{"1.b", "1.a"},
		{"1.a", "1.1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ha_plane first = {0}, second = {0};

		print_message("  \"%s\" before \"%s\"\n", cases[i].better, cases[i].worse);
		/* The id would say otherwise. */
		add(&first, "z", cases[i].better, 0, HA_STANDBY);
		add(&first, "a", cases[i].worse, 0, HA_STANDBY);
		add(&second, "a", cases[i].worse, 0, HA_STANDBY);
		add(&second, "z", cases[i].better, 0, HA_STANDBY);

		assert_string_equal(ha_election_winner(&first, NULL)->id, "z");
		assert_string_equal(ha_election_winner(&second, NULL)->id, "z");
	}
}

static void versions_that_differ_in_leading_zeros_only_are_the_same(void **state)
{
	struct ha_plane plane = {0};

	(void)state;
	add(&plane, "b", "1.10", 0, HA_STANDBY);
	add(&plane, "a", "1.010", 0, HA_STANDBY);

	assert_string_equal(ha_election_winner(&plane, NULL)->id, "a");
}

static void the_state_decides_between_equal_versions(void **state)
{
	static const char *const order[] = {"c", "b", "a"};
	struct ha_plane plane = {0};

	(void)state;
	add(&plane, "a", "v1", 0, HA_STANDBY);
	add(&plane, "b", "v1", 0, HA_HOT_STANDBY);
	add(&plane, "c", "v1", 0, HA_MASTER);

	assert_order(&plane, order, 3);
}

static void the_lowest_id_decides_at_last_and_upper_case_is_lower(void **state)
{
	static const char *const order[] = {"XkJeXUXE", "aaaaaaaa", "yAVz0fzo"};
	struct ha_plane plane = {0};

	(void)state;
	add(&plane, "yAVz0fzo", "", 0, HA_STANDBY);
	add(&plane, "XkJeXUXE", "", 0, HA_STANDBY);
	add(&plane, "aaaaaaaa", "", 0, HA_STANDBY);

	assert_order(&plane, order, 3);
}

static void only_living_standbys_and_masters_are_candidates(void **state)
{
	static const bool is_candidate[HA_STATE_MAX_] = {
		[HA_STANDBY] = true, [HA_HOT_STANDBY] = true, [HA_MASTER] = true};

	(void)state;
	for (enum ha_state s = 0; s < HA_STATE_MAX_; s++) {
		struct ha_plane plane = {0};

		print_message("  %s\n", ha_state_name(s));
		add(&plane, "a", "v1", 0, s);
		assert_int_equal(ha_election_winner(&plane, NULL) != NULL, is_candidate[s]);
		plane.peers[0].lapsed = true;
		assert_null(ha_election_winner(&plane, NULL));
	}
}

static void whoever_is_left_out_does_not_win(void **state)
{
	struct ha_plane plane = {0};

	(void)state;
	add(&plane, "a", "v1", 5, HA_MASTER);
	assert_null(ha_election_winner(&plane, "a"));
	add(&plane, "b", "v1", 0, HA_STANDBY);
	assert_string_equal(ha_election_winner(&plane, "a")->id, "b");
	assert_string_equal(ha_election_winner(&plane, "c")->id, "a");
}

static void a_plane_without_peers_has_no_winner(void **state)
{
	const struct ha_plane plane = {0};

	(void)state;
	assert_null(ha_election_winner(&plane, NULL));
}

static void an_objection_names_the_first_rule_that_decides(void **state)
{
	static const struct {
		struct ha_peer peer;
		const char *objection;
	} losers[] = {
		{{.status = HA_STANDBY, .lapsed = true}, "lapsed"},
		{{.status = HA_FAILED, .priority = 9}, "FAILED"},
		{{.status = HA_HOT_BACKUP, .priority = 9}, "HOT_BACKUP"},
		{{.status = HA_HOT_STANDBY, .priority = -1, .version = "3"}, "lower priority"},
		{{.status = HA_HOT_STANDBY, .priority = 1}, "higher priority"},
		{{.status = HA_HOT_STANDBY, .version = "3-SNAPSHOT"}, "no release"},
		{{.status = HA_HOT_STANDBY}, "no version"},
		{{.status = HA_HOT_STANDBY, .version = "1"}, "older version"},
		{{.status = HA_STANDBY, .version = "2"}, "not hot"},
		{{.status = HA_HOT_STANDBY, .version = "2", .id = "z"}, "higher id"},
	};
	const struct ha_peer winner = {.status = HA_HOT_STANDBY, .version = "2", .id = "a"};

	(void)state;
	for (size_t i = 0; i < sizeof(losers) / sizeof(losers[0]); i++) {
		assert_string_equal(ha_election_objection(&winner, &losers[i].peer),
				    losers[i].objection);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(priority_then_version_decide_and_no_version_is_last),
		cmocka_unit_test(the_higher_priority_wins_and_none_is_zero),
		cmocka_unit_test(the_better_version_wins_wherever_it_stands),
		cmocka_unit_test(versions_that_differ_in_leading_zeros_only_are_the_same),
		cmocka_unit_test(the_state_decides_between_equal_versions),
		cmocka_unit_test(the_lowest_id_decides_at_last_and_upper_case_is_lower),
		cmocka_unit_test(only_living_standbys_and_masters_are_candidates),
		cmocka_unit_test(whoever_is_left_out_does_not_win),
		cmocka_unit_test(a_plane_without_peers_has_no_winner),
		cmocka_unit_test(an_objection_names_the_first_rule_that_decides),
	};

	return cmocka_run_group_tests_name("ha/election", tests, NULL, NULL);
}
