/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `holdfast doctor` finds: a list of findings, each of them with a verdict, and for what is
 * not well why that matters and what to do.  It prints them; it judges nothing.
 *
 * A finding has no pointers, so that it can be sent through a pipe.  One thread.
 */
#ifndef FS_FINDINGS_H
#define FS_FINDINGS_H

#include <stddef.h>
#include <stdio.h>

enum finding_verdict {
	FINDING_OK,
	FINDING_WARN,
	FINDING_FAIL,
	FINDING_VERDICT_MAX_,
};

#define FINDING_ITEM_BYTES 32
#define FINDING_TEXT_BYTES 600

struct finding {
	enum finding_verdict verdict;
	char item[FINDING_ITEM_BYTES];
	char text[FINDING_TEXT_BYTES];
	char why[FINDING_TEXT_BYTES];    /* why it matters; "" if it is well */
	char advice[FINDING_TEXT_BYTES]; /* what to do; "" if it is well */
};

/* Where findings go. */
struct findings {
	void (*add)(void *arg, const struct finding *f);
	void *arg;
};

void findings_ok(const struct findings *to, const char *item, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* FINDING_WARN or FINDING_FAIL. */
void findings_bad(const struct findings *to, enum finding_verdict verdict, const char *item,
		  const char *why, const char *advice, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* The worst of them; FINDING_OK if there is none. */
enum finding_verdict findings_worst(const struct finding *f, size_t n);

/* "ok", "warn" or "fail". */
const char *findings_verdict_name(enum finding_verdict verdict);

/* One line, and for what is not well two more.  Control characters of names become '?'. */
void findings_print(FILE *stream, const struct finding *f);

/*
 * All of them as one JSON document: {"directory", "verdict", "findings": [{"verdict", "item",
 * "finding", "why", "advice"}]}; the last two are null where it is well.  -ENOMEM, -EIO.
 */
int findings_print_json(FILE *stream, const char *directory, const struct finding *f, size_t n);

#endif
