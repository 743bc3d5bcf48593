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
 * States, and what leads from one to the other.  A row has a reason each, in ha_transitions[]; what
 * has no row cannot happen.  "rest" is the state of a node that is not master: STANDBY, HOT_STANDBY
 * or HOT_BACKUP, by the mode; auto and master keep a copy that is loaded already.
 *
 *	from              to            when
 *	INITIALIZING      STANDBY       mode auto; standby, hot_standby: a master is named; any of
 *	                                them, or master, at run time: whoever is master
 *	INITIALIZING      HOT_BACKUP    mode hot_backup: the persisted state is loaded
 *	INITIALIZING      MASTER        mode master: claim granted
 *	INITIALIZING      FAILED        at start, mode master: another one is alive; mode standby,
 *	                                hot_standby: none is named
 *	STANDBY           HOT_STANDBY   rest is hot: the persisted state is loaded
 *	STANDBY, HOT_S.   MASTER        claim granted: elected, mode master, handed over or back
 *	MASTER            STANDBY       deposed; lets go for a switchover or for a standby's mode
 *	MASTER            INITIALIZING  lets go for mode hot_backup
 *	MASTER            FAILED        the lease is over; the command of --exec does not run
 *	STANDBY           INITIALIZING  mode hot_backup, nothing is loaded yet
 *	HOT_S., HOT_B.    rest          by a mode
 *	FAILED            rest, but hot ones by way of STANDBY or INITIALIZING: a record was
 *	                                committed again after an expired lease or a refused id
 *	FAILED            INITIALIZING  any mode but disabled: all begins anew
 *	any               FAILED        the id is in use elsewhere; mode disabled
 *	any               TERMINATED    STOP
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
	HA_MODE_DISABLED, /* at start: no engine is run, the node calls itself MASTER */
	HA_MODE_AUTO,
	HA_MODE_STANDBY,
	HA_MODE_HOT_STANDBY, /* keeps the persisted state loaded */
	HA_MODE_HOT_BACKUP,  /* likewise, and never becomes master */
	HA_MODE_MASTER,      /* a wish that is fulfilled once; then as auto */
	HA_MODE_MAX_,
};

/* Why a state was entered.  ha_reason_text() has the words for people. */
enum ha_reason {
	HA_REASON_STARTED,       /* INITIALIZING, at start */
	HA_REASON_AUTODETECTED,  /* mode auto became STANDBY */
	HA_REASON_REQUESTED,     /* a standby's mode became STANDBY */
	HA_REASON_LOADED,        /* the persisted state is loaded */
	HA_REASON_ELECTED,       /* claim granted to a standby */
	HA_REASON_MASTER_MODE,   /* claim granted to mode master */
	HA_REASON_HANDED_TO,     /* claim granted to the target of a switchover */
	HA_REASON_HANDED_BACK,   /* claim granted to the old master, for want of the target's */
	HA_REASON_HANDED_OVER,   /* the lease was given up for a switchover */
	HA_REASON_LEASE_EXPIRED, /* no record was committed before the lease's deadline */
	HA_REASON_DEPOSED,       /* the lease is somebody else's, or was taken away */
	HA_REASON_REJOINED,      /* the share answers again */
	HA_REASON_MASTER_EXISTS, /* mode master, and another master is alive */
	HA_REASON_NO_MASTER,     /* mode standby or hot_standby, and no master is named */
	HA_REASON_ID_IN_USE,     /* another machine beats under this node id */
	HA_REASON_MODE,          /* another mode was asked for */
	HA_REASON_DISABLED,      /* mode disabled was asked for */
	HA_REASON_COMMAND,       /* what is to run while it is master does not */
	HA_REASON_STOPPED,       /* TERMINATED on command */
	HA_REASON_MAX_,
};

/* A row of the table above, for each reason. */
struct ha_transition {
	enum ha_state from;
	enum ha_state to;
	enum ha_reason reason;
};

/* All there are; the last one has .reason HA_REASON_MAX_. */
extern const struct ha_transition ha_transitions[];

/* One node's record as the plane has it. */
struct ha_peer {
	char id[HA_ID_BYTES];
	char version[HA_VERSION_BYTES]; /* "" for none */
	enum ha_state status;
	int64_t priority;
	uint64_t beat;   /* its counter: a change means that it is alive */
	uint64_t age_ms; /* since the mount first saw that */
	bool lapsed;     /* it has seen no beat for the heartbeat timeout */
};

enum ha_switchover_phase {
	HA_SWITCHOVER_NONE,
	HA_SWITCHOVER_PLANNED,   /* the master begins it when it is due, and has a target */
	HA_SWITCHOVER_ANNOUNCED, /* .from lets go once .to is seen to have heard of it */
	HA_SWITCHOVER_HANDED,    /* the lease is for .to; after a poll for .from as well */
	HA_SWITCHOVER_MAX_,
};

/* A switchover as the plane has it, and the mount enforces it; see docs/PROTOCOL.md. */
struct ha_switchover {
	enum ha_switchover_phase phase;
	char to[HA_ID_BYTES];   /* "": whom the master finds best; PLANNED only */
	char from[HA_ID_BYTES]; /* the master that is asked; "": there was none */
	bool due;               /* PLANNED: by this machine's wall clock it is time */
	uint64_t age_ms;        /* since the mount first saw it in this phase */
};

/* The plane at one generation. */
struct ha_plane {
	char master[HA_ID_BYTES]; /* holder of the lease; "" if it is free */
	uint64_t epoch;
	bool paused; /* nobody becomes master but by a switchover */
	struct ha_switchover switchover;
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
	uint64_t prune_ms;   /* a master removes records that are dead for so long; 0: never */
};

enum ha_event_type {
	HA_EV_TICK,       /* the deadline passed, or nothing in particular */
	HA_EV_RECORD,     /* an HA_ACT_WRITE_RECORD finished with .status */
	HA_EV_PLANE,      /* an HA_ACT_READ_PLANE finished with .status; .plane if 0 */
	HA_EV_CLAIM,      /* an HA_ACT_CLAIM finished with .status; .epoch if 0 */
	HA_EV_RELEASE,    /* an HA_ACT_RELEASE finished, however */
	HA_EV_SWITCHOVER, /* an HA_ACT_SWITCHOVER finished, however */
	HA_EV_REMOVE,     /* an HA_ACT_REMOVE finished, however */
	HA_EV_LOAD,       /* an HA_ACT_LOAD finished with .status */
	HA_EV_NEWS,    /* the plane may have changed since it was read: need not come, or be true */
	HA_EV_MODE,    /* command: go on in .mode */
	HA_EV_GIVE_UP, /* what is to run while this node is master does not: step down */
	HA_EV_STOP,    /* command: leave the plane */
};

struct ha_event {
	enum ha_event_type type;
	uint64_t now_ms;              /* CLOCK_BOOTTIME; never goes back */
	int status;                   /* 0 or -errno of the operation; -ETIMEDOUT: unknown */
	uint64_t epoch;               /* CLAIM */
	enum ha_mode mode;            /* MODE */
	const struct ha_plane *plane; /* PLANE: the caller's, read during the step only */
};

/*
 * A poll writes the record and then reads the plane.  News only adds a reading between two polls,
 * which is decided on by the same rules; heartbeats keep their pace.
 *
 * All actions but ENTERED, UNLOAD and EXIT are each answered exactly once, with -ETIMEDOUT if need
 * be; at most one of each type is outstanding.  The shell carries them out one after the other, in
 * order, and drops late answers.  LOAD is the exception to that order: other actions need not wait
 * for it.  Whatever must have ended before another node may be master (ENTERED tells of it) must
 * have ended before a RELEASE, or a record that says FAILED or TERMINATED, is carried out.
 *
 * WRITE_RECORD's answers: 0; -ESTALE: it said MASTER and the lease is not ours; -EACCES: the id
 * is another machine's; anything else: not known to be written.  CLAIM's: 0; -EBUSY: somebody else
 * is alive, or it is handed to somebody; -EAGAIN: the plane is paused; -ESTALE: our own heartbeat
 * lapsed; -EPERM: our record is not known; else unknown.
 */
enum ha_action_type {
	HA_ACT_WRITE_RECORD, /* commit this node's record with status .state */
	HA_ACT_READ_PLANE,
	HA_ACT_CLAIM,      /* write our id to `master` */
	HA_ACT_RELEASE,    /* give `master` back; in a switchover that hands it over */
	HA_ACT_SWITCHOVER, /* ask for a switchover to .node; "": cancel the one there is */
	HA_ACT_REMOVE,     /* remove the record of .node */
	HA_ACT_LOAD,       /* bring the loaded copy of the persisted state up to date */
	HA_ACT_UNLOAD,     /* forget it */
	HA_ACT_ENTERED,    /* .state was entered from .previous because of .reason, under .epoch */
	HA_ACT_EXIT,       /* TERMINATED is published (or nothing ever was): end the process */
};

struct ha_action {
	enum ha_action_type type;
	enum ha_state state;
	enum ha_state previous;
	enum ha_reason reason;
	uint64_t epoch;         /* ENTERED: of the lease, if .state is MASTER; else 0 */
	char node[HA_ID_BYTES]; /* SWITCHOVER, REMOVE */
};

/* The most actions one step can ask for. */
#define HA_ACTIONS_MAX 8

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
	enum ha_state rest;    /* what to be while not master; FAILED: disabled */
	uint64_t epoch;        /* MASTER: the lease's */
	uint64_t until_ms;     /* MASTER: end of the lease on this node's clock, margin taken off */
	uint64_t next_poll_ms; /* when to write the record and read the plane next */
	uint64_t record_sent_ms;    /* before the record in flight was handed out */
	uint64_t claim_sent_ms;     /* before the claim in flight was handed out */
	enum ha_state record_state; /* what the record in flight says */
	enum ha_reason claim_as;    /* what the claim in flight makes of us */
	bool record_in_flight;
	bool plane_in_flight;
	bool claim_in_flight;
	bool release_in_flight;
	bool switchover_in_flight;
	bool remove_in_flight;
	bool load_in_flight;
	bool news;          /* came since the plane was last asked for: read it once idle */
	bool joined;        /* the plane was read: every poll writes a record from now on */
	bool beat_ok;       /* .state was committed by the last WRITE_RECORD */
	bool starting;      /* a mode that cannot be had is refused; no longer once one was given */
	bool wants_master;  /* mode master: not fulfilled so far */
	bool loaded;        /* the copy is complete, and kept up to date */
	bool farewell_sent; /* TERMINATED: its record was handed out, or none is needed */
	/* Whose next beat tells something, and its beat when that began. */
	char awaited[HA_ID_BYTES];
	uint64_t awaited_beat;
	uint64_t heard_epoch; /* of the master whose switchover to us we have answered by a beat */
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

/* "planned" and so on; NULL for NONE. */
const char *ha_switchover_name(enum ha_switchover_phase phase);

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
