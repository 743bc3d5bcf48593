/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's side of GET /v1/server/ha/states: what the answer says, as a table for people.  No
 * network; any thread.
 */
#ifndef HA_STATES_H
#define HA_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct json_t;

/* -EBADMSG: the text is no such answer.  *ret is released with json_decref(). */
int ha_states_parse(const char *text, size_t n, struct json_t **ret);

/* Does the plane have a master whose status is MASTER? */
bool ha_states_has_master(const struct json_t *states);

/*
 * One line for each node.  "Last seen" counts back from the newest commit of any node, all by the
 * storage server's clock, so that no two clocks are compared.
 */
void ha_states_print(const struct json_t *states, FILE *out);

#endif
