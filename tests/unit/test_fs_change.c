/* SPDX-License-Identifier: Apache-2.0 */
/* fs/change.c: there is one way to write a change, and everything else is refused. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "fs/change.h"
#include "tests/unit/unit.h"

#define PARENT "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD   "1.AbCdEfGh.xY12ab34.0123456789abcdef."

static struct change sample(size_t n)
{
	struct change c = {.writer = "AbCdEfGh", .nonce = "xY12ab34", .parent = PARENT, .n = n};

	for (size_t i = 0; i < n; i++) {
		c.patch[i] = (uint8_t)(i * 7 + 251);
	}
	return c;
}

static void assert_refused(const char *text, size_t n)
{
	struct change untouched = {.n = 4711};

	if (change_parse(text, n, &untouched) != -EBADMSG) {
		fail_msg("taken: %.*s", (int)n, text);
	}
	assert_u64(untouched.n, 4711);
}

static void every_patch_length_comes_back_as_it_was(void **state)
{
	char text[CHANGE_TARGET_MAX + 1];

	(void)state;
	for (size_t n = 0; n < 700; n++) {
		struct change c = sample(n), back;
		int length = change_format(&c, text, sizeof(text));

		assert_ok(length);
		assert_u64(strlen(text), (uint64_t)length);
		assert_ok(change_parse(text, (size_t)length, &back));
		assert_string_equal(back.writer, c.writer);
		assert_string_equal(back.nonce, c.nonce);
		assert_u64(strlen(back.parent), CHANGE_SHORT_HASH);
		assert_memory_equal(back.parent, c.parent, CHANGE_SHORT_HASH);
		assert_u64(back.n, n);
		assert_memory_equal(back.patch, c.patch, n);
	}
}

/* docs/PROTOCOL.md promises these bytes to other programs. */
static void the_text_is_the_one_of_the_protocol(void **state)
{
	struct change c = sample(3);
	char text[CHANGE_TARGET_MAX + 1];

	(void)state;
	assert_ok(change_format(&c, text, sizeof(text)));
	assert_string_equal(text, HEAD "-wIJ");
}

static void a_hash_is_sha_256_in_hex(void **state)
{
	char hash[CHANGE_HASH_BYTES];

	(void)state;
	/* FIPS 180-2, appendix B.1. */
	change_hash("abc", 3, hash);
	assert_string_equal(hash,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void the_longest_target_is_taken_and_one_byte_more_is_too_big(void **state)
{
	char text[CHANGE_TARGET_MAX + 1];
	size_t longest = 0;
	struct change c;

	(void)state;
	/* base64 grows by four characters for three bytes, so not every length occurs. */
	for (size_t n = 0; n <= CHANGE_PATCH_MAX; n++) {
		c = sample(n);
		if (change_format(&c, text, sizeof(text)) > 0) {
			longest = n;
		}
	}
	c = sample(longest);
	assert_true(change_format(&c, text, sizeof(text)) > CHANGE_TARGET_MAX - 4);
	assert_true(change_format(&c, text, sizeof(text)) <= CHANGE_TARGET_MAX);
	c = sample(longest + 1);
	assert_errno(change_format(&c, text, sizeof(text)), E2BIG);

	/* Longer ids leave less for the patch, to the byte. */
	c = sample(longest);
	(void)memset(c.writer, 'a', sizeof(c.writer) - 1);
	assert_errno(change_format(&c, text, sizeof(text)), E2BIG);

	c = sample(0);
	c.n = CHANGE_PATCH_MAX + 1;
	assert_errno(change_format(&c, text, sizeof(text)), E2BIG);
}

static void a_target_of_exactly_the_limit_is_taken(void **state)
{
	char text[CHANGE_TARGET_MAX + 2];
	struct change c = sample(716), back;
	int length = change_format(&c, text, CHANGE_TARGET_MAX + 1);

	(void)state;
	assert_ok(length);
	for (int missing = CHANGE_TARGET_MAX - length; missing > 0; missing--) {
		c.writer[strlen(c.writer)] = 'w';
	}
	assert_int_equal(change_format(&c, text, CHANGE_TARGET_MAX + 1), CHANGE_TARGET_MAX);
	assert_ok(change_parse(text, CHANGE_TARGET_MAX, &back));

	c.writer[strlen(c.writer)] = 'w';
	assert_errno(change_format(&c, text, sizeof(text)), E2BIG);
}

static void a_text_does_not_overrun_its_room(void **state)
{
	struct change c = sample(30);
	char text[CHANGE_TARGET_MAX + 1];
	int length = change_format(&c, text, sizeof(text));

	(void)state;
	assert_ok(length);
	assert_errno(change_format(&c, text, (size_t)length), E2BIG);
	assert_ok(change_format(&c, text, (size_t)length + 1));
}

static void no_proper_prefix_is_a_change_of_the_same_patch(void **state)
{
	struct change c = sample(30), back;
	char text[CHANGE_TARGET_MAX + 1];
	size_t n, head = strlen(HEAD);

	(void)state;
	assert_ok(change_format(&c, text, sizeof(text)));
	n = strlen(text);
	for (size_t cut = 0; cut < head; cut++) {
		assert_refused(text, cut);
	}
	/*
	 * Where base64 ends a group of four, a prefix is another, shorter change: the patch tells.
	 */
	for (size_t cut = head; cut < n; cut++) {
		if ((cut - head) % 4 != 0) {
			assert_refused(text, cut);
		} else {
			assert_ok(change_parse(text, cut, &back));
			assert_u64(back.n, (cut - head) / 4 * 3);
		}
	}
}

static void a_character_that_cannot_stand_there_is_refused(void **state)
{
	struct change c = sample(32);
	char text[CHANGE_TARGET_MAX + 1];
	size_t n;

	(void)state;
	assert_ok(change_format(&c, text, sizeof(text)));
	n = strlen(text);
	for (size_t i = 0; i < n; i++) {
		static const char bad[] = {'\0', '\n', ' ', '.', '/', '+', '=', (char)0xff};

		for (size_t k = 0; k < sizeof(bad); k++) {
			char keep = text[i];

			if (keep != bad[k]) {
				/*
				 * The hash is opaque: whether it is the parent's is for the chain
				 * to say.
				 */
				bool in_hash = i >= n - 44 - CHANGE_SHORT_HASH - 1 && i < n - 45;

				text[i] = bad[k];
				if (!in_hash || bad[k] == '\0' || bad[k] == '.') {
					assert_refused(text, n);
				}
			}
			text[i] = keep;
		}
	}
}

static void texts_that_are_no_change_are_refused(void **state)
{
	static const char long_id[] =
		"a123456789b123456789c123456789d123456789e123456789f123456789g123";
	static const char *const texts[] = {
		"",
		"1",
		"....",
		"0.AbCdEfGh.xY12ab34.0123456789abcdef.AAAA",
		"2.AbCdEfGh.xY12ab34.0123456789abcdef.AAAA",
		"01.AbCdEfGh.xY12ab34.0123456789abcdef.AAAA",
		"11111111.AbCdEfGh.xY12ab34.0123456789abcdef.AAAA",
		".AbCdEfGh.xY12ab34.0123456789abcdef.AAAA",
		/* ids */
		"1..xY12ab34.0123456789abcdef.AAAA",
		"1.-bCdEfGh.xY12ab34.0123456789abcdef.AAAA",
		"1.AbCd/fGh.xY12ab34.0123456789abcdef.AAAA",
		"1.AbCdEfGh..0123456789abcdef.AAAA",
		"1.AbCdEfGh._Y12ab34.0123456789abcdef.AAAA",
		"1.AbCdEfGh.xY12 b34.0123456789abcdef.AAAA",
		/* the parent's hash */
		"1.AbCdEfGh.xY12ab34..AAAA",
		"1.AbCdEfGh.xY12ab34.0123456789abcde.AAAA",
		"1.AbCdEfGh.xY12ab34.0123456789abcdef0.AAAA",
		/* fields */
		"1.AbCdEfGh.xY12ab34.0123456789abcdef",
		"1.AbCdEfGh.xY12ab34.0123456789abcdef.AAAA.AAAA",
		/* base64: wrong padding, stray bits, the other alphabet, white space */
		HEAD "AA",
		HEAD "AA=",
		HEAD "AA===",
		HEAD "AAA",
		HEAD "AAAA=",
		HEAD "AAAA====",
		HEAD "AA==AAAA",
		HEAD "AB==",
		HEAD "AAB=",
		HEAD "AA+A",
		HEAD "AA/A",
		HEAD "AAAA\n",
		HEAD " AAAA",
		HEAD "AA AA",
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_refused(texts[i], strlen(texts[i]));
	}
	assert_u64(strlen(long_id), PARSE_ID_BYTES);
	(void)snprintf(text, sizeof(text), "1.%s.xY12ab34.0123456789abcdef.AAAA", long_id);
	assert_refused(text, strlen(text));
	(void)snprintf(text, sizeof(text), "1.AbCdEfGh.%s.0123456789abcdef.AAAA", long_id);
	assert_refused(text, strlen(text));
}

static void a_text_longer_than_a_target_may_be_is_refused(void **state)
{
	char text[4096];
	size_t head;

	(void)state;
	(void)memset(text, 'A', sizeof(text));
	(void)memcpy(text, HEAD, sizeof(HEAD) - 1);
	assert_refused(text, CHANGE_TARGET_MAX + 1);
	assert_refused(text, sizeof(text));

	/* Well-formed but for its length: the ids make up what base64's groups leave. */
	(void)snprintf(text, sizeof(text), "1.%s.%s.0123456789abcdef.", "AbCdEfGhIjKl", "xY12ab34");
	head = strlen(text);
	(void)memset(text + head, 'A', sizeof(text) - head);
	assert_u64((CHANGE_TARGET_MAX + 1 - head) % 4, 0);
	assert_refused(text, CHANGE_TARGET_MAX + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_patch_length_comes_back_as_it_was),
		cmocka_unit_test(the_text_is_the_one_of_the_protocol),
		cmocka_unit_test(a_hash_is_sha_256_in_hex),
		cmocka_unit_test(the_longest_target_is_taken_and_one_byte_more_is_too_big),
		cmocka_unit_test(a_target_of_exactly_the_limit_is_taken),
		cmocka_unit_test(a_text_does_not_overrun_its_room),
		cmocka_unit_test(no_proper_prefix_is_a_change_of_the_same_patch),
		cmocka_unit_test(a_character_that_cannot_stand_there_is_refused),
		cmocka_unit_test(texts_that_are_no_change_are_refused),
		cmocka_unit_test(a_text_longer_than_a_target_may_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
