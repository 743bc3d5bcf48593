/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One program that is run, and ended with what it started.
 *
 * For a process with one thread that blocks SIGCHLD (ha/keeper.h); it waits for nothing itself.
 */
#ifndef HA_CHILD_H
#define HA_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A longer line is cut; what comes after that many lines of one run is read and forgotten. */
#define HA_CHILD_LINE_BYTES 512
#define HA_CHILD_LINES_MAX  200

/* Only child.c writes the fields. */
struct ha_child {
	const char *name; /* in the log */
	pid_t pid;        /* also its process group's and session's; 0: it does not run */
	int output_fd;    /* for poll(2); -EBADF: its outputs are ours, or have ended */
	unsigned n_lines; /* logged so far */
	size_t n_bytes;   /* of the line that has not ended */
	char line[HA_CHILD_LINE_BYTES];
};

/*
 * Run argv[0] in a session of its own, with our environment and nothing on its input.  It is killed
 * when this process dies.  @log_output: both outputs go to the log, line by line.  @name and @argv
 * must outlive it.  -errno: it could not be begun; that it cannot be executed is in its output and
 * in its status, 127.
 */
int ha_child_start(struct ha_child *c, const char *name, const char *const *argv, bool log_output);

/* Log what it has written so far. */
void ha_child_read(struct ha_child *c);

/* To its process group. */
void ha_child_signal(const struct ha_child *c, int number);

/* SIGKILL to its process group, and forget it: what the kernel still holds is not waited for. */
void ha_child_abandon(struct ha_child *c);

/*
 * Reap every child that has ended, its own or adopted.  True, once: this one has, with this status
 * of wait(2), and its output is logged.  *ret_none_left: this process has no children any more.
 */
bool ha_child_reap(struct ha_child *c, int *ret_status, bool *ret_none_left);

/* "exit status 3", "signal 9". */
void ha_child_describe(int status, char *ret, size_t n);

/*
 * To all descendants of this process, which must be their subreaper: also to those that have left
 * their group and session.
 */
void ha_child_signal_descendants(int number);

#endif
