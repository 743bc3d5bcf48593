/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of leases, nodes' records and time: the decisions only.
 *
 * Pure: no clock, no I/O, no allocation, no static state.  fs/request.c takes the facts from the
 * index and from what this mount observed, asks here inside each transaction, and writes what was
 * granted.
 * The simulator (tests/sim) runs the same functions.
 *
 * Safety argument.  A commit of a node's record ("beat") raises its beat counter.  The holder of a
 * lease trusts it until lease_deadline_ms(t0), counted on its own clock from t0, *before* the first
 * attempt to commit the beat that succeeded.  An observer deposes it only after it has seen the
 * same counter for more than timeout_ms, counted on its own clock from *after* it loaded that
 * value.  What the observer saw cannot be older than the holder's t0, so the holder has stopped
 * before; margin_ms pays for clocks that run at different rates and for the one call in flight.
 * Beats and take-overs are commits on one chain of generations, so a take-over commits only where
 * no later beat did.
 *
 * All times are CLOCK_BOOTTIME milliseconds of one machine.
 */
#ifndef FS_LEASE_H
#define FS_LEASE_H

#include <stdbool.h>
#include <stdint.h>

/* The lease whose holder may write to the share. */
#define LEASE_MASTER "master"

/*
 * The timing that every node of a plane shares: two values are given, all others follow from them,
 * and are computed nowhere else.  Filled by lease_timing_init() only.
 */
struct lease_timing {
	uint64_t timeout_ms; /* heartbeatTimeout: an observer deposes after more than that */
	uint64_t poll_ms;    /* pollPeriod: a node beats, and a mount with locks, this often */
	uint64_t margin_ms;  /* the holder stops this long before an observer may depose it */
	uint64_t follow_ms;  /* a mount looks this often for what others have published */
	uint64_t close_ms;   /* or this often, while a switchover concerns it, */
	uint64_t closely_ms; /* but not for longer than this */
	uint64_t limit_ms;   /* a request without an outcome by then is answered: unknown */
	uint64_t retry_ms;   /* the longest pause between two sendings of the same attempt */
	uint64_t others_ms;  /* who has published that lately may want to publish again */
	uint64_t yield_ms;   /* a commit gives way to them for no longer than this */
	uint64_t staging_ms; /* a staging file of this age is of a mount that died */
};

#define LEASE_TIMEOUT_MIN_MS 500
#define LEASE_TIMEOUT_MAX_MS 600000
#define LEASE_POLL_MIN_MS    10

/* NULL, or the inequality that these two break, as a text for people. */
const char *lease_timing_problem(uint64_t timeout_ms, uint64_t poll_ms);

/* -EINVAL where lease_timing_problem() names a problem. */
int lease_timing_init(struct lease_timing *ret, uint64_t timeout_ms, uint64_t poll_ms);

/*
 * A lease may have a timeout of its own, @timeout_ms; 0: the plane's.  -EINVAL as above.
 */
int lease_timing_of(const struct lease_timing *plane, uint64_t timeout_ms,
		    struct lease_timing *ret);

/* What this mount has seen of one node's beat counter. */
struct lease_seen {
	uint64_t beat;
	uint64_t since_ms; /* when the current value was first seen; 0: never seen */
};

/* Note that the index, loaded before @now_ms, says @beat. */
void lease_see(struct lease_seen *s, uint64_t beat, uint64_t now_ms);

/* Has the counter stood still for more than the timeout?  Exactly the timeout is still alive. */
bool lease_has_lapsed(const struct lease_seen *s, const struct lease_timing *t, uint64_t now_ms);

/* Until when a node may act on a beat whose first attempt to commit began at @t0_ms. */
uint64_t lease_deadline_ms(const struct lease_timing *t, uint64_t t0_ms);

/* One node, as the index and this mount's observation have it. */
struct lease_node {
	bool known;             /* it has a record */
	bool ours;              /* which belongs to this mount */
	bool over;              /* which says FAILED or TERMINATED */
	struct lease_seen seen; /* meaningful if known */
	uint64_t deadline_ms;   /* meaningful if ours: lease_deadline_ms() of its last beat, or 0 */
};

/* What a record says of its node: all that the rules ask of its content. */
enum lease_claim_of_record {
	LEASE_RECORD_PLAIN,
	LEASE_RECORD_MASTER, /* status MASTER */
	LEASE_RECORD_OVER,   /* status FAILED or TERMINATED: its leases are free with this commit */
};

/*
 * May this mount write the node's record?
 *
 * 0; -EACCES: it belongs to another mount whose node is alive; -ESTALE: it says MASTER, and the
 * node does not hold the lease `master` (@holds_master) any more.  A record of another mount whose
 * node lapsed or is over is adopted: the caller frees that node's leases in the same commit.
 */
int lease_may_write_record(const struct lease_node *n, enum lease_claim_of_record says,
			   bool holds_master, const struct lease_timing *t, uint64_t now_ms);

/* May this mount remove the node's record?  0; -ENOENT; -EBUSY while it is alive or @holds_any. */
int lease_may_remove_record(const struct lease_node *n, bool holds_any,
			    const struct lease_timing *t, uint64_t now_ms);

/* How far a switchover has come.  The numbers are in the index. */
enum lease_switchover {
	LEASE_SWITCHOVER_NONE,
	LEASE_SWITCHOVER_PLANNED, /* for later, or for whom the master chooses: binds nobody yet */
	LEASE_SWITCHOVER_ANNOUNCED, /* who has the lease and who is to have it watch the share */
	LEASE_SWITCHOVER_HANDED,    /* the lease is free, and kept for the one who is to have it */
	LEASE_SWITCHOVER_MAX_,
};

/* What people have ordered of `master`, as far as a claimant is concerned. */
struct lease_orders {
	bool paused;        /* nobody becomes holder unless it was handed to them */
	bool handed;        /* phase HANDED, since */
	bool to_claimant;   /* it is kept for the claimant */
	bool from_claimant; /* the claimant had it before */
	uint64_t handed_ms; /* when this mount first saw that it was handed over */
};

/*
 * May @claimant have a lease?  @holder is NULL if it is free, @claimant itself if it has it
 * already.
 *
 * 0: granted, the epoch rises by one; -EPERM: the claimant is not this mount's; -ESTALE: the
 * claimant's own heartbeat has lapsed or its record says that it is over; -EBUSY: the holder has
 * been seen to beat within the timeout, or the lease is kept for another node; -EAGAIN: paused.
 *
 * What was handed over is for its target; after a poll period, counted by this mount, also for the
 * one who had it before; after the timeout for everybody.  @orders is NULL for other leases.
 */
int lease_may_claim(const struct lease_node *claimant, const struct lease_node *holder,
		    const struct lease_orders *orders, const struct lease_timing *t,
		    uint64_t now_ms);

/* May a lease be removed, or its timeout be changed?  0; -EBUSY while @holder, if any, is alive. */
int lease_may_change(const struct lease_node *holder, const struct lease_timing *t,
		     uint64_t now_ms);

/* May this mount give the holder's lease back?  0, or -EPERM: the holder is not this mount's. */
int lease_may_release(const struct lease_node *holder);

#endif
