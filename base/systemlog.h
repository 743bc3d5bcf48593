/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syslog(3) for base/log.c, in a file of its own: its header takes the names of our levels.  Any
 * thread.
 */
#ifndef BASE_SYSTEMLOG_H
#define BASE_SYSTEMLOG_H

/* @ident must outlive the process. */
void systemlog_open(const char *ident);

/* @level is an enum log_level. */
void systemlog_write(unsigned level, const char *line);

#endif
