/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "fs/names.h"
#include "fs/vattr.h"
#include "tests/unit/unit.h"

#define TIMEOUT "user.holdfast.timeout_ms"

static int set_on(enum inode_kind kind, const char *name, const char *value, size_t n,
		  struct request *ret)
{
	const struct named file = {.inode = {.kind = kind}, .name = "x"};

	return vattr_to_request(&file.inode, name, value, n, ret);
}

static void the_timeout_of_a_lease_can_be_set(void **state)
{
	struct request q;

	(void)state;
	assert_ok(set_on(INODE_LEASE, TIMEOUT, "2000", 4, &q));
	assert_int_equal(q.verb, REQUEST_SET_TIMEOUT);
	assert_string_equal(q.name, "x");
	assert_u64(q.timeout_ms, 2000);
	assert_ok(set_on(INODE_LEASE, TIMEOUT, "0", 1, &q));
	assert_u64(q.timeout_ms, 0);
}

static void a_timeout_that_is_no_number_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} values[] = {
		{"", 0},
		{"2s", 2},
		{"-1", 2},
		{" 1", 2},
		{"1\n", 2},
		{"2000\0", 5},
		{"20\0"
		 "00",
		 5},
		{"99999999999999999999999999999999", 32},
	};
	struct request q = {.verb = REQUEST_DUMP};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_errno(set_on(INODE_LEASE, TIMEOUT, values[i].text, values[i].n, &q), EINVAL);
	}
	assert_int_equal(q.verb, REQUEST_DUMP);
}

static void nothing_else_can_be_set(void **state)
{
	static const struct {
		enum inode_kind kind;
		const char *name;
	} attributes[] = {
		{INODE_LEASE, "user.holdfast.epoch"},
		{INODE_LEASE, "user.holdfast.holder"},
		{INODE_LEASE, "user.other"},
		{INODE_MASTER, TIMEOUT},
		{INODE_PASS, "user.holdfast.version"},
		{INODE_PASS, TIMEOUT},
		{INODE_RECORD, TIMEOUT},
	};
	struct request q = {.verb = REQUEST_DUMP};

	(void)state;
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
		assert_errno(set_on(attributes[i].kind, attributes[i].name, "2000", 4, &q), EPERM);
	}
	assert_int_equal(q.verb, REQUEST_DUMP);
}

static void a_further_lease_has_the_attributes_of_master(void **state)
{
	char of_master[XATTR_LIST_MAX], of_lease[XATTR_LIST_MAX];
	const struct inode master = {.kind = INODE_MASTER}, lease = {.kind = INODE_LEASE};
	size_t n = vattr_list(&master, of_master);

	(void)state;
	assert_true(n > 0);
	assert_u64(vattr_list(&lease, of_lease), n);
	assert_memory_equal(of_lease, of_master, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_timeout_of_a_lease_can_be_set),
		cmocka_unit_test(a_timeout_that_is_no_number_is_refused),
		cmocka_unit_test(nothing_else_can_be_set),
		cmocka_unit_test(a_further_lease_has_the_attributes_of_master),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
