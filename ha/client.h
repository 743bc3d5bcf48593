/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands have in common that order something of the plane: they write an object to a
 * file of a mount of this machine, by ordinary file operations.  Blocks; one thread.
 */
#ifndef HA_CLIENT_H
#define HA_CLIENT_H

#include "base/err.h"

struct ha_snapshot;

#define HA_CLIENT_USER_BYTES 64 /* with the NUL, as the mount takes it */

/* The exit statuses of such a command. */
enum ha_client_exit {
	HA_CLIENT_DONE = 0,
	HA_CLIENT_COMMAND_LINE = 1,
	HA_CLIENT_FAILED = 2,
};

/*
 * The root of the mount at @path, or of the only one there is (NULL).  -ENODEV: it is none, or
 * there is none; -ENOTUNIQ: there are several.
 */
int ha_client_open(const char *path, int *ret_fd, struct err *reterr);

/* One reading of plane.json. */
int ha_client_read_plane(int mount_fd, struct ha_snapshot **ret, struct err *reterr);

/* Write @text to `.holdfast/@file` and commit it: the mount's answer. */
int ha_client_order(int mount_fd, const char *file, const char *text);

/* What every file answers with, in the operator's words. */
const char *ha_client_explain(int r);

/* Who types this: "user@host". */
void ha_client_format_user(char ret[HA_CLIENT_USER_BYTES]);

#endif
