/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/verify.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "fs/chain.h"
#include "fs/index.h"

struct walk {
	struct store *store;
	fs_verify_fault_fn *on_fault; /* may be NULL */
	void *arg;
	struct fs_verify_report report;

	struct store_entry *entries; /* as last listed */
	size_t n, at;
	uint64_t next;   /* the generation that has to be at .at */
	uint64_t missed; /* it was listed, and not there; 0: none */

	struct index *index;
	bool stands;                    /* the index shows the generation before .next */
	char parent[CHANGE_HASH_BYTES]; /* of the one before .next; "": not known */
};

static void fault(struct walk *w, uint64_t generation, const char *why)
{
	char path[STORE_NAME_BYTES];

	w->report.faults++;
	if (w->on_fault) {
		store_name(generation, path);
		w->on_fault(w->arg, strrchr(path, '/') + 1, why);
	}
}

static int unreadable(struct walk *w, int error)
{
	struct err why = {{0}};

	(void)err_wrap(&why, error, "cannot be read");
	fault(w, w->next, why.text);
	return error;
}

/* What comes next cannot be compared with what was before it. */
static void lose(struct walk *w)
{
	w->stands = false;
	w->parent[0] = '\0';
}

static int list(struct walk *w)
{
	struct store_entry *entries;
	int r = store_list(w->store, &entries, &w->n);

	if (r < 0) {
		return r;
	}
	free(w->entries);
	w->entries = entries;
	if (w->n > 0) {
		w->report.newest = entries[w->n - 1].generation;
	}
	return 0;
}

/* Go to the oldest image of the list. */
static void begin_at_image(struct walk *w)
{
	w->at = 0;
	while (w->at < w->n && w->entries[w->at].kind != STORE_IMAGE) {
		w->at++;
	}
	lose(w);
	if (w->at < w->n) {
		w->next = w->entries[w->at].generation;
	} else if (w->n > 0) {
		fault(w, w->entries[w->n - 1].generation, "there is no image at or before it");
	}
}

/*
 * .next is not there, as @error says.  Generations are deleted in ascending order: if older ones
 * are still there, it was not collected.
 */
static int seek(struct walk *w, int error)
{
	int r = list(w);

	if (r < 0) {
		return r;
	}
	if (w->n == 0 || w->entries[w->n - 1].generation < w->next) {
		fault(w, w->next, "is gone, though nothing newer took its place");
		w->at = w->n;
		return 0;
	}
	if (w->entries[0].generation > w->next) {
		begin_at_image(w);
		return 0;
	}
	w->at = 0;
	while (w->entries[w->at].generation < w->next) {
		w->at++;
	}
	if (w->entries[w->at].generation > w->next) {
		fault(w, w->next, "is missing, though later generations are there");
		lose(w);
		w->next = w->entries[w->at].generation;
		return 0;
	}
	if (w->missed == w->next) {
		return unreadable(w, error);
	}
	w->missed = w->next;
	return 0;
}

/* @o are the bytes of .next. */
static int check(struct walk *w, const struct store_object *o)
{
	bool is_image = o->kind == STORE_IMAGE;
	char writer[PARSE_ID_BYTES];
	struct err why = {{0}};
	int r = chain_apply(is_image || w->stands ? w->index : NULL, w->next, o,
			    w->parent[0] ? w->parent : NULL, writer, &why);

	if (r < 0 && r != -EUCLEAN) {
		return r;
	}
	w->report.images += is_image;
	w->report.links += !is_image;
	if (r < 0) {
		fault(w, w->next, why.text[0] ? why.text : "damaged");
		lose(w);
		return 0;
	}
	w->stands = w->stands || is_image;
	change_hash(o->bytes, o->n, w->parent);
	if (is_image) {
		w->report.newest_image = w->next;
	}
	return 0;
}

static int step(struct walk *w)
{
	struct store_object o = {0};
	int r = -ENOENT;

	if (w->entries[w->at].generation == w->next) {
		r = store_get(w->store, w->next, &o);
	}
	if (r == -ENOENT || r == -ESTALE) {
		return seek(w, r);
	}
	if (r == -EBADMSG) {
		fault(w, w->next, "neither a symbolic link nor a plain file of allowed size");
		lose(w);
	} else if (r < 0) {
		return r == -ENOMEM ? r : unreadable(w, r);
	} else {
		r = check(w, &o);
		store_object_done(&o);
		if (r < 0) {
			return r;
		}
	}
	w->at++;
	w->next++;
	return 0;
}

static int walk_all(struct walk *w)
{
	int r = list(w);

	if (r < 0) {
		return r;
	}
	begin_at_image(w);
	w->report.oldest = w->next;
	while (r == 0 && w->at < w->n) {
		r = step(w);
	}
	return r;
}

int fs_verify_generations(struct store *store, fs_verify_fault_fn *on_fault, void *arg,
			  struct fs_verify_report *ret_report)
{
	struct walk w = {.store = store, .on_fault = on_fault, .arg = arg};
	int r = index_new(&w.index);

	if (r == 0) {
		r = walk_all(&w);
	}
	index_free(w.index);
	free(w.entries);
	if (r == 0) {
		*ret_report = w.report;
	}
	return r;
}
