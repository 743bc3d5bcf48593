/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "ha/snapshot.h"
#include "ha/view.h"
#include "unit.h"

static struct ha_snapshot *parse(const char *holder)
{
	static const char format[] =
		"{\"planeId\":\"p\",\"generation\":5,\"heartbeatTimeoutMs\":1,\"pollPeriodMs\":1,"
		"\"marginMs\":1,\"leases\":{\"master\":{\"holder\":%s,\"epoch\":8}},\"nodes\":{"
		"\"dead\":{\"beat\":1,\"lapsed\":true,\"remoteTimestamp\":100,"
		"\"record\":{\"nodeId\":\"dead\",\"status\":\"MASTER\",\"localTimestamp\":9}},"
		"\"gone\":{\"beat\":1,\"lapsed\":true,"
		"\"record\":{\"nodeId\":\"gone\",\"status\":\"TERMINATED\"}},"
		"\"me\":{\"beat\":1,\"lapsed\":false,\"remoteTimestamp\":200,"
		"\"record\":{\"nodeId\":\"me\",\"status\":\"STANDBY\",\"localTimestamp\":10}}}}";
	struct ha_snapshot *s = NULL;
	char text[1024];

	(void)snprintf(text, sizeof(text), format, holder);
	assert_ok(ha_snapshot_parse(text, strlen(text), &s, NULL));
	return s;
}

static struct ha_record own(enum ha_state status)
{
	return (struct ha_record){.id = "me",
				  .uri = "http://me/",
				  .version = "1",
				  .status = status,
				  .local_wall_ms = 77};
}

static void lapsed_nodes_are_failed_and_ones_own_state_is_live(void **state)
{
	struct ha_snapshot *s = parse("\"dead\"");
	struct ha_record me = own(HA_FAILED);
	const struct rest_plane *plane = ha_view_new(s, &me, 0);

	(void)state;
	ha_snapshot_unref(s); /* the view holds on to what it shows */
	assert_u64(plane->n_nodes, 3);
	assert_string_equal(plane->nodes[0].id, "dead");
	assert_string_equal(plane->nodes[0].status, "FAILED");
	assert_true(plane->nodes[0].remote_timestamp_ms == 100);
	assert_string_equal(plane->nodes[1].status, "TERMINATED");
	assert_true(plane->nodes[1].remote_timestamp_ms == REST_TIMESTAMP_NONE);
	assert_string_equal(plane->nodes[2].status, "FAILED");
	assert_string_equal(plane->nodes[2].uri, "http://me/");
	assert_true(plane->nodes[2].local_timestamp_ms == 77);
	assert_true(plane->nodes[2].remote_timestamp_ms == 200);
	assert_string_equal(plane->own_id, "me");
	assert_string_equal(plane->plane_id, "p");
	assert_u64(plane->generation, 5);
	ha_view_free(plane);
}

static void the_holder_stays_master_until_it_is_replaced(void **state)
{
	struct ha_snapshot *s = parse("\"dead\"");
	struct ha_record me = own(HA_STANDBY);
	const struct rest_plane *plane = ha_view_new(s, &me, 0);

	(void)state;
	assert_string_equal(plane->master_id, "dead");
	assert_u64(plane->epoch, 8);
	ha_view_free(plane);
	ha_snapshot_unref(s);
}

static void a_free_lease_is_nobodys(void **state)
{
	struct ha_snapshot *s = parse("null");
	struct ha_record me = own(HA_STANDBY);
	const struct rest_plane *plane = ha_view_new(s, &me, 0);

	(void)state;
	assert_null(plane->master_id);
	ha_view_free(plane);
	ha_snapshot_unref(s);
}

static void a_granted_claim_shows_before_the_next_reading(void **state)
{
	struct ha_snapshot *s = parse("\"dead\"");
	struct ha_record me = own(HA_MASTER);
	const struct rest_plane *plane = ha_view_new(s, &me, 9);

	(void)state;
	assert_string_equal(plane->master_id, "me");
	assert_u64(plane->epoch, 9);
	ha_view_free(plane);
	ha_snapshot_unref(s);
}

static void a_node_that_the_plane_does_not_have_yet_shows_itself(void **state)
{
	struct ha_snapshot *s = parse("null");
	struct ha_record new_one = own(HA_INITIALIZING);
	const struct rest_plane *plane;

	(void)state;
	new_one.id = "newOne";
	plane = ha_view_new(s, &new_one, 0);
	assert_u64(plane->n_nodes, 4);
	assert_string_equal(plane->nodes[3].id, "newOne");
	assert_string_equal(plane->nodes[3].status, "INITIALIZING");
	assert_true(plane->nodes[3].remote_timestamp_ms == REST_TIMESTAMP_NONE);
	ha_view_free(plane);
	ha_snapshot_unref(s);
}

static void alone_it_is_its_own_master_and_storage(void **state)
{
	struct ha_record me = own(HA_MASTER);
	const struct rest_plane *plane = ha_view_new(NULL, &me, 0);

	(void)state;
	assert_u64(plane->n_nodes, 1);
	assert_string_equal(plane->master_id, "me");
	assert_null(plane->plane_id);
	assert_true(plane->nodes[0].remote_timestamp_ms == plane->nodes[0].local_timestamp_ms);
	ha_view_free(plane);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lapsed_nodes_are_failed_and_ones_own_state_is_live),
		cmocka_unit_test(the_holder_stays_master_until_it_is_replaced),
		cmocka_unit_test(a_free_lease_is_nobodys),
		cmocka_unit_test(a_granted_claim_shows_before_the_next_reading),
		cmocka_unit_test(a_node_that_the_plane_does_not_have_yet_shows_itself),
		cmocka_unit_test(alone_it_is_its_own_master_and_storage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
