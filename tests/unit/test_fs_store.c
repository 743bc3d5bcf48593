/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/store.c over a real directory.  fsync(2) and linkat(2) can be made to fail, see ld(1) --wrap.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "fs/change.h"
#include "fs/store.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

#define PLANE STORE_DIRECTORY "/plane"
#define GEN   STORE_DIRECTORY "/gen"
#define TMP   STORE_DIRECTORY "/tmp"

static struct {
	int fsync_error, link_error; /* 0: none */
	struct store *sweep;         /* whose staging files the next linkat(2) finds swept */
} fault;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_linkat(int from_dir, const char *from, int dir, const char *name, int flags);
int __wrap_linkat(int from_dir, const char *from, int dir, const char *name, int flags);

int __wrap_fsync(int fd)
{
	errno = fault.fsync_error;
	return fault.fsync_error ? -1 : __real_fsync(fd);
}

int __wrap_linkat(int from_dir, const char *from, int dir, const char *name, int flags)
{
	if (fault.sweep) {
		(void)store_sweep(fault.sweep, INT64_MAX);
		fault.sweep = NULL;
	}
	errno = fault.link_error;
	return fault.link_error ? -1 : __real_linkat(from_dir, from, dir, name, flags);
}

static int set_up(void **state)
{
	fault.fsync_error = 0;
	fault.link_error = 0;
	fault.sweep = NULL;
	return scratch_set_up(state);
}

static struct store *open_store(const struct scratch *s, bool images_only)
{
	struct store *st = NULL;
	struct err err = {{0}};

	if (store_open(s->fd, "AbCdEfGh", images_only, &st, &err) < 0) {
		fail_msg("%s", err.text);
	}
	return st;
}

static void write_file(const struct scratch *s, const char *path, const char *text)
{
	int fd = openat(s->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_ok(io_write_full(fd, text, strlen(text)));
	assert_int_equal(close(fd), 0);
}

static void assert_holds(struct store *st, uint64_t generation, enum store_kind kind,
			 const char *text)
{
	struct store_object o = {0};

	assert_ok(store_get(st, generation, &o));
	assert_int_equal(o.kind, kind);
	assert_u64(o.n, strlen(text));
	assert_memory_equal(o.bytes, text, o.n);
	assert_true(o.mtime_ms > 0);
	store_object_done(&o);
}

static const enum store_kind kinds[] = {STORE_CHANGE, STORE_IMAGE};

static void creating_is_exclusive_for_both_kinds(void **state)
{
	struct store *st = open_store(*state, false);

	for (size_t i = 0; i < 2; i++) {
		uint64_t generation = i + 1;
		int64_t mtime_ms = 0, untouched = 77;

		assert_ok(store_create(st, generation, kinds[i], "first", 5, &mtime_ms));
		assert_true(mtime_ms > 0);
		for (size_t k = 0; k < 2; k++) {
			assert_errno(
				store_create(st, generation, kinds[k], "second", 6, &untouched),
				EEXIST);
		}
		assert_u64((uint64_t)untouched, 77);
		assert_holds(st, generation, kinds[i], "first");
	}
	assert_int_equal(scratch_count(*state, TMP), 0);
	store_close(st);
}

static void what_was_created_is_read_back_with_its_kind_and_time(void **state)
{
	struct store *st = open_store(*state, false);
	struct store_object o = {0};
	int64_t mtime_ms;

	for (size_t i = 0; i < 2; i++) {
		assert_ok(store_create(st, i + 1, kinds[i], "text", 4, &mtime_ms));
		assert_ok(store_get(st, i + 1, &o));
		assert_u64((uint64_t)o.mtime_ms, (uint64_t)mtime_ms);
		store_object_done(&o);
	}
	store_close(st);
}

static void an_image_may_have_any_bytes_and_be_empty(void **state)
{
	struct store *st = open_store(*state, false);
	struct store_object o = {0};
	char bytes[256];
	int64_t mtime_ms;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (char)i;
	}
	assert_ok(store_create(st, 1, STORE_IMAGE, bytes, sizeof(bytes), &mtime_ms));
	assert_ok(store_get(st, 1, &o));
	assert_u64(o.n, sizeof(bytes));
	assert_memory_equal(o.bytes, bytes, sizeof(bytes));
	store_object_done(&o);
	assert_ok(store_create(st, 2, STORE_IMAGE, "", 0, &mtime_ms));
	assert_holds(st, 2, STORE_IMAGE, "");
	store_close(st);
}

static void a_change_may_be_as_long_as_a_target_and_no_longer(void **state)
{
	struct store *st = open_store(*state, false);
	char text[CHANGE_TARGET_MAX + 2];
	int64_t mtime_ms;

	memset(text, 'x', sizeof(text));
	assert_errno(store_create(st, 1, STORE_CHANGE, text, CHANGE_TARGET_MAX + 1, &mtime_ms),
		     ENAMETOOLONG);
	assert_int_equal(scratch_count(*state, GEN), 0);
	assert_ok(store_create(st, 1, STORE_CHANGE, text, CHANGE_TARGET_MAX, &mtime_ms));
	text[CHANGE_TARGET_MAX] = '\0';
	assert_holds(st, 1, STORE_CHANGE, text);
	store_close(st);
}

static void a_generation_that_is_not_there_says_so(void **state)
{
	struct store *st = open_store(*state, false);
	struct store_object o = {0};
	int64_t mtime_ms;

	assert_errno(store_get(st, 1, &o), ENOENT);
	assert_ok(store_delete(st, 1));
	assert_ok(store_create(st, 1, STORE_CHANGE, "x", 1, &mtime_ms));
	assert_ok(store_delete(st, 1));
	assert_errno(store_get(st, 1, &o), ENOENT);
	store_close(st);
}

static void what_is_neither_link_nor_file_is_refused(void **state)
{
	const struct scratch *s = *state;
	struct store *st = open_store(s, false);
	char name[STORE_NAME_BYTES], target[CHANGE_TARGET_MAX + 2];
	int fd;

	store_name(1, name);
	assert_int_equal(mkdirat(s->fd, name, 0700), 0);
	store_name(2, name);
	assert_int_equal(mkfifoat(s->fd, name, 0600), 0);
	store_name(3, name);
	assert_int_equal(mknodat(s->fd, name, S_IFSOCK | 0600, 0), 0);
	/* Too long for a change, too large for an image. */
	memset(target, 'x', sizeof(target));
	target[CHANGE_TARGET_MAX + 1] = '\0';
	store_name(4, name);
	assert_int_equal(symlinkat(target, s->fd, name), 0);
	store_name(5, name);
	write_file(s, name, "");
	fd = openat(s->fd, name, O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, STORE_IMAGE_MAX_BYTES + 1), 0);
	(void)close(fd);

	for (uint64_t generation = 1; generation <= 5; generation++) {
		struct store_object o = {0};

		print_message("  %d\n", (int)generation);
		assert_errno(store_get(st, generation, &o), EBADMSG);
		assert_null(o.bytes);
	}
	store_close(st);
}

static void a_list_has_all_generations_in_order_and_nothing_else(void **state)
{
	enum {
		N = 600,
	};
	const struct scratch *s = *state;
	struct store *st = open_store(s, false);
	struct store_entry *entries = NULL;
	int64_t mtime_ms;
	size_t n = 99;

	assert_ok(store_list(st, &entries, &n));
	assert_u64(n, 0);
	free(entries);
	/* Backwards: the order of creation does not count. */
	for (uint64_t g = N; g > 0; g--) {
		assert_ok(store_create(st, g, g % 64 ? STORE_CHANGE : STORE_IMAGE, "x", 1,
				       &mtime_ms));
	}
	write_file(s, GEN "/README", "");
	write_file(s, GEN "/1", "");
	write_file(s, GEN "/0000000000000000001x", "");
	write_file(s, GEN "/000000000000000000001", "");
	write_file(s, GEN "/99999999999999999999", ""); /* more than 64 bits */
	assert_ok(store_list(st, &entries, &n));
	assert_u64(n, N);
	for (size_t i = 0; i < n; i++) {
		assert_u64(entries[i].generation, i + 1);
		assert_int_equal(entries[i].kind, (i + 1) % 64 ? STORE_CHANGE : STORE_IMAGE);
	}
	free(entries);
	store_close(st);
}

static void a_failure_leaves_no_staging_file_and_no_generation(void **state)
{
	struct store *st = open_store(*state, false);
	struct store_object o = {0};
	int64_t untouched = 77;

	fault.fsync_error = EIO;
	assert_errno(store_create(st, 1, STORE_IMAGE, "x", 1, &untouched), EIO);
	fault.fsync_error = 0;
	fault.link_error = ENOSPC;
	assert_errno(store_create(st, 1, STORE_IMAGE, "x", 1, &untouched), ENOSPC);
	fault.link_error = 0;
	assert_u64((uint64_t)untouched, 77);
	assert_int_equal(scratch_count(*state, TMP), 0);
	assert_errno(store_get(st, 1, &o), ENOENT);
	assert_ok(store_create(st, 1, STORE_IMAGE, "x", 1, &untouched));
	store_close(st);
}

/*
 * On a local directory the name is durable only after the directory was synced: not known is not
 * done.
 */
static void a_name_that_could_not_be_synced_is_not_reported_as_done(void **state)
{
	struct store *st = open_store(*state, false);
	int64_t mtime_ms;

	fault.fsync_error = EIO;
	assert_errno(store_create(st, 1, STORE_CHANGE, "x", 1, &mtime_ms), EIO);
	fault.fsync_error = 0;
	assert_holds(st, 1, STORE_CHANGE, "x"); /* whoever asks finds that it is there */
	store_close(st);
}

/* When a file was last written, as the server tells it. */
static void set_mtime(const struct scratch *s, const char *path, int64_t ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	assert_int_equal(utimensat(s->fd, path, (struct timespec[]){t, t}, AT_SYMLINK_NOFOLLOW), 0);
}

static void old_staging_files_of_anybody_are_swept_and_nothing_else(void **state)
{
	static const struct {
		const char *name;
		int64_t mtime_ms;
		bool stays;
	} files[] = {
		{TMP "/dead.1", 1000, false},
		{TMP "/dead.18446744073709551615", 1999, false},
		{TMP "/AbCdEfGh.7", 1999, false}, /* our own, of a publication that failed */
		{TMP "/alive.1", 2000, true},
		{TMP "/alive.2", 5000, true},
		/* Nobody of ours made these. */
		{TMP "/README", 1000, true},
		{TMP "/a.b", 1000, true},
		{TMP "/.1", 1000, true},
		{TMP "/dead.", 1000, true},
	};
	const size_t n = sizeof(files) / sizeof(files[0]);
	const struct scratch *s = *state;
	struct store *st = open_store(s, false);

	for (size_t i = 0; i < n; i++) {
		write_file(s, files[i].name, "x");
		set_mtime(s, files[i].name, files[i].mtime_ms);
	}
	assert_int_equal(symlinkat("x", s->fd, TMP "/probe.1"), 0);
	set_mtime(s, TMP "/probe.1", 1000);

	assert_int_equal(store_sweep(st, 2000), 4);
	for (size_t i = 0; i < n; i++) {
		print_message("  %s\n", files[i].name);
		assert_int_equal(faccessat(s->fd, files[i].name, F_OK, 0) == 0, files[i].stays);
	}
	assert_int_equal(scratch_count(s, TMP), 6);
	assert_int_equal(store_sweep(st, 2000), 0);
	store_close(st);
}

static void a_sweep_looks_at_so_many_files_and_no_more(void **state)
{
	const struct scratch *s = *state;
	struct store *st = open_store(s, false);
	int swept = 0, r;

	for (int i = 0; i < STORE_SWEEP_MAX + 10; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), TMP "/dead.%d", i);
		assert_int_equal(symlinkat("x", s->fd, name), 0);
	}
	while ((r = store_sweep(st, INT64_MAX)) > 0) {
		assert_true(r <= STORE_SWEEP_MAX);
		swept += r;
	}
	assert_ok(r);
	assert_int_equal(swept, STORE_SWEEP_MAX + 10);
	store_close(st);
}

/* Names that are none of ours do not count, and what cannot be deleted is no end. */
static void nothing_stands_in_the_way_of_a_sweep(void **state)
{
	const struct scratch *s = *state;
	struct store *st = open_store(s, false);
	char name[64];

	for (int i = 0; i < STORE_SWEEP_MAX + 10; i++) {
		(void)snprintf(name, sizeof(name), TMP "/foreign-%d", i);
		assert_int_equal(symlinkat("x", s->fd, name), 0);
	}
	/* In whatever order they are listed, some file comes after some directory. */
	for (int i = 0; i < 20; i++) {
		(void)snprintf(name, sizeof(name), TMP "/directory.%d", i);
		assert_int_equal(mkdirat(s->fd, name, 0700), 0);
		(void)snprintf(name, sizeof(name), TMP "/dead.%d", i);
		assert_int_equal(symlinkat("x", s->fd, name), 0);
	}
	assert_int_equal(store_sweep(st, INT64_MAX), 20);
	assert_int_equal(scratch_count(s, TMP), STORE_SWEEP_MAX + 10 + 20);
	store_close(st);
}

/* As a mount finds it that hung between staging and linking until it was taken for dead. */
static void a_publication_whose_staging_file_was_swept_stages_anew(void **state)
{
	struct store *st = open_store(*state, false);
	struct store_object o = {0};
	int64_t mtime_ms = 77;

	fault.sweep = st;
	assert_errno(store_create(st, 1, STORE_IMAGE, "x", 1, &mtime_ms), ENOENT);
	assert_u64((uint64_t)mtime_ms, 77);
	assert_errno(store_get(st, 1, &o), ENOENT);
	assert_ok(store_create(st, 1, STORE_IMAGE, "x", 1, &mtime_ms));
	assert_holds(st, 1, STORE_IMAGE, "x");
	store_close(st);
}

/* Its own name in tmp is not the name that is to be created: nobody was first. */
static void a_staging_name_that_exists_is_not_taken_for_the_generation(void **state)
{
	const struct scratch *s = *state;
	struct store *st = open_store(s, true);
	int64_t mtime_ms;

	/* What its next publication will use; a plane of images has used one. */
	write_file(s, TMP "/AbCdEfGh.2", "left over");
	assert_errno(store_create(st, 1, STORE_IMAGE, "x", 1, &mtime_ms), EAGAIN);
	assert_int_equal(scratch_count(s, TMP), 0);
	assert_ok(store_create(st, 1, STORE_IMAGE, "x", 1, &mtime_ms));
	store_close(st);
}

static void a_plane_is_created_once_and_keeps_its_id(void **state)
{
	struct store *first = open_store(*state, false), *second = open_store(*state, false);

	assert_true(parse_id_is_valid(store_plane_id(first)));
	assert_string_equal(store_plane_id(first), store_plane_id(second));
	assert_int_equal(scratch_count(*state, TMP), 0);
	store_close(first);
	store_close(second);
}

static void images_only_is_remembered_and_cannot_be_changed_later(void **state)
{
	void *other = NULL;
	struct store *st = open_store(*state, true);

	assert_false(store_has_changes(st));
	store_close(st);
	st = open_store(*state, false);
	assert_false(store_has_changes(st));
	store_close(st);

	assert_ok(scratch_set_up(&other));
	st = open_store(other, false);
	assert_true(store_has_changes(st));
	store_close(st);
	st = open_store(other, true);
	assert_true(store_has_changes(st));
	store_close(st);
	assert_ok(scratch_tear_down(&other));
}

static void a_plane_file_of_another_format_is_refused_by_name(void **state)
{
	static const char *const texts[] = {
		"",
		"holdfast plane 2\nid AbCdEfGh\nchanges yes\n",
		"holdfast plane 1\n",
		"holdfast plane 1\nid AbCdEfGh\n",
		"holdfast plane 1\nid \nchanges yes\n",
		"holdfast plane 1\nid a/b\nchanges yes\n",
		"holdfast plane 1\nid AbCdEfGh\nchanges\n",
		"holdfast plane 1\nid AbCdEfGh\nchanges yes",
		"holdfast plane 1\nid AbCdEfGh\nchanges yess\n",
		"holdfast plane 1\nid AbCdEfGh\nchanges maybe\n",
		"holdfast plane 1\nid AbCdEfGh\nchanges yo\n",
		"something else\n",
	};
	const struct scratch *s = *state;

	store_close(open_store(s, false));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct store *untouched = NULL;
		struct err err = {{0}};

		print_message("  %zu\n", i);
		write_file(s, PLANE, texts[i]);
		assert_errno(store_open(s->fd, "x", false, &untouched, &err), EBADMSG);
		assert_null(untouched);
		assert_non_null(strstr(err.text, PLANE));
	}
	write_file(s, PLANE, "holdfast plane 1\nid AbCdEfGh\nchanges no\n");
	store_close(open_store(s, false));
}

static void a_link_in_the_place_of_a_directory_is_not_followed(void **state)
{
	const struct scratch *s = *state;
	struct store *untouched = NULL;

	assert_int_equal(mkdirat(s->fd, "elsewhere", 0700), 0);
	assert_int_equal(symlinkat("elsewhere", s->fd, STORE_DIRECTORY), 0);
	assert_true(store_open(s->fd, "x", false, &untouched, NULL) < 0);
	assert_null(untouched);
	assert_int_equal(scratch_count(s, "elsewhere"), 0);
}

struct opener {
	pthread_t thread;
	pthread_barrier_t *barrier;
	int backing_fd;
	char id[PARSE_ID_BYTES];
	int result;
	char plane_id[PARSE_ID_BYTES];
};

static void *run_opener(void *arg)
{
	struct opener *o = arg;
	struct store *st;

	(void)pthread_barrier_wait(o->barrier);
	o->result = store_open(o->backing_fd, o->id, false, &st, NULL);
	if (o->result == 0) {
		(void)snprintf(o->plane_id, sizeof(o->plane_id), "%s", store_plane_id(st));
		store_close(st);
	}
	return NULL;
}

#define OPENERS 4
#define ROUNDS  25

static void stores_that_open_an_empty_directory_at_once_agree_on_the_plane(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct opener openers[OPENERS];
		pthread_barrier_t barrier;
		void *own = NULL;

		assert_ok(scratch_set_up(&own));
		assert_int_equal(pthread_barrier_init(&barrier, NULL, OPENERS), 0);
		for (size_t i = 0; i < OPENERS; i++) {
			openers[i] = (struct opener){.barrier = &barrier,
						     .backing_fd = ((struct scratch *)own)->fd};
			(void)snprintf(openers[i].id, sizeof(openers[i].id), "m%zu", i);
			assert_int_equal(
				pthread_create(&openers[i].thread, NULL, run_opener, &openers[i]),
				0);
		}
		for (size_t i = 0; i < OPENERS; i++) {
			assert_int_equal(pthread_join(openers[i].thread, NULL), 0);
		}
		for (size_t i = 0; i < OPENERS; i++) {
			assert_ok(openers[i].result);
			assert_string_equal(openers[i].plane_id, openers[0].plane_id);
		}
		assert_int_equal(scratch_count(own, TMP), 0);
		(void)pthread_barrier_destroy(&barrier);
		assert_ok(scratch_tear_down(&own));
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, scratch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(creating_is_exclusive_for_both_kinds),
		CASE(what_was_created_is_read_back_with_its_kind_and_time),
		CASE(an_image_may_have_any_bytes_and_be_empty),
		CASE(a_change_may_be_as_long_as_a_target_and_no_longer),
		CASE(a_generation_that_is_not_there_says_so),
		CASE(what_is_neither_link_nor_file_is_refused),
		CASE(a_list_has_all_generations_in_order_and_nothing_else),
		CASE(a_failure_leaves_no_staging_file_and_no_generation),
		CASE(a_name_that_could_not_be_synced_is_not_reported_as_done),
		CASE(old_staging_files_of_anybody_are_swept_and_nothing_else),
		CASE(a_sweep_looks_at_so_many_files_and_no_more),
		CASE(nothing_stands_in_the_way_of_a_sweep),
		CASE(a_publication_whose_staging_file_was_swept_stages_anew),
		CASE(a_staging_name_that_exists_is_not_taken_for_the_generation),
		CASE(a_plane_is_created_once_and_keeps_its_id),
		CASE(images_only_is_remembered_and_cannot_be_changed_later),
		CASE(a_plane_file_of_another_format_is_refused_by_name),
		CASE(a_link_in_the_place_of_a_directory_is_not_followed),
		CASE(stores_that_open_an_empty_directory_at_once_agree_on_the_plane),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
