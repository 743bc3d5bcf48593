/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/agent.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "ha/announce.h"
#include "ha/dir.h"
#include "ha/ops.h"
#include "ha/programs.h"
#include "ha/snapshot.h"
#include "ha/watch.h"

/* How long the process's end waits for TERMINATED to be published, then for each thread. */
#define FAREWELL_MS    5000
#define THREAD_STOP_MS 500

/* A slice of long work lets this many others fit into a poll: heartbeats go on between them. */
#define SLICES_PER_POLL 4

struct ha_agent {
	struct ha_agent_options options; /* set before threads start */
	uint64_t first_epoch;            /* set before threads start: of the first reading */

	/* Agent thread only, down to the lock. */
	struct ha_dir *dir; /* NULL once .ops has it */
	struct ha_ops ops;
	struct ha_watch *watch;            /* NULL where no engine is run */
	int last_status[HA_JOB_TYPE_MAX_]; /* logged when it changes */
	bool may_clear;                    /* --persist clean, and not promoted so far */
	bool clearing;
	bool unloaded; /* since the copy began to be loaded */
	bool refused;
	bool done;
	uint64_t leave_by_ms; /* end even without an answer; UINT64_MAX: not told to leave */

	pthread_mutex_t lock;       /* never held over anything that can block */
	struct ha_engine engine;    /* by lock, read and written; only the agent thread steps it */
	enum ha_state alone;        /* by lock: the state where no engine is run */
	struct ha_snapshot *newest; /* by lock; NULL where no engine is run */
	const char *node_uri;       /* by lock; set once */
};

static const char *const job_names[HA_JOB_TYPE_MAX_] = {
	[HA_JOB_WRITE_RECORD] = "writing the record",
	[HA_JOB_READ_PLANE] = "reading the plane",
	[HA_JOB_CLAIM] = "claiming the lease",
	[HA_JOB_RELEASE] = "giving the lease back",
	[HA_JOB_SWITCHOVER] = "asking for a switchover",
	[HA_JOB_REMOVE] = "removing a record",
	[HA_JOB_LOAD] = "loading the persisted state",
	[HA_JOB_UNLOAD] = "forgetting the persisted state",
	[HA_JOB_CLEAR] = "clearing the persisted state",
};

static enum ha_state state_locked(const struct ha_agent *a)
{
	if (a->options.mode == HA_MODE_DISABLED) {
		return a->alone;
	}
	return ha_engine_state_at(&a->engine, clock_boot_ms());
}

static struct ha_record own_record_locked(const struct ha_agent *a, enum ha_state status)
{
	return (struct ha_record){
		.id = a->options.id,
		.uri = a->node_uri,
		.version = HOLDFAST_VERSION,
		.status = status,
		.local_wall_ms = clock_wall_ms(),
	};
}

enum ha_state ha_agent_state(struct ha_agent *a)
{
	enum ha_state state;

	(void)pthread_mutex_lock(&a->lock);
	state = state_locked(a);
	(void)pthread_mutex_unlock(&a->lock);
	return state;
}

void ha_agent_look(struct ha_agent *a, struct ha_look *ret)
{
	(void)pthread_mutex_lock(&a->lock);
	*ret = (struct ha_look){
		.own = own_record_locked(a, state_locked(a)),
		.own_epoch = a->engine.epoch,
		.newest = a->newest ? ha_snapshot_ref(a->newest) : NULL,
	};
	(void)pthread_mutex_unlock(&a->lock);
}

static void begin_record(struct ha_agent *a, enum ha_state status)
{
	struct ha_record own;
	struct ha_job *job;

	(void)pthread_mutex_lock(&a->lock);
	own = own_record_locked(a, status);
	(void)pthread_mutex_unlock(&a->lock);
	job = calloc(1, sizeof(*job));
	if (job && ha_record_encode(&own, &job->record) < 0) {
		ha_job_free(job);
		job = NULL;
	}
	ha_ops_begin(&a->ops, HA_JOB_WRITE_RECORD, job);
}

static void begin(struct ha_agent *a, enum ha_job_type type)
{
	ha_ops_begin(&a->ops, type, calloc(1, sizeof(struct ha_job)));
}

static void begin_slice(struct ha_agent *a, enum ha_job_type type)
{
	struct ha_job *job = calloc(1, sizeof(*job));

	if (job) {
		job->slice_ms = a->engine.cfg.poll_ms / SLICES_PER_POLL;
	}
	ha_ops_begin(&a->ops, type, job);
}

static void begin_claim(struct ha_agent *a)
{
	struct ha_job *job = calloc(1, sizeof(*job));
	char why[HA_ANNOUNCE_WHY_BYTES];
	struct ha_plane plane;

	if (job) {
		ha_snapshot_to_plane(a->newest, a->options.id, clock_wall_ms(), &plane);
		ha_announce_claim(a->options.id, &plane, why);
		job->record = strdup(why); /* NULL: it is claimed without a reason */
	}
	ha_ops_begin(&a->ops, HA_JOB_CLAIM, job);
}

static void begin_about(struct ha_agent *a, enum ha_job_type type, const char *node)
{
	struct ha_job *job = calloc(1, sizeof(*job));

	if (job) {
		(void)snprintf(job->node, sizeof(job->node), "%s", node);
	}
	ha_ops_begin(&a->ops, type, job);
}

/* Nobody waits for the answer. */
static void unload(struct ha_agent *a)
{
	a->unloaded = true;
	ha_ops_cancel(&a->ops, HA_JOB_UNLOAD);
	begin(a, HA_JOB_UNLOAD);
}

/*
 * State is cleared only by the first promotion, and only if nobody was master since this process
 * started: what another master has written since must stay.
 */
static void begin_clearing(struct ha_agent *a, uint64_t epoch)
{
	if (!a->may_clear) {
		return;
	}
	a->may_clear = false;
	if (epoch != a->first_epoch + 1) {
		log_line(
			LOG_WARN, "ha",
			"somebody was master since this process started: --persist clean, ignoring",
			"epoch=%" PRIu64, epoch);
		return;
	}
	a->clearing = true;
	begin_slice(a, HA_JOB_CLEAR);
}

static void on_cleared(struct ha_agent *a, int status)
{
	if (!a->clearing) {
		return;
	}
	if (status == 1) {
		begin_slice(a, HA_JOB_CLEAR);
		return;
	}
	a->clearing = false;
	if (status == 0) {
		log_line(LOG_INFO, "ha", "persisted state cleared", "id=%s", a->options.id);
	} else {
		log_line(LOG_ERR, "ha", "persisted state could not be cleared", "error=\"%s\"",
			 strerror(-status));
	}
}

/* Never taken up again: the next master's state is not ours to remove. */
static void stop_clearing(struct ha_agent *a)
{
	if (a->clearing) {
		a->clearing = false;
		ha_ops_cancel(&a->ops, HA_JOB_CLEAR);
		log_line(LOG_WARN, "ha", "the lease went before all state was cleared, ignoring",
			 "id=%s", a->options.id);
	}
}

/* What others are told of who is master; NULL: it is not known. */
static const char *master_uri(const struct ha_agent *a, enum ha_state own_state)
{
	const struct ha_snapshot_node *node;

	if (own_state == HA_MASTER) {
		return a->node_uri;
	}
	node = a->newest->master && strcmp(a->newest->master, a->options.id) != 0
		       ? ha_snapshot_find(a->newest, a->newest->master)
		       : NULL;
	return node ? node->record.uri : NULL;
}

/* The lease is not given up before what must end with it has ended. */
static void hold_or_go_on(struct ha_agent *a)
{
	ha_ops_hold(&a->ops, ha_programs_must_wait(a->options.programs, clock_boot_ms()));
}

static void on_entered(struct ha_agent *a, const struct ha_action *entered)
{
	/* No lock: only this thread replaces it. */
	ha_announce(a->options.id, entered, a->newest);
	if (entered->state == HA_MASTER) {
		ha_programs_renew(a->options.programs, a->engine.until_ms);
	}
	ha_programs_enter(a->options.programs, entered, master_uri(a, entered->state));
	hold_or_go_on(a);
	if (entered->state == HA_MASTER) {
		begin_clearing(a, entered->epoch);
	} else {
		stop_clearing(a);
	}
	if (ha_reason_is_refusal(entered->reason)) {
		a->refused = true;
	}
}

static void carry_out(struct ha_agent *a, const struct ha_actions *actions)
{
	for (unsigned i = 0; i < actions->n; i++) {
		const struct ha_action *action = &actions->v[i];

		switch (action->type) {
		case HA_ACT_WRITE_RECORD:
			begin_record(a, action->state);
			break;
		case HA_ACT_READ_PLANE:
			begin(a, HA_JOB_READ_PLANE);
			break;
		case HA_ACT_CLAIM:
			begin_claim(a);
			break;
		case HA_ACT_RELEASE:
			begin(a, HA_JOB_RELEASE);
			break;
		case HA_ACT_SWITCHOVER:
			begin_about(a, HA_JOB_SWITCHOVER, action->node);
			break;
		case HA_ACT_REMOVE:
			begin_about(a, HA_JOB_REMOVE, action->node);
			break;
		case HA_ACT_LOAD:
			a->unloaded = false;
			begin_slice(a, HA_JOB_LOAD);
			break;
		case HA_ACT_UNLOAD:
			unload(a);
			break;
		case HA_ACT_ENTERED:
			on_entered(a, action);
			break;
		case HA_ACT_EXIT:
			a->done = true;
			break;
		}
	}
}

static void step(struct ha_agent *a, struct ha_event *ev)
{
	struct ha_actions actions;

	(void)pthread_mutex_lock(&a->lock);
	ev->now_ms = clock_boot_ms();
	ha_engine_step(&a->engine, ev, &actions);
	assert(!ha_engine_violation(&a->engine));
	(void)pthread_mutex_unlock(&a->lock);
	if (a->engine.state == HA_MASTER) {
		ha_programs_renew(a->options.programs, a->engine.until_ms);
	}
	carry_out(a, &actions);
}

static void publish(struct ha_agent *a, struct ha_snapshot *s)
{
	_cleanup_(ha_snapshot_unrefp) struct ha_snapshot *old = a->newest;

	if (s->problem && (!old->problem || strcmp(s->problem, old->problem) != 0)) {
		log_line(LOG_WARN, "ha", "the mount has a problem, retrying", "problem=\"%s\"",
			 s->problem);
	}
	(void)pthread_mutex_lock(&a->lock);
	a->newest = ha_snapshot_ref(s);
	(void)pthread_mutex_unlock(&a->lock);
}

/* What the engine deals with; anything else is trouble that people are told of. */
static bool is_verdict(enum ha_job_type type, int status)
{
	switch (type) {
	case HA_JOB_WRITE_RECORD:
		return ha_engine_is_verdict(HA_ACT_WRITE_RECORD, status);
	case HA_JOB_READ_PLANE:
		return ha_engine_is_verdict(HA_ACT_READ_PLANE, status);
	case HA_JOB_CLAIM:
		return ha_engine_is_verdict(HA_ACT_CLAIM, status);
	case HA_JOB_RELEASE:
		return ha_engine_is_verdict(HA_ACT_RELEASE, status);
	case HA_JOB_SWITCHOVER:
		return ha_engine_is_verdict(HA_ACT_SWITCHOVER, status);
	case HA_JOB_REMOVE:
		return ha_engine_is_verdict(HA_ACT_REMOVE, status);
	case HA_JOB_LOAD:
	case HA_JOB_UNLOAD:
	case HA_JOB_CLEAR:
	case HA_JOB_TYPE_MAX_:
		break;
	}
	return status >= 0;
}

static void log_status_change(struct ha_agent *a, enum ha_job_type type, int status)
{
	if (is_verdict(type, status)) {
		status = 0;
	}
	if (status == a->last_status[type]) {
		return;
	}
	a->last_status[type] = status;
	if (status < 0) {
		log_line(LOG_WARN, "ha", "an operation on the mount failed, retrying",
			 "operation=\"%s\" error=\"%s\"", job_names[type], strerror(-status));
	} else {
		log_line(LOG_INFO, "ha", "an operation on the mount works again",
			 "operation=\"%s\"", job_names[type]);
	}
}

/* Tell the engine what became of an operation.  @job is NULL if no answer came in time. */
static void answer(struct ha_agent *a, enum ha_job_type type, const struct ha_job *job)
{
	struct ha_event ev = {.status = job ? job->status : -ETIMEDOUT};
	struct ha_plane plane;

	log_status_change(a, type, ev.status);
	switch (type) {
	case HA_JOB_WRITE_RECORD:
		ev.type = HA_EV_RECORD;
		break;
	case HA_JOB_READ_PLANE:
		ev.type = HA_EV_PLANE;
		if (ev.status == 0) {
			publish(a, job->snapshot);
			ha_snapshot_to_plane(job->snapshot, a->options.id, clock_wall_ms(), &plane);
			ev.plane = &plane;
		}
		break;
	case HA_JOB_CLAIM:
		ev.type = HA_EV_CLAIM;
		ev.epoch = job ? job->epoch : 0;
		break;
	case HA_JOB_RELEASE:
		ev.type = HA_EV_RELEASE;
		break;
	case HA_JOB_SWITCHOVER:
		ev.type = HA_EV_SWITCHOVER;
		break;
	case HA_JOB_REMOVE:
		ev.type = HA_EV_REMOVE;
		break;
	case HA_JOB_LOAD:
		if (ev.status == 1 && !a->unloaded) {
			begin_slice(a, HA_JOB_LOAD);
			return;
		}
		ev.type = HA_EV_LOAD;
		ev.status = a->unloaded ? -ECANCELED : ev.status;
		break;
	case HA_JOB_UNLOAD:
		return;
	case HA_JOB_CLEAR:
		on_cleared(a, ev.status);
		return;
	case HA_JOB_TYPE_MAX_:
		return;
	}
	step(a, &ev);
}

static void take_answers(struct ha_agent *a)
{
	enum ha_job_type type;
	struct ha_job *taken;

	while (ha_ops_next(&a->ops, &type, &taken)) {
		_cleanup_(ha_job_freep) struct ha_job *job = taken;

		answer(a, type, job);
	}
}

static int wait_ms(const struct ha_agent *a)
{
	const uint64_t others_ms[] = {
		ha_ops_deadline_ms(&a->ops),
		ha_programs_wait_end_ms(a->options.programs),
		a->leave_by_ms,
	};
	uint64_t at_ms = ha_engine_deadline_ms(&a->engine), now_ms = clock_boot_ms();

	for (size_t i = 0; i < sizeof(others_ms) / sizeof(others_ms[0]); i++) {
		at_ms = others_ms[i] < at_ms ? others_ms[i] : at_ms;
	}
	if (at_ms <= now_ms) {
		return 0;
	}
	return at_ms - now_ms < INT_MAX ? (int)(at_ms - now_ms) : INT_MAX;
}

static void leave(struct ha_agent *a)
{
	struct ha_event ev = {.type = HA_EV_STOP};

	if (a->leave_by_ms == UINT64_MAX) {
		a->leave_by_ms = clock_boot_ms() + FAREWELL_MS;
		a->leave_by_ms += ha_programs_grace_ms(a->options.programs);
		step(a, &ev);
	}
}

static void run_engine(struct ha_agent *a, int stop_fd)
{
	struct pollfd fds[] = {
		{.fd = ha_ops_fd(&a->ops), .events = POLLIN},
		{.fd = stop_fd, .events = POLLIN},
		{.fd = ha_watch_fd(a->watch), .events = POLLIN},
		{.fd = ha_programs_fd(a->options.programs), .events = POLLIN},
	};

	while (!a->done && clock_boot_ms() < a->leave_by_ms) {
		struct ha_event tick = {.type = HA_EV_TICK}, news = {.type = HA_EV_NEWS};
		struct ha_event give_up = {.type = HA_EV_GIVE_UP};
		bool any = poll(fds, 4, wait_ms(a)) > 0;

		if (any && fds[1].revents) {
			fds[1].fd = -1; /* told once */
			leave(a);
		}
		take_answers(a);
		if (any && fds[2].revents) {
			ha_watch_take(a->watch);
			step(a, &news);
		}
		if (any && fds[3].revents) {
			if (ha_programs_take(a->options.programs)) {
				step(a, &give_up);
			}
			fds[3].fd = ha_programs_fd(a->options.programs);
		}
		if (clock_boot_ms() >= ha_engine_deadline_ms(&a->engine)) {
			step(a, &tick);
		}
		hold_or_go_on(a);
		if (a->refused && a->options.refusal_is_fatal) {
			leave(a);
		}
	}
	if (!a->done) {
		log_line(LOG_WARN, "ha", "the share did not take the last record in time, ignoring",
			 "id=%s", a->options.id);
	}
}

static void run_alone(struct ha_agent *a, int stop_fd)
{
	struct pollfd fd = {.fd = stop_fd, .events = POLLIN};

	log_line(LOG_INFO, "ha", "High availability disabled", "id=%s", a->options.id);
	while (poll(&fd, 1, -1) <= 0) {
	}
	(void)pthread_mutex_lock(&a->lock);
	a->alone = HA_TERMINATED;
	(void)pthread_mutex_unlock(&a->lock);
}

int ha_agent_run(struct ha_agent *a, const char *node_uri, int stop_fd)
{
	int r;

	(void)pthread_mutex_lock(&a->lock);
	a->node_uri = node_uri;
	(void)pthread_mutex_unlock(&a->lock);
	if (a->options.mode == HA_MODE_DISABLED) {
		run_alone(a, stop_fd);
		return 0;
	}
	r = ha_watch_start(ha_dir_path(a->dir), a->engine.cfg.poll_ms, &a->watch);
	if (r < 0) {
		return r;
	}
	r = ha_ops_start(&a->ops, a->dir, ha_engine_call_limit_ms(&a->engine.cfg));
	if (r < 0) {
		return r;
	}
	a->dir = NULL;
	run_engine(a, stop_fd);
	return a->refused && a->options.refusal_is_fatal ? -ECANCELED : 0;
}

int ha_agent_new(const struct ha_agent_options *options, struct ha_dir *dir,
		 struct ha_snapshot *plane, struct ha_agent **ret, struct err *reterr)
{
	_cleanup_free_ struct ha_agent *a = calloc(1, sizeof(*a));
	struct ha_config cfg = {.mode = options->mode, .prune_ms = options->prune_ms};

	if (!a) {
		return -ENOMEM;
	}
	assert((dir != NULL) == (options->mode != HA_MODE_DISABLED));
	assert((plane != NULL) == (dir != NULL));
	if (plane) {
		cfg.timeout_ms = plane->timeout_ms;
		cfg.poll_ms = plane->poll_ms;
		cfg.margin_ms = plane->margin_ms;
		(void)snprintf(cfg.id, sizeof(cfg.id), "%s", options->id);
		if (ha_engine_init(&a->engine, &cfg) < 0) {
			return err_set(reterr, -EINVAL,
				       "the plane's heartbeatTimeout %" PRIu64
				       "ms and pollPeriod %" PRIu64 "ms are not safe together",
				       cfg.timeout_ms, cfg.poll_ms);
		}
		a->first_epoch = plane->epoch;
	}
	a->options = *options;
	a->may_clear = options->clear_on_first_promotion;
	a->leave_by_ms = UINT64_MAX;
	a->alone = HA_MASTER;
	a->dir = dir;
	a->newest = plane;
	(void)pthread_mutex_init(&a->lock, NULL);
	*ret = take_ptr(a);
	return 0;
}

int ha_agent_free(struct ha_agent *a)
{
	int r = a->watch ? ha_watch_stop(a->watch, THREAD_STOP_MS) : 0;

	if (r == 0 && a->ops.worker) {
		r = ha_ops_stop(&a->ops, THREAD_STOP_MS);
	}
	if (r < 0) {
		return r;
	}
	ha_dir_close(a->dir);
	ha_snapshot_unref(a->newest);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
	return 0;
}
