/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Once the faults are over, somebody must lead by this long before the end, and stay. */
#define SETTLED_MS 5000

#define QUIET_DELAY_MAX_MS 20

/* splitmix64: small, seedable, the same everywhere. */
static uint64_t draw(struct sim *s)
{
	uint64_t z = (s->rng += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint64_t sim_below(struct sim *s, uint64_t n)
{
	return n ? draw(s) % n : 0;
}

bool sim_is_quiet(const struct sim *s)
{
	return s->now_ms >= s->faults.quiet_after_ms;
}

bool sim_chance(struct sim *s, unsigned permille)
{
	return permille != 0 && !sim_is_quiet(s) && sim_below(s, 1000) < permille;
}

uint64_t sim_delay_ms(struct sim *s)
{
	return sim_below(s, sim_is_quiet(s) ? QUIET_DELAY_MAX_MS : s->faults.delay_max_ms + 1);
}

uint64_t sim_local_ms(const struct sim *s, unsigned machine)
{
	const struct sim_machine *m = &s->machines[machine];
	int64_t skew = (int64_t)s->now_ms * m->drift_ppm / 1000000;

	return m->clock_base_ms + (uint64_t)((int64_t)s->now_ms + skew);
}

void sim_format_id(uint32_t id, char *ret)
{
	char *p = ret + 8;

	*p = '\0';
	for (uint32_t left = id; p > ret + 1; left /= 10) {
		*--p = (char)('0' + left % 10);
	}
	*ret = id ? 'n' : '\0';
}

uint32_t sim_parse_id(const char *id)
{
	return id[0] ? (uint32_t)strtoul(id + 1, NULL, 10) : 0;
}

void sim_broke(struct sim *s, const char *what, unsigned machine)
{
	if (!s->why[0]) {
		(void)snprintf(s->why, sizeof(s->why), "%s (%u) at %" PRIu64 " ms", what, machine,
			       s->now_ms);
	}
}

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->seq < b->seq;
}

static void push(struct sim *s, const struct sim_event *ev)
{
	unsigned i = s->n_events++;

	assert(s->n_events <= SIM_EVENTS_MAX);
	while (i > 0 && is_before(ev, &s->events[(i - 1) / 2])) {
		s->events[i] = s->events[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->events[i] = *ev;
}

static struct sim_event pop(struct sim *s)
{
	struct sim_event first = s->events[0];
	const struct sim_event *last = &s->events[--s->n_events];
	unsigned i = 0, child;

	while ((child = 2 * i + 1) < s->n_events) {
		if (child + 1 < s->n_events &&
		    is_before(&s->events[child + 1], &s->events[child])) {
			child++;
		}
		if (!is_before(&s->events[child], last)) {
			break;
		}
		s->events[i] = s->events[child];
		i = child;
	}
	s->events[i] = *last;
	return first;
}

void sim_post(struct sim *s, struct sim_event ev, uint64_t after_ms)
{
	ev.at_ms = s->now_ms + after_ms;
	ev.seq = s->seq++;
	push(s, &ev);
}

static void check(struct sim *s)
{
	unsigned open = 0, masters = 0;

	for (unsigned i = 0; i < s->n_machines; i++) {
		const struct sim_daemon *d = &s->machines[i].daemon;
		const char *violation = d->up ? ha_engine_violation(&d->engine) : NULL;

		/* A stopped machine counts: it could wake between its check and its write. */
		open += sim_mount_gate_is_open(s, i);
		masters += d->up && ha_engine_state_at(&d->engine, sim_local_ms(s, i)) == HA_MASTER;
		if (violation) {
			sim_broke(s, violation, i);
		}
		if (open > 1) {
			sim_broke(s, "two gates are open", i);
		}
		if (masters > 1) {
			sim_broke(s, "two nodes call themselves master", i);
		}
	}
}

static unsigned current_master(const struct sim *s)
{
	for (unsigned i = 0; i < s->n_machines; i++) {
		const struct sim_daemon *d = &s->machines[i].daemon;

		if (d->up && ha_engine_state_at(&d->engine, sim_local_ms(s, i)) == HA_MASTER &&
		    sim_mount_gate_is_open(s, i)) {
			return i;
		}
	}
	return SIM_MACHINES_MAX;
}

static enum ha_mode any_mode(struct sim *s)
{
	static const enum ha_mode modes[] = {
		HA_MODE_MASTER,      HA_MODE_MASTER,      HA_MODE_STANDBY,   HA_MODE_STANDBY,
		HA_MODE_HOT_STANDBY, HA_MODE_HOT_STANDBY, HA_MODE_HOT_BACKUP};

	return sim_chance(s, 500) ? modes[sim_below(s, sizeof(modes) / sizeof(modes[0]))]
				  : HA_MODE_AUTO;
}

static uint64_t fault_end_ms(struct sim *s, unsigned max_ms)
{
	uint64_t end_ms = s->now_ms + sim_below(s, max_ms + 1ULL);

	return end_ms < s->faults.quiet_after_ms ? end_ms : s->faults.quiet_after_ms;
}

static void pause_until(struct sim *s, unsigned permille, uint64_t *ret_until_ms)
{
	if (sim_chance(s, permille)) {
		s->pauses++;
		*ret_until_ms = fault_end_ms(s, s->faults.pause_max_ms);
	}
}

static void crash(struct sim *s, unsigned i, bool of_daemon, bool of_mount)
{
	struct sim_machine *m = &s->machines[i];
	uint64_t back = sim_below(s, 5000);

	s->crashes++;
	/* The mount first: where both die, none is left to see the other's death. */
	if (of_mount) {
		sim_mount_crash(s, i);
		m->mount.paused_until_ms = 0;
		sim_post(s, (struct sim_event){.kind = SIM_EV_MOUNT_START, .machine = i}, back);
	}
	if (of_daemon) {
		sim_daemon_crash(s, i);
		m->daemon.paused_until_ms = 0;
	}
}

/* What an operator does about a node that will not go on by itself. */
static bool needs_restart(struct sim *s, const struct sim_daemon *d)
{
	return d->up && d->engine.state == HA_FAILED &&
	       (d->engine.reason == HA_REASON_MASTER_EXISTS ||
		d->engine.reason == HA_REASON_NO_MASTER) &&
	       (sim_is_quiet(s) || sim_chance(s, 200));
}

/* To any node, whichever mount the operator sits at; dead ones, and the master itself, included. */
static void order_switchover(struct sim *s)
{
	struct sim_request order = {.ask = SIM_ASK_SWITCHOVER};

	if (sim_chance(s, 700)) {
		order.target = s->machines[sim_below(s, s->n_machines)].daemon.id;
	}
	order.any = order.target != 0 || sim_chance(s, 800); /* or cancel */
	sim_mount_order(s, (unsigned)sim_below(s, s->n_machines), &order);
}

static void order_pause(struct sim *s, bool paused)
{
	sim_mount_order(s, (unsigned)sim_below(s, s->n_machines),
			&(struct sim_request){.ask = SIM_ASK_PAUSE, .any = paused});
}

static void operate(struct sim *s)
{
	const struct sim_faults *f = &s->faults;
	bool paused = s->attempts[s->store.chain[s->store.highest]].index.paused;

	if (sim_chance(s, f->switchover_permille)) {
		order_switchover(s);
	}
	if (paused ? sim_is_quiet(s) || sim_chance(s, 100)
		   : sim_chance(s, f->maintenance_permille)) {
		order_pause(s, !paused);
	}
	for (unsigned i = 0; i < s->n_machines; i++) {
		if (sim_chance(s, f->mode_permille)) {
			sim_daemon_set_mode(s, i,
					    sim_chance(s, 200) ? HA_MODE_DISABLED : any_mode(s));
		}
	}
	/* Somebody must be able to lead in the end. */
	if (sim_is_quiet(s) && (s->machines[0].daemon.engine.rest == HA_FAILED ||
				s->machines[0].daemon.engine.rest == HA_HOT_BACKUP)) {
		sim_daemon_set_mode(s, 0, HA_MODE_AUTO);
	}
}

static void faults(struct sim *s)
{
	const struct sim_faults *f = &s->faults;

	operate(s);

	if (sim_chance(s, f->stall_permille)) {
		s->store.stalled_until_ms = fault_end_ms(s, f->stall_max_ms);
	}
	for (unsigned i = 0; i < s->n_machines; i++) {
		struct sim_machine *m = &s->machines[i];
		struct sim_mount *mount = &m->mount;
		struct sim_daemon *daemon = &m->daemon;

		pause_until(s, f->daemon_pause_permille, &daemon->paused_until_ms);
		pause_until(s, f->mount_pause_permille, &mount->paused_until_ms);
		pause_until(s, f->machine_sleep_permille, &m->asleep_until_ms);
		pause_until(s, f->cut_permille, &m->cut_until_ms);
		if (sim_chance(s, f->machine_crash_permille)) {
			crash(s, i, true, true);
			m->asleep_until_ms = 0;
		} else if (sim_chance(s, f->mount_crash_permille)) {
			crash(s, i, false, true);
		} else if (sim_chance(s, f->daemon_crash_permille) || needs_restart(s, daemon)) {
			crash(s, i, true, false);
		} else if (sim_chance(s, f->daemon_stop_permille)) {
			sim_daemon_stop(s, i);
		}
		if (!daemon->up && (sim_is_quiet(s) || sim_chance(s, 500))) {
			sim_daemon_start(s, i, any_mode(s));
		}
	}
	sim_post(s, (struct sim_event){.kind = SIM_EV_FAULTS}, 1000);
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Whom or what an event is for may be stopped: when can it happen at the earliest? */
static uint64_t earliest(const struct sim *s, const struct sim_event *ev)
{
	const struct sim_machine *m = &s->machines[ev->machine];

	switch (ev->kind) {
	case SIM_EV_FAULTS:
		break;
	case SIM_EV_SERVE:
		if (ev->call.unsent && m->mount.life == ev->life) {
			return later(s->store.stalled_until_ms,
				     later(m->asleep_until_ms, m->mount.paused_until_ms));
		}
		return later(s->store.stalled_until_ms, m->asleep_until_ms);
	case SIM_EV_REPLY:
	case SIM_EV_CALL_LIMIT:
	case SIM_EV_RETRY:
	case SIM_EV_REQUEST:
	case SIM_EV_REQUEST_LIMIT:
	case SIM_EV_MOUNT_START:
		return later(m->asleep_until_ms, m->mount.paused_until_ms);
	case SIM_EV_TICK:
	case SIM_EV_OP_ANSWER:
	case SIM_EV_OP_LIMIT:
	case SIM_EV_NEWS:
		return later(m->asleep_until_ms, m->daemon.paused_until_ms);
	}
	return 0;
}

/* What makes two runs of one world differ shows here, at the latest a few events later. */
static void note(struct sim *s, const struct sim_event *ev)
{
	const struct sim_machine *m = &s->machines[ev->machine];
	const uint64_t facts[] = {s->now_ms,
				  ev->kind,
				  ev->machine,
				  m->mount.head,
				  m->mount.head_nonce,
				  m->mount.phase,
				  m->daemon.engine.state,
				  m->daemon.engine.reason,
				  m->daemon.n_ops,
				  m->daemon.engine.until_ms};

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		s->digest = (s->digest ^ facts[i]) * 0x100000001b3ULL;
		if (s->traced) {
			(void)printf("%" PRIu64 "%c", facts[i],
				     i + 1 < sizeof(facts) / sizeof(facts[0]) ? ' ' : '\n');
		}
	}
}

static void advance(struct sim *s)
{
	struct sim_event ev = pop(s);
	uint64_t earliest_ms = earliest(s, &ev);

	s->now_ms = ev.at_ms;
	if (earliest_ms > s->now_ms) {
		ev.at_ms = earliest_ms;
		push(s, &ev);
		return;
	}
	s->steps++;
	switch (ev.kind) {
	case SIM_EV_FAULTS:
		faults(s);
		break;
	case SIM_EV_SERVE:
		/* What had not left the process dies with it. */
		if (!ev.call.unsent || s->machines[ev.machine].mount.life == ev.life) {
			sim_store_serve(s, &ev);
		}
		break;
	case SIM_EV_REPLY:
	case SIM_EV_CALL_LIMIT:
	case SIM_EV_RETRY:
	case SIM_EV_REQUEST:
	case SIM_EV_REQUEST_LIMIT:
		sim_mount_handle(s, &ev);
		break;
	case SIM_EV_MOUNT_START:
		if (!s->machines[ev.machine].mount.up) {
			sim_mount_start(s, ev.machine);
		}
		break;
	case SIM_EV_TICK:
	case SIM_EV_OP_ANSWER:
	case SIM_EV_OP_LIMIT:
	case SIM_EV_NEWS:
		sim_daemon_handle(s, &ev);
		break;
	}
	note(s, &ev);
}

void sim_init(struct sim *s, uint64_t seed, unsigned n_machines, const struct sim_faults *faults,
	      const struct lease_timing *timing)
{
	memset(s, 0, offsetof(struct sim, attempts));
	s->rng = seed;
	s->n_machines = n_machines;
	s->faults = *faults;
	s->timing = *timing;
	sim_store_init(s);
	for (unsigned i = 0; i < n_machines; i++) {
		struct sim_machine *m = &s->machines[i];
		uint64_t ppm = sim_below(s, 2ULL * faults->drift_ppm + 1);

		m->drift_ppm = (int64_t)ppm - (int64_t)faults->drift_ppm;
		m->clock_base_ms = 1 + sim_below(s, 1000000);
		m->priority = (int64_t)sim_below(s, 3) - 1;
		sim_post(s, (struct sim_event){.kind = SIM_EV_MOUNT_START, .machine = i},
			 sim_below(s, 100));
	}
	sim_post(s, (struct sim_event){.kind = SIM_EV_FAULTS}, 200);
}

bool sim_run(struct sim *s)
{
	unsigned master = SIM_MACHINES_MAX;
	bool settled = false;

	while (s->now_ms < s->faults.end_ms && !s->why[0]) {
		advance(s);
		check(s);
		if (!settled && s->now_ms + SETTLED_MS >= s->faults.end_ms) {
			settled = true;
			master = current_master(s);
		}
	}
	if (master == SIM_MACHINES_MAX || current_master(s) != master) {
		sim_broke(s, "nobody leads for good after the faults ended", master);
	}
	if (s->steps > s->n_machines * s->now_ms / 1000 * SIM_EVENTS_PER_S(s->n_machines)) {
		sim_broke(s, "a machine is busy for nothing", 0);
	}
	return !s->why[0];
}
