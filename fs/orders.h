/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people have ordered of the plane, as the index has it: a switchover, a pause.  Rows of the
 * table `plane`, and nothing but their keeping: what an order means is in fs/lease.h, who may give
 * it in fs/request.c.  The thread that owns the index.
 */
#ifndef FS_ORDERS_H
#define FS_ORDERS_H

#include <stdint.h>

#include "base/parse.h"
#include "fs/lease.h"

struct index;

/* `master` goes from one node to another, and nobody takes it on the way. */
struct orders_switchover {
	enum lease_switchover phase;
	char to[PARSE_ID_BYTES];   /* "": whom the master finds best; PLANNED only */
	char from[PARSE_ID_BYTES]; /* the holder that was asked; "" if there was none */
	uint64_t at_wall_ms;       /* PLANNED: when to begin, by the master's clock; 0: now */
};

struct orders {
	char paused_by[PARSE_ID_BYTES]; /* "user@host"; "": the plane is not paused */
	struct orders_switchover switchover;
};

/* What makes no sense, as only a stranger would have written it, reads as no order. */
int orders_get(struct index *ix, struct orders *ret);

/* In the open transaction.  Phase NONE removes it. */
int orders_set_switchover(struct index *ix, const struct orders_switchover *s);

/* Likewise; "" ends the pause. */
int orders_set_paused(struct index *ix, const char *by);

/* "planned" and so on; never NULL. */
const char *orders_phase_name(enum lease_switchover phase);

#endif
