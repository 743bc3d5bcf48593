/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/request.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/record.h"

/* A node as the rules want it: the row as this transaction has it, and what this mount observed. */
static int gather_node(struct index *ix, const struct request_facts *facts, const char *id,
		       struct lease_node *ret)
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
		ret->deadline_ms = ret->ours ? seen->deadline_ms : 0;
	}
	return 0;
}

static int note(struct index *ix, const struct request_facts *facts, const char *what,
		const char *node, const char *detail)
{
	struct index_lease master;
	int r = index_lease_get(ix, REQUEST_MASTER, &master);

	if (r < 0) {
		return r;
	}
	return index_history_add(ix, &(struct index_event){
					     .at_wall_ms = facts->wall_ms,
					     .epoch = master.epoch,
					     .what = what,
					     .node = node,
					     .detail = detail,
				     });
}

static int free_leases(struct index *ix, const struct request_facts *facts, const char *node)
{
	struct index_lease master;
	int r = index_lease_get(ix, REQUEST_MASTER, &master);

	if (r == 0) {
		r = index_lease_free_all(ix, node);
	}
	if (r == 0 && strcmp(master.holder, node) == 0) {
		r = note(ix, facts, "master", "", "");
	}
	return r;
}

static int put_record(struct index *ix, const struct request_facts *facts, const char *id,
		      const char *status, const char *text, size_t n)
{
	struct index_node before;
	bool existed, over = record_says(status) == LEASE_RECORD_OVER;
	int r = index_node_get(ix, id, &before);

	if (r < 0 && r != -ENOENT) {
		return r;
	}
	existed = r == 0;
	r = index_node_put(ix, id, facts->own_mount, status, text, n);
	if (r == 0 && !existed) {
		r = note(ix, facts, "created", id, status);
	}
	if (r == 0 && over && (!existed || strcmp(before.status, status) != 0)) {
		r = note(ix, facts, "status", id, status);
	}
	return r;
}

static int write_record(struct index *ix, const struct request_facts *facts,
			const struct request *req)
{
	enum lease_claim_of_record says = record_says(req->status);
	struct index_lease master;
	struct lease_node node;
	int r = gather_node(ix, facts, req->node, &node);

	if (r == 0) {
		r = index_lease_get(ix, REQUEST_MASTER, &master);
	}
	if (r < 0) {
		return r;
	}
	r = lease_may_write_record(&node, says, strcmp(master.holder, req->node) == 0,
				   &facts->view->timing, facts->now_ms);
	if (r < 0) {
		return r;
	}
	r = put_record(ix, facts, req->node, req->status, req->text, req->n);
	if (r == 0 && (says == LEASE_RECORD_OVER || (node.known && !node.ours))) {
		r = free_leases(ix, facts, req->node);
	}
	return r;
}

static int node_died(struct index *ix, const struct request_facts *facts, const struct request *req)
{
	_cleanup_free_ char *before = NULL;
	_cleanup_free_ char *text = NULL;
	struct lease_node node;
	int r = gather_node(ix, facts, req->node, &node);

	if (r < 0 || !node.known || !node.ours || node.over) {
		return r; /* it said goodbye, or another machine has the id by now */
	}
	r = index_node_record(ix, req->node, &before);
	if (r == 0) {
		r = record_with_status(before, RECORD_FAILED, &text);
	}
	if (r == 0) {
		r = put_record(ix, facts, req->node, RECORD_FAILED, text, strlen(text));
	}
	return r < 0 ? r : free_leases(ix, facts, req->node);
}

static int remove_record(struct index *ix, const struct request_facts *facts,
			 const struct request *req)
{
	struct lease_node node;
	bool holds_any = false;
	int r = gather_node(ix, facts, req->node, &node);

	if (r == 0) {
		r = index_lease_has_any(ix, req->node, &holds_any);
	}
	if (r == 0) {
		r = lease_may_remove_record(&node, holds_any, &facts->view->timing, facts->now_ms);
	}
	if (r == 0) {
		r = index_node_delete(ix, req->node);
	}
	return r < 0 ? r : note(ix, facts, "deleted", req->node, "");
}

static int claim(struct index *ix, const struct request_facts *facts, const struct request *req)
{
	struct lease_node claimant, other;
	const struct lease_node *holder = NULL;
	struct index_lease lease;
	int r = gather_node(ix, facts, req->node, &claimant);

	if (r == 0) {
		r = index_lease_get(ix, req->lease, &lease);
	}
	if (r < 0) {
		return r;
	}
	if (strcmp(lease.holder, req->node) == 0) {
		holder = &claimant;
	} else if (lease.holder[0]) {
		r = gather_node(ix, facts, lease.holder, &other);
		if (r < 0) {
			return r;
		}
		holder = &other;
	}
	r = lease_may_claim(&claimant, holder, &facts->view->timing, facts->now_ms);
	if (r == 0) {
		r = index_lease_grant(ix, req->lease, req->node);
	}
	/*
	 * A grant is a beat: its commit proves that the claimant is alive, and renews what it has.
	 */
	if (r == 0) {
		r = index_node_beat(ix, req->node);
	}
	if (r == 0 && strcmp(req->lease, REQUEST_MASTER) == 0) {
		r = note(ix, facts, "master", req->node, "");
	}
	return r;
}

static int release(struct index *ix, const struct request_facts *facts, const struct request *req)
{
	struct index_lease lease;
	struct lease_node holder;
	int r = index_lease_get(ix, req->lease, &lease);

	if (r < 0 || !lease.holder[0]) {
		return r;
	}
	r = gather_node(ix, facts, lease.holder, &holder);
	if (r == 0) {
		r = lease_may_release(&holder);
	}
	if (r == 0) {
		r = index_lease_free(ix, req->lease);
	}
	if (r == 0 && strcmp(req->lease, REQUEST_MASTER) == 0) {
		r = note(ix, facts, "master", "", "");
	}
	return r;
}

int request_run(struct index *ix, const struct request_facts *facts, const struct request *req)
{
	switch (req->verb) {
	case REQUEST_WRITE_RECORD:
		return write_record(ix, facts, req);
	case REQUEST_REMOVE_RECORD:
		return remove_record(ix, facts, req);
	case REQUEST_CLAIM:
		return claim(ix, facts, req);
	case REQUEST_RELEASE:
		return release(ix, facts, req);
	case REQUEST_NODE_DIED:
		return node_died(ix, facts, req);
	case REQUEST_DUMP:
		return 0;
	}
	return -EINVAL;
}
