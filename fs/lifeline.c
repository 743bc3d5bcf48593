/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lifeline.h"

#include <string.h>

void lifelines_init(struct lifelines *t)
{
	(void)pthread_mutex_init(&t->lock, NULL);
	LIST_INIT(&t->list);
}

void lifelines_done(struct lifelines *t)
{
	(void)pthread_mutex_destroy(&t->lock);
}

void lifeline_tie(struct lifelines *t, struct lifeline *l, const char *node)
{
	(void)pthread_mutex_lock(&t->lock);
	if (!l->is_tied) {
		l->is_tied = true;
		l->node = node;
		LIST_INSERT_HEAD(&t->list, l, entry);
	}
	(void)pthread_mutex_unlock(&t->lock);
}

static bool is_held_locked(const struct lifelines *t, const char *node)
{
	const struct lifeline *l;

	LIST_FOREACH (l, &t->list, entry) {
		if (strcmp(l->node, node) == 0) {
			return true;
		}
	}
	return false;
}

bool lifeline_cut(struct lifelines *t, struct lifeline *l)
{
	bool was_last = false;

	(void)pthread_mutex_lock(&t->lock);
	if (l->is_tied) {
		l->is_tied = false;
		LIST_REMOVE(l, entry);
		was_last = !is_held_locked(t, l->node);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return was_last;
}
