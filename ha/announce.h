/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log line of a role change, in the words that operators of Apache Brooklyn search for.  Called
 * by the agent thread only.
 */
#ifndef HA_ANNOUNCE_H
#define HA_ANNOUNCE_H

#include <stdbool.h>

#include "ha/engine.h"

struct ha_snapshot;

/* Did the plane refuse the mode that was asked for?  The operator must act. */
bool ha_announce_is_refusal(enum ha_reason reason);

/* @entered is an HA_ACT_ENTERED of node @id; @newest is what it was decided on. */
void ha_announce(const char *id, const struct ha_action *entered, const struct ha_snapshot *newest);

#endif
