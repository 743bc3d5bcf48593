/* SPDX-License-Identifier: Apache-2.0 */
/* `holdfast timing`: what follows from a plane's configuration and from how fast its share is. */
#ifndef HA_TIMING_H
#define HA_TIMING_H

#include <stdint.h>

/* What is given, all in ms. */
struct ha_timing {
	double timeout_ms;
	double margin_ms;
	double poll_ms;
	double commit_ms; /* the longest that was measured */
};

enum ha_timing_bound {
	HA_TIMING_FENCE,       /* a master that cannot commit any more stops */
	HA_TIMING_EARLIEST,    /* nobody else is master before that, counted from the same beat */
	HA_TIMING_COMMAND_END, /* --exec: told to end */
	HA_TIMING_COMMAND_KILL,
	HA_TIMING_STALL,   /* the share may be away so long between two beats */
	HA_TIMING_STOPPED, /* take-overs, at most: the daemon is stopped */
	HA_TIMING_KILLED,  /* it dies, its machine lives */
	HA_TIMING_DEAD,    /* the machine dies, or loses the share */
	HA_TIMING_BOUND_MAX_,
};

/* Pure. */
double ha_timing_bound_ms(enum ha_timing_bound bound, const struct ha_timing *t);

/* The process's exit status. */
int ha_timing_main(int argc, char **argv);

#endif
