/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/properties.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

#define FILE_MAX_BYTES (1U << 20)

#define SURROGATE_HIGH 0xd800U
#define SURROGATE_LOW  0xdc00U
#define SURROGATE_END  0xe000U

/* Where the parser is.  The text ends with a NUL, which no token contains. */
struct cursor {
	const char *at;
	unsigned line;
};

void ha_properties_done(struct ha_properties *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].key);
		free(p->v[i].value);
	}
	free(p->v);
	*p = (struct ha_properties){0};
}

static struct ha_property *find(const struct ha_properties *p, const char *key)
{
	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(p->v[i].key, key) == 0) {
			return &p->v[i];
		}
	}
	return NULL;
}

int ha_properties_set(struct ha_properties *p, const char *key, const char *value)
{
	struct ha_property *there = find(p, key), *bigger;
	_cleanup_free_ char *new_key = NULL, *new_value = strdup(value);

	if (!new_value) {
		return -ENOMEM;
	}
	if (there) {
		free(there->value);
		there->value = take_ptr(new_value);
		return 0;
	}
	new_key = strdup(key);
	bigger = realloc(p->v, (p->n + 1) * sizeof(p->v[0]));
	if (bigger) {
		p->v = bigger;
	}
	if (!new_key || !bigger) {
		return -ENOMEM;
	}
	p->v[p->n++] = (struct ha_property){.key = take_ptr(new_key), .value = take_ptr(new_value)};
	return 0;
}

const char *ha_properties_get(const struct ha_properties *p, const char *key)
{
	const struct ha_property *there = find(p, key);

	return there ? there->value : NULL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

static bool is_newline(char c)
{
	return c == '\n' || c == '\r';
}

static void skip_blanks(struct cursor *c)
{
	while (is_blank(*c->at)) {
		c->at++;
	}
}

/* Over one line end: LF, CR or both. */
static void skip_newline(struct cursor *c)
{
	if (c->at[0] == '\r' && c->at[1] == '\n') {
		c->at++;
	}
	c->at++;
	c->line++;
}

/* Over backslash, line end and the next line's indentation, as often as they come. */
static void skip_continuations(struct cursor *c)
{
	while (c->at[0] == '\\' && is_newline(c->at[1])) {
		c->at++;
		skip_newline(c);
		skip_blanks(c);
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hex digits: one UTF-16 unit. */
static int scan_unit(struct cursor *c, uint32_t *ret)
{
	uint32_t unit = 0;

	for (unsigned i = 0; i < 4; i++) {
		int digit = hex_value(*c->at);

		if (digit < 0) {
			return -EBADMSG;
		}
		unit = unit << 4 | (uint32_t)digit;
		c->at++;
	}
	*ret = unit;
	return 0;
}

/* What follows "\u": a character, perhaps in two units. */
static int scan_unicode(struct cursor *c, uint32_t *ret)
{
	uint32_t high, low;

	if (scan_unit(c, &high) < 0 || high == 0) {
		return -EBADMSG;
	}
	if (high < SURROGATE_HIGH || high >= SURROGATE_END) {
		*ret = high;
		return 0;
	}
	if (high >= SURROGATE_LOW || c->at[0] != '\\' || c->at[1] != 'u') {
		return -EBADMSG;
	}
	c->at += 2;
	if (scan_unit(c, &low) < 0 || low < SURROGATE_LOW || low >= SURROGATE_END) {
		return -EBADMSG;
	}
	*ret = 0x10000 + ((high - SURROGATE_HIGH) << 10) + (low - SURROGATE_LOW);
	return 0;
}

/* At most 4 bytes, never more than the 6 of the escape. */
static char *put_utf8(char *to, uint32_t ch)
{
	if (ch < 0x80) {
		*to++ = (char)ch;
		return to;
	}
	if (ch < 0x800) {
		*to++ = (char)(0xc0 | ch >> 6);
	} else {
		if (ch < 0x10000) {
			*to++ = (char)(0xe0 | ch >> 12);
		} else {
			*to++ = (char)(0xf0 | ch >> 18);
			*to++ = (char)(0x80 | (ch >> 12 & 0x3f));
		}
		*to++ = (char)(0x80 | (ch >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (ch & 0x3f));
	return to;
}

/* After a backslash that ends no line.  At the end of the text it stands for nothing. */
static int scan_escape(struct cursor *c, char **to)
{
	static const char letters[] = "tnrf", meant[] = "\t\n\r\f";
	const char *known = *c->at ? strchr(letters, *c->at) : NULL;
	uint32_t ch;
	int r;

	if (!*c->at) {
		return 0;
	}
	if (*c->at == 'u') {
		c->at++;
		r = scan_unicode(c, &ch);
		if (r == 0) {
			*to = put_utf8(*to, ch);
		}
		return r;
	}
	*(*to)++ = (char)(known ? meant[known - letters] : *c->at);
	c->at++;
	return 0;
}

/* A key ends at a separator, a value with the line.  @to has room for what is left of the text. */
static int scan_token(struct cursor *c, bool is_key, char *to)
{
	for (;;) {
		skip_continuations(c);
		if (!*c->at || is_newline(*c->at)) {
			break;
		}
		if (is_key && (*c->at == '=' || *c->at == ':' || is_blank(*c->at))) {
			break;
		}
		if (*c->at == '\\') {
			int r;

			c->at++;
			r = scan_escape(c, &to);
			if (r < 0) {
				return r;
			}
		} else {
			*to++ = *c->at++;
		}
	}
	*to = '\0';
	return 0;
}

/* Blanks, at most one '=' or ':', blanks. */
static void skip_separator(struct cursor *c)
{
	skip_blanks(c);
	skip_continuations(c);
	if (*c->at == '=' || *c->at == ':') {
		c->at++;
		skip_blanks(c);
	}
}

static void skip_comment(struct cursor *c)
{
	while (*c->at && !is_newline(*c->at)) {
		c->at++;
	}
}

int ha_properties_parse(struct ha_properties *p, const char *text, size_t n, struct err *reterr)
{
	_cleanup_free_ char *copy = malloc(n + 1), *key = malloc(n + 1), *value = malloc(n + 1);
	struct cursor c = {.line = 1};
	int r;

	if (!copy || !key || !value) {
		return -ENOMEM;
	}
	memcpy(copy, text, n);
	copy[n] = '\0';
	if (strlen(copy) != n) {
		return err_set(reterr, -EBADMSG, "there is a NUL byte in it");
	}
	for (c.at = copy; *c.at;) {
		skip_blanks(&c);
		if (*c.at == '#' || *c.at == '!') {
			skip_comment(&c);
		}
		if (is_newline(*c.at)) {
			skip_newline(&c);
			continue;
		}
		if (!*c.at) {
			break;
		}
		r = scan_token(&c, true, key);
		if (r == 0) {
			skip_separator(&c);
			r = scan_token(&c, false, value);
		}
		if (r < 0) {
			return err_set(reterr, r, "line %u: malformed \\u escape", c.line);
		}
		r = ha_properties_set(p, key, value);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

int ha_properties_load(struct ha_properties *p, const char *path, struct err *reterr)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = io_read_file(AT_FDCWD, path, FILE_MAX_BYTES, &text, &n);

	if (r == 0) {
		r = ha_properties_parse(p, text, n, reterr);
	}
	return r < 0 ? err_wrap(reterr, r, "%s", path) : 0;
}
