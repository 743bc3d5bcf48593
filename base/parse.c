/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY_MS          86400000ULL
#define DURATION_MAX_MS (366 * DAY_MS)

/* Largest first, for the formatter. */
static const struct unit {
	const char *name;
	uint64_t ms;
} units[] = {{"d", DAY_MS}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

#define UNITS (sizeof(units) / sizeof(units[0]))

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool parse_id_is_valid(const char *text)
{
	size_t n = strnlen(text, PARSE_ID_BYTES);

	if (n == PARSE_ID_BYTES || !is_alnum(text[0])) {
		return false;
	}
	for (size_t i = 1; i < n; i++) {
		if (!is_alnum(text[i]) && text[i] != '_' && text[i] != '-') {
			return false;
		}
	}
	return true;
}

/* Reads leading digits; *ret_end is the first other character. */
static int scan_u64(const char *text, uint64_t *ret_value, const char **ret_end)
{
	uint64_t value = 0;
	const char *p = text;

	if (!is_digit(*p)) {
		return -EINVAL;
	}
	for (; is_digit(*p); p++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value)) {
			return -ERANGE;
		}
	}
	*ret_value = value;
	*ret_end = p;
	return 0;
}

int parse_u64(const char *text, uint64_t *ret_value)
{
	uint64_t value;
	const char *end;
	int r = scan_u64(text, &value, &end);

	if (r < 0) {
		return r;
	}
	if (*end) {
		return -EINVAL;
	}
	*ret_value = value;
	return 0;
}

int parse_duration_ms(const char *text, uint64_t *ret_ms)
{
	uint64_t value;
	const char *unit;

	if (strcmp(text, "0") == 0) {
		*ret_ms = 0;
		return 0;
	}
	if (scan_u64(text, &value, &unit) < 0) {
		return -EINVAL;
	}
	for (size_t i = 0; i < UNITS; i++) {
		if (strcmp(unit, units[i].name) == 0) {
			if (value > DURATION_MAX_MS / units[i].ms) {
				return -EINVAL;
			}
			*ret_ms = value * units[i].ms;
			return 0;
		}
	}
	return -EINVAL;
}

void parse_duration_format(uint64_t ms, char *ret, size_t n)
{
	const struct unit *u = &units[UNITS - 1];

	for (size_t i = 0; i < UNITS && ms != 0; i++) {
		if (ms % units[i].ms == 0) {
			u = &units[i];
			break;
		}
	}
	(void)snprintf(ret, n, "%" PRIu64 "%s", ms / u->ms, u->name);
}

int parse_bool(const char *text, bool *ret_value)
{
	if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0) {
		return -EINVAL;
	}
	*ret_value = strcasecmp(text, "true") == 0;
	return 0;
}
