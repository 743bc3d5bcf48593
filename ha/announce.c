/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/announce.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "ha/election.h"
#include "ha/snapshot.h"

#define TEXT_BYTES 512

/* "yAVz0fzo at http://a:8081/", or what stands for it. */
static void describe_master(const struct ha_snapshot *s, const char *own_id, char *ret, size_t n)
{
	const struct ha_snapshot_node *node = s->master ? ha_snapshot_find(s, s->master) : NULL;

	if (s->master && strcmp(s->master, own_id) == 0) {
		/* Read before somebody took it from us. */
		(void)snprintf(ret, n, "a node not known yet");
	} else if (node && node->record.uri) {
		(void)snprintf(ret, n, "%s at %s", s->master, node->record.uri);
	} else {
		(void)snprintf(ret, n, "%s", s->master ? s->master : "nobody");
	}
}

/* What comes after "Management node <id> ". */
static enum log_level describe(enum ha_reason reason, const char *own_id,
			       const struct ha_snapshot *newest, char *ret, size_t n)
{
	char master[TEXT_BYTES / 2];

	describe_master(newest, own_id, master, sizeof(master));
	switch (reason) {
	case HA_REASON_STARTED:
		(void)snprintf(ret, n, "starting");
		return LOG_INFO;
	case HA_REASON_AUTODETECTED:
		if (newest->master) {
			(void)snprintf(ret, n, "running as HA STANDBY autodetected, master is %s",
				       master);
		} else {
			(void)snprintf(ret, n,
				       "running as HA STANDBY autodetected, no master currently "
				       "(other node should promote itself soon)");
		}
		return LOG_INFO;
	case HA_REASON_REQUESTED:
		(void)snprintf(ret, n, "running as HA STANDBY (explicitly requested); master %s",
			       master);
		return LOG_INFO;
	case HA_REASON_LOADED:
		(void)snprintf(ret, n, "has loaded the persisted state; master %s", master);
		return LOG_INFO;
	case HA_REASON_HANDED_TO:
		(void)snprintf(ret, n, "running as HA MASTER, handed over in a switchover");
		return LOG_INFO;
	case HA_REASON_HANDED_BACK:
		(void)snprintf(ret, n,
			       "running as HA MASTER again: the target of the switchover did not "
			       "take over, ignoring");
		return LOG_WARN;
	case HA_REASON_HANDED_OVER:
		(void)snprintf(ret, n, "is no longer HA MASTER: handed over in a switchover");
		return LOG_INFO;
	case HA_REASON_MODE:
		(void)snprintf(ret, n, "changes its state: another mode was asked for");
		return LOG_INFO;
	case HA_REASON_DISABLED:
		(void)snprintf(ret, n, "takes no more part: mode disabled was asked for");
		return LOG_INFO;
	case HA_REASON_ELECTED:
		(void)snprintf(ret, n, "running as HA MASTER autodetected");
		return LOG_INFO;
	case HA_REASON_MASTER_MODE:
		(void)snprintf(ret, n, "running as HA MASTER explicitly");
		return LOG_INFO;
	case HA_REASON_LEASE_EXPIRED:
		(void)snprintf(ret, n, "is no longer HA MASTER: its lease expired, retrying");
		return LOG_WARN;
	case HA_REASON_DEPOSED:
		(void)snprintf(ret, n,
			       "detected master change, stolen from us, deferring to %s, retrying",
			       master);
		return LOG_WARN;
	case HA_REASON_REJOINED:
		(void)snprintf(ret, n, "running as HA STANDBY again, master is %s", master);
		return LOG_INFO;
	case HA_REASON_MASTER_EXISTS:
		(void)snprintf(
			ret, n,
			"failed: Master already exists; cannot run as master (master %s); to "
			"trigger a promotion, set a priority and demote the current master",
			master);
		return LOG_ERR;
	case HA_REASON_NO_MASTER:
		(void)snprintf(ret, n, "failed: No existing master; cannot start as STANDBY");
		return LOG_ERR;
	case HA_REASON_ID_IN_USE:
		(void)snprintf(
			ret, n,
			"failed: its record belongs to another machine, or to the mount that "
			"was here before, retrying");
		return LOG_WARN;
	case HA_REASON_COMMAND:
		(void)snprintf(
			ret, n,
			"is no longer HA MASTER: the command of --exec ended again and again");
		return LOG_ERR;
	case HA_REASON_STOPPED:
		(void)snprintf(ret, n, "terminated");
		return LOG_INFO;
	case HA_REASON_MAX_:
		break;
	}
	assert(false);
	return LOG_ERR;
}

void ha_announce(const char *id, const struct ha_action *entered, const struct ha_snapshot *newest)
{
	char what[TEXT_BYTES], msg[TEXT_BYTES + HA_ID_BYTES + 32];
	enum log_level level = describe(entered->reason, id, newest, what, sizeof(what));

	(void)snprintf(msg, sizeof(msg), "Management node %s %s", id, what);
	log_line(level, "ha", msg, "state=%s previous=%s reason=\"%s\" epoch=%" PRIu64,
		 ha_state_name(entered->state), ha_state_name(entered->previous),
		 ha_reason_text(entered->reason), entered->epoch);
}

void ha_announce_claim(const char *id, const struct ha_plane *plane,
		       char ret[HA_ANNOUNCE_WHY_BYTES])
{
	const struct ha_peer *own = NULL;
	size_t used = 0;

	for (unsigned i = 0; i < plane->n_peers; i++) {
		if (strcmp(plane->peers[i].id, id) == 0) {
			own = &plane->peers[i];
		}
	}
	ret[0] = '\0';
	for (unsigned i = 0; own && i < plane->n_peers && used < HA_ANNOUNCE_WHY_BYTES; i++) {
		const struct ha_peer *p = &plane->peers[i];

		if (p != own && p->status != HA_TERMINATED) {
			used += (size_t)snprintf(ret + used, HA_ANNOUNCE_WHY_BYTES - used,
						 "%s %s (%s)", used ? "," : "won over", p->id,
						 ha_election_objection(own, p));
		}
	}
	if (!ret[0]) {
		(void)snprintf(ret, HA_ANNOUNCE_WHY_BYTES, "won, alone");
	}
}
