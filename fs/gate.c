/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/gate.h"

#include <assert.h>
#include <errno.h>

#include "base/clock.h"
#include "base/wait.h"

/* How often a waiting gate_shut() looks at the clock: the machine may sleep meanwhile. */
#define DRAIN_STEP_MS 50

void gate_init(struct gate *g)
{
	atomic_init(&g->epoch, 0);
	atomic_init(&g->deadline_ms, 0);
	atomic_init(&g->shut, false);
	atomic_init(&g->inside, 0);
	(void)pthread_mutex_init(&g->lock, NULL);
	wait_cond_init(&g->left);
}

void gate_done(struct gate *g)
{
	(void)pthread_cond_destroy(&g->left);
	(void)pthread_mutex_destroy(&g->lock);
}

bool gate_is_open(const struct gate *g)
{
	return g->epoch != 0 && !g->shut && clock_boot_ms() < g->deadline_ms;
}

static void step_out(struct gate *g)
{
	/* The count falls before .shut is read: whoever shuts sees the one or we see the other. */
	if (atomic_fetch_sub(&g->inside, 1) == 1 && g->shut) {
		(void)pthread_mutex_lock(&g->lock);
		(void)pthread_cond_signal(&g->left);
		(void)pthread_mutex_unlock(&g->lock);
	}
}

int gate_enter(struct gate *g, struct gate_pass *ret)
{
	uint64_t epoch;

	(void)atomic_fetch_add(&g->inside, 1);
	epoch = g->epoch;
	if (!gate_is_open(g)) {
		step_out(g);
		return -EROFS;
	}
	*ret = (struct gate_pass){.epoch = epoch};
	return 0;
}

int gate_leave(struct gate *g, const struct gate_pass *pass)
{
	/* Not .shut: those inside are waited for, and their lease still holds. */
	bool held = pass->epoch == g->epoch && clock_boot_ms() < g->deadline_ms;

	step_out(g);
	return held ? 0 : -EIO;
}

void gate_set(struct gate *g, uint64_t epoch, uint64_t deadline_ms)
{
	/* Never the old epoch with a later deadline, never a new epoch before its own. */
	if (epoch != g->epoch) {
		g->deadline_ms = 0;
		g->epoch = epoch;
	}
	g->deadline_ms = epoch ? deadline_ms : 0;
	g->shut = false;
}

void gate_shut(struct gate *g, uint64_t margin_ms)
{
	uint64_t end_ms = g->deadline_ms + margin_ms;

	g->shut = true;
	(void)pthread_mutex_lock(&g->lock);
	while (g->inside != 0 && clock_boot_ms() < end_ms) {
		wait_until(&g->left, &g->lock, clock_boot_ms() + DRAIN_STEP_MS);
	}
	(void)pthread_mutex_unlock(&g->lock);
}
