/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_fail(const char *file, int line, const char *expr)
{
	(void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, expr);
	abort();
}

char *fuzz_text(const uint8_t *data, size_t n)
{
	char *text = strndup((const char *)data, n);

	must(text);
	return text;
}
