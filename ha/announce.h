/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log line of a role change, in the words that operators of Apache Brooklyn search for.  Called
 * by the agent thread only.
 */
#ifndef HA_ANNOUNCE_H
#define HA_ANNOUNCE_H

#include "ha/engine.h"

struct ha_snapshot;

/* @entered is an HA_ACT_ENTERED of node @id; @newest is what it was decided on. */
void ha_announce(const char *id, const struct ha_action *entered, const struct ha_snapshot *newest);

#endif
