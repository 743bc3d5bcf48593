/* SPDX-License-Identifier: Apache-2.0 */
/* `holdfast fence`: an operator vouches that a machine is off, and its leases are free at once. */
#ifndef HA_FENCE_H
#define HA_FENCE_H

/*
 * The process's exit status: 0 the node is fenced, 1 the command line is wrong or the operator did
 * not consent, 2 it failed.
 */
int ha_fence_main(int argc, char **argv);

#endif
