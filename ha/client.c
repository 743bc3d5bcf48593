/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/client.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "ha/snapshot.h"

#define MOUNT_TYPE      "fuse.holdfast"
#define PLANE_ID_XATTR  "user.holdfast.plane_id"
#define PLANE_FILE      ".holdfast/plane.json"
#define NAME_BYTES      64
#define PLANE_MAX_BYTES (16U << 20)

static void close_mounts(FILE *mounts)
{
	(void)endmntent(mounts);
}

DEFINE_CLEANUP(FILE *, close_mounts);

/* The only mount there is, malloc'd; or NULL, with the reason. */
static char *find_mount(struct err *reterr)
{
	_cleanup_(close_mountsp) FILE *mounts = setmntent("/proc/self/mounts", "re");
	_cleanup_free_ char *found = NULL;
	const struct mntent *m;

	if (!mounts) {
		(void)err_set(reterr, -errno, "/proc/self/mounts: %s", strerror(errno));
		return NULL;
	}
	while ((m = getmntent(mounts))) {
		if (strcmp(m->mnt_type, MOUNT_TYPE) != 0) {
			continue;
		}
		if (found) {
			(void)err_set(reterr, -ENOTUNIQ,
				      "this machine has several Holdfast mounts: say --mount DIR");
			return NULL;
		}
		found = strdup(m->mnt_dir);
	}
	if (!found) {
		(void)err_set(reterr, -ENODEV, "this machine has no Holdfast mount");
	}
	return take_ptr(found);
}

int ha_client_open(const char *path, int *ret_fd, struct err *reterr)
{
	_cleanup_free_ char *where = path ? strdup(path) : find_mount(reterr);
	_cleanup_close_ int fd = -EBADF;

	if (!where) {
		return -ENODEV;
	}
	fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		return err_set(reterr, -errno, "%s: %s", where, strerror(errno));
	}
	if (fgetxattr(fd, PLANE_ID_XATTR, NULL, 0) < 0) {
		return err_set(reterr, -ENODEV, "%s is no Holdfast mount", where);
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

int ha_client_read_plane(int mount_fd, struct ha_snapshot **ret, struct err *reterr)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = io_read_file(mount_fd, PLANE_FILE, PLANE_MAX_BYTES, &text, &n);

	if (r == 0) {
		r = ha_snapshot_parse(text, n, ret, reterr);
	}
	return r < 0 ? err_wrap(reterr, r, PLANE_FILE) : 0;
}

int ha_client_order(int mount_fd, const char *file, const char *text)
{
	_cleanup_close_ int fd = -EBADF;
	char name[NAME_BYTES];
	int r;

	(void)snprintf(name, sizeof(name), ".holdfast/%s", file);
	fd = openat(mount_fd, name, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		return -errno;
	}
	r = io_write_full(fd, text, strlen(text));
	return r < 0 ? r : fsync(fd) < 0 ? -errno : 0;
}

const char *ha_client_explain(int r)
{
	switch (r) {
	case -EACCES:
	case -EPERM:
		return "only root and the owner of the share may do this";
	case -EINVAL:
		return "the mount refuses the reason: it must be one line, of at most 95 bytes";
	case -ETIMEDOUT:
		return "no answer from the share: whether it is done is unknown; try again";
	}
	return strerror(-r);
}

void ha_client_format_user(char ret[HA_CLIENT_USER_BYTES])
{
	const char *name = getenv("SUDO_USER");
	const struct passwd *user = getpwuid(getuid());
	char host[HA_CLIENT_USER_BYTES] = "", number[16];

	(void)snprintf(number, sizeof(number), "%u", getuid());
	if (!name || !name[0]) {
		name = user ? user->pw_name : number;
	}
	(void)gethostname(host, sizeof(host) - 1);
	(void)snprintf(ret, HA_CLIENT_USER_BYTES, "%.31s@%.31s", name, host);
}
