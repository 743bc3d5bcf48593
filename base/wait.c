/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wait.h"

#include <time.h>

#include "base/clock.h"

void wait_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t monotonic;

	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(cond, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
}

void wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ms)
{
	uint64_t now_ms = clock_boot_ms();
	uint64_t wait_ms = until_ms > now_ms ? until_ms - now_ms : 0;
	struct timespec until;

	if (until_ms == WAIT_FOR_EVER) {
		(void)pthread_cond_wait(cond, lock);
		return;
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(wait_ms / 1000);
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	(void)pthread_cond_timedwait(cond, lock, &until);
}
