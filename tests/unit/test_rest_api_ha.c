/* SPDX-License-Identifier: Apache-2.0 */
/* rest/api_ha.c: the documents, byte for byte. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "rest/api_ha.h"
#include "tests/unit/unit.h"

/* The example of Apache Brooklyn's page on high availability, with the white space taken out. */
#define DOCUMENTED(node_additions, plane_additions)                                                \
	"{\"ownId\":\"XkJeXUXE\",\"masterId\":\"yAVz0fzo\",\"nodes\":{"                            \
	"\"yAVz0fzo\":{\"nodeId\":\"yAVz0fzo\",\"nodeUri\":\"http://<server1-ip-address>:8081/\"," \
	"\"status\":\"MASTER\",\"localTimestamp\":1466414301065,"                                  \
	"\"remoteTimestamp\":1466414301000" node_additions "},"                                    \
	"\"XkJeXUXE\":{\"nodeId\":\"XkJeXUXE\",\"nodeUri\":\"http://<server2-ip-address>:8081/\"," \
	"\"status\":\"STANDBY\",\"localTimestamp\":1466414301066,"                                 \
	"\"remoteTimestamp\":1466414301000" node_additions "}},\"links\":{}" plane_additions "}"

static const struct rest_node documented_nodes[] = {
	{"yAVz0fzo", "http://<server1-ip-address>:8081/", "MASTER", 1466414301065, 1466414301000,
	 0},
	{"XkJeXUXE", "http://<server2-ip-address>:8081/", "STANDBY", 1466414301066, 1466414301000,
	 0},
};

static const struct rest_plane documented_plane = {
	.own_id = "XkJeXUXE",
	.plane_id = "pLaNe001",
	.master_id = "yAVz0fzo",
	.epoch = 3,
	.generation = 12,
	.n_nodes = 2,
	.nodes = documented_nodes,
};

struct fake {
	const struct rest_plane *plane;
	int planes_out; /* got and not given back */
};

static const char *fake_state(void *ctx)
{
	(void)ctx;
	return "HOT_STANDBY";
}

static const struct rest_plane *fake_plane_get(void *ctx)
{
	struct fake *f = ctx;

	f->planes_out++;
	return f->plane;
}

static void fake_plane_put(void *ctx, const struct rest_plane *plane)
{
	struct fake *f = ctx;

	assert_ptr_equal(plane, f->plane);
	f->planes_out--;
}

static struct rest_backend backend_of(struct fake *f)
{
	return (struct rest_backend){.ctx = f,
				     .state = fake_state,
				     .plane_get = fake_plane_get,
				     .plane_put = fake_plane_put};
}

/* The document for a plane; the caller frees it. */
static char *states_of(const struct rest_plane *plane)
{
	struct fake f = {.plane = plane};
	struct rest_backend b = backend_of(&f);
	char *text = NULL;

	assert_ok(rest_api_ha_states(&b, &text));
	assert_int_equal(f.planes_out, 0);
	return text;
}

static void a_state_is_a_string_with_its_quotation_marks(void **state)
{
	struct fake f = {0};
	struct rest_backend b = backend_of(&f);
	char *text = NULL;

	(void)state;
	assert_ok(rest_api_ha_state(&b, &text));

	assert_string_equal(text, "\"HOT_STANDBY\"");
	free(text);
}

static void the_documented_plane_gives_the_documented_keys_in_order_then_ours(void **state)
{
	char *text = states_of(&documented_plane);

	(void)state;
	assert_string_equal(text,
			    DOCUMENTED(",\"priority\":0",
				       ",\"planeId\":\"pLaNe001\",\"epoch\":3,\"generation\":12"
				       ",\"pausedBy\":null,\"switchover\":null"));
	free(text);
}

static void without_the_additions_it_is_the_documented_example(void **state)
{
	char *text = states_of(&documented_plane);
	json_t *document = json_loads(text, 0, NULL);
	const char *id;
	json_t *node;
	char *rest;

	(void)state;
	json_object_foreach(json_object_get(document, "nodes"), id, node)
	{
		assert_int_equal(json_object_del(node, "priority"), 0);
	}
	assert_int_equal(json_object_del(document, "planeId"), 0);
	assert_int_equal(json_object_del(document, "epoch"), 0);
	assert_int_equal(json_object_del(document, "generation"), 0);
	assert_int_equal(json_object_del(document, "pausedBy"), 0);
	assert_int_equal(json_object_del(document, "switchover"), 0);
	rest = json_dumps(document, JSON_COMPACT);

	assert_string_equal(rest, DOCUMENTED("", ""));
	free(rest);
	json_decref(document);
	free(text);
}

static void what_is_not_known_is_null_and_not_left_out(void **state)
{
	static const struct rest_node nodes[] = {
		{"a", NULL, "FAILED", REST_TIMESTAMP_NONE, REST_TIMESTAMP_NONE, -7},
	};
	static const struct rest_plane plane = {.own_id = "a", .n_nodes = 1, .nodes = nodes};
	char *text = states_of(&plane);

	(void)state;
	assert_string_equal(text, "{\"ownId\":\"a\",\"masterId\":null,\"nodes\":{"
				  "\"a\":{\"nodeId\":\"a\",\"nodeUri\":null,\"status\":\"FAILED\","
				  "\"localTimestamp\":null,\"remoteTimestamp\":null,"
				  "\"priority\":-7}},"
				  "\"links\":{},\"planeId\":null,\"epoch\":0,\"generation\":0"
				  ",\"pausedBy\":null,\"switchover\":null}");
	free(text);
}

static void a_plane_without_nodes_is_a_document_as_well(void **state)
{
	static const struct rest_plane plane = {.own_id = "a"};
	char *text = states_of(&plane);

	(void)state;
	assert_string_equal(text, "{\"ownId\":\"a\",\"masterId\":null,\"nodes\":{},\"links\":{},"
				  "\"planeId\":null,\"epoch\":0,\"generation\":0"
				  ",\"pausedBy\":null,\"switchover\":null}");
	free(text);
}

static void what_json_must_escape_is_escaped(void **state)
{
	static const struct rest_node nodes[] = {
		{"a", "http://\"x\\\n\xc3\xa4/", "MASTER", 0, -1, 0},
	};
	static const struct rest_plane plane = {.own_id = "a", .n_nodes = 1, .nodes = nodes};
	char *text = states_of(&plane);

	(void)state;
	assert_non_null(strstr(text, "\"nodeUri\":\"http://\\\"x\\\\\\n\xc3\xa4/\","));
	assert_non_null(strstr(text, "\"localTimestamp\":0,\"remoteTimestamp\":-1,"));
	free(text);
}

/* Allocations that the JSON library may still make; LONG_MAX: all that it likes. */
static long allocations_left;

static void *limited_malloc(size_t n)
{
	if (allocations_left <= 0) {
		return NULL;
	}
	allocations_left--;
	return malloc(n);
}

/* Every allocation fails once; what leaks, LeakSanitizer and valgrind tell. */
static void each_failing_allocation_is_reported_and_leaves_nothing_behind(void **state)
{
	struct fake f = {.plane = &documented_plane};
	struct rest_backend b = backend_of(&f);
	char untouched[] = "untouched";
	char *text = untouched;
	long allowed = 0;

	(void)state;
	json_set_alloc_funcs(limited_malloc, free);
	do {
		allocations_left = allowed++;
		if (rest_api_ha_states(&b, &text) == 0) {
			break;
		}
		assert_ptr_equal(text, untouched);
		assert_int_equal(f.planes_out, 0);
	} while (allowed < 1000);
	json_set_alloc_funcs(malloc, free);

	assert_in_range(allowed, 20, 999);
	assert_ptr_not_equal(text, untouched);
	free(text);
}

static void what_was_ordered_is_shown(void **state)
{
	const struct rest_plane plane = {.own_id = "a",
					 .paused_by = "root@ops",
					 .switchover_phase = "announced",
					 .switchover_to = "b",
					 .switchover_from = "a"};
	char *text = states_of(&plane);

	(void)state;
	assert_non_null(strstr(text, "\"pausedBy\":\"root@ops\",\"switchover\":{\"phase\":"
				     "\"announced\",\"to\":\"b\",\"from\":\"a\"}}"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_is_a_string_with_its_quotation_marks),
		cmocka_unit_test(the_documented_plane_gives_the_documented_keys_in_order_then_ours),
		cmocka_unit_test(without_the_additions_it_is_the_documented_example),
		cmocka_unit_test(what_is_not_known_is_null_and_not_left_out),
		cmocka_unit_test(a_plane_without_nodes_is_a_document_as_well),
		cmocka_unit_test(what_json_must_escape_is_escaped),
		cmocka_unit_test(each_failing_allocation_is_reported_and_leaves_nothing_behind),
		cmocka_unit_test(what_was_ordered_is_shown),
	};

	return cmocka_run_group_tests_name("rest/api_ha", tests, NULL, NULL);
}
