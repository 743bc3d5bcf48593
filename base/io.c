/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"

#define READ_STEP 4096

int io_write_full(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR) {
			continue;
		}
		if (k < 0) {
			return -errno;
		}
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

int io_read_full(int fd, size_t max, char **ret_bytes, size_t *ret_n)
{
	_cleanup_free_ char *buf = NULL;
	size_t used = 0, room = 0;

	for (;;) {
		ssize_t k;

		if (room - used < READ_STEP / 2) {
			char *bigger = realloc(buf, (room ? 2 * room : READ_STEP) + 1);

			if (!bigger) {
				return -ENOMEM;
			}
			buf = bigger;
			room = room ? 2 * room : READ_STEP;
		}
		k = read(fd, buf + used, room - used);
		if (k < 0 && errno == EINTR) {
			continue;
		}
		if (k < 0) {
			return -errno;
		}
		if (k == 0) {
			break;
		}
		used += (size_t)k;
		if (used > max) {
			return -EFBIG;
		}
	}
	buf[used] = '\0';
	*ret_bytes = take_ptr(buf);
	if (ret_n) {
		*ret_n = used;
	}
	return 0;
}

int io_read_file(int dirfd, const char *path, size_t max, char **ret_bytes, size_t *ret_n)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0) {
		return -errno;
	}
	return io_read_full(fd, max, ret_bytes, ret_n);
}

void io_random_id(char *ret)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	uint32_t draws[IO_RANDOM_ID_LENGTH];
	ssize_t n = getrandom(draws, sizeof(draws), 0);

	/* Up to 256 bytes never come short once the pool is ready; see getrandom(2). */
	assert(n == (ssize_t)sizeof(draws));
	for (size_t i = 0; i < IO_RANDOM_ID_LENGTH; i++) {
		ret[i] = alphabet[draws[i] % (i == 0 ? 52 : 62)];
	}
	ret[IO_RANDOM_ID_LENGTH] = '\0';
}
