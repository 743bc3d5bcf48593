/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/dir.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/io.h"
#include "base/parse.h"
#include "ha/copy.h"
#include "ha/keeper.h"
#include "ha/persisted.h"
#include "ha/snapshot.h"

/* Records are 4 KiB at most, and an operator clears them long before there are this many. */
#define PLANE_MAX_BYTES (16U << 20)

struct ha_dir {
	char *path;
	char node_id[PARSE_ID_BYTES];
	char plane_id[PARSE_ID_BYTES]; /* "" before the first connect */
	int fd;                        /* of the mount's root, or -EBADF */
	struct ha_copy *copy;          /* of the persisted state, or NULL */
	int record_fd;                 /* open for the life of the process, or -EBADF */
	int witness_fd;                /* of the keeper that holds it as well, or -EBADF */
};

static void drop_handles(struct ha_dir *d)
{
	ha_keeper_lend(d->witness_fd, -EBADF);
	closep(&d->record_fd);
	closep(&d->fd);
	d->record_fd = -EBADF;
	d->fd = -EBADF;
}

/* Does this error say that the handle is dead, not the operation wrong? */
static bool is_dead_mount(int error)
{
	return error == ENOTCONN || error == ECONNABORTED || error == ENODEV || error == EBADF;
}

/* The result of a call whose -ESTALE would speak of the handle, not of the lease. */
static int failed(struct ha_dir *d, int error)
{
	if (error == ESTALE || is_dead_mount(error)) {
		drop_handles(d);
		return -ENOTCONN;
	}
	return -error;
}

/* The result of an fsync that committed: every answer but a dead mount's is the commit's own. */
static int committed(struct ha_dir *d, int fd)
{
	if (fsync(fd) == 0) {
		return 0;
	}
	return errno == ESTALE ? -ESTALE : failed(d, errno);
}

static int get_text_xattr(int fd, const char *name, char *ret, size_t room)
{
	ssize_t n = fgetxattr(fd, name, ret, room - 1);

	if (n < 0) {
		return -errno;
	}
	ret[n] = '\0';
	return 0;
}

static int connect_mount(struct ha_dir *d)
{
	_cleanup_close_ int fd = -EBADF;
	char plane_id[PARSE_ID_BYTES];

	if (d->fd >= 0) {
		return 0;
	}
	fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	if (get_text_xattr(fd, "user.holdfast.plane_id", plane_id, sizeof(plane_id)) < 0 ||
	    (d->plane_id[0] && strcmp(plane_id, d->plane_id) != 0)) {
		return -ENODEV;
	}
	(void)snprintf(d->plane_id, sizeof(d->plane_id), "%s", plane_id);
	d->fd = take_fd(&fd);
	return 0;
}

int ha_dir_open(const char *path, const char *node_id, struct ha_dir **ret, struct err *reterr)
{
	_cleanup_(ha_dir_closep) struct ha_dir *d = calloc(1, sizeof(*d));
	int r;

	assert(parse_id_is_valid(node_id));
	if (!d) {
		return -ENOMEM;
	}
	d->fd = -EBADF;
	d->record_fd = -EBADF;
	d->witness_fd = -EBADF;
	(void)snprintf(d->node_id, sizeof(d->node_id), "%s", node_id);
	d->path = strdup(path);
	if (!d->path) {
		return -ENOMEM;
	}
	r = connect_mount(d);
	if (r == -ENODEV || r == -ENOENT || r == -ENOTCONN) {
		return err_set(reterr, r, "%s %s; first type: holdfast mount <share> %s", path,
			       r == -ENOENT   ? "does not exist"
			       : r == -ENODEV ? "is no Holdfast mount"
					      : "has lost its mount",
			       path);
	}
	if (r < 0) {
		return err_wrap(reterr, r, "opening %s", path);
	}
	*ret = take_ptr(d);
	return 0;
}

void ha_dir_close(struct ha_dir *d)
{
	if (d) {
		drop_handles(d);
		closep(&d->witness_fd);
		ha_copy_free(d->copy);
		free(d->path);
		free(d);
	}
}

void ha_dir_set_witness(struct ha_dir *d, int keeper_fd)
{
	d->witness_fd = keeper_fd;
}

const char *ha_dir_path(const struct ha_dir *d)
{
	return d->path;
}

static int open_record(struct ha_dir *d)
{
	char name[sizeof("nodes/") + PARSE_ID_BYTES];
	int fd;

	if (d->record_fd >= 0) {
		return 0;
	}
	(void)snprintf(name, sizeof(name), "nodes/%s", d->node_id);
	fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		return failed(d, errno);
	}
	d->record_fd = fd;
	ha_keeper_lend(d->witness_fd, fd);
	return 0;
}

int ha_dir_write_record(struct ha_dir *d, const char *text)
{
	size_t n = strlen(text);
	ssize_t written;
	int r;

	if ((r = connect_mount(d)) < 0 || (r = open_record(d)) < 0) {
		return r;
	}
	written = pwrite(d->record_fd, text, n, 0);
	if (written < 0) {
		return failed(d, errno);
	}
	/* It is staged in the mount's memory: part of it makes no record, and is not committed. */
	if ((size_t)written != n) {
		return -EIO;
	}
	if (ftruncate(d->record_fd, (off_t)n) < 0) {
		return failed(d, errno);
	}
	return committed(d, d->record_fd);
}

int ha_dir_read_plane(struct ha_dir *d, struct ha_snapshot **ret, struct err *reterr)
{
	static const char name[] = ".holdfast/plane.json";
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r;

	r = connect_mount(d);
	if (r < 0) {
		return err_wrap(reterr, r, "opening %s", d->path);
	}
	r = io_read_file(d->fd, name, PLANE_MAX_BYTES, &text, &n);
	if (r < 0) {
		return err_wrap(reterr, failed(d, -r), "reading %s", name);
	}
	r = ha_snapshot_parse(text, n, ret, reterr);
	return r < 0 ? err_wrap(reterr, r, "reading %s", name) : 0;
}

/* Write @text to one of the mount's files, and commit it. */
static int write_file(struct ha_dir *d, const char *name, const char *text, int *ret_fd)
{
	_cleanup_close_ int fd = -EBADF;
	int r = connect_mount(d);

	if (r < 0) {
		return r;
	}
	fd = openat(d->fd, name, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		return failed(d, errno);
	}
	r = io_write_full(fd, text, strlen(text));
	if (r < 0) {
		return failed(d, -r);
	}
	r = committed(d, fd);
	if (r == 0) {
		*ret_fd = take_fd(&fd);
	}
	return r;
}

int ha_dir_claim(struct ha_dir *d, const char *why, uint64_t *ret_epoch)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -EBADF;
	char epoch[24];
	int r;

	if (asprintf(&text, "%s\n%s\n", d->node_id, why ? why : "") < 0) {
		text = NULL;
		return -ENOMEM;
	}
	r = write_file(d, "master", text, &fd);
	if (r < 0) {
		return r;
	}
	r = get_text_xattr(fd, "user.holdfast.epoch", epoch, sizeof(epoch));
	if (r < 0) {
		return failed(d, -r);
	}
	return parse_u64(epoch, ret_epoch);
}

int ha_dir_release(struct ha_dir *d)
{
	_cleanup_close_ int fd = -EBADF;

	return write_file(d, "master", "\n", &fd);
}

int ha_dir_switch_over(struct ha_dir *d, const char *node)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *text = NULL;
	json_auto_t *order = json_pack("{s:s, s:s, s:b}", "nodeId", node, "user", d->node_id,
				       "cancel", !node[0]);

	text = order ? json_dumps(order, JSON_COMPACT) : NULL;
	return text ? write_file(d, ".holdfast/switchover", text, &fd) : -ENOMEM;
}

int ha_dir_remove_record(struct ha_dir *d, const char *node)
{
	char name[sizeof("nodes/") + PARSE_ID_BYTES];
	int r = connect_mount(d);

	(void)snprintf(name, sizeof(name), "nodes/%s", node);
	if (r == 0 && unlinkat(d->fd, name, 0) < 0) {
		r = failed(d, errno);
	}
	return r;
}

int ha_dir_load(struct ha_dir *d, uint64_t until_ms)
{
	int r = connect_mount(d);

	if (r == 0 && !d->copy) {
		r = ha_copy_new(&d->copy);
	}
	if (r == 0) {
		r = ha_copy_refresh(d->copy, d->fd, until_ms);
	}
	return r < 0 ? failed(d, -r) : r;
}

void ha_dir_unload(struct ha_dir *d)
{
	ha_copy_free(d->copy);
	d->copy = NULL;
}

int ha_dir_is_empty(struct ha_dir *d)
{
	int r = connect_mount(d);

	if (r == 0) {
		r = ha_persisted_is_empty(d->fd);
	}
	return r < 0 ? failed(d, -r) : r;
}

int ha_dir_clear(struct ha_dir *d, uint64_t until_ms)
{
	int r = connect_mount(d);

	if (r == 0) {
		r = ha_persisted_clear(d->fd, until_ms);
	}
	return r < 0 ? failed(d, -r) : r;
}
