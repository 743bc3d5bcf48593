/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/jsonmem.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

static _Thread_local unsigned refused;

static void *note_malloc(size_t n)
{
	void *p = malloc(n);

	refused += !p;
	return p;
}

/* What other threads have from malloc(3) by then is freed by the same function. */
static void watch(void)
{
	json_set_alloc_funcs(note_malloc, free);
}

unsigned jsonmem_refused(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, watch);
	return refused;
}
