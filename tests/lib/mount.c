/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/mount.h"

#include <stdio.h>

atomic_uint_fast64_t mount_now_ms = MOUNT_NOW_MS;

uint64_t __wrap_clock_boot_ms(void);

uint64_t __wrap_clock_boot_ms(void)
{
	return mount_now_ms;
}

void mount_close(struct mount *m)
{
	index_free(m->index);
	store_close(m->store);
	*m = (struct mount){0};
}

int mount_open(struct mount *m, const struct scratch *s, const char *id, bool images_only,
	       struct err *reterr)
{
	static const struct chain_birth birth = {MOUNT_TIMEOUT_MS, MOUNT_POLL_MS};
	int r;

	*m = (struct mount){0};
	(void)snprintf(m->id, sizeof(m->id), "%s", id);
	r = store_open(s->fd, id, images_only, &m->store, reterr);
	if (r == 0) {
		r = index_new(&m->index);
	}
	if (r == 0) {
		r = chain_load(&m->chain, m->store, m->index, id, &birth, reterr);
	}
	if (r < 0) {
		mount_close(m);
	}
	return r;
}

int mount_follow(struct mount *m)
{
	int r;

	do {
		r = chain_catch_up(&m->chain);
	} while (r > 0);
	return r;
}

int mount_publish(struct mount *m, struct chain_attempt *a)
{
	enum commit_verdict verdict;
	int error = 0;

	do {
		verdict = chain_send(&m->chain, a, &error);
	} while (verdict == COMMIT_UNKNOWN);
	if (verdict == COMMIT_OURS) {
		return 1;
	}
	return verdict == COMMIT_FAILED ? error : mount_follow(m);
}
