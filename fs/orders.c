/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/orders.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "fs/index.h"

/* Rows of the table `plane`. */
#define PAUSED_KEY "paused_by"
#define PHASE_KEY  "switchover_phase"
#define TO_KEY     "switchover_to"
#define FROM_KEY   "switchover_from"
#define AT_KEY     "switchover_at_ms"

static int get_text(struct index *ix, const char *key, char ret[PARSE_ID_BYTES])
{
	int r = index_plane_get_text(ix, key, ret, PARSE_ID_BYTES);

	if (r == -ENOENT) {
		ret[0] = '\0';
	}
	return r == -ENOENT ? 0 : r;
}

static int get_u64(struct index *ix, const char *key, uint64_t *ret)
{
	int r = index_plane_get(ix, key, ret);

	if (r == -ENOENT) {
		*ret = 0;
	}
	return r == -ENOENT ? 0 : r;
}

static bool is_sensible(const struct orders_switchover *s, uint64_t phase)
{
	return phase < LEASE_SWITCHOVER_MAX_ &&
	       (s->to[0] ? parse_id_is_valid(s->to) : phase == LEASE_SWITCHOVER_PLANNED) &&
	       (!s->from[0] || parse_id_is_valid(s->from));
}

int orders_get(struct index *ix, struct orders *ret)
{
	struct orders o = {0};
	uint64_t phase = 0;
	int r;

	if ((r = get_text(ix, PAUSED_KEY, o.paused_by)) < 0 ||
	    (r = get_u64(ix, PHASE_KEY, &phase)) < 0 ||
	    (r = get_text(ix, TO_KEY, o.switchover.to)) < 0 ||
	    (r = get_text(ix, FROM_KEY, o.switchover.from)) < 0 ||
	    (r = get_u64(ix, AT_KEY, &o.switchover.at_wall_ms)) < 0) {
		return r;
	}
	if (is_sensible(&o.switchover, phase)) {
		o.switchover.phase = (enum lease_switchover)phase;
	} else {
		o.switchover = (struct orders_switchover){0};
	}
	*ret = o;
	return 0;
}

int orders_set_switchover(struct index *ix, const struct orders_switchover *s)
{
	static const char *const keys[] = {PHASE_KEY, TO_KEY, FROM_KEY, AT_KEY};
	int r = 0;

	if (s->phase == LEASE_SWITCHOVER_NONE) {
		for (size_t i = 0; r == 0 && i < sizeof(keys) / sizeof(keys[0]); i++) {
			r = index_plane_delete(ix, keys[i]);
		}
		return r;
	}
	if ((r = index_plane_set(ix, PHASE_KEY, s->phase)) < 0 ||
	    (r = index_plane_set_text(ix, TO_KEY, s->to)) < 0 ||
	    (r = index_plane_set_text(ix, FROM_KEY, s->from)) < 0) {
		return r;
	}
	return index_plane_set(ix, AT_KEY, s->at_wall_ms);
}

int orders_set_paused(struct index *ix, const char *by)
{
	return by[0] ? index_plane_set_text(ix, PAUSED_KEY, by)
		     : index_plane_delete(ix, PAUSED_KEY);
}

const char *orders_phase_name(enum lease_switchover phase)
{
	static const char *const names[LEASE_SWITCHOVER_MAX_] = {
		[LEASE_SWITCHOVER_NONE] = "none",
		[LEASE_SWITCHOVER_PLANNED] = "planned",
		[LEASE_SWITCHOVER_ANNOUNCED] = "announced",
		[LEASE_SWITCHOVER_HANDED] = "handed",
	};

	return phase < LEASE_SWITCHOVER_MAX_ ? names[phase] : "invalid";
}
