/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/pace.h"

#include <string.h>

/* What reading a generation costs, in publications, as long as that is not known. */
#define READ_TIMES 4

/* The same of an image. */
#define READ_IMAGE_TIMES 2

/* What reading a change costs, in looks that find nothing. */
#define READ_LOOKS 2

static uint64_t at_most(uint64_t us, uint64_t most_us)
{
	return us < most_us ? us : most_us;
}

/* One who does not come in a round is expected for some more. */
static unsigned fade(unsigned turns)
{
	return turns - (turns + 7) / 8;
}

/* Must it leave a gap, though nobody is known who would use it? */
static bool gap_is_due(const struct pace *p)
{
	return p->run >= PACE_RUN ||
	       (p->run > 0 && p->ended_us - p->run_from_us >= p->limits.most_us);
}

void pace_won(struct pace *p, uint64_t from_us, uint64_t to_us)
{
	unsigned faded = fade(p->turns);

	if (p->n_others > 0 || gap_is_due(p) || p->run == 0) {
		p->run = 0;
		p->run_from_us = from_us;
	}
	p->run++;
	p->turn_us = p->ended_us ? (to_us - p->ended_us) / (p->n_others + 1) : 0;
	p->turns = p->n_others > faded ? p->n_others : faded;
	p->n_others = 0;
	p->took_us = to_us - from_us;
	p->ended_us = to_us;
	p->lost = 0;
	p->has_looked = false;
}

void pace_lost(struct pace *p, uint64_t from_us, uint64_t to_us)
{
	p->lost++;
	p->has_looked = false;
	if (p->took_us == 0) {
		p->took_us = to_us - from_us; /* it has won none yet */
	}
}

void pace_looked(struct pace *p, unsigned n, uint64_t us)
{
	p->has_looked = true;
	if (n > 0) {
		p->read_us = us / n;
		p->has_read = true;
	} else if (!p->has_read) {
		p->read_us = READ_LOOKS * us;
	}
}

void pace_saw(struct pace *p, const char writer[PARSE_ID_BYTES], uint64_t now_us)
{
	p->rival_us = now_us;
	for (unsigned i = 0; i < p->n_others; i++) {
		if (strcmp(p->others[i], writer) == 0) {
			return;
		}
	}
	if (p->n_others < PACE_OTHERS_MAX) {
		memccpy(p->others[p->n_others++], writer, '\0', PARSE_ID_BYTES);
	}
}

/* How many others come to their turn before us? */
static unsigned turns_ahead(const struct pace *p, bool has_company)
{
	/* At least one, if anybody was seen of late: it may be slow.  And the gap. */
	bool gives_way = (p->run > 0 && has_company) || gap_is_due(p);
	unsigned turns = has_company ? p->turns : 0;

	if (turns == 0 && gives_way) {
		turns = 1;
	}
	return turns > p->n_others ? turns - p->n_others : 0;
}

/* What reading a generation costs. */
static uint64_t read_us(const struct pace *p)
{
	if (p->limits.images_only && !p->has_read) {
		return READ_IMAGE_TIMES * p->took_us;
	}
	return p->read_us ? p->read_us : READ_TIMES * p->took_us;
}

/* What one needs who looks now to read what is there and to publish its own. */
static uint64_t alone_us(const struct pace *p)
{
	return read_us(p) + p->took_us;
}

/* Those whose turn it is at the same time draw places, among more and more. */
static uint64_t draw_us(const struct pace *p, uint8_t draw)
{
	unsigned rivals = p->turns > p->n_others ? p->turns : p->n_others;
	uint64_t places = p->lost < 16 ? (uint64_t)1 << p->lost : UINT16_MAX;

	/* Whoever lost once was most often one of two, and is the only one left. */
	return p->lost < 2 || p->has_looked
		       ? 0
		       : at_most(places, rivals + 1) * alone_us(p) * draw / UINT8_MAX;
}

uint64_t pace_wait_us(const struct pace *p, uint64_t now_us, uint8_t draw)
{
	bool has_company = p->rival_us != 0 && now_us - p->rival_us < p->limits.company_us;
	uint64_t newest_us = p->rival_us > p->ended_us ? p->rival_us : p->ended_us;
	uint64_t since_us = now_us - newest_us;
	unsigned ahead = turns_ahead(p, has_company);
	uint64_t patience_us = alone_us(p), turn_us = patience_us;

	if (ahead == 0) {
		return at_most(draw_us(p, draw), p->limits.most_us);
	}
	if (has_company && p->turn_us > 0) {
		/* Many read at the same time. */
		turn_us = at_most(turn_us, p->turn_us);
	} else if (!has_company && (p->read_us != 0 || p->limits.images_only) &&
		   read_us(p) > p->took_us) {
		/* Who is new may have to read the whole run, and slower than it was published. */
		patience_us += PACE_RUN * read_us(p);
		turn_us = patience_us;
	}
	/* Not for all at once: if nobody comes we want to know. */
	patience_us = at_most(patience_us, p->limits.most_us);
	turn_us = at_most((ahead + 1) / 2 * turn_us, p->limits.most_us);
	if (since_us < turn_us) {
		return turn_us - since_us;
	}
	return since_us < patience_us ? patience_us - since_us : 0;
}
