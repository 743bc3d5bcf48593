/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mount without threads: a store, an index and a chain, driven step by step.  The clock is the
 * test's: link the program with --wrap=clock_boot_ms.
 */
#ifndef TESTS_LIB_MOUNT_H
#define TESTS_LIB_MOUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/chain.h"
#include "tests/lib/scratch.h"

struct mount {
	char id[PARSE_ID_BYTES];
	struct store *store;
	struct index *index;
	struct chain chain;
};

#define MOUNT_NOW_MS     1000000 /* where a test's clock begins */
#define MOUNT_TIMEOUT_MS 5000    /* of a plane that is made here */
#define MOUNT_POLL_MS    1000

extern atomic_uint_fast64_t mount_now_ms; /* CLOCK_BOOTTIME */

/* Makes the plane if there is none.  On failure nothing is left to be closed. */
int mount_open(struct mount *m, const struct scratch *s, const char *id, bool images_only,
	       struct err *reterr);

/* Takes one that was closed, too. */
void mount_close(struct mount *m);

/* Up to the newest generation. */
int mount_follow(struct mount *m);

/*
 * Publish the open transaction, whatever it takes to know the outcome.  1: done; 0: somebody else
 * was first; -errno.
 */
int mount_publish(struct mount *m, struct chain_attempt *a);

#endif
