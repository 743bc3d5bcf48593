/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "fs/mountinfo.h"

/* A machine of containers may have thousands of mounts. */
#define TABLE_MAX_BYTES ((size_t)64 * 1024 * 1024)

int backing_of_mount(const char *mountpoint, char ret[PATH_MAX])
{
	_cleanup_free_ char *table = NULL;
	struct mountinfo mount;
	struct statx stx;
	int r;

	if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) < 0) {
		return -errno;
	}
	r = io_read_file(AT_FDCWD, "/proc/self/mountinfo", TABLE_MAX_BYTES, &table, NULL);
	if (r == 0) {
		r = mountinfo_find(table, stx.stx_mnt_id, &mount);
	}
	if (r == 0 && (mountinfo_kind(&mount) != MOUNTINFO_HOLDFAST || mount.source[0] != '/')) {
		r = -ENOENT;
	}
	if (r == 0) {
		(void)snprintf(ret, PATH_MAX, "%s", mount.source);
	}
	return r;
}
