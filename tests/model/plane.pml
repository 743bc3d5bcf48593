/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Store, lease and gate: machines that publish generations, claim one lease and open a gate.
 *
 * What is checked in every state that can be reached:
 *
 *	at most one gate is open;
 *	no epoch is granted twice;
 *	a commit is acknowledged only if it is in the history (which is never changed behind its
 *	end), and is reported as failed only if it is not and never will be;
 *	somebody can go on (no invalid end state).
 *
 * Runs are of any length, with any number of claims, crashes, restarts and lost answers.  What is
 * bounded: N machines; the slowest one is at most LAG generations behind; one request at a time
 * that outlives its process.
 *
 * What stands for what:
 *
 *	line[]		The history.  Each generation holds the state that it leads to, so there
 *			are no patchsets or images (fs/chain.c, fs/change.c).  Only what somebody
 *			may still need is there: when all have gone on, done() drops the oldest
 *			one and numbers anew.  That names stay used though they are deleted is
 *			the subject of chain.pml; here nothing is deleted.
 *	Mount		The plane thread (fs/plane.c): it takes what others published (follow(),
 *			chain_catch_up()), runs one request on its newest state (request_run(),
 *			fs/request.c), publishes it (chain_send()) and judges what came of it
 *			(commit_judge(), fs/commit.c).  One request a generation: a group commit
 *			is one request with several effects.  Requests come at any time, in any
 *			order.  Every step may be delayed for ever by not being taken, while the
 *			clocks go on: that is a pause, a slow share, or a late answer.
 *	Server		Carries out a request that was sent, at any time until its sender has
 *			judged it, whatever the sender was told meanwhile: so every answer can be
 *			lost, and every request be repeated by either side.
 *	Late		The same for a request whose process died before it knew.
 *	Clock		One tick of a machine's CLOCK_BOOTTIME.  No clock is ever more than SKEW
 *			ticks ahead of another, so that between two moments one may count up to
 *			2 * SKEW more than the other: different rates, and clocks that do not tick
 *			at the same moment.  The margin must pay for that, as in fs/lease.c.  A
 *			timer holds the ticks since (or until) something, as far as a rule asks.
 *	OPEN()		gate_is_open() after sync_gate() (fs/gate.c, fs/plane.c).  There is no
 *			copy of the index in the model, so the gate follows it at once; the
 *			deadline is the only thing that closes it without a step of the mount.
 *	left		The ticks until lease_deadline_ms() (fs/lease.c).
 *	still		The ticks that the lease holder's beat has stood still, as seen here:
 *			lease_see(), lease_has_lapsed().  Every generation is a beat of its
 *			writer.  It is 0 while the lease is free, ours, or its holder over.
 *	ADOPT		A restarted mount takes its node's record over and frees the leases of
 *			its predecessor (write_record(), fs/request.c).  It need not wait here:
 *			the predecessor is dead.  Two live machines with one node id are not
 *			in the model.
 *	LEAVE		Release, TERMINATED, or the death of the daemon under a live mount.
 *	READY		Between running the rules and the first sending, where t0_ms is taken.
 *			Without UNSENT, t0 is taken with the rules, so that leases are shorter.
 *
 * Not in the model: the operations inside the gate (gate_shut() has waited for them when a LEAVE
 * or a new epoch is prepared), several leases, removed records, a share that stops a mount by
 * damage, switchovers and pauses (fs/orders.c: they only refuse claims).
 *
 * N, LAG, TIMEOUT, MARGIN and SKEW come from the command line, and which of these are in: CRASHES
 * (and restarts), LEAVES, RECLAIMS (a holder claims again, for a new epoch), REFUSALS (ENOSPC and
 * the like), UNSENT (a pause between running the rules and sending).
 */
#define NOBODY N

#define DOWN  0 /* phase: the process is dead */
#define IDLE  1 /* nothing under way */
#define READY 2 /* a generation is prepared */
#define SENT  3 /* and its create was sent at least once */

#define BEAT  0 /* op: a record is written */
#define ADOPT 1
#define CLAIM 2
#define LEAVE 3

#define NONE    0 /* owner of a node's record: there is no record */
#define FORMER  1 /* a process that is dead */
#define PRESENT 2 /* this one */

typedef generation {
	unsigned writer : 2; /* whose beat it is */
	unsigned holder : 2; /* of the lease; or NOBODY */
	unsigned epoch : 3;  /* counted from that of line[0] */
	byte owner[N];
	bit over[N]; /* the record says TERMINATED or FAILED */
}

typedef machine {
	unsigned phase : 2;
	unsigned op : 2;
	unsigned base : 3; /* the generation that its index shows; it publishes the next one */
	bit created;       /* the create was carried out */
	bit doubted;       /* an earlier sending ended UNKNOWN */
	unsigned t0 : 2;   /* ticks since the first sending; enough is enough */
	unsigned left : 2;
	unsigned still : 3;
	unsigned lead : 2; /* ticks ahead of the slowest clock */
}

/* A request of a process that is dead, or one that was reported as failed. */
typedef orphan {
	bit there;
	bit denied;
	byte who;
	byte op;
	byte number;
}

generation line[LAG + 1];
byte top; /* the newest generation */
machine m[N];
orphan late;
byte granted; /* bit e: epoch e was granted and the claimant was told; bit 0: used up */

hidden byte i, j, low; /* scratch */

#define VIEW(me)   line[m[me].base]
#define HOLDER(me) VIEW(me).holder

/* lease_has_lapsed(), lease_deadline_ms() */
#define LAPSED(ticks) ((ticks) > TIMEOUT)
#define TERM          (TIMEOUT - MARGIN)

#define OPEN(me)                                                                                  \
	(m[me].phase != DOWN && HOLDER(me) == me && VIEW(me).owner[me] == PRESENT &&              \
	 m[me].left > 0 && !IS_SHUT(me))

/* shut_if_given_up(): this request takes the lease from its mount, or changes the epoch. */
#define IS_SHUT(me) (m[me].phase != IDLE && (m[me].op == LEAVE || m[me].op == CLAIM))

/* Whose silence counts: a living holder that is not this machine. */
#define WATCHES(me)                                                                               \
	(m[me].phase != DOWN && HOLDER(me) != NOBODY && HOLDER(me) != me &&                       \
	 !VIEW(me).over[HOLDER(me)])

/* lease_may_claim() */
#define MAY_CLAIM(me)                                                                             \
	(VIEW(me).owner[me] == PRESENT && !VIEW(me).over[me] && m[me].left > 0 &&                 \
	 (HOLDER(me) == NOBODY || IS_RECLAIM(me) || VIEW(me).over[HOLDER(me)] ||                  \
	  LAPSED(m[me].still)))
#ifdef RECLAIMS
#define IS_RECLAIM(me) (HOLDER(me) == me)
#else
#define IS_RECLAIM(me) false
#endif

/* Without a timer that runs, time makes no difference. */
#define RUNS(me)                                                                                  \
	(m[me].left > 0 || (WATCHES(me) && !LAPSED(m[me].still)) ||                               \
	 (m[me].phase == SENT && m[me].t0 < TERM))
#if N == 2
#define ANY_RUNS (RUNS(0) || RUNS(1))
#else
#define ANY_RUNS (RUNS(0) || RUNS(1) || RUNS(2))
#endif

inline copy_generation(to, from)
{
	line[to].writer = line[from].writer;
	line[to].holder = line[from].holder;
	line[to].epoch = line[from].epoch;
	for (j : 0 .. N - 1) {
		line[to].owner[j] = line[from].owner[j];
		line[to].over[j] = line[from].over[j]
	}
}

inline clear_generation(g)
{
	line[g].writer = 0;
	line[g].holder = 0;
	line[g].epoch = 0;
	for (j : 0 .. N - 1) {
		line[g].owner[j] = NONE;
		line[g].over[j] = 0
	}
}

/* Nothing is under way. */
inline end_request(me)
{
	m[me].phase = IDLE;
	m[me].op = BEAT;
	m[me].created = 0;
	m[me].doubted = 0;
	m[me].t0 = 0
}

/* The name of a late request is taken by now: it will do nothing. */
inline drop_late()
{
	if
	:: late.there && late.number <= top ->
		late.there = 0;
		late.denied = 0;
		late.who = 0;
		late.op = BEAT;
		late.number = 0
	:: else
	fi
}

/* Drop generations that everybody has gone past; they are the same for all that can follow. */
inline drop_generations()
{
	low = top;
	for (i : 0 .. N - 1) {
		if
		:: m[i].phase != DOWN && m[i].base < low -> low = m[i].base
		:: else
		fi
	}
	if
	:: low > 0 ->
		for (i : low .. top) {
			copy_generation(i - low, i)
		}
		for (i : top - low + 1 .. top) {
			clear_generation(i)
		}
		top = top - low;
		for (i : 0 .. N - 1) {
			if
			:: m[i].phase != DOWN -> m[i].base = m[i].base - low
			:: else
			fi
		}
		if
		:: late.there -> late.number = late.number - low
		:: else
		fi
	:: else
	fi;
	line[0].writer = 0; /* nobody will come upon it any more */
	low = line[0].epoch;
	granted = (granted >> low) | 1; /* whoever is granted one from now on gets a higher one */
	for (i : 0 .. top) {
		line[i].epoch = line[i].epoch - low
	}
}

/* What makes no difference any more is made the same. */
inline forget()
{
	for (i : 0 .. N - 1) {
		if
		:: m[i].phase == SENT && m[i].created -> m[i].doubted = 0
		:: m[i].phase >= READY && !m[i].created && m[i].base < top ->
			/* It has lost its race; its op matters as far as it shuts the gate. */
			m[i].doubted = 0;
			m[i].t0 = 0;
			if
			:: HOLDER(i) != i || m[i].op == ADOPT -> m[i].op = BEAT
			:: else
			fi
		:: else
		fi;
		if
		:: !WATCHES(i) -> m[i].still = 0
		:: else
		fi
	}
	if
	:: !ANY_RUNS ->
		for (i : 0 .. N - 1) {
			m[i].lead = 0
		}
	:: else
	fi
}

/* Closes every step. */
inline done()
{
	drop_late();
	drop_generations();
	forget();
	low = 0;
	for (i : 0 .. N - 1) {
		if
		:: OPEN(i) -> low++
		:: else
		fi
	}
	assert(low <= 1);
	low = 0
}

/* The server creates the next generation: op of machine `me`, by a mount that is owner now. */
inline create_next(me, what, mount)
{
	copy_generation(top + 1, top);
	top++;
	line[top].writer = me;
	if
	:: what == BEAT ->
		line[top].owner[me] = mount;
		line[top].over[me] = 0
	:: what == ADOPT ->
		line[top].owner[me] = mount;
		line[top].over[me] = 0;
		if
		:: line[top].holder == me -> line[top].holder = NOBODY
		:: else
		fi
	:: what == CLAIM ->
		line[top].holder = me;
		line[top].epoch++
	:: what == LEAVE ->
		line[top].over[me] = 1;
		line[top].holder = NOBODY
	fi
}

/* The index shows the next generation.  lease_see(): a beat that moved is counted anew. */
inline take_next(me)
{
	m[me].base++;
	if
	:: VIEW(me).writer == HOLDER(me) -> m[me].still = 0
	:: else
	fi
}

inline prepare(me, what)
{
	m[me].op = what;
#ifdef UNSENT
	m[me].phase = READY;
#else
	m[me].phase = SENT;
#endif
	done()
}

/* COMMIT_OURS: the caller is told that it is done, and the lease counts from t0. */
inline acknowledge(me)
{
	assert(m[me].created);
	take_next(me);
	m[me].left = TERM - m[me].t0;
	if
	:: m[me].op == CLAIM ->
		assert(!(granted & (1 << VIEW(me).epoch)));
		granted = granted | (1 << VIEW(me).epoch)
	:: else
	fi;
	end_request(me);
	done()
}

/* COMMIT_THEIRS: the next request is run on their state. */
inline give_way(me)
{
	take_next(me);
	end_request(me);
	done()
}

/* COMMIT_FAILED: the caller is told that it did not happen. */
inline deny(me)
{
	assert(!m[me].created);
	if
	:: m[me].doubted && !late.there ->
		late.there = 1;
		late.denied = 1;
		late.who = me;
		late.op = m[me].op;
		late.number = m[me].base + 1
	:: else
	fi;
	end_request(me);
	done()
}

inline die(me)
{
	end_request(me);
	m[me].phase = DOWN;
	m[me].base = 0;
	m[me].left = 0;
	m[me].still = 0;
	for (i : 0 .. top) {
		if
		:: line[i].owner[me] == PRESENT -> line[i].owner[me] = FORMER
		:: else
		fi
	}
	done()
}

/* The guards stand outside of d_step, or pan would not tell which steps were never taken. */
proctype Mount(byte me)
{
	do
	/* Following. */
	:: atomic { m[me].phase == IDLE && m[me].base < top -> d_step { take_next(me); done() } }

	/* A request is run on the newest state that this mount knows. */
#ifdef CRASHES
	:: atomic { m[me].phase == IDLE && VIEW(me).owner[me] == FORMER -> d_step {
		prepare(me, ADOPT) } }
#endif
	:: atomic { m[me].phase == IDLE && VIEW(me).owner[me] != FORMER -> d_step {
		prepare(me, BEAT) } }
	:: atomic { m[me].phase == IDLE && MAY_CLAIM(me) -> d_step { prepare(me, CLAIM) } }
#ifdef LEAVES
	:: atomic { m[me].phase == IDLE && HOLDER(me) == me &&
		    VIEW(me).owner[me] == PRESENT -> d_step {
		prepare(me, LEAVE) } }
#endif
#ifdef UNSENT
	:: atomic { m[me].phase == READY -> d_step { m[me].phase = SENT; done() } }
#endif

	/* An answer, and what is found under the name.  Created; or EEXIST, and it is ours. */
	:: atomic { m[me].phase == SENT && m[me].created -> d_step { acknowledge(me) } }
	/* EEXIST, or no answer; and somebody else's bytes are there. */
	:: atomic { m[me].phase == SENT && !m[me].created && m[me].base < top -> d_step {
		give_way(me) } }
#ifdef REFUSALS
	/* No answer, and nothing is there: sent again. */
	:: atomic { m[me].phase == SENT && !m[me].created && m[me].base == top &&
		    !m[me].doubted -> d_step { m[me].doubted = 1; done() } }
	/* The server refuses to do it, and nothing is there: this sending is settled. */
	:: atomic { m[me].phase == SENT && !m[me].created && m[me].base == top &&
		    !m[me].doubted -> d_step {
		deny(me) } }
#endif

#ifdef CRASHES
	:: atomic { m[me].phase != DOWN -> d_step { die(me) } }
	:: atomic { m[me].phase == SENT && !m[me].created && m[me].base == top &&
		    !late.there -> d_step {
		late.there = 1;
		late.who = me;
		late.op = m[me].op;
		late.number = m[me].base + 1;
		die(me) } }
	:: atomic { m[me].phase == DOWN -> d_step {
		m[me].phase = IDLE;
		m[me].base = top;
		done() } }
#endif
	od
}

proctype Server(byte me)
{
	do
	:: atomic { m[me].phase == SENT && !m[me].created && m[me].base == top &&
		    top < LAG -> d_step {
		create_next(me, m[me].op, PRESENT);
		m[me].created = 1;
		done() } }
	od
}

#ifdef CRASHES
proctype Late()
{
	do
	:: atomic { late.there && late.number == top + 1 && top < LAG -> d_step {
		assert(!late.denied);
		create_next(late.who, late.op, FORMER);
		done() } }
	od
}
#endif

proctype Clock(byte me)
{
	do
	:: atomic { ANY_RUNS && m[me].lead < SKEW -> d_step {
		if
		:: m[me].left > 0 -> m[me].left--
		:: else
		fi;
		if
		:: WATCHES(me) && !LAPSED(m[me].still) -> m[me].still++
		:: else
		fi;
		if
		:: m[me].phase == SENT && m[me].t0 < TERM -> m[me].t0++
		:: else
		fi;
		m[me].lead++;
		low = SKEW;
		for (i : 0 .. N - 1) {
			if
			:: m[i].lead < low -> low = m[i].lead
			:: else
			fi
		}
		for (i : 0 .. N - 1) {
			m[i].lead = m[i].lead - low
		}
		done() } }
	od
}

init
{
	byte n;

	atomic {
		line[0].holder = NOBODY;
		granted = 1;
		for (n : 0 .. N - 1) {
			m[n].phase = IDLE;
			run Mount(n);
			run Server(n);
			run Clock(n)
		}
		n = 0;
#ifdef CRASHES
		run Late()
#endif
	}
}
