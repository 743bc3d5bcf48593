/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/plane.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/wait.h"
#include "fs/chain.h"
#include "fs/pace.h"
#include "fs/process.h"
#include "fs/record.h"

#define BATCH_MAX      64
#define RETRY_FIRST_MS 20   /* between two sendings of an attempt whose outcome is unknown */
#define FAREWELL_MS    5000 /* what plane_close() gives the last commit */
#define HANG_MS        2000 /* and then to a thread that may hang on the share */

struct batch {
	bool always; /* publish even if nothing changes */
	bool sweep;  /* give the locks of the dead to those who wait */
	unsigned n;
	struct job *jobs[BATCH_MAX];
};

struct plane {
	/* Set before threads start. */
	struct store *store;
	struct index *index;
	char mount_id[PARSE_ID_BYTES];
	struct index_mount process;
	struct gate gate;
	struct jobs jobs;

	/* Plane thread only, once it runs. */
	struct chain chain;
	uint64_t follow_at_ms;
	int trouble;           /* the last error that was logged; 0: all is well */
	bool publishing_fails; /* the last attempt did: that reading works is no end of trouble */
	struct pace pace;
	int64_t swept_ms; /* by the server's clock: when old staging files were last looked for */

	pthread_mutex_t lock;
	pthread_cond_t collect; /* .old is not empty, .sweep_ms is not 0, or .stopping */
	struct view *view; /* by .lock; the plane thread alone replaces it, and reads it unlocked */
	struct chain_old old; /* by .lock: work for the collector */
	int64_t sweep_ms;     /* by .lock: likewise, staging files from before then; 0: none */
	struct err problem;   /* by .lock */
	bool stopping;        /* by .lock */
	uint64_t give_up_ms;  /* by .lock: if .stopping, when even the last commit is given up */
	unsigned running;     /* by .lock: threads that have not come to their end */
	pthread_cond_t ended; /* wait_cond_init(): .running fell */

	pthread_mutex_t watch_lock;
	plane_watch_fn *watch; /* by .watch_lock, as is its context */
	void *watch_ctx;

	pthread_t plane_thread, collector;
};

const char *plane_id(const struct plane *p)
{
	return store_plane_id(p->store);
}

const char *plane_mount_id(const struct plane *p)
{
	return p->mount_id;
}

struct gate *plane_gate(struct plane *p)
{
	return &p->gate;
}

struct view *plane_view(struct plane *p)
{
	struct view *v;

	(void)pthread_mutex_lock(&p->lock);
	v = view_ref(p->view);
	(void)pthread_mutex_unlock(&p->lock);
	return v;
}

void plane_problem(struct plane *p, struct err *ret)
{
	(void)pthread_mutex_lock(&p->lock);
	*ret = p->problem;
	(void)pthread_mutex_unlock(&p->lock);
}

void plane_watch(struct plane *p, plane_watch_fn *fn, void *ctx)
{
	(void)pthread_mutex_lock(&p->watch_lock);
	p->watch = fn;
	p->watch_ctx = ctx;
	(void)pthread_mutex_unlock(&p->watch_lock);
}

static void tell_watcher(struct plane *p)
{
	(void)pthread_mutex_lock(&p->watch_lock);
	if (p->watch) {
		p->watch(p->watch_ctx);
	}
	(void)pthread_mutex_unlock(&p->watch_lock);
}

/* Must it happen, however late, since nobody asks again? */
static bool must_happen(enum request_verb verb)
{
	return verb == REQUEST_NODE_DIED || verb == REQUEST_UNLOCK || verb == REQUEST_BURY;
}

int plane_submit(struct plane *p, const struct request *req, plane_done_fn *done, void *ctx)
{
	uint64_t limit_ms;

	(void)pthread_mutex_lock(&p->lock);
	limit_ms =
		must_happen(req->verb) ? JOBS_NO_LIMIT : clock_boot_ms() + p->view->timing.limit_ms;
	(void)pthread_mutex_unlock(&p->lock);
	return jobs_submit(&p->jobs, req, limit_ms, done, ctx);
}

static void end_locked(struct plane *p)
{
	p->running--;
	(void)pthread_cond_signal(&p->ended);
}

static bool is_stopping(struct plane *p)
{
	bool stopping;

	(void)pthread_mutex_lock(&p->lock);
	stopping = p->stopping;
	(void)pthread_mutex_unlock(&p->lock);
	return stopping;
}

static void *run_collector(void *arg)
{
	struct plane *p = arg;

	(void)pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		struct chain_old old = p->old;
		int64_t sweep_ms = p->sweep_ms;
		bool is_more;

		if (old.from >= old.to && sweep_ms == 0) {
			(void)pthread_cond_wait(&p->collect, &p->lock);
			continue;
		}
		p->old.from = old.to;
		p->sweep_ms = 0;
		(void)pthread_mutex_unlock(&p->lock);
		while (old.from < old.to && !is_stopping(p)) {
			chain_collect(p->store, &old);
		}
		/* One that found something may have left more; what fails is left to the next. */
		is_more = sweep_ms != 0 && store_sweep(p->store, sweep_ms) > 0;
		(void)pthread_mutex_lock(&p->lock);
		if (is_more && p->sweep_ms == 0) {
			p->sweep_ms = sweep_ms;
		}
	}
	end_locked(p);
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

/*
 * A staging file that is older than any publication takes is of a mount that died.  Its age is the
 * difference of two times of the storage server's clock, its own and that of the newest generation;
 * if that clock is set, files go early or late, and a publication that loses its file stages anew.
 */
static int64_t sweep_before_ms(const struct plane *p)
{
	return p->chain.mtime_ms - (int64_t)p->view->timing.staging_ms;
}

static void hand_to_collector(struct plane *p)
{
	struct chain_old old = chain_old(&p->chain, clock_boot_ms());
	int64_t sweep_ms = sweep_before_ms(p);

	/* At the start, and each time as much later as what was too young then may be old now. */
	if (p->swept_ms == 0 || sweep_ms >= p->swept_ms) {
		p->swept_ms = p->chain.mtime_ms;
		(void)pthread_mutex_lock(&p->lock);
		p->sweep_ms = sweep_ms;
		(void)pthread_cond_signal(&p->collect);
		(void)pthread_mutex_unlock(&p->lock);
	}
	if (old.from < old.to) {
		(void)pthread_mutex_lock(&p->lock);
		if (p->old.from >= p->old.to) {
			p->old.from = old.from;
		}
		p->old.to = old.to;
		(void)pthread_cond_signal(&p->collect);
		(void)pthread_mutex_unlock(&p->lock);
	}
}

/* The share's trouble is told once when it begins or changes, and once when it ends. */
static void note_trouble(struct plane *p, int error)
{
	if (error == p->trouble) {
		return;
	}
	if (error == 0) {
		log_line(LOG_INFO, "fs", "the share answers again", "generation=%" PRIu64,
			 p->chain.generation);
	} else if (p->chain.damaged) {
		log_line(LOG_ERR, "fs", "the index is damaged, this mount refuses to go on",
			 "problem=\"%s\"", p->chain.problem.text);
	} else {
		log_line(LOG_WARN, "fs", "the share gives errors, retrying", "error=%s",
			 strerrorname_np(-error));
	}
	p->trouble = error;
}

/*
 * The gate follows the index: open if a node of ours holds `master`, until its last beat runs out;
 * shut while what was published last cannot be shown.
 */
static void sync_gate(struct plane *p)
{
	uint64_t end_ms = view_lease_end_ms(p->view, LEASE_MASTER);

	if (end_ms != 0 && !p->chain.damaged && p->view->generation == p->chain.generation) {
		gate_set(&p->gate, view_lease(p->view, LEASE_MASTER).epoch, end_ms);
	} else {
		gate_set(&p->gate, 0, 0);
	}
}

/* Show the generation that the chain stands at.  @t0_ms: of our own commit, else 0. */
static int show(struct plane *p, uint64_t t0_ms)
{
	const struct view_head head = {
		.generation = p->chain.generation,
		.mtime_ms = p->chain.mtime_ms,
		.loaded_ms = p->chain.loaded_ms,
		.own_mount = p->mount_id,
		.t0_ms = t0_ms,
		.news = &p->chain.news,
	};
	struct view *old = p->view, *next;
	int r = index_is_torn(p->index) ? -ENOMEM : view_new(p->index, old, &head, &next);

	if (r < 0) {
		return r;
	}
	(void)pthread_mutex_lock(&p->lock);
	p->view = next;
	(void)pthread_mutex_unlock(&p->lock);
	chain_news_clear(&p->chain);
	sync_gate(p);
	view_unref(old);
	tell_watcher(p);
	return 0;
}

/* For short intervals: milliseconds are too coarse for a local disk. */
static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Whoever has published is no rival for the next generations. */
static void tell_pace(struct plane *p)
{
	const struct chain_news *news = &p->chain.news;

	for (unsigned i = 0; i < news->n; i++) {
		if (strcmp(news->writers[i], p->mount_id) != 0) {
			pace_saw(&p->pace, news->writers[i], now_us());
		}
	}
}

/*
 * Apply what others have published, without showing it.  0: the newest stands already, or the
 * number of generations applied, and there may be more; -errno.
 */
static int look(struct plane *p)
{
	uint64_t before_us = now_us();
	int r = chain_catch_up(&p->chain);

	if (r >= 0) {
		pace_looked(&p->pace, (unsigned)r, now_us() - before_us);
	}
	if (r > 0) {
		tell_pace(p);
	}
	if (p->chain.damaged) {
		sync_gate(p);
		(void)pthread_mutex_lock(&p->lock);
		p->problem = p->chain.problem;
		(void)pthread_mutex_unlock(&p->lock);
	}
	return r;
}

/* Follow the chain: look, and show.  As look(). */
static int follow(struct plane *p)
{
	int r = look(p);

	/*
	 * Even after an error part of the way may have been gone.  Not back, though: what is loaded
	 * anew begins with an older image.
	 */
	if (p->chain.generation > p->view->generation) {
		int shown = show(p, 0);

		r = shown < 0 ? shown : r;
	}
	if (r < 0 || !p->publishing_fails) {
		note_trouble(p, r < 0 ? r : 0);
	}
	return r;
}

static bool must_give_up(struct plane *p)
{
	bool must;

	(void)pthread_mutex_lock(&p->lock);
	must = p->stopping && clock_boot_ms() >= p->give_up_ms;
	(void)pthread_mutex_unlock(&p->lock);
	return must;
}

static void pause_us(uint64_t us)
{
	const struct timespec t = {.tv_sec = (time_t)(us / 1000000),
				   .tv_nsec = (long)(us % 1000000) * 1000};

	if (us > 0) {
		(void)nanosleep(&t, NULL);
	}
}

/* Run one request inside the transaction; what it refuses leaves no trace. */
static int run_request(struct plane *p, const struct request *req)
{
	const struct request_facts facts = {
		.own_mount = p->mount_id,
		.own_process = &p->process,
		.view = p->view,
		.now_ms = clock_boot_ms(),
		.wall_ms = clock_wall_ms(),
	};
	int released, r = index_savepoint(p->index);

	if (r < 0) {
		return r;
	}
	r = request_run(p->index, &facts, req);
	if (r < 0) {
		index_savepoint_rollback(p->index);
		return r;
	}
	released = index_savepoint_release(p->index);
	return released < 0 ? released : r;
}

/* Run all that the batch asks for inside the transaction. */
static void run_batch(struct plane *p, struct batch *b)
{
	const struct request sweep = {.verb = REQUEST_SWEEP};

	if (b->sweep) {
		/* If it fails it is due again at once. */
		(void)run_request(p, &sweep);
	}
	for (unsigned i = 0; i < b->n; i++) {
		struct job *j = b->jobs[i];

		/* Who was told that the outcome is unknown: let it not happen now. */
		j->result = jobs_is_answered(&p->jobs, j) ? -ETIMEDOUT : run_request(p, &j->req);
	}
}

static bool is_wanted(struct plane *p, const struct batch *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		if (!jobs_is_answered(&p->jobs, b->jobs[i])) {
			return true;
		}
	}
	return false;
}

/*
 * Does the open transaction take `master` away from this mount, or grant it under another epoch?
 * Then nobody new comes in and those inside finish before it is published, also those that are
 * late: the margin after the deadline is for them.  show() or sync_gate() opens the gate again if
 * it was not given up after all.
 */
static int shut_if_given_up(struct plane *p)
{
	struct index_lease before = view_lease(p->view, LEASE_MASTER), after;
	int r = index_lease_get(p->index, LEASE_MASTER, &after);

	if (r == 0 && view_lease_end_ms(p->view, LEASE_MASTER) != 0 &&
	    (strcmp(before.holder, after.holder) != 0 || before.epoch != after.epoch)) {
		gate_shut(&p->gate, p->view->timing.margin_ms);
	}
	return r;
}

/* Send until the outcome is known.  -ECANCELED: the plane ends first; else 0 and the verdict. */
static int send_until_known(struct plane *p, struct chain_attempt *a, enum commit_verdict *ret,
			    int *ret_error)
{
	uint64_t most_ms = p->view->timing.retry_ms;
	uint64_t wait_ms = RETRY_FIRST_MS;

	for (;;) {
		*ret = chain_send(&p->chain, a, ret_error);
		p->publishing_fails = *ret == COMMIT_UNKNOWN || *ret == COMMIT_FAILED;
		if (*ret != COMMIT_UNKNOWN) {
			return 0;
		}
		note_trouble(p, *ret_error);
		if (must_give_up(p)) {
			chain_abandon(&p->chain);
			return -ECANCELED;
		}
		pause_us(wait_ms * 1000);
		wait_ms = 2 * wait_ms < most_ms ? 2 * wait_ms : most_ms;
	}
}

/*
 * Publish the transaction that was opened at @from_us.  1: done; 0: somebody else was first;
 * -errno: it failed.
 */
static int publish(struct plane *p, struct chain_attempt *a, uint64_t from_us)
{
	enum commit_verdict verdict;
	int error = 0;
	int r = send_until_known(p, a, &verdict, &error);

	if (r < 0) {
		return r;
	}
	if (verdict == COMMIT_OURS) {
		note_trouble(p, 0);
		/* Published is published: what show() cannot show now, follow() shows later. */
		if (show(p, a->t0_ms) < 0) {
			sync_gate(p);
		}
		pace_won(&p->pace, from_us, now_us());
		p->follow_at_ms = clock_boot_ms() + view_follow_ms(p->view, clock_boot_ms());
		return 1;
	}
	if (verdict == COMMIT_FAILED) {
		note_trouble(p, error);
		return error;
	}
	pace_lost(&p->pace, from_us, now_us());
	tell_pace(p);
	return 0;
}

/*
 * Wait until it is our turn to publish, and take note of what others publish meanwhile.  0 or
 * -errno.
 */
static int await_turn(struct plane *p)
{
	uint64_t end_us = now_us() + p->pace.limits.most_us, at_us;
	int r = 0;

	while (r >= 0 && (at_us = now_us()) < end_us && !must_give_up(p)) {
		uint64_t wait_us;
		uint8_t draw = 0;

		/* Lots are drawn after lost races only. */
		if (p->pace.lost > 0) {
			(void)getrandom(&draw, sizeof(draw), 0);
		}
		wait_us = pace_wait_us(&p->pace, at_us, draw);
		if (wait_us == 0) {
			return 0;
		}
		pause_us(wait_us < end_us - at_us ? wait_us : end_us - at_us);
		do {
			r = look(p);
		} while (r >= CHAIN_CATCH_UP_MAX && now_us() < end_us && !must_give_up(p));
	}
	return r < 0 ? r : 0;
}

/*
 * Run the batch on the newest base and publish it once.  1: every job has its result; 0: somebody
 * else was first, try again; -errno: it failed for all.  *looked: since the batch was taken, the
 * end of the chain has been seen.
 */
static int try_batch(struct plane *p, struct batch *b, bool *looked)
{
	struct chain_attempt attempt = {0};
	uint64_t from_us;
	int r;

	if (p->chain.damaged) {
		return -EUCLEAN;
	}
	if (chain_is_stale(&p->chain)) {
		r = follow(p);
		if (r < 0) {
			return r;
		}
	}
	/*
	 * What was not shown yet must be, before anybody is judged by it; and by itself, since a
	 * later generation's time must not count for its beats.
	 */
	if (p->view->generation != p->chain.generation) {
		r = show(p, 0);
		if (r < 0) {
			return r;
		}
	}
	from_us = now_us();
	r = index_begin(p->index);
	if (r < 0) {
		return r;
	}
	run_batch(p, b);
	r = shut_if_given_up(p);
	if (r == 0) {
		r = chain_prepare(&p->chain, b->always, &attempt);
	}
	if (r > 0) {
		r = publish(p, &attempt, from_us);
		chain_attempt_done(&attempt);
		return r;
	}
	index_rollback(p->index);
	if (r == 0) {
		/*
		 * Nothing to publish: only a look at the share can tell that nothing newer says
		 * otherwise.  One look is enough, and nobody waits for it if all have given up.
		 */
		if (*looked || !is_wanted(p, b)) {
			return 1;
		}
		r = follow(p);
		*looked = r >= 0 && r < CHAIN_CATCH_UP_MAX;
		return r < 0 ? r : r == 0;
	}
	return r;
}

static void answer_dump(struct plane *p, struct job *j)
{
	void *bytes = NULL;
	size_t n = 0;
	int r = index_dump(p->index, &bytes, &n);

	jobs_finish(&p->jobs, j, r, bytes, n);
	index_free_bytes(bytes);
}

/* Does this mount hold or await locks, and has not published for a poll period? */
static bool must_renew_locks(const struct plane *p)
{
	const struct view *v = p->view;

	if (clock_boot_ms() - v->own_t0_ms < v->timing.poll_ms) {
		return false;
	}
	for (size_t i = 0; i < v->n_locks; i++) {
		if (strcmp(v->locks[i].mount, p->mount_id) == 0) {
			return true;
		}
	}
	return false;
}

/* Does somebody here wait for a lock, and is there one who has it or waits, and is dead? */
static bool must_sweep_locks(const struct plane *p)
{
	const struct view *v = p->view;
	uint64_t now_ms = clock_boot_ms();
	bool waits = false, lapsed = false;

	for (size_t i = 0; i < v->n_locks; i++) {
		if (strcmp(v->locks[i].mount, p->mount_id) == 0) {
			waits = waits || !v->locks[i].granted;
		} else {
			lapsed = lapsed || view_mount_has_lapsed(v, v->locks[i].mount, now_ms);
		}
	}
	return waits && lapsed;
}

/* An image that is due is best published now, by whoever came last, while nobody waits for it. */
static bool image_may_go_ahead(const struct plane *p)
{
	return p->pace.n_others == 0 && p->pace.run > 0 && chain_image_is_due(&p->chain) &&
	       p->trouble == 0;
}

/*
 * What to answer where the share's error kept a batch from being published.  Those that mean
 * something else as an answer of request_run() must not be taken for it.
 */
static int answer_of_trouble(int error)
{
	switch (error) {
	case -EACCES:
	case -EPERM:
	case -ESTALE:
	case -EBUSY:
	case -EAGAIN:
	case -ENOENT:
	case -EINVAL:
		return -EIO;
	default:
		return error;
	}
}

static void commit_batch(struct plane *p, struct batch *b)
{
	bool looked = false;
	int r;

	b->always = b->always || must_renew_locks(p);
	b->sweep = must_sweep_locks(p);
	do {
		r = await_turn(p);
		if (r == 0) {
			r = try_batch(p, b, &looked);
		}
	} while (r == 0 && !must_give_up(p));
	if (r < 0) {
		note_trouble(p, r);
	}
	/*
	 * Whatever shut the gate for nothing opens it again; but an attempt that was given up may
	 * yet land, and take the lease away.
	 */
	if (!must_give_up(p)) {
		sync_gate(p);
	}
	for (unsigned i = 0; i < b->n; i++) {
		struct job *j = b->jobs[i];
		int result = r > 0 ? j->result : r == 0 ? -ECANCELED : answer_of_trouble(r);

		if (result == 0 && j->req.verb == REQUEST_DUMP) {
			answer_dump(p, j);
		} else if (r != 0 && result < 0 && result != -EUCLEAN && must_happen(j->req.verb)) {
			jobs_postpone(&p->jobs, j, clock_boot_ms() + p->view->timing.poll_ms);
		} else {
			jobs_finish(&p->jobs, j, result, NULL, 0);
		}
	}
}

/* No request waits: look what others have published, and do what is due without being asked. */
static void idle(struct plane *p, struct batch *b)
{
	uint64_t now_ms = clock_boot_ms();

	if (now_ms >= p->follow_at_ms) {
		int r = follow(p);

		/* If there is more: after the requests that wait. */
		p->follow_at_ms =
			r >= CHAIN_CATCH_UP_MAX ? 0 : now_ms + view_follow_ms(p->view, now_ms);
	}
	if (b->always || must_renew_locks(p) || must_sweep_locks(p)) {
		commit_batch(p, b);
	}
}

static void *run_plane(void *arg)
{
	struct plane *p = arg;
	bool ended = false;

	while (!ended) {
		bool early = image_may_go_ahead(p);
		struct batch b = {0};

		b.n = jobs_take(&p->jobs, early ? 0 : p->follow_at_ms, b.jobs, BATCH_MAX, &ended);
		if (b.n > 0) {
			commit_batch(p, &b);
		} else if (!ended) {
			b.always = early;
			idle(p, &b);
		}
		hand_to_collector(p);
	}
	(void)pthread_mutex_lock(&p->lock);
	end_locked(p);
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* An existing plane's timing is what counts; a caller who wants another one must know. */
static int check_timing(const char *name, uint64_t wanted_ms, uint64_t plane_ms, struct err *reterr)
{
	char have[24], want[24];

	if (wanted_ms == 0 || wanted_ms == plane_ms) {
		return 0;
	}
	parse_duration_format(plane_ms, have, sizeof(have));
	parse_duration_format(wanted_ms, want, sizeof(want));
	return err_set(reterr, -EINVAL, "%s=%s was given, but this plane has %s", name, want, have);
}

static int load(struct plane *p, const struct plane_options *o, struct err *reterr)
{
	const struct chain_birth birth = {
		.timeout_ms = o->timeout_ms ? o->timeout_ms : PLANE_DEFAULT_TIMEOUT_MS,
		.poll_ms = o->poll_ms ? o->poll_ms : PLANE_DEFAULT_POLL_MS,
	};
	struct view_head head = {.own_mount = p->mount_id};
	int r = store_open(o->backing_fd, p->mount_id, o->images_only, &p->store, reterr);

	if (r < 0) {
		return r;
	}
	r = index_new(&p->index);
	if (r < 0) {
		return err_wrap(reterr, r, "opening the index");
	}
	r = chain_load(&p->chain, p->store, p->index, p->mount_id, &birth, reterr);
	if (r < 0) {
		return r;
	}
	head.generation = p->chain.generation;
	head.mtime_ms = p->chain.mtime_ms;
	head.loaded_ms = p->chain.loaded_ms;
	r = view_new(p->index, NULL, &head, &p->view);
	if (r < 0) {
		return err_wrap(reterr, r, "reading the index");
	}
	chain_news_clear(&p->chain);
	p->pace.limits = (struct pace_limits){
		.company_us = p->view->timing.others_ms * 1000,
		.most_us = p->view->timing.yield_ms * 1000,
		.images_only = !store_has_changes(p->store),
	};
	r = check_timing("heartbeat_timeout", o->timeout_ms, p->view->timing.timeout_ms, reterr);
	return r < 0 ? r : check_timing("poll_period", o->poll_ms, p->view->timing.poll_ms, reterr);
}

static void free_all(struct plane *p)
{
	view_unref(p->view);
	index_free(p->index);
	store_close(p->store);
	gate_done(&p->gate);
	(void)pthread_cond_destroy(&p->ended);
	(void)pthread_cond_destroy(&p->collect);
	(void)pthread_mutex_destroy(&p->watch_lock);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

static void init_locks(struct plane *p)
{
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_mutex_init(&p->watch_lock, NULL);
	(void)pthread_cond_init(&p->collect, NULL);
	wait_cond_init(&p->ended);
	gate_init(&p->gate);
}

/* Nothing new is accepted, and what is queued must be done by @give_up_ms. */
static void stop(struct plane *p, uint64_t give_up_ms)
{
	(void)pthread_mutex_lock(&p->lock);
	p->stopping = true;
	p->give_up_ms = give_up_ms;
	(void)pthread_cond_broadcast(&p->collect);
	(void)pthread_mutex_unlock(&p->lock);
	jobs_stop(&p->jobs);
}

static int start_threads(struct plane *p)
{
	int r = jobs_init(&p->jobs);

	if (r < 0) {
		return r;
	}
	p->running = 2;
	r = -pthread_create(&p->collector, NULL, run_collector, p);
	if (r == 0) {
		r = -pthread_create(&p->plane_thread, NULL, run_plane, p);
		if (r < 0) {
			stop(p, 0);
			(void)pthread_join(p->collector, NULL);
		}
	}
	if (r < 0) {
		jobs_done(&p->jobs);
	}
	return r;
}

/*
 * Mounts that ran on this machine, since it booted, in a process that is not there any more: a
 * supervisor has started this one in its place, and nobody has to wait for a timeout.
 */
static void bury_predecessors(struct plane *p)
{
	struct view *v = plane_view(p);

	for (size_t i = 0; i < v->n_mounts; i++) {
		struct request req = {.verb = REQUEST_BURY};

		if (process_is_gone(&v->mounts[i].row, &p->process)) {
			log_line(LOG_INFO, "fs",
				 "the process of an earlier mount is gone, "
				 "freeing its leases and locks",
				 "mount=%s pid=%" PRIu64, v->mounts[i].id, v->mounts[i].row.pid);
			(void)snprintf(req.name, sizeof(req.name), "%s", v->mounts[i].id);
			(void)plane_submit(p, &req, NULL, NULL);
		}
	}
	view_unref(v);
}

int plane_open(const struct plane_options *options, struct plane **ret, struct err *reterr)
{
	struct plane *p;
	const char *problem = lease_timing_problem(
		options->timeout_ms ? options->timeout_ms : PLANE_DEFAULT_TIMEOUT_MS,
		options->poll_ms ? options->poll_ms : PLANE_DEFAULT_POLL_MS);
	int r;

	if (problem) {
		return err_set(reterr, -EINVAL, "unsafe timing: %s", problem);
	}
	p = calloc(1, sizeof(*p));
	if (!p) {
		return -ENOMEM;
	}
	init_locks(p);
	io_random_id(p->mount_id);
	process_describe(&p->process);
	r = load(p, options, reterr);
	if (r == 0) {
		r = start_threads(p);
	}
	if (r < 0) {
		free_all(p);
		return r;
	}
	bury_predecessors(p);
	*ret = p;
	return 0;
}

/* Nobody will beat for our nodes any more: let the others take over at once. */
static void say_goodbye(struct plane *p)
{
	const struct request req = {.verb = REQUEST_GOODBYE};
	struct view *v = plane_view(p);
	bool known = view_find_mount(v, p->mount_id) != NULL;

	view_unref(v);
	if (known) {
		(void)plane_submit(p, &req, NULL, NULL);
	}
}

/* Wait for both threads to come to their end; false if one hangs on the share. */
static bool both_ended(struct plane *p, uint64_t wait_ms)
{
	uint64_t until_ms = clock_boot_ms() + wait_ms;
	bool ended;

	(void)pthread_mutex_lock(&p->lock);
	while (p->running > 0 && clock_boot_ms() < until_ms) {
		wait_until(&p->ended, &p->lock, until_ms);
	}
	ended = p->running == 0;
	(void)pthread_mutex_unlock(&p->lock);
	return ended;
}

int plane_close(struct plane *p)
{
	say_goodbye(p);
	stop(p, clock_boot_ms() + FAREWELL_MS);
	/* A thread that hangs on the share keeps what it uses; the process is about to end. */
	if (!both_ended(p, FAREWELL_MS + HANG_MS)) {
		log_line(LOG_WARN, "fs", "the share does not answer, ignoring", "");
		return -ETIMEDOUT;
	}
	(void)pthread_join(p->plane_thread, NULL);
	(void)pthread_join(p->collector, NULL);
	gate_set(&p->gate, 0, 0);
	jobs_done(&p->jobs);
	free_all(p);
	return 0;
}
