/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define PID_TEXT_BYTES 24

static bool is_behind(const char *path, int fd)
{
	struct stat by_path, by_fd;

	return stat(path, &by_path) == 0 && fstat(fd, &by_fd) == 0 &&
	       by_path.st_dev == by_fd.st_dev && by_path.st_ino == by_fd.st_ino;
}

static int refuse(const char *path, int fd, struct err *reterr)
{
	char pid[PID_TEXT_BYTES];
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? n : 0] = '\0';
	pid[strcspn(pid, "\n")] = '\0';
	return err_set(reterr, -EBUSY,
		       "%s belongs to the running process %s; start in another directory", path,
		       pid);
}

int ha_pidfile_acquire(const char *path, int *ret_fd, struct err *reterr)
{
	_cleanup_close_ int fd = -EBADF;
	char pid[PID_TEXT_BYTES];
	int r;

	/* Once more if its owner removed it between our open and our lock. */
	do {
		closep(&fd);
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0) {
			return err_wrap(reterr, -errno, "%s", path);
		}
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			return errno == EWOULDBLOCK ? refuse(path, fd, reterr)
						    : err_wrap(reterr, -errno, "%s", path);
		}
	} while (!is_behind(path, fd));

	(void)snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	r = ftruncate(fd, 0) < 0 ? -errno : io_write_full(fd, pid, strlen(pid));
	if (r < 0) {
		return err_wrap(reterr, r, "%s", path);
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

void ha_pidfile_release(const char *path, int fd)
{
	if (is_behind(path, fd)) {
		(void)unlink(path);
	}
	(void)close(fd);
}
