/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct content *content_new(char *bytes, size_t n)
{
	struct content *k = calloc(1, sizeof(*k));

	if (!k) {
		free(bytes);
		return NULL;
	}
	atomic_init(&k->refs, 1);
	(void)pthread_mutex_init(&k->lock, NULL);
	k->bytes = bytes;
	k->n = n;
	return k;
}

struct content *content_ref(struct content *k)
{
	(void)atomic_fetch_add(&k->refs, 1);
	return k;
}

void content_unref(struct content *k)
{
	if (k && atomic_fetch_sub(&k->refs, 1) == 1) {
		(void)pthread_mutex_destroy(&k->lock);
		free(k->bytes);
		free(k);
	}
}

int content_resize_locked(struct content *k, size_t n)
{
	char *bytes;

	if (n > CONTENT_MAX_BYTES) {
		return -EFBIG;
	}
	bytes = realloc(k->bytes, n + 1);
	if (!bytes) {
		return -ENOMEM;
	}
	if (n > k->n) {
		memset(bytes + k->n, 0, n - k->n);
	}
	k->bytes = bytes;
	k->n = n;
	return 0;
}

char *content_copy_locked(const struct content *k, size_t *ret_n)
{
	char *copy = malloc(k->n + 1);

	if (copy) {
		if (k->n > 0) {
			memcpy(copy, k->bytes, k->n);
		}
		copy[k->n] = '\0';
		*ret_n = k->n;
	}
	return copy;
}
