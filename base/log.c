/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/systemlog.h"

#define LINE_BYTES 1024

static enum log_level max_level = LOG_INFO; /* set before threads start */
static bool to_syslog;                      /* set before threads start */

void log_set_level(enum log_level max)
{
	max_level = max;
}

void log_to_syslog(const char *ident)
{
	systemlog_open(ident);
	to_syslog = true;
}

void log_line(enum log_level level, const char *mod, const char *msg, const char *keys, ...)
{
	static const char *const names[LOG_LEVEL_MAX_] = {
		[LOG_ERR] = "err", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
	char line[LINE_BYTES];
	va_list args;
	size_t used;

	if (level > max_level) {
		return;
	}
	(void)snprintf(line, sizeof(line) - 1, "level=%s mod=%s msg=\"%s\"", names[level], mod,
		       msg);
	used = strlen(line);
	if (keys[0] && used < sizeof(line) - 2) {
		line[used++] = ' ';
		va_start(args, keys);
		(void)vsnprintf(line + used, sizeof(line) - 1 - used, keys, args);
		va_end(args);
		used = strlen(line);
	}
	/* A value may come from the share; one event stays one line. */
	for (size_t i = 0; i < used; i++) {
		if ((unsigned char)line[i] < ' ') {
			line[i] = ' ';
		}
	}
	if (to_syslog) {
		line[used] = '\0';
		systemlog_write(level, line);
		return;
	}
	line[used] = '\n';
	(void)!write(STDERR_FILENO, line, used + 1);
}
