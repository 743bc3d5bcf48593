/* SPDX-License-Identifier: Apache-2.0 */
/* A model of the mount: its index, its one committing thread, its gate. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "fs/commit.h"
#include "tests/sim/sim.h"

/* Every so many generations the committer deletes old ones; more often than on a real share. */
#define COLLECT_EVERY 16

#define BACKOFF_MAX_MS 300

static struct sim_mount *mount_of(struct sim *s, unsigned i)
{
	return &s->machines[i].mount;
}

static bool is_over(enum ha_state state)
{
	return state == HA_FAILED || state == HA_TERMINATED;
}

/* The row of @id (0: a free one), or -1. */
static int find_row(const struct sim_index *x, uint32_t id)
{
	for (int r = 0; r < SIM_ROWS_MAX; r++) {
		if (x->rows[r].id == id) {
			return r;
		}
	}
	return -1;
}

/* The facts of one node, as fs/lease.c wants them.  Row -1: it has no record. */
static struct lease_node facts(const struct sim_mount *m, const struct sim_index *x, int r)
{
	struct lease_node n = {.known = r >= 0};

	if (n.known) {
		n.ours = x->rows[r].mount == m->id;
		n.over = is_over(x->rows[r].status);
		if (m->watch[r].id == x->rows[r].id) {
			n.seen = m->watch[r].seen;
			n.deadline_ms = m->watch[r].deadline_ms;
		}
	}
	return n;
}

static void call(struct sim *s, unsigned i, enum sim_phase phase, struct sim_call call)
{
	const struct sim_faults *f = &s->faults;
	const struct sim_machine *machine = &s->machines[i];
	struct sim_mount *m = mount_of(s, i);
	struct sim_event ev = {.machine = i, .life = m->life};
	uint64_t delay_ms = sim_delay_ms(s);

	m->phase = phase;
	call.id = m->call_id = ++s->next_id;
	call.unsent = sim_chance(s, 500);
	if (sim_chance(s, f->late_permille)) {
		delay_ms = sim_below(s, f->late_max_ms);
	}
	ev.kind = SIM_EV_SERVE;
	ev.call = call;
	if (s->now_ms >= machine->cut_until_ms && !sim_chance(s, f->lost_permille)) {
		sim_post(s, ev, delay_ms);
	}
	ev.kind = SIM_EV_CALL_LIMIT;
	ev.reply = (struct sim_reply){.id = call.id, .status = -EIO};
	sim_post(s, ev, f->call_timeout_ms);
}

static void list(struct sim *s, unsigned i, enum sim_phase phase)
{
	mount_of(s, i)->listed_ms = sim_local_ms(s, i);
	call(s, i, phase, (struct sim_call){.verb = SIM_LIST});
}

static void send_attempt(struct sim *s, unsigned i)
{
	const struct sim_mount *m = mount_of(s, i);

	call(s, i, SIM_CREATING,
	     (struct sim_call){.verb = SIM_CREATE, .number = m->head + 1, .nonce = m->nonce});
}

static void back_off(struct sim *s, unsigned i)
{
	struct sim_mount *m = mount_of(s, i);

	m->call_id = ++s->next_id;
	sim_post(s,
		 (struct sim_event){.kind = SIM_EV_RETRY,
				    .machine = i,
				    .life = m->life,
				    .reply.id = m->call_id},
		 1 + sim_below(s, BACKOFF_MAX_MS));
}

static void answer(struct sim *s, unsigned i, const struct sim_request *q, int status)
{
	if (!q->answered && q->op != 0) {
		sim_post(s,
			 (struct sim_event){.kind = SIM_EV_OP_ANSWER,
					    .machine = i,
					    .life = q->daemon_life,
					    .id = q->op,
					    .status = status,
					    .epoch = q->epoch},
			 sim_below(s, 3));
	}
}

/* A place for a new record, where need be that of a node that may be removed.  Or -1. */
static int make_room(const struct sim *s, const struct sim_mount *m, struct sim_index *x,
		     uint64_t now_ms)
{
	int room = find_row(x, 0);

	for (int r = 0; r < SIM_ROWS_MAX && room < 0; r++) {
		struct lease_node n = facts(m, x, r);

		if (lease_may_remove_record(&n, x->holder == x->rows[r].id, &s->timing, now_ms) ==
		    0) {
			room = r;
		}
	}
	return room;
}

static void end_switchover(struct sim_index *x)
{
	x->phase = LEASE_SWITCHOVER_NONE;
	x->to = x->from = 0;
}

/* The holder loses the lease; was it asked to give it up? */
static void free_lease(struct sim_mount *m, struct sim_index *x)
{
	m->shut = true; /* before anybody else can know that it is free */
	if (x->phase == LEASE_SWITCHOVER_ANNOUNCED && x->from == x->holder) {
		end_switchover(x);
	}
	x->holder = 0;
}

/* What is made anew counts from above: a number that came again would be silence. */
static void remove_row(struct sim_index *x, int row)
{
	if (x->rows[row].beat > x->beat_floor) {
		x->beat_floor = x->rows[row].beat;
	}
	x->rows[row] = (struct sim_row){0};
}

static int run_record(const struct sim *s, struct sim_mount *m, struct sim_index *x,
		      const struct sim_request *q, enum ha_state state, uint64_t now_ms)
{
	int row = find_row(x, q->node);
	struct lease_node n = facts(m, x, row);
	enum lease_claim_of_record says = is_over(state)       ? LEASE_RECORD_OVER
					  : state == HA_MASTER ? LEASE_RECORD_MASTER
							       : LEASE_RECORD_PLAIN;
	int r = lease_may_write_record(&n, says, x->holder == q->node, &s->timing, now_ms);

	if (r < 0) {
		return r;
	}
	if (row < 0) {
		row = make_room(s, m, x, now_ms);
		if (row < 0) {
			return -ENOSPC;
		}
		remove_row(x, row);
		x->rows[row] = (struct sim_row){.id = q->node, .beat = x->beat_floor};
	}
	if (x->holder == q->node && (says == LEASE_RECORD_OVER || !n.ours)) {
		free_lease(m, x);
	}
	x->rows[row].mount = m->id;
	x->rows[row].beat++;
	x->rows[row].priority = q->priority;
	x->rows[row].status = state;
	return 0;
}

static int run_release(struct sim_mount *m, struct sim_index *x)
{
	struct lease_node holder = facts(m, x, x->holder ? find_row(x, x->holder) : -1);
	int r = x->holder ? lease_may_release(&holder) : 0;

	if (r < 0 || !x->holder) {
		return r;
	}
	m->shut = true;
	if (x->phase == LEASE_SWITCHOVER_ANNOUNCED && x->from == x->holder) {
		x->phase = LEASE_SWITCHOVER_HANDED;
	}
	x->holder = 0;
	return 0;
}

/* As switch_over() in fs/request.c. */
static int run_switchover(const struct sim *s, const struct sim_mount *m, struct sim_index *x,
			  const struct sim_request *q, uint64_t now_ms)
{
	struct lease_node holder = facts(m, x, x->holder ? find_row(x, x->holder) : -1);
	int row = q->target ? find_row(x, q->target) : -1;
	struct lease_node target = facts(m, x, row);

	if (!q->any && q->target == 0) {
		if (x->phase == LEASE_SWITCHOVER_HANDED) {
			return -EBUSY;
		}
		end_switchover(x);
		return 0;
	}
	if (x->phase > LEASE_SWITCHOVER_PLANNED) {
		return x->to == q->target ? 0 : -EBUSY;
	}
	if (q->target && (!target.known || target.over || x->rows[row].status == HA_HOT_BACKUP ||
			  lease_has_lapsed(&target.seen, &s->timing, now_ms))) {
		return -EHOSTDOWN;
	}
	if (q->target && x->holder == q->target) {
		return -EALREADY;
	}
	if (!x->holder || lease_may_change(&holder, &s->timing, now_ms) == 0) {
		if (!q->target) {
			return -EHOSTDOWN;
		}
		x->phase = LEASE_SWITCHOVER_HANDED;
		x->from = 0;
	} else {
		x->phase = q->target ? LEASE_SWITCHOVER_ANNOUNCED : LEASE_SWITCHOVER_PLANNED;
		x->from = q->target ? x->holder : 0;
	}
	x->to = q->target;
	return 0;
}

static int run_remove(const struct sim *s, const struct sim_mount *m, struct sim_index *x,
		      const struct sim_request *q, uint64_t now_ms)
{
	int row = find_row(x, q->target);
	struct lease_node n = facts(m, x, row);
	int r = lease_may_remove_record(&n, x->holder == q->target, &s->timing, now_ms);

	if (r == 0) {
		remove_row(x, row);
	}
	return r;
}

static int run_claim(const struct sim *s, const struct sim_mount *m, struct sim_attempt *a,
		     struct sim_request *q, uint64_t now_ms)
{
	struct sim_index *x = &a->index;
	int row = find_row(x, q->node);
	struct lease_node claimant = facts(m, x, row);
	const struct lease_orders orders = {
		.paused = x->paused,
		.handed = x->phase == LEASE_SWITCHOVER_HANDED,
		.to_claimant = x->to == q->node,
		.from_claimant = x->from == q->node,
		.handed_ms = m->index.phase == x->phase ? m->phase_since_ms : now_ms,
	};
	struct lease_node holder = facts(m, x, x->holder ? find_row(x, x->holder) : -1);
	const struct lease_node *held = x->holder == q->node ? &claimant
					: x->holder          ? &holder
							     : NULL;
	int r = lease_may_claim(&claimant, held, &orders, &s->timing, now_ms);

	if (r < 0) {
		return r;
	}
	if (x->phase != LEASE_SWITCHOVER_PLANNED) {
		end_switchover(x);
	}
	x->holder = q->node;
	x->epoch++;
	x->rows[row].beat++; /* a grant is a beat */
	q->epoch = x->epoch;
	a->grants++;
	return 0;
}

static int run_death(const struct sim *s, struct sim_mount *m, struct sim_index *x,
		     const struct sim_request *q, uint64_t now_ms)
{
	struct lease_node n = facts(m, x, find_row(x, q->node));

	if (!n.known || !n.ours || n.over) {
		return -ENOENT;
	}
	return run_record(s, m, x, q, HA_FAILED, now_ms);
}

static void remove_request(struct sim_mount *m, unsigned k)
{
	m->n_requests--;
	memmove(&m->requests[k], &m->requests[k + 1], (m->n_requests - k) * sizeof(m->requests[0]));
}

/* Run all that wait, on a copy of the index, as one attempt; those refused are answered at once. */
static void run(struct sim *s, unsigned i)
{
	struct sim_mount *m = mount_of(s, i);
	struct sim_attempt *a = &s->attempts[s->n_attempts];
	uint64_t now_ms = sim_local_ms(s, i);

	assert(s->n_attempts < SIM_ATTEMPTS_MAX);
	*a = (struct sim_attempt){
		.number = m->head + 1, .parent = m->head_nonce, .index = m->index};
	for (m->n_run = 0; m->n_run < m->n_requests;) {
		struct sim_request *q = &m->requests[m->n_run];
		int r = -ETIMEDOUT;

		switch (q->ask) {
		case SIM_ASK_RECORD:
			r = q->answered ? r : run_record(s, m, &a->index, q, q->state, now_ms);
			break;
		case SIM_ASK_CLAIM:
			r = q->answered ? r : run_claim(s, m, a, q, now_ms);
			break;
		case SIM_ASK_DEATH:
			r = run_death(s, m, &a->index, q, now_ms);
			break;
		case SIM_ASK_RELEASE:
			r = q->answered ? r : run_release(m, &a->index);
			break;
		case SIM_ASK_SWITCHOVER:
			r = q->answered ? r : run_switchover(s, m, &a->index, q, now_ms);
			a->ordered = a->ordered || r == 0;
			break;
		case SIM_ASK_REMOVE:
			r = q->answered ? r : run_remove(s, m, &a->index, q, now_ms);
			break;
		case SIM_ASK_PAUSE:
			a->index.paused = q->any;
			a->ordered = true;
			r = 0;
			break;
		case SIM_ASK_PLANE:
		case SIM_ASK_LOAD:
			break;
		}
		if (r < 0) {
			answer(s, i, q, r);
			remove_request(m, m->n_run);
		} else {
			m->n_run++;
		}
	}
	m->nonce = 0;
	m->phase = SIM_IDLE;
	if (m->n_run == 0) {
		m->shut = false;
	} else {
		m->nonce = s->n_attempts++;
		m->t0_ms = now_ms;
		m->doubted = false;
		send_attempt(s, i);
	}
}

static void work(struct sim *s, unsigned i)
{
	struct sim_mount *m = mount_of(s, i);

	m->phase = SIM_IDLE;
	if (m->head == 0 ||
	    (m->n_requests > 0 && commit_must_relist(m->verified_ms, sim_local_ms(s, i)))) {
		list(s, i, SIM_LISTING);
	} else if (m->n_requests > 0) {
		run(s, i);
	}
}

static bool is_same_phase(const struct sim_index *a, const struct sim_index *b)
{
	return a->phase == b->phase && a->to == b->to && a->from == b->from;
}

/* Make a generation the head: the index is what it says, and every beat in it is seen now. */
static void adopt(struct sim *s, unsigned i, uint64_t number, uint64_t nonce)
{
	struct sim_mount *m = mount_of(s, i);
	uint64_t now_ms = sim_local_ms(s, i);

	if (s->store.chain[number] != nonce) {
		sim_broke(s, "a mount follows a void generation", i);
	}
	if (number <= m->head) {
		sim_broke(s, "a mount goes back", i);
	}
	m->head = number;
	m->head_nonce = nonce;
	if (!is_same_phase(&m->index, &s->attempts[nonce].index)) {
		m->phase_since_ms = now_ms;
	}
	m->index = s->attempts[nonce].index;
	m->shut = false;
	m->nonce = 0;
	for (int r = 0; r < SIM_ROWS_MAX; r++) {
		const struct sim_row *row = &m->index.rows[r];
		struct sim_watch *w = &m->watch[r];

		if (w->id != row->id) {
			*w = (struct sim_watch){.id = row->id};
		}
		if (row->id != 0) {
			lease_see(&w->seen, row->beat, now_ms);
		}
	}
	sim_daemon_tell(s, i);
}

/* The attempt is generation head + 1 for good. */
static void committed(struct sim *s, unsigned i)
{
	struct sim_mount *m = mount_of(s, i);

	adopt(s, i, m->head + 1, m->nonce);
	m->verified_ms = m->t0_ms;
	for (unsigned k = 0; k < m->n_run; k++) {
		const struct sim_request *q = &m->requests[0];
		int row = find_row(&m->index, q->node);

		if (row >= 0 && (q->ask == SIM_ASK_RECORD || q->ask == SIM_ASK_CLAIM)) {
			m->watch[row].deadline_ms = lease_deadline_ms(&s->timing, m->t0_ms);
		}
		if (q->ask == SIM_ASK_CLAIM) {
			if (s->granted[q->epoch]) {
				sim_broke(s, "an epoch was granted twice", i);
			}
			s->granted[q->epoch] = m->head_nonce;
		}
		answer(s, i, q, 0);
		remove_request(m, 0);
	}
	m->n_run = 0;
	s->commits++;
	if (m->head % COLLECT_EVERY == 0) {
		sim_post(s,
			 (struct sim_event){
				 .kind = SIM_EV_SERVE,
				 .machine = i,
				 .call = {.verb = SIM_COLLECT, .number = m->head - COLLECT_EVERY}},
			 sim_below(s, 1000));
	}
	work(s, i);
}

/* What is at head + 1 is not ours. */
static void follow(struct sim *s, unsigned i, uint64_t nonce)
{
	struct sim_mount *m = mount_of(s, i);

	/* A number read so late may have been used, deleted and used again. */
	if (commit_must_relist(m->verified_ms, sim_local_ms(s, i))) {
		list(s, i, SIM_LISTING);
		return;
	}
	if (s->attempts[nonce].parent != m->head_nonce) {
		sim_broke(s, "the chain is broken", i);
	}
	adopt(s, i, m->head + 1, nonce);
	work(s, i);
}

static void refused(struct sim *s, unsigned i)
{
	struct sim_mount *m = mount_of(s, i);

	s->attempts[m->nonce].denied = true;
	for (unsigned k = 0; k < m->n_run;) {
		if (m->requests[k].ask == SIM_ASK_DEATH) {
			k++; /* until it is told, however long it takes */
			continue;
		}
		answer(s, i, &m->requests[k], m->created);
		remove_request(m, k);
		m->n_run--;
	}
	m->nonce = 0;
	m->shut = false; /* what was not given up after all is ours still */
	m->phase = SIM_IDLE;
	back_off(s, i);
}

static void on_read_back(struct sim *s, unsigned i, const struct sim_reply *reply)
{
	struct sim_mount *m = mount_of(s, i);

	switch (commit_judge(m->created, reply->status, reply->nonce == m->nonce, m->doubted)) {
	case COMMIT_OURS:
		if (commit_must_relist(m->verified_ms, sim_local_ms(s, i))) {
			list(s, i, SIM_CONFIRM_LIST);
		} else {
			committed(s, i);
		}
		break;
	case COMMIT_THEIRS:
		follow(s, i, reply->nonce);
		break;
	case COMMIT_FAILED:
		refused(s, i);
		break;
	case COMMIT_BEHIND:
		list(s, i, SIM_LISTING);
		break;
	case COMMIT_UNKNOWN:
	case COMMIT_VERDICT_MAX_:
		m->doubted = true;
		m->phase = SIM_CREATING;
		back_off(s, i);
		break;
	}
}

static void on_reply(struct sim *s, unsigned i, const struct sim_reply *reply)
{
	struct sim_mount *m = mount_of(s, i);
	uint64_t now_ms = sim_local_ms(s, i);

	switch (m->phase) {
	case SIM_IDLE:
		break;
	case SIM_LISTING:
		if (reply->status < 0) {
			back_off(s, i);
		} else if (reply->number == m->head) {
			m->verified_ms = m->listed_ms;
			work(s, i);
		} else {
			call(s, i, SIM_LOADING,
			     (struct sim_call){.verb = SIM_GET, .number = reply->number});
		}
		break;
	case SIM_LOADING:
		if (reply->status < 0 || commit_must_relist(m->listed_ms, now_ms)) {
			m->phase = SIM_LISTING;
			back_off(s, i);
		} else {
			adopt(s, i, s->attempts[reply->nonce].number, reply->nonce);
			m->verified_ms = m->listed_ms;
			work(s, i);
		}
		break;
	case SIM_CREATING:
		m->created = reply->status;
		if (reply->status == 0) {
			on_read_back(s, i, reply);
		} else {
			call(s, i, SIM_READING_BACK,
			     (struct sim_call){.verb = SIM_GET, .number = m->head + 1});
		}
		break;
	case SIM_READING_BACK:
		on_read_back(s, i, reply);
		break;
	case SIM_CONFIRM_LIST:
		if (reply->status < 0) {
			back_off(s, i);
		} else if (reply->number == m->head + 1) {
			committed(s, i);
		} else {
			call(s, i, SIM_CONFIRM_GET,
			     (struct sim_call){.verb = SIM_GET, .number = m->head + 2});
		}
		break;
	case SIM_CONFIRM_GET:
		if (reply->status == 0 && s->attempts[reply->nonce].parent == m->nonce) {
			committed(s, i);
		} else if (reply->status == 0 || reply->status == -ENOENT) {
			call(s, i, SIM_DISCARDING,
			     (struct sim_call){.verb = SIM_DELETE, .number = m->head + 1});
		} else {
			m->phase = SIM_CONFIRM_LIST;
			back_off(s, i);
		}
		break;
	case SIM_DISCARDING:
		list(s, i, SIM_LISTING);
		break;
	}
}

/* Do again what the phase is about. */
static void on_retry(struct sim *s, unsigned i)
{
	struct sim_mount *m = mount_of(s, i);

	switch (m->phase) {
	case SIM_LISTING:
	case SIM_CONFIRM_LIST:
		list(s, i, m->phase);
		break;
	case SIM_CREATING:
		send_attempt(s, i);
		break;
	case SIM_IDLE:
	case SIM_LOADING:
	case SIM_READING_BACK:
	case SIM_CONFIRM_GET:
	case SIM_DISCARDING:
		work(s, i);
		break;
	}
}

/* The plane as the engine reads it. */
static void show_plane(const struct sim *s, unsigned i, struct ha_plane *ret)
{
	const struct sim_mount *m = &s->machines[i].mount;
	uint64_t now_ms = sim_local_ms(s, i);

	ret->epoch = m->index.epoch;
	ret->paused = m->index.paused;
	ret->switchover = (struct ha_switchover){
		.phase = (enum ha_switchover_phase)m->index.phase,
		.due = true,
		.age_ms = now_ms - m->phase_since_ms,
	};
	sim_format_id(m->index.to, ret->switchover.to);
	sim_format_id(m->index.from, ret->switchover.from);
	ret->n_peers = 0;
	sim_format_id(m->index.holder, ret->master);
	for (int r = 0; r < SIM_ROWS_MAX; r++) {
		const struct sim_row *row = &m->index.rows[r];
		struct ha_peer *p = &ret->peers[ret->n_peers];

		if (row->id == 0) {
			continue;
		}
		sim_format_id(row->id, p->id);
		p->version[0] = '\0';
		p->status = row->status;
		p->priority = row->priority;
		p->beat = row->beat;
		p->age_ms = now_ms - m->watch[r].seen.since_ms;
		p->lapsed = lease_has_lapsed(&m->watch[r].seen, &s->timing, now_ms);
		ret->n_peers++;
	}
}

static void on_request(struct sim *s, unsigned i, struct sim_request q)
{
	struct sim_mount *m = mount_of(s, i);

	if (q.ask == SIM_ASK_PLANE) {
		show_plane(s, i, &s->machines[i].daemon.plane);
		answer(s, i, &q, 0);
		return;
	}
	if (q.ask == SIM_ASK_LOAD) {
		answer(s, i, &q, sim_chance(s, 100) ? -EIO : 0);
		return;
	}
	if (q.ask != SIM_ASK_DEATH) {
		sim_post(s,
			 (struct sim_event){.kind = SIM_EV_REQUEST_LIMIT,
					    .machine = i,
					    .life = m->life,
					    .id = q.op},
			 s->timing.limit_ms);
	}
	if (q.op == 0 && q.ask != SIM_ASK_DEATH && m->n_requests >= SIM_REQUESTS_MAX / 2) {
		return; /* an operator who got no answer to the last ones asks no more */
	}
	assert(m->n_requests < SIM_REQUESTS_MAX);
	m->requests[m->n_requests++] = q;
	if (m->phase == SIM_IDLE && m->call_id == 0) {
		work(s, i);
	}
}

static void on_request_limit(struct sim *s, unsigned i, uint64_t op)
{
	struct sim_mount *m = mount_of(s, i);

	for (unsigned k = 0; k < m->n_requests; k++) {
		struct sim_request *q = &m->requests[k];

		if (q->op != op || op == 0 || q->ask == SIM_ASK_DEATH) {
			continue;
		}
		answer(s, i, q, -ETIMEDOUT);
		q->answered = true;
		if (m->nonce == 0 || k >= m->n_run) {
			remove_request(m, k); /* never begun; else it may yet be published */
		}
		return;
	}
}

void sim_mount_start(struct sim *s, unsigned i)
{
	struct sim_mount *m = mount_of(s, i);

	*m = (struct sim_mount){.up = true, .life = m->life, .id = ++s->last_id};
	work(s, i);
}

void sim_mount_crash(struct sim *s, unsigned i)
{
	struct sim_mount *m = mount_of(s, i);

	m->up = false;
	m->life++;
	for (unsigned k = 0; k < m->n_requests; k++) {
		answer(s, i, &m->requests[k], -ENOTCONN);
	}
	m->n_requests = 0;
}

void sim_mount_order(struct sim *s, unsigned i, const struct sim_request *order)
{
	const struct sim_mount *m = mount_of(s, i);

	if (m->up && m->head != 0) {
		s->orders++;
		sim_post(s,
			 (struct sim_event){.kind = SIM_EV_REQUEST,
					    .machine = i,
					    .life = m->life,
					    .request = *order},
			 0);
	}
}

void sim_mount_handle(struct sim *s, const struct sim_event *ev)
{
	struct sim_mount *m = mount_of(s, ev->machine);

	if (ev->life != m->life || !m->up) {
		if (ev->kind == SIM_EV_REQUEST) {
			answer(s, ev->machine, &ev->request, -ENOTCONN);
		}
		return;
	}
	if (ev->kind == SIM_EV_REQUEST) {
		on_request(s, ev->machine, ev->request);
	} else if (ev->kind == SIM_EV_REQUEST_LIMIT) {
		on_request_limit(s, ev->machine, ev->id);
	} else if (ev->reply.id == m->call_id) {
		/* The first answer wins, be it the store's or the limit's. */
		m->call_id = 0;
		if (ev->kind == SIM_EV_RETRY) {
			on_retry(s, ev->machine);
		} else {
			on_reply(s, ev->machine, &ev->reply);
		}
	}
}

bool sim_mount_gate_is_open(const struct sim *s, unsigned i)
{
	const struct sim_mount *m = &s->machines[i].mount;
	uint32_t holder = m->index.holder;
	int r = m->up && holder ? find_row(&m->index, holder) : -1;

	return r >= 0 && !m->shut && m->index.rows[r].mount == m->id &&
	       sim_local_ms(s, i) < m->watch[r].deadline_ms;
}
