/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *reterr, int code, const char *format, ...)
{
	va_list args;

	if (reterr) {
		va_start(args, format);
		(void)vsnprintf(reterr->text, sizeof(reterr->text), format, args);
		va_end(args);
	}
	return code;
}

int err_wrap(struct err *reterr, int code, const char *format, ...)
{
	char cause[ERR_BYTES];
	va_list args;
	size_t used;

	if (!reterr) {
		return code;
	}
	(void)snprintf(cause, sizeof(cause), "%s",
		       reterr->text[0] ? reterr->text : strerror(-code));
	va_start(args, format);
	(void)vsnprintf(reterr->text, sizeof(reterr->text), format, args);
	va_end(args);
	used = strlen(reterr->text);
	(void)snprintf(reterr->text + used, sizeof(reterr->text) - used, ": %s", cause);
	return code;
}
