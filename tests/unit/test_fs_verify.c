/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/verify.c over a real directory.  A collection, or an error, comes in between where
 * readlinkat(2) is called, see ld(1) --wrap.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "fs/change.h"
#include "fs/index.h"
#include "fs/pack.h"
#include "fs/store.h"
#include "fs/verify.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

struct log {
	const struct scratch *scratch;
	struct store *store;
	struct index *index;
	uint64_t generation;
	char hash[CHANGE_HASH_BYTES]; /* of the newest generation */
};

static void publish(struct log *l, enum store_kind kind, const void *bytes, size_t n)
{
	int64_t mtime_ms;

	assert_ok(store_create(l->store, ++l->generation, kind, bytes, n, &mtime_ms));
	change_hash(bytes, n, l->hash);
}

static void beat(struct log *l)
{
	assert_ok(index_node_put(l->index, "node", "mount", "STANDBY", "{}", 2));
}

static void add_image_of(struct log *l, uint64_t number, const char *parent)
{
	struct image_head head = {.generation = number, .writer = "mount", .nonce = "nonce"};
	void *bytes, *packed;
	size_t n, n_packed;

	(void)snprintf(head.parent, sizeof(head.parent), "%s", parent);
	beat(l);
	assert_ok(index_to_image(l->index, &head, &bytes, &n));
	assert_ok(pack(bytes, n, &packed, &n_packed));
	publish(l, STORE_IMAGE, packed, n_packed);
	free(packed);
	index_free_bytes(bytes);
}

static void add_image(struct log *l)
{
	char parent[CHANGE_HASH_BYTES];

	(void)snprintf(parent, sizeof(parent), "%s", l->hash);
	add_image_of(l, l->generation + 1, parent);
}

static void add_change_of(struct log *l, const char *parent)
{
	struct change change = {.writer = "mount", .nonce = "nonce"};
	char target[CHANGE_TARGET_MAX + 1];
	void *patch;

	(void)snprintf(change.parent, sizeof(change.parent), "%s", parent);
	assert_ok(index_begin(l->index));
	beat(l);
	assert_ok(index_changes(l->index, &patch, &change.n));
	assert_true(change.n <= sizeof(change.patch));
	memcpy(change.patch, patch, change.n);
	index_free_bytes(patch);
	assert_ok(change_format(&change, target, sizeof(target)));
	assert_ok(index_commit(l->index));
	publish(l, STORE_CHANGE, target, strlen(target));
}

static void add_changes(struct log *l, unsigned n)
{
	char parent[CHANGE_HASH_BYTES];

	while (n-- > 0) {
		(void)snprintf(parent, sizeof(parent), "%s", l->hash);
		add_change_of(l, parent);
	}
}

/* Images 1, 5 and 9; 12 is the newest. */
static void log_fill(struct log *l)
{
	for (int i = 0; i < 3; i++) {
		add_image(l);
		add_changes(l, 3);
	}
}

static void log_open(struct log *l, const struct scratch *s)
{
	*l = (struct log){.scratch = s};
	assert_ok(store_open(s->fd, "mount", false, &l->store, NULL));
	assert_ok(index_new(&l->index));
}

static void log_close(struct log *l)
{
	index_free(l->index);
	store_close(l->store);
}

static void delete_up_to(struct log *l, uint64_t last)
{
	for (uint64_t g = 1; g <= last; g++) {
		assert_ok(store_delete(l->store, g));
	}
}

/* Put @bytes in the place of a generation. */
static void forge(struct log *l, uint64_t generation, enum store_kind kind, const void *bytes,
		  size_t n)
{
	int64_t mtime_ms;

	assert_ok(store_delete(l->store, generation));
	assert_ok(store_create(l->store, generation, kind, bytes, n, &mtime_ms));
}

/* Change one byte of a generation. */
static void flip(struct log *l, uint64_t generation, size_t at, char mask)
{
	struct store_object o = {0};

	assert_ok(store_get(l->store, generation, &o));
	assert_true(at < o.n);
	o.bytes[at] = (char)(o.bytes[at] ^ mask);
	forge(l, generation, o.kind, o.bytes, o.n);
	store_object_done(&o);
}

static struct {
	const char *name; /* when this generation is asked for, */
	int error;        /* the answer is this, */
	struct log *log;  /* or this log is collected up to .last before, and .log NULL again */
	uint64_t last;
} world;

ssize_t __real_readlinkat(int dir, const char *path, char *ret, size_t n);
ssize_t __wrap_readlinkat(int dir, const char *path, char *ret, size_t n);

ssize_t __wrap_readlinkat(int dir, const char *path, char *ret, size_t n)
{
	struct log *l = NULL;

	if (world.name && strcmp(path, world.name) == 0) {
		l = take_ptr(world.log);
		if (world.error) {
			errno = world.error;
			return -1;
		}
	}
	if (l) {
		delete_up_to(l, world.last);
	}
	return __real_readlinkat(dir, path, ret, n);
}

static int set_up(void **state)
{
	memset(&world, 0, sizeof(world));
	return scratch_set_up(state);
}

#define FOUND_MAX 8

struct found {
	int r;
	struct fs_verify_report report;
	size_t n;
	uint64_t generations[FOUND_MAX];
	char why[FOUND_MAX][ERR_BYTES];
};

static void on_fault(void *arg, const char *name, const char *why)
{
	struct found *f = arg;

	assert_true(f->n < FOUND_MAX);
	assert_int_equal(strlen(name), 20);
	assert_ok(parse_u64(name, &f->generations[f->n]));
	(void)snprintf(f->why[f->n], sizeof(f->why[f->n]), "%s", why);
	f->n++;
}

/* By a store that may only read. */
static struct found verify(const struct scratch *s)
{
	struct found f = {.n = 0};
	struct store *store;

	assert_ok(store_open_readonly(s->fd, &store, NULL));
	f.r = fs_verify_generations(store, on_fault, &f, &f.report);
	store_close(store);
	if (f.r == 0) {
		assert_u64(f.report.faults, f.n);
	}
	return f;
}

static void assert_one_fault(const struct found *f, uint64_t generation, const char *why)
{
	assert_int_equal(f->r, 0);
	assert_u64(f->n, 1);
	assert_u64(f->generations[0], generation);
	assert_string_equal(f->why[0], why);
}

static void assert_walked(const struct found *f, uint64_t oldest, uint64_t newest, size_t images,
			  size_t links)
{
	assert_u64(f->report.oldest, oldest);
	assert_u64(f->report.newest, newest);
	assert_u64(f->report.images, images);
	assert_u64(f->report.links, links);
}

static void a_valid_chain_has_no_fault(void **state)
{
	struct log l;
	struct found f;

	log_open(&l, *state);
	log_fill(&l);
	f = verify(*state);
	assert_int_equal(f.r, 0);
	assert_u64(f.n, 0);
	assert_walked(&f, 1, 12, 3, 9);
	assert_u64(f.report.newest_image, 9);
	log_close(&l);
}

static void an_empty_log_is_a_report_of_zeros(void **state)
{
	struct log l;
	struct found f;

	log_open(&l, *state);
	f = verify(*state);
	assert_int_equal(f.r, 0);
	assert_u64(f.n, 0);
	assert_walked(&f, 0, 0, 0, 0);
	assert_u64(f.report.newest_image, 0);
	log_close(&l);
}

static void what_a_collection_has_left_before_the_oldest_image_is_no_fault(void **state)
{
	struct log l;
	struct found f;

	log_open(&l, *state);
	log_fill(&l);
	delete_up_to(&l, 2);
	f = verify(*state);
	assert_u64(f.n, 0);
	assert_walked(&f, 5, 12, 2, 6);
	log_close(&l);
}

static void names_that_are_no_numbers_are_left_out(void **state)
{
	static const char *const names[] = {".nfs000000000001", "7", "0000000000000000001x"};
	const struct scratch *s = *state;
	struct log l;
	struct found f;

	log_open(&l, s);
	log_fill(&l);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[STORE_NAME_BYTES];

		(void)snprintf(path, sizeof(path), STORE_DIRECTORY "/gen/%s", names[i]);
		assert_int_equal(mknodat(s->fd, path, S_IFREG | 0600, 0), 0);
	}
	f = verify(s);
	assert_u64(f.n, 0);
	assert_walked(&f, 1, 12, 3, 9);
	log_close(&l);
}

static void what_is_collected_meanwhile_is_no_fault(void **state)
{
	/* Where the walk is then, and the last one that is gone. */
	static const struct {
		const char *at;
		uint64_t last;
		size_t images, links;
	} cases[] = {
		{"00000000000000000001", 4, 2, 6}, {"00000000000000000003", 4, 3, 7},
		{"00000000000000000004", 6, 2, 5}, {"00000000000000000005", 8, 2, 6},
		{"00000000000000000006", 9, 3, 3},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		void *scratch;
		struct log l;
		struct found f;

		print_message("at %s\n", cases[i].at);
		assert_int_equal(scratch_set_up(&scratch), 0);
		log_open(&l, scratch);
		log_fill(&l);
		if (cases[i].last == 9) {
			add_image(&l);
		}
		world.name = cases[i].at;
		world.log = &l;
		world.last = cases[i].last;
		f = verify(scratch);
		assert_null(world.log);
		assert_int_equal(f.r, 0);
		assert_u64(f.n, 0);
		assert_walked(&f, 1, l.generation, cases[i].images, cases[i].links);
		log_close(&l);
		assert_int_equal(scratch_tear_down(&scratch), 0);
	}
	(void)state;
}

static void a_hole_is_one_fault_however_wide(void **state)
{
	struct log l;
	struct found f;

	log_open(&l, *state);
	log_fill(&l);
	assert_ok(store_delete(l.store, 6));
	assert_ok(store_delete(l.store, 7));
	f = verify(*state);
	assert_one_fault(&f, 6, "is missing, though later generations are there");
	assert_walked(&f, 1, 12, 3, 7);
	log_close(&l);
}

/* The walk must not count its way to a number that anybody may have chosen. */
static void a_file_far_above_the_newest_is_found_at_once(void **state)
{
	struct log l;
	struct found f;
	int64_t mtime_ms;

	log_open(&l, *state);
	log_fill(&l);
	assert_ok(store_create(l.store, UINT64_MAX, STORE_IMAGE, "x", 1, &mtime_ms));
	f = verify(*state);
	assert_int_equal(f.r, 0);
	assert_u64(f.n, 2);
	assert_u64(f.generations[0], 13);
	assert_u64(f.generations[1], UINT64_MAX);
	assert_u64(f.report.newest_image, 9);
	log_close(&l);
}

static void every_flipped_byte_of_a_change_is_found(void **state)
{
	struct store_object o = {0};
	struct log l;

	log_open(&l, *state);
	log_fill(&l);
	assert_ok(store_get(l.store, 6, &o));
	for (size_t at = 0; at < o.n; at++) {
		struct found f;

		flip(&l, 6, at, 1);
		f = verify(*state);
		/* Where it is a change all the same, the next one does not descend from it. */
		assert_int_equal(f.r, 0);
		assert_u64(f.n, 1);
		assert_true(f.generations[0] == 6 ||
			    (f.generations[0] == 7 && strstr(f.why[0], "does not descend")));
		assert_walked(&f, 1, 12, 3, 9);
		forge(&l, 6, STORE_CHANGE, o.bytes, o.n);
	}
	store_object_done(&o);
	log_close(&l);
}

static void a_flipped_byte_of_an_image_is_found(void **state)
{
	/* In zlib's header, in what it packed, in its check sum. */
	static const size_t at[] = {0, 1, 2, 100, 400, 700};
	struct store_object o = {0};
	struct log l;

	log_open(&l, *state);
	log_fill(&l);
	assert_ok(store_get(l.store, 5, &o));
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct found f;

		print_message("byte %zu of %zu\n", at[i], o.n);
		flip(&l, 5, at[i], 0x40);
		f = verify(*state);
		assert_int_equal(f.r, 0);
		assert_u64(f.n, 1);
		assert_true(f.generations[0] == 5 ||
			    (f.generations[0] == 6 && strstr(f.why[0], "does not descend")));
		assert_u64(f.report.newest_image, 9);
		forge(&l, 5, STORE_IMAGE, o.bytes, o.n);
	}
	store_object_done(&o);
	log_close(&l);
}

/* What comes after a fault up to the next image is not blamed for it. */
static void a_fault_is_told_once_and_the_walk_goes_on(void **state)
{
	struct log l;
	struct found f;

	log_open(&l, *state);
	log_fill(&l);
	forge(&l, 2, STORE_CHANGE, "no change", 9);
	forge(&l, 9, STORE_IMAGE, "no image", 8);
	f = verify(*state);
	assert_int_equal(f.r, 0);
	assert_u64(f.n, 2);
	assert_u64(f.generations[0], 2);
	assert_string_equal(f.why[0], "the link's text is no change");
	assert_u64(f.generations[1], 9);
	assert_walked(&f, 1, 12, 3, 9);
	assert_u64(f.report.newest_image, 5);
	log_close(&l);
}

static void a_wrong_parent_is_a_fault(void **state)
{
	static const char wrong[] =
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	struct log l;
	struct found f;

	log_open(&l, *state);
	add_image(&l);
	add_change_of(&l, wrong);
	add_changes(&l, 1);
	f = verify(*state);
	assert_one_fault(&f, 2, "does not descend from the generation before it");

	add_image_of(&l, 4, wrong);
	add_changes(&l, 1);
	f = verify(*state);
	assert_int_equal(f.r, 0);
	assert_u64(f.n, 2);
	assert_u64(f.generations[1], 4);
	assert_string_equal(f.why[1], "does not descend from the generation before it");
	log_close(&l);
}

static void an_image_that_is_another_generation_is_a_fault(void **state)
{
	struct log l;
	struct found f;

	log_open(&l, *state);
	add_image(&l);
	add_image_of(&l, 7, l.hash);
	f = verify(*state);
	assert_one_fault(&f, 2, "the image says that it is another generation");
	assert_u64(f.report.newest_image, 1);
	log_close(&l);
}

/* A change that is right in itself, of rows that are not there. */
static void a_change_that_does_not_apply_is_a_fault(void **state)
{
	struct log l, other;
	struct found f;

	log_open(&l, *state);
	add_image(&l);
	(void)memcpy(&other, &l, sizeof(l));
	assert_ok(index_new(&other.index));
	assert_ok(index_node_put(other.index, "node", "mount", "STANDBY", "{}", 2));
	assert_ok(index_node_delete(other.index, "node"));
	add_changes(&other, 1);
	f = verify(*state);
	assert_one_fault(&f, 2, "the change does not apply");
	index_free(other.index);
	log_close(&l);
}

static void what_is_neither_link_nor_file_is_a_fault(void **state)
{
	const struct scratch *s = *state;
	char path[STORE_NAME_BYTES];
	struct log l;
	struct found f;

	log_open(&l, s);
	log_fill(&l);
	store_name(13, path);
	assert_int_equal(mknodat(s->fd, path, S_IFIFO | 0600, 0), 0);
	f = verify(s);
	assert_one_fault(&f, 13, "neither a symbolic link nor a plain file of allowed size");
	assert_u64(f.report.newest, 13);
	log_close(&l);
}

static void without_an_image_nothing_can_be_tried(void **state)
{
	struct log l;
	struct found f;

	log_open(&l, *state);
	add_image(&l);
	add_changes(&l, 2);
	assert_ok(store_delete(l.store, 1));
	f = verify(*state);
	assert_one_fault(&f, 3, "there is no image at or before it");
	assert_walked(&f, 0, 3, 0, 0);
	log_close(&l);
}

/* That is no proof of damage: nobody may move the file aside because of it. */
static void what_cannot_be_read_ends_the_walk_with_its_error(void **state)
{
	static const int errors[] = {EIO, EACCES, ESTALE};
	struct fs_verify_report report = {.oldest = 77};
	struct log l;

	log_open(&l, *state);
	log_fill(&l);
	world.name = "00000000000000000006";
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct found f = {.n = 0};

		world.error = errors[i];
		f.r = fs_verify_generations(l.store, on_fault, &f, &report);
		assert_int_equal(f.r, -errors[i]);
		assert_u64(report.oldest, 77);
		assert_u64(f.n, 1);
		assert_u64(f.generations[0], 6);
		assert_non_null(strstr(f.why[0], "cannot be read"));
	}
	assert_int_equal(fs_verify_generations(l.store, NULL, NULL, &report), -ESTALE);
	log_close(&l);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, scratch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_valid_chain_has_no_fault),
		TEST(an_empty_log_is_a_report_of_zeros),
		TEST(what_a_collection_has_left_before_the_oldest_image_is_no_fault),
		TEST(names_that_are_no_numbers_are_left_out),
		TEST(what_is_collected_meanwhile_is_no_fault),
		TEST(a_hole_is_one_fault_however_wide),
		TEST(a_file_far_above_the_newest_is_found_at_once),
		TEST(every_flipped_byte_of_a_change_is_found),
		TEST(a_flipped_byte_of_an_image_is_found),
		TEST(a_fault_is_told_once_and_the_walk_goes_on),
		TEST(a_wrong_parent_is_a_fault),
		TEST(an_image_that_is_another_generation_is_a_fault),
		TEST(a_change_that_does_not_apply_is_a_fault),
		TEST(what_is_neither_link_nor_file_is_a_fault),
		TEST(without_an_image_nothing_can_be_tried),
		TEST(what_cannot_be_read_ends_the_walk_with_its_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
