/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes, and random ids.  Any thread. */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stddef.h>
#include <sys/types.h>

/* Write all of it, going on after EINTR and short writes.  0 or -errno. */
int io_write_full(int fd, const void *bytes, size_t n);

/*
 * Read the rest of @fd, at most @max bytes.  *ret_bytes is malloc'd, the caller's, and has a NUL
 * behind the last byte; *ret_n may be NULL.  -EFBIG if there is more, -ENOMEM, or read(2)'s error.
 */
int io_read_full(int fd, size_t max, char **ret_bytes, size_t *ret_n);

/* The same for a path below @dirfd (AT_FDCWD allowed). */
int io_read_file(int dirfd, const char *path, size_t max, char **ret_bytes, size_t *ret_n);

/* Length of the ids that we draw ourselves, as Apache Brooklyn's are. */
#define IO_RANDOM_ID_LENGTH 8

/* A random id: a letter, then seven letters or digits.  @ret has room for 9 bytes. */
void io_random_id(char *ret);

#endif
