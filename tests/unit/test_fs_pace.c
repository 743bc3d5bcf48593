/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "fs/pace.h"
#include "unit.h"

#define TOOK_US UINT64_C(500)
#define READ_US UINT64_C(100)

static const struct pace_limits limits = {.company_us = 1000000, .most_us = 500000};

/* @n generations of ours, one after the other; the time after the last. */
static uint64_t publish(struct pace *p, unsigned n, uint64_t now_us)
{
	for (unsigned i = 0; i < n; i++) {
		pace_won(p, now_us, now_us + TOOK_US);
		now_us += TOOK_US;
	}
	return now_us;
}

/* One generation of each of @n others, at the same time. */
static void see(struct pace *p, unsigned n, uint64_t now_us)
{
	for (unsigned i = 0; i < n; i++) {
		char id[PARSE_ID_BYTES];

		(void)snprintf(id, sizeof(id), "other%u", i);
		pace_saw(p, id, now_us);
	}
}

static uint64_t wait_us(const struct pace *p, uint64_t now_us)
{
	return pace_wait_us(p, now_us, UINT8_MAX);
}

static void a_lone_mount_does_not_wait(void **state)
{
	struct pace p = {.limits = limits};
	uint64_t now_us;

	(void)state;
	assert_u64(wait_us(&p, 1000), 0);
	now_us = publish(&p, 1, 1000);
	assert_u64(wait_us(&p, now_us), 0);
}

static void in_company_it_leaves_time_to_read_what_it_published(void **state)
{
	struct pace p = {.limits = limits};
	uint64_t now_us;

	(void)state;
	see(&p, 1, 1000);
	now_us = publish(&p, 1, 1000);
	/* Reading is taken for four publications until it was measured. */
	assert_u64(wait_us(&p, now_us), 5 * TOOK_US);
	assert_u64(wait_us(&p, now_us + TOOK_US), 4 * TOOK_US);
	assert_u64(wait_us(&p, now_us + 5 * TOOK_US), 0);
	pace_looked(&p, 0, READ_US); /* at nothing: reading something is more */
	assert_u64(wait_us(&p, now_us), 2 * READ_US + TOOK_US);
	pace_looked(&p, 3, 3 * READ_US);
	assert_u64(wait_us(&p, now_us), READ_US + TOOK_US);
	pace_looked(&p, 0, 1);
	assert_u64(wait_us(&p, now_us), READ_US + TOOK_US);
}

static void whoever_has_had_its_turn_is_not_waited_for(void **state)
{
	struct pace p = {.limits = limits};
	uint64_t now_us;

	(void)state;
	see(&p, 3, 1000);
	now_us = publish(&p, 1, 1000);
	assert_true(wait_us(&p, now_us) > 0);
	see(&p, 2, now_us);
	see(&p, 2, now_us); /* the same ones again */
	assert_true(wait_us(&p, now_us) > 0);
	see(&p, 3, now_us);
	assert_u64(wait_us(&p, now_us), 0);
}

static void company_that_is_silent_is_forgotten(void **state)
{
	struct pace p = {.limits = limits};
	uint64_t now_us;

	(void)state;
	see(&p, 5, 1000);
	now_us = publish(&p, 1, 1000 + limits.company_us - TOOK_US);
	assert_u64(wait_us(&p, now_us), 0);
}

/* A mount that has never published cannot be known: it needs a gap now and then. */
static void a_lone_mount_leaves_a_gap_after_each_run(void **state)
{
	struct pace p = {.limits = limits};
	uint64_t now_us;

	(void)state;
	now_us = publish(&p, PACE_RUN - 1, 1000);
	assert_u64(wait_us(&p, now_us), 0);
	now_us = publish(&p, 1, now_us);
	assert_u64(wait_us(&p, now_us), 5 * TOOK_US);
	assert_u64(wait_us(&p, now_us + 5 * TOOK_US), 0);
	now_us = publish(&p, 1, now_us);
	assert_u64(wait_us(&p, now_us), 0);
}

static void where_reading_is_slower_than_publishing_the_gap_is_long(void **state)
{
	struct pace p = {.limits = limits};
	uint64_t now_us;

	(void)state;
	pace_looked(&p, 1, 2 * TOOK_US);
	now_us = publish(&p, PACE_RUN, 1000);
	assert_u64(wait_us(&p, now_us), (3 + 2 * PACE_RUN) * TOOK_US);
}

static void who_has_read_no_image_takes_it_for_slow(void **state)
{
	struct pace p = {.limits = limits};
	uint64_t now_us;

	(void)state;
	p.limits.images_only = true;
	pace_looked(&p, 0, 1); /* tells nothing of it */
	now_us = publish(&p, PACE_RUN, 1000);
	assert_u64(wait_us(&p, now_us), (3 + 2 * PACE_RUN) * TOOK_US);
	pace_looked(&p, 1, READ_US);
	assert_u64(wait_us(&p, now_us), READ_US + TOOK_US);
}

static void where_publishing_is_slow_a_run_is_short(void **state)
{
	struct pace p = {.limits = limits};
	uint64_t took_us = limits.most_us / 4, now_us = 1000;

	(void)state;
	for (unsigned i = 0; i < 12; i++, now_us += took_us) {
		pace_looked(&p, 1, 1);
		pace_won(&p, now_us, now_us + took_us);
		assert_u64(wait_us(&p, now_us + took_us), i % 4 == 3 ? took_us + 1 : 0);
	}
}

static void no_wait_is_longer_than_the_most(void **state)
{
	struct pace p = {.limits = limits};

	(void)state;
	see(&p, 1, 1);
	pace_won(&p, 1, limits.most_us);
	assert_u64(wait_us(&p, limits.most_us), limits.most_us);
}

static void of_two_who_race_the_loser_tries_again_at_once_but_not_twice(void **state)
{
	static const unsigned places[] = {0, 4, 8, 10, 10};
	struct pace p = {.limits = limits};
	uint64_t now_us = 1000;

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		pace_lost(&p, now_us, now_us + TOOK_US);
		now_us += TOOK_US;
		see(&p, 9, now_us);
		assert_u64(wait_us(&p, now_us), places[i] * (5 * TOOK_US));
		assert_u64(pace_wait_us(&p, now_us, 0), 0);
	}
	/* The place that was drawn has come. */
	pace_looked(&p, 0, 1);
	assert_u64(wait_us(&p, now_us), 0);
}

/*
 * Mounts that publish as fast as they can, with the costs of a share.  What each step takes varies,
 * and one in eight is held up, by a seed of its own.
 */
struct share {
	uint64_t publish_us; /* half of it until others see it */
	uint64_t read_us;    /* one generation */
	uint64_t look_us;    /* that there is no more */
};

enum step { STEP_BEGIN, STEP_LOOK, STEP_LOOKED, STEP_CREATE, STEP_PUBLISHED };

struct mount {
	char id[PARSE_ID_BYTES];
	struct pace pace;
	enum step step;
	uint64_t at_us; /* when it takes that step */
	uint64_t from_us;
	unsigned known; /* generations */
	unsigned n_read;
	unsigned won, lost;
};

#define MOUNTS_MAX      48
#define GENERATIONS_MAX 10000
#define THINKS_US       50

struct race {
	struct share share;
	unsigned n_mounts, tip;
	unsigned short seed[3];
	struct mount mounts[MOUNTS_MAX];
	const char *writers[GENERATIONS_MAX];
};

static uint64_t up_to(struct race *r, uint64_t most)
{
	return (uint64_t)nrand48(r->seed) % (most + 1);
}

static void read_one(struct race *r, struct mount *m)
{
	pace_saw(&m->pace, r->writers[m->known++], m->at_us);
}

static void begin(struct race *r, struct mount *m)
{
	uint64_t us = pace_wait_us(&m->pace, m->at_us, (uint8_t)up_to(r, UINT8_MAX));

	m->from_us = m->at_us;
	m->n_read = 0;
	if (us > 0) {
		m->from_us += us;
		m->step = STEP_LOOK;
	} else {
		us = r->share.publish_us / 2 + up_to(r, r->share.publish_us / 2);
		us += up_to(r, 7) == 0 ? up_to(r, r->share.publish_us) : 0;
		m->step = STEP_CREATE;
	}
	m->at_us += us;
}

static void create(struct race *r, struct mount *m)
{
	if (m->known < r->tip) {
		m->lost++;
		pace_lost(&m->pace, m->from_us, m->at_us);
		read_one(r, m);
		m->step = STEP_BEGIN;
		m->at_us += r->share.read_us;
	} else {
		r->writers[r->tip++] = m->id;
		m->known = r->tip;
		m->step = STEP_PUBLISHED;
		m->at_us += r->share.publish_us / 2;
	}
}

static void step(struct race *r, struct mount *m)
{
	switch (m->step) {
	case STEP_BEGIN:
		begin(r, m);
		break;
	case STEP_LOOK:
		if (m->known < r->tip) {
			read_one(r, m);
			m->n_read++;
			m->at_us += r->share.read_us;
		} else {
			m->step = STEP_LOOKED;
			m->at_us += r->share.look_us;
		}
		break;
	case STEP_LOOKED:
		pace_looked(&m->pace, m->n_read, m->at_us - m->from_us);
		m->step = STEP_BEGIN;
		break;
	case STEP_CREATE:
		create(r, m);
		break;
	case STEP_PUBLISHED:
		pace_won(&m->pace, m->from_us, m->at_us);
		m->won++;
		m->step = STEP_BEGIN;
		m->at_us += THINKS_US;
		break;
	}
}

static struct race *run_race(struct share share, unsigned n_mounts, uint64_t until_us)
{
	struct race *r = calloc(1, sizeof(*r));
	struct mount *next;

	assert_non_null(r);
	r->share = share;
	r->n_mounts = n_mounts;
	for (unsigned i = 0; i < n_mounts; i++) {
		(void)snprintf(r->mounts[i].id, sizeof(r->mounts[i].id), "mount%u", i);
		r->mounts[i].at_us = 1 + i;
		r->mounts[i].pace.limits = limits;
	}
	do {
		next = &r->mounts[0];
		for (unsigned i = 1; i < n_mounts; i++) {
			next = r->mounts[i].at_us < next->at_us ? &r->mounts[i] : next;
		}
		step(r, next);
	} while (next->at_us < until_us && r->tip < GENERATIONS_MAX);
	return r;
}

/* A local disk, a slow one, and two over a network, where reading takes more calls. */
static const struct share shares[] = {{600, 30, 10}, {3000, 500, 100}, {1500, 2000, 1000}};
static const unsigned crowds[] = {2, 3, 8, 32, MOUNTS_MAX};

#define N_SHARES (sizeof(shares) / sizeof(shares[0]))
#define N_CROWDS (sizeof(crowds) / sizeof(crowds[0]))

static void nobody_is_starved(void **state)
{
	(void)state;
	for (size_t s = 0; s < N_SHARES; s++) {
		for (size_t c = 0; c < N_CROWDS; c++) {
			struct race *r = run_race(shares[s], crowds[c], 10000000);

			for (unsigned i = 0; i < r->n_mounts; i++) {
				assert_true(r->mounts[i].won * r->n_mounts * 4 > r->tip);
			}
			free(r);
		}
	}
}

/* Each race that is lost costs whoever lost it an attempt; drawing lots alone loses thrice. */
static void many_lose_hardly_more_races_than_two(void **state)
{
	(void)state;
	for (size_t s = 0; s < N_SHARES; s++) {
		for (size_t c = 0; c < N_CROWDS; c++) {
			struct race *r = run_race(shares[s], crowds[c], 10000000);
			unsigned lost = 0;

			for (unsigned i = 0; i < r->n_mounts; i++) {
				lost += r->mounts[i].lost;
			}
			assert_true(lost < 2 * r->tip);
			free(r);
		}
	}
}

static void where_reading_is_cheap_many_publish_as_much_as_two(void **state)
{
	(void)state;
	for (size_t s = 0; s < 2; s++) {
		struct race *two = run_race(shares[s], 2, 3000000);

		for (size_t c = 1; c < N_CROWDS; c++) {
			struct race *r = run_race(shares[s], crowds[c], 3000000);

			assert_true(r->tip * 5 > two->tip * 4);
			free(r);
		}
		free(two);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lone_mount_does_not_wait),
		cmocka_unit_test(in_company_it_leaves_time_to_read_what_it_published),
		cmocka_unit_test(whoever_has_had_its_turn_is_not_waited_for),
		cmocka_unit_test(company_that_is_silent_is_forgotten),
		cmocka_unit_test(a_lone_mount_leaves_a_gap_after_each_run),
		cmocka_unit_test(where_reading_is_slower_than_publishing_the_gap_is_long),
		cmocka_unit_test(who_has_read_no_image_takes_it_for_slow),
		cmocka_unit_test(where_publishing_is_slow_a_run_is_short),
		cmocka_unit_test(no_wait_is_longer_than_the_most),
		cmocka_unit_test(of_two_who_race_the_loser_tries_again_at_once_but_not_twice),
		cmocka_unit_test(nobody_is_starved),
		cmocka_unit_test(many_lose_hardly_more_races_than_two),
		cmocka_unit_test(where_reading_is_cheap_many_publish_as_much_as_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
