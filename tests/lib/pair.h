/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two indexes for each test, something to fill them with, and a comparison of all their rows.
 * pair_set_up() and pair_tear_down() are cmocka's fixtures, and *state is a struct pair.
 */
#ifndef TESTS_LIB_PAIR_H
#define TESTS_LIB_PAIR_H

#include <stddef.h>

#include "fs/index.h"

#define PAIR_RECORD "{\"nodeId\":\"a\",\"status\":\"STANDBY\"}"

struct pair {
	struct index *a, *b;
};

int pair_set_up(void **state);
int pair_tear_down(void **state);

/* Something in every table but `image`. */
void pair_fill(struct index *ix);

/* All rows as text, malloc'd. */
char *pair_rows(struct index *ix);
void pair_assert_same(struct index *a, struct index *b);

/* The change that @ix's open transaction is; commits it.  index_free_bytes() it. */
void *pair_commit(struct index *ix, size_t *ret_n);

/* That, applied to @to. */
void pair_carry(struct index *ix, struct index *to);

/* xorshift32: the same sequence everywhere. */
uint32_t pair_draw(uint32_t *state, uint32_t below);

#endif
