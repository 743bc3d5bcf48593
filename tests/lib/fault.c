/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/fault.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/unit/unit.h"

struct statfs;

static _Thread_local bool counts;

/* Of one of the threads that count at a time. */
static struct {
	bool armed;
	struct fault fault; /* counted down */
	struct fault whole; /* as it was given */
	const char *scenario;
	const char *call; /* the first that failed; NULL: none */
} state;

void fault_join(void)
{
	counts = true;
}

void fault_arm(const char *scenario, const struct fault *f)
{
	counts = true;
	state.fault = *f;
	state.whole = *f;
	state.scenario = scenario;
	state.call = NULL;
	state.armed = true;
}

bool fault_disarm(void)
{
	state.armed = false;
	return state.call != NULL;
}

const char *fault_call(void)
{
	return state.call;
}

int fault_print(void **cmocka_state)
{
	static const char *const how[] = {
		[FAULT_REFUSE] = "refused", [FAULT_DENY] = "denied", [FAULT_SHORT] = "short"};

	(void)cmocka_state;
	print_message("last: %s, %s() no. %u and %u more, %s %s\n", state.scenario,
		      state.call ? state.call : "none", state.whole.nth, state.whole.more,
		      how[state.whole.how],
		      state.whole.error ? strerrorname_np(state.whole.error) : "");
	return 0;
}

/* What can become of a call, besides that it is refused: faults of the other kinds pass it by. */
enum nature {
	READS,   /* to be denied what it read is no more than to be refused */
	CHANGES, /* may be denied */
	READS_BYTES,
	WRITES_BYTES, /* may come short */
	ALLOCATES,
};

static bool may_be(enum nature nature, const struct fault *f)
{
	if ((f->kind == FAULT_ALLOCATION) != (nature == ALLOCATES)) {
		return false;
	}
	switch (f->how) {
	case FAULT_REFUSE:
		return true;
	case FAULT_DENY:
		return nature == CHANGES || nature == WRITES_BYTES;
	case FAULT_SHORT:
		return nature == READS_BYTES || nature == WRITES_BYTES;
	}
	return false;
}

/* Is it this call's turn? */
static bool trips(enum nature nature, const char *call)
{
	if (!counts || !state.armed || !may_be(nature, &state.fault)) {
		return false;
	}
	if (state.fault.nth > 0) {
		state.fault.nth--;
		return false;
	}
	state.call = state.call ? state.call : call;
	state.armed = state.fault.more-- > 0;
	return true;
}

/* The value of a call that answers -1 for an error.  @real is evaluated at most once. */
#define ANSWER(nature, call, real)                                                                 \
	({                                                                                         \
		bool trips_ = trips(nature, call);                                                 \
		__typeof__(real) result_ = -1;                                                     \
		if (!trips_ || state.fault.how == FAULT_DENY) {                                    \
			result_ = (real);                                                          \
		}                                                                                  \
		if (trips_) {                                                                      \
			result_ = -1;                                                              \
			errno = state.fault.error;                                                 \
		}                                                                                  \
		result_;                                                                           \
	})

#define WRAP(type, name, ...)                                                                      \
	type __real_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__)

WRAP(int, symlinkat, const char *target, int dir, const char *name)
{
	return ANSWER(CHANGES, "symlinkat", __real_symlinkat(target, dir, name));
}

WRAP(ssize_t, readlinkat, int dir, const char *name, char *ret, size_t room)
{
	return ANSWER(READS, "readlinkat", __real_readlinkat(dir, name, ret, room));
}

WRAP(int, linkat, int from_dir, const char *from, int dir, const char *name, int flags)
{
	return ANSWER(CHANGES, "linkat", __real_linkat(from_dir, from, dir, name, flags));
}

WRAP(int, unlinkat, int dir, const char *name, int flags)
{
	return ANSWER(CHANGES, "unlinkat", __real_unlinkat(dir, name, flags));
}

WRAP(int, mkdirat, int dir, const char *name, mode_t mode)
{
	return ANSWER(CHANGES, "mkdirat", __real_mkdirat(dir, name, mode));
}

/* Never carried out: nobody cuts the power of a scratch directory, and the tests are many. */
WRAP(int, fsync, int fd)
{
	(void)fd;
	return ANSWER(CHANGES, "fsync", 0);
}

WRAP(int, statx, int dir, const char *path, int flags, unsigned mask, struct statx *ret)
{
	return ANSWER(READS, "statx", __real_statx(dir, path, flags, mask, ret));
}

WRAP(int, fstat64, int fd, struct stat *ret)
{
	return ANSWER(READS, "fstat", __real_fstat64(fd, ret));
}

WRAP(int, fstatat64, int dir, const char *path, struct stat *ret, int flags)
{
	return ANSWER(READS, "fstatat", __real_fstatat64(dir, path, ret, flags));
}

WRAP(int, fstatfs64, int fd, struct statfs *ret)
{
	return ANSWER(READS, "fstatfs", __real_fstatfs64(fd, ret));
}

int __real_close(int fd);
int __wrap_close(int fd);

/* Whatever close(2) says, the descriptor is gone. */
int __wrap_close(int fd)
{
	bool trip = trips(READS, "close");
	int r = __real_close(fd);

	if (trip) {
		errno = state.fault.error;
		return -1;
	}
	return r;
}

int __real_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...);

int __wrap_openat64(int dir, const char *path, int flags, ...)
{
	bool trip = trips(flags & O_CREAT ? CHANGES : READS, "openat");
	mode_t mode = 0;
	int fd = -1;

	if (flags & O_CREAT) {
		va_list args;

		va_start(args, flags);
		/* clang 14 takes it for uninitialized. NOLINTNEXTLINE(clang-analyzer-valist.*) */
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	if (!trip || state.fault.how == FAULT_DENY) {
		fd = __real_openat64(dir, path, flags, mode);
	}
	if (trip) {
		if (fd >= 0) {
			(void)__real_close(fd);
		}
		errno = state.fault.error;
		return -1;
	}
	return fd;
}

WRAP(ssize_t, write, int fd, const void *bytes, size_t n)
{
	bool trip = trips(WRITES_BYTES, "write");
	ssize_t r = -1;

	if (!trip) {
		return __real_write(fd, bytes, n);
	}
	/* EINTR says that nothing was written; see write(2). */
	if (state.fault.how != FAULT_REFUSE && state.fault.error != EINTR) {
		r = __real_write(fd, bytes, n > 1 ? n / 2 : n);
	}
	if (state.fault.how != FAULT_SHORT) {
		errno = state.fault.error;
		return -1;
	}
	return r;
}

WRAP(ssize_t, read, int fd, void *bytes, size_t n)
{
	bool trip = trips(READS_BYTES, "read");

	if (trip && state.fault.how != FAULT_SHORT) {
		errno = state.fault.error;
		return -1;
	}
	return __real_read(fd, bytes, trip && n > 1 ? n / 2 : n);
}

WRAP(DIR *, fdopendir, int fd)
{
	if (trips(READS, "fdopendir")) {
		errno = state.fault.error;
		return NULL;
	}
	return __real_fdopendir(fd);
}

/* As from a file system that does not tell the types of its entries. */
WRAP(struct dirent *, readdir64, DIR *dir)
{
	struct dirent *d;

	if (trips(READS, "readdir")) {
		errno = state.fault.error;
		return NULL;
	}
	d = __real_readdir64(dir);
	if (d) {
		d->d_type = DT_UNKNOWN;
	}
	return d;
}

static bool refuses(const char *call)
{
	if (!trips(ALLOCATES, call)) {
		return false;
	}
	errno = ENOMEM;
	return true;
}

WRAP(void *, malloc, size_t n)
{
	return refuses("malloc") ? NULL : __real_malloc(n);
}

WRAP(void *, calloc, size_t n, size_t size)
{
	return refuses("calloc") ? NULL : __real_calloc(n, size);
}

WRAP(void *, realloc, void *p, size_t n)
{
	return refuses("realloc") ? NULL : __real_realloc(p, n);
}

WRAP(void *, reallocarray, void *p, size_t n, size_t size)
{
	return refuses("reallocarray") ? NULL : __real_reallocarray(p, n, size);
}

WRAP(char *, strdup, const char *text)
{
	return refuses("strdup") ? NULL : __real_strdup(text);
}

/* What the C library allocates for such a stream is not seen here, but that it could not is. */
WRAP(FILE *, open_memstream, char **text, size_t *n)
{
	return refuses("open_memstream") ? NULL : __real_open_memstream(text, n);
}

WRAP(int, fclose, FILE *f)
{
	bool fails = refuses("fclose");
	int r = __real_fclose(f);

	return fails ? EOF : r;
}

/* Likewise zlib. */
WRAP(int, compress2, Bytef *to, uLongf *n_to, const Bytef *from, uLong n, int level)
{
	return refuses("compress2") ? Z_MEM_ERROR : __real_compress2(to, n_to, from, n, level);
}

WRAP(int, inflateInit_, z_stream *z, const char *version, int size)
{
	return refuses("inflateInit") ? Z_MEM_ERROR : __real_inflateInit_(z, version, size);
}

WRAP(int, inflate, z_stream *z, int flush)
{
	return refuses("inflate") ? Z_MEM_ERROR : __real_inflate(z, flush);
}

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
     void *arg)
{
	return refuses("pthread_create") ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

static sqlite3_mem_methods sqlite_own;

static void *sqlite_malloc(int n)
{
	return refuses("SQLite's malloc") ? NULL : sqlite_own.xMalloc(n);
}

static void *sqlite_realloc(void *p, int n)
{
	return refuses("SQLite's realloc") ? NULL : sqlite_own.xRealloc(p, n);
}

void fault_watch_sqlite(void)
{
	sqlite3_mem_methods watched;
	int rc = sqlite3_shutdown();

	assert(rc == SQLITE_OK);
	rc = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_own);
	assert(rc == SQLITE_OK);
	watched = sqlite_own;
	watched.xMalloc = sqlite_malloc;
	watched.xRealloc = sqlite_realloc;
	rc = sqlite3_config(SQLITE_CONFIG_MALLOC, &watched);
	assert(rc == SQLITE_OK);
	/* Without its pools of small pieces every allocation is one that can fail. */
	rc = sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
	assert(rc == SQLITE_OK);
	rc = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 1);
	assert(rc == SQLITE_OK);
	rc = sqlite3_initialize();
	assert(rc == SQLITE_OK);
}

long fault_sqlite_bytes(void)
{
	return (long)sqlite3_memory_used();
}

int fault_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert(dir);
	while (__real_readdir64(dir)) {
		n++;
	}
	(void)closedir(dir);
	return n;
}
