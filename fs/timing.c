/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/timing.h"

#include <errno.h>

#include "fs/index.h"

/* Rows of the table `plane`. */
#define TIMEOUT_KEY "heartbeat_timeout_ms"
#define POLL_KEY    "poll_period_ms"

int timing_set(struct index *ix, uint64_t timeout_ms, uint64_t poll_ms)
{
	int r = index_plane_set(ix, TIMEOUT_KEY, timeout_ms);

	return r < 0 ? r : index_plane_set(ix, POLL_KEY, poll_ms);
}

int timing_get(struct index *ix, struct lease_timing *ret)
{
	uint64_t timeout_ms, poll_ms;
	int r = index_plane_get(ix, TIMEOUT_KEY, &timeout_ms);

	if (r == 0) {
		r = index_plane_get(ix, POLL_KEY, &poll_ms);
	}
	if (r == 0) {
		r = lease_timing_init(ret, timeout_ms, poll_ms);
	}
	return r == -ENOENT || r == -EINVAL ? -EUCLEAN : r;
}
