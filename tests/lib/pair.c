/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/pair.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "tests/unit/unit.h"

int pair_set_up(void **state)
{
	static struct pair p;

	assert_ok(index_new(&p.a));
	assert_ok(index_new(&p.b));
	*state = &p;
	return 0;
}

int pair_tear_down(void **state)
{
	struct pair *p = *state;

	index_free(p->a);
	index_free(p->b);
	return 0;
}

void pair_fill(struct index *ix)
{
	static const struct index_event created = {1466414301000, 1,  "created", "a",
						   "STANDBY",     "", "asked",   "m1"};
	static const struct index_mount process = {
		.boot = "b5f1a2c3", .pid_ns = 4026531836, .pid = 4711, .started = 1, .host = "h"};
	static const struct index_lock lock = {
		.name = "nightly", .mount = "mount1", .owner = UINT64_MAX, .command = "job"};

	assert_ok(index_plane_set(ix, "k1", 30000));
	assert_ok(index_mount_put(ix, "mount1", &process));
	assert_ok(index_node_put(ix, "a", "mount1", "STANDBY", PAIR_RECORD, strlen(PAIR_RECORD)));
	assert_ok(index_node_put(ix, "b", "mount2", "MASTER", PAIR_RECORD, strlen(PAIR_RECORD)));
	assert_ok(index_lease_grant(ix, "master", "b"));
	assert_ok(index_lock_add(ix, &lock));
	assert_ok(index_history_add(ix, &created));
}

static int print_node(void *ctx, const char *id, const struct index_node *node, const char *record,
		      size_t n)
{
	(void)fprintf(ctx, "node %s %s %s %llu %.*s\n", id, node->mount, node->status,
		      (unsigned long long)node->beat, (int)n, record);
	return 0;
}

static int print_mount(void *ctx, const char *id, const struct index_mount *m)
{
	(void)fprintf(ctx, "mount %s %s %llu %llu %llu %s\n", id, m->boot,
		      (unsigned long long)m->pid_ns, (unsigned long long)m->pid,
		      (unsigned long long)m->started, m->host);
	return 0;
}

static int print_lease(void *ctx, const char *name, const struct index_lease *lease)
{
	(void)fprintf(ctx, "lease %s '%s' %llu %llu\n", name, lease->holder,
		      (unsigned long long)lease->epoch, (unsigned long long)lease->timeout_ms);
	return 0;
}

static int print_lock(void *ctx, const struct index_lock *lock)
{
	(void)fprintf(ctx, "lock %llu %s %s %llu %d %d %llu %s\n", (unsigned long long)lock->seq,
		      lock->name, lock->mount, (unsigned long long)lock->owner, lock->exclusive,
		      lock->granted, (unsigned long long)lock->pid, lock->command);
	return 0;
}

static int print_event(void *ctx, const struct index_event *e)
{
	(void)fprintf(ctx, "event %lld %llu %s %s %s %s %s %s\n", (long long)e->at_wall_ms,
		      (unsigned long long)e->epoch, e->what, e->node, e->detail, e->was, e->why,
		      e->who);
	return 0;
}

char *pair_rows(struct index *ix)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	uint64_t value, newest;

	assert_non_null(out);
	for (char key[] = "k0"; key[1] < '4'; key[1]++) {
		if (index_plane_get(ix, key, &value) == 0) {
			(void)fprintf(out, "plane %s %llu\n", key, (unsigned long long)value);
		}
	}
	assert_ok(index_each_node(ix, print_node, out));
	assert_ok(index_each_mount(ix, print_mount, out));
	assert_ok(index_each_lease(ix, print_lease, out));
	assert_ok(index_each_lock(ix, print_lock, out));
	assert_ok(index_each_event(ix, print_event, out));
	assert_ok(index_history_newest(ix, &newest));
	(void)fprintf(out, "newest %llu\n", (unsigned long long)newest);
	assert_int_equal(fclose(out), 0);
	return text;
}

void pair_assert_same(struct index *a, struct index *b)
{
	_cleanup_free_ char *left = pair_rows(a);
	_cleanup_free_ char *right = pair_rows(b);

	assert_string_equal(left, right);
}

void *pair_commit(struct index *ix, size_t *ret_n)
{
	void *patch;

	assert_ok(index_changes(ix, &patch, ret_n));
	assert_ok(index_commit(ix));
	return patch;
}

void pair_carry(struct index *ix, struct index *to)
{
	size_t n;
	void *patch = pair_commit(ix, &n);

	assert_ok(index_apply(to, patch, n));
	index_free_bytes(patch);
}

uint32_t pair_draw(uint32_t *state, uint32_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % below;
}
