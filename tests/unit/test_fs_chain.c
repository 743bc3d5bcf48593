/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/chain.c over a real directory: races, lost answers, damage and sleep.  The clock and the two
 * calls that create a generation are ours, see ld(1) --wrap.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "fs/chain.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

#define GEN    STORE_DIRECTORY "/gen"
#define DIGITS 20

static const struct chain_birth birth = {.timeout_ms = 5000, .poll_ms = 1000};

enum lie {
	TELL_THE_TRUTH,
	DO_AND_DENY, /* carried out, and answered with an error */
	DENY,        /* not carried out */
};

static struct {
	uint64_t now_ms;
	enum lie lie; /* about the next call that creates a generation */
	int error;
	void (*on_created)(void *ctx); /* runs once, before the answer */
	void *ctx;
	uint64_t read_takes_ms; /* the next reading of a generation */
} world;

uint64_t __wrap_clock_boot_ms(void);
int __real_symlinkat(const char *target, int dir, const char *name);
int __wrap_symlinkat(const char *target, int dir, const char *name);
int __real_linkat(int from_dir, const char *from, int dir, const char *name, int flags);
int __wrap_linkat(int from_dir, const char *from, int dir, const char *name, int flags);

ssize_t __real_readlinkat(int dir, const char *name, char *ret, size_t n);
ssize_t __wrap_readlinkat(int dir, const char *name, char *ret, size_t n);

ssize_t __wrap_readlinkat(int dir, const char *name, char *ret, size_t n)
{
	world.now_ms += world.read_takes_ms;
	world.read_takes_ms = 0;
	return __real_readlinkat(dir, name, ret, n);
}

uint64_t __wrap_clock_boot_ms(void)
{
	return world.now_ms;
}

/* Returns what the call is to answer; @done is what it answered if it was carried out. */
static int answer(int done, enum lie lie)
{
	void (*on_created)(void *ctx) = take_ptr(world.on_created);

	if (on_created) {
		on_created(world.ctx);
	}
	if (lie == TELL_THE_TRUTH) {
		return done;
	}
	errno = world.error;
	return -1;
}

static enum lie take_lie(const char *name)
{
	enum lie lie = TELL_THE_TRUTH;

	if (strlen(name) == DIGITS) {
		lie = world.lie;
		world.lie = TELL_THE_TRUTH;
	}
	return lie;
}

int __wrap_symlinkat(const char *target, int dir, const char *name)
{
	enum lie lie = take_lie(name);

	return answer(lie == DENY ? -1 : __real_symlinkat(target, dir, name), lie);
}

int __wrap_linkat(int from_dir, const char *from, int dir, const char *name, int flags)
{
	enum lie lie = take_lie(name);

	return answer(lie == DENY ? -1 : __real_linkat(from_dir, from, dir, name, flags), lie);
}

static int set_up(void **state)
{
	memset(&world, 0, sizeof(world));
	world.now_ms = 1000000;
	return scratch_set_up(state);
}

struct mount {
	char id[PARSE_ID_BYTES];
	struct store *store;
	struct index *index;
	struct chain chain;
	struct chain_attempt attempt;
};

static int try_open(struct mount *m, const struct scratch *s, const char *id, bool images_only,
		    struct err *reterr)
{
	*m = (struct mount){0};
	(void)snprintf(m->id, sizeof(m->id), "%s", id);
	assert_ok(store_open(s->fd, id, images_only, &m->store, reterr));
	assert_ok(index_new(&m->index));
	return chain_load(&m->chain, m->store, m->index, id, &birth, reterr);
}

static void mount_open(struct mount *m, const struct scratch *s, const char *id)
{
	assert_ok(try_open(m, s, id, false, NULL));
}

static void mount_close(struct mount *m)
{
	chain_attempt_done(&m->attempt);
	index_free(m->index);
	store_close(m->store);
}

/* The mount's node beats, in a transaction that is ready to be sent. */
static void prepare_beat(struct mount *m)
{
	assert_ok(index_begin(m->index));
	assert_ok(index_node_put(m->index, m->id, m->id, "STANDBY", "{}", 2));
	chain_attempt_done(&m->attempt);
	assert_int_equal(chain_prepare(&m->chain, false, &m->attempt), 1);
}

static enum commit_verdict send_once(struct mount *m, int *ret_error)
{
	return chain_send(&m->chain, &m->attempt, ret_error);
}

static void assert_verdict(struct mount *m, enum commit_verdict want)
{
	int error = 0;

	assert_int_equal(send_once(m, &error), want);
}

/* Up to the newest generation; how many were applied. */
static int follow(struct mount *m)
{
	uint64_t start = m->chain.generation;
	int r;

	do {
		r = chain_catch_up(&m->chain);
		assert_ok(r);
	} while (r > 0);
	return (int)(m->chain.generation - start);
}

/* As fs/plane.c does it. */
static void beat(struct mount *m)
{
	if (chain_is_stale(&m->chain)) {
		(void)follow(m);
	}
	prepare_beat(m);
	assert_verdict(m, COMMIT_OURS);
}

static void beats(struct mount *m, unsigned n)
{
	while (n-- > 0) {
		beat(m);
	}
}

static uint64_t beats_of(struct mount *m, const char *id)
{
	struct index_node node = {.beat = 0};
	int r = index_node_get(m->index, id, &node);

	assert_true(r == 0 || r == -ENOENT);
	return node.beat;
}

static void assert_agree(struct mount *a, struct mount *b)
{
	assert_u64(a->chain.generation, b->chain.generation);
	assert_string_equal(a->chain.hash, b->chain.hash);
	assert_u64(beats_of(a, a->id), beats_of(b, a->id));
	assert_u64(beats_of(a, b->id), beats_of(b, b->id));
}

static bool is_link(const struct scratch *s, uint64_t generation)
{
	char path[STORE_NAME_BYTES];
	struct stat st;

	store_name(generation, path);
	assert_int_equal(fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return S_ISLNK(st.st_mode);
}

static bool is_there(const struct scratch *s, uint64_t generation)
{
	char path[STORE_NAME_BYTES];
	struct stat st;

	store_name(generation, path);
	return fstatat(s->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void a_new_plane_begins_with_an_image_of_its_timing(void **state)
{
	struct scratch *s = *state;
	struct mount a;
	uint64_t value;

	mount_open(&a, s, "a");
	assert_u64(a.chain.generation, 1);
	assert_false(is_link(s, 1));
	assert_ok(index_plane_get(a.index, "heartbeat_timeout_ms", &value));
	assert_u64(value, birth.timeout_ms);
	assert_ok(index_plane_get(a.index, "poll_period_ms", &value));
	assert_u64(value, birth.poll_ms);
	mount_close(&a);
}

static void a_transaction_without_changes_publishes_nothing(void **state)
{
	struct mount a;

	mount_open(&a, *state, "a");
	assert_ok(index_begin(a.index));
	assert_int_equal(chain_prepare(&a.chain, false, &a.attempt), 0);
	index_rollback(a.index);
	mount_close(&a);
	assert_int_equal(scratch_count(*state, GEN), 1);
}

/* A mount that holds locks and has nothing else to say. */
static void a_generation_that_changes_nothing_says_that_its_writer_lives(void **state)
{
	struct mount a, b;

	mount_open(&a, *state, "a");
	mount_open(&b, *state, "b");
	chain_news_clear(&b.chain);
	assert_ok(index_begin(a.index));
	assert_int_equal(chain_prepare(&a.chain, true, &a.attempt), 1);
	assert_verdict(&a, COMMIT_OURS);
	assert_int_equal(follow(&b), 1);
	assert_true(chain_news_has(&b.chain.news, "a"));
	assert_false(chain_news_has(&b.chain.news, "b"));
	assert_agree(&a, &b);
	mount_close(&a);
	mount_close(&b);
}

static void of_two_that_race_one_wins_and_the_other_goes_on_top(void **state)
{
	struct mount a, b;

	mount_open(&a, *state, "a");
	mount_open(&b, *state, "b");
	prepare_beat(&a);
	prepare_beat(&b);
	assert_verdict(&a, COMMIT_OURS);
	assert_verdict(&b, COMMIT_THEIRS);
	/* Its own is rolled back, and it stands where the winner does. */
	assert_u64(beats_of(&b, "b"), 0);
	assert_agree(&a, &b);
	assert_int_equal(follow(&b), 0);

	beat(&b);
	assert_u64(b.chain.generation, 3);
	assert_int_equal(follow(&a), 1);
	assert_int_equal(follow(&a), 0);
	assert_agree(&a, &b);
	assert_u64(beats_of(&a, "a"), 1);
	assert_u64(beats_of(&a, "b"), 1);
	mount_close(&a);
	mount_close(&b);
}

/* So that a mount that is far behind can show what it has in between. */
static void catching_up_goes_in_steps(void **state)
{
	struct mount a, b;

	mount_open(&a, *state, "a");
	mount_open(&b, *state, "b");
	beats(&a, CHAIN_CATCH_UP_MAX + 5);
	assert_int_equal(chain_catch_up(&b.chain), CHAIN_CATCH_UP_MAX);
	assert_int_equal(chain_catch_up(&b.chain), 5);
	assert_int_equal(chain_catch_up(&b.chain), 0);
	assert_agree(&a, &b);
	mount_close(&a);
	mount_close(&b);
}

static void every_64th_generation_is_an_image_and_a_late_mount_loads_it(void **state)
{
	struct scratch *s = *state;
	struct mount a, late;

	mount_open(&a, s, "a");
	beats(&a, 2 * CHAIN_IMAGE_EVERY + 5);
	for (uint64_t g = 2; g <= a.chain.generation; g++) {
		assert_int_equal(is_link(s, g), g % CHAIN_IMAGE_EVERY != 0);
	}
	/* Nothing before the newest image is needed, and nothing of it read. */
	for (uint64_t g = 2; g < CHAIN_IMAGE_EVERY; g++) {
		assert_ok(store_delete(a.store, g));
	}
	mount_open(&late, s, "late");
	assert_agree(&a, &late);
	beat(&late);
	assert_int_equal(follow(&a), 1);
	assert_agree(&a, &late);
	mount_close(&late);
	mount_close(&a);
}

static void a_share_without_links_gets_images_only(void **state)
{
	struct scratch *s = *state;
	struct mount a, b;

	assert_ok(try_open(&a, s, "a", true, NULL));
	mount_open(&b, s, "b");
	beats(&a, 3);
	assert_int_equal(follow(&b), 3);
	beat(&b);
	assert_int_equal(follow(&a), 1);
	assert_agree(&a, &b);
	for (uint64_t g = 1; g <= 5; g++) {
		assert_false(is_link(s, g));
	}
	assert_int_equal(scratch_count(s, STORE_DIRECTORY "/tmp"), 0);
	mount_close(&a);
	mount_close(&b);
}

static void a_change_too_long_for_a_link_becomes_an_image(void **state)
{
	struct scratch *s = *state;
	char record[1500];
	struct mount a, b;

	mount_open(&a, s, "a");
	mount_open(&b, s, "b");
	memset(record, 'r', sizeof(record));
	assert_ok(index_begin(a.index));
	assert_ok(index_node_put(a.index, "a", "a", "STANDBY", record, sizeof(record)));
	assert_int_equal(chain_prepare(&a.chain, false, &a.attempt), 1);
	assert_verdict(&a, COMMIT_OURS);
	assert_false(is_link(s, 2));
	assert_int_equal(follow(&b), 1);
	beat(&b);
	assert_true(is_link(s, 3));
	assert_int_equal(follow(&a), 1);
	assert_agree(&a, &b);
	mount_close(&a);
	mount_close(&b);
}

/* Both ways to create a generation, and what a server may say of a call that it has carried out. */
static const struct {
	bool images_only;
	int error;
} lost_answers[] = {
	{false, EEXIST}, {false, EIO}, {false, ESTALE}, {false, ENOSPC},
	{true, EEXIST},  {true, EIO},  {true, ESTALE},  {true, ENOSPC},
};

static void a_commit_that_was_done_but_denied_is_ours(void **state)
{
	for (size_t i = 0; i < sizeof(lost_answers) / sizeof(lost_answers[0]); i++) {
		struct mount a, b;
		void *own = NULL;

		print_message("  %s %s\n", strerrorname_np(lost_answers[i].error),
			      lost_answers[i].images_only ? "image" : "link");
		assert_ok(scratch_set_up(&own));
		assert_ok(try_open(&a, own, "a", lost_answers[i].images_only, NULL));
		mount_open(&b, own, "b");
		prepare_beat(&a);
		world.lie = DO_AND_DENY;
		world.error = lost_answers[i].error;
		assert_verdict(&a, COMMIT_OURS);
		assert_u64(a.attempt.t0_ms, world.now_ms);
		assert_true(a.attempt.mtime_ms > 0);
		assert_u64(beats_of(&a, "a"), 1);
		assert_int_equal(follow(&b), 1);
		assert_agree(&a, &b);
		beat(&a);
		mount_close(&a);
		mount_close(&b);
		assert_ok(scratch_tear_down(&own));
	}
	(void)state;
}

/* The lease is counted from t0: that of the second sending would be too late. */
static void an_unknown_outcome_keeps_the_time_of_the_first_sending(void **state)
{
	for (int images_only = 0; images_only < 2; images_only++) {
		struct mount a;
		void *own = NULL;
		uint64_t first_ms;
		int error = 0;

		assert_ok(scratch_set_up(&own));
		assert_ok(try_open(&a, own, "a", images_only, NULL));
		prepare_beat(&a);
		first_ms = world.now_ms;
		for (int sendings = 0; sendings < 3; sendings++) {
			world.lie = DENY;
			world.error = EIO;
			assert_int_equal(send_once(&a, &error), COMMIT_UNKNOWN);
			assert_int_equal(error, -EIO);
			world.now_ms += 100;
		}
		/* Refused, but an earlier sending may still be on its way. */
		world.lie = DENY;
		world.error = ENOSPC;
		assert_int_equal(send_once(&a, &error), COMMIT_UNKNOWN);

		assert_verdict(&a, COMMIT_OURS);
		assert_u64(a.attempt.t0_ms, first_ms);
		assert_u64(a.chain.generation, 2);
		assert_u64(beats_of(&a, "a"), 1);
		mount_close(&a);
		assert_ok(scratch_tear_down(&own));
	}
	(void)state;
}

static void an_unknown_outcome_may_end_as_theirs(void **state)
{
	struct mount a, b;
	int error;

	mount_open(&a, *state, "a");
	mount_open(&b, *state, "b");
	prepare_beat(&a);
	world.lie = DENY;
	world.error = EIO;
	assert_int_equal(send_once(&a, &error), COMMIT_UNKNOWN);
	beat(&b);
	assert_verdict(&a, COMMIT_THEIRS);
	assert_agree(&a, &b);
	beat(&a);
	assert_int_equal(follow(&b), 1);
	assert_agree(&a, &b);
	mount_close(&a);
	mount_close(&b);
}

static void a_full_disk_fails_and_the_next_commit_works(void **state)
{
	struct mount a;
	int error = 0;

	mount_open(&a, *state, "a");
	prepare_beat(&a);
	world.lie = DENY;
	world.error = ENOSPC;
	assert_int_equal(send_once(&a, &error), COMMIT_FAILED);
	assert_int_equal(error, -ENOSPC);
	assert_u64(beats_of(&a, "a"), 0);
	beat(&a);
	assert_u64(a.chain.generation, 2);
	assert_u64(beats_of(&a, "a"), 1);
	mount_close(&a);
}

static void an_abandoned_attempt_leaves_the_index_as_it_was(void **state)
{
	struct mount a;
	int error;

	mount_open(&a, *state, "a");
	prepare_beat(&a);
	world.lie = DENY;
	world.error = EIO;
	assert_int_equal(send_once(&a, &error), COMMIT_UNKNOWN);
	chain_abandon(&a.chain);
	assert_u64(beats_of(&a, "a"), 0);
	assert_int_equal(scratch_count(*state, GEN), 1);
	mount_close(&a);
}

/* Generations 1 to LAST, of which IMAGE is the newest image; followers stand at IMAGE. */
#define IMAGE  CHAIN_IMAGE_EVERY
#define MIDDLE (IMAGE + 2)
#define LAST   (IMAGE + 4)

static void replace_by_link(const struct scratch *s, uint64_t generation, const char *target)
{
	char path[STORE_NAME_BYTES];

	store_name(generation, path);
	(void)unlinkat(s->fd, path, 0);
	assert_int_equal(__real_symlinkat(target, s->fd, path), 0);
}

static void replace_by_file(const struct scratch *s, uint64_t generation, const char *bytes,
			    size_t n)
{
	char path[STORE_NAME_BYTES];
	int fd;

	store_name(generation, path);
	(void)unlinkat(s->fd, path, 0);
	fd = openat(s->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_ok(io_write_full(fd, bytes, n));
	assert_int_equal(close(fd), 0);
}

/* The target of a link; returns its length. */
static size_t target_of(const struct scratch *s, uint64_t generation, char *ret, size_t room)
{
	char path[STORE_NAME_BYTES];
	ssize_t n;

	store_name(generation, path);
	n = readlinkat(s->fd, path, ret, room - 1);
	assert_true(n > 0);
	ret[n] = '\0';
	return (size_t)n;
}

static void text_of_newest(const struct scratch *s)
{
	replace_by_link(s, LAST, "1.a.b.0123456789abcdef");
}

static void text_of_middle(const struct scratch *s)
{
	replace_by_link(s, MIDDLE, "../../elsewhere");
}

static void cut_text_of_newest(const struct scratch *s)
{
	char target[CHANGE_TARGET_MAX + 1];
	size_t n = target_of(s, LAST, target, sizeof(target));

	target[n - 1] = '\0';
	replace_by_link(s, LAST, target);
}

static void other_parent_of_newest(const struct scratch *s)
{
	char target[CHANGE_TARGET_MAX + 1];
	char *hash;

	(void)target_of(s, LAST, target, sizeof(target));
	hash = strrchr(target, '.') - CHANGE_SHORT_HASH;
	hash[0] = hash[0] == '0' ? '1' : '0';
	replace_by_link(s, LAST, target);
}

/* A change that is well-formed, but is not the one that its child descends from. */
static void other_content_of_middle(const struct scratch *s)
{
	char target[CHANGE_TARGET_MAX + 1];
	char *nonce;

	(void)target_of(s, MIDDLE, target, sizeof(target));
	nonce = strchr(strchr(target, '.') + 1, '.') + 1;
	nonce[0] = nonce[0] == 'x' ? 'y' : 'x';
	replace_by_link(s, MIDDLE, target);
}

/* An update of a row that is not there: the text of the newest, once more. */
static void change_that_does_not_apply(const struct scratch *s)
{
	char target[CHANGE_TARGET_MAX + 1], hash[CHANGE_HASH_BYTES];
	size_t n = target_of(s, LAST - 1, target, sizeof(target));
	struct change change;
	struct mount m;

	change_hash(target, n, hash);
	mount_open(&m, s, "ghost");
	assert_ok(index_begin(m.index));
	assert_ok(index_node_put(m.index, "ghost", "ghost", "STANDBY", "{}", 2));
	assert_ok(index_commit(m.index));
	prepare_beat(&m);
	assert_ok(change_parse(m.attempt.bytes, m.attempt.n, &change));
	index_rollback(m.index);
	mount_close(&m);
	memcpy(change.parent, hash, sizeof(hash));
	assert_ok(change_format(&change, target, sizeof(target)));
	replace_by_link(s, LAST, target);
}

static void hole_in_the_middle(const struct scratch *s)
{
	char path[STORE_NAME_BYTES];

	store_name(MIDDLE, path);
	assert_int_equal(unlinkat(s->fd, path, 0), 0);
}

static void directory_as_newest(const struct scratch *s)
{
	char path[STORE_NAME_BYTES];

	store_name(LAST, path);
	assert_int_equal(unlinkat(s->fd, path, 0), 0);
	assert_int_equal(mkdirat(s->fd, path, 0700), 0);
}

static void copy_image(const struct scratch *s, uint64_t from, uint64_t to, bool flip)
{
	_cleanup_free_ char *bytes = NULL;
	char path[STORE_NAME_BYTES];
	size_t n;

	store_name(from, path);
	assert_ok(io_read_file(s->fd, path, STORE_IMAGE_MAX_BYTES, &bytes, &n));
	if (flip) {
		bytes[n / 2] = (char)(bytes[n / 2] ^ 0x10);
	}
	replace_by_file(s, to, bytes, n);
}

static void flipped_image(const struct scratch *s)
{
	copy_image(s, IMAGE, IMAGE, true);
}

static void empty_image_as_newest(const struct scratch *s)
{
	replace_by_file(s, LAST, "", 0);
}

static void image_with_another_number_as_newest(const struct scratch *s)
{
	copy_image(s, 1, LAST, false);
}

static const struct {
	const char *name;
	void (*damage)(const struct scratch *s);
	uint64_t named; /* the generation that the message names */
	const char *what;
	bool followers; /* is it seen by a mount that stands at IMAGE, too? */
} damages[] = {
	{"text of the newest", text_of_newest, LAST, "no change", true},
	{"text of one in the middle", text_of_middle, MIDDLE, "no change", true},
	{"cut text", cut_text_of_newest, LAST, "no change", true},
	{"other parent", other_parent_of_newest, LAST, "descend", true},
	{"other content", other_content_of_middle, MIDDLE + 1, "descend", true},
	{"does not apply", change_that_does_not_apply, LAST, "apply", true},
	{"hole", hole_in_the_middle, MIDDLE, "missing", false},
	{"directory", directory_as_newest, LAST, "neither", true},
	{"flipped image", flipped_image, IMAGE, "image", false},
	{"empty image", empty_image_as_newest, LAST, "image", true},
	{"another number", image_with_another_number_as_newest, LAST, "another generation", true},
};

#define DAMAGES (sizeof(damages) / sizeof(damages[0]))

static FILE *listing; /* where list_one() writes: nftw(3) has no argument for it */

static int list_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)type;
	(void)ftw;
	/* The directories' own times move with staging files that come and go. */
	(void)fprintf(listing, "%s %o %lld\n", path, st->st_mode,
		      S_ISDIR(st->st_mode) ? 0 : (long long)st->st_ctim.tv_nsec);
	return 0;
}

/* Names, kinds and times of all that is on the share; malloc'd. */
static char *share_of(const struct scratch *s)
{
	char *text;
	size_t n;

	listing = open_memstream(&text, &n);
	assert_non_null(listing);
	assert_int_equal(nftw(s->path, list_one, 8, FTW_PHYS), 0);
	assert_int_equal(fclose(listing), 0);
	return text;
}

static void damage_is_refused_by_name_and_nothing_is_changed(void **state)
{
	for (size_t i = 0; i < DAMAGES; i++) {
		_cleanup_free_ char *before = NULL;
		_cleanup_free_ char *after = NULL;
		struct mount writer, follower, late;
		struct err err = {{0}};
		char name[STORE_NAME_BYTES];
		void *own = NULL;

		print_message("  %s\n", damages[i].name);
		assert_ok(scratch_set_up(&own));
		mount_open(&writer, own, "writer");
		beats(&writer, IMAGE - 1);
		mount_open(&follower, own, "follower");
		beats(&writer, LAST - IMAGE);
		damages[i].damage(own);
		before = share_of(own);
		store_name(damages[i].named, name);

		/* One that starts. */
		assert_errno(try_open(&late, own, "late", false, &err), EUCLEAN);
		assert_non_null(strstr(err.text, name));
		assert_non_null(strstr(err.text, damages[i].what));
		mount_close(&late);

		/* One that follows; and it stays refused. */
		for (int again = 0; damages[i].followers && again < 2; again++) {
			assert_errno(chain_catch_up(&follower.chain), EUCLEAN);
			assert_true(follower.chain.damaged);
			assert_non_null(strstr(follower.chain.problem.text, name));
			assert_non_null(strstr(follower.chain.problem.text, damages[i].what));
		}
		mount_close(&follower);
		mount_close(&writer);
		after = share_of(own);
		assert_string_equal(after, before);
		assert_ok(scratch_tear_down(&own));
	}
	(void)state;
}

/* A committer meets it first: its create says EEXIST, and what is there can never be its own. */
static void damage_at_the_number_of_our_commit_does_not_leave_us_in_doubt(void **state)
{
	for (size_t i = 0; i < DAMAGES; i++) {
		struct mount writer, committer;
		char name[STORE_NAME_BYTES];
		void *own = NULL;

		if (damages[i].named != LAST) {
			continue;
		}
		print_message("  %s\n", damages[i].name);
		assert_ok(scratch_set_up(&own));
		mount_open(&writer, own, "writer");
		beats(&writer, LAST - 2);
		mount_open(&committer, own, "committer");
		beat(&writer);
		damages[i].damage(own);

		prepare_beat(&committer);
		assert_verdict(&committer, COMMIT_THEIRS);
		assert_errno(chain_catch_up(&committer.chain), EUCLEAN);
		store_name(LAST, name);
		assert_non_null(strstr(committer.chain.problem.text, name));
		mount_close(&committer);
		mount_close(&writer);
		assert_ok(scratch_tear_down(&own));
	}
	(void)state;
}

/* Long enough for two images to grow old. */
#define LONG_SLEEP_MS UINT64_C(360000)
#define COLLECTED     (UINT64_C(4) * CHAIN_IMAGE_EVERY + 3)

static struct chain_old collect(struct mount *m)
{
	struct chain_old old = chain_old(&m->chain, world.now_ms);

	for (struct chain_old rest = old; rest.from < rest.to;) {
		chain_collect(m->store, &rest);
	}
	return old;
}

/* @m goes on to @generation while time passes, and collects what it may. */
static void go_on(struct mount *m, uint64_t generation, uint64_t ms)
{
	uint64_t step_ms = ms / (generation - m->chain.generation);

	while (m->chain.generation < generation) {
		beat(m);
		world.now_ms += step_ms;
		(void)collect(m);
	}
}

static void a_number_that_was_used_and_collected_is_void_for_who_slept(void **state)
{
	struct scratch *s = *state;
	struct mount awake, sleeper, late;

	mount_open(&awake, s, "awake");
	mount_open(&sleeper, s, "sleeper");
	prepare_beat(&sleeper);
	go_on(&awake, COLLECTED, LONG_SLEEP_MS);
	assert_false(is_there(s, 2));

	/* It wakes up in the middle of its commit, and its create succeeds. */
	assert_verdict(&sleeper, COMMIT_BEHIND);
	assert_false(is_there(s, 2));
	assert_u64(beats_of(&sleeper, "sleeper"), 0);

	(void)follow(&sleeper);
	assert_agree(&awake, &sleeper);
	beat(&sleeper);
	assert_int_equal(follow(&awake), 1);
	assert_agree(&awake, &sleeper);
	mount_open(&late, s, "late");
	assert_agree(&awake, &late);
	mount_close(&late);
	mount_close(&awake);
	mount_close(&sleeper);
}

static void who_slept_is_stale_and_loads_anew(void **state)
{
	struct mount awake, sleeper;

	mount_open(&awake, *state, "awake");
	mount_open(&sleeper, *state, "sleeper");
	assert_false(chain_is_stale(&sleeper.chain));
	go_on(&awake, COLLECTED, LONG_SLEEP_MS);
	assert_true(chain_is_stale(&sleeper.chain));
	assert_true(follow(&sleeper) > 0);
	assert_false(chain_is_stale(&sleeper.chain));
	assert_agree(&awake, &sleeper);
	mount_close(&awake);
	mount_close(&sleeper);
}

/*
 * Found by tests/model/chain.pml: a probe that begins when the end was last known a minute ago, and
 * sleeps a minute itself, finds a name free that was used and collected meanwhile.
 */
static void who_slept_does_not_believe_that_nothing_is_there(void **state)
{
	struct mount sleeper;

	mount_open(&sleeper, *state, "sleeper");
	world.now_ms = sleeper.chain.verified_ms + COMMIT_TRUST_MS;
	assert_false(chain_is_stale(&sleeper.chain));
	world.read_takes_ms = COMMIT_TRUST_MS;
	assert_int_equal(follow(&sleeper), 0);
	/* It has listed after it slept. */
	assert_u64(sleeper.chain.verified_ms, world.now_ms);
	mount_close(&sleeper);
}

/*
 * The other mount sees our commit before we do, and goes on; the answer to us comes a minute late.
 */
static void others_go_on_for_a_minute(void *ctx)
{
	struct mount *m = ctx;

	world.now_ms += COMMIT_TRUST_MS + 1;
	(void)follow(m);
	beat(m);
}

static void a_late_answer_does_not_void_what_others_built_on(void **state)
{
	for (int images_only = 0; images_only < 2; images_only++) {
		struct mount slow, other;
		void *own = NULL;

		assert_ok(scratch_set_up(&own));
		assert_ok(try_open(&slow, own, "slow", images_only, NULL));
		mount_open(&other, own, "other");
		prepare_beat(&slow);
		world.on_created = others_go_on_for_a_minute;
		world.ctx = &other;
		assert_verdict(&slow, COMMIT_OURS);
		assert_true(is_there(own, 2));
		(void)follow(&slow);
		assert_agree(&slow, &other);
		assert_u64(beats_of(&slow, "other"), 1);
		mount_close(&slow);
		mount_close(&other);
		assert_ok(scratch_tear_down(&own));
	}
	(void)state;
}

static void collecting_keeps_two_images_and_all_that_is_young(void **state)
{
	enum {
		COMMITS = 700,
		STEP_MS = 997,
	};
	struct scratch *s = *state;
	uint64_t born_ms[COMMITS + 2] = {0};
	uint64_t gone = 0; /* all below are deleted */
	struct mount a;

	mount_open(&a, s, "a");
	born_ms[1] = world.now_ms;
	for (unsigned i = 0; i < COMMITS; i++) {
		struct chain_old old;
		uint64_t second_newest_image =
			(a.chain.generation + 1) / CHAIN_IMAGE_EVERY * CHAIN_IMAGE_EVERY;

		second_newest_image -= second_newest_image ? CHAIN_IMAGE_EVERY : 0;
		world.now_ms += STEP_MS;
		beat(&a);
		born_ms[a.chain.generation] = world.now_ms;
		old = collect(&a);
		if (old.from < old.to) {
			assert_true(old.to <= second_newest_image);
			assert_true(world.now_ms - born_ms[old.to - 1] > COMMIT_KEEP_MS);
			gone = old.to;
		}
	}
	/* It did something, and what it kept is what is there. */
	assert_true(gone >= (uint64_t)(COMMITS - 4 * CHAIN_IMAGE_EVERY));
	for (uint64_t g = 1; g <= a.chain.generation; g++) {
		assert_int_equal(is_there(s, g), g >= gone);
	}
	mount_close(&a);
}

static void link_at(const struct scratch *s, uint64_t generation)
{
	char path[STORE_NAME_BYTES];

	store_name(generation, path);
	assert_int_equal(symlinkat("x", s->fd, path), 0);
}

static void collecting_goes_in_steps(void **state)
{
	struct chain_old old = {.from = 2, .to = 2 + CHAIN_COLLECT_MAX + 1};
	struct scratch *s = *state;
	struct mount m;

	mount_open(&m, s, "a");
	for (uint64_t g = old.from; g <= old.to; g++) {
		link_at(s, g);
	}
	chain_collect(m.store, &old);
	assert_u64(old.from, 2 + CHAIN_COLLECT_MAX);
	assert_false(is_there(s, old.from - 1));
	assert_true(is_there(s, old.from));
	chain_collect(m.store, &old);
	assert_u64(old.from, old.to);
	assert_false(is_there(s, old.to - 1));
	assert_true(is_there(s, old.to));
	chain_collect(m.store, &old);
	assert_true(is_there(s, old.to));
	mount_close(&m);
}

/* Walking all the numbers between would take for ever. */
static void numbers_far_apart_are_collected_by_the_list(void **state)
{
	struct chain_old old = {.from = 2, .to = UINT64_MAX - 1};
	struct scratch *s = *state;
	struct mount m;

	mount_open(&m, s, "a");
	for (uint64_t i = 0; i <= CHAIN_COLLECT_MAX; i++) {
		link_at(s, 2 + i * 1000000);
	}
	link_at(s, old.to);
	chain_collect(m.store, &old);
	assert_u64(old.from, 2 + CHAIN_COLLECT_MAX * UINT64_C(1000000));
	assert_true(is_there(s, old.from));
	assert_false(is_there(s, old.from - 1000000));
	chain_collect(m.store, &old);
	assert_u64(old.from, old.to);
	assert_false(is_there(s, 2 + CHAIN_COLLECT_MAX * UINT64_C(1000000)));
	assert_true(is_there(s, 1));
	assert_true(is_there(s, old.to));
	mount_close(&m);
}

/* Make @m, which stands at generation 1, the writer of @generation as an image. */
static void image_at(struct mount *m, uint64_t generation)
{
	int64_t mtime_ms;

	m->chain.generation = generation - 1;
	assert_ok(index_begin(m->index));
	assert_int_equal(chain_prepare(&m->chain, true, &m->attempt), 1);
	assert_int_equal(m->attempt.kind, STORE_IMAGE);
	assert_ok(store_create(m->store, generation, STORE_IMAGE, m->attempt.bytes, m->attempt.n,
			       &mtime_ms));
	chain_abandon(&m->chain);
	m->chain.generation = 1;
}

static void the_last_number_is_refused_and_never_written(void **state)
{
	struct scratch *s = *state;
	struct mount writer, late;
	struct err err = {{0}};

	assert_ok(try_open(&writer, s, "writer", true, &err));
	image_at(&writer, UINT64_MAX - 1);
	assert_ok(try_open(&late, s, "late", true, &err));
	assert_u64(late.chain.generation, UINT64_MAX - 1);
	assert_ok(index_begin(late.index));
	assert_errno(chain_prepare(&late.chain, true, &late.attempt), EUCLEAN);
	assert_true(late.chain.damaged);
	chain_abandon(&late.chain);
	mount_close(&late);

	copy_image(s, UINT64_MAX - 1, UINT64_MAX, false);
	assert_errno(try_open(&late, s, "late", true, &err), EUCLEAN);
	assert_non_null(strstr(err.text, "18446744073709551615: there is no number after it"));
	mount_close(&late);
	mount_close(&writer);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, scratch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_new_plane_begins_with_an_image_of_its_timing),
		CASE(a_transaction_without_changes_publishes_nothing),
		CASE(a_generation_that_changes_nothing_says_that_its_writer_lives),
		CASE(of_two_that_race_one_wins_and_the_other_goes_on_top),
		CASE(catching_up_goes_in_steps),
		CASE(every_64th_generation_is_an_image_and_a_late_mount_loads_it),
		CASE(a_share_without_links_gets_images_only),
		CASE(a_change_too_long_for_a_link_becomes_an_image),
		CASE(a_commit_that_was_done_but_denied_is_ours),
		CASE(an_unknown_outcome_keeps_the_time_of_the_first_sending),
		CASE(an_unknown_outcome_may_end_as_theirs),
		CASE(a_full_disk_fails_and_the_next_commit_works),
		CASE(an_abandoned_attempt_leaves_the_index_as_it_was),
		CASE(damage_is_refused_by_name_and_nothing_is_changed),
		CASE(damage_at_the_number_of_our_commit_does_not_leave_us_in_doubt),
		CASE(a_number_that_was_used_and_collected_is_void_for_who_slept),
		CASE(who_slept_is_stale_and_loads_anew),
		CASE(who_slept_does_not_believe_that_nothing_is_there),
		CASE(a_late_answer_does_not_void_what_others_built_on),
		CASE(collecting_keeps_two_images_and_all_that_is_young),
		CASE(collecting_goes_in_steps),
		CASE(numbers_far_apart_are_collected_by_the_list),
		CASE(the_last_number_is_refused_and_never_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
