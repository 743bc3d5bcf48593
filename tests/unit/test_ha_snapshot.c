/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ha/snapshot.h"
#include "unit.h"

#define TOP                                                                                        \
	"\"planeId\":\"pLane001\",\"mountId\":\"m1\",\"generation\":12,"                           \
	"\"heartbeatTimeoutMs\":30000,\"pollPeriodMs\":1000,\"marginMs\":3000,\"problem\":null"
#define FREE_LEASE "\"leases\":{\"master\":{\"holder\":null,\"epoch\":0,\"remainingMs\":null}}"
#define RECORD(id, status)                                                                         \
	"\"record\":{\"nodeId\":\"" id "\",\"nodeUri\":\"http://" id "/\",\"status\":\"" status    \
	"\",\"priority\":1,\"version\":\"0.1.0\",\"localTimestamp\":99}"
#define NODE(id, status, beat, lapsed)                                                             \
	"\"" id "\":{\"mountId\":\"m1\",\"ours\":true,\"beat\":" beat                              \
	",\"ageMs\":210,\"lapsed\":" lapsed                                                        \
	",\"remoteTimestamp\":1466414301000," RECORD(id, status) "}"

static struct ha_snapshot *parse(const char *text)
{
	struct ha_snapshot *s = NULL;
	struct err err = {0};
	int r = ha_snapshot_parse(text, strlen(text), &s, &err);

	if (r < 0) {
		fail_msg("%s: %s", err.text, text);
	}
	return s;
}

static void the_whole_plane_is_read(void **state)
{
	struct ha_snapshot *s =
		parse("{" TOP ",\"leases\":{\"master\":{\"holder\":\"b\",\"epoch\":3}},"
		      "\"nodes\":{" NODE("b", "MASTER", "17", "true") "," NODE("a", "STANDBY", "4",
									       "false") "}}");
	struct ha_plane plane;

	(void)state;
	assert_string_equal(s->plane_id, "pLane001");
	assert_null(s->problem);
	assert_string_equal(s->master, "b");
	assert_u64(s->epoch, 3);
	assert_u64(s->generation, 12);
	assert_u64(s->timeout_ms, 30000);
	assert_u64(s->poll_ms, 1000);
	assert_u64(s->margin_ms, 3000);
	assert_u64(s->n_nodes, 2);
	assert_string_equal(s->nodes[0].record.id, "b");
	assert_true(s->nodes[0].remote_wall_ms == 1466414301000);
	assert_ptr_equal(ha_snapshot_find(s, "a"), &s->nodes[1]);
	assert_null(ha_snapshot_find(s, "c"));

	ha_snapshot_to_plane(s, "a", 0, &plane);
	assert_string_equal(plane.master, "b");
	assert_u64(plane.epoch, 3);
	assert_u64(plane.n_peers, 2);
	assert_string_equal(plane.peers[0].id, "b"); /* both are involved: the file's order */
	assert_int_equal(plane.peers[0].status, HA_MASTER);
	assert_u64(plane.peers[0].beat, 17);
	assert_true(plane.peers[0].lapsed);
	assert_string_equal(plane.peers[0].version, "0.1.0");
	assert_true(plane.peers[0].priority == 1);
	assert_false(plane.peers[1].lapsed);
	ha_snapshot_unref(s);
}

static void a_bad_record_does_not_hide_the_others(void **state)
{
	static const char *const bad[] = {
		"\"x\":null",
		"\"x\":{\"beat\":1,\"lapsed\":false,\"record\":null}",
		"\"x\":{\"beat\":1,\"lapsed\":false,\"record\":{\"nodeId\":\"y\"}}",
		"\"x\":{\"beat\":-1,\"lapsed\":false," RECORD("x", "STANDBY") "}",
		"\"x\":{\"beat\":1," RECORD("x", "STANDBY") "}",
		"\"x\":{\"beat\":1,\"lapsed\":0," RECORD("x", "STANDBY") "}",
		"\"x\":{\"lapsed\":false," RECORD("x", "STANDBY") "}",
		"\".swp\":{\"beat\":1,\"lapsed\":false," RECORD(".swp", "STANDBY") "}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[2048];
		struct ha_snapshot *s;

		(void)snprintf(text, sizeof(text), "{" TOP "," FREE_LEASE ",\"nodes\":{%s,%s}}",
			       bad[i], NODE("good", "STANDBY", "1", "false"));
		print_message("case %s\n", bad[i]);
		s = parse(text);

		assert_u64(s->n_nodes, 1);
		assert_string_equal(s->nodes[0].record.id, "good");
		ha_snapshot_unref(s);
	}
}

static void a_plane_that_is_not_whole_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *text, *reason;
	} bad[] = {
		{"", "line"},
		{"{", "line"},
		{"[]", "planeId"},
		{"{" TOP "," FREE_LEASE "}", "nodes"},
		{"{" TOP "," FREE_LEASE ",\"nodes\":[]}", "nodes"},
		{"{" TOP ",\"nodes\":{}}", "holder"},
		{"{" TOP ",\"leases\":{},\"nodes\":{}}", "holder"},
		{"{" TOP ",\"leases\":{\"master\":{\"holder\":null}},\"nodes\":{}}", "epoch"},
		{"{" TOP ",\"leases\":{\"master\":{\"holder\":\"../a\",\"epoch\":1}},"
		 "\"nodes\":{}}",
		 "holder"},
		{"{\"planeId\":\"p\",\"generation\":-1}", "generation"},
		{"{\"planeId\":\"p\",\"generation\":\"1\"}", "generation"},
		{"{\"planeId\":\"p\",\"planeId\":\"q\"}", "line"},
		{"{\"planeId\":\"p\",\"generation\":1}", "heartbeatTimeoutMs"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ha_snapshot *s = NULL;
		struct err err = {0};

		print_message("case %s\n", bad[i].text);
		assert_errno(ha_snapshot_parse(bad[i].text, strlen(bad[i].text), &s, &err),
			     EBADMSG);

		assert_null(s);
		assert_non_null(strstr(err.text, bad[i].reason));
	}
}

/* A plane of @n nodes n000, n001, …; those from @first_dead on have lapsed. */
static struct ha_snapshot *parse_many(unsigned n, unsigned first_dead, const char *master)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct ha_snapshot *s;

	(void)fprintf(out,
		      "{" TOP ",\"leases\":{\"master\":{\"holder\":\"%s\",\"epoch\":1}},"
		      "\"nodes\":{",
		      master);
	for (unsigned i = 0; i < n; i++) {
		(void)fprintf(out,
			      "%s\"n%03u\":{\"beat\":1,\"lapsed\":%s,\"record\":{\"nodeId\":"
			      "\"n%03u\",\"status\":\"STANDBY\"}}",
			      i ? "," : "", i, i >= first_dead ? "true" : "false", i);
	}
	(void)fprintf(out, "}}");
	(void)fclose(out);
	s = parse(text);
	free(text);
	return s;
}

static void orders_are_read_and_a_plan_is_due_by_the_wall_clock(void **state)
{
	struct ha_snapshot *s =
		parse("{" TOP ",\"pausedBy\":\"root@ops\",\"switchover\":{\"phase\":\"planned\","
		      "\"to\":\"b\",\"from\":null,\"atTimestamp\":5000,\"ageMs\":7}," FREE_LEASE
		      ",\"nodes\":{}}");
	struct ha_plane plane;

	(void)state;
	assert_string_equal(s->paused_by, "root@ops");
	ha_snapshot_to_plane(s, "a", 4999, &plane);
	assert_true(plane.paused);
	assert_int_equal(plane.switchover.phase, HA_SWITCHOVER_PLANNED);
	assert_string_equal(plane.switchover.to, "b");
	assert_string_equal(plane.switchover.from, "");
	assert_u64(plane.switchover.age_ms, 7);
	assert_false(plane.switchover.due);
	ha_snapshot_to_plane(s, "a", 5000, &plane);
	assert_true(plane.switchover.due);
	ha_snapshot_unref(s);

	/* A mount that knows of none says nothing. */
	s = parse("{" TOP "," FREE_LEASE ",\"nodes\":{}}");
	ha_snapshot_to_plane(s, "a", 0, &plane);
	assert_false(plane.paused);
	assert_int_equal(plane.switchover.phase, HA_SWITCHOVER_NONE);
	ha_snapshot_unref(s);
}

static bool has_peer(const struct ha_plane *plane, const char *id)
{
	for (unsigned i = 0; i < plane->n_peers; i++) {
		if (strcmp(plane->peers[i].id, id) == 0) {
			return true;
		}
	}
	return false;
}

static void the_dead_are_left_out_first_but_never_master_or_self(void **state)
{
	/* The living ones stand last in the file, behind more dead ones than there is room for. */
	struct ha_snapshot *s = parse_many(200, 0, "n150");
	struct ha_plane plane;

	(void)state;
	s->nodes[198].lapsed = false;
	s->nodes[197].lapsed = false;
	s->nodes[197].record.status = HA_TERMINATED;
	ha_snapshot_to_plane(s, "n199", 0, &plane);

	assert_u64(plane.n_peers, HA_PEERS_MAX);
	assert_true(has_peer(&plane, "n150"));
	assert_true(has_peer(&plane, "n199"));
	assert_true(has_peer(&plane, "n198"));
	assert_false(has_peer(&plane, "n197"));
	ha_snapshot_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_plane_is_read),
		cmocka_unit_test(a_bad_record_does_not_hide_the_others),
		cmocka_unit_test(a_plane_that_is_not_whole_is_refused_with_the_reason),
		cmocka_unit_test(orders_are_read_and_a_plan_is_due_by_the_wall_clock),
		cmocka_unit_test(the_dead_are_left_out_first_but_never_master_or_self),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
