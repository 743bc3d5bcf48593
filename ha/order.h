/* SPDX-License-Identifier: Apache-2.0 */
/* `holdfast switchover`, `pause` and `resume`: what an operator orders of the plane. */
#ifndef HA_ORDER_H
#define HA_ORDER_H

/* The exit status; argv[0] is the command's name. */
int ha_switchover_main(int argc, char **argv);
int ha_pause_main(int argc, char **argv);
int ha_resume_main(int argc, char **argv);

#endif
