/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks.  Values of different machines are never compared or subtracted.  Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/*
 * CLOCK_BOOTTIME in ms: goes on while the machine sleeps, never back.  All deadlines are on it;
 * see clock_gettime(2).
 */
uint64_t clock_boot_ms(void);

/* CLOCK_REALTIME in ms since the epoch, UTC: for people only. */
int64_t clock_wall_ms(void);

#endif
