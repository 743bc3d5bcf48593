/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/recorder.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define STEPS_MAX  4096
#define PATH_BYTES 160
#define TEXT_BYTES 1040 /* the longest target of a link */

enum verb {
	MAKE_DIRECTORY,
	MAKE_FILE,
	MAKE_SYMLINK, /* to .text */
	MAKE_LINK,    /* to the file .file */
	UNLINK,
	WRITE, /* .n bytes are appended to the file .file */
	SYNC_FILE,
	SYNC_DIRECTORY,
	ACKNOWLEDGE,
};

struct step {
	enum verb verb;
	char path[PATH_BYTES]; /* below the root, "" for the root itself */
	char text[TEXT_BYTES];
	size_t file; /* the step that made it */
	void *bytes;
	size_t n;
};

static struct {
	char root[PATH_BYTES]; /* "": not recording */
	size_t n;
	struct step steps[STEPS_MAX];
	char sync_name[32];
	int (*on_sync)(void *ctx);
	void *ctx;
} tape;

void recorder_start(const char *path)
{
	for (size_t i = 0; i < tape.n; i++) {
		free(tape.steps[i].bytes);
	}
	memset(&tape, 0, sizeof(tape));
	(void)snprintf(tape.root, sizeof(tape.root), "%s", path);
}

void recorder_stop(void)
{
	tape.root[0] = '\0';
}

static struct step *add(enum verb verb, const char *path)
{
	struct step *s = &tape.steps[tape.n++];

	assert(tape.n < STEPS_MAX);
	*s = (struct step){.verb = verb};
	(void)snprintf(s->path, sizeof(s->path), "%s", path);
	return s;
}

void recorder_acknowledge(void)
{
	(void)add(ACKNOWLEDGE, "");
}

void recorder_on_sync(const char *name, int (*fn)(void *ctx), void *ctx)
{
	(void)snprintf(tape.sync_name, sizeof(tape.sync_name), "%s", name);
	tape.on_sync = fn;
	tape.ctx = ctx;
}

/* The path of @name in the directory @fd (NULL: of what @fd is), if it is below the root. */
static bool find_path(int fd, const char *name, char ret[PATH_BYTES])
{
	char link[64], path[PATH_MAX];
	size_t root = strlen(tape.root);
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (root == 0 || n < 0) {
		return false;
	}
	path[n] = '\0';
	if (strncmp(path, tape.root, root) != 0 || (path[root] != '/' && path[root])) {
		return false;
	}
	(void)snprintf(ret, PATH_BYTES, "%s%s%s", path[root] ? path + root + 1 : "",
		       name && path[root] ? "/" : "", name ? name : "");
	return true;
}

/* The step that made the file which has this name now. */
static size_t find_file(const char *path)
{
	for (size_t i = tape.n; i > 0; i--) {
		const struct step *s = &tape.steps[i - 1];

		if (s->verb == MAKE_FILE && strcmp(s->path, path) == 0) {
			return i - 1;
		}
	}
	abort(); /* a file that was made before the recording began */
}

#define WRAP(type, name, ...)                                                                      \
	type __real_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__);                                                           \
	type __wrap_##name(__VA_ARGS__)

WRAP(int, mkdirat, int dir, const char *name, mode_t mode)
{
	char path[PATH_BYTES];
	int r = __real_mkdirat(dir, name, mode);

	if (r == 0 && find_path(dir, name, path)) {
		(void)add(MAKE_DIRECTORY, path);
	}
	return r;
}

int __real_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...);

int __wrap_openat64(int dir, const char *name, int flags, ...)
{
	char path[PATH_BYTES];
	mode_t mode = 0;
	int fd;

	if (flags & O_CREAT) {
		va_list args;

		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	fd = __real_openat64(dir, name, flags, mode);
	if (fd >= 0 && (flags & O_CREAT) && find_path(dir, name, path)) {
		(void)add(MAKE_FILE, path);
	}
	return fd;
}

WRAP(int, symlinkat, const char *target, int dir, const char *name)
{
	char path[PATH_BYTES];
	int r = __real_symlinkat(target, dir, name);

	if (r == 0 && find_path(dir, name, path)) {
		struct step *s = add(MAKE_SYMLINK, path);

		(void)snprintf(s->text, sizeof(s->text), "%s", target);
	}
	return r;
}

WRAP(int, linkat, int from_dir, const char *from, int dir, const char *name, int flags)
{
	char path[PATH_BYTES], old[PATH_BYTES];
	int r = __real_linkat(from_dir, from, dir, name, flags);

	if (r == 0 && find_path(dir, name, path) && find_path(from_dir, from, old)) {
		size_t file = find_file(old);

		add(MAKE_LINK, path)->file = file;
	}
	return r;
}

WRAP(int, unlinkat, int dir, const char *name, int flags)
{
	char path[PATH_BYTES];
	int r = __real_unlinkat(dir, name, flags);

	if (r == 0 && find_path(dir, name, path)) {
		(void)add(UNLINK, path);
	}
	return r;
}

WRAP(ssize_t, write, int fd, const void *bytes, size_t n)
{
	char path[PATH_BYTES];
	ssize_t r = __real_write(fd, bytes, n);

	if (r > 0 && find_path(fd, NULL, path)) {
		size_t file = find_file(path);
		struct step *s = add(WRITE, path);

		s->file = file;
		s->n = (size_t)r;
		s->bytes = malloc(s->n);
		assert(s->bytes);
		memcpy(s->bytes, bytes, s->n);
	}
	return r;
}

/* Recorded, and not carried out: that takes its time, and the power stays on. */
WRAP(int, fsync, int fd)
{
	char path[PATH_BYTES];
	const char *slash;
	struct stat st;

	if (!find_path(fd, NULL, path) || fstat(fd, &st) < 0) {
		return 0;
	}
	if (!S_ISDIR(st.st_mode)) {
		size_t file = find_file(path);

		add(SYNC_FILE, path)->file = file;
		return 0;
	}
	slash = strrchr(path, '/');
	if (tape.on_sync && strcmp(slash ? slash + 1 : path, tape.sync_name) == 0) {
		int (*fn)(void *ctx) = tape.on_sync;

		tape.on_sync = NULL;
		return fn(tape.ctx);
	}
	(void)add(SYNC_DIRECTORY, path);
	return 0;
}

size_t recorder_steps(void)
{
	return tape.n;
}

unsigned recorder_acknowledged(size_t step)
{
	unsigned n = 0;

	for (size_t i = 0; i < step; i++) {
		n += tape.steps[i].verb == ACKNOWLEDGE;
	}
	return n;
}

static bool is_in(const char *path, const char *directory)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	return strlen(directory) == n && strncmp(path, directory, n) == 0;
}

/* Was what step @i did put on stable storage before @end? */
static bool is_stable(size_t i, size_t end)
{
	const struct step *s = &tape.steps[i];

	for (size_t k = i + 1; k < end; k++) {
		const struct step *sync = &tape.steps[k];

		if (s->verb == WRITE ? sync->verb == SYNC_FILE && sync->file == s->file
				     : sync->verb == SYNC_DIRECTORY && is_in(s->path, sync->path)) {
			return true;
		}
	}
	return false;
}

static void append(int dir_fd, const char *path, const struct step *s, bool is_kept,
		   enum recorder_content content)
{
	int fd = __real_openat64(dir_fd, path, O_WRONLY | O_APPEND | O_CLOEXEC);
	char *bytes = calloc(1, s->n);
	size_t n = is_kept ? s->n : content == RECORDER_EMPTY ? 0 : s->n;

	assert(fd >= 0 && bytes);
	if (is_kept || content == RECORDER_HALF) {
		memcpy(bytes, s->bytes, is_kept ? s->n : s->n / 2);
	}
	for (size_t done = 0; done < n;) {
		ssize_t k = __real_write(fd, bytes + done, n - done);

		assert(k > 0);
		done += (size_t)k;
	}
	free(bytes);
	(void)close(fd);
}

/* A file lives under a name of its own, @step's number, until all names are there. */
static void file_name(size_t file, char ret[32])
{
	(void)snprintf(ret, 32, "file.%zu", file);
}

bool recorder_rebuild(size_t step, enum recorder_luck luck, unsigned nth,
		      enum recorder_content content, int dir_fd)
{
	unsigned loose = 0;
	char name[32];

	for (size_t i = 0; i < step; i++) {
		const struct step *s = &tape.steps[i];
		bool is_kept = true;

		if (s->verb >= SYNC_FILE) {
			continue;
		}
		if (!is_stable(i, step)) {
			is_kept = luck == RECORDER_EVERYTHING ||
				  (luck == RECORDER_ONE && loose == nth) ||
				  (luck == RECORDER_ALL_BUT && loose != nth);
			loose++;
		}
		file_name(s->verb == MAKE_FILE ? i : s->file, name);
		/* Names in a directory that is lost fail with ENOENT, and are lost as well. */
		switch (s->verb) {
		case MAKE_DIRECTORY:
			if (is_kept) {
				(void)__real_mkdirat(dir_fd, s->path, 0700);
			}
			break;
		case MAKE_FILE:
			(void)close(__real_openat64(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC,
						    0600));
			if (is_kept) {
				(void)__real_linkat(dir_fd, name, dir_fd, s->path, 0);
			}
			break;
		case MAKE_LINK:
			if (is_kept) {
				(void)__real_linkat(dir_fd, name, dir_fd, s->path, 0);
			}
			break;
		case MAKE_SYMLINK:
			if (is_kept) {
				(void)__real_symlinkat(s->text, dir_fd, s->path);
			}
			break;
		case UNLINK:
			if (is_kept) {
				(void)__real_unlinkat(dir_fd, s->path, 0);
			}
			break;
		case WRITE:
			append(dir_fd, name, s, is_kept, content);
			break;
		case SYNC_FILE:
		case SYNC_DIRECTORY:
		case ACKNOWLEDGE:
			break;
		}
	}
	for (size_t i = 0; i < step; i++) {
		if (tape.steps[i].verb == MAKE_FILE) {
			file_name(i, name);
			(void)__real_unlinkat(dir_fd, name, 0);
		}
	}
	return luck < RECORDER_ONE || nth < loose;
}
