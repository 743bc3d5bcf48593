/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plane as people and REST clients see it: the newest reading of the plane, with what this node
 * knows of itself at this moment put over it.  No I/O; any thread.
 */
#ifndef HA_VIEW_H
#define HA_VIEW_H

#include <stdint.h>

#include "ha/record.h"
#include "rest/backend.h"

struct ha_snapshot;

/*
 * A new plane for REST; the texts of @own must outlive it.  @own_epoch is that of the lease if @own
 * says MASTER.  @newest is kept referenced; NULL: this node is on its own (HA is disabled).
 *
 * A lapsed node is shown as FAILED.  The master named is the holder of the lease, lapsed or not,
 * until somebody replaces it.  NULL if there is no memory.
 */
const struct rest_plane *ha_view_new(struct ha_snapshot *newest, const struct ha_record *own,
				     uint64_t own_epoch);

void ha_view_free(const struct rest_plane *plane);

#endif
