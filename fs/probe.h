/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a shared directory does, measured: the calls that the index and the mount rely on, tried out
 * in a directory of their own that is removed afterwards.  Nothing of the index is touched.
 *
 * It measures and tells what it saw; fs/judge.h says what that means.  One thread; racing names
 * forks.  Every function returns 0 or -errno, -EINTR as soon as *stop is set.
 */
#ifndef FS_PROBE_H
#define FS_PROBE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct probe;

/*
 * Directories of probes: in .holdfast/tmp with the first name, or, where there is no index yet, in
 * the backing directory itself with the second.  What follows is a process id and random letters.
 */
#define PROBE_PREFIX        "doctor."
#define PROBE_HIDDEN_PREFIX ".holdfast-doctor."

struct probe_place {
	int backing_fd;              /* the directory to try out; not kept */
	int peer_fd;                 /* the same one through another mount, or -EBADF; not kept */
	volatile sig_atomic_t *stop; /* set by a signal handler */
};

/* -ESTALE: @peer_fd does not show what was made in @backing_fd. */
int probe_open(const struct probe_place *place, struct probe **ret, struct err *reterr);

/* Remove the directory, whatever *stop says.  NULL is allowed. */
int probe_close(struct probe *p);

enum probe_call {
	PROBE_CREATE,  /* open(2) with O_CREAT and O_EXCL */
	PROBE_SYMLINK, /* symlink(2): what publishes a change */
	PROBE_LINK,    /* link(2): what publishes an image */
	PROBE_CALL_MAX_,
};

const char *probe_call_name(enum probe_call call);

/* How it ended that several processes wanted one name. */
enum probe_outcome {
	PROBE_FAIR,         /* one was told that it has the name, and it has */
	PROBE_LOST_ANSWER,  /* one has it, and was told that somebody else was first */
	PROBE_TWO_WINNERS,  /* several were told that they have it */
	PROBE_WRONG_WINNER, /* one was told that it has it, another one has */
	PROBE_NOBODY,       /* nothing that any of them brought is there */
	PROBE_OUTCOME_MAX_,
};

/* @results: of each of @n callers, 0 or -errno; @holder: whose nonce is there, @n if nobody's. */
enum probe_outcome probe_judge_round(const int *results, unsigned n, unsigned holder);

struct probe_race {
	unsigned racers; /* processes */
	unsigned rounds; /* names they raced for */
	unsigned outcomes[PROBE_OUTCOME_MAX_];
	int error; /* the first one besides -EEXIST that a caller got; 0: none */
};

/* Where there is a peer, half of the racers go through it. */
int probe_race(struct probe *p, enum probe_call call, struct probe_race *ret);

/* The longest target of a symbolic link that reads back the same; 0: there are no such links. */
int probe_target(struct probe *p, size_t *ret_longest);

struct probe_links {
	unsigned linked;   /* link count of a file after link(2) */
	unsigned unlinked; /* and after one of its names was removed */
};
int probe_links(struct probe *p, struct probe_links *ret);

struct probe_rename {
	bool shows_new; /* the name shows the file that was renamed onto it */
	bool keeps_old; /* the file that was open before still reads as it was */
};
int probe_rename(struct probe *p, struct probe_rename *ret);

/* Of measured times, in microseconds. */
struct probe_times {
	unsigned n;
	uint64_t p50_us, p99_us, max_us;
};

/* Sorts @us; @n is not 0. */
struct probe_times probe_summarize(uint64_t *us, unsigned n);

/* A write of 4 KiB and its fsync(2). */
int probe_fsync(struct probe *p, struct probe_times *ret);

/*
 * From the creation of a name until the other mount shows it, asked as mounts ask.  -ETIMEDOUT: not
 * within PROBE_VISIBLE_MAX_MS.
 */
#define PROBE_VISIBLE_MAX_MS 10000
bool probe_has_peer(const struct probe *p);
int probe_visibility(struct probe *p, struct probe_times *ret);

/* The clock that gives new files their times, beside our own. */
struct probe_clock {
	int64_t offset_ms;      /* ahead of our CLOCK_REALTIME */
	int64_t drift_permille; /* faster than our CLOCK_BOOTTIME */
	int64_t error_permille; /* drift_permille is known to so much */
	bool in_whole_seconds;  /* so it was not measured */
};
int probe_clock(struct probe *p, struct probe_clock *ret);

/* Write and read 4 KiB with O_DIRECT.  -EINVAL: not supported; -EIO: other bytes came back. */
int probe_direct(struct probe *p);

/* The time of the newest directory entry here, by the storage server's clock. */
int probe_now_ms(struct probe *p, int64_t *ret_ms);

#endif
