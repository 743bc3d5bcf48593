/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of mount.holdfast, as people and mount(8) call it.  One call in a process. */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define OPTIONS_FUSE_BYTES 512

struct options {
	const char *backing;           /* points into argv */
	const char *mountpoint;        /* points into argv */
	uint64_t timeout_ms;           /* -o heartbeat_timeout=; 0: not given */
	uint64_t poll_ms;              /* -o poll_period=; 0: not given */
	bool images_only;              /* -o images_only */
	bool foreground;               /* -f */
	bool debug;                    /* -d: log level debug */
	bool help;                     /* -h */
	bool version;                  /* -V */
	char fuse[OPTIONS_FUSE_BYTES]; /* ",nodev,…": the options that the kernel's mount knows */
};

extern const char options_usage[];

/* -EINVAL and a line in @reterr. */
int options_parse(int argc, char **argv, struct options *ret, struct err *reterr);

#endif
