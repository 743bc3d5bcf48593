/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/change.h"

#include <errno.h>
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FORMAT_VERSION "1"

void change_hash(const void *bytes, size_t n, char ret[CHANGE_HASH_BYTES])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, n, bytes);
	sha256_digest(&ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++) {
		ret[2 * i] = hex[digest[i] >> 4];
		ret[2 * i + 1] = hex[digest[i] & 15];
	}
	ret[CHANGE_HASH_BYTES - 1] = '\0';
}

int change_format(const struct change *c, char *ret, size_t room)
{
	char body[BASE64_ENCODE_LENGTH(CHANGE_PATCH_MAX) + BASE64_ENCODE_FINAL_LENGTH + 1];
	struct base64_encode_ctx ctx;
	size_t n;
	int length;

	if (c->n > CHANGE_PATCH_MAX) {
		return -E2BIG;
	}
	base64url_encode_init(&ctx);
	n = base64_encode_update(&ctx, body, c->n, c->patch);
	n += base64_encode_final(&ctx, body + n);
	body[n] = '\0';

	length = snprintf(ret, room, FORMAT_VERSION ".%s.%s.%.*s.%s", c->writer, c->nonce,
			  CHANGE_SHORT_HASH, c->parent, body);
	if (length < 0 || length > CHANGE_TARGET_MAX || (size_t)length >= room) {
		return -E2BIG;
	}
	return length;
}

/* Copy the field before the next dot; *text moves behind the dot. */
static bool take_field(const char **text, const char *end, char *ret, size_t room)
{
	const char *dot = memchr(*text, '.', (size_t)(end - *text));
	size_t n;

	if (!dot) {
		return false;
	}
	n = (size_t)(dot - *text);
	if (n == 0 || n >= room) {
		return false;
	}
	memcpy(ret, *text, n);
	ret[n] = '\0';
	*text = dot + 1;
	return true;
}

int change_parse(const char *text, size_t n, struct change *ret)
{
	char again[CHANGE_TARGET_MAX + 1];
	char version[8];
	const char *p = text, *end = text + n;
	struct base64_decode_ctx ctx;
	struct change c = {0};

	if (n > CHANGE_TARGET_MAX || memchr(text, '\0', n)) {
		return -EBADMSG;
	}
	if (!take_field(&p, end, version, sizeof(version)) ||
	    strcmp(version, FORMAT_VERSION) != 0 ||
	    !take_field(&p, end, c.writer, sizeof(c.writer)) || !parse_id_is_valid(c.writer) ||
	    !take_field(&p, end, c.nonce, sizeof(c.nonce)) || !parse_id_is_valid(c.nonce) ||
	    !take_field(&p, end, c.parent, sizeof(c.parent)) ||
	    strlen(c.parent) != CHANGE_SHORT_HASH) {
		return -EBADMSG;
	}
	if (BASE64_DECODE_LENGTH((size_t)(end - p)) > CHANGE_PATCH_MAX + 2) {
		return -EBADMSG;
	}
	c.n = sizeof(c.patch);
	base64url_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &c.n, c.patch, (size_t)(end - p), p) ||
	    !base64_decode_final(&ctx)) {
		return -EBADMSG;
	}
	/* There is one way to write a change: padding and stray bits of base64 included. */
	if (change_format(&c, again, sizeof(again)) != (int)n || memcmp(again, text, n) != 0) {
		return -EBADMSG;
	}
	*ret = c;
	return 0;
}
