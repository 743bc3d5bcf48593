/* SPDX-License-Identifier: Apache-2.0 */
/* fs/commit.c: what a create's result and a look at the name say together. */
#include <errno.h>

#include "fs/commit.h"
#include "tests/unit/unit.h"

static void a_verdict_follows_what_is_there(void **state)
{
	static const struct {
		const char *label;
		int created, got;
		bool same;
		enum commit_verdict verdict;
	} cases[] = {
		{"created", 0, 0, false, COMMIT_OURS},
		{"existed, and is ours", -EEXIST, 0, true, COMMIT_OURS},
		{"existed, and is theirs", -EEXIST, 0, false, COMMIT_THEIRS},
		{"existed, and is gone", -EEXIST, -ENOENT, false, COMMIT_BEHIND},
		{"existed, and cannot be read", -EEXIST, -EIO, false, COMMIT_UNKNOWN},
		{"an error, but it is there", -EIO, 0, true, COMMIT_OURS},
		{"an error, and theirs is there", -EIO, 0, false, COMMIT_THEIRS},
		{"an error, and nothing is there", -EIO, -ENOENT, false, COMMIT_UNKNOWN},
		{"a stale handle, and nothing", -ESTALE, -ENOENT, false, COMMIT_UNKNOWN},
		{"no answer, and nothing is there", -ETIMEDOUT, -ENOENT, false, COMMIT_UNKNOWN},
		{"an error, then another", -EIO, -EIO, false, COMMIT_UNKNOWN},
		{"no space, and theirs is there", -ENOSPC, 0, false, COMMIT_THEIRS},
		{"no space, but ours is there", -ENOSPC, 0, true, COMMIT_OURS},
		{"no space, and cannot be read", -ENOSPC, -EIO, false, COMMIT_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s\n", cases[i].label);
		assert_int_equal(commit_judge(cases[i].created, cases[i].got, cases[i].same, false),
				 cases[i].verdict);
	}
}

static void a_refusal_fails_only_where_nothing_is_there(void **state)
{
	static const int refusals[] = {-ENOSPC,       -EDQUOT, -EROFS,  -EACCES,    -EPERM,
				       -ENAMETOOLONG, -ENOMEM, -EMLINK, -EOPNOTSUPP};

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		print_message("  %s\n", strerror(-refusals[i]));
		assert_int_equal(commit_judge(refusals[i], -ENOENT, false, false), COMMIT_FAILED);
	}
}

/*
 * Found by sim_plane: a create was late on its way, the same bytes sent again were refused for
 * want of space, the caller was told that it had failed, and then the first one arrived.
 */
static void a_refused_repetition_leaves_the_first_sending_in_doubt(void **state)
{
	(void)state;
	assert_int_equal(commit_judge(-ENOSPC, -ENOENT, false, true), COMMIT_UNKNOWN);
	assert_int_equal(commit_judge(-ENOSPC, 0, true, true), COMMIT_OURS);
	assert_int_equal(commit_judge(-ENOSPC, 0, false, true), COMMIT_THEIRS);
	assert_int_equal(commit_judge(0, 0, false, true), COMMIT_OURS);
}

static void what_was_verified_is_trusted_half_as_long_as_generations_are_kept(void **state)
{
	(void)state;
	assert_int_equal(2 * COMMIT_TRUST_MS, COMMIT_KEEP_MS);
	assert_false(commit_must_relist(1000, 1000));
	assert_false(commit_must_relist(1000, 1000 + COMMIT_TRUST_MS));
	assert_true(commit_must_relist(1000, 1001 + COMMIT_TRUST_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_verdict_follows_what_is_there),
		cmocka_unit_test(a_refusal_fails_only_where_nothing_is_there),
		cmocka_unit_test(a_refused_repetition_leaves_the_first_sending_in_doubt),
		cmocka_unit_test(what_was_verified_is_trusted_half_as_long_as_generations_are_kept),
	};

	return cmocka_run_group_tests_name("fs/commit", tests, NULL, NULL);
}
