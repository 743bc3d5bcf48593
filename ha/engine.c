/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/engine.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "ha/election.h"

/* This many polls must fit into a timeout, as fs/lease.c demands of the plane. */
#define POLLS_PER_TIMEOUT 4

#define TO(state) (1U << (state))

/* The diagram is in engine.h. */
static const unsigned allowed[HA_STATE_MAX_] = {
	[HA_INITIALIZING] = TO(HA_STANDBY) | TO(HA_MASTER) | TO(HA_FAILED) | TO(HA_TERMINATED),
	[HA_STANDBY] = TO(HA_MASTER) | TO(HA_FAILED) | TO(HA_TERMINATED),
	[HA_MASTER] = TO(HA_STANDBY) | TO(HA_FAILED) | TO(HA_TERMINATED),
	[HA_FAILED] = TO(HA_STANDBY) | TO(HA_TERMINATED),
};

/* One step in the making: the engine, the event, and the actions so far. */
struct step {
	struct ha_engine *e;
	const struct ha_event *ev;
	struct ha_actions *out;
};

static struct ha_action *emit(struct step *s, enum ha_action_type type)
{
	assert(s->out->n < HA_ACTIONS_MAX);
	s->out->v[s->out->n] = (struct ha_action){.type = type};
	return &s->out->v[s->out->n++];
}

static void write_record(struct step *s)
{
	emit(s, HA_ACT_WRITE_RECORD)->state = s->e->state;
	s->e->record_in_flight = true;
	s->e->record_sent_ms = s->ev->now_ms;
	s->e->beat_ok = false;
}

static void claim(struct step *s)
{
	emit(s, HA_ACT_CLAIM);
	s->e->claim_in_flight = true;
	s->e->claim_sent_ms = s->ev->now_ms;
}

/*
 * A granted claim is a beat, as a committed record is: both count from before they left.  The mount
 * counts alike, see lease_deadline_ms() in fs/lease.h.
 */
static uint64_t lease_end_ms(const struct ha_engine *e, uint64_t sent_ms)
{
	return sent_ms + e->cfg.timeout_ms - e->cfg.margin_ms;
}

/* @epoch: of the lease, if @next is MASTER; else 0. */
static void move_to(struct step *s, enum ha_state next, enum ha_reason reason, uint64_t epoch)
{
	struct ha_engine *e = s->e;
	struct ha_action *a = emit(s, HA_ACT_ENTERED);

	assert(allowed[e->state] & TO(next));
	*a = (struct ha_action){
		.type = HA_ACT_ENTERED,
		.state = next,
		.previous = e->state,
		.reason = reason,
		.epoch = epoch,
	};
	e->state = next;
	e->reason = reason;
	e->epoch = epoch;
	e->until_ms = next == HA_MASTER ? lease_end_ms(e, e->claim_sent_ms) : 0;
	/* The others are told as soon as the worker is free, and nothing rests on the old state. */
	e->next_poll_ms = s->ev->now_ms;
	e->beat_ok = false;
}

static const struct ha_peer *find_peer(const struct ha_plane *plane, const char *id)
{
	for (unsigned i = 0; i < plane->n_peers; i++) {
		if (strcmp(plane->peers[i].id, id) == 0) {
			return &plane->peers[i];
		}
	}
	return NULL;
}

/* The peer, other than us, that holds the lease and may still be alive; or NULL. */
static const struct ha_peer *other_master(const struct ha_engine *e, const struct ha_plane *plane)
{
	const struct ha_peer *holder = find_peer(plane, plane->master);

	if (!holder || holder->lapsed || holder->status == HA_FAILED ||
	    holder->status == HA_TERMINATED || strcmp(holder->id, e->cfg.id) == 0) {
		return NULL;
	}
	return holder;
}

/* Is this plane fit to decide on: does it hold the record that the last poll committed? */
static bool sees_itself(const struct ha_engine *e, const struct ha_plane *plane)
{
	const struct ha_peer *own = find_peer(plane, e->cfg.id);

	return e->beat_ok && own && !own->lapsed;
}

static void start(struct step *s)
{
	const struct ha_plane *plane = s->ev->plane;
	struct ha_engine *e = s->e;
	const struct ha_peer *holder;

	if (e->cfg.mode == HA_MODE_AUTO) {
		move_to(s, HA_STANDBY, HA_REASON_AUTODETECTED, 0);
		return;
	}
	if (e->cfg.mode == HA_MODE_STANDBY) {
		if (plane->master[0]) {
			move_to(s, HA_STANDBY, HA_REASON_REQUESTED, 0);
		} else {
			move_to(s, HA_FAILED, HA_REASON_NO_MASTER, 0);
		}
		return;
	}

	holder = other_master(e, plane);
	if (!holder) {
		if (sees_itself(e, plane)) {
			claim(s);
		}
		return;
	}
	/* A record may be a dead node's.  Only a beat between two reads proves a living one. */
	if (strcmp(e->rival, holder->id) == 0 && e->rival_beat != holder->beat) {
		move_to(s, HA_FAILED, HA_REASON_MASTER_EXISTS, 0);
		return;
	}
	memcpy(e->rival, holder->id, sizeof(e->rival));
	e->rival_beat = holder->beat;
}

static void watch(struct step *s)
{
	const struct ha_plane *plane = s->ev->plane;
	struct ha_engine *e = s->e;
	const struct ha_peer *winner;

	if (other_master(e, plane) || !sees_itself(e, plane)) {
		return;
	}
	/* Ours already where a claim went through and its answer did not: no election is needed. */
	winner = ha_election_winner(plane);
	if (strcmp(plane->master, e->cfg.id) == 0 ||
	    (winner && strcmp(winner->id, e->cfg.id) == 0)) {
		claim(s);
	}
}

static void on_plane(struct step *s)
{
	struct ha_engine *e = s->e;

	e->plane_in_flight = false;
	if (s->ev->status < 0) {
		return;
	}
	if (!e->joined) {
		e->joined = true;
		e->next_poll_ms = s->ev->now_ms;
	}

	switch (e->state) {
	case HA_INITIALIZING:
		start(s);
		break;
	case HA_STANDBY:
		watch(s);
		break;
	case HA_MASTER:
		if (strcmp(s->ev->plane->master, e->cfg.id) != 0) {
			move_to(s, HA_STANDBY, HA_REASON_DEPOSED, 0);
		}
		break;
	case HA_FAILED:
		if (e->beat_ok &&
		    (e->reason == HA_REASON_LEASE_EXPIRED || e->reason == HA_REASON_ID_IN_USE)) {
			move_to(s, HA_STANDBY, HA_REASON_REJOINED, 0);
		}
		break;
	case HA_HOT_STANDBY:
	case HA_HOT_BACKUP:
	case HA_TERMINATED:
	case HA_STATE_MAX_:
		break;
	}
}

static void on_record(struct step *s)
{
	struct ha_engine *e = s->e;

	e->record_in_flight = false;
	if (e->state == HA_TERMINATED) {
		if (e->farewell_sent) {
			emit(s, HA_ACT_EXIT);
		}
		return;
	}
	if (s->ev->status == 0) {
		e->beat_ok = true;
		if (e->state == HA_MASTER) {
			e->until_ms = lease_end_ms(e, e->record_sent_ms);
		}
	} else if (s->ev->status == -ESTALE && e->state == HA_MASTER) {
		move_to(s, HA_STANDBY, HA_REASON_DEPOSED, 0);
	} else if (s->ev->status == -EACCES && e->state != HA_FAILED) {
		move_to(s, HA_FAILED, HA_REASON_ID_IN_USE, 0);
	}
}

static void on_claim(struct step *s)
{
	struct ha_engine *e = s->e;

	e->claim_in_flight = false;
	if (s->ev->status < 0 || s->ev->now_ms >= lease_end_ms(e, e->claim_sent_ms)) {
		return; /* where it was granted all the same, the next poll finds it so */
	}
	if (e->state == HA_STANDBY) {
		move_to(s, HA_MASTER, HA_REASON_ELECTED, s->ev->epoch);
	} else if (e->state == HA_INITIALIZING) {
		move_to(s, HA_MASTER, HA_REASON_MASTER_MODE, s->ev->epoch);
	}
}

static bool is_idle(const struct ha_engine *e)
{
	return !e->record_in_flight && !e->plane_in_flight && !e->claim_in_flight;
}

static void read_plane(struct step *s)
{
	emit(s, HA_ACT_READ_PLANE);
	s->e->plane_in_flight = true;
	s->e->news = false;
}

static void poll_if_due(struct step *s)
{
	struct ha_engine *e = s->e;

	if (!is_idle(e)) {
		return;
	}
	if (s->ev->now_ms >= e->next_poll_ms) {
		if (e->joined) {
			write_record(s);
		}
		read_plane(s);
		e->next_poll_ms = s->ev->now_ms + e->cfg.poll_ms;
	} else if (e->news) {
		read_plane(s);
	}
}

static void say_farewell(struct step *s)
{
	struct ha_engine *e = s->e;

	if (e->farewell_sent || e->record_in_flight) {
		return;
	}
	e->farewell_sent = true;
	if (e->joined) {
		write_record(s);
	} else {
		emit(s, HA_ACT_EXIT); /* nobody has heard of us */
	}
}

int ha_engine_init(struct ha_engine *e, const struct ha_config *cfg)
{
	size_t n = strnlen(cfg->id, HA_ID_BYTES);

	if (n == 0 || n == HA_ID_BYTES) {
		return -EINVAL;
	}
	if (cfg->mode != HA_MODE_AUTO && cfg->mode != HA_MODE_STANDBY &&
	    cfg->mode != HA_MODE_MASTER) {
		return -EINVAL;
	}
	if (cfg->poll_ms == 0 || cfg->poll_ms > cfg->timeout_ms / POLLS_PER_TIMEOUT ||
	    cfg->margin_ms >= cfg->timeout_ms) {
		return -EINVAL;
	}
	*e = (struct ha_engine){.cfg = *cfg, .state = HA_INITIALIZING, .reason = HA_REASON_STARTED};
	return 0;
}

void ha_engine_step(struct ha_engine *e, const struct ha_event *ev, struct ha_actions *ret_actions)
{
	struct step s = {.e = e, .ev = ev, .out = ret_actions};

	ret_actions->n = 0;
	/* First of all, so that no answer can revive a lease that was over when it came. */
	if (ha_engine_state_at(e, ev->now_ms) != e->state) {
		move_to(&s, HA_FAILED, HA_REASON_LEASE_EXPIRED, 0);
	}

	switch (ev->type) {
	case HA_EV_TICK:
		break;
	case HA_EV_RECORD:
		on_record(&s);
		break;
	case HA_EV_PLANE:
		on_plane(&s);
		break;
	case HA_EV_CLAIM:
		on_claim(&s);
		break;
	case HA_EV_NEWS:
		e->news = true;
		break;
	case HA_EV_STOP:
		if (e->state != HA_TERMINATED) {
			move_to(&s, HA_TERMINATED, HA_REASON_STOPPED, 0);
		}
		break;
	}
	if (e->state == HA_TERMINATED) {
		say_farewell(&s);
	} else {
		poll_if_due(&s);
	}
	assert(!ha_engine_violation(e));
}

uint64_t ha_engine_deadline_ms(const struct ha_engine *e)
{
	uint64_t poll = is_idle(e) && e->state != HA_TERMINATED ? e->next_poll_ms : UINT64_MAX;

	return e->state == HA_MASTER && e->until_ms < poll ? e->until_ms : poll;
}

uint64_t ha_engine_call_limit_ms(const struct ha_config *cfg)
{
	return cfg->timeout_ms / 2 + cfg->poll_ms;
}

enum ha_state ha_engine_state_at(const struct ha_engine *e, uint64_t now_ms)
{
	return e->state == HA_MASTER && now_ms >= e->until_ms ? HA_FAILED : e->state;
}

bool ha_engine_is_verdict(enum ha_action_type type, int status)
{
	if (status >= 0) {
		return true;
	}
	switch (type) {
	case HA_ACT_WRITE_RECORD:
		return status == -ESTALE || status == -EACCES;
	case HA_ACT_CLAIM:
		return status == -EBUSY || status == -ESTALE || status == -EPERM;
	case HA_ACT_READ_PLANE:
	case HA_ACT_ENTERED:
	case HA_ACT_EXIT:
		break;
	}
	return false;
}

const char *ha_engine_violation(const struct ha_engine *e)
{
	if (e->state >= HA_STATE_MAX_ || e->state == HA_HOT_STANDBY || e->state == HA_HOT_BACKUP) {
		return "is in a state that no rule leads to";
	}
	if (e->state == HA_MASTER && e->until_ms == 0) {
		return "is master without a lease";
	}
	if (e->state != HA_MASTER && (e->until_ms != 0 || e->epoch != 0)) {
		return "keeps a lease without being master";
	}
	if (e->claim_in_flight && e->state != HA_INITIALIZING && e->state != HA_STANDBY &&
	    e->state != HA_TERMINATED) {
		return "claims in a state that may not";
	}
	if (e->record_in_flight && e->beat_ok) {
		return "trusts a record that is not answered";
	}
	if (e->news && is_idle(e) && e->state != HA_TERMINATED) {
		return "has news and reads nothing";
	}
	if (e->farewell_sent && e->state != HA_TERMINATED) {
		return "took leave and stayed";
	}
	return NULL;
}

const char *ha_state_name(enum ha_state state)
{
	static const char *const names[HA_STATE_MAX_] = {
		[HA_INITIALIZING] = "INITIALIZING",
		[HA_STANDBY] = "STANDBY",
		[HA_HOT_STANDBY] = "HOT_STANDBY",
		[HA_HOT_BACKUP] = "HOT_BACKUP",
		[HA_MASTER] = "MASTER",
		[HA_FAILED] = "FAILED",
		[HA_TERMINATED] = "TERMINATED",
	};

	return state < HA_STATE_MAX_ ? names[state] : "invalid";
}

int ha_state_parse(const char *name, enum ha_state *ret_state)
{
	for (enum ha_state state = 0; state < HA_STATE_MAX_; state++) {
		if (strcmp(name, ha_state_name(state)) == 0) {
			*ret_state = state;
			return 0;
		}
	}
	return -EINVAL;
}

int ha_mode_parse(const char *name, enum ha_mode *ret_mode)
{
	static const char *const names[HA_MODE_MAX_] = {
		[HA_MODE_DISABLED] = "disabled",     [HA_MODE_AUTO] = "auto",
		[HA_MODE_STANDBY] = "standby",       [HA_MODE_HOT_STANDBY] = "hot_standby",
		[HA_MODE_HOT_BACKUP] = "hot_backup", [HA_MODE_MASTER] = "master",
	};

	for (enum ha_mode mode = 0; mode < HA_MODE_MAX_; mode++) {
		if (strcasecmp(name, names[mode]) == 0) {
			*ret_mode = mode;
			return 0;
		}
	}
	return -EINVAL;
}

bool ha_reason_is_refusal(enum ha_reason reason)
{
	return reason == HA_REASON_MASTER_EXISTS || reason == HA_REASON_NO_MASTER;
}

const char *ha_reason_text(enum ha_reason reason)
{
	static const char *const texts[HA_REASON_MAX_] = {
		[HA_REASON_STARTED] = "the process started",
		[HA_REASON_AUTODETECTED] = "mode auto starts as a standby",
		[HA_REASON_REQUESTED] = "mode standby was asked for and a master is named",
		[HA_REASON_ELECTED] = "it won the election and was granted the lease",
		[HA_REASON_MASTER_MODE] = "mode master was asked for and the lease was granted",
		[HA_REASON_LEASE_EXPIRED] = "no record was committed before the lease's deadline",
		[HA_REASON_DEPOSED] = "the lease is not this node's any more",
		[HA_REASON_REJOINED] = "its records are committed again",
		[HA_REASON_MASTER_EXISTS] = "mode master was asked for and another master is alive",
		[HA_REASON_NO_MASTER] = "mode standby was asked for and no master is named",
		[HA_REASON_ID_IN_USE] = "another machine beats under this node id",
		[HA_REASON_STOPPED] = "it was told to stop",
	};

	return reason < HA_REASON_MAX_ ? texts[reason] : "invalid";
}
