/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/commit.h"

#include <errno.h>

/* Errors that a server gives only when it has not done it; everything else leaves a doubt. */
static bool is_refusal(int created)
{
	return created == -ENOSPC || created == -EDQUOT || created == -EROFS ||
	       created == -EACCES || created == -EPERM || created == -ENAMETOOLONG ||
	       created == -ENOMEM || created == -EMLINK || created == -EOPNOTSUPP;
}

enum commit_verdict commit_judge(int created, int got, bool same, bool doubted)
{
	if (created == 0) {
		return COMMIT_OURS;
	}
	/* EEXIST may be our own: its answer was lost and the call repeated.  See link(2), BUGS. */
	if (got == 0) {
		return same ? COMMIT_OURS : COMMIT_THEIRS;
	}
	if (got == -ENOENT && created == -EEXIST) {
		return COMMIT_BEHIND;
	}
	if (got == -ENOENT && is_refusal(created) && !doubted) {
		return COMMIT_FAILED;
	}
	return COMMIT_UNKNOWN;
}

bool commit_must_relist(uint64_t verified_ms, uint64_t now_ms)
{
	return now_ms - verified_ms > COMMIT_TRUST_MS;
}
