/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"

#define CANNOT_EXECUTE 127
#define STAT_MAX_BYTES 4096

static _Noreturn void become(const char *const *argv, pid_t parent, int output_fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	(void)setsid();
	/* If the parent died before this, nobody is told any more. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || null_fd < 0) {
		_exit(CANNOT_EXECUTE);
	}
	(void)dup2(null_fd, STDIN_FILENO);
	if (output_fd >= 0) {
		(void)dup2(output_fd, STDOUT_FILENO);
		(void)dup2(output_fd, STDERR_FILENO);
	}
	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)execv(argv[0], (char *const *)(uintptr_t)argv); /* NOLINT: execv's type */
	(void)dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(CANNOT_EXECUTE);
}

int ha_child_start(struct ha_child *c, const char *name, const char *const *argv, bool log_output)
{
	_cleanup_close_ int read_fd = -EBADF;
	_cleanup_close_ int write_fd = -EBADF;
	pid_t parent = getpid(), pid;
	int fds[2];

	if (log_output) {
		if (pipe2(fds, O_CLOEXEC) < 0) {
			return -errno;
		}
		read_fd = fds[0];
		write_fd = fds[1];
		if (fcntl(read_fd, F_SETFL, O_NONBLOCK) < 0) {
			return -errno;
		}
	}
	pid = fork();
	if (pid < 0) {
		return -errno;
	}
	if (pid == 0) {
		become(argv, parent, write_fd);
	}
	*c = (struct ha_child){.name = name, .pid = pid, .output_fd = take_fd(&read_fd)};
	return 0;
}

static void log_output_line(struct ha_child *c)
{
	if (c->n_bytes > 0 && c->n_lines <= HA_CHILD_LINES_MAX) {
		if (c->n_lines == HA_CHILD_LINES_MAX) {
			log_line(LOG_WARN, "ha", "too much output, ignoring", "of=%s", c->name);
		} else {
			log_line(LOG_INFO, "ha", "output", "of=%s line=\"%.*s\"", c->name,
				 (int)c->n_bytes, c->line);
		}
		c->n_lines++;
	}
	c->n_bytes = 0;
}

static void close_output(struct ha_child *c)
{
	log_output_line(c);
	closep(&c->output_fd);
	c->output_fd = -EBADF;
}

void ha_child_read(struct ha_child *c)
{
	char bytes[HA_CHILD_LINE_BYTES];
	ssize_t n;

	while (c->output_fd >= 0) {
		n = read(c->output_fd, bytes, sizeof(bytes));
		if (n < 0) {
			return; /* nothing more so far */
		}
		if (n == 0) {
			close_output(c);
			return;
		}
		for (ssize_t i = 0; i < n; i++) {
			if (bytes[i] == '\n') {
				log_output_line(c);
			} else if (c->n_bytes < sizeof(c->line)) {
				c->line[c->n_bytes++] = bytes[i];
			}
		}
		/* Whoever writes without end must not keep us from what else there is to do. */
		if (n < (ssize_t)sizeof(bytes)) {
			return;
		}
	}
}

void ha_child_signal(const struct ha_child *c, int number)
{
	if (c->pid > 0) {
		(void)kill(-c->pid, number);
	}
}

void ha_child_abandon(struct ha_child *c)
{
	ha_child_signal(c, SIGKILL);
	c->pid = 0;
	ha_child_read(c);
	close_output(c);
}

bool ha_child_reap(struct ha_child *c, int *ret_status, bool *ret_none_left)
{
	bool is_it = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == c->pid) {
			is_it = true;
			*ret_status = status;
			c->pid = 0;
			ha_child_read(c);
			close_output(c); /* what it left behind may hold the other end */
		}
	}
	*ret_none_left = pid < 0 && errno == ECHILD;
	return is_it;
}

void ha_child_describe(int status, char *ret, size_t n)
{
	if (WIFSIGNALED(status)) {
		(void)snprintf(ret, n, "signal %d", WTERMSIG(status));
	} else {
		(void)snprintf(ret, n, "exit status %d", WEXITSTATUS(status));
	}
}

/* One process of the machine. */
struct entry {
	pid_t pid;
	pid_t parent;
	bool is_ours;
};

struct list {
	struct entry *v;
	size_t n;
	size_t room;
};

static int list_add(struct list *l, pid_t pid, pid_t parent)
{
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 256;
		struct entry *v = reallocarray(l->v, room, sizeof(*v));

		if (!v) {
			return -ENOMEM;
		}
		l->v = v;
		l->room = room;
	}
	l->v[l->n++] = (struct entry){.pid = pid, .parent = parent};
	return 0;
}

static void close_dir(DIR *dir)
{
	(void)closedir(dir);
}

DEFINE_CLEANUP(DIR *, close_dir);

/* The parent of process @name, a directory in @proc_fd; 0: it has ended. */
static pid_t parent_of(int proc_fd, const char *name)
{
	_cleanup_free_ char *text = NULL;
	const char *end;
	char path[32];

	(void)snprintf(path, sizeof(path), "%.16s/stat", name);
	if (io_read_file(proc_fd, path, STAT_MAX_BYTES, &text, NULL) < 0) {
		return 0;
	}
	/* Its own name, in brackets, may have anything in it; then one letter, and the parent. */
	end = strrchr(text, ')');
	if (!end || strlen(end) < sizeof(") S 1") - 1 || end[2] == 'Z') {
		return 0;
	}
	return (pid_t)strtol(end + 4, NULL, 10);
}

static int list_processes(struct list *ret)
{
	_cleanup_(close_dirp) DIR *proc = opendir("/proc");
	const struct dirent *d;
	int r = 0;

	if (!proc) {
		return -errno;
	}
	while (r == 0 && (d = readdir(proc))) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10), parent;

		if (pid > 0 && (parent = parent_of(dirfd(proc), d->d_name)) > 0) {
			r = list_add(ret, pid, parent);
		}
	}
	return r;
}

static bool is_ours(const struct list *l, pid_t pid)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].pid == pid) {
			return l->v[i].is_ours;
		}
	}
	return false;
}

static void mark_ours(struct list *l)
{
	pid_t self = getpid();
	bool found = true;

	while (found) {
		found = false;
		for (size_t i = 0; i < l->n; i++) {
			struct entry *e = &l->v[i];

			if (!e->is_ours && (e->parent == self || is_ours(l, e->parent))) {
				e->is_ours = true;
				found = true;
			}
		}
	}
}

void ha_child_signal_descendants(int number)
{
	struct list l = {0};

	if (list_processes(&l) == 0) {
		mark_ours(&l);
	}
	for (size_t i = 0; i < l.n; i++) {
		if (l.v[i].is_ours) {
			(void)kill(l.v[i].pid, number);
		}
	}
	free(l.v);
}
