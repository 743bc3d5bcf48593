/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world in one process: some machines, one store, and a clock that jumps from event to event.
 * One seed is one world; the same seed is the same world again.
 *
 * A machine is a mount (sim_mount.c: the protocol of docs/PROTOCOL.md with the rules of fs/lease.c
 * and fs/commit.c) and a daemon (sim_daemon.c: the engine with its shell).  The store (sim_store.c)
 * knows exclusive create, get, list and delete.  sim.c has the clocks, the faults and the
 * properties that are checked after every event.  @i is a machine's number everywhere.
 *
 * Not modelled: the bytes (a generation is a struct), the operations that pass the gate, SQLite.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "fs/lease.h"
#include "ha/engine.h"

#define SIM_MACHINES_MAX 7
#define SIM_ROWS_MAX     20
#define SIM_REQUESTS_MAX 128
#define SIM_OPS_MAX      8
#define SIM_EVENTS_MAX   4096
#define SIM_ATTEMPTS_MAX 65536
#define SIM_NUMBERS_MAX  16384 /* of generations, and epochs */
#define SIM_WHY_MAX      160

/*
 * A machine that has more events than this per second on average is in a busy loop.  Each
 * generation, whoever committed it, is some events to all of the @n machines.
 */
#define SIM_EVENTS_PER_S(n) (40 + 10UL * (n))

/* Chances are drawn for each machine each second, or for each call to the store. */
struct sim_faults {
	unsigned daemon_crash_permille;
	unsigned daemon_stop_permille; /* told to stop, in good order */
	unsigned daemon_pause_permille;
	unsigned mount_crash_permille;
	unsigned mount_pause_permille;
	unsigned machine_crash_permille;
	unsigned machine_sleep_permille; /* nothing leaves it either */
	unsigned cut_permille;           /* the network between it and the store is down */
	unsigned pause_max_ms;           /* for the pauses, the sleep and the cut */
	unsigned switchover_permille;    /* an operator asks for it; of the world, as a pause is */
	unsigned maintenance_permille;   /* pauses the plane, or ends that */
	unsigned mode_permille;          /* a daemon is told another mode */
	unsigned stall_permille;         /* the store does nothing for a while */
	unsigned stall_max_ms;

	unsigned lost_permille; /* the call never arrives */
	unsigned late_permille; /* it arrives long after the caller was told that it failed */
	unsigned late_max_ms;
	unsigned unheard_permille; /* it is done, its answer is lost */
	unsigned lie_permille;     /* it is done, its answer is an error */
	unsigned refuse_permille;  /* no space */
	unsigned delay_max_ms;     /* one way, uniform */
	unsigned call_timeout_ms;  /* after this the caller is told EIO */

	unsigned drift_ppm;      /* clocks run fast or slow by up to this */
	unsigned quiet_after_ms; /* no fault after this */
	unsigned end_ms;
};

/* The shared state, as one generation has it. */
struct sim_row {
	uint32_t id; /* 0: the row is free */
	uint32_t mount;
	uint64_t beat;
	int64_t priority;
	enum ha_state status;
};

struct sim_index {
	uint32_t holder; /* 0: the lease is free */
	uint64_t epoch;
	uint64_t beat_floor; /* the highest beat of all records that were removed */
	bool paused;
	enum lease_switchover phase;
	uint32_t to; /* 0: whom the master finds best */
	uint32_t from;
	struct sim_row rows[SIM_ROWS_MAX];
};

/* The bytes of one attempt to publish; its number in sim.attempts is its nonce. */
struct sim_attempt {
	uint64_t number;
	uint64_t parent; /* nonce */
	unsigned grants; /* claims granted in it */
	bool ordered;    /* a switchover or a pause was asked for in it */
	bool denied;     /* somebody was told that it failed */
	struct sim_index index;
};

enum sim_verb {
	SIM_CREATE,
	SIM_GET,
	SIM_LIST,
	SIM_DELETE,
	SIM_COLLECT, /* delete what is below .number and old */
};

struct sim_call {
	enum sim_verb verb;
	uint64_t id; /* 0: nobody waits for the answer */
	uint64_t number;
	uint64_t nonce;
	bool unsent; /* a pause of the process finds it before the system call */
};

struct sim_reply {
	uint64_t id;
	int status;
	uint64_t number; /* LIST: the highest */
	uint64_t nonce;  /* GET: what is there */
};

/* What a daemon asks of its mount. */
enum sim_ask {
	SIM_ASK_RECORD,
	SIM_ASK_CLAIM,
	SIM_ASK_PLANE,
	SIM_ASK_RELEASE,
	SIM_ASK_SWITCHOVER, /* to .target; 0: cancel.  An operator has no .op */
	SIM_ASK_REMOVE,     /* the record of .target */
	SIM_ASK_LOAD,       /* nothing of the plane: the mount answers */
	SIM_ASK_PAUSE,      /* or resume: an operator */
	SIM_ASK_DEATH,      /* not asked: the kernel closed the record's descriptor */
};

struct sim_request {
	enum sim_ask ask;
	uint64_t op;
	unsigned daemon_life;
	uint32_t node;
	uint32_t target;
	bool any; /* SWITCHOVER: let the master find one */
	int64_t priority;
	enum ha_state state; /* RECORD */
	bool answered;       /* with ETIMEDOUT: it may be published, nobody waits */
	uint64_t epoch;      /* CLAIM: as run last */
};

enum sim_kind {
	SIM_EV_FAULTS,
	SIM_EV_SERVE,         /* a call arrives at the store */
	SIM_EV_REPLY,         /* its answer at the mount */
	SIM_EV_CALL_LIMIT,    /* or none in time */
	SIM_EV_RETRY,         /* the mount has waited long enough */
	SIM_EV_REQUEST,       /* a request arrives at the mount */
	SIM_EV_REQUEST_LIMIT, /* it has waited too long there */
	SIM_EV_MOUNT_START,
	SIM_EV_TICK,      /* the engine's deadline */
	SIM_EV_OP_ANSWER, /* the mount's answer arrives at the daemon */
	SIM_EV_OP_LIMIT,  /* or none in time */
	SIM_EV_NEWS,      /* the daemon hears that its mount has a new generation */
};

struct sim_event {
	uint64_t at_ms;
	uint64_t seq;
	enum sim_kind kind;
	unsigned machine;
	unsigned life; /* of the process that it is for or from: dropped if that one is gone */
	uint64_t id;
	int status;
	uint64_t epoch;
	struct sim_call call;
	struct sim_reply reply;
	struct sim_request request;
};

/* What a mount knows of one row beyond the index. */
struct sim_watch {
	uint32_t id;
	struct lease_seen seen;
	uint64_t deadline_ms;
};

/* What the mount's one thread waits for. */
enum sim_phase {
	SIM_IDLE,
	SIM_LISTING,      /* to find the newest generation */
	SIM_LOADING,      /* it */
	SIM_CREATING,     /* the attempt */
	SIM_READING_BACK, /* what is there in its place */
	SIM_CONFIRM_LIST, /* it took so long that our generation may be void */
	SIM_CONFIRM_GET,  /* does the next one descend from it? */
	SIM_DISCARDING,   /* it is void */
};

struct sim_mount {
	bool up;
	unsigned life;
	uint32_t id;
	uint64_t paused_until_ms;
	uint64_t head; /* 0: nothing is loaded */
	uint64_t head_nonce;
	struct sim_index index;
	struct sim_watch watch[SIM_ROWS_MAX];
	uint64_t phase_since_ms; /* own clock: the switchover was first seen in its phase */
	uint64_t verified_ms; /* own clock: the next generation, if any, was created after this */
	bool shut;            /* the gate is closed: a request under way gives the lease up */
	enum sim_phase phase;
	uint64_t call_id;
	uint64_t listed_ms; /* before the list call */
	uint64_t nonce;     /* the attempt; 0: none */
	uint64_t t0_ms;     /* before its first create */
	bool doubted;       /* an earlier sending of it ended unknown */
	int created;
	unsigned n_requests, n_run; /* the first n_run are in the attempt */
	struct sim_request requests[SIM_REQUESTS_MAX];
};

struct sim_op {
	uint64_t id;
	struct ha_action action;
};

struct sim_daemon {
	bool up;
	unsigned life;
	uint32_t id;
	uint64_t paused_until_ms;
	struct ha_engine engine;
	uint64_t tick_id;   /* the newest tick; older ones are dropped */
	uint64_t executing; /* the operation that the worker is stuck in; 0: it is free */
	unsigned n_ops;
	struct sim_op ops[SIM_OPS_MAX];
	struct ha_plane plane; /* the answer on its way */
};

struct sim_machine {
	uint64_t clock_base_ms; /* what its clock showed at time 0 */
	int64_t drift_ppm;
	int64_t priority;
	uint64_t asleep_until_ms;
	uint64_t cut_until_ms;
	struct sim_mount mount;
	struct sim_daemon daemon;
};

struct sim_store {
	uint64_t highest, lowest;
	uint64_t stalled_until_ms;
	uint64_t handed_ms;              /* when `master` was handed over last */
	uint64_t nonce[SIM_NUMBERS_MAX]; /* by number; 0: not there */
	uint64_t created_ms[SIM_NUMBERS_MAX];
	uint64_t chain[SIM_NUMBERS_MAX]; /* by number: the first nonce ever there */
};

struct sim {
	uint64_t rng, now_ms, seq, next_id;
	uint32_t last_id; /* of nodes and mounts */
	unsigned n_machines;
	struct lease_timing timing;
	struct sim_faults faults;
	struct sim_machine machines[SIM_MACHINES_MAX];
	struct sim_store store;
	uint64_t granted[SIM_NUMBERS_MAX]; /* by epoch: the nonce that granted it */
	unsigned long steps, masters, commits, crashes, pauses, handed, orders;
	uint64_t digest; /* of all events in their order, and what the machines were after each */
	bool traced;     /* print each event */
	char why[SIM_WHY_MAX]; /* set when a property broke */
	uint64_t n_attempts;
	unsigned n_events;
	/* Not cleared by sim_init(): only what was counted above is ever read. */
	struct sim_attempt attempts[SIM_ATTEMPTS_MAX];
	struct sim_event events[SIM_EVENTS_MAX]; /* a heap, the earliest first */
};

/* sim.c */

/* @s is large: the caller's, and static. */
void sim_init(struct sim *s, uint64_t seed, unsigned n_machines, const struct sim_faults *faults,
	      const struct lease_timing *timing);

/* Run to the end.  False if a property broke; .why says which and when. */
bool sim_run(struct sim *s);

uint64_t sim_below(struct sim *s, uint64_t n);
bool sim_is_quiet(const struct sim *s);
bool sim_chance(struct sim *s, unsigned permille); /* never in quiet times */
uint64_t sim_delay_ms(struct sim *s);              /* of one message */
uint64_t sim_local_ms(const struct sim *s, unsigned machine);
void sim_post(struct sim *s, struct sim_event ev, uint64_t after_ms);
uint32_t sim_parse_id(const char *id);
void sim_format_id(uint32_t id, char *ret); /* "" for 0; in the order of the numbers */
void sim_broke(struct sim *s, const char *what, unsigned machine);

/* sim_store.c */
void sim_store_init(struct sim *s);
void sim_store_serve(struct sim *s, const struct sim_event *ev);

/* sim_mount.c */
void sim_mount_start(struct sim *s, unsigned i);
void sim_mount_crash(struct sim *s, unsigned i);
void sim_mount_order(struct sim *s, unsigned i, const struct sim_request *order);
void sim_mount_handle(struct sim *s, const struct sim_event *ev);
bool sim_mount_gate_is_open(const struct sim *s, unsigned i);

/* sim_daemon.c */
void sim_daemon_start(struct sim *s, unsigned i, enum ha_mode mode);
void sim_daemon_crash(struct sim *s, unsigned i);
void sim_daemon_stop(struct sim *s, unsigned i);
void sim_daemon_set_mode(struct sim *s, unsigned i, enum ha_mode mode);
void sim_daemon_tell(struct sim *s, unsigned i);
void sim_daemon_handle(struct sim *s, const struct sim_event *ev);

#endif
