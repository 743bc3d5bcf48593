/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a mount that wants to publish should wait, so that others come to their turn, and so that
 * those who race waste little.
 *
 * Whoever lost a race has to read what won it before the next one, and reading can cost more than
 * publishing: over NFS four calls to one.  Two mounts that publish as fast as they can would never
 * take turns: one was starved completely when this was measured.  And of many who try for each
 * generation all but one work in vain.
 *
 * So they take turns in the order that the log itself tells to everybody: after a generation of its
 * own a mount waits until as many different others have published as did between its last two.
 * While it waits it looks now and then; if nobody publishes for as long as one needs for it,
 * whoever was to come does not.  Who is new has published nothing yet, and finds a gap after every
 * PACE_RUN generations of one mount, sooner if they take long.  Those whose turn it is at the same
 * time draw lots.
 *
 * Pure.  Times are microseconds of one clock.
 */
#ifndef FS_PACE_H
#define FS_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/parse.h"

/* Generations in a row that a mount publishes without leaving a gap. */
#define PACE_RUN 64

/* More others than this are taken for so many. */
#define PACE_OTHERS_MAX 64

/* Times; see lease_timing. */
struct pace_limits {
	uint64_t company_us; /* for how long others count after they were last seen */
	uint64_t most_us;    /* no wait is longer, and no run lasts longer */
	bool images_only;    /* every generation is a whole image: reading one takes long as well */
};

/* Only pace.c writes the fields but .limits, and the owner reads them; else zero. */
struct pace {
	struct pace_limits limits;

	unsigned turns;    /* how many others are taken to publish between two of ours */
	unsigned n_others; /* how many did since the newest of ours */
	char others[PACE_OTHERS_MAX][PARSE_ID_BYTES];

	unsigned run; /* generations of ours since the last gap, or since others published */
	uint64_t run_from_us; /* when the first of them was begun */
	uint64_t ended_us;    /* when the newest of ours was published */
	uint64_t rival_us;    /* when a generation of others was seen last; 0: never */
	uint64_t took_us;     /* how long our last attempt took */
	uint64_t read_us;     /* how long reading a generation took last; 0: not known */
	uint64_t turn_us;     /* a turn, whoever's, between our last two; 0: not known */
	unsigned lost;        /* races in a row */
	bool has_read;        /* .read_us is of one that was there */
	bool has_looked;      /* since the last attempt */
};

/* A generation of ours was published: the attempt was made between these times. */
void pace_won(struct pace *p, uint64_t from_us, uint64_t to_us);

/* Somebody else was first: likewise. */
void pace_lost(struct pace *p, uint64_t from_us, uint64_t to_us);

/* The end of the log was looked for, and @n generations of others were read, in @us. */
void pace_looked(struct pace *p, unsigned n, uint64_t us);

/* There is a generation of @writer, another mount: told once or more for each. */
void pace_saw(struct pace *p, const char writer[PARSE_ID_BYTES], uint64_t now_us);

/*
 * How long to wait before the next look; 0: it is our turn, make an attempt.  @draw is random.
 */
uint64_t pace_wait_us(const struct pace *p, uint64_t now_us, uint8_t draw);

#endif
