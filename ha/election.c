/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/election.h"

#include <stddef.h>
#include <string.h>

#include "ha/engine.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Move *@p over leading zeros; the length of the number that begins there. */
static size_t digits(const char **p)
{
	size_t n = 0;

	while (**p == '0') {
		(*p)++;
	}
	while (is_digit((*p)[n])) {
		n++;
	}
	return n;
}

/* < 0, 0 or > 0, where runs of digits compare as numbers of any length. */
static int compare_natural(const char *a, const char *b)
{
	while (*a && *b) {
		if (is_digit(*a) && is_digit(*b)) {
			size_t na = digits(&a), nb = digits(&b);
			int by_digit = na == nb ? memcmp(a, b, na) : 0;

			if (na != nb) {
				return na < nb ? -1 : 1;
			}
			if (by_digit != 0) {
				return by_digit;
			}
			a += na;
			b += nb;
			continue;
		}
		if (*a != *b) {
			break;
		}
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

static int version_rank(const char *version)
{
	if (!version[0]) {
		return 0;
	}
	return strcasestr(version, "snapshot") ? 1 : 2;
}

/* 0: not electable. */
static int state_rank(enum ha_state state)
{
	switch (state) {
	case HA_MASTER:
		return 3;
	case HA_HOT_STANDBY:
		return 2;
	case HA_STANDBY:
		return 1;
	case HA_INITIALIZING:
	case HA_HOT_BACKUP:
	case HA_FAILED:
	case HA_TERMINATED:
	case HA_STATE_MAX_:
		break;
	}
	return 0;
}

static bool is_before(const struct ha_peer *a, const struct ha_peer *b)
{
	int version = compare_natural(a->version, b->version);

	if (a->priority != b->priority) {
		return a->priority > b->priority;
	}
	if (version_rank(a->version) != version_rank(b->version)) {
		return version_rank(a->version) > version_rank(b->version);
	}
	if (version != 0) {
		return version > 0;
	}
	if (a->status != b->status) {
		return state_rank(a->status) > state_rank(b->status);
	}
	return strcmp(a->id, b->id) < 0;
}

const char *ha_election_objection(const struct ha_peer *winner, const struct ha_peer *p)
{
	if (p->lapsed) {
		return "lapsed";
	}
	if (state_rank(p->status) == 0) {
		return ha_state_name(p->status);
	}
	if (winner->priority != p->priority) {
		return winner->priority > p->priority ? "lower priority" : "higher priority";
	}
	if (version_rank(winner->version) != version_rank(p->version)) {
		return version_rank(p->version) == 0 ? "no version" : "no release";
	}
	if (compare_natural(winner->version, p->version) != 0) {
		return "older version";
	}
	if (winner->status != p->status) {
		return "not hot";
	}
	return "higher id";
}

bool ha_election_may_win(const struct ha_peer *p)
{
	return state_rank(p->status) != 0 && !p->lapsed;
}

const struct ha_peer *ha_election_winner(const struct ha_plane *plane, const char *but)
{
	const struct ha_peer *best = NULL;

	for (unsigned i = 0; i < plane->n_peers; i++) {
		const struct ha_peer *p = &plane->peers[i];

		if (!ha_election_may_win(p) || (but && strcmp(p->id, but) == 0)) {
			continue;
		}
		if (!best || is_before(p, best)) {
			best = p;
		}
	}
	return best;
}
