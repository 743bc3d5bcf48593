/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system that is not fit, for holdfast-doctor: an LD_PRELOAD library.
 *
 * TRICKS lists what is wrong with it, by words with blanks between them:
 *
 *	symlink-twice	symlink(2) says that it made a name that was there already
 *	link-twice	link(2) likewise
 *	create-twice	open(2) with O_EXCL opens a file that was there already
 *	symlink-steals	symlink(2) replaces what was there, and says that it was not the one
 *	no-symlinks	symlink(2) is not permitted
 *	short-symlinks	the target of a symbolic link has at most 500 bytes
 *	slow-fsync	fsync(2) takes 700 ms
 *	hang-link	link(2) does not return
 *	fast-clock	the times of files pass at twice the rate
 *	one-link	a file's link count is always 1
 *
 * TRICKS_MOUNTINFO: a file that is read in place of /proc/self/mountinfo.
 */
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

#define SHORT_TARGET   500
#define SLOW_FSYNC_NS  700000000
#define MOUNTINFO_PATH "/proc/self/mountinfo"

static bool has_trick(const char *word)
{
	const char *tricks = getenv("TRICKS");
	size_t n = strlen(word);

	for (const char *p = tricks; p && *p; p += strspn(p, " ")) {
		size_t length = strcspn(p, " ");

		if (length == n && strncmp(p, word, n) == 0) {
			return true;
		}
		p += length;
	}
	return false;
}

/* The next definition of @name, which must exist: the C library has it. */
static void *real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	assert(found);
	return found;
}

static int refuse(int code)
{
	errno = code;
	return -1;
}

typedef int symlinkat_fn(const char *from, int tofd, const char *to);
typedef int linkat_fn(int fromfd, const char *from, int tofd, const char *to, int flags);
typedef int openat_fn(int fd, const char *path, int flags, mode_t mode);
typedef int fsync_fn(int fd);
typedef int statx_fn(int fd, const char *path, int flags, unsigned mask, struct statx *stx);

EXPORTED int symlinkat(const char *from, int tofd, const char *to)
{
	symlinkat_fn *truly = (symlinkat_fn *)real("symlinkat");
	int r;

	if (has_trick("no-symlinks")) {
		return refuse(EPERM);
	}
	if (has_trick("short-symlinks") && strlen(from) > SHORT_TARGET) {
		return refuse(ENAMETOOLONG);
	}
	r = truly(from, tofd, to);
	if (r < 0 && errno == EEXIST && has_trick("symlink-twice")) {
		return 0;
	}
	if (r < 0 && errno == EEXIST && has_trick("symlink-steals")) {
		(void)truly(from, tofd, from);
		(void)renameat(tofd, from, tofd, to);
		return refuse(EEXIST);
	}
	return r;
}

EXPORTED int linkat(int fromfd, const char *from, int tofd, const char *to, int flags)
{
	int r;

	while (has_trick("hang-link")) {
		(void)pause();
	}
	r = ((linkat_fn *)real("linkat"))(fromfd, from, tofd, to, flags);
	return r < 0 && errno == EEXIST && has_trick("link-twice") ? 0 : r;
}

/* glibc calls it openat64 where files may be large, and that is what programs here call. */
EXPORTED int openat64(int fd, const char *file, int oflag, ...)
{
	const char *mountinfo = getenv("TRICKS_MOUNTINFO");
	va_list ap;
	mode_t mode;

	va_start(ap, oflag);
	mode = oflag & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (mountinfo && strcmp(file, MOUNTINFO_PATH) == 0) {
		file = mountinfo;
	}
	if (oflag & O_EXCL && has_trick("create-twice")) {
		oflag &= ~O_EXCL;
	}
	return ((openat_fn *)real("openat64"))(fd, file, oflag, mode);
}

EXPORTED int fsync(int fd)
{
	const struct timespec pause = {.tv_nsec = SLOW_FSYNC_NS};

	if (has_trick("slow-fsync")) {
		(void)nanosleep(&pause, NULL);
	}
	return ((fsync_fn *)real("fsync"))(fd);
}

/* Times count double from when this was first called. */
static void hurry(struct statx_timestamp *t)
{
	static long long start_ns;
	long long ns = t->tv_sec * 1000000000LL + t->tv_nsec;

	if (start_ns == 0) {
		start_ns = ns;
	}
	ns += ns - start_ns;
	t->tv_sec = ns / 1000000000LL;
	t->tv_nsec = (unsigned)(ns % 1000000000LL);
}

EXPORTED int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *buf)
{
	int r = ((statx_fn *)real("statx"))(dirfd, path, flags, mask, buf);

	if (r == 0 && mask & STATX_MTIME && has_trick("fast-clock")) {
		hurry(&buf->stx_mtime);
	}
	if (r == 0 && has_trick("one-link")) {
		buf->stx_nlink = 1;
	}
	return r;
}
