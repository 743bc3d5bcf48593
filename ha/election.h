/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who should be the next master: Apache Brooklyn's order of candidates.
 *
 * Pure, like ha/engine.h, which asks here.  An answer is a proposal only: the mount grants the
 * lease.  Every node that reads the same plane finds the same winner.
 */
#ifndef HA_ELECTION_H
#define HA_ELECTION_H

#include <stdbool.h>

struct ha_peer;
struct ha_plane;

/* Is it a candidate: STANDBY, HOT_STANDBY or MASTER, and has not lapsed? */
bool ha_election_may_win(const struct ha_peer *p);

/*
 * The best candidate of the plane other than @but (NULL: of all), or NULL if there is none.  The
 * first difference decides:
 *
 *	1. the higher priority
 *	2. a release before a snapshot ("snapshot" in its version, case ignored) before no version
 *	3. the higher version in natural order: v10, v3.20, v3.9
 *	4. MASTER before HOT_STANDBY before STANDBY
 *	5. the lower id, byte by byte
 */
const struct ha_peer *ha_election_winner(const struct ha_plane *plane, const char *but);

/* Why @p does not win against @winner: the first rule that decides, in a word or two. */
const char *ha_election_objection(const struct ha_peer *winner, const struct ha_peer *p);

#endif
