/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/pace.h"

/* What reading a generation costs, in publications, as long as that is not known. */
#define READ_TIMES 4

void pace_won(struct pace *p, uint64_t from_us, uint64_t to_us)
{
	p->run = p->is_ahead ? p->run + 1 : 1;
	p->is_ahead = true;
	p->took_us = to_us - from_us;
	p->ended_us = to_us;
	p->lost = 0;
}

void pace_lost(struct pace *p, uint64_t from_us, uint64_t to_us)
{
	p->lost++;
	if (p->took_us == 0) {
		p->took_us = to_us - from_us; /* it has won none yet */
	}
}

void pace_read(struct pace *p, unsigned n, uint64_t us)
{
	p->read_us = us / n;
}

void pace_saw_others(struct pace *p, unsigned writers, uint64_t now_us)
{
	/* One look sees a part of them only. */
	unsigned fading = p->rivals - p->rivals / 8;

	p->is_ahead = false;
	p->rivals = writers > fading ? writers : fading;
	p->rival_us = now_us;
}

static uint64_t at_most(uint64_t us, uint64_t most_us)
{
	return us < most_us ? us : most_us;
}

uint64_t pace_yield_us(const struct pace *p, uint64_t company_us, uint64_t most_us, uint64_t now_us)
{
	bool has_company = p->rivals > 0 && now_us - p->rival_us < company_us;
	uint64_t turns = has_company ? p->rivals : 1, since_us = now_us - p->ended_us;
	uint64_t read_us = p->read_us ? p->read_us : READ_TIMES * p->took_us;
	uint64_t wait_us = at_most(read_us + turns * p->took_us, most_us);

	if (!p->is_ahead || !(has_company || p->run % PACE_RUN == 0)) {
		return 0;
	}
	return since_us < wait_us ? wait_us - since_us : 0;
}

uint64_t pace_back_off_us(const struct pace *p, uint64_t most_us, uint8_t draw)
{
	uint64_t turns = p->lost < 16 ? (uint64_t)1 << p->lost : UINT16_MAX;

	if (p->lost == 0 || (p->lost == 1 && p->rivals <= 1)) {
		return 0;
	}
	turns = at_most(turns, p->rivals + 1);
	return at_most(turns * p->took_us, most_us) * draw / UINT8_MAX;
}
