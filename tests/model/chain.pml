/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain of generations when old ones are deleted, and processes sleep for longer than that.
 *
 * plane.pml takes for granted that a name is created once.  Here names are deleted, so that the
 * exclusive create of somebody who slept can succeed a second time.  What is checked in every state
 * that can be reached:
 *
 *	a commit is acknowledged only if it was the first under its name: so there is one history,
 *	and nothing acknowledged is lost;
 *	nobody ever takes anything else for a generation;
 *	whoever lists sees the end of the history;
 *	somebody can go on (no invalid end state).
 *
 * Runs are of any length, with any number of crashes, restarts and lost answers.  What is bounded:
 * N machines; the slowest one is at most LAG generations behind; one repeated request at a time
 * that is carried out after its sender has settled it, or died.
 *
 * What stands for what:
 *
 *	there[]		The directory gen/ (fs/store.c).  A generation is an image; how the newest
 *			one is put together of an image and the changes after it, and that the
 *			second newest image is kept, is not in the model.  Neither is the content:
 *			a name is held by whoever was FIRST, or AGAIN by one of the machines
 *			(AGAIN + number).  As in plane.pml everything is numbered anew when all
 *			have gone on.
 *	Mount		chain_catch_up(), follow_one(), relist(), chain_send(), ours(), is_void()
 *			and take_theirs() of fs/chain.c.  Whatever lies between two looks at the
 *			clock or the share is a step of its own: the process may sleep there.
 *	verified	Ticks since the chain was known to end at .base: verified_ms.  Saturated.
 *	STALE()		commit_must_relist() (fs/commit.c).
 *	since		Ticks since what is under way began: refreshed_ms, before_ms, t0_ms.
 *	collect		chain_old(), chain_collect(): all names before a generation that this
 *			machine has first seen more than KEEP ticks ago go, if there is a newer
 *			one.  It remembers one candidate at a time.
 *	Server, Late, Clock
 *			As in plane.pml.
 *
 * N, LAG, TRUST, KEEP and SKEW come from the command line.
 */
#define DOWN  0 /* phase: the process is dead */
#define IDLE  1
#define PROBE 2 /* it asks for the next number */
#define LIST  3 /* it lists the directory */
#define READY 4 /* a generation is prepared */
#define SENT  5 /* and its create was sent at least once */

#define NOTHING 0 /* there: no such name */
#define FIRST   1
#define AGAIN   2

typedef machine {
	unsigned phase : 3;
	unsigned base : 3;    /* the generation that it stands at */
	unsigned created : 2; /* what its create became, once it was carried out */
	unsigned verified : 3;
	unsigned since : 3;
	unsigned kept : 3; /* the candidate for the oldest to keep; 0: none */
	unsigned kept_for : 3;
	unsigned lead : 2; /* ticks ahead of the slowest clock */
}

typedef orphan {
	bit there;
	byte who;
	byte number;
}

byte there[LAG + 1];
byte top; /* the newest generation of the history */
machine m[N];
orphan late;

hidden byte i, low, found; /* scratch */

#define STALE(me) (m[me].verified > TRUST)
#define NEXT(me)  (m[me].base + 1)

/* Only names that were used can be asked for here: behind the end there is nothing. */
#define IS_THERE(me) (m[me].base < top && there[NEXT(me)] != NOTHING)

/* What is under the name is what this machine's attempt created. */
#define IS_SAME(me)                                                                               \
	(IS_THERE(me) && ((m[me].created == FIRST && there[NEXT(me)] == FIRST) ||                 \
			  there[NEXT(me)] == AGAIN + me))

#define MAY_COLLECT(me)                                                                           \
	(m[me].phase != DOWN && m[me].kept != 0 && m[me].kept < m[me].base &&                     \
	 m[me].kept_for > KEEP)

/* Without a timer that runs, time makes no difference. */
#define RUNS(me)                                                                                  \
	(m[me].phase != DOWN &&                                                                   \
	 (!STALE(me) || (IS_TIMED(me) && m[me].since <= TRUST) ||                                 \
	  (m[me].kept != 0 && m[me].kept_for <= KEEP)))
#define IS_TIMED(me) (m[me].phase == PROBE || m[me].phase == LIST || m[me].phase == SENT)
#if N == 2
#define ANY_RUNS (RUNS(0) || RUNS(1))
#else
#define ANY_RUNS (RUNS(0) || RUNS(1) || RUNS(2))
#endif

/* Number anew without the generations that everybody has gone past. */
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
			there[i - low] = there[i]
		}
		for (i : top - low + 1 .. top) {
			there[i] = NOTHING
		}
		top = top - low;
		for (i : 0 .. N - 1) {
			if
			:: m[i].phase != DOWN -> m[i].base = m[i].base - low
			:: else
			fi;
			/* To keep what nobody misses any more is to keep nothing. */
			if
			:: m[i].kept > low -> m[i].kept = m[i].kept - low
			:: else -> m[i].kept = 0; m[i].kept_for = 0
			fi
		}
		if
		:: late.there && late.number > low -> late.number = late.number - low
		:: else -> late.there = 0; late.who = 0; late.number = 0
		fi
	:: else
	fi;
	there[0] = FIRST /* or gone: nobody asks for it */
}

/* Closes every step. */
inline done()
{
	drop_generations();
	assert(top == 0 || there[top] == FIRST);
	if
	:: !ANY_RUNS ->
		for (i : 0 .. N - 1) {
			m[i].lead = 0
		}
	:: else
	fi;
	low = 0
}

inline create(by, g, ret_created)
{
	if
	:: g == top + 1 -> top++; there[g] = FIRST; ret_created = FIRST
	:: else -> there[g] = AGAIN + by; ret_created = AGAIN
	fi
}

/* stand_at(), note_kept() */
inline stand_at(me, g)
{
	m[me].base = g;
	if
	:: m[me].kept == 0 -> m[me].kept = g; m[me].kept_for = 0
	:: else
	fi
}

/* take(): of what lies under the next number. */
inline take_next(me)
{
	assert(there[NEXT(me)] == FIRST);
	stand_at(me, NEXT(me))
}

inline begin(me, what)
{
	m[me].phase = what;
	m[me].since = 0;
	done()
}

inline end(me)
{
	m[me].phase = IDLE;
	m[me].created = NOTHING;
	m[me].since = 0;
	done()
}

/* is_void(): newer ones are there, and the next one does not descend from ours. */
inline look_if_void(me, ret)
{
	ret = 0;
	for (i : m[me].base + 2 .. top) {
		if
		:: there[i] != NOTHING -> ret = 1
		:: else
		fi
	}
	if
	:: ret && m[me].base + 2 <= top && there[m[me].base + 2] != NOTHING ->
		/* Whatever is there was made by somebody who stood at a FIRST. */
		ret = (m[me].created != FIRST)
	:: else
	fi
}

/* ours() */
inline settle(me)
{
	found = 0;
	if
	:: STALE(me) -> look_if_void(me, found)
	:: else
	fi;
	if
	:: found ->
		there[NEXT(me)] = NOTHING;
		m[me].verified = TRUST + 1
	:: else ->
		assert(m[me].created == FIRST);
		m[me].verified = m[me].since;
		stand_at(me, NEXT(me))
	fi;
	found = 0;
	end(me)
}

inline give_way(me)
{
	if
	:: !STALE(me) -> take_next(me)
	:: else
	fi;
	end(me)
}

/* The newest name of the directory. */
inline take_newest(me)
{
	found = 0;
	for (i : 0 .. top) {
		if
		:: there[i] != NOTHING -> found = i
		:: else
		fi
	}
	assert(found == top);
	stand_at(me, found);
	m[me].verified = m[me].since;
	found = 0;
	end(me)
}

inline collect(me)
{
	for (i : 1 .. m[me].kept - 1) {
		there[i] = NOTHING
	}
	m[me].kept = 0;
	m[me].kept_for = 0;
	done()
}

/* A copy of its request is still on its way. */
inline leave_copy(me)
{
	late.there = 1;
	late.who = me;
	late.number = NEXT(me)
}

inline die(me)
{
	m[me].base = 0;
	m[me].created = NOTHING;
	m[me].verified = 0;
	m[me].since = 0;
	m[me].kept = 0;
	m[me].kept_for = 0;
	m[me].phase = DOWN;
	done()
}

/* The guards stand outside of d_step, or pan would not tell which steps were never taken. */
proctype Mount(byte me)
{
	do
	/* Following: store_refresh(), then the next number. */
	:: atomic { m[me].phase == IDLE && !STALE(me) -> d_step { begin(me, PROBE) } }
	:: atomic { m[me].phase == PROBE && STALE(me) -> d_step { begin(me, LIST) } }
	:: atomic { m[me].phase == PROBE && !STALE(me) && IS_THERE(me) -> d_step {
		take_next(me);
		end(me) } }
	:: atomic { m[me].phase == PROBE && !STALE(me) && !IS_THERE(me) -> d_step {
		m[me].verified = m[me].since;
		end(me) } }
	:: atomic { m[me].phase == IDLE && STALE(me) -> d_step { begin(me, LIST) } }
	:: atomic { m[me].phase == LIST -> d_step { take_newest(me) } }

	/* Publishing. */
	:: atomic { m[me].phase == IDLE && !STALE(me) -> d_step { begin(me, READY) } }
	:: atomic { m[me].phase == READY -> d_step { begin(me, SENT) } }
	/* Created; or EEXIST, and it is ours. */
	:: atomic { m[me].phase == SENT && (m[me].created != NOTHING || IS_SAME(me)) -> d_step {
		settle(me) } }
	:: atomic { m[me].phase == SENT && (m[me].created != NOTHING || IS_SAME(me)) &&
		    !late.there -> d_step {
		leave_copy(me);
		settle(me) } }
	/* EEXIST, or no answer; and somebody else's bytes are there. */
	:: atomic { m[me].phase == SENT && IS_THERE(me) && !IS_SAME(me) -> d_step {
		give_way(me) } }
	:: atomic { m[me].phase == SENT && IS_THERE(me) && !IS_SAME(me) && !late.there -> d_step {
		leave_copy(me);
		give_way(me) } }
	/* EEXIST, and nothing is there: COMMIT_BEHIND. */
	:: atomic { m[me].phase == SENT && m[me].base < top && !IS_THERE(me) -> d_step {
		m[me].verified = TRUST + 1;
		end(me) } }

	:: atomic { MAY_COLLECT(me) -> d_step { collect(me) } }

	:: atomic { m[me].phase != DOWN -> d_step { die(me) } }
	:: atomic { m[me].phase == SENT && !late.there -> d_step { leave_copy(me); die(me) } }
	:: atomic { m[me].phase == DOWN -> d_step {
		m[me].phase = IDLE;
		m[me].base = top;
		done() } }
	od
}

proctype Server(byte me)
{
	do
	:: atomic { m[me].phase == SENT && m[me].created == NOTHING && !IS_THERE(me) &&
		    NEXT(me) <= LAG -> d_step {
		create(me, NEXT(me), m[me].created);
		done() } }
	od
}

proctype Late()
{
	do
	:: atomic { late.there && late.number <= LAG &&
		    (late.number == top + 1 || there[late.number] == NOTHING) -> d_step {
		create(late.who, late.number, found);
		late.there = 0;
		late.who = 0;
		late.number = 0;
		found = 0;
		done() } }
	/* It is lost, or finds the name in use. */
	:: atomic { late.there -> d_step {
		late.there = 0;
		late.who = 0;
		late.number = 0;
		done() } }
	od
}

proctype Clock(byte me)
{
	do
	:: atomic { ANY_RUNS && m[me].lead < SKEW -> d_step {
		if
		:: m[me].phase != DOWN && !STALE(me) -> m[me].verified++
		:: else
		fi;
		if
		:: IS_TIMED(me) && m[me].since <= TRUST -> m[me].since++
		:: else
		fi;
		if
		:: m[me].kept != 0 && m[me].kept_for <= KEEP -> m[me].kept_for++
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
		there[0] = FIRST;
		for (n : 0 .. N - 1) {
			m[n].phase = IDLE;
			run Mount(n);
			run Server(n);
			run Clock(n)
		}
		n = 0;
		run Late()
	}
}
