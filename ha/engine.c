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

/* In the order of the table in engine.h. */
const struct ha_transition ha_transitions[] = {
	{HA_INITIALIZING, HA_STANDBY, HA_REASON_AUTODETECTED},
	{HA_INITIALIZING, HA_STANDBY, HA_REASON_REQUESTED},
	{HA_INITIALIZING, HA_HOT_BACKUP, HA_REASON_LOADED},
	{HA_INITIALIZING, HA_MASTER, HA_REASON_MASTER_MODE},
	{HA_INITIALIZING, HA_FAILED, HA_REASON_MASTER_EXISTS},
	{HA_INITIALIZING, HA_FAILED, HA_REASON_NO_MASTER},
	{HA_STANDBY, HA_HOT_STANDBY, HA_REASON_LOADED},
	{HA_STANDBY, HA_MASTER, HA_REASON_ELECTED},
	{HA_STANDBY, HA_MASTER, HA_REASON_MASTER_MODE},
	{HA_STANDBY, HA_MASTER, HA_REASON_HANDED_TO},
	{HA_STANDBY, HA_MASTER, HA_REASON_HANDED_BACK},
	{HA_HOT_STANDBY, HA_MASTER, HA_REASON_ELECTED},
	{HA_HOT_STANDBY, HA_MASTER, HA_REASON_MASTER_MODE},
	{HA_HOT_STANDBY, HA_MASTER, HA_REASON_HANDED_TO},
	{HA_HOT_STANDBY, HA_MASTER, HA_REASON_HANDED_BACK},
	{HA_MASTER, HA_STANDBY, HA_REASON_DEPOSED},
	{HA_MASTER, HA_STANDBY, HA_REASON_HANDED_OVER},
	{HA_MASTER, HA_STANDBY, HA_REASON_MODE},
	{HA_MASTER, HA_INITIALIZING, HA_REASON_MODE},
	{HA_MASTER, HA_FAILED, HA_REASON_LEASE_EXPIRED},
	{HA_MASTER, HA_FAILED, HA_REASON_COMMAND},
	{HA_STANDBY, HA_INITIALIZING, HA_REASON_MODE},
	{HA_HOT_STANDBY, HA_STANDBY, HA_REASON_MODE},
	{HA_HOT_STANDBY, HA_HOT_BACKUP, HA_REASON_MODE},
	{HA_HOT_BACKUP, HA_STANDBY, HA_REASON_MODE},
	{HA_HOT_BACKUP, HA_HOT_STANDBY, HA_REASON_MODE},
	{HA_FAILED, HA_STANDBY, HA_REASON_REJOINED},
	{HA_FAILED, HA_INITIALIZING, HA_REASON_REJOINED},
	{HA_FAILED, HA_INITIALIZING, HA_REASON_MODE},
	{HA_INITIALIZING, HA_FAILED, HA_REASON_ID_IN_USE},
	{HA_STANDBY, HA_FAILED, HA_REASON_ID_IN_USE},
	{HA_HOT_STANDBY, HA_FAILED, HA_REASON_ID_IN_USE},
	{HA_HOT_BACKUP, HA_FAILED, HA_REASON_ID_IN_USE},
	{HA_MASTER, HA_FAILED, HA_REASON_ID_IN_USE},
	{HA_INITIALIZING, HA_FAILED, HA_REASON_DISABLED},
	{HA_STANDBY, HA_FAILED, HA_REASON_DISABLED},
	{HA_HOT_STANDBY, HA_FAILED, HA_REASON_DISABLED},
	{HA_HOT_BACKUP, HA_FAILED, HA_REASON_DISABLED},
	{HA_MASTER, HA_FAILED, HA_REASON_DISABLED},
	{HA_FAILED, HA_FAILED, HA_REASON_DISABLED},
	{HA_INITIALIZING, HA_TERMINATED, HA_REASON_STOPPED},
	{HA_STANDBY, HA_TERMINATED, HA_REASON_STOPPED},
	{HA_HOT_STANDBY, HA_TERMINATED, HA_REASON_STOPPED},
	{HA_HOT_BACKUP, HA_TERMINATED, HA_REASON_STOPPED},
	{HA_MASTER, HA_TERMINATED, HA_REASON_STOPPED},
	{HA_FAILED, HA_TERMINATED, HA_REASON_STOPPED},
	{HA_STATE_MAX_, HA_STATE_MAX_, HA_REASON_MAX_},
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

static void copy_id(char *to, const char *id)
{
	memcpy(to, id, strnlen(id, HA_ID_BYTES - 1) + 1);
}

static void write_record(struct step *s)
{
	emit(s, HA_ACT_WRITE_RECORD)->state = s->e->state;
	s->e->record_state = s->e->state;
	s->e->record_in_flight = true;
	s->e->record_sent_ms = s->ev->now_ms;
	s->e->beat_ok = false;
}

static void claim(struct step *s, enum ha_reason as)
{
	emit(s, HA_ACT_CLAIM);
	s->e->claim_in_flight = true;
	s->e->claim_sent_ms = s->ev->now_ms;
	s->e->claim_as = as;
}

static void release(struct step *s)
{
	if (!s->e->release_in_flight) {
		emit(s, HA_ACT_RELEASE);
		s->e->release_in_flight = true;
	}
}

/* To @node; "": to nobody, what was asked for is cancelled. */
static void ask_for_switchover(struct step *s, const char *node)
{
	if (!s->e->switchover_in_flight) {
		copy_id(emit(s, HA_ACT_SWITCHOVER)->node, node);
		s->e->switchover_in_flight = true;
	}
}

/*
 * A granted claim is a beat, as a committed record is: both count from before they left.  The mount
 * counts alike, see lease_deadline_ms() in fs/lease.h.
 */
static uint64_t lease_end_ms(const struct ha_engine *e, uint64_t sent_ms)
{
	return sent_ms + e->cfg.timeout_ms - e->cfg.margin_ms;
}

static bool may_move(enum ha_state from, enum ha_state to, enum ha_reason reason)
{
	const struct ha_transition *t = ha_transitions;

	while (t->reason != HA_REASON_MAX_ &&
	       (t->from != from || t->to != to || t->reason != reason)) {
		t++;
	}
	return t->reason != HA_REASON_MAX_;
}

/* @epoch: of the lease, if @next is MASTER; else 0. */
static void move_to(struct step *s, enum ha_state next, enum ha_reason reason, uint64_t epoch)
{
	struct ha_engine *e = s->e;
	struct ha_action *a = emit(s, HA_ACT_ENTERED);

	assert(may_move(e->state, next, reason));
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
	e->starting = e->starting && next == HA_INITIALIZING;
	if (next == HA_MASTER) {
		e->wants_master = false;
		e->loaded = false; /* what it writes itself from now on is not in the copy */
	}
	/* The others are told as soon as the worker is free, and nothing rests on the old state. */
	e->next_poll_ms = s->ev->now_ms;
	e->beat_ok = false;
}

static bool is_hot(enum ha_state state)
{
	return state == HA_HOT_STANDBY || state == HA_HOT_BACKUP;
}

static bool is_me(const struct ha_engine *e, const char *id)
{
	return strcmp(id, e->cfg.id) == 0;
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
	    holder->status == HA_TERMINATED || is_me(e, holder->id)) {
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

/*
 * Has it beaten since this was asked first?  A record may be a dead node's, and a node may not have
 * heard yet: only a beat between two readings proves that it lives and has seen the first of them.
 */
static bool has_beaten(struct ha_engine *e, const struct ha_peer *peer)
{
	if (strcmp(e->awaited, peer->id) == 0) {
		return e->awaited_beat != peer->beat;
	}
	copy_id(e->awaited, peer->id);
	e->awaited_beat = peer->beat;
	return false;
}

/* Is the lease kept for us? */
static bool is_handed_to_us(const struct ha_engine *e, const struct ha_plane *plane)
{
	return plane->switchover.phase == HA_SWITCHOVER_HANDED && is_me(e, plane->switchover.to);
}

/* Nobody begins a switchover while another one is under way. */
static void ask_for_mastery(struct step *s)
{
	enum ha_switchover_phase phase = s->ev->plane->switchover.phase;

	if (phase == HA_SWITCHOVER_NONE || phase == HA_SWITCHOVER_PLANNED) {
		ask_for_switchover(s, s->e->cfg.id);
	}
}

static void start_as_master(struct step *s)
{
	const struct ha_plane *plane = s->ev->plane;
	struct ha_engine *e = s->e;
	const struct ha_peer *holder = other_master(e, plane);

	if (holder) {
		if (has_beaten(e, holder)) {
			move_to(s, HA_FAILED, HA_REASON_MASTER_EXISTS, 0);
		}
	} else if (sees_itself(e, plane)) {
		if (plane->paused && !is_handed_to_us(e, plane) && !is_me(e, plane->master)) {
			ask_for_mastery(s);
		} else {
			claim(s, HA_REASON_MASTER_MODE);
		}
	}
}

static void start(struct step *s)
{
	struct ha_engine *e = s->e;

	switch (e->cfg.mode) {
	case HA_MODE_AUTO:
		move_to(s, HA_STANDBY, HA_REASON_AUTODETECTED, 0);
		break;
	case HA_MODE_STANDBY:
	case HA_MODE_HOT_STANDBY:
		if (e->starting && !s->ev->plane->master[0]) {
			move_to(s, HA_FAILED, HA_REASON_NO_MASTER, 0);
		} else {
			move_to(s, HA_STANDBY, HA_REASON_REQUESTED, 0);
		}
		break;
	case HA_MODE_MASTER:
		if (e->starting) {
			start_as_master(s);
		} else {
			move_to(s, HA_STANDBY, HA_REASON_REQUESTED, 0);
		}
		break;
	case HA_MODE_HOT_BACKUP: /* once all is loaded */
	case HA_MODE_DISABLED:
	case HA_MODE_MAX_:
		break;
	}
}

/* Nobody holds the lease: may this node claim it, and as what? */
static bool may_claim(const struct ha_engine *e, const struct ha_plane *plane,
		      enum ha_reason *ret_as)
{
	const struct ha_switchover *sw = &plane->switchover;
	const struct ha_peer *winner;

	*ret_as = HA_REASON_ELECTED;
	/* Ours already where a claim went through and its answer did not: no election is needed. */
	if (is_me(e, plane->master)) {
		return true;
	}
	if (is_handed_to_us(e, plane)) {
		*ret_as = HA_REASON_HANDED_TO;
		return true;
	}
	if (sw->phase == HA_SWITCHOVER_HANDED && is_me(e, sw->from)) {
		*ret_as = HA_REASON_HANDED_BACK;
		return sw->age_ms > e->cfg.poll_ms;
	}
	if (plane->paused ||
	    (sw->phase == HA_SWITCHOVER_HANDED && sw->age_ms <= e->cfg.timeout_ms)) {
		return false;
	}
	if (e->wants_master) {
		*ret_as = HA_REASON_MASTER_MODE;
		return true;
	}
	winner = ha_election_winner(plane, NULL);
	return winner && is_me(e, winner->id);
}

/* The master waits for us to have heard of it. */
static void answer_announcement(struct step *s)
{
	const struct ha_plane *plane = s->ev->plane;
	struct ha_engine *e = s->e;

	if (plane->switchover.phase == HA_SWITCHOVER_ANNOUNCED && is_me(e, plane->switchover.to) &&
	    e->heard_epoch != plane->epoch) {
		e->heard_epoch = plane->epoch;
		e->next_poll_ms = s->ev->now_ms;
	}
}

static void watch(struct step *s)
{
	const struct ha_plane *plane = s->ev->plane;
	struct ha_engine *e = s->e;
	enum ha_reason as;

	answer_announcement(s);
	if (!sees_itself(e, plane)) {
		return;
	}
	if (!other_master(e, plane) && may_claim(e, plane, &as)) {
		claim(s, as);
	} else if (e->wants_master && (plane->paused || other_master(e, plane))) {
		ask_for_mastery(s);
	}
}

/* Give the lease up before its time, to be @next. */
static void let_go(struct step *s, enum ha_state next, enum ha_reason reason)
{
	move_to(s, next, reason, 0);
	release(s);
}

/* As master: begin what is due, hand over once the target has heard of it, or give it up. */
static void hand_over(struct step *s)
{
	const struct ha_plane *plane = s->ev->plane;
	const struct ha_switchover *sw = &plane->switchover;
	struct ha_engine *e = s->e;
	bool announced = sw->phase == HA_SWITCHOVER_ANNOUNCED && is_me(e, sw->from);
	const struct ha_peer *target;

	if (!announced) {
		e->awaited[0] = '\0';
		if (sw->phase != HA_SWITCHOVER_PLANNED || !sw->due) {
			return;
		}
	}
	target = sw->to[0] ? find_peer(plane, sw->to) : ha_election_winner(plane, e->cfg.id);
	if (!target || is_me(e, target->id) || !ha_election_may_win(target)) {
		ask_for_switchover(s, "");
	} else if (!announced) {
		ask_for_switchover(s, target->id);
	} else if (has_beaten(e, target)) {
		let_go(s, HA_STANDBY, HA_REASON_HANDED_OVER);
	}
}

static bool is_over(enum ha_state state)
{
	return state == HA_FAILED || state == HA_TERMINATED;
}

/* One at a time: the next reading shows the next one. */
static void prune(struct step *s)
{
	const struct ha_plane *plane = s->ev->plane;
	struct ha_engine *e = s->e;

	for (unsigned i = 0; i < plane->n_peers && e->cfg.prune_ms && !e->remove_in_flight; i++) {
		const struct ha_peer *p = &plane->peers[i];

		if ((p->lapsed || is_over(p->status)) && p->age_ms > e->cfg.prune_ms &&
		    !is_me(e, p->id)) {
			copy_id(emit(s, HA_ACT_REMOVE)->node, p->id);
			e->remove_in_flight = true;
		}
	}
}

static void lead(struct step *s)
{
	if (!is_me(s->e, s->ev->plane->master)) {
		move_to(s, HA_STANDBY, HA_REASON_DEPOSED, 0);
		return;
	}
	prune(s);
	hand_over(s);
}

static void rejoin(struct step *s)
{
	struct ha_engine *e = s->e;

	if (e->beat_ok &&
	    (e->reason == HA_REASON_LEASE_EXPIRED || e->reason == HA_REASON_ID_IN_USE)) {
		move_to(s, e->rest == HA_HOT_BACKUP ? HA_INITIALIZING : HA_STANDBY,
			HA_REASON_REJOINED, 0);
	}
}

/*
 * Has a claim gone through of which nothing was heard, and which is not wanted any more?  A record
 * that says FAILED frees what it has by itself.
 */
static bool holds_in_vain(const struct ha_engine *e, const struct ha_plane *plane)
{
	bool backup = e->state == HA_HOT_BACKUP || (e->state == HA_INITIALIZING && !e->starting);

	return backup && is_me(e, plane->master);
}

static void on_plane(struct step *s)
{
	struct ha_engine *e = s->e;

	e->plane_in_flight = false;
	if (s->ev->status < 0 || e->state == HA_TERMINATED) {
		return;
	}
	if (!e->joined) {
		e->joined = true;
		e->next_poll_ms = s->ev->now_ms;
	}
	if (holds_in_vain(e, s->ev->plane)) {
		release(s);
	}

	switch (e->state) {
	case HA_INITIALIZING:
		start(s);
		break;
	case HA_STANDBY:
	case HA_HOT_STANDBY:
		watch(s);
		break;
	case HA_MASTER:
		lead(s);
		break;
	case HA_FAILED:
		rejoin(s);
		break;
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
		/* What was written before a change of state is a beat, but says the old one. */
		e->beat_ok = e->record_state == e->state;
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
	if (s->ev->status < 0 || e->state == HA_TERMINATED ||
	    s->ev->now_ms >= lease_end_ms(e, e->claim_sent_ms)) {
		return; /* where it was granted all the same, the next poll finds it so */
	}
	if (e->state == HA_STANDBY || e->state == HA_HOT_STANDBY ||
	    (e->state == HA_INITIALIZING && e->starting)) {
		move_to(s, HA_MASTER, e->claim_as, s->ev->epoch);
	} else {
		release(s); /* another mode was asked for meanwhile */
	}
}

static void on_load(struct step *s)
{
	struct ha_engine *e = s->e;

	e->load_in_flight = false;
	if (s->ev->status < 0 || !is_hot(e->rest)) {
		return;
	}
	if (e->state == HA_STANDBY && e->rest == HA_HOT_STANDBY) {
		e->loaded = true;
		move_to(s, HA_HOT_STANDBY, HA_REASON_LOADED, 0);
	} else if (e->state == HA_INITIALIZING && e->rest == HA_HOT_BACKUP) {
		e->loaded = true;
		move_to(s, HA_HOT_BACKUP, HA_REASON_LOADED, 0);
	}
}

/* What a node is while it is not master. */
static enum ha_state rest_of(enum ha_mode mode, enum ha_state before)
{
	switch (mode) {
	case HA_MODE_DISABLED:
		return HA_FAILED;
	case HA_MODE_HOT_STANDBY:
		return HA_HOT_STANDBY;
	case HA_MODE_HOT_BACKUP:
		return HA_HOT_BACKUP;
	case HA_MODE_AUTO:
	case HA_MODE_MASTER:
		return is_hot(before) ? HA_HOT_STANDBY : HA_STANDBY;
	case HA_MODE_STANDBY:
	case HA_MODE_MAX_:
		break;
	}
	return HA_STANDBY;
}

/* Go where the new mode has its rest.  The start rules are for INITIALIZING only. */
static void settle(struct step *s)
{
	struct ha_engine *e = s->e;
	bool keeps_lease = e->cfg.mode == HA_MODE_AUTO || e->cfg.mode == HA_MODE_MASTER;

	switch (e->state) {
	case HA_INITIALIZING:
		break;
	case HA_STANDBY:
		if (e->rest == HA_HOT_BACKUP) {
			move_to(s, HA_INITIALIZING, HA_REASON_MODE, 0);
		}
		break;
	case HA_HOT_STANDBY:
	case HA_HOT_BACKUP:
		if (e->rest != e->state) {
			move_to(s, e->rest, HA_REASON_MODE, 0);
		}
		break;
	case HA_MASTER:
		if (!keeps_lease) {
			let_go(s, e->rest == HA_HOT_BACKUP ? HA_INITIALIZING : HA_STANDBY,
			       HA_REASON_MODE);
		}
		break;
	case HA_FAILED:
		move_to(s, HA_INITIALIZING, HA_REASON_MODE, 0);
		break;
	case HA_TERMINATED:
	case HA_STATE_MAX_:
		break;
	}
}

static void on_mode(struct step *s)
{
	struct ha_engine *e = s->e;

	if (e->state == HA_TERMINATED) {
		return;
	}
	e->cfg.mode = s->ev->mode;
	e->rest = rest_of(e->cfg.mode, e->rest);
	e->starting = false;
	e->wants_master = e->cfg.mode == HA_MODE_MASTER && e->state != HA_MASTER;
	e->next_poll_ms = s->ev->now_ms;
	if (e->cfg.mode == HA_MODE_DISABLED) {
		move_to(s, HA_FAILED, HA_REASON_DISABLED, 0);
	} else {
		settle(s);
	}
	if (!is_hot(e->rest)) {
		emit(s, HA_ACT_UNLOAD);
		e->loaded = false;
	}
}

static bool is_idle(const struct ha_engine *e)
{
	return !e->record_in_flight && !e->plane_in_flight && !e->claim_in_flight &&
	       !e->release_in_flight && !e->switchover_in_flight && !e->remove_in_flight;
}

static void read_plane(struct step *s)
{
	emit(s, HA_ACT_READ_PLANE);
	s->e->plane_in_flight = true;
	s->e->news = false;
}

/* A hot node keeps its copy up to date in each poll; a master knows what it writes. */
static void load_if_hot(struct step *s)
{
	struct ha_engine *e = s->e;
	bool waits = e->state == HA_STANDBY || e->state == HA_INITIALIZING;

	if (is_hot(e->rest) && (waits || is_hot(e->state)) && !e->load_in_flight) {
		emit(s, HA_ACT_LOAD);
		e->load_in_flight = true;
	}
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
		if (e->joined) {
			load_if_hot(s);
		}
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
	if (cfg->mode == HA_MODE_DISABLED || cfg->mode >= HA_MODE_MAX_) {
		return -EINVAL;
	}
	if (cfg->poll_ms == 0 || cfg->poll_ms > cfg->timeout_ms / POLLS_PER_TIMEOUT ||
	    cfg->margin_ms >= cfg->timeout_ms) {
		return -EINVAL;
	}
	*e = (struct ha_engine){
		.cfg = *cfg,
		.state = HA_INITIALIZING,
		.reason = HA_REASON_STARTED,
		.rest = rest_of(cfg->mode, HA_STANDBY),
		.starting = true,
		.wants_master = cfg->mode == HA_MODE_MASTER,
	};
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
	case HA_EV_RELEASE:
		e->release_in_flight = false;
		break;
	case HA_EV_SWITCHOVER:
		e->switchover_in_flight = false;
		break;
	case HA_EV_REMOVE:
		e->remove_in_flight = false;
		break;
	case HA_EV_LOAD:
		on_load(&s);
		break;
	case HA_EV_NEWS:
		e->news = true;
		break;
	case HA_EV_MODE:
		on_mode(&s);
		break;
	case HA_EV_GIVE_UP:
		if (e->state == HA_MASTER) {
			move_to(&s, HA_FAILED, HA_REASON_COMMAND, 0);
		}
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
		return status == -EBUSY || status == -EAGAIN || status == -ESTALE ||
		       status == -EPERM;
	case HA_ACT_RELEASE:
		return status == -EPERM; /* it was not ours any more */
	case HA_ACT_SWITCHOVER:
		return status == -EBUSY || status == -EHOSTDOWN || status == -EALREADY ||
		       status == -ENOENT;
	case HA_ACT_REMOVE:
		return status == -ENOENT || status == -EBUSY;
	case HA_ACT_READ_PLANE:
	case HA_ACT_LOAD:
	case HA_ACT_UNLOAD:
	case HA_ACT_ENTERED:
	case HA_ACT_EXIT:
		break;
	}
	return false;
}

const char *ha_engine_violation(const struct ha_engine *e)
{
	if (e->state >= HA_STATE_MAX_ || (is_hot(e->state) && e->state != e->rest)) {
		return "is in a state that no rule leads to";
	}
	if (is_hot(e->state) && !e->loaded) {
		return "is hot and has nothing loaded";
	}
	if (e->state == HA_MASTER && e->until_ms == 0) {
		return "is master without a lease";
	}
	if (e->state != HA_MASTER && (e->until_ms != 0 || e->epoch != 0)) {
		return "keeps a lease without being master";
	}
	if (e->claim_in_flight && e->state == HA_MASTER) {
		return "claims what it has";
	}
	if (e->release_in_flight && e->state == HA_MASTER) {
		return "is master of what it gives back";
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

const char *ha_switchover_name(enum ha_switchover_phase phase)
{
	static const char *const names[HA_SWITCHOVER_MAX_] = {
		[HA_SWITCHOVER_PLANNED] = "planned",
		[HA_SWITCHOVER_ANNOUNCED] = "announced",
		[HA_SWITCHOVER_HANDED] = "handed",
	};

	return phase < HA_SWITCHOVER_MAX_ ? names[phase] : NULL;
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
		[HA_REASON_REQUESTED] = "a standby was asked for and can be had",
		[HA_REASON_LOADED] = "the persisted state is loaded",
		[HA_REASON_ELECTED] = "it won the election and was granted the lease",
		[HA_REASON_MASTER_MODE] = "mode master was asked for and the lease was granted",
		[HA_REASON_HANDED_TO] = "the lease was handed to it in a switchover",
		[HA_REASON_HANDED_BACK] = "the target of the switchover did not take the lease",
		[HA_REASON_HANDED_OVER] = "it handed the lease over in a switchover",
		[HA_REASON_LEASE_EXPIRED] = "no record was committed before the lease's deadline",
		[HA_REASON_DEPOSED] = "the lease is not this node's any more",
		[HA_REASON_REJOINED] = "its records are committed again",
		[HA_REASON_MASTER_EXISTS] = "mode master was asked for and another master is alive",
		[HA_REASON_NO_MASTER] = "a standby was asked for and no master is named",
		[HA_REASON_ID_IN_USE] = "another machine beats under this node id",
		[HA_REASON_MODE] = "another mode was asked for",
		[HA_REASON_DISABLED] = "mode disabled was asked for",
		[HA_REASON_COMMAND] = "the command of --exec ended again and again",
		[HA_REASON_STOPPED] = "it was told to stop",
	};

	return reason < HA_REASON_MAX_ ? texts[reason] : "invalid";
}
