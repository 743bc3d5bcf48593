/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log line of a role change, in the words that operators of Apache Brooklyn search for.  Called
 * by the agent thread only.
 */
#ifndef HA_ANNOUNCE_H
#define HA_ANNOUNCE_H

#include "ha/engine.h"

struct ha_plane;
struct ha_snapshot;

/* What the history can keep of a reason, with the NUL; see docs/PROTOCOL.md. */
#define HA_ANNOUNCE_WHY_BYTES 96

/* @entered is an HA_ACT_ENTERED of node @id; @newest is what it was decided on. */
void ha_announce(const char *id, const struct ha_action *entered, const struct ha_snapshot *newest);

/* "won over B (lapsed), C (higher id)": why node @id claims the lease on this plane. */
void ha_announce_claim(const char *id, const struct ha_plane *plane,
		       char ret[HA_ANNOUNCE_WHY_BYTES]);

#endif
