/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/timing.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/io.h"
#include "ha/client.h"
#include "ha/exec.h"
#include "ha/snapshot.h"

/* A mount looks that often in a poll period for what others have committed, see fs/lease.h. */
#define LOOKS_PER_POLL 4

#define COMMITS 20

static const char usage[] =
	"usage: holdfast timing [option]...\n\n"
	"Prints how long the master and the take-over of the plane can take at worst, and why.\n"
	"Measures commits on the share by taking a lock of its own twenty times.\n\n"
	"  --mount DIR   default: the only Holdfast mount of this machine\n\n"
	"exit status: 0 done, 1 command line, 2 it failed\n";

/* How each bound is computed, and for whom. */
static const struct {
	const char *heading; /* printed before it, or NULL */
	const char *formula;
	const char *text;
} rows[HA_TIMING_BOUND_MAX_] = {
	[HA_TIMING_FENCE] = {"A master that cannot commit, counted from when its last beat left",
			     "= timeout - margin", "its gate closes, it says FAILED"},
	[HA_TIMING_EARLIEST] = {NULL, "> timeout", "anybody else may be master"},
	[HA_TIMING_COMMAND_END] = {NULL, "= 3/4 (timeout - margin)",
				   "the command of --exec is told to end"},
	[HA_TIMING_COMMAND_KILL] = {NULL, "= 19/20 (timeout - margin)", "and is killed"},
	[HA_TIMING_STALL] = {NULL, "< timeout - margin - poll - commit",
			     "the share may be away without a consequence"},
	[HA_TIMING_STOPPED] = {"Without a master, at most", "<= poll + 3 commit",
			       "the daemon is stopped"},
	[HA_TIMING_KILLED] = {NULL, "<= poll + 3 commit", "the daemon dies, its mount lives"},
	[HA_TIMING_DEAD] = {NULL, "<= timeout + 5/4 poll + 3 commit",
			    "the machine dies, or loses the share"},
};

double ha_timing_bound_ms(enum ha_timing_bound bound, const struct ha_timing *t)
{
	double lease_ms = t->timeout_ms - t->margin_ms;

	switch (bound) {
	case HA_TIMING_FENCE:
		return lease_ms;
	case HA_TIMING_EARLIEST:
		return t->timeout_ms;
	case HA_TIMING_COMMAND_END:
		return lease_ms * 3 / 4;
	case HA_TIMING_COMMAND_KILL:
		return lease_ms * 3 / 4 + (double)ha_exec_grace_ms((uint64_t)lease_ms);
	case HA_TIMING_STALL:
		return lease_ms - t->poll_ms - t->commit_ms;
	case HA_TIMING_STOPPED:
	case HA_TIMING_KILLED:
		/* The farewell, then, where no news came, the standby's own beat and its claim. */
		return t->poll_ms + 3 * t->commit_ms;
	case HA_TIMING_DEAD:
		/* The last beat, seen one look later; silence; a poll, its beat and its claim. */
		return t->timeout_ms + t->poll_ms / LOOKS_PER_POLL + t->poll_ms + 3 * t->commit_ms;
	case HA_TIMING_BOUND_MAX_:
		break;
	}
	assert(false);
	return 0;
}

static double now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Taking a lock is a commit that changes nothing for anybody else.  Sorted. */
static int measure(int mount_fd, double ret_ms[COMMITS], struct err *reterr)
{
	char id[IO_RANDOM_ID_LENGTH + 1], path[64];
	_cleanup_close_ int fd = -EBADF;

	io_random_id(id);
	(void)snprintf(path, sizeof(path), ".holdfast/locks/timing-%s", id);
	fd = openat(mount_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return err_set(reterr, -errno, "%s: %s", path, strerror(errno));
	}
	for (size_t i = 0; i < COMMITS; i++) {
		double start_ms = now_ms();

		if (flock(fd, LOCK_EX) < 0) {
			return err_set(reterr, -errno, "%s: %s", path, strerror(errno));
		}
		ret_ms[i] = now_ms() - start_ms;
		(void)flock(fd, LOCK_UN);
	}
	qsort(ret_ms, COMMITS, sizeof(ret_ms[0]), compare);
	return 0;
}

static void print(const struct ha_timing *t, const char *plane_id, double median_ms)
{
	(void)printf("plane %s: timeout %.3f s, margin %.3f s, poll %.3f s\n", plane_id,
		     t->timeout_ms / 1e3, t->margin_ms / 1e3, t->poll_ms / 1e3);
	(void)printf("commit: %.1f ms (median), %.1f ms (longest of %d, counted below)\n",
		     median_ms, t->commit_ms, COMMITS);
	for (enum ha_timing_bound b = 0; b < HA_TIMING_BOUND_MAX_; b++) {
		if (rows[b].heading) {
			(void)printf("\n%s:\n", rows[b].heading);
		}
		(void)printf("  %8.3f s %-34s %s\n", ha_timing_bound_ms(b, t) / 1e3,
			     rows[b].formula, rows[b].text);
	}
	(void)printf("\nSafe while timeout - margin < timeout on all clocks, that is, while their "
		     "rates differ by less than\nmargin / timeout = %.0f %%, and a call that is in "
		     "flight when a gate closes arrives within the margin.\n",
		     100 * t->margin_ms / t->timeout_ms);
}

static int run(const char *mount, struct err *reterr)
{
	_cleanup_(ha_snapshot_unrefp) struct ha_snapshot *plane = NULL;
	_cleanup_close_ int fd = -EBADF;
	double commits_ms[COMMITS] = {0};
	struct ha_timing t;
	int r;

	if ((r = ha_client_open(mount, &fd, reterr)) < 0 ||
	    (r = ha_client_read_plane(fd, &plane, reterr)) < 0 ||
	    (r = measure(fd, commits_ms, reterr)) < 0) {
		return r;
	}
	t = (struct ha_timing){
		.timeout_ms = (double)plane->timeout_ms,
		.margin_ms = (double)plane->margin_ms,
		.poll_ms = (double)plane->poll_ms,
		.commit_ms = commits_ms[COMMITS - 1],
	};
	print(&t, plane->plane_id, commits_ms[COMMITS / 2]);
	return 0;
}

int ha_timing_main(int argc, char **argv)
{
	enum { MOUNT = 256, HELP };
	static const struct option longs[] = {
		{"mount", required_argument, NULL, MOUNT},
		{"help", no_argument, NULL, HELP},
		{0},
	};
	const char *mount = NULL;
	struct err err = {0};
	int val, r;

	opterr = 0;
	while ((val = getopt_long(argc, argv, ":", longs, NULL)) >= 0) {
		switch (val) {
		case MOUNT:
			mount = optarg;
			break;
		case HELP:
			(void)fputs(usage, stdout);
			return HA_CLIENT_DONE;
		default:
			(void)fprintf(stderr, "holdfast timing: %s: %s\n", argv[optind - 1],
				      val == ':' ? "its value is missing" : "unknown option");
			return HA_CLIENT_COMMAND_LINE;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "holdfast timing: %s: unexpected argument\n", argv[optind]);
		return HA_CLIENT_COMMAND_LINE;
	}
	r = run(mount, &err);
	if (r < 0) {
		(void)fprintf(stderr, "holdfast timing: %s\n",
			      err.text[0] ? err.text : strerror(-r));
		return HA_CLIENT_FAILED;
	}
	return HA_CLIENT_DONE;
}
