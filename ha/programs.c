/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/programs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "ha/exec.h"
#include "ha/hooks.h"
#include "ha/keeper.h"

struct ha_programs {
	struct ha_hooks_options hooks_options;
	struct ha_exec_options exec_options;
	struct ha_keeper *hooks; /* NULL: there are none */
	struct ha_keeper *exec;  /* likewise */
	uint64_t epoch;          /* of the lease, or of the last one */
	uint64_t until_ms;       /* its end */
	bool running;            /* the command, under that epoch, as far as we know */
	bool ending;             /* it was told to end */
};

int ha_programs_start(const struct ha_programs_options *options, struct ha_programs **ret)
{
	uint64_t lease_ms = options->timeout_ms - options->margin_ms;
	struct ha_programs *p = NULL;
	int r = 0;

	if (options->hooks_dir || options->command) {
		p = calloc(1, sizeof(*p));
		if (!p) {
			return -ENOMEM;
		}
	}
	if (options->hooks_dir) {
		p->hooks_options = (struct ha_hooks_options){
			.dir = options->hooks_dir,
			.node_id = options->node_id,
			.limit_ms = options->timeout_ms,
			.check_ms = options->poll_ms,
		};
		r = ha_hooks_start(&p->hooks_options, &p->hooks);
	}
	if (r == 0 && options->command) {
		p->exec_options = (struct ha_exec_options){
			.command = options->command,
			.node_id = options->node_id,
			.lease_ms = lease_ms,
			.pause_ms = options->poll_ms,
		};
		r = ha_exec_start(&p->exec_options, &p->exec);
	}
	if (r < 0) {
		ha_programs_stop(p);
		return r;
	}
	*ret = p;
	return 0;
}

void ha_programs_renew(struct ha_programs *p, uint64_t until_ms)
{
	if (!p || p->until_ms == until_ms) {
		return;
	}
	p->until_ms = until_ms;
	if (p->hooks) {
		ha_keeper_renew(p->hooks, until_ms);
	}
	if (p->exec) {
		ha_keeper_renew(p->exec, until_ms);
	}
}

void ha_programs_enter(struct ha_programs *p, const struct ha_action *entered,
		       const char *master_uri)
{
	struct ha_notice notice = {.state = entered->state, .previous = entered->previous};

	if (!p) {
		return;
	}
	if (entered->state == HA_MASTER) {
		p->epoch = entered->epoch;
		p->running = p->exec != NULL;
		p->ending = false;
	} else if (entered->previous == HA_MASTER) {
		p->ending = p->running;
		if (entered->reason == HA_REASON_DEPOSED) {
			ha_programs_renew(p, 0); /* there is no lease to end within */
		}
	}
	if (entered->state == HA_MASTER || entered->previous == HA_MASTER) {
		notice.epoch = p->epoch;
	}
	(void)snprintf(notice.reason, sizeof(notice.reason), "%s", ha_reason_text(entered->reason));
	(void)snprintf(notice.master_uri, sizeof(notice.master_uri), "%s",
		       master_uri ? master_uri : "");
	if (p->hooks) {
		ha_keeper_tell(p->hooks, &notice);
	}
	if (p->exec) {
		ha_keeper_tell(p->exec, &notice);
	}
}

int ha_programs_witness(const struct ha_programs *p)
{
	return ha_keeper_dup(p ? p->exec : NULL);
}

int ha_programs_fd(const struct ha_programs *p)
{
	return p && p->exec ? ha_keeper_fd(p->exec) : -EBADF;
}

bool ha_programs_take(struct ha_programs *p)
{
	struct ha_answer answer;
	bool gave_up = false;
	int r;

	while ((r = ha_keeper_take(p->exec, &answer)) > 0) {
		if (answer.epoch == p->epoch) {
			p->running = false;
			gave_up = answer.type == HA_ANSWER_GAVE_UP;
		}
	}
	if (r < 0 && p->running) {
		p->running = false;
		gave_up = true;
	}
	return gave_up && !p->ending;
}

bool ha_programs_must_wait(const struct ha_programs *p, uint64_t now_ms)
{
	return p && p->running && p->ending && now_ms < p->until_ms;
}

uint64_t ha_programs_wait_end_ms(const struct ha_programs *p)
{
	return p && p->running && p->ending ? p->until_ms : UINT64_MAX;
}

uint64_t ha_programs_grace_ms(const struct ha_programs *p)
{
	return p && p->exec ? ha_exec_grace_ms(p->exec_options.lease_ms) : 0;
}

void ha_programs_stop(struct ha_programs *p)
{
	if (!p) {
		return;
	}
	ha_keeper_stop(p->exec, p->exec_options.lease_ms);
	ha_keeper_stop(p->hooks, p->hooks_options.limit_ms);
	free(p);
}
