/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/probe.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "fs/store.h"

#define TMP_DIRECTORY STORE_DIRECTORY "/tmp"

#define RACERS 8
#define ROUNDS 32

#define BLOCK_BYTES   4096
#define TARGET_MAX    (PATH_MAX - 1)
#define NAME_BYTES    64
#define NONCE_BYTES   (IO_RANDOM_ID_LENGTH + 1)
#define FSYNCS        200
#define FSYNC_MAX_MS  3000
#define LOOKS         5
#define LOOK_US       200
#define CLOCK_SPAN_MS 1200
#define CLOCK_TRIES   4
#define REMOVE_TRIES  3

/* Times of new files come from a clock that ticks this often, or more often. */
#define TICK_US 10000

#define NS_PER_US 1000L
#define US_PER_MS 1000L
#define US_PER_S  1000000L

struct probe {
	int parent_fd; /* where the directory is */
	int fd;
	int peer_fd; /* the same directory through the other mount, or -EBADF */
	char name[NAME_BYTES];
	volatile sig_atomic_t *stop;
};

static int64_t timespec_us(time_t s, long ns)
{
	return (int64_t)s * US_PER_S + ns / NS_PER_US;
}

static int64_t now_us(clockid_t clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts);
	return timespec_us(ts.tv_sec, ts.tv_nsec);
}

static void wait_us(int64_t us)
{
	struct timespec ts = {.tv_sec = us / US_PER_S, .tv_nsec = us % US_PER_S * NS_PER_US};

	(void)nanosleep(&ts, NULL); /* a signal ends it early, and the caller looks at *stop */
}

/* Make the kernel ask the server about the directory, as store_refresh() does. */
static int refresh(int fd)
{
	struct statx stx;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_MTIME, &stx) < 0 ? -errno
											 : 0;
}

/* A new file with this content. */
static int make_file(struct probe *p, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(p->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r;

	if (fd < 0) {
		return -errno;
	}
	r = io_write_full(fd, text, strlen(text));
	return close(take_fd(&fd)) < 0 && r == 0 ? -errno : r;
}

static int open_directory(int at, const char *path)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int make_directory(struct probe *p, int backing_fd, const char **ret_prefix)
{
	char id[IO_RANDOM_ID_LENGTH + 1];

	*ret_prefix = PROBE_PREFIX;
	p->parent_fd = open_directory(backing_fd, TMP_DIRECTORY);
	if (p->parent_fd == -ENOENT) {
		*ret_prefix = PROBE_HIDDEN_PREFIX;
		p->parent_fd = open_directory(backing_fd, ".");
	}
	if (p->parent_fd < 0) {
		return p->parent_fd;
	}
	io_random_id(id);
	(void)snprintf(p->name, sizeof(p->name), "%s%d.%s", *ret_prefix, (int)getpid(), id);
	if (mkdirat(p->parent_fd, p->name, 0700) < 0) {
		p->name[0] = '\0'; /* there is nothing to remove */
		return -errno;
	}
	p->fd = open_directory(p->parent_fd, p->name);
	return p->fd < 0 ? p->fd : 0;
}

static int open_peer(struct probe *p, int peer_fd, bool is_hidden)
{
	char path[2 * NAME_BYTES];
	int r = refresh(peer_fd);

	if (r < 0) {
		return r;
	}
	(void)snprintf(path, sizeof(path), "%s%s", is_hidden ? "" : TMP_DIRECTORY "/", p->name);
	p->peer_fd = open_directory(peer_fd, path);
	return p->peer_fd == -ENOENT ? -ESTALE : p->peer_fd < 0 ? p->peer_fd : 0;
}

int probe_open(const struct probe_place *place, struct probe **ret, struct err *reterr)
{
	struct probe *p = calloc(1, sizeof(*p));
	const char *prefix;
	int r;

	if (!p) {
		return -ENOMEM;
	}
	p->parent_fd = p->fd = p->peer_fd = -EBADF;
	p->stop = place->stop;
	r = make_directory(p, place->backing_fd, &prefix);
	if (r < 0) {
		r = err_set(reterr, r, "making a directory for the probes: %s", strerror(-r));
	} else if (place->peer_fd >= 0) {
		r = open_peer(p, place->peer_fd, strcmp(prefix, PROBE_HIDDEN_PREFIX) == 0);
		if (r < 0) {
			r = err_set(reterr, r, "looking for it in the other mount: %s",
				    strerror(-r));
		}
	}
	if (r < 0) {
		(void)probe_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

/* What is in it, and only that: no probe makes a directory with something in it. */
static int remove_content(const struct probe *p)
{
	_cleanup_close_ int fd = open_directory(p->fd, ".");
	const struct dirent *d;
	DIR *dir;

	if (fd < 0) {
		return fd;
	}
	dir = fdopendir(fd);
	if (!dir) {
		return -errno;
	}
	(void)take_fd(&fd);
	while ((d = readdir(dir))) {
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 &&
		    unlinkat(p->fd, d->d_name, 0) < 0) {
			(void)unlinkat(p->fd, d->d_name, AT_REMOVEDIR);
		}
	}
	(void)closedir(dir);
	return 0;
}

int probe_close(struct probe *p)
{
	int r = 0;

	if (!p) {
		return 0;
	}
	closep(&p->peer_fd);
	/* NFS renames what is removed while open, so what was there may be there once more. */
	for (int i = 0; p->fd >= 0 && i < REMOVE_TRIES; i++) {
		r = remove_content(p);
		if (r == 0 && unlinkat(p->parent_fd, p->name, AT_REMOVEDIR) < 0) {
			r = -errno;
		}
		if (r != -ENOTEMPTY && r != -EEXIST) {
			break;
		}
	}
	if (p->fd < 0 && p->name[0]) {
		r = unlinkat(p->parent_fd, p->name, AT_REMOVEDIR) < 0 ? -errno : 0;
	}
	closep(&p->fd);
	closep(&p->parent_fd);
	free(p);
	return r;
}

/* What the racers and their starter share. */
struct track {
	int results[ROUNDS][RACERS]; /* by the racer; read after its end */
};

struct racer {
	enum probe_call call;
	unsigned number;
	int fd; /* the probes' directory, by one mount or the other */
	char nonce[NONCE_BYTES];
};

const char *probe_call_name(enum probe_call call)
{
	switch (call) {
	case PROBE_CREATE:
		return "O_EXCL";
	case PROBE_SYMLINK:
		return "symlink";
	case PROBE_LINK:
		return "link";
	case PROBE_CALL_MAX_:
		break;
	}
	return "?";
}

static void name_of_round(enum probe_call call, unsigned round, char ret[NAME_BYTES])
{
	(void)snprintf(ret, NAME_BYTES, "%s.%u", probe_call_name(call), round);
}

/* The file that a racer links to each name. */
static void name_of_own(unsigned racer, char ret[NAME_BYTES])
{
	(void)snprintf(ret, NAME_BYTES, "own.%u", racer);
}

static int create_exclusively(const struct racer *r, const char *name)
{
	_cleanup_close_ int fd = openat(r->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : io_write_full(fd, r->nonce, strlen(r->nonce));
}

static int grab(const struct racer *r, const char *name)
{
	char own[NAME_BYTES];

	switch (r->call) {
	case PROBE_CREATE:
		return create_exclusively(r, name);
	case PROBE_SYMLINK:
		return symlinkat(r->nonce, r->fd, name) < 0 ? -errno : 0;
	case PROBE_LINK:
		name_of_own(r->number, own);
		return linkat(r->fd, own, r->fd, name, 0) < 0 ? -errno : 0;
	case PROBE_CALL_MAX_:
		break;
	}
	return -EINVAL;
}

/* The racer's process.  It starts when the other end of @gun_fd is closed. */
static void run_racer(const struct racer *r, int gun_fd, struct track *track)
{
	char name[NAME_BYTES], nothing;

	(void)!read(gun_fd, &nothing, 1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		name_of_round(r->call, round, name);
		track->results[round][r->number] = grab(r, name);
	}
	_exit(0);
}

static pid_t start_racer(const struct racer *r, const int gun[2], struct track *track)
{
	pid_t starter = getpid(), pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(gun[1]);
		if (getppid() == starter) {
			run_racer(r, gun[0], track);
		}
		_exit(1);
	}
	return pid < 0 ? -errno : pid;
}

/* Wait for one racer; once *stop is set it is killed. */
static int await_racer(struct probe *p, pid_t pid)
{
	int status;
	pid_t ended;

	while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
		if (*p->stop) {
			(void)kill(pid, SIGKILL);
		}
		wait_us(LOOK_US);
	}
	if (ended < 0) {
		return -errno;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EINTR;
}

static int run_race(struct probe *p, const struct racer *racers, struct track *track)
{
	pid_t pids[RACERS];
	unsigned n = 0;
	int gun[2], r = 0;

	if (pipe2(gun, O_CLOEXEC) < 0) {
		return -errno;
	}
	for (; n < RACERS; n++) {
		pids[n] = start_racer(&racers[n], gun, track);
		if (pids[n] < 0) {
			r = pids[n];
			break;
		}
	}
	(void)close(gun[0]);
	(void)close(gun[1]);
	while (n > 0) {
		int one = await_racer(p, pids[--n]);

		r = r < 0 ? r : one;
	}
	return *p->stop ? -EINTR : r;
}

/* The racer whose nonce is there under @name, or RACERS. */
static unsigned find_holder(struct probe *p, const struct racer *racers, const char *name)
{
	_cleanup_free_ char *text = NULL;
	char target[NONCE_BYTES + 1];
	ssize_t n = readlinkat(p->fd, name, target, sizeof(target));

	if (n >= 0) {
		text = strndup(target, (size_t)n);
	} else if (io_read_file(p->fd, name, NONCE_BYTES, &text, NULL) < 0) {
		return RACERS;
	}
	for (unsigned i = 0; text && i < RACERS; i++) {
		if (strcmp(text, racers[i].nonce) == 0) {
			return i;
		}
	}
	return RACERS;
}

enum probe_outcome probe_judge_round(const int *results, unsigned n, unsigned holder)
{
	unsigned winners = 0;

	for (unsigned i = 0; i < n; i++) {
		winners += results[i] == 0;
	}
	if (winners > 1) {
		return PROBE_TWO_WINNERS;
	}
	if (holder >= n) {
		return PROBE_NOBODY;
	}
	if (winners == 0) {
		return PROBE_LOST_ANSWER;
	}
	return results[holder] == 0 ? PROBE_FAIR : PROBE_WRONG_WINNER;
}

static int judge_race(struct probe *p, const struct racer *racers, const struct track *track,
		      struct probe_race *ret)
{
	char name[NAME_BYTES];
	int r = refresh(p->fd);

	if (r < 0) {
		return r;
	}
	*ret = (struct probe_race){.racers = RACERS, .rounds = ROUNDS};
	for (unsigned round = 0; round < ROUNDS; round++) {
		const int *results = track->results[round];
		unsigned holder;

		for (unsigned i = 0; i < RACERS; i++) {
			if (ret->error == 0 && results[i] != 0 && results[i] != -EEXIST) {
				ret->error = results[i];
			}
		}
		name_of_round(racers[0].call, round, name);
		holder = find_holder(p, racers, name);
		ret->outcomes[probe_judge_round(results, RACERS, holder)]++;
	}
	return 0;
}

static int line_up(struct probe *p, enum probe_call call, struct racer racers[RACERS])
{
	char own[NAME_BYTES];
	int r = 0;

	for (unsigned i = 0; r == 0 && i < RACERS; i++) {
		racers[i] = (struct racer){.call = call, .number = i, .fd = p->fd};
		if (i % 2 == 1 && p->peer_fd >= 0) {
			racers[i].fd = p->peer_fd;
		}
		io_random_id(racers[i].nonce);
		if (call == PROBE_LINK) {
			name_of_own(i, own);
			r = make_file(p, own, racers[i].nonce);
		}
	}
	if (r == 0 && p->peer_fd >= 0) {
		r = refresh(p->peer_fd); /* so that it knows what is to be linked */
	}
	return r;
}

int probe_race(struct probe *p, enum probe_call call, struct probe_race *ret)
{
	struct racer racers[RACERS];
	struct track *track;
	int r = line_up(p, call, racers);

	if (r < 0) {
		return r;
	}
	track = mmap(NULL, sizeof(*track), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (track == MAP_FAILED) {
		return -errno;
	}
	r = run_race(p, racers, track);
	if (r == 0) {
		r = judge_race(p, racers, track, ret);
	}
	(void)munmap(track, sizeof(*track));
	return r;
}

/* Does a target of @n bytes come back?  1, 0, or an error that is not of its length. */
static int keeps_target(struct probe *p, size_t n)
{
	char target[TARGET_MAX + 1], back[TARGET_MAX + 1];
	ssize_t k;

	memset(target, 'x', n);
	target[n] = '\0';
	if (symlinkat(target, p->fd, "target") < 0) {
		return errno == ENAMETOOLONG || errno == EINVAL ? 0 : -errno;
	}
	k = readlinkat(p->fd, "target", back, sizeof(back));
	if (unlinkat(p->fd, "target", 0) < 0) {
		return -errno;
	}
	return k == (ssize_t)n && memcmp(target, back, n) == 0;
}

int probe_target(struct probe *p, size_t *ret_longest)
{
	size_t good = 0, bad = TARGET_MAX + 1;

	while (bad - good > 1) {
		/* The longest first: where it is kept, and often it is, one try is enough. */
		size_t n = bad > TARGET_MAX ? TARGET_MAX : good + (bad - good) / 2;
		int r = *p->stop ? -EINTR : keeps_target(p, n);

		/* EPERM is symlink(2)'s word for "no symbolic links here". */
		if (r == -EPERM || r == -EOPNOTSUPP || r == -ENOSYS) {
			break;
		}
		if (r < 0) {
			return r;
		}
		*(r > 0 ? &good : &bad) = n;
	}
	*ret_longest = good;
	return 0;
}

static int count_links(struct probe *p, const char *name, unsigned *ret)
{
	struct statx stx;

	if (statx(p->fd, name, AT_STATX_FORCE_SYNC, STATX_NLINK, &stx) < 0) {
		return -errno;
	}
	*ret = stx.stx_nlink;
	return 0;
}

int probe_links(struct probe *p, struct probe_links *ret)
{
	int r = make_file(p, "one", "one");

	if (r == 0 && linkat(p->fd, "one", p->fd, "two", 0) < 0) {
		r = -errno;
	}
	if (r == 0) {
		r = count_links(p, "one", &ret->linked);
	}
	if (r == 0 && unlinkat(p->fd, "one", 0) < 0) {
		r = -errno;
	}
	return r == 0 ? count_links(p, "two", &ret->unlinked) : r;
}

int probe_rename(struct probe *p, struct probe_rename *ret)
{
	_cleanup_close_ int old_fd = -EBADF;
	_cleanup_free_ char *old = NULL, *new = NULL;
	int r = make_file(p, "record", "old");

	if (r == 0) {
		r = make_file(p, "record.tmp", "new");
	}
	if (r < 0) {
		return r;
	}
	old_fd = openat(p->fd, "record", O_RDONLY | O_CLOEXEC);
	if (old_fd < 0 || renameat(p->fd, "record.tmp", p->fd, "record") < 0) {
		return -errno;
	}
	r = io_read_file(p->fd, "record", BLOCK_BYTES, &new, NULL);
	if (r < 0) {
		return r;
	}
	ret->shows_new = strcmp(new, "new") == 0;
	ret->keeps_old =
		io_read_full(old_fd, BLOCK_BYTES, &old, NULL) == 0 && strcmp(old, "old") == 0;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct probe_times probe_summarize(uint64_t *us, unsigned n)
{
	assert(n > 0);
	qsort(us, n, sizeof(*us), by_value);
	return (struct probe_times){
		.n = n,
		/* The least value that so many of 100 do not exceed. */
		.p50_us = us[(n * 50U + 99U) / 100U - 1U],
		.p99_us = us[(n * 99U + 99U) / 100U - 1U],
		.max_us = us[n - 1],
	};
}

int probe_fsync(struct probe *p, struct probe_times *ret)
{
	_cleanup_close_ int fd =
		openat(p->fd, "fsync", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int64_t start_us = now_us(CLOCK_BOOTTIME);
	static const char block[BLOCK_BYTES];
	uint64_t took_us[FSYNCS];
	unsigned n = 0;

	if (fd < 0) {
		return -errno;
	}
	while (n < FSYNCS &&
	       (n == 0 || now_us(CLOCK_BOOTTIME) - start_us < FSYNC_MAX_MS * US_PER_MS)) {
		int64_t before_us = now_us(CLOCK_BOOTTIME);

		if (pwrite(fd, block, sizeof(block), 0) < 0 || fsync(fd) < 0) {
			return *p->stop ? -EINTR : -errno;
		}
		took_us[n++] = (uint64_t)(now_us(CLOCK_BOOTTIME) - before_us);
		if (*p->stop) {
			return -EINTR;
		}
	}
	*ret = probe_summarize(took_us, n);
	return 0;
}

bool probe_has_peer(const struct probe *p)
{
	return p->peer_fd >= 0;
}

/* 1: the other mount shows the name; 0: not yet. */
static int peer_shows(struct probe *p, const char *name)
{
	char target[8];
	int r = refresh(p->peer_fd);

	if (r < 0) {
		return r;
	}
	if (readlinkat(p->peer_fd, name, target, sizeof(target)) >= 0 || errno == EINVAL) {
		return 1;
	}
	return errno == ENOENT ? 0 : -errno;
}

/* How long it took for one name. */
static int look_once(struct probe *p, unsigned number, uint64_t *ret_us)
{
	char name[NAME_BYTES];
	int64_t before_us;
	int r;

	(void)snprintf(name, sizeof(name), "look.%u", number);
	/* Asked before, as a waiting mount asks: the kernel now remembers that it is not there. */
	r = peer_shows(p, name);
	if (r < 0) {
		return r;
	}
	before_us = now_us(CLOCK_BOOTTIME);
	r = make_file(p, name, "");
	while (r == 0) {
		int64_t took_us;

		if (*p->stop) {
			return -EINTR;
		}
		r = peer_shows(p, name);
		took_us = now_us(CLOCK_BOOTTIME) - before_us;
		if (r > 0) {
			*ret_us = (uint64_t)took_us;
			return 0;
		}
		if (r == 0 && took_us > PROBE_VISIBLE_MAX_MS * US_PER_MS) {
			return -ETIMEDOUT;
		}
		wait_us(LOOK_US);
	}
	return r;
}

int probe_visibility(struct probe *p, struct probe_times *ret)
{
	uint64_t took_us[LOOKS];
	int r = 0;

	for (unsigned i = 0; r == 0 && i < LOOKS; i++) {
		r = look_once(p, i, &took_us[i]);
	}
	if (r == 0) {
		*ret = probe_summarize(took_us, LOOKS);
	}
	return r;
}

/* One reading of the server's clock: the time of a new directory, and when it was made. */
struct reading {
	int64_t server_us;
	int64_t boot_us; /* the middle of the call */
	int64_t wall_us;
	int64_t error_us; /* half of what the call took */
	bool in_whole_seconds;
};

/* A directory, since its time is never kept back in a cache of this machine. */
static int read_clock(struct probe *p, unsigned number, struct reading *ret)
{
	char name[NAME_BYTES];
	int64_t before_us, after_us;
	struct statx stx;

	(void)snprintf(name, sizeof(name), "clock.%u", number);
	before_us = now_us(CLOCK_BOOTTIME);
	if (mkdirat(p->fd, name, 0700) < 0) {
		return -errno;
	}
	after_us = now_us(CLOCK_BOOTTIME);
	ret->wall_us = now_us(CLOCK_REALTIME);
	if (statx(p->fd, name, AT_STATX_FORCE_SYNC, STATX_MTIME, &stx) < 0) {
		return -errno;
	}
	ret->boot_us = (before_us + after_us) / 2;
	ret->error_us = (after_us - before_us) / 2;
	ret->wall_us -= ret->error_us;
	ret->server_us = timespec_us(stx.stx_mtime.tv_sec, (long)stx.stx_mtime.tv_nsec);
	ret->in_whole_seconds = stx.stx_mtime.tv_nsec == 0;
	return unlinkat(p->fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* The quickest of some readings: what it took bounds its error. */
static int read_clock_well(struct probe *p, unsigned first, struct reading *ret)
{
	bool in_whole_seconds = true;
	struct reading best = {.error_us = INT64_MAX};

	for (unsigned i = first; i < first + CLOCK_TRIES; i++) {
		struct reading one = {0};
		int r = *p->stop ? -EINTR : read_clock(p, i, &one);

		if (r < 0) {
			return r;
		}
		in_whole_seconds = in_whole_seconds && one.in_whole_seconds;
		if (one.error_us < best.error_us) {
			best = one;
		}
	}
	best.in_whole_seconds = in_whole_seconds;
	*ret = best;
	return 0;
}

int probe_clock(struct probe *p, struct probe_clock *ret)
{
	struct reading first = {0}, last = {0};
	int64_t ours_us, theirs_us;
	int r = read_clock_well(p, 0, &first);

	if (r == 0) {
		wait_us(CLOCK_SPAN_MS * US_PER_MS);
		r = read_clock_well(p, CLOCK_TRIES, &last);
	}
	if (r < 0) {
		return r;
	}
	ours_us = last.boot_us - first.boot_us;
	theirs_us = last.server_us - first.server_us;
	*ret = (struct probe_clock){
		.offset_ms = (last.server_us - last.wall_us) / US_PER_MS,
		.drift_permille = (theirs_us - ours_us) * 1000 / ours_us,
		.error_permille = (first.error_us + last.error_us + TICK_US) * 1000 / ours_us + 1,
		.in_whole_seconds = first.in_whole_seconds && last.in_whole_seconds,
	};
	return 0;
}

int probe_now_ms(struct probe *p, int64_t *ret_ms)
{
	struct reading now = {0};
	int r = read_clock(p, 2 * CLOCK_TRIES, &now);

	if (r == 0) {
		*ret_ms = now.server_us / US_PER_MS;
	}
	return r;
}

int probe_direct(struct probe *p)
{
	_cleanup_close_ int fd =
		openat(p->fd, "direct", O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, 0600);
	_cleanup_free_ char *out = NULL, *in = NULL;
	ssize_t n;

	if (fd < 0) {
		return -errno;
	}
	out = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
	in = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
	if (!out || !in) {
		return -ENOMEM;
	}
	memset(out, 'x', BLOCK_BYTES);
	memset(in, 0, BLOCK_BYTES);
	n = pwrite(fd, out, BLOCK_BYTES, 0);
	if (n < 0) {
		return -errno;
	}
	if (n == BLOCK_BYTES) {
		n = pread(fd, in, BLOCK_BYTES, 0);
	}
	if (n < 0) {
		return -errno;
	}
	return n == BLOCK_BYTES && memcmp(in, out, BLOCK_BYTES) == 0 ? 0 : -EIO;
}
