/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fs/change.h"
#include "fs/store.h"

#define MIB ((uint64_t)1024 * 1024)

/* Below the first a mount may fail at any commit; the second leaves time to notice. */
#define SPACE_FAIL_BYTES STORE_IMAGE_MAX_BYTES
#define SPACE_WARN_BYTES (10 * SPACE_FAIL_BYTES)
#define INODES_FAIL      UINT64_C(1000)
#define INODES_WARN      (10 * INODES_FAIL)
#define DRIFT_WARN       20  /* permille; the margin is 100 */
#define DRIFT_FAIL       100 /* permille */
#define OFFSET_WARN_MS   60000
#define AC_MAX_WARN_S    60 /* nfs(5)'s default */
#define MS_TEXT_BYTES    32
#define ADVICE_BYTES     FINDING_TEXT_BYTES

void judge_error(const struct findings *to, const char *item, int error)
{
	findings_bad(to, FINDING_FAIL, item, "it could not be examined, and mounts make such calls",
		     "see the error; the file server's log may tell more", "%s", strerror(-error));
}

void judge_kind(const struct findings *to, const struct mountinfo *m)
{
	static const char item[] = "file system";

	switch (mountinfo_kind(m)) {
	case MOUNTINFO_LOCAL:
		findings_ok(to, item, "%s on %s, local: for mounts on this machine only", m->type,
			    m->source);
		break;
	case MOUNTINFO_NFS:
	case MOUNTINFO_CLUSTER:
		findings_ok(to, item, "%s from %s, shared", m->type, m->source);
		break;
	case MOUNTINFO_MEMORY:
		findings_bad(to, FINDING_WARN, item,
			     "nothing survives a restart of this machine, no other machine sees it",
			     "use it for tests only", "%s, in this machine's memory", m->type);
		break;
	case MOUNTINFO_HOLDFAST:
		findings_bad(to, FINDING_FAIL, item,
			     "a mount cannot be the backing directory of another one",
			     "give the mount point itself, or the backing directory",
			     "inside the Holdfast mount at %s", m->point);
		break;
	case MOUNTINFO_OTHER:
	case MOUNTINFO_KIND_MAX_:
		findings_bad(
			to, FINDING_WARN, item,
			"its caches and its exclusive creation across machines are unknown here",
			"use NFS 4.1 or later, or run this on two machines at once with --peer",
			"%s from %s, which Holdfast has not been tried on", m->type, m->source);
		break;
	}
}

static void judge_nfs_version(const struct findings *to, const struct mountinfo_nfs *n)
{
	static const char item[] = "NFS version";

	if (n->major < 3) {
		findings_bad(to, FINDING_FAIL, item,
			     "exclusive creation is not safe when an answer is lost",
			     "mount with vers=4.2", "NFS %u", n->major);
	} else if (n->is_udp) {
		findings_bad(to, FINDING_WARN, item,
			     "a repeated call may reach the server long after it was given up",
			     "mount with proto=tcp", "NFS %u over UDP", n->major);
	} else if (n->major == 3 || n->minor == 0) {
		findings_bad(
			to, FINDING_WARN, item,
			"without sessions a late repetition of a call may be carried out twice; "
			"the index is made for that, programs' files are not",
			"mount with vers=4.2", "NFS %u%s", n->major, n->major == 4 ? ".0" : "");
	} else {
		findings_ok(to, item, "NFS %u.%u", n->major, n->minor);
	}
}

/* The call in flight when a lease ends: see "The guarantee" in docs/ARCHITECTURE.md. */
static void judge_late_calls(const struct findings *to, const struct mountinfo_nfs *n,
			     const struct lease_timing *t)
{
	static const char item[] = "late calls";
	static const char why[] = "a write that is in flight when a lease ends may reach the "
				  "server after the margin, "
				  "when another machine writes";
	uint64_t gives_up_ms = mountinfo_nfs_gives_up_ms(n);
	uint64_t timeo_ds = t->margin_ms / 200; /* retrans=1 takes twice as long */
	char advice[ADVICE_BYTES];

	if (gives_up_ms <= t->margin_ms) {
		findings_ok(to, item,
			    "soft, given up after at most %" PRIu64 " ms, margin %" PRIu64
			    " ms; programs get EIO when the server is away for longer",
			    gives_up_ms, t->margin_ms);
		return;
	}
	if (timeo_ds > 0) {
		(void)snprintf(
			advice, sizeof(advice),
			"mount with softerr,timeo=%" PRIu64
			",retrans=1 if a late write is worse for you than an error while the "
			"server is away; else accept it",
			timeo_ds);
	} else {
		(void)snprintf(advice, sizeof(advice),
			       "no timeo is that short: choose a heartbeat_timeout of 2s or more");
	}
	if (!n->is_soft) {
		findings_bad(to, FINDING_WARN, item, why, advice,
			     "hard, repeated until the server answers; margin %" PRIu64 " ms",
			     t->margin_ms);
	} else {
		findings_bad(to, FINDING_WARN, item, why, advice,
			     "soft, given up after %" PRIu64 " ms (timeo=%" PRIu64
			     ",retrans=%" PRIu64 "); margin %" PRIu64 " ms",
			     gives_up_ms, n->timeo_ms / 100, n->retrans, t->margin_ms);
	}
}

static void judge_nfs_caches(const struct findings *to, const struct mountinfo_nfs *n)
{
	static const char item[] = "NFS caches";

	if (n->nocto) {
		findings_bad(to, FINDING_WARN, item,
			     "a new master may open a file and read what it was before",
			     "mount without nocto",
			     "nocto: opening a file does not ask the server");
	} else if (n->softreval) {
		findings_bad(to, FINDING_WARN, item,
			     "a machine that has lost the server goes on showing old files",
			     "mount without softreval",
			     "softreval: cached attributes are used while the server is away");
	} else if (n->noac) {
		findings_bad(to, FINDING_WARN, item,
			     "every stat asks the server, and Holdfast does not need that: it asks "
			     "where it matters",
			     "mount without noac", "noac: no attributes are cached");
	} else if (n->ac_max_s > AC_MAX_WARN_S) {
		findings_bad(to, FINDING_WARN, item,
			     "standbys show files as they were that long ago, and so does a new "
			     "master until it opens them",
			     "mount with actimeo=60 or less, or without actimeo",
			     "attributes are cached for up to %" PRIu64 " s", n->ac_max_s);
	} else {
		findings_ok(to, item, "attributes for up to %" PRIu64 " s, files fresh when opened",
			    n->ac_max_s);
	}
}

static void judge_nfs_locks(const struct findings *to, const struct mountinfo_nfs *n,
			    bool recovers_lost_locks)
{
	if (n->local_locks) {
		findings_bad(to, FINDING_WARN, "NFS locks",
			     "programs that lock files of the share do not exclude those on other "
			     "machines; Holdfast itself takes no such locks",
			     "mount without nolock and local_lock", "locks stay on this machine");
	} else {
		findings_ok(to, "NFS locks", "locks are the server's");
	}
	if (recovers_lost_locks) {
		findings_bad(to, FINDING_WARN, "recover_lost_locks",
			     "a program that lost its lock gets it back silently, though another "
			     "one had it meanwhile",
			     "set the parameter recover_lost_locks of the module nfs to N",
			     "lost locks are taken anew");
	} else {
		findings_ok(to, "recover_lost_locks", "off: a lost lock is an error");
	}
}

void judge_nfs(const struct findings *to, const struct mountinfo_nfs *n,
	       const struct lease_timing *t, bool recovers_lost_locks)
{
	judge_nfs_version(to, n);
	judge_late_calls(to, n, t);
	judge_nfs_caches(to, n);
	judge_nfs_locks(to, n, recovers_lost_locks);
}

static const char *race_item(enum probe_call call)
{
	switch (call) {
	case PROBE_CREATE:
		return "exclusive create";
	case PROBE_SYMLINK:
		return "symlink arbitration";
	case PROBE_LINK:
		return "link arbitration";
	case PROBE_CALL_MAX_:
		break;
	}
	return "arbitration";
}

static bool is_unsupported(int error)
{
	return error == -EPERM || error == -EOPNOTSUPP || error == -ENOSYS;
}

/* Symbolic links are a need only of a plane that was made with them. */
static enum finding_verdict without_links(enum judge_plane plane)
{
	return plane == JUDGE_PLANE_OF_CHANGES ? FINDING_FAIL : FINDING_WARN;
}

static const char *advice_without_links(enum judge_plane plane)
{
	return plane == JUDGE_PLANE_OF_CHANGES
		       ? "the plane was made on another share or server: bring that back, or begin "
			 "a new plane with -o images_only"
		       : "nothing, if the speed is enough; -o images_only makes the choice "
			 "explicit";
}

/* What is wrong with a race as a clause, or NULL. */
static const char *race_fault(const struct probe_race *race)
{
	if (race->outcomes[PROBE_TWO_WINNERS]) {
		return "several processes were told that they have created the same name";
	}
	if (race->outcomes[PROBE_WRONG_WINNER]) {
		return "a process was told that it has created a name that another one has";
	}
	return race->outcomes[PROBE_NOBODY] ? "a name holds what nobody brought, or nothing" : NULL;
}

void judge_race(const struct findings *to, enum probe_call call, const struct probe_race *race,
		enum judge_plane plane, bool has_peer)
{
	const char *item = race_item(call), *fault = race_fault(race);
	unsigned bad =
		race->rounds - race->outcomes[PROBE_FAIR] - race->outcomes[PROBE_LOST_ANSWER];

	if (call == PROBE_SYMLINK && is_unsupported(race->error)) {
		findings_bad(to, without_links(plane), item,
			     "every change is then published as a whole image, which is slower",
			     advice_without_links(plane), "no symbolic links here: %s",
			     strerror(-race->error));
	} else if (race->error) {
		judge_error(to, item, race->error);
	} else if (fault) {
		findings_bad(to, FINDING_FAIL, item,
			     "two machines could both become master: all safety rests on this",
			     "do not use this share; tell whoever makes the file system",
			     "%u of %u names: %s", bad, race->rounds, fault);
	} else {
		findings_ok(to, item, "%u names, %u processes%s: one winner each%s", race->rounds,
			    race->racers, has_peer ? " on two mounts" : "",
			    race->outcomes[PROBE_LOST_ANSWER] ? ", some were told that they lost"
							      : "");
	}
}

void judge_target(const struct findings *to, size_t longest, enum judge_plane plane)
{
	static const char item[] = "symlink target";

	if (longest >= CHANGE_TARGET_MAX) {
		findings_ok(to, item, "up to %zu bytes, %d are needed", longest, CHANGE_TARGET_MAX);
	} else {
		findings_bad(to, without_links(plane), item,
			     "a change does not fit into a name: every change is then published as "
			     "a whole image, which is slower",
			     advice_without_links(plane), "up to %zu bytes, %d are needed", longest,
			     CHANGE_TARGET_MAX);
	}
}

void judge_links(const struct findings *to, const struct probe_links *links)
{
	if (links->linked == 2 && links->unlinked == 1) {
		findings_ok(to, "link count", "2 after link, 1 after unlink");
	} else {
		findings_bad(to, FINDING_WARN, "link count",
			     "links are copies or counted late here; programs that ask for the "
			     "count to see whether they made the link are misled (Holdfast reads "
			     "the file instead)",
			     "prefer another file system", "%u after link, %u after unlink",
			     links->linked, links->unlinked);
	}
}

void judge_rename(const struct findings *to, const struct probe_rename *rename)
{
	static const char item[] = "rename";

	if (!rename->shows_new) {
		findings_bad(to, FINDING_FAIL, item,
			     "programs that replace a file by a rename read the old one again",
			     "do not use this share",
			     "the name of an open file shows the old file after a rename onto it");
	} else if (!rename->keeps_old) {
		findings_bad(to, FINDING_WARN, item,
			     "a program that reads while its file is replaced gets an error",
			     "use NFS 4.1 or later",
			     "a file that was open when it was replaced cannot be read any more");
	} else {
		findings_ok(to, item, "onto an open file: both are whole");
	}
}

void judge_direct(const struct findings *to, int result)
{
	static const char item[] = "O_DIRECT";

	if (result == 0) {
		findings_ok(to, item, "works");
	} else if (result == -EINVAL || result == -EOPNOTSUPP) {
		findings_ok(to, item, "not supported; Holdfast does without, programs may not");
	} else {
		judge_error(to, item, result);
	}
}

static void format_us(uint64_t us, char ret[MS_TEXT_BYTES])
{
	(void)snprintf(ret, MS_TEXT_BYTES, "%" PRIu64 ".%02" PRIu64 " ms", us / 1000,
		       us % 1000 / 10);
}

void judge_fsync(const struct findings *to, const struct probe_times *times,
		 const struct lease_timing *t)
{
	static const char item[] = "fsync latency";
	static const char advice[] =
		"use a faster disk or network, or a longer heartbeat_timeout and poll_period";
	char p50[MS_TEXT_BYTES], p99[MS_TEXT_BYTES], max[MS_TEXT_BYTES];

	format_us(times->p50_us, p50);
	format_us(times->p99_us, p99);
	format_us(times->max_us, max);
	if (times->max_us > t->limit_ms * 1000) {
		findings_bad(to, FINDING_FAIL, item,
			     "a beat that takes half the heartbeat timeout is given up: the master "
			     "would lose its lease without any failure",
			     advice, "p50 %s, p99 %s, max %s; heartbeat timeout %" PRIu64 " ms",
			     p50, p99, max, t->timeout_ms);
	} else if (times->p99_us > t->poll_ms * 1000 / 2) {
		findings_bad(to, FINDING_WARN, item,
			     "beats are late when they take as long as the time between them, and "
			     "every write of a program takes that long",
			     advice, "p50 %s, p99 %s, max %s; poll period %" PRIu64 " ms", p50, p99,
			     max, t->poll_ms);
	} else {
		findings_ok(to, item, "p50 %s, p99 %s, max %s (%u of 4 KiB)", p50, p99, max,
			    times->n);
	}
}

void judge_visibility(const struct findings *to, int result, const struct probe_times *times,
		      const struct lease_timing *t)
{
	static const char item[] = "visibility";
	char p50[MS_TEXT_BYTES], max[MS_TEXT_BYTES];

	if (result == -ETIMEDOUT) {
		findings_bad(to, FINDING_FAIL, item,
			     "a standby that sees no beats tries to replace a living master",
			     "mount both alike; look for nocto, long actimeo, a cache between",
			     "a new name did not show on the other mount within %d ms",
			     PROBE_VISIBLE_MAX_MS);
		return;
	}
	if (result < 0) {
		judge_error(to, item, result);
		return;
	}
	format_us(times->p50_us, p50);
	format_us(times->max_us, max);
	if (times->max_us > t->poll_ms * 1000) {
		findings_bad(to, FINDING_WARN, item,
			     "each poll shows what was there more than a poll ago, so a take-over "
			     "comes later",
			     "mount both alike; look for long actimeo, a cache between",
			     "on the other mount after p50 %s, max %s; poll period %" PRIu64 " ms",
			     p50, max, t->poll_ms);
	} else {
		findings_ok(to, item, "on the other mount after p50 %s, max %s", p50, max);
	}
}

static int64_t absolute(int64_t x)
{
	return x < 0 ? -x : x;
}

void judge_clock(const struct findings *to, const struct probe_clock *clock)
{
	static const char item[] = "server clock";
	static const char why[] =
		"clocks whose rates differ by more than the margin, 100 permille, "
		"void the guarantee; one of these two is wrong";
	static const char advice[] = "run this again, in case the clock was just being set; then "
				     "look at the time service of both machines";
	int64_t sure = absolute(clock->drift_permille) - clock->error_permille;

	if (clock->in_whole_seconds) {
		findings_ok(to, item,
			    "%+" PRId64
			    " ms against ours; its rate cannot be seen, times are whole seconds",
			    clock->offset_ms);
	} else if (sure > DRIFT_WARN) {
		findings_bad(to, sure > DRIFT_FAIL ? FINDING_FAIL : FINDING_WARN, item, why, advice,
			     "its rate differs from ours by %" PRId64 " permille",
			     clock->drift_permille);
	} else if (absolute(clock->offset_ms) > OFFSET_WARN_MS) {
		findings_bad(
			to, FINDING_WARN, item,
			"times of files and records look odd to people and to programs such as "
			"make; Holdfast never compares two machines' clocks",
			"look at the time service of both machines", "%+" PRId64 " ms against ours",
			clock->offset_ms);
	} else {
		findings_ok(
			to, item, "%+" PRId64 " ms against ours, rate within %" PRId64 " permille",
			clock->offset_ms, absolute(clock->drift_permille) + clock->error_permille);
	}
}

void judge_space(const struct findings *to, uint64_t free_bytes, uint64_t free_inodes)
{
	static const char why[] =
		"a mount that cannot commit loses its lease, and programs get ENOSPC";

	if (free_bytes < SPACE_WARN_BYTES) {
		findings_bad(to, free_bytes < SPACE_FAIL_BYTES ? FINDING_FAIL : FINDING_WARN,
			     "free space", why, "make room, or raise the quota", "%" PRIu64 " MiB",
			     free_bytes / MIB);
	} else {
		findings_ok(to, "free space", "%" PRIu64 " MiB", free_bytes / MIB);
	}
	if (free_inodes == UINT64_MAX) {
		findings_ok(to, "free inodes", "no limit");
	} else if (free_inodes < INODES_WARN) {
		findings_bad(to, free_inodes < INODES_FAIL ? FINDING_FAIL : FINDING_WARN,
			     "free inodes", why, "delete files, or raise the quota", "%" PRIu64,
			     free_inodes);
	} else {
		findings_ok(to, "free inodes", "%" PRIu64, free_inodes);
	}
}
