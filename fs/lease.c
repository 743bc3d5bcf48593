/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lease.h"

#include <errno.h>
#include <stddef.h>

/* Clocks of two machines may differ in rate by this much before the safety argument fails. */
#define MARGIN_PERCENT 10

/* This many polls must fit into a timeout, or one slow commit costs the lease. */
#define POLLS_PER_TIMEOUT 4

/* New generations are looked for so often in a poll period: a clean stop is seen at once. */
#define FOLLOWS_PER_POLL 4

/* Likewise, in a switchover: nobody may write until the next holder has seen that it is. */
#define LOOKS_PER_POLL 100

/* It is over by then, or there is something that has to be waited for. */
#define POLLS_WATCHED 4

/* However long a poll period is, a share that answers again is noticed after this. */
#define RETRY_MAX_MS 1000

/* No publication takes this long, nor two timeouts. */
#define STAGING_MIN_MS 600000

const char *lease_timing_problem(uint64_t timeout_ms, uint64_t poll_ms)
{
	if (timeout_ms < LEASE_TIMEOUT_MIN_MS || timeout_ms > LEASE_TIMEOUT_MAX_MS) {
		return "500ms <= heartbeatTimeout <= 10m does not hold";
	}
	if (poll_ms < LEASE_POLL_MIN_MS) {
		return "pollPeriod >= 10ms does not hold";
	}
	if (poll_ms > timeout_ms / POLLS_PER_TIMEOUT) {
		return "heartbeatTimeout >= 4 x pollPeriod does not hold";
	}
	return NULL;
}

int lease_timing_init(struct lease_timing *ret, uint64_t timeout_ms, uint64_t poll_ms)
{
	if (lease_timing_problem(timeout_ms, poll_ms)) {
		return -EINVAL;
	}
	*ret = (struct lease_timing){
		.timeout_ms = timeout_ms,
		.poll_ms = poll_ms,
		.margin_ms = timeout_ms * MARGIN_PERCENT / 100,
		.follow_ms = poll_ms / FOLLOWS_PER_POLL,
		.close_ms = poll_ms > LOOKS_PER_POLL ? poll_ms / LOOKS_PER_POLL : 1,
		.closely_ms = POLLS_WATCHED * poll_ms,
		.limit_ms = timeout_ms / 2,
		.retry_ms = poll_ms < RETRY_MAX_MS ? poll_ms : RETRY_MAX_MS,
		.others_ms = 2 * poll_ms, /* their next beat may be under way */
		.yield_ms = poll_ms / 2,
		.staging_ms = 2 * timeout_ms > STAGING_MIN_MS ? 2 * timeout_ms : STAGING_MIN_MS,
	};
	return 0;
}

int lease_timing_of(const struct lease_timing *plane, uint64_t timeout_ms, struct lease_timing *ret)
{
	return lease_timing_init(ret, timeout_ms ? timeout_ms : plane->timeout_ms, plane->poll_ms);
}

void lease_see(struct lease_seen *s, uint64_t beat, uint64_t now_ms)
{
	if (s->since_ms == 0 || s->beat != beat) {
		s->beat = beat;
		s->since_ms = now_ms;
	}
}

bool lease_has_lapsed(const struct lease_seen *s, const struct lease_timing *t, uint64_t now_ms)
{
	return s->since_ms != 0 && now_ms > s->since_ms && now_ms - s->since_ms > t->timeout_ms;
}

uint64_t lease_deadline_ms(const struct lease_timing *t, uint64_t t0_ms)
{
	return t0_ms + t->timeout_ms - t->margin_ms;
}

static bool is_alive(const struct lease_node *n, const struct lease_timing *t, uint64_t now_ms)
{
	return n->known && !n->over && !lease_has_lapsed(&n->seen, t, now_ms);
}

int lease_may_write_record(const struct lease_node *n, enum lease_claim_of_record says,
			   bool holds_master, const struct lease_timing *t, uint64_t now_ms)
{
	if (!n->ours && is_alive(n, t, now_ms)) {
		return -EACCES;
	}
	/* An adopted record's leases are freed with the adoption: it holds nothing. */
	if (says == LEASE_RECORD_MASTER && !(n->ours && holds_master)) {
		return -ESTALE;
	}
	return 0;
}

int lease_may_remove_record(const struct lease_node *n, bool holds_any,
			    const struct lease_timing *t, uint64_t now_ms)
{
	if (!n->known) {
		return -ENOENT;
	}
	return holds_any || is_alive(n, t, now_ms) ? -EBUSY : 0;
}

/* Nobody has it: do orders stand in the claimant's way? */
static int heed(const struct lease_orders *o, const struct lease_timing *t, uint64_t now_ms)
{
	if (o->handed && !o->to_claimant) {
		uint64_t wait_ms = o->from_claimant ? t->poll_ms : t->timeout_ms;

		if (now_ms <= o->handed_ms || now_ms - o->handed_ms <= wait_ms) {
			return -EBUSY;
		}
	}
	return o->paused && !(o->handed && (o->to_claimant || o->from_claimant)) ? -EAGAIN : 0;
}

int lease_may_claim(const struct lease_node *claimant, const struct lease_node *holder,
		    const struct lease_orders *orders, const struct lease_timing *t,
		    uint64_t now_ms)
{
	if (!claimant->known || !claimant->ours) {
		return -EPERM;
	}
	if (claimant->over || now_ms >= claimant->deadline_ms) {
		return -ESTALE;
	}
	if (holder && holder != claimant && is_alive(holder, t, now_ms)) {
		return -EBUSY;
	}
	return holder == claimant || !orders ? 0 : heed(orders, t, now_ms);
}

int lease_may_change(const struct lease_node *holder, const struct lease_timing *t, uint64_t now_ms)
{
	return holder && is_alive(holder, t, now_ms) ? -EBUSY : 0;
}

int lease_may_release(const struct lease_node *holder)
{
	return holder->known && holder->ours ? 0 : -EPERM;
}
