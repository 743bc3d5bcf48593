/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread that waits in poll(2) for plane.json to change, so that the agent reads the plane when
 * there is something new and not only when a poll is due.
 *
 * It says that there is news, never what: it may come late, for nothing, or not at all (the mount
 * is gone, hangs, or cannot tell), and whoever listens must do without.  A few times a poll period
 * at the most, whatever the file does.
 *
 * All functions are for one other thread, the agent's; none of them blocks but ha_watch_stop().
 */
#ifndef HA_WATCH_H
#define HA_WATCH_H

#include <stdint.h>

struct ha_watch;

/* Watch the persistence directory @dir.  -errno. */
int ha_watch_start(const char *dir, uint64_t poll_ms, struct ha_watch **ret);

/* A descriptor for poll(2): readable when there is news. */
int ha_watch_fd(const struct ha_watch *w);

/* The news is taken; the descriptor is quiet until there is more. */
void ha_watch_take(struct ha_watch *w);

/*
 * End the thread and free everything.  -ETIMEDOUT: it is still held by the mount after @wait_ms;
 * nothing is freed, and only _exit(2) ends it.
 */
int ha_watch_stop(struct ha_watch *w, uint64_t wait_ms);

#endif
