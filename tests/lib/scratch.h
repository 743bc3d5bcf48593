/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An empty directory for each test: scratch_set_up() and scratch_tear_down() are cmocka's fixtures,
 * and *state is a struct scratch.  It is below TMPDIR, or in /tmp.
 */
#ifndef TESTS_LIB_SCRATCH_H
#define TESTS_LIB_SCRATCH_H

#define SCRATCH_PATH_BYTES 64

struct scratch {
	char path[SCRATCH_PATH_BYTES];
	int fd; /* of the directory */
};

int scratch_set_up(void **state);

/* Removes the directory with everything in it. */
int scratch_tear_down(void **state);

/* The number of entries of a directory below it, "." and ".." left out; -errno. */
int scratch_count(const struct scratch *s, const char *directory);

#endif
