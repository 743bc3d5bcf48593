/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/preflight.h"

#include <errno.h>

#include "base/parse.h"
#include "ha/config.h"
#include "ha/dir.h"
#include "ha/snapshot.h"

#define DURATION_BYTES 24

/* The timing belongs to the plane; who configured another one must not believe that it holds. */
static int check_timing(const char *key, uint64_t asked_ms, uint64_t plane_ms, struct err *reterr)
{
	char asked[DURATION_BYTES], has[DURATION_BYTES];

	if (asked_ms == 0 || asked_ms == plane_ms) {
		return 0;
	}
	parse_duration_format(asked_ms, asked, sizeof(asked));
	parse_duration_format(plane_ms, has, sizeof(has));
	return err_set(reterr, -EINVAL, "%s is %s here, but %s in the plane, which all nodes share",
		       key, asked, has);
}

/* A holder that this mount has not watched for the whole timeout counts as alive. */
static int check_clean(const struct ha_snapshot *plane, struct err *reterr)
{
	const struct ha_snapshot_node *master =
		plane->master ? ha_snapshot_find(plane, plane->master) : NULL;

	if (!plane->master || (master && master->lapsed)) {
		return 0;
	}
	return err_set(
		reterr, -EBUSY,
		"Cannot specify persist CLEAN beside a live master (master %s): it would lose "
		"its state",
		plane->master);
}

static int check_rebind(struct ha_dir *dir, const char *path, struct err *reterr)
{
	int r = ha_dir_is_empty(dir);

	if (r < 0) {
		return err_wrap(reterr, r, "looking into %s", path);
	}
	if (r > 0) {
		return err_set(reterr, -ENOENT,
			       "Invalid persistence directory %s because directory is empty", path);
	}
	return 0;
}

int ha_preflight(const struct ha_settings *s, const char *node_id, struct ha_dir **ret_dir,
		 struct ha_snapshot **ret_plane, struct err *reterr)
{
	_cleanup_(ha_dir_closep) struct ha_dir *dir = NULL;
	_cleanup_(ha_snapshot_unrefp) struct ha_snapshot *plane = NULL;
	int r;

	if (s->mode == HA_MODE_DISABLED) {
		*ret_dir = NULL;
		*ret_plane = NULL;
		return 0;
	}
	if ((r = ha_dir_open(s->persistence_dir, node_id, &dir, reterr)) < 0 ||
	    (r = ha_dir_read_plane(dir, &plane, reterr)) < 0 ||
	    (r = check_timing("brooklyn.ha.pollPeriod", s->poll_ms, plane->poll_ms, reterr)) < 0 ||
	    (r = check_timing("brooklyn.ha.heartbeatTimeout", s->timeout_ms, plane->timeout_ms,
			      reterr)) < 0) {
		return r;
	}
	if (s->persist == HA_PERSIST_CLEAN) {
		r = check_clean(plane, reterr);
	} else if (s->persist == HA_PERSIST_REBIND) {
		r = check_rebind(dir, s->persistence_dir, reterr);
	}
	if (r < 0) {
		return r;
	}
	*ret_dir = take_ptr(dir);
	*ret_plane = take_ptr(plane);
	return 0;
}
