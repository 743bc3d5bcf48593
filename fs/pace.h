/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a mount that wants to publish should wait, so that others come to their turn, and so that
 * those who race waste little.
 *
 * Whoever lost a race has to read what won it before the next one, and reading can cost more than
 * publishing: over NFS four calls to one.  Two mounts that publish as fast as they can would never
 * take turns: one was starved completely when this was measured.  So a mount that has reason to
 * think that others want to publish leaves them the time for that after each generation of its own.
 * The reason: not long ago somebody did.  Who is new has published nothing yet, and finds a gap
 * after every PACE_RUN generations.
 *
 * After a generation of its own a mount leaves a turn to each of its rivals.  Whoever lost a race
 * waits for some turns, drawn from more and more as it loses again, and then reads at once all that
 * was published meanwhile: all read and lose less than if everybody tried for each generation.
 *
 * Pure.  Times are microseconds of one clock.
 */
#ifndef FS_PACE_H
#define FS_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Generations in a row that a mount publishes without leaving a gap. */
#define PACE_RUN 64

struct pace {
	bool is_ahead;     /* the newest generation is ours */
	unsigned rivals;   /* about how many others publish at this time; 0: nobody so far */
	uint64_t rival_us; /* when one was seen last */
	uint64_t took_us;  /* how long our last publication took */
	uint64_t read_us;  /* how long reading a generation of others took last; 0: none read yet */
	uint64_t ended_us; /* when that ended */
	unsigned run;      /* generations of ours in a row */
	unsigned lost;     /* races in a row */
};

/* A generation of ours was published between these times. */
void pace_won(struct pace *p, uint64_t from_us, uint64_t to_us);

/* Somebody else was first: the attempt was made between these times. */
void pace_lost(struct pace *p, uint64_t from_us, uint64_t to_us);

/* @n generations of others were read in @us. */
void pace_read(struct pace *p, unsigned n, uint64_t us);

/* Generations of @writers others were seen since this was called last. */
void pace_saw_others(struct pace *p, unsigned writers, uint64_t now_us);

/*
 * How long to wait before running requests that wait to be published.  @company_us: for how long
 * others count after they were last seen; @most_us: never longer.
 */
uint64_t pace_yield_us(const struct pace *p, uint64_t company_us, uint64_t most_us,
		       uint64_t now_us);

/*
 * How long to wait before the next attempt after a lost race, and then to read once more what is
 * there; 0: what won was read already, and is most often the newest: try at once.  At most
 * @most_us; @draw is random.
 */
uint64_t pace_back_off_us(const struct pace *p, uint64_t most_us, uint8_t draw);

#endif
