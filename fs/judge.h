/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a share fit for Holdfast?  What was measured (fs/probe.h) and what its mount says
 * (fs/mountinfo.h), judged: all limits, reasons and advice of `holdfast doctor` about a share.
 *
 * Touches no file and reads no clock.  Each function adds one finding, or as many as it names.
 */
#ifndef FS_JUDGE_H
#define FS_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/findings.h"
#include "fs/lease.h"
#include "fs/mountinfo.h"
#include "fs/probe.h"

/* An item could not be examined: -errno @error.  FINDING_FAIL. */
void judge_error(const struct findings *to, const char *item, int error);

/* Which kind of file system it is. */
void judge_kind(const struct findings *to, const struct mountinfo *m);

/* Five findings: version, what happens to a late call, caches, locks, recover_lost_locks. */
void judge_nfs(const struct findings *to, const struct mountinfo_nfs *n,
	       const struct lease_timing *t, bool recovers_lost_locks);

/* What the plane asks of the share, as far as there is one. */
enum judge_plane {
	JUDGE_NO_PLANE,
	JUDGE_PLANE_OF_CHANGES, /* publishes changes in symbolic links */
	JUDGE_PLANE_OF_IMAGES,
};

void judge_race(const struct findings *to, enum probe_call call, const struct probe_race *race,
		enum judge_plane plane, bool has_peer);
void judge_target(const struct findings *to, size_t longest, enum judge_plane plane);
void judge_links(const struct findings *to, const struct probe_links *links);
void judge_rename(const struct findings *to, const struct probe_rename *rename);
void judge_direct(const struct findings *to, int result);
void judge_fsync(const struct findings *to, const struct probe_times *times,
		 const struct lease_timing *t);

/* @result: probe_visibility()'s. */
void judge_visibility(const struct findings *to, int result, const struct probe_times *times,
		      const struct lease_timing *t);
void judge_clock(const struct findings *to, const struct probe_clock *clock);

/* Two findings.  @inodes: UINT64_MAX where the file system has no limit of them. */
void judge_space(const struct findings *to, uint64_t free_bytes, uint64_t free_inodes);

#endif
