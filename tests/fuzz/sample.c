/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/sample.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/view.h"
#include "tests/fuzz/fuzz.h"

#define RECORD "{\"nodeId\":\"a\",\"status\":\"MASTER\"}"

/* Enough for a tree with inner pages. */
#define EVENTS 60

static void add_event(struct index *ix, const char *what, const char *detail)
{
	static uint64_t n;
	struct index_event event = {
		.at_wall_ms = 1466414301000 + (int64_t)(n++ % EVENTS),
		.epoch = 1,
		.what = what,
		.node = "a",
		.detail = detail,
		.was = "STANDBY",
		.why = "asked",
		.who = "mountone",
	};

	must(index_history_add(ix, &event) == 0);
}

static void fill(struct index *ix)
{
	static const struct index_mount process = {
		.boot = "b5f1a2c3", .pid_ns = 4026531836, .pid = 4711, .started = 1, .host = "one"};
	struct index_lock lock = {
		.name = "nightly", .mount = "mountone", .owner = UINT64_MAX, .command = "job"};

	must(index_plane_set(ix, "heartbeat_timeout_ms", 30000) == 0);
	must(index_plane_set(ix, "poll_period_ms", 1000) == 0);
	must(index_mount_put(ix, "mountone", &process) == 0);
	must(index_node_put(ix, "a", "mountone", "MASTER", RECORD, strlen(RECORD)) == 0);
	must(index_node_put(ix, "b", "mounttwo", "STANDBY", RECORD, strlen(RECORD)) == 0);
	must(index_lease_grant(ix, "master", "a") == 0);
	must(index_lock_add(ix, &lock) == 0);
	for (int i = 0; i < EVENTS; i++) {
		add_event(ix, "status", "MASTER");
	}
}

struct index *sample_new(void)
{
	struct index *ix;

	must(index_new(&ix) == 0);
	fill(ix);
	return ix;
}

void sample_change(struct index *ix, unsigned kind)
{
	switch (kind % SAMPLE_CHANGES) {
	case 0:
		must(index_node_put(ix, "a", "mountone", "MASTER", RECORD " ",
				    strlen(RECORD " ")) == 0);
		break;
	case 1:
		must(index_lease_free(ix, "master") == 0);
		must(index_lease_grant(ix, "master", "b") == 0);
		must(index_node_beat(ix, "b") == 0);
		add_event(ix, "master", "master");
		break;
	case 2:
		must(index_node_delete(ix, "b") == 0);
		add_event(ix, "deleted", "");
		break;
	case 3:
		must(index_node_put(ix, "c", "mounttwo", "STANDBY", "{}", 2) == 0);
		must(index_lease_new(ix, "other") == 0);
		must(index_lease_delete(ix, "master") == 0);
		break;
	case 4:
		must(index_lock_grant(ix, 1) == 0);
		must(index_plane_set(ix, "poll_period_ms", 500) == 0);
		break;
	default:
		must(index_lock_delete(ix, 1) == 0);
		must(index_mount_delete(ix, "mountone") == 0);
		break;
	}
}

/* A copy that the sanitizer guards. */
static void *guarded(void *bytes, size_t n)
{
	void *copy = malloc(n > 0 ? n : 1);

	must(copy);
	memcpy(copy, bytes, n);
	index_free_bytes(bytes);
	return copy;
}

void *sample_patch(unsigned kind, size_t *ret_n)
{
	struct index *ix = sample_new();
	void *bytes;

	must(index_begin(ix) == 0);
	sample_change(ix, kind);
	must(index_changes(ix, &bytes, ret_n) == 0);
	index_rollback(ix);
	index_free(ix);
	return guarded(bytes, *ret_n);
}

void *sample_image(struct index *ix, size_t *ret_n)
{
	static const struct image_head head = {
		.generation = 64, .writer = "mountone", .nonce = "nonce", .parent = "cafe"};
	void *bytes;

	must(index_to_image(ix, &head, &bytes, ret_n) == 0);
	return guarded(bytes, *ret_n);
}

static void read_all(struct index *ix)
{
	static const struct view_head head = {.generation = 64, .own_mount = "mountone"};
	struct view *view;
	int r = view_new(ix, NULL, &head, &view);

	/* The timing of the plane can be missing, or be no safe one. */
	must(r == 0 || r == -EUCLEAN);
	if (r == 0) {
		view_unref(view);
	}
}

void sample_use(struct index *ix)
{
	static struct index *other;
	_cleanup_free_ void *image = NULL;
	struct image_head head;
	void *patch;
	size_t n;
	int r;

	read_all(ix);
	for (unsigned kind = 0; kind < SAMPLE_CHANGES; kind++) {
		sample_change(ix, kind);
	}
	r = index_changes(ix, &patch, &n);
	/* A count that was the highest that there may be was counted up. */
	must(r == 0 || r == -EUCLEAN);
	if (r < 0) {
		return;
	}
	index_free_bytes(patch);

	if (!other) {
		must(index_new(&other) == 0);
	}
	image = sample_image(ix, &n);
	must(index_from_image(other, image, n, &head, NULL) == 0);
	read_all(other);
}
