/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/vkind.h"
#include "tests/unit/unit.h"

#define RECORD "{\"nodeId\":\"a\",\"status\":\"STANDBY\"}"

static void names_stand_for_kinds(void **state)
{
	static const struct {
		enum inode_kind dir;
		const char *name;
		enum inode_kind kind;
	} names[] = {
		{INODE_PASS, "nodes", INODE_NODES},
		{INODE_PASS, "master", INODE_MASTER},
		{INODE_PASS, "planeId", INODE_PLANE_ID},
		{INODE_PASS, "change.log", INODE_LOG},
		{INODE_PASS, ".holdfast", INODE_CONTROL},
		{INODE_CONTROL, "plane.json", INODE_PLANE_JSON},
		{INODE_CONTROL, "index.db", INODE_INDEX_DB},
		{INODE_CONTROL, "fence", INODE_FENCE},
		{INODE_CONTROL, "leases", INODE_LEASES},
		{INODE_LEASES, "a", INODE_LEASE},
		{INODE_LEASES, "master", INODE_LEASE},
		{INODE_LEASES, "a.x.tmp", INODE_STAGING},
		{INODE_NODES, "a", INODE_RECORD},
		{INODE_NODES, "master", INODE_RECORD},
		{INODE_NODES, "a.x.tmp", INODE_STAGING},
		{INODE_NODES, "a.x.y.tmp", INODE_STAGING},
		{INODE_PASS, "master.x.tmp", INODE_STAGING},
		/* Not in that directory. */
		{INODE_PASS, "a", INODE_KIND_MAX_},
		{INODE_PASS, "plane.json", INODE_KIND_MAX_},
		{INODE_CONTROL, "master", INODE_KIND_MAX_},
		{INODE_CONTROL, "a", INODE_KIND_MAX_},
		/* No ids, and no staging files of one. */
		{INODE_NODES, "a.x", INODE_KIND_MAX_},
		{INODE_LEASES, "a.x", INODE_KIND_MAX_},
		{INODE_LEASES, "a b", INODE_KIND_MAX_},
		{INODE_NODES, "a.tmp", INODE_KIND_MAX_},
		{INODE_NODES, "a..tmp", INODE_KIND_MAX_},
		{INODE_NODES, ".x.tmp", INODE_KIND_MAX_},
		{INODE_NODES, "-.x.tmp", INODE_KIND_MAX_},
		{INODE_NODES, "a.x.tmp2", INODE_KIND_MAX_},
		{INODE_PASS, "a.x.tmp", INODE_KIND_MAX_},
		/* Of what cannot be written there is nothing to stage. */
		{INODE_PASS, "planeId.x.tmp", INODE_KIND_MAX_},
		{INODE_PASS, "nodes.x.tmp", INODE_KIND_MAX_},
		{INODE_PASS, "change.x.tmp", INODE_KIND_MAX_},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		enum inode_kind kind = vkind_find(names[i].dir, names[i].name);

		if (kind != names[i].kind) {
			fail_msg("%s: kind %u, want %u", names[i].name, kind, names[i].kind);
		}
	}
}

static void a_staging_name_fits_a_file_name(void **state)
{
	char name[NAME_MAX + 2];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[0] = 'a';
	name[1] = '.';
	(void)snprintf(name + NAME_MAX - 4, sizeof(".tmp"), ".tmp");
	assert_int_equal(vkind_find(INODE_NODES, name), INODE_STAGING);

	name[NAME_MAX - 4] = 'x';
	memcpy(name + NAME_MAX - 3, ".tmp", sizeof(".tmp"));
	assert_int_equal(vkind_find(INODE_NODES, name), INODE_KIND_MAX_);
}

static void every_virtual_kind_has_a_row_and_its_mode_says_what_can_be_written(void **state)
{
	(void)state;
	for (unsigned kind = INODE_PASS + 1; kind < INODE_KIND_MAX_; kind++) {
		const struct vkind *k = &vkinds[kind];
		bool shows = S_ISREG(k->mode) && (k->mode & 0222);
		bool is_written = k->to_request || k->ignores_writes || kind == INODE_STAGING;

		if (k->mode == 0 || shows != is_written) {
			fail_msg("kind %u has mode %o", kind, k->mode);
		}
		if (k->name) {
			assert_int_equal(vkind_find(k->dir, k->name), kind);
		}
	}
}

static void a_record_is_written_as_it_is(void **state)
{
	struct request q;

	(void)state;
	assert_ok(vkinds[INODE_RECORD].to_request("a", RECORD, strlen(RECORD), &q));

	assert_int_equal(q.verb, REQUEST_WRITE_RECORD);
	assert_string_equal(q.node, "a");
	assert_string_equal(q.status, "STANDBY");
	assert_u64(q.n, strlen(RECORD));
	assert_memory_equal(q.text, RECORD, q.n);
}

static void what_is_no_record_of_that_name_is_refused(void **state)
{
	struct request q = {.verb = REQUEST_DUMP};

	(void)state;
	assert_errno(vkinds[INODE_RECORD].to_request("b", RECORD, strlen(RECORD), &q), EINVAL);
	assert_errno(vkinds[INODE_RECORD].to_request("a", "", 0, &q), EINVAL);
	assert_int_equal(q.verb, REQUEST_DUMP);
}

static void an_id_claims_a_lease_and_nothing_gives_it_back(void **state)
{
	static const struct {
		const char *text;
		enum request_verb verb;
		const char *node;
	} writes[] = {
		{"a", REQUEST_CLAIM, "a"},       {"a\n", REQUEST_CLAIM, "a"},
		{"a \n \n", REQUEST_CLAIM, "a"}, {"", REQUEST_RELEASE, ""},
		{"\n", REQUEST_RELEASE, ""},     {"   ", REQUEST_RELEASE, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		struct request q;

		assert_ok(vkinds[INODE_MASTER].to_request("master", writes[i].text,
							  strlen(writes[i].text), &q));
		assert_int_equal(q.verb, writes[i].verb);
		assert_string_equal(q.name, "master");
		assert_string_equal(q.node, writes[i].node);
	}
}

static void a_second_line_of_a_claim_is_its_reason(void **state)
{
	static const char text[] = "a\nwon over b (lapsed)\n";
	char longest[PARSE_ID_BYTES + REQUEST_WHY_BYTES];
	struct request q;

	(void)state;
	assert_ok(vkinds[INODE_MASTER].to_request("master", text, strlen(text), &q));
	assert_int_equal(q.verb, REQUEST_CLAIM);
	assert_string_equal(q.node, "a");
	assert_string_equal(q.why, "won over b (lapsed)");

	memset(longest, 'x', sizeof(longest));
	longest[0] = 'a';
	longest[1] = '\n';
	assert_ok(vkinds[INODE_MASTER].to_request("master", longest, 1 + REQUEST_WHY_BYTES, &q));
	assert_errno(vkinds[INODE_MASTER].to_request("master", longest, 2 + REQUEST_WHY_BYTES, &q),
		     EINVAL);
}

static void a_claim_for_what_is_no_id_is_refused(void **state)
{
	static const char *const texts[] = {"a b", " a",      "\na",      "a.b",
					    "-a",  "a\nb\nc", "a\nb\x1b", "\xc3\xa4"};
	struct request q = {.verb = REQUEST_DUMP};
	char longest[PARSE_ID_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_errno(
			vkinds[INODE_MASTER].to_request("master", texts[i], strlen(texts[i]), &q),
			EINVAL);
	}
	assert_errno(vkinds[INODE_MASTER].to_request("master", "a\0b", 3, &q), EINVAL);
	assert_errno(vkinds[INODE_MASTER].to_request("master", "a\0", 2, &q), EINVAL);
	memset(longest, 'x', sizeof(longest));
	assert_errno(vkinds[INODE_MASTER].to_request("master", longest, sizeof(longest), &q),
		     EINVAL);
	assert_int_equal(q.verb, REQUEST_DUMP);

	assert_ok(vkinds[INODE_MASTER].to_request("master", longest, sizeof(longest) - 1, &q));
	assert_int_equal(q.verb, REQUEST_CLAIM);
}

static void a_record_is_removed_by_its_name(void **state)
{
	struct request q;

	(void)state;
	vkinds[INODE_RECORD].to_removal("a", &q);

	assert_int_equal(q.verb, REQUEST_REMOVE_RECORD);
	assert_string_equal(q.node, "a");
}

static void a_record_shows_what_the_view_has(void **state)
{
	char text[] = RECORD;
	struct view_node node = {.id = "a", .record = text, .n = strlen(text), .mtime_ms = 7};
	struct view v = {.nodes = &node, .n_nodes = 1, .mtime_ms = 9};
	struct vkind_facts facts;
	char *shown = NULL;

	(void)state;
	assert_ok(vkinds[INODE_RECORD].facts(NULL, &v, "a", &facts));
	assert_u64(facts.n, strlen(RECORD));
	assert_int_equal(facts.mtime_ms, 7);
	assert_ok(vkinds[INODE_RECORD].text(NULL, &v, "a", &shown));
	assert_string_equal(shown, RECORD);
	free(shown);
	assert_string_equal(vkinds[INODE_NODES].id_at(&v, 0), "a");
	assert_null(vkinds[INODE_NODES].id_at(&v, 1));

	shown = NULL;
	assert_errno(vkinds[INODE_RECORD].facts(NULL, &v, "b", &facts), ENOENT);
	assert_errno(vkinds[INODE_RECORD].text(NULL, &v, "b", &shown), ENOENT);
	assert_null(shown);
}

static void a_further_lease_is_written_as_master_is_and_can_be_removed(void **state)
{
	struct request q;

	(void)state;
	assert_ok(vkinds[INODE_LEASE].to_request("x", "a\n", 2, &q));
	assert_int_equal(q.verb, REQUEST_CLAIM);
	assert_string_equal(q.name, "x");
	assert_string_equal(q.node, "a");

	vkinds[INODE_LEASE].to_removal("x", &q);
	assert_int_equal(q.verb, REQUEST_REMOVE_LEASE);
	assert_string_equal(q.name, "x");
	assert_null(vkinds[INODE_MASTER].to_removal);
}

static void a_lease_shows_what_the_view_has_and_master_is_always_there(void **state)
{
	struct view_lease leases[] = {
		{.name = "master", .row = {.exists = true, .holder = "a"}},
		{.name = "x", .row = {.exists = true, .holder = "node"}},
	};
	struct view v = {.leases = leases + 1, .n_leases = 1, .mtime_ms = 9};
	const struct vkind *lease = &vkinds[INODE_LEASE];
	struct vkind_facts facts;
	char *shown = NULL;

	(void)state;
	assert_ok(lease->facts(NULL, &v, "x", &facts));
	assert_u64(facts.n, strlen("node"));
	assert_ok(lease->text(NULL, &v, "x", &shown));
	assert_string_equal(shown, "node");
	free(shown);
	assert_ok(lease->facts(NULL, &v, "master", &facts));
	assert_u64(facts.n, 0);
	assert_string_equal(vkinds[INODE_LEASES].id_at(&v, 0), "master");
	assert_string_equal(vkinds[INODE_LEASES].id_at(&v, 1), "x");
	assert_null(vkinds[INODE_LEASES].id_at(&v, 2));

	shown = NULL;
	assert_errno(lease->facts(NULL, &v, "y", &facts), ENOENT);
	assert_errno(lease->text(NULL, &v, "y", &shown), ENOENT);
	assert_null(shown);

	v.leases = leases;
	v.n_leases = 2;
	assert_string_equal(vkinds[INODE_LEASES].id_at(&v, 0), "master");
	assert_string_equal(vkinds[INODE_LEASES].id_at(&v, 1), "x");
	assert_null(vkinds[INODE_LEASES].id_at(&v, 2));
}

static int fence(const char *text, struct request *ret)
{
	return vkinds[INODE_FENCE].to_request("fence", text, strlen(text), ret);
}

static void a_fence_names_the_node_the_reason_and_the_user(void **state)
{
	struct request q;

	(void)state;
	assert_ok(fence("{\"nodeId\":\"a\",\"reason\":\"caf\\u00e9\",\"user\":\"root@ops\"}", &q));
	assert_int_equal(q.verb, REQUEST_FENCE);
	assert_string_equal(q.node, "a");
	assert_string_equal(q.why, "caf\xc3\xa9");
	assert_string_equal(q.who, "root@ops");
	assert_ok(fence("{\"nodeId\":\"a\",\"reason\":\"\",\"user\":\"u\"}\n", &q));
	assert_string_equal(q.why, "");
}

#define REASON(text) "{\"nodeId\":\"a\",\"reason\":\"" text "\",\"user\":\"u\"}"
#define USER(text)   "{\"nodeId\":\"a\",\"reason\":\"\",\"user\":\"" text "\"}"
#define TEN          "0123456789"
#define THIRTY       TEN TEN TEN

static void a_fence_that_is_not_whole_or_cannot_be_told_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"a",
		"[]",
		"{\"nodeId\":\"a\",\"user\":\"u\"}",
		"{\"nodeId\":\"a\",\"reason\":\"\"}",
		"{\"reason\":\"\",\"user\":\"u\"}",
		"{\"nodeId\":\"../a\",\"reason\":\"\",\"user\":\"u\"}",
		"{\"nodeId\":\"\",\"reason\":\"\",\"user\":\"u\"}",
		"{\"nodeId\":1,\"reason\":\"\",\"user\":\"u\"}",
		"{\"nodeId\":\"a\",\"nodeId\":\"b\",\"reason\":\"\",\"user\":\"u\"}",
		USER(""),
		USER("a\\nb"),
		USER(THIRTY THIRTY "0123"),
		REASON("a\\nb"),
		REASON("a\\u001b[2J"),
		REASON("a\\u007f"),
		REASON("a\\u0000b"),
		REASON(THIRTY THIRTY THIRTY "012345"),
	};
	struct request q = {.verb = REQUEST_DUMP};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (fence(texts[i], &q) != -EINVAL) {
			fail_msg("not refused: %s", texts[i]);
		}
	}
	assert_int_equal(q.verb, REQUEST_DUMP);
	assert_ok(fence(REASON(THIRTY THIRTY THIRTY "01234"), &q));
	assert_ok(fence(USER(THIRTY THIRTY "012"), &q));
}

static void a_switchover_has_a_target_a_time_or_an_end(void **state)
{
	static const char *const refused[] = {
		"",
		"{}",
		"{\"nodeId\":\"a\"}",
		"{\"nodeId\":\"a\",\"user\":\"\"}",
		"{\"nodeId\":\"a/b\",\"user\":\"u\"}",
		"{\"nodeId\":\"a\",\"user\":\"u\\n\"}",
		"{\"nodeId\":\"a\",\"user\":\"u\",\"atTimestamp\":-1}",
		"{\"nodeId\":\"a\",\"user\":\"u\",\"cancel\":1}",
	};
	int (*to_request)(const char *, const char *, size_t, struct request *) =
		vkinds[INODE_SWITCHOVER].to_request;
	static const char now[] = "{\"nodeId\":\"\",\"user\":\"root@ops\"}";
	static const char later[] =
		"{\"nodeId\":\"b\",\"user\":\"u\",\"atTimestamp\":1466414301000}";
	static const char never[] = "{\"nodeId\":\"\",\"user\":\"u\",\"cancel\":true}";
	struct request q;

	(void)state;
	assert_ok(to_request("switchover", now, strlen(now), &q));
	assert_int_equal(q.verb, REQUEST_SWITCHOVER);
	assert_string_equal(q.node, "");
	assert_string_equal(q.who, "root@ops");
	assert_u64(q.at_wall_ms, 0);
	assert_false(q.off);
	assert_ok(to_request("switchover", later, strlen(later), &q));
	assert_string_equal(q.node, "b");
	assert_u64(q.at_wall_ms, 1466414301000);
	assert_ok(to_request("switchover", never, strlen(never), &q));
	assert_true(q.off);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		print_message("  %s\n", refused[i]);
		assert_errno(to_request("switchover", refused[i], strlen(refused[i]), &q), EINVAL);
	}
}

static void a_pause_has_somebody_who_wants_it(void **state)
{
	static const char *const refused[] = {
		"{\"paused\":true,\"user\":\"u\"}",
		"{\"paused\":1,\"user\":\"u\",\"reason\":\"\"}",
		"{\"paused\":true,\"user\":\"\",\"reason\":\"\"}",
		"{\"paused\":true,\"user\":\"u\",\"reason\":\"\\u0007\"}",
	};
	int (*to_request)(const char *, const char *, size_t, struct request *) =
		vkinds[INODE_PAUSE].to_request;
	static const char on[] = "{\"paused\":true,\"user\":\"root@ops\",\"reason\":\"upgrade\"}";
	static const char off[] = "{\"paused\":false,\"user\":\"u\",\"reason\":\"\"}";
	struct request q;

	(void)state;
	assert_ok(to_request("pause", on, strlen(on), &q));
	assert_int_equal(q.verb, REQUEST_PAUSE);
	assert_false(q.off);
	assert_string_equal(q.who, "root@ops");
	assert_string_equal(q.why, "upgrade");
	assert_ok(to_request("pause", off, strlen(off), &q));
	assert_true(q.off);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		print_message("  %s\n", refused[i]);
		assert_errno(to_request("pause", refused[i], strlen(refused[i]), &q), EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_stand_for_kinds),
		cmocka_unit_test(a_staging_name_fits_a_file_name),
		cmocka_unit_test(
			every_virtual_kind_has_a_row_and_its_mode_says_what_can_be_written),
		cmocka_unit_test(a_record_is_written_as_it_is),
		cmocka_unit_test(what_is_no_record_of_that_name_is_refused),
		cmocka_unit_test(an_id_claims_a_lease_and_nothing_gives_it_back),
		cmocka_unit_test(a_second_line_of_a_claim_is_its_reason),
		cmocka_unit_test(a_claim_for_what_is_no_id_is_refused),
		cmocka_unit_test(a_record_is_removed_by_its_name),
		cmocka_unit_test(a_record_shows_what_the_view_has),
		cmocka_unit_test(a_further_lease_is_written_as_master_is_and_can_be_removed),
		cmocka_unit_test(a_lease_shows_what_the_view_has_and_master_is_always_there),
		cmocka_unit_test(a_fence_names_the_node_the_reason_and_the_user),
		cmocka_unit_test(a_switchover_has_a_target_a_time_or_an_end),
		cmocka_unit_test(a_pause_has_somebody_who_wants_it),
		cmocka_unit_test(a_fence_that_is_not_whole_or_cannot_be_told_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
