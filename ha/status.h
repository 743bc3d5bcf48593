/* SPDX-License-Identifier: Apache-2.0 */
/* `holdfast status`: asks the servers in turn until one answers. */
#ifndef HA_STATUS_H
#define HA_STATUS_H

/*
 * The process's exit status: 0 there is a master, 1 there is none (or bad usage), 2 nobody answers.
 */
int ha_status_main(int argc, char **argv);

#endif
