/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/pack.h"
#include "tests/unit/unit.h"

#define LONG_BYTES 300000

/* Bytes that repeat, and some that do not. */
static void fill(uint8_t *bytes, size_t n)
{
	uint32_t draw = 1;

	for (size_t i = 0; i < n; i++) {
		draw = draw * 1664525 + 1013904223;
		bytes[i] = i % 16 == 0 ? (uint8_t)(draw >> 24) : 7;
	}
}

static void what_is_packed_comes_out_again(void **state)
{
	static const size_t lengths[] = {0, 1, 4096, 65536, LONG_BYTES};
	static uint8_t bytes[LONG_BYTES];

	(void)state;
	fill(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		_cleanup_free_ void *packed = NULL;
		_cleanup_free_ void *out = NULL;
		size_t n, n_out;

		assert_ok(pack(bytes, lengths[i], &packed, &n));
		assert_ok(unpack(packed, n, LONG_BYTES, &out, &n_out));
		assert_u64(n_out, lengths[i]);
		assert_memory_equal(out, bytes, n_out);
	}
}

static void what_repeats_becomes_shorter(void **state)
{
	static uint8_t bytes[LONG_BYTES];
	_cleanup_free_ void *packed = NULL;
	size_t n;

	(void)state;
	fill(bytes, sizeof(bytes));
	assert_ok(pack(bytes, sizeof(bytes), &packed, &n));
	assert_true(n < sizeof(bytes) / 4);
}

static void more_than_is_allowed_is_refused(void **state)
{
	static uint8_t bytes[LONG_BYTES];
	_cleanup_free_ void *packed = NULL;
	void *out = bytes;
	size_t n, n_out = 4711;

	(void)state;
	assert_ok(pack(bytes, sizeof(bytes), &packed, &n));
	assert_errno(unpack(packed, n, LONG_BYTES - 1, &out, &n_out), EUCLEAN);
	assert_ptr_equal(out, bytes);
	assert_u64(n_out, 4711);
}

static void damage_is_refused_or_changes_nothing(void **state)
{
	uint8_t bytes[600];
	_cleanup_free_ void *packed = NULL;
	uint8_t *p;
	void *out;
	size_t n, n_out;

	(void)state;
	fill(bytes, sizeof(bytes));
	assert_ok(pack(bytes, sizeof(bytes), &packed, &n));
	p = realloc(packed, n + 1);
	assert_non_null(p);
	packed = p;
	p[n] = 0;
	assert_errno(unpack(p, n + 1, LONG_BYTES, &out, &n_out), EUCLEAN);
	for (size_t i = 0; i < n; i++) {
		assert_errno(unpack(p, i, LONG_BYTES, &out, &n_out), EUCLEAN);
		p[i] ^= 0x10;
		/* Behind the last block a few bits may be left that say nothing. */
		if (unpack(p, n, LONG_BYTES, &out, &n_out) == 0) {
			assert_u64(n_out, sizeof(bytes));
			assert_memory_equal(out, bytes, n_out);
			free(out);
		}
		p[i] ^= 0x10;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_packed_comes_out_again),
		cmocka_unit_test(what_repeats_becomes_shorter),
		cmocka_unit_test(more_than_is_allowed_is_refused),
		cmocka_unit_test(damage_is_refused_or_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
