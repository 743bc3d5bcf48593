/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "fs/timing.h"

#define ROOM_FIRST 8

static void log_unref(struct view_log *log)
{
	if (log && atomic_fetch_sub(&log->refs, 1) == 1) {
		free(log->text);
		free(log);
	}
}

struct view *view_ref(struct view *v)
{
	(void)atomic_fetch_add(&v->refs, 1);
	return v;
}

void view_unref(struct view *v)
{
	if (!v || atomic_fetch_sub(&v->refs, 1) != 1) {
		return;
	}
	for (size_t i = 0; i < v->n_nodes; i++) {
		free(v->nodes[i].record);
	}
	free(v->nodes);
	free(v->mounts);
	free(v->leases);
	free(v->locks);
	log_unref(v->log);
	free(v);
}

static int by_id(const void *key, const void *node)
{
	return strcmp(key, ((const struct view_node *)node)->id);
}

const struct view_node *view_find_node(const struct view *v, const char *id)
{
	return v->n_nodes ? bsearch(id, v->nodes, v->n_nodes, sizeof(*v->nodes), by_id) : NULL;
}

struct index_lease view_lease(const struct view *v, const char *name)
{
	for (size_t i = 0; i < v->n_leases; i++) {
		if (strcmp(v->leases[i].name, name) == 0) {
			return v->leases[i].row;
		}
	}
	return (struct index_lease){0};
}

uint64_t view_lease_timeout_ms(const struct view *v, const char *name)
{
	uint64_t own_ms = view_lease(v, name).timeout_ms;

	return own_ms ? own_ms : v->timing.timeout_ms;
}

uint64_t view_lease_end_ms(const struct view *v, const char *name)
{
	struct index_lease lease = view_lease(v, name);
	const struct view_node *holder = view_find_node(v, lease.holder);
	struct lease_timing timing;

	if (!holder || !holder->ours || holder->t0_ms == 0 ||
	    lease_timing_of(&v->timing, lease.timeout_ms, &timing) < 0) {
		return 0;
	}
	return lease_deadline_ms(&timing, holder->t0_ms);
}

/* Is a node of this mount the one that has to let go, or to take over? */
static bool is_in_switchover(const struct view *v)
{
	const struct orders_switchover *s = &v->orders.switchover;
	const struct view_node *from = view_find_node(v, s->from);
	const struct view_node *to = view_find_node(v, s->to);

	return (s->phase == LEASE_SWITCHOVER_ANNOUNCED || s->phase == LEASE_SWITCHOVER_HANDED) &&
	       ((from && from->ours) || (to && to->ours));
}

uint64_t view_follow_ms(const struct view *v, uint64_t now_ms)
{
	bool closely = is_in_switchover(v) && now_ms - v->phase_since_ms < v->timing.closely_ms;

	return closely ? v->timing.close_ms : v->timing.follow_ms;
}

const struct view_mount *view_find_mount(const struct view *v, const char *id)
{
	for (size_t i = 0; i < v->n_mounts; i++) {
		if (strcmp(v->mounts[i].id, id) == 0) {
			return &v->mounts[i];
		}
	}
	return NULL;
}

bool view_mount_has_lapsed(const struct view *v, const char *id, uint64_t now_ms)
{
	const struct view_mount *m = view_find_mount(v, id);

	return !m || lease_has_lapsed(&m->seen, &v->timing, now_ms);
}

const struct index_lock *view_find_lock(const struct view *v, const char *own_mount, uint64_t owner)
{
	for (size_t i = 0; i < v->n_locks; i++) {
		if (v->locks[i].owner == owner && strcmp(v->locks[i].mount, own_mount) == 0) {
			return &v->locks[i];
		}
	}
	return NULL;
}

uint64_t view_lock_end_ms(const struct view *v)
{
	return v->own_t0_ms ? lease_deadline_ms(&v->timing, v->own_t0_ms) : 0;
}

/* Room for one more in an array that grows by doubling; @n is its length. */
static int grow(void **array, size_t n, size_t size)
{
	void *more;

	if (n != 0 && (n < ROOM_FIRST || (n & (n - 1)) != 0)) {
		return 0;
	}
	more = reallocarray(*array, n < ROOM_FIRST ? ROOM_FIRST : 2 * n, size);
	if (!more) {
		return -ENOMEM;
	}
	*array = more;
	return 0;
}

struct build {
	struct view *view;
	const struct view *before;
	const struct view_head *head;
};

/*
 * What this mount knows of the node besides its row: carried over, or begun with this generation.
 */
static void observe(const struct build *b, struct view_node *n)
{
	const struct view_node *old = b->before ? view_find_node(b->before, n->id) : NULL;
	bool beat = !old || old->row.beat != n->row.beat;

	if (old) {
		n->seen = old->seen;
		n->t0_ms = n->ours ? old->t0_ms : 0;
		n->mtime_ms = old->mtime_ms;
	}
	lease_see(&n->seen, n->row.beat, b->head->loaded_ms);
	if (beat) {
		n->mtime_ms = b->head->mtime_ms;
	}
	/*
	 * A beat in somebody else's generation is one of ours whose answer was lost for good: when
	 * its first attempt began is not known any more, so it renews nothing.
	 */
	if (beat && n->ours && b->head->t0_ms != 0) {
		n->t0_ms = b->head->t0_ms;
	}
}

static int on_node(void *ctx, const char *id, const struct index_node *row, const char *record,
		   size_t n)
{
	struct build *b = ctx;
	struct view *v = b->view;
	struct view_node *node;
	char *copy;
	int r;

	/* Another mount's word: what can be no file name of ours is not shown. */
	if (!parse_id_is_valid(id)) {
		return 0;
	}
	r = grow((void **)&v->nodes, v->n_nodes, sizeof(*v->nodes));

	if (r < 0) {
		return r;
	}
	copy = malloc(n + 1);
	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, record, n);
	copy[n] = '\0';

	node = &v->nodes[v->n_nodes++];
	*node = (struct view_node){.row = *row, .record = copy, .n = n};
	(void)snprintf(node->id, sizeof(node->id), "%s", id);
	node->ours = strcmp(row->mount, b->head->own_mount) == 0;
	observe(b, node);
	return 0;
}

/* Did @id write any of the generations that are new in this view, as far as is known? */
static bool has_written(const struct build *b, const char *id)
{
	return !b->head->news || chain_news_has(b->head->news, id);
}

static int on_mount(void *ctx, const char *id, const struct index_mount *row)
{
	struct build *b = ctx;
	struct view *v = b->view;
	const struct view_mount *old = b->before ? view_find_mount(b->before, id) : NULL;
	struct view_mount *m;
	int r = grow((void **)&v->mounts, v->n_mounts, sizeof(*v->mounts));

	if (r < 0) {
		return r;
	}
	m = &v->mounts[v->n_mounts++];
	*m = (struct view_mount){.row = *row};
	(void)snprintf(m->id, sizeof(m->id), "%s", id);
	if (old) {
		m->seen = old->seen;
	}
	lease_see(&m->seen, has_written(b, id) ? v->generation : m->seen.beat, b->head->loaded_ms);
	return 0;
}

static int on_lease(void *ctx, const char *name, const struct index_lease *row)
{
	struct view *v = ctx;
	int r;

	if (!parse_id_is_valid(name) || (row->holder[0] && !parse_id_is_valid(row->holder))) {
		return 0;
	}
	r = grow((void **)&v->leases, v->n_leases, sizeof(*v->leases));
	if (r < 0) {
		return r;
	}
	v->leases[v->n_leases] = (struct view_lease){.row = *row};
	(void)snprintf(v->leases[v->n_leases].name, sizeof(v->leases[0].name), "%s", name);
	v->n_leases++;
	return 0;
}

static int on_lock(void *ctx, const struct index_lock *lock)
{
	struct view *v = ctx;
	int r;

	if (!parse_id_is_valid(lock->name) || !parse_id_is_valid(lock->mount)) {
		return 0;
	}
	r = grow((void **)&v->locks, v->n_locks, sizeof(*v->locks));
	if (r < 0) {
		return r;
	}
	v->locks[v->n_locks++] = *lock;
	return 0;
}

/* One line as Apache Brooklyn writes it: local time, then what happened. */
static int on_event(void *ctx, const struct index_event *e)
{
	FILE *out = ctx;
	time_t seconds = (time_t)(e->at_wall_ms / 1000);
	char when[32];
	struct tm tm;

	(void)localtime_r(&seconds, &tm);
	(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	(void)fprintf(out, "%s.%03d: ", when, (int)(e->at_wall_ms % 1000));
	if (strcmp(e->what, "master") == 0) {
		(void)fprintf(out, "set master to %s\n", e->node);
	} else if (strcmp(e->what, "lease") == 0) {
		(void)fprintf(out, "set lease %s to %s\n", e->detail, e->node);
	} else if (strcmp(e->what, "switchover") == 0) {
		(void)fprintf(out, "set switchover%s%s %s\n", e->node[0] ? " to " : "", e->node,
			      e->detail);
	} else if (strcmp(e->what, "paused") == 0 || strcmp(e->what, "resumed") == 0) {
		(void)fprintf(out, "%s plane\n", e->what);
	} else if (strcmp(e->what, "status") == 0) {
		(void)fprintf(out, "set node %s status to %s\n", e->node, e->detail);
	} else {
		(void)fprintf(out, "%s node %s\n", e->what, e->node);
	}
	return 0;
}

static int log_new(struct index *ix, uint64_t newest, struct view_log **ret)
{
	struct view_log *log = calloc(1, sizeof(*log));
	FILE *out;
	int r;

	if (!log) {
		return -ENOMEM;
	}
	atomic_init(&log->refs, 1);
	log->newest = newest;
	out = open_memstream(&log->text, &log->n);
	r = out ? index_each_event(ix, on_event, out) : -ENOMEM;
	if (out && fclose(out) != 0 && r == 0) {
		r = -ENOMEM;
	}
	if (r < 0) {
		log_unref(log);
		return r;
	}
	*ret = log;
	return 0;
}

static int take_log(struct index *ix, const struct view *before, struct view_log **ret)
{
	uint64_t newest;
	int r = index_history_newest(ix, &newest);

	if (r < 0) {
		return r;
	}
	if (before && before->log->newest == newest) {
		(void)atomic_fetch_add(&before->log->refs, 1);
		*ret = before->log;
		return 0;
	}
	return log_new(ix, newest, ret);
}

static int take_orders(struct index *ix, const struct view *before, const struct view_head *head,
		       struct view *v)
{
	const struct orders_switchover *now = &v->orders.switchover;
	const struct orders_switchover *was = before ? &before->orders.switchover : NULL;
	int r = orders_get(ix, &v->orders);

	if (r < 0) {
		return r;
	}
	v->phase_since_ms = was && was->phase == now->phase && strcmp(was->to, now->to) == 0 &&
					    strcmp(was->from, now->from) == 0
				    ? before->phase_since_ms
				    : head->loaded_ms;
	return 0;
}

int view_new(struct index *ix, const struct view *before, const struct view_head *head,
	     struct view **ret)
{
	struct view *v = calloc(1, sizeof(*v));
	struct build b = {.view = v, .before = before, .head = head};
	int r;

	if (!v) {
		return -ENOMEM;
	}
	atomic_init(&v->refs, 1);
	v->generation = head->generation;
	v->mtime_ms = head->mtime_ms;
	v->own_t0_ms = head->t0_ms ? head->t0_ms : before ? before->own_t0_ms : 0;
	r = timing_get(ix, &v->timing);
	if (r == 0) {
		r = take_orders(ix, before, head, v);
	}
	if (r == 0) {
		r = index_each_node(ix, on_node, &b);
	}
	if (r == 0) {
		r = index_each_mount(ix, on_mount, &b);
	}
	if (r == 0) {
		r = index_each_lease(ix, on_lease, v);
	}
	if (r == 0) {
		r = index_each_lock(ix, on_lock, v);
	}
	if (r == 0) {
		r = take_log(ix, before, &v->log);
	}
	if (r < 0) {
		view_unref(v);
		return r;
	}
	*ret = v;
	return 0;
}
