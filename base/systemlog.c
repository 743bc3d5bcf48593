/* SPDX-License-Identifier: Apache-2.0 */
#include "base/systemlog.h"

#include <syslog.h>

void systemlog_open(const char *ident)
{
	openlog(ident, LOG_PID, LOG_DAEMON);
}

void systemlog_write(unsigned level, const char *line)
{
	/* In the order of enum log_level. */
	static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

	syslog(priorities[level], "%s", line);
}
