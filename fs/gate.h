/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: may this mount change the share now?  An atomic {epoch, deadline} compared with the
 * clock at every mutating operation, before it and again before its result is returned.  A flag
 * alone would outlive a paused process.
 *
 * It opens nothing by itself: fs/plane.c sets it from the index (lease `master` held by a node of
 * this mount) and from the beats that were committed.  gate_enter() and gate_leave() may be called
 * by any thread; the others by the plane's thread only.
 */
#ifndef FS_GATE_H
#define FS_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gate {
	_Atomic uint64_t epoch;       /* 0: this mount holds no lease */
	_Atomic uint64_t deadline_ms; /* CLOCK_BOOTTIME */
	atomic_bool shut;             /* nobody new comes in; those inside may finish */
	atomic_uint inside;
	pthread_mutex_t lock; /* for .left only */
	pthread_cond_t left;  /* wait_cond_init(): somebody left while the gate was shut */
};

struct gate_pass {
	uint64_t epoch;
};

void gate_init(struct gate *g);
void gate_done(struct gate *g);

/* 0, or -EROFS: no lease, its deadline has passed, or it is being given up. */
int gate_enter(struct gate *g, struct gate_pass *ret);

/*
 * After every successful gate_enter().  0, or -EIO: the lease ended or changed hands while the
 * operation ran; its outcome is unknown.
 */
int gate_leave(struct gate *g, const struct gate_pass *pass);

/* Is it open now?  For display; an operation must enter. */
bool gate_is_open(const struct gate *g);

/* Open under @epoch until @deadline_ms (or move the deadline); epoch 0 closes. */
void gate_set(struct gate *g, uint64_t epoch, uint64_t deadline_ms);

/*
 * Shut the gate and wait for those inside, at most until @margin_ms after the deadline: whoever is
 * still inside at the deadline gets -EIO, and what it has under way has the margin to arrive.
 * gate_set() opens it again.
 */
void gate_shut(struct gate *g, uint64_t margin_ms);

#endif
