/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a virtual file that are being written or shown; counted by reference.  Any thread. */
#ifndef FS_CONTENT_H
#define FS_CONTENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

/* More than any record, so that one that is too long is refused as such. */
#define CONTENT_MAX_BYTES 65536

struct content {
	atomic_uint refs;
	pthread_mutex_t lock;
	char *bytes; /* by .lock */
	size_t n;    /* by .lock */
};

/* @bytes is taken, and may be NULL if @n is 0.  NULL: out of memory. */
struct content *content_new(char *bytes, size_t n);
struct content *content_ref(struct content *k);

/* NULL is allowed. */
void content_unref(struct content *k);

/* Cut, or fill up with zeros.  -EFBIG, -ENOMEM. */
int content_resize_locked(struct content *k, size_t n);

/* A malloc'd copy of the bytes with a NUL behind them.  NULL: out of memory. */
char *content_copy_locked(const struct content *k, size_t *ret_n);

#endif
