/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/findings.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

const char *findings_verdict_name(enum finding_verdict verdict)
{
	switch (verdict) {
	case FINDING_OK:
		return "ok";
	case FINDING_WARN:
		return "warn";
	case FINDING_FAIL:
	case FINDING_VERDICT_MAX_:
		break;
	}
	return "fail";
}

/* Names of files go into the texts, and may have any byte in them. */
static void make_printable(char *text)
{
	for (char *p = text; *p; p++) {
		if (iscntrl((unsigned char)*p)) {
			*p = '?';
		}
	}
}

__attribute__((format(printf, 3, 0))) static void add(const struct findings *to, struct finding *f,
						      const char *format, va_list ap)
{
	(void)vsnprintf(f->text, sizeof(f->text), format, ap);
	make_printable(f->text);
	make_printable(f->advice);
	to->add(to->arg, f);
}

void findings_ok(const struct findings *to, const char *item, const char *format, ...)
{
	struct finding f = {.verdict = FINDING_OK};
	va_list ap;

	(void)snprintf(f.item, sizeof(f.item), "%s", item);
	va_start(ap, format);
	add(to, &f, format, ap);
	va_end(ap);
}

void findings_bad(const struct findings *to, enum finding_verdict verdict, const char *item,
		  const char *why, const char *advice, const char *format, ...)
{
	struct finding f = {.verdict = verdict};
	va_list ap;

	(void)snprintf(f.item, sizeof(f.item), "%s", item);
	(void)snprintf(f.why, sizeof(f.why), "%s", why);
	(void)snprintf(f.advice, sizeof(f.advice), "%s", advice);
	va_start(ap, format);
	add(to, &f, format, ap);
	va_end(ap);
}

enum finding_verdict findings_worst(const struct finding *f, size_t n)
{
	enum finding_verdict worst = FINDING_OK;

	for (size_t i = 0; i < n; i++) {
		worst = f[i].verdict > worst ? f[i].verdict : worst;
	}
	return worst;
}

void findings_print(FILE *stream, const struct finding *f)
{
	(void)fprintf(stream, "%-4s  %s: %s\n", findings_verdict_name(f->verdict), f->item,
		      f->text);
	if (f->verdict != FINDING_OK) {
		(void)fprintf(stream, "      why: %s\n      do:  %s\n", f->why, f->advice);
	}
}

/* Names of files need not be UTF-8, and JSON must be. */
static json_t *text_or_null(const char *text)
{
	json_t *value;
	char ascii[FINDING_TEXT_BYTES];

	if (!text[0]) {
		return json_null();
	}
	value = json_string(text);
	if (value) {
		return value;
	}
	(void)snprintf(ascii, sizeof(ascii), "%s", text);
	for (char *p = ascii; *p; p++) {
		if ((unsigned char)*p >= 0x80) {
			*p = '?';
		}
	}
	return json_string(ascii);
}

static json_t *to_json(const struct finding *f)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "verdict", findings_verdict_name(f->verdict),
			 "item", text_or_null(f->item), "finding", text_or_null(f->text), "why",
			 text_or_null(f->why), "advice", text_or_null(f->advice));
}

int findings_print_json(FILE *stream, const char *directory, const struct finding *f, size_t n)
{
	json_auto_t *all = json_array();
	json_auto_t *document = NULL;

	for (size_t i = 0; i < n; i++) {
		if (json_array_append_new(all, to_json(&f[i])) < 0) {
			return -ENOMEM;
		}
	}
	document = json_pack("{s:o, s:s, s:O}", "directory", text_or_null(directory), "verdict",
			     findings_verdict_name(findings_worst(f, n)), "findings", all);
	if (!document) {
		return -ENOMEM;
	}
	return json_dumpf(document, stream, JSON_INDENT(2)) < 0 || fputc('\n', stream) == EOF ? -EIO
											      : 0;
}
