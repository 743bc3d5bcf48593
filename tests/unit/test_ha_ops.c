/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The share hangs here at will: plane.json is a FIFO, which reads to its end once its writer
 * closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ha/dir.h"
#include "ha/ops.h"
#include "unit.h"

#define LONG_MS 60000

static char root[] = "/tmp/test_ha_ops.XXXXXX";
static char fifo[64];
static struct ha_ops ops;

static int set_up(void **state)
{
	char path[64];

	(void)state;
	(void)snprintf(root, sizeof(root), "/tmp/test_ha_ops.XXXXXX");
	assert_non_null(mkdtemp(root));
	assert_int_equal(setxattr(root, "user.holdfast.plane_id", "p1", 2, 0), 0);
	(void)snprintf(path, sizeof(path), "%s/nodes", root);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/.holdfast", root);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(fifo, sizeof(fifo), "%s/.holdfast/plane.json", root);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void start(uint64_t limit_ms)
{
	struct ha_dir *dir;

	assert_ok(ha_dir_open(root, "node1", &dir, NULL));
	assert_ok(ha_ops_start(&ops, dir, limit_ms));
}

static void begin_record(const char *text)
{
	struct ha_job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->record = strdup(text);
	ha_ops_begin(&ops, HA_JOB_WRITE_RECORD, job);
}

/*
 * Begin to read the plane, and return once the worker is inside the call: the writer's open waits
 * for the reader's.  It hangs until the descriptor that is returned is closed.
 */
static int begin_hanging_read(void)
{
	int fd;

	ha_ops_begin(&ops, HA_JOB_READ_PLANE, calloc(1, sizeof(struct ha_job)));
	fd = open(fifo, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* Waits for the worker's answer, never for the limit. */
static struct ha_job *next(enum ha_job_type *ret_type)
{
	struct pollfd fd = {.fd = ha_ops_fd(&ops), .events = POLLIN};
	struct ha_job *job = NULL;

	while (!ha_ops_next(&ops, ret_type, &job)) {
		assert_int_equal(poll(&fd, 1, LONG_MS), 1);
	}
	return job;
}

static bool has_record(void)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/nodes/node1", root);
	return access(path, F_OK) == 0;
}

static void answers_come_in_the_order_of_the_operations(void **state)
{
	enum ha_job_type type;
	struct ha_job *job;

	(void)state;
	start(LONG_MS);
	begin_record("{}");
	(void)close(begin_hanging_read());

	job = next(&type);
	assert_int_equal(type, HA_JOB_WRITE_RECORD);
	assert_ok(job->status);
	ha_job_free(job);
	job = next(&type);
	assert_int_equal(type, HA_JOB_READ_PLANE);
	assert_errno(job->status, EBADMSG); /* an empty file is no plane */
	ha_job_free(job);
	assert_true(ha_ops_deadline_ms(&ops) == UINT64_MAX);
	assert_ok(ha_ops_stop(&ops, LONG_MS));
}

static void what_hangs_is_answered_as_unknown_and_what_waits_behind_it_never_happens(void **state)
{
	enum ha_job_type type;
	struct ha_job *job = NULL;
	int hanging;

	(void)state;
	start(0);
	hanging = begin_hanging_read();
	begin_record("{}");
	assert_true(ha_ops_deadline_ms(&ops) < UINT64_MAX);

	assert_true(ha_ops_next(&ops, &type, &job));
	assert_int_equal(type, HA_JOB_WRITE_RECORD);
	assert_null(job);
	assert_true(ha_ops_next(&ops, &type, &job));
	assert_int_equal(type, HA_JOB_READ_PLANE);
	assert_null(job);
	assert_false(ha_ops_next(&ops, &type, &job));

	(void)close(hanging);
	assert_ok(ha_ops_stop(&ops, LONG_MS));
	assert_false(has_record());
}

static void a_late_answer_is_not_taken_for_the_next_ones(void **state)
{
	struct ha_job *job = NULL;
	enum ha_job_type type;
	int hanging;

	(void)state;
	start(LONG_MS);
	hanging = begin_hanging_read();
	ha_ops_cancel(&ops, HA_JOB_READ_PLANE); /* too late to stop it */
	begin_record("{}");
	(void)close(hanging);

	job = next(&type);
	assert_int_equal(type, HA_JOB_WRITE_RECORD);
	assert_non_null(job);
	ha_job_free(job);
	assert_false(ha_ops_next(&ops, &type, &job));
	assert_ok(ha_ops_stop(&ops, LONG_MS));
}

static void a_job_without_memory_is_answered_as_unknown(void **state)
{
	struct ha_job *job = NULL;
	enum ha_job_type type;

	(void)state;
	start(LONG_MS);
	ha_ops_begin(&ops, HA_JOB_CLAIM, NULL);

	assert_true(ha_ops_next(&ops, &type, &job));
	assert_int_equal(type, HA_JOB_CLAIM);
	assert_null(job);
	assert_ok(ha_ops_stop(&ops, LONG_MS));
}

static void a_worker_that_hangs_does_not_hold_the_end_up(void **state)
{
	int hanging;

	(void)state;
	start(LONG_MS);
	hanging = begin_hanging_read();

	assert_errno(ha_ops_stop(&ops, 0), ETIMEDOUT);
	(void)close(hanging);
	assert_ok(ha_ops_stop(&ops, LONG_MS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_come_in_the_order_of_the_operations, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			what_hangs_is_answered_as_unknown_and_what_waits_behind_it_never_happens,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_late_answer_is_not_taken_for_the_next_ones,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_job_without_memory_is_answered_as_unknown, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_worker_that_hangs_does_not_hold_the_end_up,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
