/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image with damage: refused, or of use.  The input is the damage, in edits of three bytes:
 * where (big-endian), and which byte is there instead.  At RESIZE_AT it is the number of pages of
 * the file and in its header.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sample.h"

#define EDIT_BYTES        3
#define RESIZE_AT         0xffff
#define PAGE_BYTES        ((size_t)1024)
#define PAGES_MAX         255
#define PAGE_COUNT_LOW_AT 31 /* in the file's header; the three bytes before are 0 */

struct image {
	size_t n;
	uint8_t *bytes;
};

/* Room for PAGES_MAX pages. */
static struct image new_image(void)
{
	struct index *ix = sample_new();
	struct image_head head;
	struct image image = {.bytes = calloc(PAGES_MAX, PAGE_BYTES)};
	_cleanup_free_ void *bytes = sample_image(ix, &image.n);

	must(image.bytes && image.n <= PAGES_MAX * PAGE_BYTES);
	memcpy(image.bytes, bytes, image.n);
	/* Else the target would show nothing. */
	must(index_from_image(ix, image.bytes, image.n, &head, NULL) == 0);
	index_free(ix);
	return image;
}

static void edit(struct image *image, const uint8_t *data, size_t n)
{
	for (; n >= EDIT_BYTES; data += EDIT_BYTES, n -= EDIT_BYTES) {
		size_t at = (size_t)data[0] << 8 | data[1];

		if (at == RESIZE_AT) {
			image->n = data[2] * PAGE_BYTES;
			image->bytes[PAGE_COUNT_LOW_AT] = data[2];
		} else if (at < image->n) {
			image->bytes[at] = data[2];
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct image sound;
	static struct index *ix;
	_cleanup_free_ uint8_t *room = calloc(PAGES_MAX, PAGE_BYTES);
	_cleanup_free_ uint8_t *exact = NULL;
	struct image_head head;
	struct image image;
	int r;

	if (!ix) {
		sound = new_image();
		must(index_new(&ix) == 0);
	}
	must(room);
	memcpy(room, sound.bytes, sound.n);
	image = (struct image){.n = sound.n, .bytes = room};
	edit(&image, data, n);
	exact = malloc(image.n > 0 ? image.n : 1);
	must(exact);
	memcpy(exact, image.bytes, image.n);

	r = index_from_image(ix, exact, image.n, &head, NULL);
	must(r == 0 || r == -EUCLEAN);
	if (r == 0) {
		must(index_begin(ix) == 0);
		sample_use(ix);
		index_rollback(ix);
	}
	return 0;
}
