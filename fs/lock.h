/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of locks: who of those that ask for one may have it.  Pure, like fs/lease.h.
 *
 * A lock is a queue in the order of asking.  Its holders are at the head: one exclusive, or as many
 * shared as stand before the first exclusive; so nobody is overtaken, and a stream of shared
 * holders cannot starve an exclusive one.  Whoever lets go, or whose mount has been silent for more
 * than the timeout, leaves the queue, and the next is granted in the same commit.
 *
 * The holder's side is that of a lease: every commit of a mount renews its locks (its mount id is
 * in each generation), and it trusts them until lease_deadline_ms() of the last one.
 */
#ifndef FS_LOCK_H
#define FS_LOCK_H

#include <stdbool.h>
#include <stddef.h>

struct lock_place {
	bool exclusive;
	bool granted;
};

/* Grant what may be granted in the queue @q of @n, which starts with its holders, if any. */
void lock_grant(struct lock_place *q, size_t n);

#endif
