/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "fs/mountinfo.h"
#include "tests/unit/unit.h"

/* As the kernel writes them; the NFS line is that of an NFSv4.2 client. */
static const char mounts[] =
	"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
	"30 22 0:26 / /mnt/a\\040b\\134c rw,nosuid - tmpfs tmp\\011fs rw,size=1024k\n"
	"36 22 0:44 / /srv/x rw,noatime shared:5 master:1 propagate_from:2 - nfs4 10.0.0.1:/export "
	"rw,vers=4.2,rsize=1048576,namlen=255,hard,proto=tcp,timeo=600,retrans=2,sec=sys,"
	"clientaddr=10.0.0.2,local_lock=none,addr=10.0.0.1\n"
	"37 22 0:45 / /mnt/x rw,nosuid,nodev - fuse.holdfast /srv/x rw,user_id=0,group_id=0\n";

static struct mountinfo found(uint64_t id)
{
	struct mountinfo m;

	assert_ok(mountinfo_find(mounts, id, &m));
	return m;
}

static void a_mount_is_found_by_its_id(void **state)
{
	struct mountinfo m = found(36);

	(void)state;
	assert_u64(m.id, 36);
	assert_string_equal(m.point, "/srv/x");
	assert_string_equal(m.type, "nfs4");
	assert_string_equal(m.source, "10.0.0.1:/export");
	assert_true(mountinfo_has_option(&m, "noatime"));
	assert_true(mountinfo_has_option(&m, "hard"));
	assert_true(mountinfo_has_option(&m, "vers"));
	assert_true(mountinfo_has_option(&m, "addr"));
	assert_false(mountinfo_has_option(&m, "soft"));
	assert_false(mountinfo_has_option(&m, "time"));
	assert_false(mountinfo_has_option(&m, "lock"));
	assert_errno(mountinfo_find(mounts, 3, &m), ENOENT);
	assert_errno(mountinfo_find("", 1, &m), ENOENT);
}

static void escaped_blanks_and_backslashes_are_read_back(void **state)
{
	struct mountinfo m = found(30);

	(void)state;
	assert_string_equal(m.point, "/mnt/a b\\c");
	assert_string_equal(m.source, "tmp\tfs");
}

static void a_mount_is_found_by_type_and_source(void **state)
{
	struct mountinfo m;

	(void)state;
	assert_ok(mountinfo_find_source(mounts, "fuse.holdfast", "/srv/x", &m));
	assert_string_equal(m.point, "/mnt/x");
	assert_errno(mountinfo_find_source(mounts, "fuse.holdfast", "/srv", &m), ENOENT);
	assert_errno(mountinfo_find_source(mounts, "fuse", "/srv/x", &m), ENOENT);
}

static void lines_that_proc_does_not_write_are_refused(void **state)
{
	static const char *const lines[] = {
		"7\n",
		"7 1 254:0 / /\n",
		"7 1 254:0 / / rw\n",
		"7 1 254:0 / / rw shared:1\n",
		"7 1 254:0 / / rw -\n",
		"7 1 254:0 / / rw - \n8 1 254:0 / / rw - ext4 /dev/vda rw\n",
	};
	char line[8192];
	struct mountinfo m;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		print_message("  %s", lines[i]);
		assert_errno(mountinfo_find(lines[i], 7, &m), EBADMSG);
	}
	/* A path that is longer than any. */
	(void)snprintf(line, sizeof(line), "7 1 0:1 / /%04200d rw - ext4 x rw\n", 0);
	assert_errno(mountinfo_find(line, 7, &m), EBADMSG);
}

static struct mountinfo with_options(const char *options)
{
	struct mountinfo m = {.type = "nfs4"};

	(void)snprintf(m.options, sizeof(m.options), "%s", options);
	return m;
}

static struct mountinfo_nfs parsed(const char *options)
{
	struct mountinfo m = with_options(options);
	struct mountinfo_nfs n;

	if (mountinfo_nfs(&m, &n) < 0) {
		fail_msg("%s: refused", options);
	}
	return n;
}

static void what_the_kernel_does_not_show_has_its_default(void **state)
{
	struct mountinfo_nfs n = parsed("rw,vers=4.2");

	(void)state;
	assert_u64(n.major, 4);
	assert_u64(n.minor, 2);
	assert_false(n.is_soft);
	assert_false(n.is_udp);
	assert_false(n.softreval);
	assert_false(n.nocto);
	assert_false(n.noac);
	assert_false(n.local_locks);
	assert_u64(n.timeo_ms, 60000);
	assert_u64(n.retrans, 2);
	assert_u64(n.ac_max_s, 60);
}

static void each_option_is_understood(void **state)
{
	(void)state;
	assert_u64(parsed("vers=3,proto=udp").major, 3);
	assert_true(parsed("vers=3,proto=udp").is_udp);
	assert_true(parsed("vers=3,proto=udp6").is_udp);
	assert_false(parsed("vers=4.1,proto=tcp").is_udp);
	assert_true(parsed("vers=4.1,soft").is_soft);
	assert_true(parsed("vers=4.1,softerr").is_soft);
	assert_false(parsed("vers=4.1,hard,softreval").is_soft);
	assert_true(parsed("vers=4.1,hard,softreval").softreval);
	assert_true(parsed("vers=4.1,nocto").nocto);
	assert_true(parsed("vers=3,nolock,local_lock=all").local_locks);
	assert_true(parsed("vers=4.1,local_lock=flock").local_locks);
	assert_false(parsed("vers=4.1,local_lock=none").local_locks);
	assert_u64(parsed("vers=4.1,timeo=7,retrans=5").timeo_ms, 700);
	assert_u64(parsed("vers=4.1,timeo=7,retrans=5").retrans, 5);
	assert_u64(parsed("vers=4.1,acregmax=90").ac_max_s, 90);
	assert_u64(parsed("vers=4.1,acregmax=3,acdirmax=120").ac_max_s, 120);
	assert_u64(parsed("vers=4.1,acregmax=3,acdirmax=4").ac_max_s, 4);
	assert_true(parsed("vers=4.1,noac").noac);
	assert_u64(parsed("vers=4.1,noac").ac_max_s, 0);
}

static void options_that_are_none_are_refused(void **state)
{
	static const char *const lists[] = {
		"",
		"rw,hard",
		"vers",
		"vers=",
		"vers=5",
		"vers=4.",
		"vers=4.x",
		"vers=4.22",
		"vers=4.2,timeo",
		"vers=4.2,timeo=",
		"vers=4.2,timeo=x",
		"vers=4.2,retrans=-1",
		"vers=4.2,acregmax=99999999999999999999",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct mountinfo m = with_options(lists[i]);
		struct mountinfo_nfs n = {.retrans = 77};

		print_message("  %s\n", lists[i]);
		assert_errno(mountinfo_nfs(&m, &n), EBADMSG);
		assert_u64(n.retrans, 77);
	}
}

static void the_longer_of_two_accounts_of_a_soft_mount_counts(void **state)
{
	static const struct {
		const char *options;
		uint64_t ms;
	} cases[] = {
		{"vers=4.2", UINT64_MAX},
		{"vers=4.2,timeo=1,retrans=0", UINT64_MAX},
		{"vers=4.2,soft", 180000},
		{"vers=4.2,soft,timeo=10,retrans=0", 1000},
		{"vers=4.2,soft,timeo=10,retrans=1", 2000},
		{"vers=4.2,soft,timeo=10,retrans=2", 3000},
		{"vers=4.2,soft,timeo=10,retrans=3", 6000},
		{"vers=3,soft,proto=udp,timeo=11,retrans=0", 1100},
		{"vers=3,soft,proto=udp,timeo=11,retrans=3", 16500},
		/* No overflow, whatever is written there. */
		{"vers=4.2,soft,timeo=4000000000,retrans=4000000000", 489600000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mountinfo_nfs n = parsed(cases[i].options);

		print_message("  %s\n", cases[i].options);
		assert_u64(mountinfo_nfs_gives_up_ms(&n), cases[i].ms);
	}
}

static void the_kind_is_told_by_the_type(void **state)
{
	static const struct {
		const char *type;
		enum mountinfo_kind kind;
	} cases[] = {
		{"ext4", MOUNTINFO_LOCAL},
		{"overlay", MOUNTINFO_LOCAL},
		{"tmpfs", MOUNTINFO_MEMORY},
		{"nfs", MOUNTINFO_NFS},
		{"nfs4", MOUNTINFO_NFS},
		{"ceph", MOUNTINFO_CLUSTER},
		{"fuse.holdfast", MOUNTINFO_HOLDFAST},
		{"fuse.sshfs", MOUNTINFO_OTHER},
		{"ext", MOUNTINFO_OTHER},
		{"", MOUNTINFO_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mountinfo m = {0};

		print_message("  %s\n", cases[i].type);
		(void)snprintf(m.type, sizeof(m.type), "%s", cases[i].type);
		assert_int_equal(mountinfo_kind(&m), cases[i].kind);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mount_is_found_by_its_id),
		cmocka_unit_test(escaped_blanks_and_backslashes_are_read_back),
		cmocka_unit_test(a_mount_is_found_by_type_and_source),
		cmocka_unit_test(lines_that_proc_does_not_write_are_refused),
		cmocka_unit_test(what_the_kernel_does_not_show_has_its_default),
		cmocka_unit_test(each_option_is_understood),
		cmocka_unit_test(options_that_are_none_are_refused),
		cmocka_unit_test(the_longer_of_two_accounts_of_a_soft_mount_counts),
		cmocka_unit_test(the_kind_is_told_by_the_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
