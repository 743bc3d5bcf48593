/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this process start on that directory with these settings?  Reads only.  Called by the main
 * thread before anything is started; it may block if the share hangs.
 */
#ifndef HA_PREFLIGHT_H
#define HA_PREFLIGHT_H

#include "base/err.h"

struct ha_dir;
struct ha_settings;
struct ha_snapshot;

/*
 * 0: *ret_dir and *ret_plane are the caller's, and NULL if high availability is disabled.
 * Otherwise -errno and, in @reterr, what is wrong with the configuration.
 */
int ha_preflight(const struct ha_settings *s, const char *node_id, struct ha_dir **ret_dir,
		 struct ha_snapshot **ret_plane, struct err *reterr);

#endif
