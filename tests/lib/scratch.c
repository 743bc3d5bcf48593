/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"

#define OPEN_DIRECTORIES 8

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int scratch_set_up(void **state)
{
	_cleanup_free_ struct scratch *s = calloc(1, sizeof(*s));
	const char *parent = getenv("TMPDIR");

	if (!s) {
		return -ENOMEM;
	}
	(void)snprintf(s->path, sizeof(s->path), "%s/holdfast-unit.XXXXXX",
		       parent ? parent : "/tmp");
	if (!mkdtemp(s->path)) {
		return -errno;
	}
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0) {
		return -errno;
	}
	*state = take_ptr(s);
	return 0;
}

int scratch_tear_down(void **state)
{
	_cleanup_free_ struct scratch *s = *state;

	(void)close(s->fd);
	return nftw(s->path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
}

int scratch_count(const struct scratch *s, const char *directory)
{
	char path[SCRATCH_PATH_BYTES + NAME_MAX];
	DIR *dir;
	int n = -2; /* "." and ".." */

	(void)snprintf(path, sizeof(path), "%s/%s", s->path, directory);
	dir = opendir(path);
	if (!dir) {
		return -errno;
	}
	while (readdir(dir)) {
		n++;
	}
	(void)closedir(dir);
	return n;
}
