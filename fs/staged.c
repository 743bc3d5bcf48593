/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/staged.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/call.h"
#include "fs/vkind.h"

struct waiter {
	struct waiter *next;
	fuse_req_t req;
};

/*
 * One commit under way.  A file's handle may be shared by processes (fork(2)), and any of them may
 * close it or fsync it meanwhile: whoever asks gets the result of the newest commit of what was
 * staged.
 */
struct staged_commit {
	struct vfile *file;      /* whose content it is; NULL: it is no open file's */
	struct waiter *waiters;  /* with .file: by .file->content->lock */
	struct lifelines *lines; /* by .file->content->lock: not NULL if an fsync waits for it */

	/* The staging file whose name goes if it worked; names is NULL if there is none. */
	struct names *names;
	enum inode_kind staging_dir;
	char staging[NAMES_BYTES];
};

/* Answer @req with the result of @m.  -ENOMEM. */
static int wait_for(struct staged_commit *m, fuse_req_t req)
{
	struct waiter *w = malloc(sizeof(*w));

	if (!w) {
		return -ENOMEM;
	}
	*w = (struct waiter){.next = m->waiters, .req = req};
	m->waiters = w;
	return 0;
}

/* NULL: out of memory. */
static struct staged_commit *commit_new(fuse_req_t req)
{
	struct staged_commit *m = calloc(1, sizeof(*m));

	if (m && wait_for(m, req) < 0) {
		free(m);
		return NULL;
	}
	return m;
}

/* Is what ended so on the share, as far as anybody can know? */
static bool may_be_committed(int result)
{
	return result == 0 || result == -ETIMEDOUT;
}

/* @f stays open until those who wait are answered. */
static void end_on_file(struct staged_commit *m, struct vfile *f, int result)
{
	struct lifelines *lines;

	(void)pthread_mutex_lock(&f->content->lock);
	f->result = result;
	f->pending = f->pending == m ? NULL : f->pending;
	lines = m->lines;
	(void)pthread_mutex_unlock(&f->content->lock);
	if (lines && may_be_committed(result)) {
		lifeline_tie(lines, &f->line, f->name);
	}
}

static void on_committed(void *ctx, int result, const void *bytes, size_t n)
{
	struct staged_commit *m = ctx;

	(void)bytes;
	(void)n;
	if (m->file) {
		end_on_file(m, m->file, result);
	}
	if (result == 0 && m->names) {
		(void)names_unlink(m->names, m->staging_dir, m->staging);
	}
	while (m->waiters) {
		struct waiter *w = m->waiters;

		m->waiters = w->next;
		call_reply(w->req, result);
		free(w);
	}
	free(m);
}

static void submit(struct plane *p, struct staged_commit *m, const struct request *request)
{
	if (plane_submit(p, request, on_committed, m) < 0) {
		on_committed(m, -ENOMEM, NULL, 0);
	}
}

/* Carry out @m: commit @text (taken; NULL: out of memory) to the file @name. */
static void submit_text(struct plane *p, struct staged_commit *m, enum inode_kind kind,
			const char *name, char *text, size_t n)
{
	_cleanup_free_ char *own = text;
	struct request request;
	int r = own ? vkinds[kind].to_request(name, own, n, &request) : -ENOMEM;

	if (r < 0) {
		on_committed(m, r, NULL, 0);
	} else {
		submit(p, m, &request);
	}
}

void staged_commit_file(struct plane *p, fuse_req_t req, struct vfile *f, struct lifelines *lines)
{
	struct staged_commit *begun = NULL;
	char *text = NULL;
	size_t n = 0;
	int r = 0;
	bool answer = true, tie = false;

	(void)pthread_mutex_lock(&f->content->lock);
	if (f->dirty && f->kind != INODE_STAGING) {
		begun = commit_new(req);
		r = begun ? 0 : -ENOMEM;
	} else if (f->pending) {
		r = wait_for(f->pending, req);
		answer = r < 0;
		if (r == 0 && lines) {
			f->pending->lines = lines;
		}
	} else {
		r = f->result;
		tie = lines && may_be_committed(r);
	}
	if (begun) {
		text = content_copy_locked(f->content, &n);
		begun->file = f;
		begun->lines = lines;
		f->pending = begun;
		f->dirty = false;
	}
	(void)pthread_mutex_unlock(&f->content->lock);

	if (tie) {
		lifeline_tie(lines, &f->line, f->name);
	}
	if (begun) {
		submit_text(p, begun, f->kind, f->name, text, n);
	} else if (answer) {
		call_reply(req, r);
	}
}

void staged_commit_rename(struct plane *p, fuse_req_t req, struct names *names, enum inode_kind dir,
			  const char *name, struct content *content, enum inode_kind kind,
			  const char *target)
{
	struct staged_commit *m = commit_new(req);
	size_t n = 0;
	char *text;

	(void)pthread_mutex_lock(&content->lock);
	text = content_copy_locked(content, &n);
	(void)pthread_mutex_unlock(&content->lock);
	content_unref(content);
	if (!m) {
		free(text);
		call_reply(req, -ENOMEM);
		return;
	}
	m->names = names;
	m->staging_dir = dir;
	(void)snprintf(m->staging, sizeof(m->staging), "%s", name);
	submit_text(p, m, kind, target, text, n);
}

void staged_commit_request(struct plane *p, fuse_req_t req, const struct request *request)
{
	struct staged_commit *m = commit_new(req);

	if (m) {
		submit(p, m, request);
	} else {
		call_reply(req, -ENOMEM);
	}
}

void staged_commit_removal(struct plane *p, fuse_req_t req, enum inode_kind kind, const char *name)
{
	struct request removal;

	vkinds[kind].to_removal(name, &removal);
	staged_commit_request(p, req, &removal);
}
