/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One program for each target: fuzz_<target>.c defines what is done with one input.  libFuzzer's
 * main() makes the inputs (tests/fuzz/run), or that of replay.c feeds it those that are kept.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's name for it.  Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What holds for every input.  Not assert(): it says that an input was found, and of which kind. */
#define must(expr)                                                                                 \
	do {                                                                                       \
		if (!(expr)) {                                                                     \
			fuzz_fail(__FILE__, __LINE__, #expr);                                      \
		}                                                                                  \
	} while (0)

void fuzz_fail(const char *file, int line, const char *expr) __attribute__((noreturn));

/* The input as a string, ending at its first NUL.  malloc'd, and not a byte longer. */
char *fuzz_text(const uint8_t *data, size_t n);

#endif
