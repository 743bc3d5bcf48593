/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timing of the plane, as the index has it: two values, set with generation 1.  What follows
 * from them is computed in fs/lease.c.  The thread that owns the index.
 */
#ifndef FS_TIMING_H
#define FS_TIMING_H

#include <stdint.h>

#include "fs/lease.h"

struct index;

/* In the open transaction. */
int timing_set(struct index *ix, uint64_t timeout_ms, uint64_t poll_ms);

/* -EUCLEAN: it is not there, or is unsafe, and nobody of ours wrote that. */
int timing_get(struct index *ix, struct lease_timing *ret);

#endif
