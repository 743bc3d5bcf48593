/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/request.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/lock.h"
#include "fs/orders.h"
#include "fs/record.h"

/* What the history says of why something happened. */
#define WHY_ASKED   "asked"    /* by the one whom it concerns */
#define WHY_LAPSED  "lapsed"   /* its holder was silent for the timeout */
#define WHY_DIED    "died"     /* the process ended without a word */
#define WHY_GONE    "gone"     /* the mount's process is not there any more */
#define WHY_STOPPED "stopped"  /* the mount was ended */
#define WHY_ADOPTED "adopted"  /* another machine took the record over */
#define WHY_HANDED  "handed"   /* its holder gave it up in a switchover */
#define WHY_FENCED  "fenced: " /* and what the operator said */

/* An event's reason and who caused it. */
struct cause {
	const char *why;
	const char *who;
};

/* Some of a plane's leases: there is always room for `master` besides the others. */
#define LEASES_ROOM (REQUEST_LEASES_MAX + 1)

struct names {
	size_t n;
	char list[LEASES_ROOM][PARSE_ID_BYTES];
};

static bool is_master(const char *lease)
{
	return strcmp(lease, LEASE_MASTER) == 0;
}

/*
 * A node as the rules want it: the row as this transaction has it, and what this mount observed;
 * .deadline_ms is by the timing @t.
 */
static int gather_node(struct index *ix, const struct request_facts *facts, const char *id,
		       const struct lease_timing *t, struct lease_node *ret)
{
	const struct view_node *seen = view_find_node(facts->view, id);
	struct index_node row;
	int r = index_node_get(ix, id, &row);

	*ret = (struct lease_node){0};
	if (r < 0) {
		return r == -ENOENT ? 0 : r;
	}
	ret->known = true;
	ret->ours = strcmp(row.mount, facts->own_mount) == 0;
	ret->over = record_says(row.status) == LEASE_RECORD_OVER;
	/* A record written earlier in this transaction has not been seen before. */
	ret->seen = (struct lease_seen){.beat = row.beat, .since_ms = facts->now_ms};
	if (seen) {
		ret->seen = seen->seen;
		lease_see(&ret->seen, row.beat, facts->now_ms);
		if (ret->ours && seen->t0_ms != 0) {
			ret->deadline_ms = lease_deadline_ms(t, seen->t0_ms);
		}
	}
	return 0;
}

static int note_node(struct index *ix, const struct request_facts *facts, const char *what,
		     const char *node, const char *status, const char *was,
		     const struct cause *cause)
{
	struct index_lease master;
	int r = index_lease_get(ix, LEASE_MASTER, &master);

	if (r < 0) {
		return r;
	}
	return index_history_add(ix, &(struct index_event){
					     .at_wall_ms = facts->wall_ms,
					     .epoch = master.epoch,
					     .what = what,
					     .node = node,
					     .detail = status,
					     .was = was,
					     .why = cause->why,
					     .who = cause->who,
				     });
}

/*
 * Of `master` every change is told; of another lease, which may change hands many times a minute,
 * only that somebody lost it: the history has a bounded number of rows.
 */
static int note_lease(struct index *ix, const struct request_facts *facts, const char *name,
		      const char *holder, const char *was, const struct cause *cause)
{
	struct index_lease lease;
	int r;

	if (!is_master(name) && strcmp(cause->why, WHY_ASKED) == 0) {
		return 0;
	}
	r = index_lease_get(ix, name, &lease);
	if (r < 0) {
		return r;
	}
	return index_history_add(ix, &(struct index_event){
					     .at_wall_ms = facts->wall_ms,
					     .epoch = lease.epoch,
					     .what = is_master(name) ? "master" : "lease",
					     .node = holder,
					     .detail = is_master(name) ? "" : name,
					     .was = was,
					     .why = cause->why,
					     .who = cause->who,
				     });
}

struct leases_of {
	const char *holder; /* or NULL: all */
	struct names names;
};

static int collect_lease(void *ctx, const char *name, const struct index_lease *lease)
{
	struct leases_of *w = ctx;

	if (w->names.n < LEASES_ROOM && (!w->holder || strcmp(lease->holder, w->holder) == 0)) {
		(void)snprintf(w->names.list[w->names.n++], PARSE_ID_BYTES, "%s", name);
	}
	return 0;
}

/* Note how far the switchover has come, and tell of it. */
static int set_switchover(struct index *ix, const struct request_facts *facts,
			  const struct orders_switchover *s, const char *what,
			  const struct cause *cause)
{
	int r = orders_set_switchover(ix, s);

	return r < 0 ? r : note_node(ix, facts, "switchover", s->to, what, s->from, cause);
}

/*
 * @holder lost `master`, another way than was announced to it.  What is planned for later stays:
 * whoever is master then will begin it.
 */
static int drop_announcement(struct index *ix, const struct request_facts *facts,
			     const char *holder, const struct cause *cause)
{
	struct orders orders;
	int r = orders_get(ix, &orders);

	if (r < 0 || orders.switchover.phase != LEASE_SWITCHOVER_ANNOUNCED ||
	    strcmp(orders.switchover.from, holder) != 0) {
		return r;
	}
	orders.switchover.phase = LEASE_SWITCHOVER_NONE;
	return set_switchover(ix, facts, &orders.switchover, "ended", cause);
}

/* @holder has `master` now: no switchover is under way any more. */
static int end_switchover(struct index *ix, const struct request_facts *facts, const char *holder,
			  const struct cause *cause)
{
	struct orders orders;
	int r = orders_get(ix, &orders);

	if (r < 0 || orders.switchover.phase == LEASE_SWITCHOVER_NONE ||
	    orders.switchover.phase == LEASE_SWITCHOVER_PLANNED) {
		return r;
	}
	orders.switchover.phase = LEASE_SWITCHOVER_NONE;
	return strcmp(orders.switchover.to, holder) == 0
		       ? orders_set_switchover(ix, &orders.switchover)
		       : set_switchover(ix, facts, &orders.switchover, "ended", cause);
}

/* Free all leases that @node holds. */
static int free_leases(struct index *ix, const struct request_facts *facts, const char *node,
		       const struct cause *cause)
{
	_cleanup_free_ struct leases_of *held = calloc(1, sizeof(*held));
	int r;

	if (!held) {
		return -ENOMEM;
	}
	held->holder = node;
	r = index_each_lease(ix, collect_lease, held);
	for (size_t i = 0; r == 0 && i < held->names.n; i++) {
		r = index_lease_free(ix, held->names.list[i]);
		if (r == 0 && is_master(held->names.list[i])) {
			r = drop_announcement(ix, facts, node, cause);
		}
		if (r == 0) {
			r = note_lease(ix, facts, held->names.list[i], "", node, cause);
		}
	}
	return r;
}

/* Write a record of @mount, and tell of what is new in it. */
static int put_record(struct index *ix, const struct request_facts *facts, const char *mount,
		      const struct request *record, const struct cause *cause)
{
	bool over = record_says(record->status) == LEASE_RECORD_OVER;
	struct index_node before;
	bool existed;
	int r = index_node_get(ix, record->node, &before);

	if (r < 0 && r != -ENOENT) {
		return r;
	}
	existed = r == 0;
	r = index_node_put(ix, record->node, mount, record->status, record->text, record->n);
	if (r == 0 && !existed) {
		r = note_node(ix, facts, "created", record->node, record->status, "", cause);
	}
	if (r == 0 && over && (!existed || strcmp(before.status, record->status) != 0)) {
		r = note_node(ix, facts, "status", record->node, record->status,
			      existed ? before.status : "", cause);
	}
	return r;
}

struct longest {
	const char *holder;
	uint64_t timeout_ms;
};

static int find_longest(void *ctx, const char *name, const struct index_lease *lease)
{
	struct longest *w = ctx;

	(void)name;
	if (strcmp(lease->holder, w->holder) == 0 && lease->timeout_ms > w->timeout_ms) {
		w->timeout_ms = lease->timeout_ms;
	}
	return 0;
}

/*
 * The timing by which the node @id may be taken for dead, whatever it holds: a lease whose timeout
 * is longer than the plane's is trusted for longer.
 */
static int gather_timing(struct index *ix, const struct request_facts *facts, const char *id,
			 struct lease_timing *ret)
{
	struct longest w = {.holder = id, .timeout_ms = facts->view->timing.timeout_ms};
	int r = index_each_lease(ix, find_longest, &w);

	if (r < 0) {
		return r;
	}
	return lease_timing_of(&facts->view->timing, w.timeout_ms, ret) < 0 ? -EUCLEAN : 0;
}

static int write_record(struct index *ix, const struct request_facts *facts,
			const struct request *req)
{
	enum lease_claim_of_record says = record_says(req->status);
	struct cause cause = {.why = WHY_ASKED, .who = facts->own_mount};
	struct lease_timing timing = facts->view->timing;
	struct index_lease master;
	struct lease_node node;
	int r = gather_node(ix, facts, req->node, &timing, &node);

	if (r == 0) {
		r = index_lease_get(ix, LEASE_MASTER, &master);
	}
	if (r == 0 && node.known && !node.ours) {
		r = gather_timing(ix, facts, req->node, &timing);
	}
	if (r < 0) {
		return r;
	}
	r = lease_may_write_record(&node, says, strcmp(master.holder, req->node) == 0, &timing,
				   facts->now_ms);
	if (r == 0 && !node.known && facts->view->n_nodes >= REQUEST_NODES_MAX) {
		r = -ENOSPC;
	}
	if (r == 0) {
		r = index_mount_put(ix, facts->own_mount, facts->own_process);
	}
	if (r == 0) {
		r = put_record(ix, facts, facts->own_mount, req, &cause);
	}
	if (r == 0 && (says == LEASE_RECORD_OVER || (node.known && !node.ours))) {
		cause.why = says == LEASE_RECORD_OVER ? WHY_ASKED : WHY_ADOPTED;
		r = free_leases(ix, facts, req->node, &cause);
	}
	return r;
}

/* The record of @id says FAILED from now on, and the node has no leases. */
static int fail_node(struct index *ix, const struct request_facts *facts, const char *id,
		     const struct cause *cause)
{
	struct request failed = {.verb = REQUEST_WRITE_RECORD, .status = RECORD_FAILED};
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *text = NULL;
	struct index_node row;
	int r = index_node_get(ix, id, &row);

	if (r == 0) {
		r = index_node_record(ix, id, &before);
	}
	if (r < 0) {
		return r;
	}
	assert(before);
	r = record_with_status(before, RECORD_FAILED, &text);
	if (r < 0 && r != -EINVAL) {
		return r;
	}
	/* What no mount of ours would have let in cannot be rewritten, but counts no more. */
	(void)snprintf(failed.node, sizeof(failed.node), "%s", id);
	failed.text = text ? text : before;
	failed.n = strlen(failed.text);
	r = put_record(ix, facts, row.mount, &failed, cause);
	return r < 0 ? r : free_leases(ix, facts, id, cause);
}

static int node_died(struct index *ix, const struct request_facts *facts, const struct request *req)
{
	const struct cause cause = {.why = WHY_DIED, .who = facts->own_mount};
	struct lease_node node;
	int r = gather_node(ix, facts, req->node, &facts->view->timing, &node);

	if (r < 0 || !node.known || !node.ours || node.over) {
		return r; /* it said goodbye, or another machine has the id by now */
	}
	return fail_node(ix, facts, req->node, &cause);
}

static int remove_record(struct index *ix, const struct request_facts *facts,
			 const struct request *req)
{
	const struct cause cause = {.why = WHY_ASKED, .who = facts->own_mount};
	struct lease_node node;
	bool holds_any = false;
	int r = gather_node(ix, facts, req->node, &facts->view->timing, &node);

	if (r == 0) {
		r = index_lease_has_any(ix, req->node, &holds_any);
	}
	if (r == 0) {
		r = lease_may_remove_record(&node, holds_any, &facts->view->timing, facts->now_ms);
	}
	if (r == 0) {
		r = index_node_delete(ix, req->node);
	}
	if (r == 0) {
		r = index_mount_prune(ix, facts->own_mount);
	}
	return r < 0 ? r : note_node(ix, facts, "deleted", req->node, "", "", &cause);
}

/* A lease with its timing, and its holder if it has one. */
struct gathered {
	struct index_lease row;
	struct lease_timing timing;
	struct lease_node holder;
};

static int gather_lease(struct index *ix, const struct request_facts *facts, const char *name,
			struct gathered *ret)
{
	int r = index_lease_get(ix, name, &ret->row);

	if (r < 0) {
		return r;
	}
	if (lease_timing_of(&facts->view->timing, ret->row.timeout_ms, &ret->timing) < 0) {
		return -EUCLEAN;
	}
	return ret->row.holder[0]
		       ? gather_node(ix, facts, ret->row.holder, &ret->timing, &ret->holder)
		       : 0;
}

/* Is there room for one more?  -ENOSPC. */
static int room_for_lease(struct index *ix)
{
	_cleanup_free_ struct leases_of *all = calloc(1, sizeof(*all));
	int r = all ? index_each_lease(ix, collect_lease, all) : -ENOMEM;

	return r < 0 ? r : all->names.n < REQUEST_LEASES_MAX ? 0 : -ENOSPC;
}

/* What has been ordered of the lease @name, as far as its claimant @node is concerned. */
static int gather_orders(struct index *ix, const struct request_facts *facts, const char *node,
			 struct lease_orders *ret)
{
	const struct orders_switchover *seen = &facts->view->orders.switchover;
	const struct orders_switchover *s;
	struct orders orders;
	int r = orders_get(ix, &orders);

	if (r < 0) {
		return r;
	}
	s = &orders.switchover;
	*ret = (struct lease_orders){
		.paused = orders.paused_by[0] != '\0',
		.handed = s->phase == LEASE_SWITCHOVER_HANDED,
		.to_claimant = strcmp(s->to, node) == 0,
		.from_claimant = strcmp(s->from, node) == 0,
		/* What was handed over earlier in this transaction has not been seen before. */
		.handed_ms = seen->phase == s->phase ? facts->view->phase_since_ms : facts->now_ms,
	};
	return 0;
}

static int claim(struct index *ix, const struct request_facts *facts, const struct request *req)
{
	struct cause cause = {.why = WHY_ASKED, .who = facts->own_mount};
	struct gathered lease = {0};
	struct lease_orders orders;
	struct lease_node claimant;
	char why[sizeof(WHY_LAPSED ": ") + REQUEST_WHY_BYTES];
	bool is_held, is_own;
	int r = gather_lease(ix, facts, req->name, &lease);

	if (r == 0) {
		r = gather_node(ix, facts, req->node, &lease.timing, &claimant);
	}
	if (r == 0) {
		r = gather_orders(ix, facts, req->node, &orders);
	}
	if (r < 0) {
		return r;
	}
	is_held = lease.row.holder[0] != '\0';
	is_own = strcmp(lease.row.holder, req->node) == 0;
	r = lease_may_claim(&claimant,
			    is_own    ? &claimant
			    : is_held ? &lease.holder
				      : NULL,
			    is_master(req->name) ? &orders : NULL, &lease.timing, facts->now_ms);
	if (r == 0 && !lease.row.exists && !is_master(req->name)) {
		r = room_for_lease(ix);
	}
	if (r == 0) {
		r = index_lease_grant(ix, req->name, req->node);
	}
	/*
	 * A grant is a beat: its commit proves that the claimant is alive, and renews what it has.
	 */
	if (r == 0) {
		r = index_node_beat(ix, req->node);
	}
	cause.why = is_held && !is_own                      ? WHY_LAPSED
		    : is_master(req->name) && orders.handed ? WHY_HANDED
							    : WHY_ASKED;
	if (req->why[0] && is_master(req->name)) {
		(void)snprintf(why, sizeof(why), "%s: %s", cause.why, req->why);
		cause.why = why;
	}
	if (r == 0 && is_master(req->name)) {
		r = end_switchover(ix, facts, req->node, &cause);
	}
	return r < 0 ? r : note_lease(ix, facts, req->name, req->node, lease.row.holder, &cause);
}

/*
 * The holder lets go of `master`: for the target of the switchover, if one was announced to it.
 */
static int hand_over(struct index *ix, const char *holder, struct cause *cause)
{
	struct orders orders;
	int r = orders_get(ix, &orders);

	if (r < 0 || orders.switchover.phase != LEASE_SWITCHOVER_ANNOUNCED ||
	    strcmp(orders.switchover.from, holder) != 0) {
		return r;
	}
	orders.switchover.phase = LEASE_SWITCHOVER_HANDED;
	cause->why = WHY_HANDED;
	return orders_set_switchover(ix, &orders.switchover);
}

static int release(struct index *ix, const struct request_facts *facts, const struct request *req)
{
	struct cause cause = {.why = WHY_ASKED, .who = facts->own_mount};
	struct gathered lease = {0};
	int r = gather_lease(ix, facts, req->name, &lease);

	if (r == 0 && !lease.row.exists && !is_master(req->name)) {
		r = room_for_lease(ix);
		return r < 0 ? r : index_lease_new(ix, req->name);
	}
	if (r < 0 || !lease.row.holder[0]) {
		return r;
	}
	r = lease_may_release(&lease.holder);
	if (r == 0) {
		r = index_lease_free(ix, req->name);
	}
	if (r == 0 && is_master(req->name)) {
		r = hand_over(ix, lease.row.holder, &cause);
	}
	return r < 0 ? r : note_lease(ix, facts, req->name, "", lease.row.holder, &cause);
}

static int cancel_switchover(struct index *ix, const struct request_facts *facts,
			     struct orders_switchover s, const struct cause *cause)
{
	if (s.phase == LEASE_SWITCHOVER_NONE) {
		return -ENOENT;
	}
	if (s.phase == LEASE_SWITCHOVER_HANDED) {
		return -EBUSY; /* it can only go on */
	}
	s.phase = LEASE_SWITCHOVER_NONE;
	return set_switchover(ix, facts, &s, "cancelled", cause);
}

/* Can the node @id become master?  0; -ENOENT; -EHOSTDOWN: it is dead, or a backup. */
static int check_target(struct index *ix, const struct request_facts *facts, const char *id)
{
	const struct lease_timing *t = &facts->view->timing;
	struct index_node row;
	struct lease_node node = {0};
	int r = index_node_get(ix, id, &row);

	if (r == 0) {
		r = gather_node(ix, facts, id, t, &node);
	}
	if (r < 0) {
		return r;
	}
	return node.over || lease_has_lapsed(&node.seen, t, facts->now_ms) ||
			       strcmp(row.status, RECORD_HOT_BACKUP) == 0
		       ? -EHOSTDOWN
		       : 0;
}

/* `master` is to go to @next->to: as of now if nobody living has it. */
static int announce(struct index *ix, const struct request_facts *facts,
		    struct orders_switchover *next)
{
	struct gathered master = {0};
	int r = gather_lease(ix, facts, LEASE_MASTER, &master);
	bool is_held = master.row.holder[0] != '\0';

	if (r < 0) {
		return r;
	}
	if (is_held && strcmp(master.row.holder, next->to) == 0) {
		return -EALREADY;
	}
	if (!is_held || lease_may_change(&master.holder, &master.timing, facts->now_ms) == 0) {
		next->phase = LEASE_SWITCHOVER_HANDED;
		return next->to[0] ? 0 : -EHOSTDOWN; /* nobody is there to choose */
	}
	if (next->to[0]) {
		next->phase = LEASE_SWITCHOVER_ANNOUNCED;
		(void)snprintf(next->from, sizeof(next->from), "%s", master.row.holder);
	}
	return 0;
}

static int switch_over(struct index *ix, const struct request_facts *facts,
		       const struct request *req)
{
	const struct cause cause = {.why = WHY_ASKED, .who = req->who};
	struct orders_switchover next = {.phase = LEASE_SWITCHOVER_PLANNED};
	struct orders orders;
	int r = orders_get(ix, &orders);

	if (r < 0) {
		return r;
	}
	if (req->off) {
		return cancel_switchover(ix, facts, orders.switchover, &cause);
	}
	if (orders.switchover.phase == LEASE_SWITCHOVER_ANNOUNCED ||
	    orders.switchover.phase == LEASE_SWITCHOVER_HANDED) {
		/* The same again: the answer to the first may have been lost. */
		return strcmp(orders.switchover.to, req->node) == 0 ? 0 : -EBUSY;
	}
	next.at_wall_ms = req->at_wall_ms;
	(void)snprintf(next.to, sizeof(next.to), "%s", req->node);
	if (next.to[0]) {
		r = check_target(ix, facts, next.to);
	}
	if (r == 0 && next.at_wall_ms == 0) {
		r = announce(ix, facts, &next);
	}
	return r < 0 ? r : set_switchover(ix, facts, &next, orders_phase_name(next.phase), &cause);
}

static int pause_plane(struct index *ix, const struct request_facts *facts,
		       const struct request *req)
{
	const struct cause cause = {.why = req->why, .who = req->who};
	struct orders orders;
	int r = orders_get(ix, &orders);

	if (r < 0 || req->off == (orders.paused_by[0] == '\0')) {
		return r;
	}
	r = orders_set_paused(ix, req->off ? "" : req->who);
	return r < 0 ? r
		     : note_node(ix, facts, req->off ? "resumed" : "paused", "", "", "", &cause);
}

/* The lease .name, if it may be removed or changed.  -ENOENT; -EPERM: it is `master`; -EBUSY. */
static int gather_changeable(struct index *ix, const struct request_facts *facts, const char *name)
{
	struct gathered lease = {0};
	int r = is_master(name) ? -EPERM : gather_lease(ix, facts, name, &lease);

	if (r == 0 && !lease.row.exists) {
		r = -ENOENT;
	}
	return r < 0 ? r
		     : lease_may_change(lease.row.holder[0] ? &lease.holder : NULL, &lease.timing,
					facts->now_ms);
}

static int set_timeout(struct index *ix, const struct request_facts *facts,
		       const struct request *req)
{
	struct lease_timing timing;
	int r = lease_timing_of(&facts->view->timing, req->timeout_ms, &timing);

	if (r == 0) {
		r = gather_changeable(ix, facts, req->name);
	}
	return r < 0 ? r : index_lease_set_timeout(ix, req->name, req->timeout_ms);
}

static int remove_lease(struct index *ix, const struct request_facts *facts,
			const struct request *req)
{
	int r = gather_changeable(ix, facts, req->name);

	return r < 0 ? r : index_lease_delete(ix, req->name);
}

/* The locks in the order of asking: of one name, or all. */
struct queue {
	const char *name; /* NULL: all */
	size_t n;
	struct index_lock rows[REQUEST_LOCKS_MAX];
};

static int collect_lock(void *ctx, const struct index_lock *lock)
{
	struct queue *q = ctx;

	if (q->n < REQUEST_LOCKS_MAX && (!q->name || strcmp(q->name, lock->name) == 0)) {
		q->rows[q->n++] = *lock;
	}
	return 0;
}

/* malloc'd, as it is large. */
static int gather_queue(struct index *ix, const char *name, struct queue **ret)
{
	_cleanup_free_ struct queue *q = calloc(1, sizeof(*q));
	int r;

	if (!q) {
		return -ENOMEM;
	}
	q->name = name;
	r = index_each_lock(ix, collect_lock, q);
	if (r < 0) {
		return r;
	}
	*ret = take_ptr(q);
	return 0;
}

static bool is_own(const struct request_facts *facts, const struct index_lock *lock)
{
	return strcmp(lock->mount, facts->own_mount) == 0;
}

/* Has the lock lost its holder: is its mount @gone, or has it lapsed? */
static bool is_lost(const struct request_facts *facts, const struct index_lock *lock,
		    const char *gone)
{
	if (gone && strcmp(lock->mount, gone) == 0) {
		return true;
	}
	return !is_own(facts, lock) &&
	       view_mount_has_lapsed(facts->view, lock->mount, facts->now_ms);
}

/*
 * Take those out of the queue of @name whose mount is @gone (or NULL) or has lapsed, and grant the
 * lock to whom it falls.
 */
static int settle_queue(struct index *ix, const struct request_facts *facts, const char *name,
			const char *gone)
{
	_cleanup_free_ struct queue *q = NULL;
	struct lock_place places[REQUEST_LOCKS_MAX];
	size_t n = 0;
	int r = gather_queue(ix, name, &q);

	if (r < 0) {
		return r;
	}
	for (size_t i = 0; r == 0 && i < q->n; i++) {
		if (is_lost(facts, &q->rows[i], gone)) {
			r = index_lock_delete(ix, q->rows[i].seq);
		} else {
			q->rows[n] = q->rows[i];
			places[n++] = (struct lock_place){.exclusive = q->rows[i].exclusive,
							  .granted = q->rows[i].granted};
		}
	}
	lock_grant(places, n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (places[i].granted && !q->rows[i].granted) {
			r = index_lock_grant(ix, q->rows[i].seq);
		}
	}
	return r;
}

/* Settle every queue in which somebody is lost. */
static int settle_all(struct index *ix, const struct request_facts *facts, const char *gone)
{
	_cleanup_free_ struct queue *all = NULL;
	int r = gather_queue(ix, NULL, &all);

	for (size_t i = 0; r == 0 && i < all->n; i++) {
		if (is_lost(facts, &all->rows[i], gone)) {
			r = settle_queue(ix, facts, all->rows[i].name, gone);
		}
	}
	return r < 0 ? r : index_mount_prune(ix, facts->own_mount);
}

/* What this mount's open file has of the lock, or NULL. */
static const struct index_lock *find_own(const struct queue *q, const struct request_facts *facts,
					 uint64_t owner)
{
	for (size_t i = 0; i < q->n; i++) {
		if (q->rows[i].owner == owner && is_own(facts, &q->rows[i])) {
			return &q->rows[i];
		}
	}
	return NULL;
}

/* One machine alone must not leave nothing for the others. */
static bool has_room(const struct queue *all, const struct request_facts *facts)
{
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++) {
		n += is_own(facts, &all->rows[i]);
	}
	return all->n < REQUEST_LOCKS_MAX && n < REQUEST_LOCKS_OWN;
}

static int append_lock(struct index *ix, const struct request_facts *facts,
		       const struct request *req)
{
	struct index_lock row = {.owner = req->owner, .exclusive = req->exclusive, .pid = req->pid};
	int r = index_mount_put(ix, facts->own_mount, facts->own_process);

	(void)snprintf(row.name, sizeof(row.name), "%s", req->name);
	(void)snprintf(row.mount, sizeof(row.mount), "%s", facts->own_mount);
	(void)snprintf(row.command, sizeof(row.command), "%.*s", (int)req->n,
		       req->n ? req->text : "");
	return r < 0 ? r : index_lock_add(ix, &row);
}

static int lock(struct index *ix, const struct request_facts *facts, const struct request *req)
{
	_cleanup_free_ struct queue *all = NULL;
	_cleanup_free_ struct queue *after = NULL;
	const struct index_lock *own;
	int r = gather_queue(ix, NULL, &all);

	if (r < 0) {
		return r;
	}
	/* A batch that was published is run again where its generation was collected since. */
	own = find_own(all, facts, req->owner);
	if (own) {
		r = index_lock_delete(ix, own->seq);
	}
	/* flock(2): a conversion lets go of the old lock, and asks at the end of the queue. */
	own = find_own(all, facts, req->previous);
	if (r == 0 && own) {
		r = index_lock_delete(ix, own->seq);
	}
	if (r == 0) {
		r = has_room(all, facts) ? append_lock(ix, facts, req) : -ENOLCK;
	}
	if (r == 0) {
		r = settle_queue(ix, facts, req->name, NULL);
	}
	if (r == 0) {
		r = gather_queue(ix, req->name, &after);
	}
	if (r != 0) {
		return r;
	}
	own = find_own(after, facts, req->owner);
	return own && own->granted ? 0 : req->wait ? REQUEST_QUEUED : -EAGAIN;
}

static int unlock(struct index *ix, const struct request_facts *facts, const struct request *req)
{
	_cleanup_free_ struct queue *q = NULL;
	const struct index_lock *own;
	int r = gather_queue(ix, req->name, &q);

	if (r < 0) {
		return r;
	}
	own = find_own(q, facts, req->owner);
	r = own ? index_lock_delete(ix, own->seq) : 0;
	return r < 0 ? r : settle_queue(ix, facts, req->name, NULL);
}

/* A mount with more nodes than this is dealt with in several requests. */
#define NODES_AT_ONCE 256

struct nodes_of {
	const char *mount;
	size_t n;
	char list[NODES_AT_ONCE][PARSE_ID_BYTES];
	bool is_more;
};

static int collect_node(void *ctx, const char *id, const struct index_node *node,
			const char *record, size_t n)
{
	struct nodes_of *w = ctx;

	(void)record;
	(void)n;
	if (strcmp(node->mount, w->mount) == 0 && record_says(node->status) != LEASE_RECORD_OVER) {
		w->is_more = w->n == NODES_AT_ONCE;
		if (!w->is_more) {
			(void)snprintf(w->list[w->n++], PARSE_ID_BYTES, "%s", id);
		}
	}
	return w->is_more;
}

/* The mount @id is no more: its nodes have failed, its leases and locks are free. */
static int bury(struct index *ix, const struct request_facts *facts, const char *id,
		const struct cause *cause)
{
	_cleanup_free_ struct nodes_of *nodes = calloc(1, sizeof(*nodes));
	int r = 0;

	assert(id);
	if (!nodes) {
		return -ENOMEM;
	}
	nodes->mount = id;
	do {
		nodes->n = 0;
		nodes->is_more = false;
		r = index_each_node(ix, collect_node, nodes);
		for (size_t i = 0; r >= 0 && i < nodes->n; i++) {
			r = fail_node(ix, facts, nodes->list[i], cause);
		}
	} while (r >= 0 && nodes->is_more);
	if (r >= 0) {
		r = index_mount_delete(ix, id);
	}
	return r < 0 ? r : settle_all(ix, facts, id);
}

static int is_id(void *ctx, const char *id, const struct index_mount *m)
{
	(void)m;
	return strcmp(ctx, id) == 0;
}

/* The node @id; or, if it is the id of a mount, a node without a status on that.  -ENOENT. */
static int find_fenced(struct index *ix, const char *id, struct index_node *ret)
{
	struct index_node mount = {0};
	int r = index_node_get(ix, id, ret);

	if (r != -ENOENT) {
		return r;
	}
	(void)snprintf(mount.mount, sizeof(mount.mount), "%s", id);
	r = index_each_mount(ix, is_id, mount.mount);
	if (r <= 0) {
		return r < 0 ? r : -ENOENT;
	}
	*ret = mount;
	return 0;
}

/* The machine is off: all that its mount had goes, not only what the node had. */
static int fence(struct index *ix, const struct request_facts *facts, const struct request *req)
{
	char why[sizeof(WHY_FENCED) + REQUEST_WHY_BYTES];
	const struct cause cause = {.why = why, .who = req->who};
	struct index_node row;
	int r = find_fenced(ix, req->node, &row);

	(void)snprintf(why, sizeof(why), WHY_FENCED "%s", req->why);
	if (r == 0) {
		r = note_node(ix, facts, "fenced", req->node, "", row.status, &cause);
	}
	return r < 0 ? r : bury(ix, facts, row.mount, &cause);
}

int request_run(struct index *ix, const struct request_facts *facts, const struct request *req)
{
	const struct cause gone = {.why = WHY_GONE, .who = facts->own_mount};
	const struct cause stopped = {.why = WHY_STOPPED, .who = facts->own_mount};

	switch (req->verb) {
	case REQUEST_WRITE_RECORD:
		return write_record(ix, facts, req);
	case REQUEST_REMOVE_RECORD:
		return remove_record(ix, facts, req);
	case REQUEST_CLAIM:
		return claim(ix, facts, req);
	case REQUEST_RELEASE:
		return release(ix, facts, req);
	case REQUEST_SET_TIMEOUT:
		return set_timeout(ix, facts, req);
	case REQUEST_REMOVE_LEASE:
		return remove_lease(ix, facts, req);
	case REQUEST_NODE_DIED:
		return node_died(ix, facts, req);
	case REQUEST_FENCE:
		return fence(ix, facts, req);
	case REQUEST_SWITCHOVER:
		return switch_over(ix, facts, req);
	case REQUEST_PAUSE:
		return pause_plane(ix, facts, req);
	case REQUEST_BURY:
		return bury(ix, facts, req->name, &gone);
	case REQUEST_GOODBYE:
		return bury(ix, facts, facts->own_mount, &stopped);
	case REQUEST_LOCK:
		return lock(ix, facts, req);
	case REQUEST_UNLOCK:
		return unlock(ix, facts, req);
	case REQUEST_SWEEP:
		return settle_all(ix, facts, NULL);
	case REQUEST_DUMP:
		return 0;
	}
	return -EINVAL;
}
