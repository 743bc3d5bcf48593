/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>

#include "fs/commit.h"
#include "tests/sim/sim.h"

/* Clocks run fast by up to this. */
static uint64_t at_least_ms(const struct sim *s, uint64_t by_a_clock_ms)
{
	return by_a_clock_ms * 1000000 / (1000000 + s->faults.drift_ppm);
}

/* Whoever has `master` as of this attempt: may it, by what was ordered before? */
static void check_orders(struct sim *s, const struct sim_attempt *a)
{
	const struct sim_index *before = &s->attempts[a->parent].index;
	bool handed = before->phase == LEASE_SWITCHOVER_HANDED;
	uint32_t holder = a->index.holder;
	uint64_t wait_ms;

	if (a->index.phase == LEASE_SWITCHOVER_HANDED && !handed) {
		s->store.handed_ms = s->now_ms;
	}
	if (holder == 0 || holder == before->holder || a->ordered) {
		return;
	}
	if (before->paused && !(handed && (holder == before->to || holder == before->from))) {
		sim_broke(s, "a node became master by itself while the plane was paused", holder);
	}
	wait_ms = holder == before->from ? s->timing.poll_ms : s->timing.timeout_ms;
	if (handed && holder != before->to &&
	    s->now_ms - s->store.handed_ms < at_least_ms(s, wait_ms)) {
		sim_broke(s, "what was handed over was taken on the way", holder);
	}
}

static int create(struct sim *s, const struct sim_call *call)
{
	const struct sim_attempt *a = &s->attempts[call->nonce];
	struct sim_store *st = &s->store;
	uint64_t n = call->number;

	assert(n < SIM_NUMBERS_MAX);
	if (st->nonce[n]) {
		return -EEXIST;
	}
	st->nonce[n] = call->nonce;
	st->created_ms[n] = s->now_ms;
	if (st->chain[n]) {
		return 0; /* the number was used and deleted: this file is void */
	}
	if (a->parent != st->chain[n - 1]) {
		sim_broke(s, "a generation does not follow its parent", a->index.holder);
	}
	if (a->index.epoch != s->attempts[a->parent].index.epoch + a->grants) {
		sim_broke(s, "an epoch did not rise by one with each grant", a->index.holder);
	}
	if (a->denied) {
		sim_broke(s, "what was said to have failed is done after all", a->index.holder);
	}
	check_orders(s, a);
	st->chain[n] = call->nonce;
	st->highest = n;
	return 0;
}

/* Deletes in rising order, and may be interrupted anywhere. */
static void collect(struct sim *s, uint64_t below)
{
	struct sim_store *st = &s->store;

	for (uint64_t n = st->lowest; n < below; n++) {
		if (s->now_ms - st->created_ms[n] <= COMMIT_KEEP_MS || sim_chance(s, 20)) {
			break;
		}
		st->nonce[n] = 0;
		st->lowest = n + 1;
	}
}

static struct sim_reply execute(struct sim *s, const struct sim_call *call)
{
	static const int lies[] = {-EIO, -EEXIST, -ESTALE};
	struct sim_reply reply = {.id = call->id};

	switch (call->verb) {
	case SIM_CREATE:
		if (sim_chance(s, s->faults.refuse_permille)) {
			reply.status = -ENOSPC;
			break;
		}
		reply.status = create(s, call);
		break;
	case SIM_GET:
		reply.nonce = s->store.nonce[call->number];
		reply.status = reply.nonce ? 0 : -ENOENT;
		break;
	case SIM_LIST:
		for (reply.number = s->store.highest; !s->store.nonce[reply.number];) {
			reply.number--;
		}
		break;
	case SIM_DELETE:
		s->store.nonce[call->number] = 0;
		break;
	case SIM_COLLECT:
		collect(s, call->number);
		break;
	}
	if (sim_chance(s, s->faults.lie_permille)) {
		reply.status = call->verb == SIM_CREATE ? lies[sim_below(s, 3)] : -EIO;
	}
	return reply;
}

void sim_store_init(struct sim *s)
{
	/* Generation 1: nobody, nothing. */
	s->n_attempts = 2;
	s->attempts[1] = (struct sim_attempt){.number = 1};
	s->store.nonce[1] = s->store.chain[1] = 1;
	s->store.highest = s->store.lowest = 1;
}

void sim_store_serve(struct sim *s, const struct sim_event *ev)
{
	struct sim_event answer = {.kind = SIM_EV_REPLY, .machine = ev->machine, .life = ev->life};

	answer.reply = execute(s, &ev->call);
	if (ev->call.id == 0 || s->now_ms < s->machines[ev->machine].cut_until_ms ||
	    sim_chance(s, s->faults.unheard_permille)) {
		return;
	}
	sim_post(s, answer, sim_delay_ms(s));
}
