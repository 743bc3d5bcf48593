/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: fuzz_replay_TARGET FILE|DIRECTORY...
 *
 * Gives the target each file, without libFuzzer.  Fails if there is none.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX_BYTES ((size_t)1024 * 1024)

static int replay_file(int dirfd, const char *name)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ uint8_t *exact = NULL;
	size_t n;
	int r = io_read_file(dirfd, name, INPUT_MAX_BYTES, &text, &n);

	if (r < 0) {
		return r;
	}
	/* Nothing behind the last byte: the sanitizer sees who reads there. */
	exact = malloc(n > 0 ? n : 1);
	if (!exact) {
		return -ENOMEM;
	}
	memcpy(exact, text, n);
	(void)fprintf(stderr, "%s\n", name);
	(void)LLVMFuzzerTestOneInput(exact, n);
	return 1;
}

static int replay_directory(int fd)
{
	DIR *dir = fdopendir(fd); /* takes it */
	const struct dirent *entry;
	int count = 0, r = 0;

	if (!dir) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	while (r >= 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.') {
			r = replay_file(fd, entry->d_name);
			count += r > 0;
		}
	}
	(void)closedir(dir);
	return r < 0 ? r : count;
}

/* The number of inputs, or -errno. */
static int replay(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? replay_directory(fd) : replay_file(AT_FDCWD, path);
}

int main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		int n = replay(argv[i]);

		if (n < 0) {
			(void)fprintf(stderr, "%s: %s\n", argv[i], strerror(-n));
			return EXIT_FAILURE;
		}
		count += n;
	}
	(void)printf("%d inputs\n", count);
	return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
