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
#include "fs/chain.h"
#include "fs/record.h"

#define BATCH_MAX      64
#define RETRY_FIRST_MS 20 /* between two sendings of an attempt whose outcome is unknown */
#define RETRY_MAX_MS   1000
#define YIELD_TIMES    4 /* what reading a generation costs, in publications: over NFS 4 calls to 1 */
#define JITTER_MAX_US  10000 /* after lost races; less where a publication takes less */
#define FAREWELL_MS    5000  /* what plane_close() gives the last commit */
#define HANG_MS        2000  /* and then to a thread that may hang on the share */

struct batch {
	unsigned n;
	struct job *jobs[BATCH_MAX];
};

struct plane {
	/* Set before threads start. */
	struct store *store;
	struct index *index;
	char mount_id[PARSE_ID_BYTES];
	struct gate gate;
	struct jobs jobs;

	/* Plane thread only, once it runs. */
	struct chain chain;
	uint64_t poll_at_ms;
	int trouble;           /* the last error that was logged; 0: all is well */
	bool is_ahead;         /* the newest generation is ours */
	uint64_t took_us;      /* how long its publication took */
	uint64_t published_us; /* when that ended */
	unsigned lost;         /* races in a row */

	pthread_mutex_t lock;
	pthread_cond_t collect; /* .old is not empty, or .stopping */
	struct view *view; /* by .lock; the plane thread alone replaces it, and reads it unlocked */
	struct chain_old old; /* by .lock: work for the collector */
	struct err problem;   /* by .lock */
	bool stopping;        /* by .lock */
	uint64_t give_up_ms;  /* by .lock: if .stopping, when even the last commit is given up */
	unsigned running;     /* by .lock: threads that have not come to their end */
	pthread_cond_t ended; /* on CLOCK_MONOTONIC: .running fell */

	pthread_t plane_thread, collector;
};

/* --- what others ask ------------------------------------------------------------------------- */

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

int plane_submit(struct plane *p, const struct request *req, plane_done_fn *done, void *ctx)
{
	uint64_t limit_ms;

	(void)pthread_mutex_lock(&p->lock);
	/* Nobody waits for the news of a death, and it must not be lost. */
	limit_ms = req->verb == REQUEST_NODE_DIED
			   ? JOBS_NO_LIMIT
			   : clock_boot_ms() + p->view->timing.timeout_ms / 2;
	(void)pthread_mutex_unlock(&p->lock);
	return jobs_submit(&p->jobs, req, limit_ms, done, ctx);
}

/* --- collector ------------------------------------------------------------------------------- */

static void end_locked(struct plane *p)
{
	p->running--;
	(void)pthread_cond_signal(&p->ended);
}

static void *run_collector(void *arg)
{
	struct plane *p = arg;

	(void)pthread_mutex_lock(&p->lock);
	while (!p->stopping) {
		struct chain_old old = p->old;

		if (old.from >= old.to) {
			(void)pthread_cond_wait(&p->collect, &p->lock);
			continue;
		}
		p->old.from = old.to;
		(void)pthread_mutex_unlock(&p->lock);
		chain_collect(p->store, old);
		(void)pthread_mutex_lock(&p->lock);
	}
	end_locked(p);
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void hand_to_collector(struct plane *p)
{
	struct chain_old old = chain_old(&p->chain, clock_boot_ms());

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

/* --- the plane thread: following -------------------------------------------------------------- */

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
	struct index_lease master = view_lease(p->view, REQUEST_MASTER);
	const struct view_node *holder = view_find_node(p->view, master.holder);

	if (holder && holder->ours && holder->deadline_ms != 0 && !p->chain.damaged &&
	    p->view->generation == p->chain.generation) {
		gate_set(&p->gate, master.epoch, holder->deadline_ms);
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
	};
	struct view *old = p->view, *next;
	int r = view_new(p->index, old, &head, &next);

	if (r < 0) {
		return r;
	}
	(void)pthread_mutex_lock(&p->lock);
	p->view = next;
	(void)pthread_mutex_unlock(&p->lock);
	sync_gate(p);
	view_unref(old);
	return 0;
}

static int show_others(struct plane *p)
{
	p->is_ahead = false;
	return show(p, 0);
}

/* Follow the chain.  0 or the number of generations applied; -errno. */
static int follow(struct plane *p)
{
	int n = chain_catch_up(&p->chain);
	int r = n;

	/* Even after an error part of the way may have been gone. */
	if (p->chain.generation != p->view->generation) {
		int shown = show_others(p);

		r = shown < 0 ? shown : n;
	}
	if (p->chain.damaged) {
		sync_gate(p);
		(void)pthread_mutex_lock(&p->lock);
		p->problem = p->chain.problem;
		(void)pthread_mutex_unlock(&p->lock);
	}
	note_trouble(p, r < 0 ? r : 0);
	return r;
}

/*
 * --- the plane thread: committing --------------------------------------------------------------
 */

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

	(void)nanosleep(&t, NULL);
}

/* For short intervals: milliseconds are too coarse for a local disk. */
static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Run one job inside the transaction; what it refuses leaves no trace. */
static int run_job(struct plane *p, const struct job *j)
{
	const struct request_facts facts = {
		.own_mount = p->mount_id,
		.view = p->view,
		.now_ms = clock_boot_ms(),
		.wall_ms = clock_wall_ms(),
	};
	int r;

	/* Its caller was told that the outcome is unknown: let it not happen now. */
	if (jobs_is_answered(&p->jobs, j)) {
		return -ETIMEDOUT;
	}
	r = index_savepoint(p->index);
	if (r < 0) {
		return r;
	}
	r = request_run(p->index, &facts, &j->req);
	if (r < 0) {
		index_savepoint_rollback(p->index);
		return r;
	}
	return index_savepoint_release(p->index);
}

/*
 * Does the open transaction take `master` away from this mount, or grant it under another epoch,
 * before its deadline?  Then nobody new comes in and those inside finish before it is published.
 * show() or sync_gate() opens the gate again if it was not given up after all.
 */
static int shut_if_given_up(struct plane *p)
{
	struct index_lease before = view_lease(p->view, REQUEST_MASTER), after;
	int r = index_lease_get(p->index, REQUEST_MASTER, &after);

	if (r == 0 && gate_is_open(&p->gate) &&
	    (strcmp(before.holder, after.holder) != 0 || before.epoch != after.epoch)) {
		gate_shut(&p->gate, p->view->timing.margin_ms);
	}
	return r;
}

/* Send until the outcome is known.  -ECANCELED: the plane ends first; else 0 and the verdict. */
static int send_until_known(struct plane *p, struct chain_attempt *a, enum commit_verdict *ret,
			    int *ret_error)
{
	uint64_t wait_ms = RETRY_FIRST_MS;

	for (;;) {
		*ret = chain_send(&p->chain, a, ret_error);
		if (*ret != COMMIT_UNKNOWN) {
			return 0;
		}
		note_trouble(p, *ret_error);
		if (must_give_up(p)) {
			chain_abandon(&p->chain);
			return -ECANCELED;
		}
		pause_us(wait_ms * 1000);
		wait_ms = wait_ms < RETRY_MAX_MS / 2 ? 2 * wait_ms : RETRY_MAX_MS;
	}
}

/* Publish the open transaction.  1: done; 0: somebody else was first; -errno: it failed. */
static int publish(struct plane *p, struct chain_attempt *a)
{
	uint64_t before_us = now_us();
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
		p->is_ahead = true;
		p->published_us = now_us();
		p->took_us = p->published_us - before_us;
		p->lost = 0;
		p->poll_at_ms = clock_boot_ms() + p->view->timing.poll_ms;
		return 1;
	}
	if (verdict == COMMIT_FAILED) {
		note_trouble(p, error);
		return error;
	}
	/*
	 * After one lost race the winner's generation, which was read already, is most often the
	 * newest: the next attempt finds out.  After another one it is not, and following is faster
	 * than losing.
	 */
	r = p->lost++ == 0 && p->chain.generation != p->view->generation ? show_others(p)
									 : follow(p);
	return r < 0 ? r : 0;
}

/*
 * Whoever lost a race has to read what won it before the next one, and reading costs more than
 * publishing: two mounts that publish as fast as they can would never take turns.  So each leaves
 * the others the time for that after every generation of its own.  At the pace of heartbeats it has
 * long gone by.
 */
static void yield_to_others(const struct plane *p)
{
	uint64_t wait_us = YIELD_TIMES * p->took_us, most_us = p->view->timing.poll_ms * 500;
	uint64_t since_us = now_us() - p->published_us;

	wait_us = wait_us < most_us ? wait_us : most_us;
	if (p->is_ahead && since_us < wait_us) {
		pause_us(wait_us - since_us);
	}
}

/*
 * Run the batch on the newest base and publish it once.  1: every job has its result; 0: somebody
 * else was first, try again; -errno: it failed for all.  *looked: since the batch was taken, the
 * end of the chain has been seen.
 */
static int try_batch(struct plane *p, struct batch *b, bool *looked)
{
	struct chain_attempt attempt = {0};
	bool wanted = false;
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
	r = index_begin(p->index);
	if (r < 0) {
		return r;
	}
	for (unsigned i = 0; i < b->n; i++) {
		b->jobs[i]->result = run_job(p, b->jobs[i]);
		wanted = wanted || !jobs_is_answered(&p->jobs, b->jobs[i]);
	}
	r = shut_if_given_up(p);
	if (r == 0) {
		r = chain_prepare(&p->chain, &attempt);
	}
	if (r > 0) {
		r = publish(p, &attempt);
		chain_attempt_done(&attempt);
		return r;
	}
	index_rollback(p->index);
	if (r == 0) {
		/*
		 * Nothing to publish: only a look at the share can tell that nothing newer says
		 * otherwise.  One look is enough, and nobody waits for it if all have given up.
		 */
		if (*looked || !wanted) {
			return 1;
		}
		r = follow(p);
		*looked = r >= 0 && r < CHAIN_CATCH_UP_MAX;
		return r < 0 ? r : r == 0;
	}
	return r;
}

/* Wait a little after lost races, so that racing mounts do not keep step. */
static void back_off(const struct plane *p)
{
	uint8_t draw = 0;

	if (p->lost > 1 && getrandom(&draw, sizeof(draw), 0) == 1) {
		pause_us(draw * (p->took_us < JITTER_MAX_US ? p->took_us : JITTER_MAX_US) / 255);
	}
}

static void answer_dump(struct plane *p, struct job *j)
{
	void *bytes = NULL;
	size_t n = 0;
	int r = index_dump(p->index, &bytes, &n);

	jobs_finish(&p->jobs, j, r, bytes, n);
	index_free_bytes(bytes);
}

static void commit_batch(struct plane *p, struct batch *b)
{
	bool looked = false;
	int r;

	yield_to_others(p);
	do {
		back_off(p);
		r = try_batch(p, b, &looked);
	} while (r == 0 && !must_give_up(p));
	/*
	 * Whatever shut the gate for nothing opens it again; but an attempt that was given up may
	 * yet land, and take the lease away.
	 */
	if (!must_give_up(p)) {
		sync_gate(p);
	}
	for (unsigned i = 0; i < b->n; i++) {
		struct job *j = b->jobs[i];
		int result = r > 0 ? j->result : r == 0 ? -ECANCELED : r;

		if (result == 0 && j->req.verb == REQUEST_DUMP) {
			answer_dump(p, j);
		} else if (r < 0 && r != -EUCLEAN && j->req.verb == REQUEST_NODE_DIED) {
			/* Or the others would wait for the full timeout. */
			jobs_postpone(&p->jobs, j, clock_boot_ms() + p->view->timing.poll_ms);
		} else {
			jobs_finish(&p->jobs, j, result, NULL, 0);
		}
	}
}

static void *run_plane(void *arg)
{
	struct plane *p = arg;
	bool ended = false;

	while (!ended) {
		struct batch b;

		b.n = jobs_take(&p->jobs, p->poll_at_ms, b.jobs, BATCH_MAX, &ended);
		if (b.n > 0) {
			commit_batch(p, &b);
		} else if (!ended) {
			p->poll_at_ms = clock_boot_ms() + p->view->timing.poll_ms;
			if (follow(p) >= CHAIN_CATCH_UP_MAX) {
				p->poll_at_ms = 0; /* there is more: after the requests that wait */
			}
		}
		hand_to_collector(p);
	}
	(void)pthread_mutex_lock(&p->lock);
	end_locked(p);
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

/*
 * --- opening and closing -----------------------------------------------------------------------
 */

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
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
}

static void init_locks(struct plane *p)
{
	pthread_condattr_t monotonic;

	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->collect, NULL);
	(void)pthread_cond_init(&p->ended, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
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
	r = load(p, options, reterr);
	if (r == 0) {
		r = start_threads(p);
	}
	if (r < 0) {
		free_all(p);
		return r;
	}
	*ret = p;
	return 0;
}

static void on_farewell(void *ctx, int result, const void *bytes, size_t n)
{
	(void)ctx;
	(void)result;
	(void)bytes;
	(void)n;
}

/* Nobody will beat for our nodes any more: let the others take over at once. */
static void say_farewell(struct plane *p)
{
	struct view *v = plane_view(p);

	for (size_t i = 0; i < v->n_nodes; i++) {
		struct request req = {.verb = REQUEST_NODE_DIED};

		if (v->nodes[i].ours && record_says(v->nodes[i].row.status) != LEASE_RECORD_OVER) {
			(void)snprintf(req.node, sizeof(req.node), "%s", v->nodes[i].id);
			(void)plane_submit(p, &req, on_farewell, NULL);
		}
	}
	view_unref(v);
}

/* Wait for both threads to come to their end; false if one hangs on the share. */
static bool both_ended(struct plane *p, uint64_t wait_ms)
{
	struct timespec until;
	bool ended;
	int r = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(wait_ms / 1000);
	(void)pthread_mutex_lock(&p->lock);
	while (p->running > 0 && r == 0) {
		r = pthread_cond_timedwait(&p->ended, &p->lock, &until);
	}
	ended = p->running == 0;
	(void)pthread_mutex_unlock(&p->lock);
	return ended;
}

int plane_close(struct plane *p)
{
	say_farewell(p);
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
