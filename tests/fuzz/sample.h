/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An index with rows in every table, and a use of one that came from somewhere: what the targets
 * begin with and what they do with what was taken.
 */
#ifndef TESTS_FUZZ_SAMPLE_H
#define TESTS_FUZZ_SAMPLE_H

#include <stddef.h>

#include "fs/index.h"

/* Kinds of changes that sample_change() can make. */
#define SAMPLE_CHANGES 6

/* A new index, filled; the same at each call. */
struct index *sample_new(void);

/* Change it as commits do, in one of SAMPLE_CHANGES ways.  Within a transaction. */
void sample_change(struct index *ix, unsigned kind);

/* The change of sample_change() to a sample as bytes, malloc'd. */
void *sample_patch(unsigned kind, size_t *ret_n);

/* An image of @ix, malloc'd.  Notes its head in the index. */
void *sample_image(struct index *ix, size_t *ret_n);

/*
 * Whatever the rows of @ix say: they can be read and changed, the change is one that another mount
 * would look at, and an image of it all loads.  Within a transaction, which may have changed it.
 */
void sample_use(struct index *ix);

#endif
