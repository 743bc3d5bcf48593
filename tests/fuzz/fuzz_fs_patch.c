/* SPDX-License-Identifier: Apache-2.0 */
/* A patchset of somebody else, on an index with rows: refused and nothing done, or of use. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sample.h"

/* The whole content; index_free_bytes(). */
static void *dump(struct index *ix, size_t *ret_n)
{
	void *bytes;

	must(index_dump(ix, &bytes, ret_n) == 0);
	return bytes;
}

/* Are changes taken at all?  Else the target would show nothing. */
static void check_samples(void)
{
	for (unsigned kind = 0; kind < SAMPLE_CHANGES; kind++) {
		struct index *ix = sample_new();
		size_t n;
		_cleanup_free_ void *patch = sample_patch(kind, &n);

		must(n > 0 && index_apply(ix, patch, n) == 0);
		index_free(ix);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct index *ix;
	static void *before;
	static size_t n_before;
	int r;

	if (!before) {
		check_samples();
	}
	if (!ix) {
		ix = sample_new();
		before = dump(ix, &n_before);
	}
	r = index_apply(ix, data, n);
	must(r == 0 || r == -EUCLEAN);
	if (r == 0) {
		must(index_begin(ix) == 0);
		sample_use(ix);
		index_rollback(ix);
		index_free_bytes(before);
		index_free(ix);
		ix = NULL;
	} else {
		size_t n_after;
		void *after = dump(ix, &n_after);

		must(n_after == n_before && memcmp(after, before, n_after) == 0);
		index_free_bytes(after);
	}
	return 0;
}
