/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "ha/properties.h"
#include "unit.h"

/* Each is a file of one entry, as java.util.Properties reads it. */
static const struct {
	const char *text, *key, *value;
} good[] = {
	{"key=value", "key", "value"},
	{"key = value\n", "key", "value"},
	{"key:value\r\n", "key", "value"},
	{"key : value\r", "key", "value"},
	{"key value", "key", "value"},
	{"key\tvalue", "key", "value"},
	{"  key=value", "key", "value"},
	{"key=value  ", "key", "value  "},
	{"key", "key", ""},
	{"key=", "key", ""},
	{"key   \n", "key", ""},
	{"key==value", "key", "=value"},
	{"key = = value", "key", "= value"},
	{"=value", "", "value"},
	{"key=a#b!c", "key", "a#b!c"},
	{"# comment\n! another\n\n \t\nkey=value", "key", "value"},
	{"# no continuation \\\nkey=value", "key", "value"},
	{"a\\=b\\:c\\ d=value", "a=b:c d", "value"},
	{"key=one \\\n    two", "key", "one two"},
	{"key=one \\\r\n\ttwo \\\n three", "key", "one two three"},
	{"k\\\n  ey=value", "key", "value"},
	{"key\\\n  =value", "key", "value"},
	{"key=\\\n  value", "key", "value"},
	{"key=value\\", "key", "value"},
	{"key=value\\\\", "key", "value\\"},
	{"key=a\\\\\n", "key", "a\\"},
	{"key=\\t\\n\\r\\f\\z\\\"", "key", "\t\n\r\fz\""},
	{"key=\\ value", "key", " value"},
	{"key=\\u0041\\u00e9\\u20AC", "key", "A\xc3\xa9\xe2\x82\xac"},
	{"key=\\ud83d\\ude00", "key", "\xf0\x9f\x98\x80"},
	{"\\u006bey=value", "key", "value"},
	{"key=\xc3\xa9", "key", "\xc3\xa9"},
	{"key=first\nkey=second", "key", "second"},
};

static void an_entry_is_read_as_java_reads_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct ha_properties p = {0};
		struct err err = {0};

		print_message("case %s\n", good[i].text);
		assert_ok(ha_properties_parse(&p, good[i].text, strlen(good[i].text), &err));

		assert_u64(p.n, 1);
		assert_string_equal(p.v[0].key, good[i].key);
		assert_string_equal(p.v[0].value, good[i].value);
		ha_properties_done(&p);
	}
}

static void a_file_without_entries_is_empty(void **state)
{
	static const char *const texts[] = {"", "\n", "# only this", " \t\r\n !that\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct ha_properties p = {0};

		assert_ok(ha_properties_parse(&p, texts[i], strlen(texts[i]), NULL));

		assert_u64(p.n, 0);
		ha_properties_done(&p);
	}
}

static const struct {
	const char *text;
	size_t n;
	const char *reason;
} bad[] = {
	{"a=1\nb=\\u12", 10, "line 2"},
	{"b=\\u12g4", 8, "line 1"},
	{"b=\\u", 4, "\\u"},
	{"b=\\u0000", 8, "\\u"},
	{"b=\\ud83d", 8, "\\u"}, /* half of a pair */
	{"b=\\ud83dx", 9, "\\u"},
	{"b=\\ud83d\\u0041", 14, "\\u"},
	{"b=\\ude00\\ud83d", 14, "\\u"}, /* the halves the wrong way round */
	{"a\0b=1", 5, "NUL"},
	{"\0", 1, "NUL"},
};

static void malformed_text_is_refused_with_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ha_properties p = {0};
		struct err err = {0};

		print_message("case %s\n", bad[i].text);
		assert_errno(ha_properties_parse(&p, bad[i].text, bad[i].n, &err), EBADMSG);

		assert_non_null(strstr(err.text, bad[i].reason));
		ha_properties_done(&p);
	}
}

static void a_missing_file_is_named(void **state)
{
	struct ha_properties p = {0};
	struct err err = {0};

	(void)state;
	assert_errno(ha_properties_load(&p, "/nowhere/at.all", &err), ENOENT);

	assert_non_null(strstr(err.text, "/nowhere/at.all"));
	assert_null(ha_properties_get(&p, "key"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_read_as_java_reads_it),
		cmocka_unit_test(a_file_without_entries_is_empty),
		cmocka_unit_test(malformed_text_is_refused_with_its_line),
		cmocka_unit_test(a_missing_file_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
