/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/*
 * One call of flock(2) that is under way: either its request is with the plane, or it waits on the
 * list.  The plane's verdict, a view that shows it granted, and a signal may each answer it:
 * whoever marks it first, under the lock.  Who takes it off the list, or gets the verdict, frees
 * it.
 */
struct lockfile_call {
	LIST_ENTRY(lockfile_call) entry; /* in .all->waiting if .waits */
	struct lockfiles *all;
	fuse_req_t req;
	struct lockfile *file; /* stays open until .req is answered */
	struct request request;
	char command[INDEX_COMMAND_BYTES];
	bool is_new;   /* by .all->lock: not submitted yet */
	bool waits;    /* by .all->lock: it has its place, and is on the list */
	bool answered; /* by .all->lock: .req is somebody's to answer, or was */
};

void lockfiles_init(struct lockfiles *all, struct plane *plane)
{
	*all = (struct lockfiles){.plane = plane};
	LIST_INIT(&all->waiting);
	(void)pthread_mutex_init(&all->lock, NULL);
}

/*
 * The name of a process, for people: what cannot be printed is shown as '?'.  Not its arguments,
 * which are nobody's business on other machines.  Empty where it cannot be read.
 */
static void describe_command(pid_t pid, char ret[INDEX_COMMAND_BYTES])
{
	_cleanup_close_ int fd = -EBADF;
	char path[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -EBADF;
	n = fd < 0 ? 0 : read(fd, ret, INDEX_COMMAND_BYTES - 1);
	ret[n < 0 ? 0 : n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	for (char *p = ret; *p; p++) {
		if (*p < ' ' || *p > '~') {
			*p = '?';
		}
	}
}

static void on_unlocked(void *ctx, int result, const void *bytes, size_t n)
{
	struct lockfiles *all = ctx;

	(void)result;
	(void)bytes;
	(void)n;
	(void)atomic_fetch_sub(&all->n_unlocks, 1);
}

/*
 * Let go of what @ticket has, or may come to have; 0: nothing.  Should there be no memory for that,
 * it stays until the mount ends.
 */
static void submit_unlock(struct lockfiles *all, const char *name, uint64_t ticket)
{
	struct request unlock = {.verb = REQUEST_UNLOCK, .owner = ticket};

	if (ticket == 0) {
		return;
	}
	(void)snprintf(unlock.name, sizeof(unlock.name), "%s", name);
	(void)atomic_fetch_add(&all->n_unlocks, 1);
	if (plane_submit(all->plane, &unlock, on_unlocked, all) < 0) {
		(void)atomic_fetch_sub(&all->n_unlocks, 1);
	}
}

/* The call gives up: what the file held before, if it asked for a conversion, may be gone. */
static void give_up_locked(struct lockfile_call *call)
{
	struct lockfile *f = call->file;

	if (call->request.previous != 0 && f->owner == call->request.previous) {
		f->owner = 0;
		f->converting = false;
		f->lost = true;
	}
}

/*
 * A signal has come.  libfuse holds the request while it calls this, and finish() waits for that:
 * neither the request nor the call goes away meanwhile, unless it is here.
 */
static void on_interrupt(fuse_req_t req, void *ctx)
{
	struct lockfile_call *call = ctx;
	struct lockfiles *all = call->all;
	bool is_lock = call->request.verb == REQUEST_LOCK, is_first, was_waiting;

	(void)pthread_mutex_lock(&all->lock);
	/* libfuse may call this while it is being told of it, and then keeps no hold of @req. */
	is_first = !call->answered && !call->is_new;
	was_waiting = call->waits;
	call->answered = true;
	if (is_first && is_lock) {
		give_up_locked(call);
	}
	if (was_waiting) {
		LIST_REMOVE(call, entry);
	}
	(void)pthread_mutex_unlock(&all->lock);
	if (!is_first) {
		return;
	}
	/* LOCK_UN was asked for and will be done, whoever waits for it. */
	(void)fuse_reply_err(req, is_lock ? EINTR : 0);
	if (was_waiting) {
		submit_unlock(all, call->request.name, call->request.owner);
		free(call);
	}
}

/* Answer a call that was marked as answered here, and is on no list and in no queue. */
static void finish(struct lockfile_call *call, int error)
{
	fuse_req_interrupt_func(call->req, NULL, NULL);
	(void)fuse_reply_err(call->req, error);
	free(call);
}

/* The ticket was granted.  The one that the file held until now, of another thread's call; or 0. */
static uint64_t take_grant_locked(struct lockfile_call *call)
{
	struct lockfile *f = call->file;
	uint64_t other = f->owner == call->request.previous ? 0 : f->owner;

	f->owner = call->request.owner;
	f->exclusive = call->request.exclusive;
	f->converting = false;
	f->lost = false;
	return other;
}

/* The plane's answer to LOCK.  True: the call goes on waiting.  *ret_other as above. */
static bool take_verdict_locked(struct lockfile_call *call, int result, uint64_t *ret_other)
{
	struct lockfile *f = call->file;

	if (result == 0) {
		*ret_other = take_grant_locked(call);
	} else if (result == REQUEST_QUEUED) {
		if (call->request.previous != 0 && f->owner == call->request.previous) {
			f->owner = 0; /* a conversion has let go of what was held */
		}
		call->waits = true;
		LIST_INSERT_HEAD(&call->all->waiting, call, entry);
	} else if (result == -ETIMEDOUT) {
		give_up_locked(call);
	}
	f->converting = false;
	return call->waits;
}

static void on_verdict(void *ctx, int result, const void *bytes, size_t n)
{
	struct lockfile_call *call = ctx;
	struct lockfiles *all = call->all;
	bool is_lock = call->request.verb == REQUEST_LOCK, was_answered, waits = false;
	uint64_t other = 0;

	(void)bytes;
	(void)n;
	(void)pthread_mutex_lock(&all->lock);
	was_answered = call->answered;
	if (!was_answered) {
		waits = is_lock && take_verdict_locked(call, result, &other);
		call->answered = !waits;
	}
	(void)pthread_mutex_unlock(&all->lock);
	if (waits) {
		/* It may have been granted in the very commit in which it was queued. */
		lockfiles_on_view(all);
		return;
	}
	/* What nobody waits for any more, or may yet happen without the caller's knowing. */
	if (is_lock && (was_answered || result == -ETIMEDOUT)) {
		submit_unlock(all, call->request.name, call->request.owner);
		submit_unlock(all, call->request.name, call->request.previous);
	}
	submit_unlock(all, call->request.name, other);
	if (was_answered) {
		free(call);
	} else {
		finish(call, -result);
	}
}

/* The plane takes the call's request. */
static void submit(struct lockfile_call *call)
{
	if (plane_submit(call->all->plane, &call->request, on_verdict, call) < 0) {
		on_verdict(call, -ENOMEM, NULL, 0);
	}
}

/*
 * Others took this mount for dead while the call waited, and it is not: it asks once more, under a
 * ticket of its own, so that nothing that is left of the old one can be taken for it.
 */
static void ask_again(struct lockfile_call *call)
{
	uint64_t old = call->request.owner;

	(void)pthread_mutex_lock(&call->all->lock);
	call->request.owner = ++call->all->last_ticket;
	call->request.previous = 0;
	(void)pthread_mutex_unlock(&call->all->lock);
	submit_unlock(call->all, call->request.name, old);
	submit(call);
}

void lockfiles_on_view(struct lockfiles *all)
{
	const char *own_mount = plane_mount_id(all->plane);
	LIST_HEAD(, lockfile_call) granted = LIST_HEAD_INITIALIZER(granted);
	LIST_HEAD(, lockfile_call) gone = LIST_HEAD_INITIALIZER(gone);
	struct view *v = plane_view(all->plane);
	struct lockfile_call *call, *next;

	(void)pthread_mutex_lock(&all->lock);
	for (call = LIST_FIRST(&all->waiting); call; call = next) {
		const struct index_lock *place = view_find_lock(v, own_mount, call->request.owner);

		next = LIST_NEXT(call, entry);
		if (place && !place->granted) {
			continue;
		}
		LIST_REMOVE(call, entry);
		call->waits = false;
		if (place) {
			/* .previous is now what another thread's call has left to let go. */
			call->request.previous = take_grant_locked(call);
			call->answered = true;
			LIST_INSERT_HEAD(&granted, call, entry);
		} else {
			LIST_INSERT_HEAD(&gone, call, entry);
		}
	}
	(void)pthread_mutex_unlock(&all->lock);
	view_unref(v);
	while ((call = LIST_FIRST(&granted))) {
		LIST_REMOVE(call, entry);
		submit_unlock(all, call->request.name, call->request.previous);
		finish(call, 0);
	}
	while ((call = LIST_FIRST(&gone))) {
		LIST_REMOVE(call, entry);
		ask_again(call);
	}
}

void lockfiles_stop(struct lockfiles *all)
{
	struct lockfile_call *call;

	for (;;) {
		(void)pthread_mutex_lock(&all->lock);
		call = LIST_FIRST(&all->waiting);
		if (call) {
			LIST_REMOVE(call, entry);
			call->waits = false;
			call->answered = true;
		}
		(void)pthread_mutex_unlock(&all->lock);
		if (!call) {
			break;
		}
		finish(call, EINTR);
	}
}

void lockfiles_done(struct lockfiles *all)
{
	(void)pthread_mutex_destroy(&all->lock);
}

/* What @f holds, which it holds no longer. */
static uint64_t let_go(struct lockfiles *all, struct lockfile *f)
{
	uint64_t owner;

	(void)pthread_mutex_lock(&all->lock);
	owner = f->owner;
	f->owner = 0;
	f->lost = false;
	(void)pthread_mutex_unlock(&all->lock);
	return owner;
}

/* A ticket, and what the file holds already.  0: that is the same; 1. */
static int draw_ticket(struct lockfiles *all, struct lockfile *f, struct request *q)
{
	int r = 1;

	(void)pthread_mutex_lock(&all->lock);
	if (f->owner != 0 && f->exclusive == q->exclusive) {
		r = 0;
	} else {
		q->owner = ++all->last_ticket;
		q->previous = f->owner;
		f->converting = f->owner != 0;
	}
	(void)pthread_mutex_unlock(&all->lock);
	return r;
}

/* The request that @op of flock(2) is.  1; 0: there is nothing to do; -EINVAL, -EIO, -ENOLCK. */
static int request_of(struct lockfiles *all, struct lockfile *f, const char *name, int op,
		      struct request *ret)
{
	int kind = op & ~LOCK_NB, r;

	*ret = (struct request){
		.verb = REQUEST_LOCK, .exclusive = kind == LOCK_EX, .wait = !(op & LOCK_NB)};
	(void)snprintf(ret->name, sizeof(ret->name), "%s", name);
	if (kind == LOCK_UN) {
		ret->verb = REQUEST_UNLOCK;
		ret->owner = let_go(all, f);
		return ret->owner != 0;
	}
	if (kind != LOCK_EX && kind != LOCK_SH) {
		return -EINVAL;
	}
	/* Each of them is kept until the share answers. */
	if (all->n_unlocks > REQUEST_LOCKS_MAX) {
		return -ENOLCK;
	}
	r = lockfile_check(all, f, name);
	return r < 0 ? r : draw_ticket(all, f, ret);
}

/* Let signals reach the call and submit it, unless one has come already. */
static void begin(struct lockfile_call *call)
{
	struct lockfiles *all = call->all;
	bool is_lock = call->request.verb == REQUEST_LOCK, is_interrupted;

	call->is_new = true;
	fuse_req_interrupt_func(call->req, on_interrupt, call);
	(void)pthread_mutex_lock(&all->lock);
	call->is_new = false;
	is_interrupted = call->answered;
	if (is_interrupted && is_lock) {
		call->file->converting = false;
	}
	(void)pthread_mutex_unlock(&all->lock);
	if (!is_interrupted) {
		submit(call);
		return;
	}
	if (!is_lock) {
		submit_unlock(all, call->request.name, call->request.owner);
	}
	finish(call, is_lock ? EINTR : 0);
}

void lockfile_flock(struct lockfiles *all, fuse_req_t req, struct lockfile *f, const char *name,
		    int op)
{
	struct lockfile_call *call = calloc(1, sizeof(*call));
	int r = call ? request_of(all, f, name, op, &call->request) : -ENOMEM;

	if (r <= 0) {
		free(call);
		(void)fuse_reply_err(req, -r);
		return;
	}
	call->all = all;
	call->req = req;
	call->file = f;
	if (call->request.verb == REQUEST_LOCK) {
		describe_command(fuse_req_ctx(req)->pid, call->command);
		call->request.pid = (uint64_t)fuse_req_ctx(req)->pid;
		call->request.text = call->command;
		call->request.n = strlen(call->command);
	}
	begin(call);
}

int lockfile_check(struct lockfiles *all, struct lockfile *f, const char *name)
{
	struct view *v = plane_view(all->plane);
	const struct index_lock *place;
	uint64_t lost = 0;
	int r;

	(void)pthread_mutex_lock(&all->lock);
	if (f->owner != 0 && !f->converting) {
		place = view_find_lock(v, plane_mount_id(all->plane), f->owner);
		if (!place || !place->granted || clock_boot_ms() >= view_lock_end_ms(v)) {
			lost = f->owner;
			f->owner = 0;
			f->lost = true;
		}
	}
	r = f->lost ? -EIO : 0;
	(void)pthread_mutex_unlock(&all->lock);
	view_unref(v);
	submit_unlock(all, name, lost);
	return r;
}

void lockfile_release(struct lockfiles *all, struct lockfile *f, const char *name)
{
	submit_unlock(all, name, let_go(all, f));
}
