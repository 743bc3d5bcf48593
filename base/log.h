/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event, one line on stderr (or to syslog), key=value:
 *
 *	level=warn mod=fs msg="commit failed, retrying" error=EIO generation=12
 *
 * Only shells log (the mains, fs/plane.c, ha/agent.c and its ha/announce.c, ha/keeper.c and what
 * keepers run, rest/server.c).  Whoever handles an error logs it; whoever passes it on does not.
 * Any thread; a line is written with one write(2).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level {
	LOG_ERR,   /* the operator must act */
	LOG_WARN,  /* we coped; the message ends in ", retrying" or ", ignoring" */
	LOG_INFO,  /* role changes, start, stop, configuration */
	LOG_DEBUG, /* off unless asked for */
	LOG_LEVEL_MAX_,
};

/* Lines above this level are dropped.  LOG_INFO at start.  Set before threads start. */
void log_set_level(enum log_level max);

/* From now on to syslog(3), facility daemon.  Set before threads start. */
void log_to_syslog(const char *ident);

/* @keys is a printf format for the key=value part and may be "". */
void log_line(enum log_level level, const char *mod, const char *msg, const char *keys, ...)
	__attribute__((format(printf, 4, 5)));

#endif
