/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the daemon: the engine, its shell, and the one worker that waits for the mount. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "tests/sim/sim.h"

/* One generation is told so often at most, and so late. */
#define NEWS_MAX          2
#define NEWS_DELAY_MAX_MS 125

#define PRUNE_MS 20000

static struct sim_daemon *daemon_of(struct sim *s, unsigned i)
{
	return &s->machines[i].daemon;
}

static struct sim_event for_daemon(struct sim *s, unsigned i, enum sim_kind kind, uint64_t id)
{
	return (struct sim_event){
		.kind = kind, .machine = i, .life = daemon_of(s, i)->life, .id = id};
}

/* Hand the worker the next operation. */
static void execute_next(struct sim *s, unsigned i)
{
	struct sim_daemon *d = daemon_of(s, i);
	const struct sim_mount *m = &s->machines[i].mount;
	struct sim_event ev = {.kind = SIM_EV_REQUEST, .machine = i, .life = m->life};

	if (d->executing != 0 || d->n_ops == 0) {
		return;
	}
	d->executing = d->ops[0].id;
	if (!m->up || m->head == 0) {
		ev = for_daemon(s, i, SIM_EV_OP_ANSWER, d->executing);
		ev.status = -ENOTCONN;
		sim_post(s, ev, 1);
		return;
	}
	ev.request = (struct sim_request){
		.op = d->executing,
		.daemon_life = d->life,
		.node = d->id,
		.priority = s->machines[i].priority,
		.state = d->ops[0].action.state,
	};
	switch (d->ops[0].action.type) {
	case HA_ACT_WRITE_RECORD:
		ev.request.ask = SIM_ASK_RECORD;
		break;
	case HA_ACT_CLAIM:
		ev.request.ask = SIM_ASK_CLAIM;
		break;
	case HA_ACT_READ_PLANE:
		ev.request.ask = SIM_ASK_PLANE;
		break;
	case HA_ACT_RELEASE:
		ev.request.ask = SIM_ASK_RELEASE;
		break;
	case HA_ACT_SWITCHOVER:
		ev.request.ask = SIM_ASK_SWITCHOVER;
		ev.request.target = sim_parse_id(d->ops[0].action.node);
		break;
	case HA_ACT_REMOVE:
		ev.request.ask = SIM_ASK_REMOVE;
		ev.request.target = sim_parse_id(d->ops[0].action.node);
		break;
	case HA_ACT_LOAD:
		ev.request.ask = SIM_ASK_LOAD;
		break;
	case HA_ACT_UNLOAD:
	case HA_ACT_ENTERED:
	case HA_ACT_EXIT:
		break;
	}
	sim_post(s, ev, sim_below(s, 3));
}

static void carry_out(struct sim *s, unsigned i, const struct ha_actions *actions)
{
	struct sim_daemon *d = daemon_of(s, i);
	struct sim_event limit;

	for (unsigned k = 0; k < actions->n; k++) {
		const struct ha_action *a = &actions->v[k];

		switch (a->type) {
		case HA_ACT_WRITE_RECORD:
		case HA_ACT_READ_PLANE:
		case HA_ACT_CLAIM:
		case HA_ACT_RELEASE:
		case HA_ACT_SWITCHOVER:
		case HA_ACT_REMOVE:
		case HA_ACT_LOAD:
			assert(d->n_ops < SIM_OPS_MAX);
			d->ops[d->n_ops++] = (struct sim_op){.id = ++s->next_id, .action = *a};
			limit = for_daemon(s, i, SIM_EV_OP_LIMIT, s->next_id);
			limit.status = -ETIMEDOUT;
			sim_post(s, limit, s->timing.limit_ms);
			break;
		case HA_ACT_UNLOAD:
			break;
		case HA_ACT_ENTERED:
			s->masters += a->state == HA_MASTER;
			s->handed += a->reason == HA_REASON_HANDED_TO;
			break;
		case HA_ACT_EXIT:
			sim_daemon_crash(s, i); /* the kernel closes its files all the same */
			return;
		}
	}
	execute_next(s, i);
}

static void feed(struct sim *s, unsigned i, struct ha_event ev)
{
	struct sim_daemon *d = daemon_of(s, i);
	struct ha_actions actions;
	uint64_t deadline_ms, now_ms = sim_local_ms(s, i);

	ev.now_ms = now_ms;
	ha_engine_step(&d->engine, &ev, &actions);
	deadline_ms = ha_engine_deadline_ms(&d->engine);
	d->tick_id = ++s->next_id;
	if (deadline_ms != UINT64_MAX) {
		uint64_t local_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
		uint64_t ppm = (uint64_t)(1000000 + s->machines[i].drift_ppm);

		sim_post(s, for_daemon(s, i, SIM_EV_TICK, d->tick_id),
			 local_ms * 1000000 / ppm + 1);
	}
	carry_out(s, i, &actions);
}

static enum ha_event_type answer_to(enum ha_action_type type)
{
	switch (type) {
	case HA_ACT_WRITE_RECORD:
		return HA_EV_RECORD;
	case HA_ACT_READ_PLANE:
		return HA_EV_PLANE;
	case HA_ACT_CLAIM:
		return HA_EV_CLAIM;
	case HA_ACT_RELEASE:
		return HA_EV_RELEASE;
	case HA_ACT_SWITCHOVER:
		return HA_EV_SWITCHOVER;
	case HA_ACT_REMOVE:
		return HA_EV_REMOVE;
	case HA_ACT_LOAD:
		return HA_EV_LOAD;
	case HA_ACT_UNLOAD:
	case HA_ACT_ENTERED:
	case HA_ACT_EXIT:
		break;
	}
	assert(false);
	return HA_EV_TICK;
}

/* The first answer wins, be it the mount's or the limit's -ETIMEDOUT. */
static void settle(struct sim *s, unsigned i, const struct sim_event *ev)
{
	struct sim_daemon *d = daemon_of(s, i);
	struct ha_event answer = {.status = ev->status, .epoch = ev->epoch};

	for (unsigned k = 0; k < d->n_ops; k++) {
		struct sim_op op = d->ops[k];

		if (op.id != ev->id) {
			continue;
		}
		d->n_ops--;
		memmove(&d->ops[k], &d->ops[k + 1], (d->n_ops - k) * sizeof(op));
		answer.type = answer_to(op.action.type);
		if (answer.type == HA_EV_PLANE && ev->status == 0) {
			answer.plane = &d->plane;
		}
		feed(s, i, answer);
		return;
	}
}

void sim_daemon_start(struct sim *s, unsigned i, enum ha_mode mode)
{
	struct sim_daemon *d = daemon_of(s, i);
	struct ha_config cfg = {
		.mode = mode,
		.timeout_ms = s->timing.timeout_ms,
		.margin_ms = s->timing.margin_ms,
		.poll_ms = s->timing.poll_ms,
		.prune_ms = PRUNE_MS,
	};

	if (!s->machines[i].mount.up || s->machines[i].mount.head == 0) {
		return;
	}
	d->up = true;
	d->id = ++s->last_id; /* a new one, or a predecessor's late write would count as ours */
	d->executing = 0;
	d->n_ops = 0;
	sim_format_id(d->id, cfg.id);
	if (ha_engine_init(&d->engine, &cfg) < 0) {
		sim_broke(s, "the engine refuses its configuration", i);
	}
	sim_post(s, for_daemon(s, i, SIM_EV_TICK, d->tick_id), 1);
}

void sim_daemon_crash(struct sim *s, unsigned i)
{
	struct sim_daemon *d = daemon_of(s, i);
	const struct sim_mount *m = &s->machines[i].mount;

	if (!d->up) {
		return;
	}
	d->up = false;
	d->life++;
	/* After what it asked for before: the mount gets its requests in order. */
	sim_post(s,
		 (struct sim_event){.kind = SIM_EV_REQUEST,
				    .machine = i,
				    .life = m->life,
				    .request = {.ask = SIM_ASK_DEATH, .node = d->id}},
		 3);
}

void sim_daemon_stop(struct sim *s, unsigned i)
{
	struct sim_daemon *d = daemon_of(s, i);

	if (d->up && d->paused_until_ms <= s->now_ms &&
	    s->machines[i].asleep_until_ms <= s->now_ms) {
		feed(s, i, (struct ha_event){.type = HA_EV_STOP});
	}
}

void sim_daemon_set_mode(struct sim *s, unsigned i, enum ha_mode mode)
{
	const struct sim_daemon *d = daemon_of(s, i);

	if (d->up && d->paused_until_ms <= s->now_ms &&
	    s->machines[i].asleep_until_ms <= s->now_ms) {
		s->orders++;
		feed(s, i, (struct ha_event){.type = HA_EV_MODE, .mode = mode});
	}
}

/* Not always: nothing may depend on it.  Nor only once: nothing may come of it. */
void sim_daemon_tell(struct sim *s, unsigned i)
{
	for (uint64_t n = sim_below(s, NEWS_MAX + 1); n > 0; n--) {
		sim_post(s, for_daemon(s, i, SIM_EV_NEWS, 0), sim_below(s, NEWS_DELAY_MAX_MS));
	}
}

void sim_daemon_handle(struct sim *s, const struct sim_event *ev)
{
	struct sim_daemon *d = daemon_of(s, ev->machine);

	if (ev->life != d->life || !d->up) {
		return;
	}
	if (ev->kind == SIM_EV_TICK) {
		if (ev->id == d->tick_id) {
			feed(s, ev->machine, (struct ha_event){.type = HA_EV_TICK});
		}
		return;
	}
	if (ev->kind == SIM_EV_NEWS) {
		feed(s, ev->machine, (struct ha_event){.type = HA_EV_NEWS});
		return;
	}
	if (ev->kind == SIM_EV_OP_ANSWER && ev->id == d->executing) {
		d->executing = 0;
	}
	settle(s, ev->machine, ev);
	if (d->up) {
		execute_next(s, ev->machine);
	}
}
