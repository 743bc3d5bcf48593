/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "fs/staged.h"
#include "tests/unit/unit.h"

/* Nobody looks into the plane or the requests: plane_submit() and fuse_reply_err() are ours. */
#define PLANE  ((struct plane *)&answers)
#define REQ(n) ((fuse_req_t)&answers[n])

#define RECORD  "{\"nodeId\":\"a\",\"status\":\"STANDBY\"}"
#define RUBBISH "rubbish"

#define UNANSWERED (-1)
#define ANSWERS    4

static int answers[ANSWERS];

/* What the plane was asked last; answered by answer(). */
static struct {
	unsigned n;
	enum request_verb verb;
	char text[64];
	plane_done_fn *done;
	void *ctx;
} asked;

int __wrap_plane_submit(struct plane *p, const struct request *req, plane_done_fn *done, void *ctx);
int __wrap_fuse_reply_err(fuse_req_t req, int err);

int __wrap_plane_submit(struct plane *p, const struct request *req, plane_done_fn *done, void *ctx)
{
	(void)p;
	asked.n++;
	asked.verb = req->verb;
	(void)snprintf(asked.text, sizeof(asked.text), "%.*s", (int)req->n,
		       req->text ? req->text : "");
	asked.done = done;
	asked.ctx = ctx;
	return 0;
}

int __wrap_fuse_reply_err(fuse_req_t req, int err)
{
	int *answer = (int *)req;

	assert_int_equal(*answer, UNANSWERED);
	*answer = err;
	return 0;
}

static void answer(int result)
{
	asked.done(asked.ctx, result, NULL, 0);
}

struct world {
	struct lifelines lines;
	struct named record;
	struct vfile *file;
};

static int set_up(void **state)
{
	static struct world w;

	w = (struct world){.record = {.inode = {.kind = INODE_RECORD}, .name = "a"}};
	lifelines_init(&w.lines);
	asked.n = 0;
	for (unsigned i = 0; i < ANSWERS; i++) {
		answers[i] = UNANSWERED;
	}
	*state = &w;
	/* O_TRUNC: nothing is asked of the plane to open it. */
	if (vfile_new(PLANE, &w.record.inode, O_WRONLY | O_TRUNC, &w.file) < 0) {
		return -1;
	}
	w.file->dirty = false;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	vfile_free(w->file);
	lifelines_done(&w->lines);
	return 0;
}

static void write_text(struct world *w, const char *text)
{
	assert_ok(vfile_write(w->file, text, strlen(text), 0));
	assert_ok(vfile_resize(w->file, (off_t)strlen(text)));
}

static void ask_fsync(struct world *w, unsigned req)
{
	staged_commit_file(PLANE, REQ(req), w->file, &w->lines);
}

static void ask_close(struct world *w, unsigned req)
{
	staged_commit_file(PLANE, REQ(req), w->file, NULL);
}

static void fsync_ties_if_it_committed_or_may_have(void **state)
{
	static const struct {
		int result;
		bool ties;
	} ends[] = {
		{0, true},        {-ETIMEDOUT, true}, {-EACCES, false},  {-ESTALE, false},
		{-EINVAL, false}, {-EIO, false},      {-EUCLEAN, false}, {-ECANCELED, false},
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		answers[0] = UNANSWERED;
		write_text(w, RECORD);
		ask_fsync(w, 0);
		assert_false(w->file->line.is_tied);
		assert_int_equal(answers[0], UNANSWERED);
		answer(ends[i].result);

		assert_int_equal(answers[0], -ends[i].result);
		assert_int_equal(w->file->line.is_tied, ends[i].ties);
		assert_int_equal(lifeline_cut(&w->lines, &w->file->line), ends[i].ties);
	}
}

static void rubbish_is_refused_unasked_and_ties_nothing(void **state)
{
	struct world *w = *state;

	write_text(w, RUBBISH);
	ask_fsync(w, 0);
	ask_fsync(w, 1);

	assert_int_equal(answers[0], EINVAL);
	assert_int_equal(answers[1], EINVAL);
	assert_int_equal(asked.n, 0);
	assert_false(w->file->line.is_tied);
}

static void fsync_of_nothing_ties_nothing(void **state)
{
	struct world *w = *state;

	ask_fsync(w, 0);

	assert_int_equal(answers[0], 0);
	assert_int_equal(asked.n, 0);
	assert_false(w->file->line.is_tied);
}

static void close_ties_nothing_but_fsync_of_what_it_committed_does(void **state)
{
	struct world *w = *state;

	write_text(w, RECORD);
	ask_close(w, 0);
	answer(0);
	assert_int_equal(answers[0], 0);
	assert_false(w->file->line.is_tied);

	ask_fsync(w, 1);
	assert_int_equal(answers[1], 0);
	assert_true(w->file->line.is_tied);
	assert_int_equal(asked.n, 1);
}

static void a_refusal_does_not_untie(void **state)
{
	struct world *w = *state;

	write_text(w, RECORD);
	ask_fsync(w, 0);
	answer(0);
	write_text(w, RUBBISH);
	ask_fsync(w, 1);

	assert_int_equal(answers[1], EINVAL);
	assert_true(w->file->line.is_tied);
}

static void who_asks_during_a_commit_gets_its_result(void **state)
{
	struct world *w = *state;

	write_text(w, RECORD);
	ask_close(w, 0);
	ask_close(w, 1);
	ask_fsync(w, 2);
	assert_int_equal(asked.n, 1);
	assert_int_equal(answers[1], UNANSWERED);
	answer(-EACCES);
	ask_close(w, 3);

	for (unsigned i = 0; i < ANSWERS; i++) {
		assert_int_equal(answers[i], EACCES);
	}
	assert_false(w->file->line.is_tied);
}

static void an_fsync_that_waits_for_the_commit_of_a_close_ties(void **state)
{
	struct world *w = *state;

	write_text(w, RECORD);
	ask_close(w, 0);
	ask_fsync(w, 1);
	answer(0);

	assert_int_equal(answers[0], 0);
	assert_int_equal(answers[1], 0);
	assert_true(w->file->line.is_tied);
}

static void what_is_written_during_a_commit_is_another_one(void **state)
{
	struct world *w = *state;
	plane_done_fn *first_done;
	void *first;

	write_text(w, RECORD);
	ask_fsync(w, 0);
	first_done = asked.done;
	first = asked.ctx;
	write_text(w, RECORD " ");
	ask_fsync(w, 1);
	assert_int_equal(asked.n, 2);
	assert_string_equal(asked.text, RECORD " ");

	first_done(first, 0, NULL, 0);
	assert_int_equal(answers[0], 0);
	assert_int_equal(answers[1], UNANSWERED);
	answer(-ESTALE);
	assert_int_equal(answers[1], ESTALE);
	ask_fsync(w, 2);
	assert_int_equal(answers[2], ESTALE);
}

static void a_rename_takes_the_staging_name_away_only_if_it_worked(void **state)
{
	static const struct inode nodes = {.kind = INODE_NODES};
	struct names names;
	struct inode *staging;
	struct vfile *f;

	(void)state;
	names_init(&names);
	assert_ok(names_look_up(&names, &nodes, "a.x.tmp", false, true, &staging));
	assert_ok(vfile_new(PLANE, staging, O_WRONLY, &f));
	assert_ok(vfile_write(f, RECORD, strlen(RECORD), 0));
	for (unsigned i = 0; i < 2; i++) {
		staged_commit_rename(PLANE, REQ(i), &names, INODE_NODES, "a.x.tmp",
				     names_staged(&names, INODE_NODES, "a.x.tmp"), INODE_RECORD,
				     "a");
		assert_int_equal(asked.verb, REQUEST_WRITE_RECORD);
		assert_string_equal(asked.text, RECORD);
		answer(i == 0 ? -EACCES : 0);
		assert_int_equal(answers[i], i == 0 ? EACCES : 0);
	}

	assert_null(names_staged(&names, INODE_NODES, "a.x.tmp"));
	vfile_free(f);
	names_forget(&names, staging, 1);
	names_done(&names);
}

static void a_removal_gives_its_result(void **state)
{
	(void)state;
	staged_commit_removal(PLANE, REQ(0), INODE_RECORD, "a");
	assert_int_equal(asked.verb, REQUEST_REMOVE_RECORD);
	answer(-EBUSY);

	assert_int_equal(answers[0], EBUSY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fsync_ties_if_it_committed_or_may_have),
		TEST(rubbish_is_refused_unasked_and_ties_nothing),
		TEST(fsync_of_nothing_ties_nothing),
		TEST(close_ties_nothing_but_fsync_of_what_it_committed_does),
		TEST(a_refusal_does_not_untie),
		TEST(who_asks_during_a_commit_gets_its_result),
		TEST(an_fsync_that_waits_for_the_commit_of_a_close_ties),
		TEST(what_is_written_during_a_commit_is_another_one),
		TEST(a_rename_takes_the_staging_name_away_only_if_it_worked),
		TEST(a_removal_gives_its_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
