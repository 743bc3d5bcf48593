/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is master: the decisions of one node, and only those.
 *
 * Pure: no clock, no I/O, no allocation, no log, no static state.  The shell (ha/agent.c, or the
 * simulator) feeds events that carry the time and carries out the actions, in order.  The same
 * events in the same order give the same actions, on any machine, at any speed.
 *
 * What is safe does not depend on this module: the mount grants leases, closes its gate at the
 * deadline and refuses overtaken records (fs/lease.h).  This module decides when to ask, and never
 * says MASTER longer than the lease.
 *
 * Modes, states, start rules and the order of a poll follow Apache Brooklyn
 * (HighAvailabilityManager), with the deviations that docs/ARCHITECTURE.md lists.
 *
 *	            plane read: AUTO; STANDBY and a master is named
 *	INITIALIZING ─────────────────────────────────────────► STANDBY ◄───────┐
 *	  │   │  mode MASTER: claim granted                     │   ▲           │ rejoined:
 *	  │   └──────────────────────────► MASTER ◄─────────────┘   │ deposed   │ a record was
 *	  │                                 │  │    claim granted   │           │ committed
 *	  │ MASTER: one is alive            │  └────────────────────┘           │ again
 *	  │ STANDBY: none is named          │ lease expired                     │
 *	  └───────────► FAILED ◄────────────┘                                   │
 *	                  └──── only where the cause was an expired lease ──────┘
 *	any ── STOP ──► TERMINATED
 */
#ifndef HA_ENGINE_H
#define HA_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#define HA_ID_BYTES      64 /* with the NUL */
#define HA_VERSION_BYTES 32 /* with the NUL */
#define HA_PEERS_MAX     64

/* The seven states of the REST API, in its documented order. */
enum ha_state {
	HA_INITIALIZING, /* coming up or waiting for a dead master's lease; not electable */
	HA_STANDBY,
	HA_HOT_STANDBY,
	HA_HOT_BACKUP,
	HA_MASTER,
	HA_FAILED,
	HA_TERMINATED,
	HA_STATE_MAX_,
};

enum ha_mode {
	HA_MODE_DISABLED, /* no engine is run; the node calls itself MASTER */
	HA_MODE_AUTO,
	HA_MODE_STANDBY,
	HA_MODE_HOT_STANDBY, /* not yet accepted by ha_engine_init() */
	HA_MODE_HOT_BACKUP,  /* not yet accepted by ha_engine_init() */
	HA_MODE_MASTER,
	HA_MODE_MAX_,
};

/* Why a state was entered.  ha_reason_text() has the words for people. */
enum ha_reason {
	HA_REASON_STARTED,       /* INITIALIZING, at start */
	HA_REASON_AUTODETECTED,  /* mode AUTO became STANDBY */
	HA_REASON_REQUESTED,     /* mode STANDBY found a master named */
	HA_REASON_ELECTED,       /* claim granted to a standby */
	HA_REASON_MASTER_MODE,   /* claim granted to mode MASTER */
	HA_REASON_LEASE_EXPIRED, /* no record was committed before the lease's deadline */
	HA_REASON_DEPOSED,       /* the lease is somebody else's, or was taken away */
	HA_REASON_REJOINED,      /* the share answers again */
	HA_REASON_MASTER_EXISTS, /* mode MASTER, and another master is alive */
	HA_REASON_NO_MASTER,     /* mode STANDBY, and no master is named */
	HA_REASON_ID_IN_USE,     /* another machine beats under this node id */
	HA_REASON_STOPPED,       /* TERMINATED on command */
	HA_REASON_MAX_,
};

/* One node's record as the plane has it. */
struct ha_peer {
	char id[HA_ID_BYTES];
	char version[HA_VERSION_BYTES]; /* "" for none */
	enum ha_state status;
	int64_t priority;
	uint64_t beat; /* its counter: a change means that it is alive */
	bool lapsed;   /* the mount has seen no beat for the heartbeat timeout */
};

/* The plane at one generation. */
struct ha_plane {
	char master[HA_ID_BYTES]; /* holder of the lease; "" if it is free */
	uint64_t epoch;
	unsigned n_peers;
	/* Where there are more records than room, lapsed and ended ones are left out first. */
	struct ha_peer peers[HA_PEERS_MAX];
};

struct ha_config {
	char id[HA_ID_BYTES];
	enum ha_mode mode;
	uint64_t timeout_ms; /* the plane's heartbeatTimeout */
	uint64_t margin_ms;  /* the plane's margin: the lease ends this long before the timeout */
	uint64_t poll_ms;    /* the plane's pollPeriod */
};

enum ha_event_type {
	HA_EV_TICK,   /* the deadline passed, or nothing in particular */
	HA_EV_RECORD, /* an HA_ACT_WRITE_RECORD finished with .status */
	HA_EV_PLANE,  /* an HA_ACT_READ_PLANE finished with .status; .plane if 0 */
	HA_EV_CLAIM,  /* an HA_ACT_CLAIM finished with .status; .epoch if 0 */
	HA_EV_NEWS,   /* the plane may have changed since it was read: need not come, or be true */
	HA_EV_STOP,   /* command: leave the plane */
};

struct ha_event {
	enum ha_event_type type;
	uint64_t now_ms;              /* CLOCK_BOOTTIME; never goes back */
	int status;                   /* 0 or -errno of the operation; -ETIMEDOUT: unknown */
	uint64_t epoch;               /* CLAIM */
	const struct ha_plane *plane; /* PLANE: the caller's, read during the step only */
};

/*
 * A poll writes the record and then reads the plane.  News only adds a reading between two polls,
 * which is decided on by the same rules; heartbeats keep their pace.
 *
 * WRITE_RECORD, READ_PLANE and CLAIM are each answered exactly once, with -ETIMEDOUT if need be; at
 * most one of each type is outstanding.  The shell carries them out one after the other, in order,
 * and drops late answers.
 *
 * WRITE_RECORD's answers: 0; -ESTALE: it said MASTER and the lease is not ours; -EACCES: the id
 * is another machine's; anything else: not known to be written.  CLAIM's: 0; -EBUSY: somebody else
 * is alive; -ESTALE: our own heartbeat lapsed; -EPERM: our record is not known; else unknown.
 */
enum ha_action_type {
	HA_ACT_WRITE_RECORD, /* commit this node's record with status .state */
	HA_ACT_READ_PLANE,
	HA_ACT_CLAIM,   /* write our id to `master` */
	HA_ACT_ENTERED, /* .state was entered from .previous because of .reason, under .epoch */
	HA_ACT_EXIT,    /* TERMINATED is published (or nothing ever was): end the process */
};

struct ha_action {
	enum ha_action_type type;
	enum ha_state state;
	enum ha_state previous;
	enum ha_reason reason;
	uint64_t epoch; /* ENTERED: of the lease, if .state is MASTER; else 0 */
};

/* The most actions one step can ask for. */
#define HA_ACTIONS_MAX 6

struct ha_actions {
	unsigned n;
	struct ha_action v[HA_ACTIONS_MAX];
};

/*
 * Owned by the caller, so that tests can hold, copy and compare many.  Only engine.c writes the
 * fields; anybody may read them.
 */
struct ha_engine {
	struct ha_config cfg;
	enum ha_state state;
	enum ha_reason reason; /* why .state was entered */
	uint64_t epoch;        /* MASTER: the lease's */
	uint64_t until_ms;     /* MASTER: end of the lease on this node's clock, margin taken off */
	uint64_t next_poll_ms; /* when to write the record and read the plane next */
	uint64_t record_sent_ms; /* before the record in flight was handed out */
	uint64_t claim_sent_ms;  /* before the claim in flight was handed out */
	bool record_in_flight;
	bool plane_in_flight;
	bool claim_in_flight;
	bool news;               /* came since the plane was last asked for: read it once idle */
	bool joined;             /* the plane was read: every poll writes a record from now on */
	bool beat_ok;            /* .state was committed by the last WRITE_RECORD */
	bool farewell_sent;      /* TERMINATED: its record was handed out, or none is needed */
	char rival[HA_ID_BYTES]; /* mode MASTER at start: the holder found, and its beat then */
	uint64_t rival_beat;
};

/* 0, or -EINVAL: invalid id, mode that is not accepted, or timings that cannot be safe. */
int ha_engine_init(struct ha_engine *e, const struct ha_config *cfg);

/*
 * Advance by one event.  *ret_actions is overwritten; its order is the order to carry them out in.
 */
void ha_engine_step(struct ha_engine *e, const struct ha_event *ev, struct ha_actions *ret_actions);

/*
 * When the shell must step with a TICK unless an answer comes first; UINT64_MAX: only on an answer.
 */
uint64_t ha_engine_deadline_ms(const struct ha_engine *e);

/*
 * After how long an action without an answer counts as timed out: the mount has given up by then,
 * and the lease still holds.
 */
uint64_t ha_engine_call_limit_ms(const struct ha_config *cfg);

/*
 * The state to tell others at @now_ms: .state, but FAILED in place of MASTER once the lease is
 * over, even if no step has run since (the process was stopped).
 */
enum ha_state ha_engine_state_at(const struct ha_engine *e, uint64_t now_ms);

/* NULL, or the first broken internal invariant.  For tests and for assert(). */
const char *ha_engine_violation(const struct ha_engine *e);

/* "MASTER" and so on; never NULL. */
const char *ha_state_name(enum ha_state state);

/* -EINVAL.  Upper case, exactly. */
int ha_state_parse(const char *name, enum ha_state *ret_state);

/* "auto", "hot_standby" and so on, case ignored.  -EINVAL. */
int ha_mode_parse(const char *name, enum ha_mode *ret_mode);

/*
 * Is this status an answer of the plane's rules to an action of @type, as the list above has them?
 * Anything else is trouble on the way.
 */
bool ha_engine_is_verdict(enum ha_action_type type, int status);

/* Did the plane refuse the mode that was asked for?  The operator must act. */
bool ha_reason_is_refusal(enum ha_reason reason);

/* A clause for people, such as "no record was committed before the lease's deadline". */
const char *ha_reason_text(enum ha_reason reason);

#endif
