/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A share in trouble, at will: an LD_PRELOAD library for mount.holdfast.
 *
 * STALL_FILE names a file, which is read before each call.  It is missing or empty: all is well.
 *
 *	hang	calls by a name below a directory, and those that change something, do not return
 *		until the file says something else
 *	lost	likewise, and then those that change something fail with EIO and are never carried
 *		out: what a server that is gone has never got
 *	EROFS, ENOSPC, EIO
 *		calls that change something fail with that
 */
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

#define WORD_BYTES 16
#define LOOK_NS    5000000

static const struct {
	const char *name;
	int code;
} errors[] = {{"EROFS", EROFS}, {"ENOSPC", ENOSPC}, {"EIO", EIO}};

/* By the system calls themselves: the functions are ours. */
static void read_word(char ret[WORD_BYTES])
{
	const char *path = getenv("STALL_FILE");
	ssize_t n = 0;
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		n = read(fd, ret, WORD_BYTES - 1);
		(void)close(fd);
	}
	ret[n > 0 ? n : 0] = '\0';
}

static bool hangs(const char *word)
{
	return strcmp(word, "hang") == 0 || strcmp(word, "lost") == 0;
}

/* Hang as long as that is asked for; then false, with errno, if the call is to fail. */
static bool goes_through(bool is_change)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};
	bool was_lost = false;
	char word[WORD_BYTES];

	for (read_word(word); hangs(word); read_word(word)) {
		was_lost = was_lost || strcmp(word, "lost") == 0;
		(void)nanosleep(&look, NULL);
	}
	for (size_t i = 0; is_change && i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (strcmp(word, errors[i].name) == 0) {
			errno = errors[i].code;
			return false;
		}
	}
	if (is_change && was_lost) {
		errno = EIO;
		return false;
	}
	return true;
}

/* The next definition of @name, which must exist: the C library has it. */
static void *real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	assert(found);
	return found;
}

typedef int symlinkat_fn(const char *from, int tofd, const char *to);
typedef int linkat_fn(int fromfd, const char *from, int tofd, const char *to, int flags);
typedef int renameat2_fn(int oldfd, const char *old, int newfd, const char *new, unsigned flags);
typedef int unlinkat_fn(int fd, const char *name, int flag);
typedef int mkdirat_fn(int fd, const char *path, mode_t mode);
typedef int openat_fn(int fd, const char *path, int flags, mode_t mode);
typedef int statx_fn(int fd, const char *path, int flags, unsigned mask, struct statx *stx);
typedef ssize_t readlinkat_fn(int fd, const char *path, char *buf, size_t len);
typedef ssize_t pwritev2_fn(int fd, const struct iovec *v, int n, off64_t offset, int flags);
typedef int fsync_fn(int fd);

EXPORTED int symlinkat(const char *from, int tofd, const char *to)
{
	return goes_through(true) ? ((symlinkat_fn *)real("symlinkat"))(from, tofd, to) : -1;
}

EXPORTED int linkat(int fromfd, const char *from, int tofd, const char *to, int flags)
{
	return goes_through(true) ? ((linkat_fn *)real("linkat"))(fromfd, from, tofd, to, flags)
				  : -1;
}

EXPORTED int renameat2(int oldfd, const char *old, int newfd, const char *new, unsigned flags)
{
	return goes_through(true)
		       ? ((renameat2_fn *)real("renameat2"))(oldfd, old, newfd, new, flags)
		       : -1;
}

EXPORTED int unlinkat(int fd, const char *name, int flag)
{
	return goes_through(true) ? ((unlinkat_fn *)real("unlinkat"))(fd, name, flag) : -1;
}

EXPORTED int mkdirat(int fd, const char *path, mode_t mode)
{
	return goes_through(true) ? ((mkdirat_fn *)real("mkdirat"))(fd, path, mode) : -1;
}

/* glibc calls it openat64 where files may be large, and that is what programs here call. */
EXPORTED int openat64(int fd, const char *file, int oflag, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, oflag);
	mode = oflag & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (fd != AT_FDCWD && !goes_through(oflag & O_CREAT)) {
		return -1;
	}
	return ((openat_fn *)real("openat64"))(fd, file, oflag, mode);
}

EXPORTED int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *buf)
{
	return goes_through(false) ? ((statx_fn *)real("statx"))(dirfd, path, flags, mask, buf)
				   : -1;
}

EXPORTED ssize_t readlinkat(int fd, const char *path, char *buf, size_t len)
{
	return goes_through(false) ? ((readlinkat_fn *)real("readlinkat"))(fd, path, buf, len) : -1;
}

EXPORTED ssize_t pwritev64v2(int fd, const struct iovec *iodev, int count, off64_t offset,
			     int flags)
{
	return goes_through(true)
		       ? ((pwritev2_fn *)real("pwritev64v2"))(fd, iodev, count, offset, flags)
		       : -1;
}

EXPORTED int fsync(int fd)
{
	return goes_through(true) ? ((fsync_fn *)real("fsync"))(fd) : -1;
}
