/* SPDX-License-Identifier: Apache-2.0 */
/* Small values from text.  Pure; any thread.  ret_ is written on success only. */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Node, mount and plane ids, with the terminating NUL. */
#define PARSE_ID_BYTES 64

/*
 * An id: a letter or digit, then letters, digits, '_' or '-', 63 bytes at most.  No dot, so that
 * "<id>.<anything>.tmp" is never an id itself.
 */
bool parse_id_is_valid(const char *text);

/* Decimal digits only, whole text.  -EINVAL, -ERANGE. */
int parse_u64(const char *text, uint64_t *ret_value);

/*
 * A duration as Apache Brooklyn writes it: digits and a unit of ms, s, m, h or d ("500ms", "1m"),
 * in sum at most 366 d.  A bare "0" is allowed, any other number needs its unit.  -EINVAL.
 */
int parse_duration_ms(const char *text, uint64_t *ret_ms);

/* The shortest exact form: "30s", "1500ms", "1m".  @ret has room for @n bytes; 24 are enough. */
void parse_duration_format(uint64_t ms, char *ret, size_t n);

/* "true" or "false", case ignored.  -EINVAL. */
int parse_bool(const char *text, bool *ret_value);

#endif
