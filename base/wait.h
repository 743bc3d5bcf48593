/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting on a condition variable until a deadline.  Any thread.
 *
 * Deadlines are CLOCK_BOOTTIME, but no condition variable can wait on that clock: it waits on
 * CLOCK_MONOTONIC for as long as is left, and so wakes later by the time that the machine sleeps
 * meanwhile.  Whoever may not be late waits in steps.
 */
#ifndef BASE_WAIT_H
#define BASE_WAIT_H

#include <pthread.h>
#include <stdint.h>

#define WAIT_FOR_EVER UINT64_MAX

/* For wait_until(); pthread_cond_destroy() ends it. */
void wait_cond_init(pthread_cond_t *cond);

/*
 * Until @cond is signalled, or clock_boot_ms() is @until_ms, or for no reason: the caller asks
 * again for what it waits for, and reads the clock.  @lock is held, as in pthread_cond_wait(3).
 */
void wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ms);

#endif
