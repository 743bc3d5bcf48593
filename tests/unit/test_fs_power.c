/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acknowledged means durable: everything that mounts do to the share is recorded, the power is cut
 * at each step, and from each state that POSIX allows then (tests/lib/recorder.h) a mount must
 * start, have all that was acknowledged before the cut, and go on.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/lib/mount.h"
#include "tests/lib/recorder.h"
#include "tests/unit/unit.h"

static void open_mount(struct mount *m, const struct scratch *s, const char *id)
{
	struct err err = {{0}};

	if (mount_open(m, s, id, false, &err) < 0) {
		fail_msg("%s", err.text);
	}
}

/* Send a beat of @node, in a record of @n bytes, once. */
static enum commit_verdict send_beat(struct mount *m, const char *node, size_t n)
{
	char record[CHANGE_TARGET_MAX];
	struct chain_attempt attempt = {0};
	enum commit_verdict verdict;
	int error = 0;

	memset(record, 'r', sizeof(record));
	assert_ok(index_begin(m->index));
	assert_ok(index_node_put(m->index, node, m->id, "STANDBY", record, n));
	assert_int_equal(chain_prepare(&m->chain, false, &attempt), 1);
	verdict = chain_send(&m->chain, &attempt, &error);
	if (verdict == COMMIT_UNKNOWN) {
		chain_abandon(&m->chain);
	}
	chain_attempt_done(&attempt);
	return verdict;
}

/* Every acknowledged beat raises the counter of this node, whoever commits it. */
#define ACKNOWLEDGED "acknowledged"
#define SHORT        ((size_t)2)                 /* a link */
#define LONG         ((size_t)CHANGE_TARGET_MAX) /* an image */

static void acknowledged_beat(struct mount *m, size_t n)
{
	if (chain_is_stale(&m->chain)) {
		assert_ok(mount_follow(m));
	}
	assert_int_equal(send_beat(m, ACKNOWLEDGED, n), COMMIT_OURS);
	recorder_acknowledge();
}

static uint64_t beats_of(struct mount *m)
{
	struct index_node node = {.beat = 0};
	int r = index_node_get(m->index, ACKNOWLEDGED, &node);

	assert_true(r == 0 || r == -ENOENT);
	return node.beat;
}

/* Rebuild one state and start there.  False: there is no such state. */
static bool start_after(size_t step, enum recorder_luck luck, unsigned nth,
			enum recorder_content content)
{
	struct mount m;
	void *own = NULL;
	bool is_one;

	assert_ok(scratch_set_up(&own));
	is_one = recorder_rebuild(step, luck, nth, content, ((struct scratch *)own)->fd);
	if (is_one) {
		open_mount(&m, own, "after");
		if (beats_of(&m) < recorder_acknowledged(step)) {
			fail_msg("cut before step %zu, luck %d, no. %u, content %d: %d beats of %u",
				 step, (int)luck, nth, (int)content, (int)beats_of(&m),
				 recorder_acknowledged(step));
		}
		assert_int_equal(send_beat(&m, "after", SHORT), COMMIT_OURS);
		mount_close(&m);
	}
	assert_ok(scratch_tear_down(&own));
	return is_one;
}

static void cut_everywhere(void)
{
	unsigned states = 0;

	recorder_stop();
	assert_true(recorder_acknowledged(recorder_steps()) > 0);
	for (size_t step = 0; step <= recorder_steps(); step++) {
		for (int content = 0; content < RECORDER_CONTENT_MAX_; content++) {
			states += start_after(step, RECORDER_NOTHING, 0,
					      (enum recorder_content)content);
		}
		states += start_after(step, RECORDER_EVERYTHING, 0, RECORDER_EMPTY);
		for (unsigned nth = 0; start_after(step, RECORDER_ONE, nth, RECORDER_EMPTY);
		     nth++) {
			states++;
		}
		for (unsigned nth = 0;
		     start_after(step, RECORDER_ALL_BUT, nth,
				 (enum recorder_content)(nth % RECORDER_CONTENT_MAX_));
		     nth++) {
			states++;
		}
	}
	print_message("  %zu steps, %u states\n", recorder_steps(), states);
}

static int set_up(void **state)
{
	int r = scratch_set_up(state);

	mount_now_ms = MOUNT_NOW_MS;
	if (r == 0) {
		recorder_start(((struct scratch *)*state)->path);
	}
	return r;
}

static int tear_down(void **state)
{
	recorder_stop();
	return scratch_tear_down(state);
}

static void a_new_plane_with_links_and_images(void **state)
{
	struct mount a;

	open_mount(&a, *state, "a");
	acknowledged_beat(&a, SHORT);
	acknowledged_beat(&a, LONG);
	acknowledged_beat(&a, SHORT);
	acknowledged_beat(&a, LONG);
	acknowledged_beat(&a, SHORT);
	mount_close(&a);
	cut_everywhere();
}

/* The first mount of a plane is killed before it has synced what it made, as far as @fd tells. */
static int die(void *ctx)
{
	(void)ctx;
	errno = EIO;
	return -1;
}

static void whoever_finds_a_plane_makes_it_durable(void **state)
{
	const struct scratch *s = *state;
	struct store *dead = NULL;
	struct mount b;

	recorder_on_sync(STORE_DIRECTORY, die, NULL);
	assert_true(store_open(s->fd, "dead", false, &dead, NULL) < 0);
	open_mount(&b, s, "b");
	acknowledged_beat(&b, SHORT);
	acknowledged_beat(&b, SHORT);
	mount_close(&b);
	cut_everywhere();
}

struct race {
	struct mount *other;
	size_t n;
};

/* Between another mount's creating a name and its syncing it, which is not recorded then. */
static int others_go_on(void *ctx)
{
	const struct race *race = ctx;

	assert_ok(mount_follow(race->other));
	acknowledged_beat(race->other, race->n);
	return 0;
}

static void what_is_built_on_others_leaves_no_hole(void **state)
{
	static const size_t lengths[] = {SHORT, LONG};

	for (size_t i = 0; i < 4; i++) {
		struct race race = {.n = lengths[i / 2]};
		struct mount a, b;
		void *own = NULL;

		assert_ok(scratch_set_up(&own));
		recorder_start(((struct scratch *)own)->path);
		open_mount(&a, own, "a");
		open_mount(&b, own, "b");
		acknowledged_beat(&a, SHORT);
		race.other = &b;
		recorder_on_sync("gen", others_go_on, &race);
		assert_int_equal(send_beat(&a, "a", lengths[i % 2]), COMMIT_OURS);
		assert_ok(mount_follow(&a));
		acknowledged_beat(&a, SHORT);
		mount_close(&a);
		mount_close(&b);
		cut_everywhere();
		assert_ok(scratch_tear_down(&own));
	}
	(void)state;
}

/* That the name can be read back is not enough: the next power cut may take it away again. */
static void a_name_whose_sync_failed_is_synced_before_it_is_acknowledged(void **state)
{
	struct mount a;

	open_mount(&a, *state, "a");
	acknowledged_beat(&a, SHORT);
	for (int i = 0; i < 2; i++) {
		recorder_on_sync("gen", die, NULL);
		acknowledged_beat(&a, i == 0 ? SHORT : LONG);
	}
	mount_close(&a);
	cut_everywhere();
}

/* Neither its sync nor the one after its name was read back: then the mount is killed. */
static int die_again(void *ctx)
{
	recorder_on_sync("gen", die, NULL);
	return die(ctx);
}

/* The image that makes others superfluous is of a mount that was killed before it synced it. */
static void nothing_is_collected_before_what_replaces_it_is_durable(void **state)
{
	struct chain_old old;
	struct mount a, b;

	open_mount(&a, *state, "a");
	acknowledged_beat(&a, SHORT);
	acknowledged_beat(&a, LONG);
	open_mount(&b, *state, "b");
	mount_now_ms += COMMIT_KEEP_MS + 1;
	assert_ok(mount_follow(&a));
	recorder_on_sync("gen", die_again, NULL);
	assert_int_equal(send_beat(&a, "a", LONG), COMMIT_UNKNOWN);
	mount_close(&a);
	assert_ok(mount_follow(&b));
	old = chain_old(&b.chain, mount_now_ms);
	assert_true(old.from < old.to);
	while (old.from < old.to) {
		chain_collect(b.store, &old);
	}
	mount_close(&b);
	cut_everywhere();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_new_plane_with_links_and_images),
		CASE(whoever_finds_a_plane_makes_it_durable),
		CASE(what_is_built_on_others_leaves_no_hole),
		CASE(a_name_whose_sync_failed_is_synced_before_it_is_acknowledged),
		CASE(nothing_is_collected_before_what_replaces_it_is_durable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
