/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: fuzz_seeds fs_patch|fs_change DIRECTORY
 *
 * Makes the directory with inputs for one of these targets, which depend on the tables of the
 * index: each kind of change as a patchset or as the text of a link.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "fs/change.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sample.h"

static void write_seed(int dirfd, unsigned kind, const void *bytes, size_t n)
{
	_cleanup_close_ int fd = -EBADF;
	char name[16];

	(void)snprintf(name, sizeof(name), "%u", kind);
	/* Anew, so that the directory is younger than this program. */
	(void)unlinkat(dirfd, name, 0);
	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	must(fd >= 0);
	must(io_write_full(fd, bytes, n) == 0);
}

static void write_change(int dirfd, unsigned kind, const void *patch, size_t n)
{
	struct change change = {.writer = "mountone", .nonce = "nonce", .n = n};
	char target[CHANGE_TARGET_MAX + 1];
	int length;

	must(n <= sizeof(change.patch));
	memcpy(change.patch, patch, n);
	change_hash("", 0, change.parent);
	length = change_format(&change, target, sizeof(target));
	must(length > 0);
	write_seed(dirfd, kind, target, (size_t)length);
}

int main(int argc, char **argv)
{
	_cleanup_close_ int dirfd = -EBADF;

	if (argc != 3) {
		(void)fputs("usage: fuzz_seeds fs_patch|fs_change DIRECTORY\n", stderr);
		return EXIT_FAILURE;
	}
	must(mkdir(argv[2], 0777) == 0 || errno == EEXIST);
	dirfd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(dirfd >= 0);
	for (unsigned kind = 0; kind < SAMPLE_CHANGES; kind++) {
		size_t n;
		_cleanup_free_ void *patch = sample_patch(kind, &n);

		if (strcmp(argv[1], "fs_patch") == 0) {
			write_seed(dirfd, kind, patch, n);
		} else {
			write_change(dirfd, kind, patch, n);
		}
	}
	return EXIT_SUCCESS;
}
