/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define STAT_BYTES 1024 /* a line of numbers, and a name of at most 64 bytes */

/* Fields of proc(5), stat, that stand before that of the start, counted from behind the name. */
#define FIELDS_TO_START 19

/* The inode number of the time namespace that the machine booted with: the kernel fixes it. */
#define FIRST_TIME_NS 0xeffffffaU

/* Read a small file as text.  -errno. */
static int read_text(const char *path, char *ret, size_t room)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		return -errno;
	}
	n = read(fd, ret, room - 1);
	if (n < 0) {
		return -errno;
	}
	ret[n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

/* Clock ticks from the boot to the start of process @pid.  -ENOENT: there is none; -errno. */
static int read_start(uint64_t pid, uint64_t *ret_ticks)
{
	char path[64], text[STAT_BYTES], *p, *end;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
	r = read_text(path, text, sizeof(text));
	if (r < 0) {
		/* It ended between the open and the read. */
		return r == -ESRCH ? -ENOENT : r;
	}
	/* The name may have blanks and parentheses in it; what follows the last one has not. */
	p = strrchr(text, ')');
	for (int i = 0; p && i <= FIELDS_TO_START; i++) {
		p = strchr(p + 1, ' ');
	}
	if (!p) {
		return -EBADMSG;
	}
	errno = 0;
	*ret_ticks = strtoull(p + 1, &end, 10);
	return errno != 0 || end == p + 1 ? -EBADMSG : 0;
}

/* Is /proc that of our own PID namespace? */
static bool proc_is_ours(void)
{
	char self[24];
	ssize_t n = readlink("/proc/self", self, sizeof(self) - 1);

	if (n <= 0) {
		return false;
	}
	self[n] = '\0';
	return strtol(self, NULL, 10) == getpid();
}

/* Are starts, as /proc tells them to us, counted from the boot, as others count them? */
static bool time_is_everybodys(void)
{
	struct stat ns;

	/* Kernels without time namespaces have but one time. */
	return stat("/proc/self/ns/time", &ns) < 0 ? errno == ENOENT : ns.st_ino == FIRST_TIME_NS;
}

void process_describe(struct index_mount *ret)
{
	struct stat ns;

	*ret = (struct index_mount){.pid = (uint64_t)getpid()};
	if (gethostname(ret->host, sizeof(ret->host) - 1) < 0) {
		ret->host[0] = '\0';
	}
	if (!proc_is_ours() || !time_is_everybodys() || stat("/proc/self/ns/pid", &ns) < 0 ||
	    read_start(ret->pid, &ret->started) < 0 ||
	    read_text("/proc/sys/kernel/random/boot_id", ret->boot, sizeof(ret->boot)) < 0) {
		ret->boot[0] = '\0';
		return;
	}
	ret->pid_ns = ns.st_ino;
}

bool process_is_gone(const struct index_mount *m, const struct index_mount *self)
{
	uint64_t started;
	int r;

	if (!m->boot[0] || strcmp(m->boot, self->boot) != 0 || m->pid_ns != self->pid_ns) {
		return false;
	}
	if (m->pid == 0 || m->pid > INT_MAX) {
		return false; /* no process ever had that number */
	}
	r = read_start(m->pid, &started);
	if (r == -ENOENT) {
		/* Where /proc hides the processes of others (hidepid), it may be there. */
		return kill((pid_t)m->pid, 0) < 0 && errno == ESRCH;
	}
	return r == 0 && started != m->started;
}
