/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks that are set while programs run: an LD_PRELOAD library.
 *
 * CLOCK_SHIFT names a file of the four numbers of struct shift, which whoever shares it may change
 * at any time.  All processes with the same file are one machine; without the file nothing is
 * shifted.
 */
#include <assert.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

#define NS_PER_S INT64_C(1000000000)

struct shift {
	_Atomic int64_t wall_s; /* added to CLOCK_REALTIME: the clock of the machine was set */
	_Atomic int64_t boot_s; /* added to CLOCK_BOOTTIME, and to no other: the machine slept */
	/*
	 * The storage server's clock was set at .server_since_ns (of the file system's true time):
	 * what was modified then or later is dated so much later.
	 */
	_Atomic int64_t server_s;
	_Atomic int64_t server_since_ns;
};

static struct shift *shift; /* set before main() */

__attribute__((constructor)) static void start(void)
{
	static struct shift none;
	const char *path = getenv("CLOCK_SHIFT");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	shift = &none;
	if (fd >= 0) {
		void *shared = mmap(NULL, sizeof(*shift), PROT_READ, MAP_SHARED, fd, 0);

		assert(shared != MAP_FAILED);
		shift = shared;
		(void)close(fd);
	}
}

/* The next definition of @name, which must exist: the C library has it. */
static void *real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	assert(found);
	return found;
}

typedef int clock_gettime_fn(clockid_t clock, struct timespec *ts);
typedef int fstat_fn(int fd, struct stat64 *st);
typedef int stat_fn(const char *path, struct stat64 *st);
typedef int fstatat_fn(int fd, const char *path, struct stat64 *st, int flags);
typedef int statx_fn(int fd, const char *path, int flags, unsigned mask, struct statx *stx);

/* Before start() has run, nothing is shifted. */
static int64_t shift_s(clockid_t clock)
{
	if (!shift) {
		return 0;
	}
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_TAI:
		return shift->wall_s;
	case CLOCK_BOOTTIME:
		return shift->boot_s;
	default:
		return 0;
	}
}

EXPORTED int clock_gettime(clockid_t clock_id, struct timespec *tp)
{
	static _Atomic(clock_gettime_fn *) truly;
	int r;

	if (!truly) {
		truly = (clock_gettime_fn *)real("clock_gettime");
	}
	r = truly(clock_id, tp);
	if (r == 0) {
		tp->tv_sec += shift_s(clock_id);
	}
	return r;
}

EXPORTED time_t time(time_t *timer)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (timer) {
		*timer = now.tv_sec;
	}
	return now.tv_sec;
}

EXPORTED int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec now;

	(void)tz;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	*tv = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return 0;
}

/* What a server whose clock was set says of a file that was modified at @true_s, @true_ns. */
static int64_t server_shift_s(int64_t true_s, int64_t true_ns)
{
	bool since = true_s * NS_PER_S + true_ns >= shift->server_since_ns;

	return since ? shift->server_s : 0;
}

static int served(int r, struct stat64 *st)
{
	if (r == 0) {
		st->st_mtim.tv_sec += server_shift_s(st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	}
	return r;
}

/* glibc calls them so where files may be large, and that is what programs here call. */
EXPORTED int fstat64(int fd, struct stat64 *buf)
{
	return served(((fstat_fn *)real("fstat64"))(fd, buf), buf);
}

EXPORTED int stat64(const char *restrict file, struct stat64 *restrict buf)
{
	return served(((stat_fn *)real("stat64"))(file, buf), buf);
}

EXPORTED int fstatat64(int fd, const char *restrict file, struct stat64 *restrict buf, int flag)
{
	return served(((fstatat_fn *)real("fstatat64"))(fd, file, buf, flag), buf);
}

EXPORTED int statx(int dirfd, const char *restrict path, int flags, unsigned mask,
		   struct statx *restrict buf)
{
	int r = ((statx_fn *)real("statx"))(dirfd, path, flags, mask, buf);

	if (r == 0) {
		buf->stx_mtime.tv_sec +=
			server_shift_s(buf->stx_mtime.tv_sec, buf->stx_mtime.tv_nsec);
	}
	return r;
}
