/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/chain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "fs/pack.h"
#include "fs/timing.h"

/* A listed generation can be collected before it is read; so often we list again. */
#define LOAD_TRIES 5

/* A range of more numbers is collected by what the store lists. */
#define WALKED_MAX 4096

static void damage(struct chain *c, uint64_t generation, const char *what)
{
	char name[STORE_NAME_BYTES];

	store_name(generation, name);
	c->damaged = true;
	(void)err_set(&c->problem, -EUCLEAN, "%s: %s", name, what);
}

bool chain_news_has(const struct chain_news *news, const char *mount_id)
{
	for (unsigned i = 0; i < news->n; i++) {
		if (strcmp(news->writers[i], mount_id) == 0) {
			return true;
		}
	}
	return news->any;
}

void chain_news_clear(struct chain *c)
{
	c->news.any = false;
	c->news.n = 0;
}

static void note_writer(struct chain_news *news, const char *mount_id)
{
	if (chain_news_has(news, mount_id)) {
		return;
	}
	if (news->n == CHAIN_NEWS_MAX) {
		news->any = true;
		return;
	}
	(void)snprintf(news->writers[news->n++], PARSE_ID_BYTES, "%s", mount_id);
}

static void note_kept(struct chain *c, uint64_t generation, uint64_t now_ms)
{
	/* What is loaded anew may begin with one that is known. */
	if (c->n_kept > 0 && (generation <= c->kept[c->n_kept - 1].generation ||
			      now_ms - c->kept[c->n_kept - 1].seen_ms < CHAIN_KEPT_APART_MS)) {
		return;
	}
	if (c->n_kept == CHAIN_KEPT) {
		memmove(&c->kept[0], &c->kept[1], (CHAIN_KEPT - 1) * sizeof(c->kept[0]));
		c->n_kept--;
	}
	c->kept[c->n_kept++] = (struct chain_kept){.generation = generation, .seen_ms = now_ms};
}

/* The index now shows @generation, whose bytes these are. */
static void stand_at(struct chain *c, uint64_t generation, const struct store_object *o)
{
	c->generation = generation;
	c->is_durable = false;
	c->mtime_ms = o->mtime_ms;
	c->loaded_ms = clock_boot_ms();
	change_hash(o->bytes, o->n, c->hash);
	if (o->kind == STORE_IMAGE) {
		note_kept(c, generation, c->loaded_ms);
	}
}

static int apply_change(struct index *ix, const struct store_object *o, const char *parent,
			char ret_writer[PARSE_ID_BYTES], struct err *reterr)
{
	struct change change;
	int r = 0;

	if (change_parse(o->bytes, o->n, &change) < 0) {
		return err_set(reterr, -EUCLEAN, "the link's text is no change");
	}
	if (parent && strncmp(change.parent, parent, CHANGE_SHORT_HASH) != 0) {
		return err_set(reterr, -EUCLEAN, "does not descend from the generation before it");
	}
	if (ix) {
		r = index_apply(ix, change.patch, change.n);
	}
	if (r == 0) {
		(void)snprintf(ret_writer, PARSE_ID_BYTES, "%s", change.writer);
	}
	return r == -EUCLEAN ? err_set(reterr, r, "the change does not apply") : r;
}

static int apply_image(struct index *ix, uint64_t generation, const struct store_object *o,
		       const char *parent, char ret_writer[PARSE_ID_BYTES], struct err *reterr)
{
	_cleanup_free_ void *image = NULL;
	struct image_head head = {0};
	size_t n;
	int r = unpack(o->bytes, o->n, STORE_IMAGE_MAX_BYTES, &image, &n);

	if (r == -EUCLEAN) {
		return err_set(reterr, r, "no image, or a damaged one");
	}
	if (r == 0) {
		r = ix ? index_from_image(ix, image, n, &head, reterr)
		       : image_read_head(image, n, &head, reterr);
	}
	if (r < 0) {
		return r;
	}
	if (head.generation != generation) {
		return err_set(reterr, -EUCLEAN, "the image says that it is another generation");
	}
	if (parent && strcmp(head.parent, parent) != 0) {
		return err_set(reterr, -EUCLEAN, "does not descend from the generation before it");
	}
	(void)snprintf(ret_writer, PARSE_ID_BYTES, "%s", head.writer);
	return 0;
}

int chain_apply(struct index *ix, uint64_t generation, const struct store_object *o,
		const char *parent, char ret_writer[PARSE_ID_BYTES], struct err *reterr)
{
	return o->kind == STORE_IMAGE ? apply_image(ix, generation, o, parent, ret_writer, reterr)
				      : apply_change(ix, o, parent, ret_writer, reterr);
}

/* Read @generation.  -ENOENT: it is not there. */
static int fetch(struct chain *c, uint64_t generation, struct store_object *ret)
{
	int r = store_get(c->store, generation, ret);

	if (r == -EBADMSG) {
		damage(c, generation, "neither a symbolic link nor a plain file of allowed size");
		return -EUCLEAN;
	}
	return r;
}

/* Make the index show @generation, whose bytes these are. */
static int take(struct chain *c, uint64_t generation, const struct store_object *o,
		const char *parent)
{
	char writer[PARSE_ID_BYTES];
	struct err why = {{0}};
	int r;

	if (generation == UINT64_MAX) {
		damage(c, generation, "there is no number after it");
		return -EUCLEAN;
	}
	r = chain_apply(c->index, generation, o, parent, writer, &why);
	if (r == -EUCLEAN) {
		damage(c, generation, why.text);
	} else if (r == 0) {
		stand_at(c, generation, o);
		note_writer(&c->news, writer);
	}
	return r;
}

/* Begin anew with the newest image of the list. */
static int load_newest_image(struct chain *c, const struct store_entry *entries, size_t n)
{
	for (size_t i = n; i > 0; i--) {
		struct store_object o = {0};
		int r;

		if (entries[i - 1].kind != STORE_IMAGE) {
			continue;
		}
		r = fetch(c, entries[i - 1].generation, &o);
		if (r == 0) {
			r = take(c, entries[i - 1].generation, &o, NULL);
			c->news.any = true;
		}
		store_object_done(&o);
		return r;
	}
	damage(c, entries[n - 1].generation, "there is no image at or before it");
	return -EUCLEAN;
}

/*
 * We have not looked for so long that the names after ours may have been used and collected, and
 * used once more by somebody who slept as well: only the list can be trusted, and what lies behind
 * is loaded anew.  Likewise where the index cannot be trusted any more.
 */
static int relist(struct chain *c)
{
	_cleanup_free_ struct store_entry *entries = NULL;
	uint64_t before_ms = clock_boot_ms();
	size_t n = 0;
	int r = store_list(c->store, &entries, &n);

	if (r < 0) {
		return r;
	}
	if (n == 0 || entries[n - 1].generation < c->generation) {
		damage(c, c->generation, "is gone, though nothing newer took its place");
		return -EUCLEAN;
	}
	if (entries[n - 1].generation > c->generation || index_is_torn(c->index)) {
		r = load_newest_image(c, entries, n);
	}
	if (r == 0) {
		c->verified_ms = before_ms;
	}
	return r;
}

bool chain_is_stale(const struct chain *c)
{
	return index_is_torn(c->index) || commit_must_relist(c->verified_ms, clock_boot_ms());
}

/* Apply the next generation.  -ENOENT: there is none; -EAGAIN: too long ago to tell, list first. */
static int follow_one(struct chain *c, uint64_t refreshed_ms)
{
	struct store_object o = {0};
	int r = chain_is_stale(c) ? -EAGAIN : fetch(c, c->generation + 1, &o);

	/*
	 * Asked again: the process may have slept before it read.  Then neither what is there nor
	 * that nothing is there tells anything: the name may have been used and collected.
	 */
	if ((r == 0 || r == -ENOENT) && chain_is_stale(c)) {
		r = -EAGAIN;
	}
	if (r == -ENOENT) {
		/* A list that came in between was later. */
		c->verified_ms = refreshed_ms > c->verified_ms ? refreshed_ms : c->verified_ms;
	} else if (r == 0) {
		r = take(c, c->generation + 1, &o, c->hash);
	}
	store_object_done(&o);
	return r;
}

int chain_catch_up(struct chain *c)
{
	uint64_t start = c->generation, refreshed_ms = clock_boot_ms();
	int r = c->damaged ? -EUCLEAN : store_refresh(c->store);

	while (r == 0 && c->generation - start < CHAIN_CATCH_UP_MAX) {
		r = follow_one(c, refreshed_ms);
		if (r == -EAGAIN) {
			r = relist(c);
			/*
			 * What it listed was collected before it was read: the next round lists
			 * anew.
			 */
			r = r == -ENOENT ? 0 : r;
			start = c->generation < start ? c->generation : start;
		}
	}
	return r == -ENOENT || r == 0 ? (int)(c->generation - start) : r;
}

static int prepare_image(struct chain *c, const char *nonce, struct chain_attempt *a)
{
	struct image_head head = {.generation = c->generation + 1};
	void *image, *packed = NULL;
	size_t n;
	int r;

	(void)snprintf(head.writer, sizeof(head.writer), "%s", c->mount_id);
	(void)snprintf(head.nonce, sizeof(head.nonce), "%s", nonce);
	(void)snprintf(head.parent, sizeof(head.parent), "%s", c->hash);
	r = index_to_image(c->index, &head, &image, &n);
	if (r < 0) {
		return r;
	}
	r = pack(image, n, &packed, &a->n);
	index_free_bytes(image);
	a->kind = STORE_IMAGE;
	a->mtime_ms = c->mtime_ms;
	a->bytes = packed;
	return r;
}

/* -E2BIG: too long for a link. */
static int prepare_change(struct chain *c, const char *nonce, const void *patch, size_t n,
			  struct chain_attempt *a)
{
	struct change change = {.n = n};
	char target[CHANGE_TARGET_MAX + 1];
	int length;

	if (n > sizeof(change.patch)) {
		return -E2BIG;
	}
	(void)snprintf(change.writer, sizeof(change.writer), "%s", c->mount_id);
	(void)snprintf(change.nonce, sizeof(change.nonce), "%s", nonce);
	(void)snprintf(change.parent, sizeof(change.parent), "%s", c->hash);
	if (n > 0) {
		memcpy(change.patch, patch, n);
	}
	length = change_format(&change, target, sizeof(target));
	if (length < 0) {
		return length;
	}
	a->kind = STORE_CHANGE;
	a->mtime_ms = c->mtime_ms;
	a->n = (size_t)length;
	a->bytes = strdup(target);
	return a->bytes ? 0 : -ENOMEM;
}

bool chain_image_is_due(const struct chain *c)
{
	return (c->generation + 1) % CHAIN_IMAGE_EVERY == 0;
}

int chain_prepare(struct chain *c, bool always, struct chain_attempt *ret)
{
	struct chain_attempt a = {0};
	char nonce[IO_RANDOM_ID_LENGTH + 1];
	void *patch;
	size_t n;
	int r;

	if (c->generation + 1 == UINT64_MAX) {
		damage(c, c->generation, "there is no number for the next one");
		return -EUCLEAN;
	}
	r = index_changes(c->index, &patch, &n);
	if (r < 0) {
		return r;
	}
	if (n == 0 && !always) {
		index_free_bytes(patch);
		return 0;
	}
	io_random_id(nonce);
	r = -E2BIG;
	if (store_has_changes(c->store) && !chain_image_is_due(c)) {
		r = prepare_change(c, nonce, patch, n, &a);
	}
	index_free_bytes(patch);
	if (r == -E2BIG) {
		r = prepare_image(c, nonce, &a);
	}
	if (r < 0) {
		return r;
	}
	*ret = a;
	return 1;
}

void chain_attempt_done(struct chain_attempt *a)
{
	free(a->bytes);
	*a = (struct chain_attempt){0};
}

static bool is_same(const struct store_object *o, const struct chain_attempt *a)
{
	return o->kind == a->kind && o->n == a->n && memcmp(o->bytes, a->bytes, a->n) == 0;
}

/*
 * Our create succeeded, but long after the chain was known to end here: the name may have been used
 * before and collected.  Then newer generations are there that do not descend from ours.
 */
static int is_void(struct chain *c, const struct chain_attempt *a, bool *ret)
{
	_cleanup_free_ struct store_entry *entries = NULL;
	uint64_t ours = c->generation + 1;
	char hash[CHANGE_HASH_BYTES], writer[PARSE_ID_BYTES];
	struct store_object next = {0};
	size_t n = 0;
	int r = store_list(c->store, &entries, &n);

	if (r < 0) {
		return r;
	}
	if (n == 0 || entries[n - 1].generation <= ours) {
		*ret = false;
		return 0;
	}
	r = store_refresh(c->store);
	if (r == 0) {
		r = store_get(c->store, ours + 1, &next);
	}
	if (r == 0) {
		change_hash(a->bytes, a->n, hash);
		*ret = chain_apply(NULL, ours + 1, &next, hash, writer, NULL) < 0;
	} else if (r == -ENOENT) {
		*ret = true;
		r = 0;
	}
	store_object_done(&next);
	return r;
}

/* The name is ours.  Make the index's transaction permanent and stand there. */
static void settle(struct chain *c, struct chain_attempt *a)
{
	struct store_object o = {
		.kind = a->kind, .mtime_ms = a->mtime_ms, .n = a->n, .bytes = a->bytes};

	/* For want of memory; but what is published is published.  The index is loaded anew. */
	if (index_commit(c->index) < 0) {
		index_rollback(c->index);
	}
	stand_at(c, c->generation + 1, &o);
	note_writer(&c->news, c->mount_id);
	c->is_durable = true;
	/* Not later: which of its sendings created it is not known. */
	c->verified_ms = a->t0_ms;
}

static enum commit_verdict ours(struct chain *c, struct chain_attempt *a, int *ret_error)
{
	bool is_voided = false;
	int r = 0;

	if (chain_is_stale(c)) {
		r = is_void(c, a, &is_voided);
	}
	if (r < 0) {
		*ret_error = r;
		return COMMIT_UNKNOWN;
	}
	if (is_voided) {
		(void)store_delete(c->store, c->generation + 1);
		index_rollback(c->index);
		return COMMIT_BEHIND;
	}
	settle(c, a);
	return COMMIT_OURS;
}

/* What is there under the name that could not be created?  *ret_same: this attempt. */
static int look_back(struct chain *c, struct chain_attempt *a, int created,
		     struct store_object *ret, bool *ret_same)
{
	/* EEXIST comes from the server, which makes a cached absence of the name void. */
	int r = created == -EEXIST ? 0 : store_refresh(c->store);

	if (r == 0) {
		r = store_get(c->store, c->generation + 1, ret);
	}
	*ret_same = r == 0 && is_same(ret, a);
	if (*ret_same) {
		a->mtime_ms = ret->mtime_ms;
		/* The error may have been that of putting the name on stable storage. */
		if (store_sync(c->store) < 0) {
			*ret_same = false;
			return -EIO;
		}
	}
	/* Something that is no generation is there, so ours never will be. */
	return r == -EBADMSG ? 0 : r;
}

/* Somebody else's bytes are there: they are the next base.  What is wrong with them shows later. */
static void take_theirs(struct chain *c, const struct store_object *o)
{
	index_rollback(c->index);
	if (o->bytes && !chain_is_stale(c)) {
		(void)take(c, c->generation + 1, o, c->hash);
	}
}

enum commit_verdict chain_send(struct chain *c, struct chain_attempt *a, int *ret_error)
{
	struct store_object o = {0};
	enum commit_verdict verdict;
	uint64_t before_ms = clock_boot_ms();
	int created, got = 0;
	bool same = false;

	/*
	 * Another mount's name that is not on stable storage yet could be lost where ours is not: a
	 * hole, which nobody could tell from damage.
	 */
	if (!c->is_durable) {
		*ret_error = store_sync(c->store);
		if (*ret_error < 0) {
			index_rollback(c->index);
			return COMMIT_FAILED;
		}
		c->is_durable = true;
	}
	if (a->t0_ms == 0) {
		a->t0_ms = before_ms;
	}
	created = store_create(c->store, c->generation + 1, a->kind, a->bytes, a->n, &a->mtime_ms);
	if (created < 0) {
		got = look_back(c, a, created, &o, &same);
	}
	*ret_error = created;
	verdict = commit_judge(created, got, same, a->doubted);
	a->doubted = true; /* if it is sent again, that will not be the first time */
	switch (verdict) {
	case COMMIT_OURS:
		verdict = ours(c, a, ret_error);
		break;
	case COMMIT_THEIRS:
		take_theirs(c, &o);
		break;
	case COMMIT_FAILED:
		index_rollback(c->index);
		break;
	case COMMIT_BEHIND:
		/* List before anything else, however young this machine's clock is. */
		c->verified_ms = before_ms - COMMIT_TRUST_MS - 1;
		index_rollback(c->index);
		break;
	case COMMIT_UNKNOWN:
	case COMMIT_VERDICT_MAX_:
		break;
	}
	store_object_done(&o);
	return verdict;
}

void chain_abandon(struct chain *c)
{
	index_rollback(c->index);
}

/* Publish generation 1.  Who loses the race loads the winner's. */
static int create_first(struct chain *c, const struct chain_birth *birth)
{
	struct chain_attempt a = {0};
	int error = 0;
	int r = index_begin(c->index);

	if (r < 0) {
		return r;
	}
	r = timing_set(c->index, birth->timeout_ms, birth->poll_ms);
	if (r == 0) {
		r = prepare_image(c, c->mount_id, &a);
	}
	if (r < 0) {
		index_rollback(c->index);
		return r;
	}
	c->verified_ms = clock_boot_ms();
	switch (chain_send(c, &a, &error)) {
	case COMMIT_OURS:
	case COMMIT_THEIRS:
	case COMMIT_BEHIND:
		r = 0;
		break;
	case COMMIT_UNKNOWN:
		chain_abandon(c);
		r = error;
		break;
	case COMMIT_FAILED:
	case COMMIT_VERDICT_MAX_:
		r = error;
		break;
	}
	chain_attempt_done(&a);
	return r;
}

/* -EAGAIN: a listed generation is not there, most often because it was collected meanwhile. */
static int load_once(struct chain *c, const struct chain_birth *birth, bool is_last_try,
		     struct err *reterr)
{
	_cleanup_free_ struct store_entry *entries = NULL;
	uint64_t before_ms = clock_boot_ms();
	size_t n = 0;
	int r = store_list(c->store, &entries, &n);

	if (r < 0) {
		return r;
	}
	if (n == 0 && !birth) {
		return err_set(reterr, -ENODATA, "there is no generation yet");
	}
	if (n == 0) {
		r = create_first(c, birth);
		return r < 0 ? r : -EAGAIN;
	}
	c->oldest = entries[0].generation;
	r = load_newest_image(c, entries, n);
	if (r == 0) {
		c->verified_ms = before_ms;
		do {
			r = chain_catch_up(c);
		} while (r > 0);
	}
	if (r == 0 && c->generation < entries[n - 1].generation) {
		r = -ENOENT;
		if (is_last_try) {
			damage(c, c->generation + 1,
			       "is missing, though later generations are there");
			r = -EUCLEAN;
		}
	}
	return r == -ENOENT ? -EAGAIN : r;
}

int chain_load(struct chain *c, struct store *store, struct index *index, const char *mount_id,
	       const struct chain_birth *birth, struct err *reterr)
{
	int r = -EAGAIN;

	*c = (struct chain){.store = store, .index = index};
	(void)snprintf(c->mount_id, sizeof(c->mount_id), "%s", mount_id);
	for (int i = 0; i < LOAD_TRIES && r == -EAGAIN; i++) {
		r = load_once(c, birth, i == LOAD_TRIES - 1, reterr);
	}
	if (r == -EUCLEAN && c->damaged) {
		return err_set(reterr, r, "%s", c->problem.text);
	}
	return r < 0 ? err_wrap(reterr, r, "loading the index") : 0;
}

/*
 * Everything since the second newest image stays, and everything younger than COMMIT_KEEP_MS.  An
 * image first seen that long ago has only older ones before it; that a newer image exists makes it
 * the second newest at most.
 */
struct chain_old chain_old(struct chain *c, uint64_t now_ms)
{
	struct chain_old old = {.from = c->oldest, .to = c->oldest};

	for (unsigned i = 0; i + 1 < c->n_kept; i++) {
		if (now_ms - c->kept[i].seen_ms > COMMIT_KEEP_MS &&
		    c->kept[i].generation > old.to) {
			old.to = c->kept[i].generation;
		}
	}
	c->oldest = old.to;
	return old;
}

/* The same where the numbers may lie far apart: whoever made such names must not keep us busy. */
static void collect_listed(struct store *store, struct chain_old *old)
{
	_cleanup_free_ struct store_entry *entries = NULL;
	unsigned deleted = 0;
	size_t n = 0;

	if (store_list(store, &entries, &n) < 0) {
		n = 0;
	}
	for (size_t i = 0; i < n && entries[i].generation < old->to; i++) {
		if (entries[i].generation < old->from) {
			continue;
		}
		if (deleted++ == CHAIN_COLLECT_MAX) {
			old->from = entries[i].generation;
			return;
		}
		(void)store_delete(store, entries[i].generation);
	}
	old->from = old->to;
}

void chain_collect(struct store *store, struct chain_old *old)
{
	if (old->to > old->from && old->to - old->from > WALKED_MAX) {
		collect_listed(store, old);
		return;
	}
	for (unsigned i = 0; i < CHAIN_COLLECT_MAX && old->from < old->to; i++) {
		(void)store_delete(store, old->from++);
	}
}
