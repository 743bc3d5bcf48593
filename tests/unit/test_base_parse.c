/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/parse.h"
#include "tests/unit/unit.h"

#define CHARS_63 "a23456789012345678901234567890123456789012345678901234567890123"

static void ids_are_letters_digits_underscores_and_hyphens(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{"a", true},      {"7", true},      {"XkJeXUXE", true}, {"a-b_c", true},
		{CHARS_63, true}, {"", false},      {"-a", false},      {"_a", false},
		{"a.b", false},   {"a.tmp", false}, {"a/b", false},     {"a b", false},
		{"..", false},    {"ä", false},     {"a\n", false},     {CHARS_63 "4", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  \"%s\"\n", cases[i].text);
		assert_int_equal(parse_id_is_valid(cases[i].text), cases[i].valid);
	}
}

static void numbers_are_decimal_digits_and_nothing_else(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t value;
	} cases[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 42;

		print_message("  \"%s\"\n", cases[i].text);
		assert_int_equal(parse_u64(cases[i].text, &value), cases[i].result);
		assert_u64(value, cases[i].result == 0 ? cases[i].value : 42);
	}
}

static void durations_are_digits_and_a_unit(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t ms;
	} cases[] = {
		{"0", 0, 0},
		{"0s", 0, 0},
		{"500ms", 0, 500},
		{"30s", 0, 30000},
		{"1m", 0, 60000},
		{"2h", 0, 7200000},
		{"366d", 0, 366 * 86400000ULL},
		{"367d", -EINVAL, 0},
		{"99999999999999999999s", -EINVAL, 0},
		{"30", -EINVAL, 0},
		{"00", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"-1s", -EINVAL, 0},
		{"1.5s", -EINVAL, 0},
		{"1 s", -EINVAL, 0},
		{"1S", -EINVAL, 0},
		{"1s ", -EINVAL, 0},
		{"1m30s", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ms = 42;

		print_message("  \"%s\"\n", cases[i].text);
		assert_int_equal(parse_duration_ms(cases[i].text, &ms), cases[i].result);
		assert_u64(ms, cases[i].result == 0 ? cases[i].ms : 42);
	}
}

static void a_duration_is_shown_in_the_largest_unit_that_is_exact(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {
		{0, "0ms"},     {1, "1ms"},      {1500, "1500ms"}, {30000, "30s"},    {60000, "1m"},
		{90000, "90s"}, {7200000, "2h"}, {86400000, "1d"}, {90000000, "25h"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[24];
		uint64_t again;

		parse_duration_format(cases[i].ms, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
		assert_ok(parse_duration_ms(text, &again));
		assert_u64(again, cases[i].ms);
	}
}

static void truth_is_spelt_out_in_any_case(void **state)
{
	static const struct {
		const char *text;
		int result;
		bool value;
	} cases[] = {
		{"true", 0, true},   {"TRUE", 0, true},         {"false", 0, false},
		{"False", 0, false}, {"yes", -EINVAL, false},   {"1", -EINVAL, 0},
		{"", -EINVAL, 0},    {"true ", -EINVAL, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool value = true;

		print_message("  \"%s\"\n", cases[i].text);
		assert_int_equal(parse_bool(cases[i].text, &value), cases[i].result);
		assert_int_equal(value, cases[i].result == 0 ? cases[i].value : true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_letters_digits_underscores_and_hyphens),
		cmocka_unit_test(numbers_are_decimal_digits_and_nothing_else),
		cmocka_unit_test(durations_are_digits_and_a_unit),
		cmocka_unit_test(a_duration_is_shown_in_the_largest_unit_that_is_exact),
		cmocka_unit_test(truth_is_spelt_out_in_any_case),
	};

	return cmocka_run_group_tests_name("base/parse", tests, NULL, NULL);
}
