/* SPDX-License-Identifier: Apache-2.0 */
/* So that what is only read can be const. */
#define ZLIB_CONST

#include "fs/pack.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/cleanup.h"

#define ROOM_FIRST ((size_t)64 * 1024)

int pack(const void *bytes, size_t n, void **ret_packed, size_t *ret_n)
{
	uLongf length = compressBound(n);
	_cleanup_free_ void *packed = malloc(length);

	if (!packed || compress2(packed, &length, bytes, n, Z_BEST_SPEED) != Z_OK) {
		return -ENOMEM; /* the room is enough: compress2(3) fails for want of memory only */
	}
	*ret_packed = take_ptr(packed);
	*ret_n = length;
	return 0;
}

/* Double the room behind *out, of which all is used, but not beyond @max. */
static int grow(void **out, size_t *room, size_t max)
{
	size_t more = *room == 0 ? ROOM_FIRST : 2 * *room;
	void *bigger;

	more = more < max ? more : max;
	if (more == *room) {
		return -EUCLEAN;
	}
	bigger = realloc(*out, more);
	if (!bigger) {
		return -ENOMEM;
	}
	*out = bigger;
	*room = more;
	return 0;
}

static int inflate_all(z_stream *z, size_t max, void **out, size_t *ret_n)
{
	size_t room = 0;
	int rc = Z_OK;

	while (rc == Z_OK) {
		if (z->total_out == room) {
			int r = grow(out, &room, max);

			if (r < 0) {
				return r;
			}
		}
		z->next_out = (Bytef *)*out + z->total_out;
		z->avail_out = (uInt)(room - z->total_out);
		rc = inflate(z, Z_NO_FLUSH);
	}
	if (rc == Z_MEM_ERROR) {
		return -ENOMEM;
	}
	if (rc != Z_STREAM_END || z->avail_in > 0) {
		return -EUCLEAN;
	}
	*ret_n = z->total_out;
	return 0;
}

int unpack(const void *packed, size_t n, size_t max, void **ret_bytes, size_t *ret_n)
{
	z_stream z = {.next_in = packed, .avail_in = (uInt)n};
	_cleanup_free_ void *out = NULL;
	int r;

	if (n > UINT_MAX || max > UINT_MAX) {
		return -EUCLEAN;
	}
	if (inflateInit(&z) != Z_OK) {
		return -ENOMEM;
	}
	r = inflate_all(&z, max, &out, ret_n);
	(void)inflateEnd(&z);
	if (r == 0) {
		*ret_bytes = take_ptr(out);
	}
	return r;
}
