/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "fs/change.h"

#define PLANE_FILE    STORE_DIRECTORY "/plane"
#define GEN_DIRECTORY STORE_DIRECTORY "/gen"
#define TMP_DIRECTORY STORE_DIRECTORY "/tmp"
#define PLANE_MAX     1024
#define GEN_DIGITS    20
#define STAGING_BYTES (PARSE_ID_BYTES + 24)
#define LIST_FIRST    256

struct store {
	int gen_fd, tmp_fd;
	bool has_changes;
	bool sync_directory; /* NFS commits names before it answers; local file systems do not */
	char plane_id[PARSE_ID_BYTES];
	char mount_id[PARSE_ID_BYTES];
	uint64_t stagings; /* staging files made so far */
};

void store_object_done(struct store_object *o)
{
	free(o->bytes);
	*o = (struct store_object){0};
}

static void closedirp(DIR **dir)
{
	if (*dir) {
		(void)closedir(*dir);
	}
}

static void gen_format(uint64_t generation, char ret[GEN_DIGITS + 1])
{
	(void)snprintf(ret, GEN_DIGITS + 1, "%0*" PRIu64, GEN_DIGITS, generation);
}

void store_name(uint64_t generation, char ret[STORE_NAME_BYTES])
{
	(void)snprintf(ret, STORE_NAME_BYTES, GEN_DIRECTORY "/%0*" PRIu64, GEN_DIGITS, generation);
}

static int gen_parse(const char *name, uint64_t *ret)
{
	return strlen(name) == GEN_DIGITS ? parse_u64(name, ret) : -EINVAL;
}

static int sync_dir(const struct store *s, int fd)
{
	return s->sync_directory && fsync(fd) < 0 ? -errno : 0;
}

static void staging_name(struct store *s, char ret[STAGING_BYTES])
{
	(void)snprintf(ret, STAGING_BYTES, "%s.%" PRIu64, s->mount_id, ++s->stagings);
}

static bool is_staging_name(const char *name)
{
	const char *dot = strrchr(name, '.');
	char id[PARSE_ID_BYTES];
	uint64_t n;

	if (!dot || dot - name >= (ptrdiff_t)sizeof(id) || parse_u64(dot + 1, &n) < 0) {
		return false;
	}
	(void)snprintf(id, sizeof(id), "%.*s", (int)(dot - name), name);
	return parse_id_is_valid(id);
}

/* Write @bytes to a new staging file and make them durable. */
static int stage(struct store *s, const void *bytes, size_t n, char ret_name[STAGING_BYTES])
{
	_cleanup_close_ int fd = -EBADF;
	int r;

	staging_name(s, ret_name);
	fd = openat(s->tmp_fd, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		/*
		 * It may have been made all the same, by a call whose answer was lost.  EEXIST must
		 * not be taken for that of the name that is to be created.
		 */
		r = errno == EEXIST ? -EAGAIN : -errno;
		(void)unlinkat(s->tmp_fd, ret_name, 0);
		return r;
	}
	r = io_write_full(fd, bytes, n);
	if (r == 0 && fsync(fd) < 0) {
		r = -errno;
	}
	/* NFS may report a full disk as late as here; see close(2). */
	if (close(take_fd(&fd)) < 0 && r == 0) {
		r = -errno;
	}
	if (r < 0) {
		(void)unlinkat(s->tmp_fd, ret_name, 0);
	}
	return r;
}

/* Stage @bytes and link them to @name exclusively. */
static int publish_file(struct store *s, int dir_fd, const char *name, const void *bytes, size_t n)
{
	char staging[STAGING_BYTES];
	int r = stage(s, bytes, n, staging);

	if (r < 0) {
		return r;
	}
	if (linkat(s->tmp_fd, staging, dir_fd, name, 0) < 0) {
		r = -errno;
	}
	(void)unlinkat(s->tmp_fd, staging, 0);
	return r;
}

static int64_t mtime_ms(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

static int create_change(struct store *s, const char *name, const void *bytes, size_t n)
{
	char target[CHANGE_TARGET_MAX + 1];

	if (n > CHANGE_TARGET_MAX) {
		return -ENAMETOOLONG;
	}
	memcpy(target, bytes, n);
	target[n] = '\0';
	/* Exclusive, atomic, name and content in one call: see symlink(2) and RFC 7530, 16.4. */
	return symlinkat(target, s->gen_fd, name) < 0 ? -errno : 0;
}

int store_create(struct store *s, uint64_t generation, enum store_kind kind, const void *bytes,
		 size_t n, int64_t *ret_mtime_ms)
{
	char name[GEN_DIGITS + 1];
	struct stat st;
	int r;

	gen_format(generation, name);
	r = kind == STORE_IMAGE ? publish_file(s, s->gen_fd, name, bytes, n)
				: create_change(s, name, bytes, n);
	if (r == 0) {
		r = store_sync(s);
	}
	/* The attributes came with the answer: over NFS this asks nobody. */
	if (r == 0 && fstatat(s->gen_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		*ret_mtime_ms = mtime_ms(&st);
	}
	return r;
}

int store_sync(struct store *s)
{
	return sync_dir(s, s->gen_fd);
}

int store_refresh(struct store *s)
{
	struct statx stx;

	/*
	 * The NFS client remembers for long that a name was not there.  A GETATTR of the directory,
	 * forced to the server, makes it notice that the directory has changed.
	 */
	return statx(s->gen_fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_MTIME, &stx) < 0
		       ? -errno
		       : 0;
}

static int get_change(struct store *s, const char *name, struct store_object *ret)
{
	char target[CHANGE_TARGET_MAX + 1];
	ssize_t n = readlinkat(s->gen_fd, name, target, sizeof(target));
	struct stat st;

	if (n < 0) {
		return -errno;
	}
	if (n > CHANGE_TARGET_MAX) {
		return -EBADMSG;
	}
	if (fstatat(s->gen_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return -errno;
	}
	target[n] = '\0';
	ret->bytes = strdup(target);
	if (!ret->bytes) {
		return -ENOMEM;
	}
	ret->kind = STORE_CHANGE;
	ret->n = (size_t)n;
	ret->mtime_ms = mtime_ms(&st);
	return 0;
}

static int get_image(struct store *s, const char *name, struct store_object *ret)
{
	_cleanup_close_ int fd =
		openat(s->gen_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0) {
		/* ENXIO is open(2)'s word for a socket. */
		return errno == ELOOP || errno == ENXIO ? -EBADMSG : -errno;
	}
	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	if (!S_ISREG(st.st_mode)) {
		return -EBADMSG;
	}
	r = io_read_full(fd, STORE_IMAGE_MAX_BYTES, &ret->bytes, &ret->n);
	if (r < 0) {
		return r == -EFBIG ? -EBADMSG : r;
	}
	ret->kind = STORE_IMAGE;
	ret->mtime_ms = mtime_ms(&st);
	return 0;
}

int store_get(struct store *s, uint64_t generation, struct store_object *ret)
{
	char name[GEN_DIGITS + 1];
	int r;

	gen_format(generation, name);
	r = get_change(s, name, ret);
	/* EINVAL is readlink(2)'s word for "no symbolic link". */
	return r == -EINVAL ? get_image(s, name, ret) : r;
}

static int kind_of(const struct store *s, const struct dirent *d, enum store_kind *ret)
{
	unsigned char type = d->d_type;

	if (type == DT_UNKNOWN) {
		struct stat st;

		if (fstatat(s->gen_fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			return -errno;
		}
		type = S_ISLNK(st.st_mode) ? DT_LNK : DT_REG;
	}
	*ret = type == DT_LNK ? STORE_CHANGE : STORE_IMAGE;
	return 0;
}

static int by_generation(const void *a, const void *b)
{
	uint64_t x = ((const struct store_entry *)a)->generation;
	uint64_t y = ((const struct store_entry *)b)->generation;

	return (x > y) - (x < y);
}

/* A stream of its own over the directory @fd, from the beginning; NULL and errno. */
static DIR *open_dir(int fd)
{
	_cleanup_close_ int own_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own_fd < 0 ? NULL : fdopendir(own_fd);

	if (dir) {
		(void)take_fd(&own_fd);
	}
	return dir;
}

int store_list(struct store *s, struct store_entry **ret_entries, size_t *ret_n)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	_cleanup_free_ struct store_entry *entries = NULL;
	size_t n = 0, room = 0;
	const struct dirent *d;
	int r = store_refresh(s);

	if (r < 0) {
		return r;
	}
	dir = open_dir(s->gen_fd);
	if (!dir) {
		return -errno;
	}
	while (errno = 0, (d = readdir(dir))) {
		struct store_entry e;

		if (gen_parse(d->d_name, &e.generation) < 0) {
			continue;
		}
		r = kind_of(s, d, &e.kind);
		if (r < 0) {
			return r == -ENOENT ? -EAGAIN : r;
		}
		if (n == room) {
			struct store_entry *more;

			room = room ? 2 * room : LIST_FIRST;
			more = reallocarray(entries, room, sizeof(*entries));
			if (!more) {
				return -ENOMEM;
			}
			entries = more;
		}
		entries[n++] = e;
	}
	if (errno) {
		return -errno;
	}
	if (n > 0) {
		qsort(entries, n, sizeof(*entries), by_generation);
	}
	*ret_entries = take_ptr(entries);
	*ret_n = n;
	return 0;
}

int store_delete(struct store *s, uint64_t generation)
{
	char name[GEN_DIGITS + 1];

	gen_format(generation, name);
	return unlinkat(s->gen_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* Will it never be deleted by us, so that the others must not wait for it? */
static bool is_stuck(int error)
{
	return error == EISDIR || error == EPERM || error == EACCES;
}

/* 1 if the staging file @name was deleted, 0 if it stays, -errno. */
static int sweep_one(struct store *s, const char *name, int64_t before_ms)
{
	struct stat st;

	if (fstatat(s->tmp_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	if (mtime_ms(&st) >= before_ms) {
		return 0;
	}
	if (unlinkat(s->tmp_fd, name, 0) < 0) {
		return errno == ENOENT || is_stuck(errno) ? 0 : -errno;
	}
	return 1;
}

int store_sweep(struct store *s, int64_t before_ms)
{
	_cleanup_(closedirp) DIR *dir = open_dir(s->tmp_fd);
	int swept = 0;

	if (!dir) {
		return -errno;
	}
	for (int i = 0; i < STORE_SWEEP_MAX;) {
		const struct dirent *d;
		int r;

		errno = 0;
		d = readdir(dir);
		if (!d) {
			return errno ? -errno : swept;
		}
		if (!is_staging_name(d->d_name)) {
			continue;
		}
		i++;
		r = sweep_one(s, d->d_name, before_ms);
		if (r < 0) {
			return r;
		}
		swept += r;
	}
	return swept;
}

const char *store_plane_id(const struct store *s)
{
	return s->plane_id;
}

bool store_has_changes(const struct store *s)
{
	return s->has_changes;
}

/* Does the share keep a symbolic link of full length? */
static bool probe_links(struct store *s)
{
	char target[CHANGE_TARGET_MAX + 1], back[CHANGE_TARGET_MAX + 1];
	char name[STAGING_BYTES];
	ssize_t n = -1;

	memset(target, 'x', CHANGE_TARGET_MAX);
	target[CHANGE_TARGET_MAX] = '\0';
	staging_name(s, name);
	if (symlinkat(target, s->tmp_fd, name) == 0) {
		n = readlinkat(s->tmp_fd, name, back, sizeof(back));
		(void)unlinkat(s->tmp_fd, name, 0);
	}
	return n == CHANGE_TARGET_MAX && memcmp(target, back, CHANGE_TARGET_MAX) == 0;
}

static int read_plane(struct store *s, int backing_fd, struct err *reterr)
{
	_cleanup_close_ int fd =
		openat(backing_fd, PLANE_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	char links[4], end;
	struct stat st;
	int r;

	if (fd < 0 && errno != ELOOP && errno != ENXIO) {
		return -errno;
	}
	if (fd >= 0 && fstat(fd, &st) < 0) {
		return -errno;
	}
	if (fd < 0 || !S_ISREG(st.st_mode)) {
		return err_set(reterr, -EBADMSG, "%s is no plain file", PLANE_FILE);
	}
	r = io_read_full(fd, PLANE_MAX, &text, NULL);
	if (r < 0) {
		return r;
	}
	if (sscanf(text, "holdfast plane 1\nid %63s\nchanges %3s%c", s->plane_id, links, &end) !=
		    3 ||
	    end != '\n' || !parse_id_is_valid(s->plane_id) ||
	    (strcmp(links, "yes") != 0 && strcmp(links, "no") != 0)) {
		return err_set(reterr, -EBADMSG, "%s is not a plane of format 1", PLANE_FILE);
	}
	s->has_changes = strcmp(links, "yes") == 0;
	return 0;
}

static int create_plane(struct store *s, int backing_fd, bool images_only)
{
	char text[PLANE_MAX];
	char id[IO_RANDOM_ID_LENGTH + 1];
	int r;

	io_random_id(id);
	(void)snprintf(text, sizeof(text), "holdfast plane 1\nid %s\nchanges %s\n", id,
		       !images_only && probe_links(s) ? "yes" : "no");
	r = publish_file(s, backing_fd, PLANE_FILE, text, strlen(text));
	/* Somebody else was first, or our own answer was lost: whatever is there counts. */
	return r == -EEXIST ? 0 : r;
}

static int open_existing(int backing_fd, const char *path, int *ret_fd)
{
	int fd = openat(backing_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		return -errno;
	}
	*ret_fd = fd;
	return 0;
}

static int open_directory(int backing_fd, const char *path, int *ret_fd)
{
	if (mkdirat(backing_fd, path, 0700) < 0 && errno != EEXIST) {
		return -errno;
	}
	return open_existing(backing_fd, path, ret_fd);
}

static int open_directories(struct store *s, int backing_fd)
{
	struct statfs fs = {0};
	int r = open_directory(backing_fd, GEN_DIRECTORY, &s->gen_fd);

	if (r == 0) {
		r = open_directory(backing_fd, TMP_DIRECTORY, &s->tmp_fd);
	}
	if (r == 0 && fstatfs(s->gen_fd, &fs) < 0) {
		r = -errno;
	}
	s->sync_directory = fs.f_type != NFS_SUPER_MAGIC;
	return r;
}

/* A plane that is not ours is left as it was: nothing is made before `plane` is read. */
static int open_all(struct store *s, int backing_fd, bool images_only, struct err *reterr)
{
	_cleanup_close_ int top_fd = -EBADF;
	int r = open_directory(backing_fd, STORE_DIRECTORY, &top_fd);
	bool is_new;

	if (r == 0) {
		r = read_plane(s, backing_fd, reterr);
	}
	is_new = r == -ENOENT;
	if (r == 0 || is_new) {
		r = open_directories(s, backing_fd);
	}
	if (r == 0 && is_new) {
		r = create_plane(s, backing_fd, images_only);
	}
	/* Always: whoever made these names may have died before it synced them. */
	if (r == 0) {
		r = sync_dir(s, top_fd);
	}
	if (r == 0) {
		r = sync_dir(s, backing_fd);
	}
	if (r == 0 && is_new) {
		r = read_plane(s, backing_fd, reterr);
	}
	return r;
}

int store_open(int backing_fd, const char *mount_id, bool images_only, struct store **ret,
	       struct err *reterr)
{
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		return -ENOMEM;
	}
	s->gen_fd = s->tmp_fd = -EBADF;
	(void)snprintf(s->mount_id, sizeof(s->mount_id), "%s", mount_id);
	r = open_all(s, backing_fd, images_only, reterr);
	if (r < 0) {
		store_close(s);
		return err_wrap(reterr, r, "opening the index in %s", STORE_DIRECTORY);
	}
	*ret = s;
	return 0;
}

int store_open_readonly(int backing_fd, struct store **ret, struct err *reterr)
{
	_cleanup_close_ int top_fd = -EBADF;
	struct store *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		return -ENOMEM;
	}
	s->gen_fd = s->tmp_fd = -EBADF;
	r = open_existing(backing_fd, STORE_DIRECTORY, &top_fd);
	if (r == 0) {
		r = read_plane(s, backing_fd, reterr);
	}
	if (r == 0) {
		r = open_existing(backing_fd, GEN_DIRECTORY, &s->gen_fd);
	}
	if (r < 0) {
		store_close(s);
		return err_wrap(reterr, r, "opening the index in %s", STORE_DIRECTORY);
	}
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	if (s) {
		closep(&s->gen_fd);
		closep(&s->tmp_fd);
		free(s);
	}
}
