/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/examine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "fs/backing.h"
#include "fs/chain.h"
#include "fs/judge.h"
#include "fs/mountinfo.h"
#include "fs/plane.h"
#include "fs/probe.h"
#include "fs/record.h"
#include "fs/repair.h"
#include "fs/timing.h"
#include "fs/verify.h"

#define PLANE_ID_XATTR      "user.holdfast.plane_id"
#define PLANE_JSON          "/.holdfast/plane.json"
#define RECOVER_LOST_LOCKS  "/sys/module/nfs/parameters/recover_lost_locks"
#define HOLDFAST_TYPE       "fuse.holdfast"
#define TMP_DIRECTORY       STORE_DIRECTORY "/tmp"
#define MOUNTINFO_MAX_BYTES ((size_t)16 * 1024 * 1024)
#define JSON_MAX_BYTES      ((size_t)16 * 1024 * 1024)
#define SMALL_FILE_BYTES    64

/* So many faults of generations are named; after that they are counted. */
#define FAULTS_NAMED    10
#define FAULT_BYTES     256
#define LONG_DEAD_MS    86400000 /* a day */
#define LONG_DEAD_NAMED 3

DEFINE_CLEANUP(struct index *, index_free);

static bool is_stopped(const struct examine *order)
{
	return *order->stop != 0;
}

/* What the mount says of itself in plane.json. */
static void examine_plane_json(const char *mountpoint, const struct findings *to)
{
	static const char item[] = "mount";
	char path[PATH_MAX + sizeof(PLANE_JSON)];
	_cleanup_free_ char *text = NULL;
	json_auto_t *plane = NULL;
	const char *problem;
	int r;

	(void)snprintf(path, sizeof(path), "%s%s", mountpoint, PLANE_JSON);
	r = io_read_file(AT_FDCWD, path, JSON_MAX_BYTES, &text, NULL);
	if (r < 0) {
		judge_error(to, item, r);
		return;
	}
	plane = json_loads(text, 0, NULL);
	problem = json_string_value(json_object_get(plane, "problem"));
	if (!plane || problem) {
		findings_bad(
			to, FINDING_FAIL, item,
			"this mount commits nothing any more: its node cannot be master",
			"repair the share if the items below find it damaged, then unmount and "
			"mount again",
			"%s", problem ? problem : "plane.json is no JSON");
		return;
	}
	findings_ok(to, item, "plane %s, mount %s, generation %" JSON_INTEGER_FORMAT,
		    json_string_value(json_object_get(plane, "planeId")),
		    json_string_value(json_object_get(plane, "mountId")),
		    json_integer_value(json_object_get(plane, "generation")));
}

/*
 * 1: @directory is a mount of ours, and its plane and backing directory are known; 0: it is none;
 * -errno: there is nothing more to examine, and a finding says so.
 */
static int examine_mountpoint(const char *directory, char plane_id[PARSE_ID_BYTES],
			      char backing[PATH_MAX], const struct findings *to)
{
	static const char item[] = "mount";
	ssize_t n = getxattr(directory, PLANE_ID_XATTR, plane_id, PARSE_ID_BYTES - 1);
	int r;

	if (n < 0 && errno == ENOTCONN) {
		findings_bad(to, FINDING_FAIL, item, "whatever uses this directory gets an error",
			     "mount again: holdfast mount takes a dead mount away by itself",
			     "the process that served this mount has died");
		return -ENOTCONN;
	}
	if (n < 0) {
		return 0; /* also if it is not there: that is found when it is opened */
	}
	plane_id[n] = '\0';
	examine_plane_json(directory, to);
	r = backing_of_mount(directory, backing);
	if (r < 0) {
		findings_bad(to, FINDING_FAIL, "directory",
			     "the share behind the mount could not be examined",
			     "run this on the backing directory",
			     "the backing directory of this mount is not to be found: %s",
			     strerror(-r));
		return r;
	}
	return 1;
}

/* The mount on which @fd is. */
static int find_mount(int fd, const char *mounts, struct mountinfo *ret)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0) {
		return -errno;
	}
	return stx.stx_mask & STATX_MNT_ID ? mountinfo_find(mounts, stx.stx_mnt_id, ret)
					   : -EOPNOTSUPP;
}

static bool recovers_lost_locks(void)
{
	_cleanup_free_ char *text = NULL;

	/* Not there: the module is not loaded, or the default, which is N. */
	return io_read_file(AT_FDCWD, RECOVER_LOST_LOCKS, SMALL_FILE_BYTES, &text, NULL) == 0 &&
	       (text[0] == 'Y' || text[0] == '1');
}

static void examine_file_system(const struct mountinfo *m, const struct lease_timing *t,
				const struct findings *to)
{
	struct mountinfo_nfs nfs;

	judge_kind(to, m);
	if (mountinfo_kind(m) != MOUNTINFO_NFS) {
		return;
	}
	if (mountinfo_nfs(m, &nfs) < 0) {
		findings_bad(to, FINDING_FAIL, "NFS version",
			     "neither the version nor the options of this mount could be judged",
			     "compare them with docs/DOCTOR.md by hand",
			     "options not understood: %s", m->options);
		return;
	}
	judge_nfs(to, &nfs, t, recovers_lost_locks());
}

static void examine_space(int fd, const struct findings *to)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) < 0) {
		judge_error(to, "free space", -errno);
		return;
	}
	judge_space(to, (uint64_t)fs.f_bavail * fs.f_frsize,
		    fs.f_files ? (uint64_t)fs.f_favail : UINT64_MAX);
}

/* The index as it was found, for all that is to be said of it later. */
struct found {
	int opened; /* result of opening the log; -ENOENT: there is none */
	struct err opened_why;
	struct store *store; /* if opened */
	struct index *index; /* what a mount would have loaded */
	struct chain chain;
	int loaded; /* result of loading it */
	struct err loaded_why;
	struct lease_timing timing; /* of the plane, or the default */
	uint64_t longest_ms;        /* the longest timeout of any lease */
};

static void found_done(struct found *f)
{
	index_free(f->index);
	store_close(f->store);
}

static int note_longest(void *ctx, const char *name, const struct index_lease *lease)
{
	struct found *f = ctx;

	(void)name;
	f->longest_ms = lease->timeout_ms > f->longest_ms ? lease->timeout_ms : f->longest_ms;
	return 0;
}

static int take_timing(struct found *f, struct index *ix)
{
	int r = timing_get(ix, &f->timing);

	if (r == 0) {
		f->longest_ms = f->timing.timeout_ms;
		r = index_each_lease(ix, note_longest, f);
	}
	return r;
}

/* Where the newest image is damaged, an older one knows the plane's timing as well. */
static void take_timing_of_any_image(struct found *f)
{
	_cleanup_free_ struct store_entry *entries = NULL;
	_cleanup_(index_freep) struct index *ix = NULL;
	size_t n = 0;
	int r = index_new(&ix);

	if (r == 0) {
		r = store_list(f->store, &entries, &n);
	}
	for (size_t i = n; r == 0 && i > 0; i--) {
		struct store_object o = {0};
		char writer[PARSE_ID_BYTES];
		bool is_known =
			entries[i - 1].kind == STORE_IMAGE &&
			store_get(f->store, entries[i - 1].generation, &o) == 0 &&
			chain_apply(ix, entries[i - 1].generation, &o, NULL, writer, NULL) == 0 &&
			take_timing(f, ix) == 0;

		store_object_done(&o);
		if (is_known) {
			return;
		}
	}
}

static void find_index(int backing_fd, struct found *f)
{
	*f = (struct found){.longest_ms = PLANE_DEFAULT_TIMEOUT_MS};
	(void)lease_timing_init(&f->timing, PLANE_DEFAULT_TIMEOUT_MS, PLANE_DEFAULT_POLL_MS);
	f->opened = store_open_readonly(backing_fd, &f->store, &f->opened_why);
	if (f->opened < 0) {
		return;
	}
	f->loaded = index_new(&f->index);
	if (f->loaded == 0) {
		f->loaded =
			chain_load(&f->chain, f->store, f->index, "doctor", NULL, &f->loaded_why);
	}
	if (f->index && take_timing(f, f->index) < 0) {
		take_timing_of_any_image(f);
	}
}

static enum judge_plane plane_of(const struct found *f)
{
	if (f->opened < 0) {
		return JUDGE_NO_PLANE;
	}
	return store_has_changes(f->store) ? JUDGE_PLANE_OF_CHANGES : JUDGE_PLANE_OF_IMAGES;
}

/* False: there is nothing to look into. */
static bool examine_plane(const struct found *f, const char *mounted_plane_id,
			  const struct findings *to)
{
	static const char item[] = "plane";

	if (f->opened == -ENOENT) {
		findings_ok(to, item, "none here yet: the first mount creates it");
		return false;
	}
	if (f->opened < 0) {
		findings_bad(to, FINDING_FAIL, item, "no mount can start on this share",
			     "bring .holdfast back from a backup; or begin a new plane: unmount on "
			     "all machines and move .holdfast away by hand",
			     "%s", f->opened_why.text);
		return false;
	}
	if (mounted_plane_id[0] && strcmp(mounted_plane_id, store_plane_id(f->store)) != 0) {
		findings_bad(to, FINDING_FAIL, item,
			     "what is said below is of another share than the mount's",
			     "look at what is mounted over the backing directory",
			     "%s here, %s at the mount point", store_plane_id(f->store),
			     mounted_plane_id);
		return false;
	}
	findings_ok(to, item,
		    "%s, heartbeat timeout %" PRIu64 " ms, poll period %" PRIu64
		    " ms, margin %" PRIu64 " ms",
		    store_plane_id(f->store), f->timing.timeout_ms, f->timing.poll_ms,
		    f->timing.margin_ms);
	return true;
}

/* The first faults, to be told once it is known how grave they are. */
struct faults {
	unsigned n;
	char text[FAULTS_NAMED][FAULT_BYTES];
};

static void note_fault(void *arg, const char *name, const char *why)
{
	struct faults *f = arg;

	if (f->n < FAULTS_NAMED) {
		(void)snprintf(f->text[f->n], FAULT_BYTES, "%s: %s", name, why);
	}
	f->n++;
}

static void examine_generations(const struct found *f, const struct findings *to)
{
	static const char item[] = "generations";
	struct fs_verify_report report = {0};
	struct faults faults = {0};
	int r = fs_verify_generations(f->store, note_fault, &faults, &report);

	for (unsigned i = 0; i < faults.n && i < FAULTS_NAMED; i++) {
		if (f->loaded == 0) {
			findings_bad(
				to, FINDING_WARN, item,
				"no mount needs it any more, but something damaged it",
				"nothing: it goes when old generations are collected; look for "
				"the cause",
				"%s", faults.text[i]);
		} else {
			findings_bad(to, FINDING_FAIL, item, "no mount can go past it",
				     "unmount on all machines, then holdfast doctor --repair", "%s",
				     faults.text[i]);
		}
	}
	if (r < 0) {
		judge_error(to, item, r);
	} else if (faults.n > 0) {
		findings_bad(to, f->loaded == 0 ? FINDING_WARN : FINDING_FAIL, item,
			     "each of them is a file that Holdfast wrote whole and never changes",
			     "look for what else writes to .holdfast, and at the disk",
			     "%u faults in %zu changes and %zu images, %" PRIu64 " to %" PRIu64,
			     faults.n, report.links, report.images, report.oldest, report.newest);
	} else {
		findings_ok(to, item,
			    "%zu changes and %zu images are valid, %" PRIu64 " to %" PRIu64,
			    report.links, report.images, report.oldest, report.newest);
	}
}

static void examine_chain(const struct found *f, const struct findings *to)
{
	static const char item[] = "chain";

	if (f->loaded == -ENODATA) {
		findings_bad(to, FINDING_WARN, item,
			     "the first mount will begin anew with epoch 1; if there has been one "
			     "before, its index is lost",
			     "bring .holdfast back from a backup if this share has been in use",
			     "there are no generations");
	} else if (f->loaded == -EUCLEAN) {
		findings_bad(to, FINDING_FAIL, item,
			     "no mount can start on this share, and those that run commit nothing",
			     "unmount on all machines, then holdfast doctor --repair", "%s",
			     f->loaded_why.text);
	} else if (f->loaded < 0) {
		judge_error(to, item, f->loaded);
	} else {
		findings_ok(to, item, "unbroken: a mount loads generation %" PRIu64,
			    f->chain.generation);
	}
}

static int tell_lease(void *ctx, const char *name, const struct index_lease *lease)
{
	const struct findings *to = ctx;

	findings_ok(to, "lease", "%s: %s%s, epoch %" PRIu64, name,
		    lease->holder[0] ? "held by " : "free", lease->holder, lease->epoch);
	return 0;
}

struct long_dead {
	int64_t now_wall_ms;
	unsigned n_nodes, n;
	char named[LONG_DEAD_NAMED * (PARSE_ID_BYTES + 64)];
};

static int note_if_long_dead(void *ctx, const char *id, const struct index_node *node,
			     const char *record, size_t n)
{
	struct long_dead *dead = ctx;
	json_auto_t *json = json_loadb(record, n, 0, NULL);
	int64_t written_ms = json_integer_value(json_object_get(json, "localTimestamp"));
	time_t written_s = (time_t)(written_ms / 1000);
	size_t used = strlen(dead->named);
	char day[16] = "?";
	struct tm tm;

	dead->n_nodes++;
	if (written_ms <= 0 || dead->now_wall_ms - written_ms <= LONG_DEAD_MS) {
		return 0;
	}
	if (gmtime_r(&written_s, &tm)) {
		(void)strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	}
	if (dead->n++ < LONG_DEAD_NAMED) {
		(void)snprintf(dead->named + used, sizeof(dead->named) - used, "%s%s (%s, %s)",
			       used ? ", " : "", id, node->status, day);
	}
	return 0;
}

/*
 * By the clocks of the machines that wrote them, so only as a hint: whether a node is dead is for
 * the mounts to find out.
 */
static void examine_records(const struct found *f, const struct findings *to)
{
	static const char item[] = "records";
	struct long_dead dead = {.now_wall_ms = clock_wall_ms()};
	int r = index_each_node(f->index, note_if_long_dead, &dead);

	if (r < 0) {
		judge_error(to, item, r);
	} else if (dead.n > 0) {
		findings_bad(
			to, FINDING_WARN, item,
			"records of nodes that will not come back make ha/states and the index "
			"longer",
			"rm MOUNTPOINT/nodes/ID on any machine; if that node lives, look at "
			"its machine's clock",
			"%u of %u were last written more than a day ago by their own clock: %s%s",
			dead.n, dead.n_nodes, dead.named, dead.n > LONG_DEAD_NAMED ? ", ..." : "");
	} else {
		findings_ok(to, item, "%u, none of them old", dead.n_nodes);
	}
}

struct leftovers {
	unsigned n;
	char first[NAME_MAX + sizeof(TMP_DIRECTORY) + 1];
};

/* Count what is from before @before_ms in the directory @path below @backing_fd. */
static int count_leftovers(int backing_fd, const char *path, const char *prefix, int64_t before_ms,
			   struct leftovers *l)
{
	_cleanup_close_ int fd =
		openat(backing_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const struct dirent *d;
	DIR *dir;

	if (fd < 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	dir = fdopendir(fd);
	if (!dir) {
		return -errno;
	}
	(void)take_fd(&fd);
	while ((d = readdir(dir))) {
		struct stat st;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		    strncmp(d->d_name, prefix, strlen(prefix)) != 0 ||
		    fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    (int64_t)st.st_mtim.tv_sec * 1000 >= before_ms) {
			continue;
		}
		if (l->n++ == 0) {
			(void)snprintf(l->first, sizeof(l->first), "%s/%s", path, d->d_name);
		}
	}
	(void)closedir(dir);
	return 0;
}

/*
 * What is so old that mounts delete it themselves.  @now_ms: by the storage server's clock, which
 * dates the files.
 */
static void examine_leftovers(int backing_fd, int64_t now_ms, const struct lease_timing *t,
			      const struct findings *to)
{
	static const char item[] = "staging files";
	struct leftovers l = {0};
	int64_t before_ms = now_ms - (int64_t)t->staging_ms;
	int r = count_leftovers(backing_fd, TMP_DIRECTORY, "", before_ms, &l);

	if (r == 0) {
		r = count_leftovers(backing_fd, ".", PROBE_HIDDEN_PREFIX, before_ms, &l);
	}
	if (r < 0) {
		judge_error(to, item, r);
	} else if (l.n > 0) {
		findings_bad(
			to, FINDING_WARN, item,
			"a mount or a doctor was killed; they take space, and no more than that",
			"start a mount, which deletes staging files; remove what is left "
			"(doctor.*) by hand",
			"%u older than %" PRIu64 " minutes, such as %s", l.n, t->staging_ms / 60000,
			l.first);
	} else {
		findings_ok(to, item, "none that is old");
	}
}

static void probe_races(struct probe *p, enum judge_plane plane, const struct findings *to)
{
	for (enum probe_call call = 0; call < PROBE_CALL_MAX_; call++) {
		struct probe_race race = {0};
		int r = probe_race(p, call, &race);

		if (r == -EINTR) {
			return;
		}
		if (r < 0) {
			judge_error(to, probe_call_name(call), r);
		} else {
			judge_race(to, call, &race, plane, probe_has_peer(p));
		}
	}
}

static void probe_names(struct probe *p, enum judge_plane plane, const struct findings *to)
{
	struct probe_rename rename = {0};
	struct probe_links links = {0};
	size_t longest = 0;
	int r = probe_target(p, &longest);

	if (r == 0) {
		judge_target(to, longest, plane);
	} else {
		judge_error(to, "symlink target", r);
	}
	r = probe_links(p, &links);
	if (r == 0) {
		judge_links(to, &links);
	} else {
		judge_error(to, "link count", r);
	}
	r = probe_rename(p, &rename);
	if (r == 0) {
		judge_rename(to, &rename);
	} else {
		judge_error(to, "rename", r);
	}
	judge_direct(to, probe_direct(p));
}

static void probe_latencies(struct probe *p, const struct lease_timing *t,
			    const struct findings *to)
{
	struct probe_times times = {0};
	struct probe_clock clock = {0};
	int r = probe_fsync(p, &times);

	if (r == 0) {
		judge_fsync(to, &times, t);
	} else {
		judge_error(to, "fsync latency", r);
	}
	if (probe_has_peer(p)) {
		r = probe_visibility(p, &times);
		judge_visibility(to, r, &times, t);
	} else {
		findings_ok(to, "visibility", "not tried: give a second mount with --peer");
	}
	r = probe_clock(p, &clock);
	if (r == 0) {
		judge_clock(to, &clock);
	} else {
		judge_error(to, "server clock", r);
	}
}

/* *ret_now_ms: by the storage server's clock; untouched if it could not be asked. */
static void examine_share(const struct examine *order, int backing_fd, int peer_fd,
			  const struct found *f, int64_t *ret_now_ms, const struct findings *to)
{
	const struct probe_place place = {
		.backing_fd = backing_fd, .peer_fd = peer_fd, .stop = order->stop};
	struct err why = {{0}};
	struct probe *p;
	int r = probe_open(&place, &p, &why);

	if (r < 0) {
		findings_bad(
			to, FINDING_FAIL, r == -ESTALE ? "peer" : "writable",
			r == -ESTALE ? "two mounts of different shares say nothing of each other"
				     : "a mount could not commit here, nor programs write",
			r == -ESTALE
				? "give a mount of the same share with --peer"
				: "see the error; look at the export's and the mount's options",
			"%s", why.text);
		return;
	}
	findings_ok(to, "writable", "yes");
	probe_races(p, plane_of(f), to);
	if (!is_stopped(order)) {
		probe_names(p, plane_of(f), to);
	}
	if (!is_stopped(order)) {
		probe_latencies(p, &f->timing, to);
		(void)probe_now_ms(p, ret_now_ms);
	}
	r = probe_close(p);
	if (r < 0) {
		findings_bad(to, FINDING_WARN, "probes", "they take space, and no more than that",
			     "remove the directory doctor.* by hand",
			     "what was made here could not be removed: %s", strerror(-r));
	}
}

/* --peer.  -EBADF: none was given, or it is of no use. */
static int open_peer(const struct examine *order, int backing_fd, enum mountinfo_kind kind,
		     const struct findings *to)
{
	struct stat ours, theirs;
	int fd;

	if (!order->peer) {
		return -EBADF;
	}
	fd = open(order->peer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		judge_error(to, "peer", -errno);
		return -EBADF;
	}
	if (kind == MOUNTINFO_NFS && fstat(backing_fd, &ours) == 0 && fstat(fd, &theirs) == 0 &&
	    ours.st_dev == theirs.st_dev) {
		findings_bad(
			to, FINDING_WARN, "peer",
			"what one mount has in its cache the other one sees: this is no test of "
			"two machines",
			"mount the second one with nosharecache", "both mounts share their caches");
	}
	return fd;
}

/* Nobody on this machine may have it mounted; others are found by watching. */
static void repair(const struct examine *order, const char *backing, int backing_fd,
		   const char *mounts, const struct found *f, const struct findings *to)
{
	const struct repair job = {.backing_fd = backing_fd,
				   .store = f->store,
				   .watch_ms = f->longest_ms,
				   .stop = order->stop};
	char canonical[PATH_MAX];
	struct mountinfo user;

	if (f->opened < 0) {
		return; /* the item "plane" says why */
	}
	if (realpath(backing, canonical) &&
	    mountinfo_find_source(mounts, HOLDFAST_TYPE, canonical, &user) == 0) {
		findings_bad(to, FINDING_FAIL, "repair",
			     "a lease may be live: what is moved away would be in use",
			     "unmount it on all machines, then run this on the backing directory",
			     "nothing was moved: it is mounted at %s", user.point);
		return;
	}
	repair_run(&job, to);
}

static void examine_index(const struct examine *order, int backing_fd, const struct found *f,
			  const char *mounted_plane_id, int64_t now_ms, const struct findings *to)
{
	struct findings sink = *to;

	if (examine_plane(f, mounted_plane_id, to)) {
		examine_generations(f, to);
		examine_chain(f, to);
		if (f->loaded == 0) {
			(void)index_each_lease(f->index, tell_lease, &sink);
			examine_records(f, to);
		}
	}
	if (!is_stopped(order)) {
		examine_leftovers(backing_fd, now_ms, &f->timing, to);
	}
}

static void examine_backing(const struct examine *order, const char *backing,
			    const char *mounted_plane_id, const struct findings *to)
{
	_cleanup_close_ int fd = open(backing, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int peer_fd = -EBADF;
	_cleanup_free_ char *mounts = NULL;
	_cleanup_(found_done) struct found found = {0};
	int64_t now_ms = clock_wall_ms();
	struct mountinfo m;
	int r;

	if (fd < 0) {
		findings_bad(to, FINDING_FAIL, "directory", "there is nothing to examine",
			     "give the directory that is, or is to be, the backing directory; or "
			     "the mount point",
			     "%s: %s", backing, strerror(errno));
		return;
	}
	findings_ok(to, "directory", "%s", backing);
	r = io_read_file(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX_BYTES, &mounts, NULL);
	if (r == 0) {
		r = find_mount(fd, mounts, &m);
	}
	if (r < 0) {
		judge_error(to, "file system", r);
		return;
	}
	if (mountinfo_kind(&m) == MOUNTINFO_HOLDFAST) {
		judge_kind(to, &m);
		return;
	}
	find_index(fd, &found);
	examine_file_system(&m, &found.timing, to);
	examine_space(fd, to);
	peer_fd = open_peer(order, fd, mountinfo_kind(&m), to);
	examine_share(order, fd, peer_fd, &found, &now_ms, to);
	if (order->repair && !is_stopped(order)) {
		repair(order, backing, fd, mounts, &found, to);
		found_done(&found);
		find_index(fd, &found);
	}
	if (!is_stopped(order)) {
		examine_index(order, fd, &found, mounted_plane_id, now_ms, to);
	}
}

void examine_run(const struct examine *order, const struct findings *to)
{
	char plane_id[PARSE_ID_BYTES] = "", backing[PATH_MAX];
	int r = examine_mountpoint(order->directory, plane_id, backing, to);

	if (r >= 0 && !is_stopped(order)) {
		examine_backing(order, r > 0 ? backing : order->directory, plane_id, to);
	}
}
