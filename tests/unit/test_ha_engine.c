/* SPDX-License-Identifier: Apache-2.0 */
/* ha/engine.c, one decision at a time.  Whole planes are in tests/sim. */
#include <errno.h>
#include <stdio.h>

#include "ha/engine.h"
#include "tests/unit/unit.h"

static const struct ha_config config = {
	.id = "me", .mode = HA_MODE_AUTO, .timeout_ms = 5000, .margin_ms = 500, .poll_ms = 1000};

/* Every test has one engine and looks at what its last step asked for. */
struct fixture {
	struct ha_engine e;
	struct ha_actions acts;
	struct ha_plane plane;
};

/* Where the tests have gone. */
static bool walked[HA_STATE_MAX_][HA_STATE_MAX_][HA_REASON_MAX_];

static void step(struct fixture *f, struct ha_event ev)
{
	ha_engine_step(&f->e, &ev, &f->acts);
	assert_null(ha_engine_violation(&f->e));
	for (unsigned i = 0; i < f->acts.n; i++) {
		const struct ha_action *a = &f->acts.v[i];

		if (a->type == HA_ACT_ENTERED) {
			walked[a->previous][a->state][a->reason] = true;
		}
	}
}

static void tick(struct fixture *f, uint64_t now_ms)
{
	step(f, (struct ha_event){.type = HA_EV_TICK, .now_ms = now_ms});
}

static void record_done(struct fixture *f, uint64_t now_ms, int status)
{
	step(f, (struct ha_event){.type = HA_EV_RECORD, .now_ms = now_ms, .status = status});
}

static void plane_done(struct fixture *f, uint64_t now_ms)
{
	step(f, (struct ha_event){.type = HA_EV_PLANE, .now_ms = now_ms, .plane = &f->plane});
}

static void plane_failed(struct fixture *f, uint64_t now_ms)
{
	step(f, (struct ha_event){.type = HA_EV_PLANE, .now_ms = now_ms, .status = -EIO});
}

static void claim_done(struct fixture *f, uint64_t now_ms, int status, uint64_t epoch)
{
	step(f, (struct ha_event){
			.type = HA_EV_CLAIM, .now_ms = now_ms, .status = status, .epoch = epoch});
}

static void news(struct fixture *f, uint64_t now_ms)
{
	step(f, (struct ha_event){.type = HA_EV_NEWS, .now_ms = now_ms});
}

static void stop(struct fixture *f, uint64_t now_ms)
{
	step(f, (struct ha_event){.type = HA_EV_STOP, .now_ms = now_ms});
}

static void set_master(struct fixture *f, const char *id)
{
	(void)snprintf(f->plane.master, sizeof(f->plane.master), "%s", id);
}

static struct ha_peer *add_peer(struct fixture *f, const char *id, enum ha_state status)
{
	struct ha_peer *p = &f->plane.peers[f->plane.n_peers++];

	*p = (struct ha_peer){.status = status, .beat = 1};
	(void)snprintf(p->id, sizeof(p->id), "%s", id);
	return p;
}

static void assert_asked(const struct fixture *f, unsigned i, enum ha_action_type type)
{
	assert_true(i < f->acts.n);
	assert_int_equal(f->acts.v[i].type, type);
}

/* The last step asked, from action @i on and to the end, for a whole poll in this state. */
static void assert_polled(const struct fixture *f, unsigned i, enum ha_state state)
{
	assert_int_equal(f->acts.n, i + 2);
	assert_asked(f, i, HA_ACT_WRITE_RECORD);
	assert_int_equal(f->acts.v[i].state, state);
	assert_asked(f, i + 1, HA_ACT_READ_PLANE);
}

/* The last step entered @state first of all. */
static void assert_entered(const struct fixture *f, enum ha_state previous, enum ha_state state,
			   enum ha_reason reason)
{
	assert_asked(f, 0, HA_ACT_ENTERED);
	assert_int_equal(f->acts.v[0].previous, previous);
	assert_int_equal(f->acts.v[0].state, state);
	assert_int_equal(f->acts.v[0].reason, reason);
	assert_int_equal(f->e.reason, reason);
	if (state != HA_MASTER) {
		assert_u64(f->acts.v[0].epoch, 0);
		assert_u64(f->e.epoch, 0);
		assert_u64(f->e.until_ms, 0);
	}
}

static struct fixture started(enum ha_mode mode, uint64_t now_ms)
{
	struct ha_config cfg = config;
	struct fixture f = {0};

	cfg.mode = mode;
	assert_ok(ha_engine_init(&f.e, &cfg));
	tick(&f, now_ms);
	return f;
}

/* A standby since 1000 ms whose first whole poll, begun then, has its record committed at 1010. */
static struct fixture standby(void)
{
	struct fixture f = started(HA_MODE_AUTO, 990);

	plane_done(&f, 1000);
	record_done(&f, 1010, 0);
	assert_int_equal(f.e.state, HA_STANDBY);
	(void)add_peer(&f, "me", HA_STANDBY);
	return f;
}

/* A master under epoch 3 whose claim was sent at 1020 ms; its first poll is in flight. */
static struct fixture master(void)
{
	struct fixture f = standby();

	plane_done(&f, 1020);
	claim_done(&f, 1030, 0, 3);
	assert_int_equal(f.e.state, HA_MASTER);
	set_master(&f, "me");
	f.plane.peers[0].status = HA_MASTER;
	return f;
}

/* The same at rest: the poll begun at 1030 ms went well, so its lease ends at 5530. */
static struct fixture master_at_rest(void)
{
	struct fixture f = master();

	record_done(&f, 1040, 0);
	plane_done(&f, 1050);
	assert_int_equal(f.acts.n, 0);
	assert_u64(f.e.until_ms, 5530);
	return f;
}

/* FAILED at 5530 ms because the record sent at 2030 got no answer; its plane is in flight still. */
static struct fixture expired(void)
{
	struct fixture f = master_at_rest();

	tick(&f, 2030);
	record_done(&f, 4530, -ETIMEDOUT);
	tick(&f, 5530);
	return f;
}

static void init_refuses_what_cannot_work(void **state)
{
	static const struct {
		const char *label;
		struct ha_config cfg;
		int result;
	} cases[] = {
		{"auto", {"a", HA_MODE_AUTO, 4000, 400, 1000, 0}, 0},
		{"standby", {"a", HA_MODE_STANDBY, 4000, 400, 1000, 0}, 0},
		{"master", {"a", HA_MODE_MASTER, 4000, 3999, 1000, 0}, 0},
		{"no id", {"", HA_MODE_AUTO, 4000, 400, 1000, 0}, -EINVAL},
		{"disabled", {"a", HA_MODE_DISABLED, 4000, 400, 1000, 0}, -EINVAL},
		{"hot standby", {"a", HA_MODE_HOT_STANDBY, 4000, 400, 1000, 0}, 0},
		{"hot backup", {"a", HA_MODE_HOT_BACKUP, 4000, 400, 1000, 0}, 0},
		{"no mode", {"a", HA_MODE_MAX_, 4000, 400, 1000, 0}, -EINVAL},
		{"no poll", {"a", HA_MODE_AUTO, 4000, 400, 0, 0}, -EINVAL},
		{"three polls", {"a", HA_MODE_AUTO, 3999, 400, 1000, 0}, -EINVAL},
		{"endless poll", {"a", HA_MODE_AUTO, 4000, 400, UINT64_MAX, 0}, -EINVAL},
		{"all margin", {"a", HA_MODE_AUTO, 4000, 4000, 1000, 0}, -EINVAL},
	};
	struct ha_config endless = config;
	struct ha_engine e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s\n", cases[i].label);
		assert_int_equal(ha_engine_init(&e, &cases[i].cfg), cases[i].result);
	}
	memset(endless.id, 'x', sizeof(endless.id));
	assert_errno(ha_engine_init(&e, &endless), EINVAL);
}

static void the_first_thing_is_to_read_the_plane(void **state)
{
	static const enum ha_mode modes[] = {HA_MODE_AUTO, HA_MODE_STANDBY, HA_MODE_MASTER};

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct fixture f = started(modes[i], 10);

		assert_int_equal(f.acts.n, 1);
		assert_asked(&f, 0, HA_ACT_READ_PLANE);
		assert_int_equal(f.e.state, HA_INITIALIZING);
		assert_int_equal(f.e.reason, HA_REASON_STARTED);
	}
}

static void an_unreadable_plane_is_read_again_after_a_poll_period(void **state)
{
	struct fixture f = started(HA_MODE_AUTO, 10);

	(void)state;
	assert_u64(ha_engine_deadline_ms(&f.e), UINT64_MAX);
	plane_failed(&f, 20);
	assert_int_equal(f.acts.n, 0);
	assert_u64(ha_engine_deadline_ms(&f.e), 1010);

	tick(&f, 1009);
	assert_int_equal(f.acts.n, 0);
	tick(&f, 1010);
	assert_int_equal(f.acts.n, 1);
	assert_asked(&f, 0, HA_ACT_READ_PLANE);
}

static void mode_auto_becomes_a_standby_and_polls_at_once(void **state)
{
	struct fixture f = started(HA_MODE_AUTO, 10);

	(void)state;
	plane_done(&f, 20);

	assert_entered(&f, HA_INITIALIZING, HA_STANDBY, HA_REASON_AUTODETECTED);
	assert_polled(&f, 1, HA_STANDBY);
}

static void mode_standby_accepts_any_master_that_is_named(void **state)
{
	struct fixture f = started(HA_MODE_STANDBY, 10);

	(void)state;
	set_master(&f, "long-dead");
	plane_done(&f, 20);

	assert_entered(&f, HA_INITIALIZING, HA_STANDBY, HA_REASON_REQUESTED);
	assert_polled(&f, 1, HA_STANDBY);
}

static void mode_standby_fails_for_good_where_no_master_is_named(void **state)
{
	struct fixture f = started(HA_MODE_STANDBY, 10);

	(void)state;
	plane_done(&f, 20);
	assert_entered(&f, HA_INITIALIZING, HA_FAILED, HA_REASON_NO_MASTER);
	assert_polled(&f, 1, HA_FAILED);

	(void)add_peer(&f, "me", HA_FAILED);
	record_done(&f, 30, 0);
	plane_done(&f, 40);
	assert_int_equal(f.acts.n, 0);
	tick(&f, 1020);
	assert_polled(&f, 0, HA_FAILED);
}

/* Mode MASTER after its first whole poll, begun at 20 ms, committed its record. */
static struct fixture starting_master(const char *holder, enum ha_state status)
{
	struct fixture f = started(HA_MODE_MASTER, 10);

	if (holder[0]) {
		set_master(&f, holder);
		(void)add_peer(&f, holder, status);
	}
	plane_done(&f, 20);
	assert_polled(&f, 0, HA_INITIALIZING);
	record_done(&f, 30, 0);
	(void)add_peer(&f, "me", HA_INITIALIZING);
	return f;
}

static void mode_master_claims_a_lease_that_nobody_living_holds(void **state)
{
	static const struct {
		const char *label, *holder;
		enum ha_state status;
		bool lapsed, known;
	} cases[] = {
		{"free", "", HA_MASTER, false, false},
		{"unknown", "gone", HA_MASTER, false, false},
		{"failed", "other", HA_FAILED, false, true},
		{"terminated", "other", HA_TERMINATED, false, true},
		{"lapsed", "other", HA_MASTER, true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f =
			starting_master(cases[i].known ? cases[i].holder : "", cases[i].status);

		print_message("  %s\n", cases[i].label);
		set_master(&f, cases[i].holder);
		f.plane.peers[0].lapsed = cases[i].lapsed;
		plane_done(&f, 40);
		assert_int_equal(f.acts.n, 1);
		assert_asked(&f, 0, HA_ACT_CLAIM);

		claim_done(&f, 50, 0, 9);
		assert_entered(&f, HA_INITIALIZING, HA_MASTER, HA_REASON_MASTER_MODE);
		assert_u64(f.acts.v[0].epoch, 9);
		assert_polled(&f, 1, HA_MASTER);
	}
}

static void mode_master_does_not_claim_before_its_own_record_is_in_the_plane(void **state)
{
	struct fixture f = started(HA_MODE_MASTER, 10);

	(void)state;
	plane_done(&f, 20);
	record_done(&f, 30, -EIO);
	plane_done(&f, 40);

	assert_int_equal(f.acts.n, 0);
	assert_int_equal(f.e.state, HA_INITIALIZING);
}

static void mode_master_fails_when_the_holder_is_seen_to_beat(void **state)
{
	struct fixture f = starting_master("other", HA_MASTER);

	(void)state;
	f.plane.peers[0].beat++;
	plane_done(&f, 40);

	assert_entered(&f, HA_INITIALIZING, HA_FAILED, HA_REASON_MASTER_EXISTS);
	assert_polled(&f, 1, HA_FAILED);
}

static void mode_master_waits_for_a_holder_that_stands_still(void **state)
{
	struct fixture f = starting_master("other", HA_MASTER);

	(void)state;
	plane_done(&f, 40);
	assert_int_equal(f.acts.n, 0);
	tick(&f, 1020);
	assert_polled(&f, 0, HA_INITIALIZING);
	record_done(&f, 1030, 0);
	f.plane.peers[0].lapsed = true;
	plane_done(&f, 1040);
	assert_asked(&f, 0, HA_ACT_CLAIM);
}

static void mode_master_judges_each_holder_by_its_own_beats(void **state)
{
	struct fixture f = starting_master("other", HA_MASTER);

	(void)state;
	/* Another one, with another counter: no proof yet. */
	(void)snprintf(f.plane.peers[0].id, sizeof(f.plane.peers[0].id), "third");
	set_master(&f, "third");
	f.plane.peers[0].beat = 99;
	plane_done(&f, 40);
	assert_int_equal(f.e.state, HA_INITIALIZING);

	tick(&f, 1020);
	record_done(&f, 1030, 0);
	f.plane.peers[0].beat = 100;
	plane_done(&f, 1040);
	assert_int_equal(f.e.reason, HA_REASON_MASTER_EXISTS);
}

static void mode_master_takes_what_an_unanswered_claim_won(void **state)
{
	struct fixture f = starting_master("", HA_MASTER);

	(void)state;
	plane_done(&f, 40);
	claim_done(&f, 900, -ETIMEDOUT, 0);
	assert_int_equal(f.e.state, HA_INITIALIZING);

	tick(&f, 1020);
	record_done(&f, 1030, 0);
	set_master(&f, "me");
	plane_done(&f, 1040);
	assert_asked(&f, 0, HA_ACT_CLAIM);
}

static void a_poll_waits_until_everything_is_answered(void **state)
{
	struct fixture f = standby();

	(void)state;
	set_master(&f, "other");
	(void)add_peer(&f, "other", HA_MASTER);
	tick(&f, 3000);
	assert_int_equal(f.acts.n, 0);
	assert_u64(ha_engine_deadline_ms(&f.e), UINT64_MAX);

	/* And is not late for long. */
	plane_done(&f, 3010);
	assert_polled(&f, 0, HA_STANDBY);
	record_done(&f, 3020, 0);
	plane_done(&f, 3030);
	assert_u64(ha_engine_deadline_ms(&f.e), 4010);
}

static void a_poll_waits_for_a_claim(void **state)
{
	struct fixture f = standby();

	(void)state;
	plane_done(&f, 1020);
	assert_asked(&f, 0, HA_ACT_CLAIM);
	tick(&f, 2500);
	assert_int_equal(f.acts.n, 0);
	claim_done(&f, 2600, -EBUSY, 0);
	assert_polled(&f, 0, HA_STANDBY);
}

static void assert_only_reads(const struct fixture *f)
{
	assert_int_equal(f->acts.n, 1);
	assert_asked(f, 0, HA_ACT_READ_PLANE);
}

static void news_is_read_at_once_and_the_heartbeat_keeps_its_pace(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	news(&f, 1100);
	assert_only_reads(&f);
	assert_u64(ha_engine_deadline_ms(&f.e), 5530);

	plane_done(&f, 1110);
	assert_int_equal(f.acts.n, 0);
	assert_u64(ha_engine_deadline_ms(&f.e), 2030);
	tick(&f, 2030);
	assert_polled(&f, 0, HA_MASTER);
}

static void news_waits_until_everything_is_answered_and_is_read_once(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	tick(&f, 2030);
	news(&f, 2031);
	news(&f, 2032);
	record_done(&f, 2040, 0);
	news(&f, 2041);
	assert_int_equal(f.acts.n, 0);

	plane_done(&f, 2050);
	assert_only_reads(&f);
	plane_done(&f, 2060);
	assert_int_equal(f.acts.n, 0);
}

static void news_during_its_reading_is_read_after_it(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	news(&f, 1100);
	news(&f, 1101);
	assert_int_equal(f.acts.n, 0);

	plane_failed(&f, 1110);
	assert_only_reads(&f);
	plane_failed(&f, 1120);
	assert_int_equal(f.acts.n, 0);
}

/* A poll reads the plane anyway. */
static void news_at_the_time_of_a_poll_is_part_of_it(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	news(&f, 2030);
	assert_polled(&f, 0, HA_MASTER);
	record_done(&f, 2040, 0);
	plane_done(&f, 2050);
	assert_int_equal(f.acts.n, 0);
}

static void news_before_the_first_reading_adds_no_record(void **state)
{
	struct fixture f = started(HA_MODE_AUTO, 10);

	(void)state;
	news(&f, 11);
	plane_failed(&f, 20);
	assert_only_reads(&f);
	plane_failed(&f, 30);
	assert_u64(ha_engine_deadline_ms(&f.e), 1010);
}

/* A standby at rest until 2000 ms beside the living master "other", with the news that it left. */
static struct fixture left_alone(void)
{
	struct fixture f = standby();

	(void)add_peer(&f, "other", HA_MASTER);
	set_master(&f, "other");
	plane_done(&f, 1020);
	assert_int_equal(f.acts.n, 0);
	set_master(&f, "");
	f.plane.peers[1].status = HA_TERMINATED;
	news(&f, 1500);
	assert_only_reads(&f);
	return f;
}

static void a_master_that_leaves_is_followed_at_once(void **state)
{
	struct fixture f = left_alone();

	(void)state;
	plane_done(&f, 1510);
	assert_int_equal(f.acts.n, 1);
	assert_asked(&f, 0, HA_ACT_CLAIM);
}

static void after_news_the_better_candidate_goes_first_as_ever(void **state)
{
	struct fixture f = left_alone();
	struct ha_peer *better = add_peer(&f, "better", HA_STANDBY);

	(void)state;
	better->priority = 1;
	plane_done(&f, 1510);
	assert_int_equal(f.acts.n, 0);
}

static void after_news_nothing_is_claimed_on_a_record_that_failed(void **state)
{
	struct fixture f = started(HA_MODE_AUTO, 990);

	(void)state;
	plane_done(&f, 1000);
	(void)add_peer(&f, "me", HA_STANDBY);
	record_done(&f, 1010, -EIO);
	plane_done(&f, 1020);
	news(&f, 1500);
	assert_only_reads(&f);
	plane_done(&f, 1510);
	assert_int_equal(f.acts.n, 0);
}

static void news_after_the_stop_is_not_read(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	stop(&f, 1100);
	news(&f, 1101);
	assert_int_equal(f.acts.n, 0);
	record_done(&f, 1110, 0);
	assert_int_equal(f.acts.n, 1);
	assert_asked(&f, 0, HA_ACT_EXIT);
}

static void a_standby_claims_when_it_wins_and_nobody_living_holds_the_lease(void **state)
{
	static const struct {
		const char *label, *holder;
		enum ha_state status;
		bool lapsed, known, claims;
	} cases[] = {
		{"free", "", HA_MASTER, false, false, true},
		{"unknown", "gone", HA_MASTER, false, false, true},
		{"failed", "other", HA_FAILED, false, true, true},
		{"terminated", "other", HA_TERMINATED, false, true, true},
		{"lapsed", "other", HA_MASTER, true, true, true},
		{"alive", "other", HA_MASTER, false, true, false},
		{"alive, not yet MASTER", "other", HA_STANDBY, false, true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f = standby();

		print_message("  %s\n", cases[i].label);
		set_master(&f, cases[i].holder);
		if (cases[i].known) {
			add_peer(&f, cases[i].holder, cases[i].status)->lapsed = cases[i].lapsed;
		}
		plane_done(&f, 1020);
		assert_int_equal(f.acts.n, cases[i].claims ? 1 : 0);
		if (cases[i].claims) {
			assert_asked(&f, 0, HA_ACT_CLAIM);
		}
	}
}

static void a_standby_waits_for_a_better_candidate(void **state)
{
	struct fixture f = standby();

	(void)state;
	add_peer(&f, "other", HA_STANDBY)->priority = 1;
	plane_done(&f, 1020);
	assert_int_equal(f.acts.n, 0);
}

static void what_is_ours_already_is_claimed_without_an_election(void **state)
{
	struct fixture f = standby();

	(void)state;
	set_master(&f, "me");
	add_peer(&f, "other", HA_STANDBY)->priority = 1;
	plane_done(&f, 1020);
	assert_asked(&f, 0, HA_ACT_CLAIM);
}

static void a_standby_never_promotes_on_doubt(void **state)
{
	struct fixture unwritten = started(HA_MODE_AUTO, 990);
	struct fixture unanswered = started(HA_MODE_AUTO, 990);
	struct fixture missing = standby(), lapsed = standby(), unreadable = standby();
	struct fixture late = standby();

	(void)state;
	plane_done(&unwritten, 1000);
	record_done(&unwritten, 1010, -EIO);
	(void)add_peer(&unwritten, "me", HA_STANDBY);
	plane_done(&unwritten, 1020);
	assert_int_equal(unwritten.acts.n, 0);

	plane_done(&unanswered, 1000);
	(void)add_peer(&unanswered, "me", HA_STANDBY);
	plane_done(&unanswered, 1020);
	assert_int_equal(unanswered.acts.n, 0);

	missing.plane.n_peers = 0;
	plane_done(&missing, 1020);
	assert_int_equal(missing.acts.n, 0);

	lapsed.plane.peers[0].lapsed = true;
	plane_done(&lapsed, 1020);
	assert_int_equal(lapsed.acts.n, 0);

	plane_failed(&unreadable, 1020);
	assert_int_equal(unreadable.acts.n, 0);

	/* A record of an earlier poll proves nothing for this one. */
	plane_failed(&late, 1020);
	tick(&late, 2000);
	record_done(&late, 2010, -ETIMEDOUT);
	plane_done(&late, 2020);
	assert_int_equal(late.acts.n, 0);
}

static void a_refused_or_unanswered_claim_changes_nothing(void **state)
{
	static const int errors[] = {-EBUSY, -ESTALE, -EPERM, -ETIMEDOUT, -EIO};

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct fixture f = standby();

		plane_done(&f, 1020);
		claim_done(&f, 1030, errors[i], 0);
		assert_int_equal(f.acts.n, 0);
		assert_int_equal(f.e.state, HA_STANDBY);
		assert_u64(ha_engine_deadline_ms(&f.e), 2000);
	}
}

static void a_granted_claim_makes_a_master_who_says_so_at_once(void **state)
{
	struct fixture f = standby();

	(void)state;
	plane_done(&f, 1020);
	claim_done(&f, 1030, 0, 3);

	assert_entered(&f, HA_STANDBY, HA_MASTER, HA_REASON_ELECTED);
	assert_u64(f.acts.v[0].epoch, 3);
	assert_u64(f.e.epoch, 3);
	assert_polled(&f, 1, HA_MASTER);
}

static void a_lease_counts_from_before_the_claim_left(void **state)
{
	struct fixture f = master();

	(void)state;
	/* Claimed at 1020, granted at 1030. */
	assert_u64(f.e.until_ms, 1020 + 5000 - 500);
}

static void a_claim_that_was_granted_too_late_is_not_used(void **state)
{
	struct fixture f = standby();

	(void)state;
	plane_done(&f, 1020);
	claim_done(&f, 5520, 0, 3);
	assert_int_equal(f.e.state, HA_STANDBY);
	assert_polled(&f, 0, HA_STANDBY);

	/* The next poll finds it so and claims again. */
	record_done(&f, 5530, 0);
	set_master(&f, "me");
	plane_done(&f, 5540);
	assert_asked(&f, 0, HA_ACT_CLAIM);
	claim_done(&f, 5550, 0, 4);
	assert_int_equal(f.e.state, HA_MASTER);
}

static void a_committed_record_prolongs_the_lease_from_before_it_left(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	tick(&f, 2030);
	assert_polled(&f, 0, HA_MASTER);
	record_done(&f, 2900, 0);
	assert_u64(f.e.until_ms, 2030 + 5000 - 500);
}

static void a_record_that_is_not_known_to_be_committed_prolongs_nothing(void **state)
{
	static const int errors[] = {-ETIMEDOUT, -EIO, -ENOSPC};

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct fixture f = master_at_rest();

		tick(&f, 2030);
		record_done(&f, 2040, errors[i]);
		assert_int_equal(f.e.state, HA_MASTER);
		assert_u64(f.e.until_ms, 5530);
	}
}

static void an_overtaken_record_deposes_the_master(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	tick(&f, 2030);
	record_done(&f, 2040, -ESTALE);
	assert_entered(&f, HA_MASTER, HA_STANDBY, HA_REASON_DEPOSED);

	/* It says so as soon as the plane, asked for before, is answered. */
	set_master(&f, "other");
	(void)add_peer(&f, "other", HA_MASTER);
	plane_done(&f, 2050);
	assert_polled(&f, 0, HA_STANDBY);
}

static void a_plane_that_names_another_holder_or_none_deposes_the_master(void **state)
{
	static const char *const holders[] = {"other", ""};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f = master_at_rest();

		tick(&f, 2030);
		record_done(&f, 2040, -EIO);
		set_master(&f, holders[i]);
		plane_done(&f, 2050);
		assert_entered(&f, HA_MASTER, HA_STANDBY, HA_REASON_DEPOSED);
		assert_polled(&f, 1, HA_STANDBY);
	}
}

static void an_unreadable_plane_deposes_nobody(void **state)
{
	struct fixture f = master();

	(void)state;
	record_done(&f, 1040, 0);
	plane_failed(&f, 1050);
	assert_int_equal(f.e.state, HA_MASTER);
}

static void a_master_fails_at_the_end_of_its_lease(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	tick(&f, 2030);
	assert_u64(ha_engine_deadline_ms(&f.e), 5530);
	record_done(&f, 4530, -ETIMEDOUT);
	tick(&f, 5529);
	assert_int_equal(f.e.state, HA_MASTER);
	assert_int_equal(ha_engine_state_at(&f.e, 5529), HA_MASTER);
	assert_int_equal(ha_engine_state_at(&f.e, 5530), HA_FAILED);

	tick(&f, 5530);
	assert_entered(&f, HA_MASTER, HA_FAILED, HA_REASON_LEASE_EXPIRED);
}

static void an_answer_after_the_end_revives_nothing(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	tick(&f, 2030);
	record_done(&f, 6000, 0); /* the process was stopped; the answer had been waiting */
	assert_entered(&f, HA_MASTER, HA_FAILED, HA_REASON_LEASE_EXPIRED);
	assert_int_equal(f.e.state, HA_FAILED);
}

static void an_expired_master_rejoins_when_its_record_is_committed_and_the_plane_read(void **state)
{
	struct fixture f = expired();

	(void)state;
	/* The plane that was asked for before proves nothing. */
	plane_done(&f, 5600);
	assert_int_equal(f.e.state, HA_FAILED);
	assert_polled(&f, 0, HA_FAILED);

	record_done(&f, 5610, -EIO);
	plane_done(&f, 5620);
	assert_int_equal(f.e.state, HA_FAILED);

	tick(&f, 6600);
	record_done(&f, 6610, 0);
	plane_failed(&f, 6620);
	assert_int_equal(f.e.state, HA_FAILED);

	tick(&f, 7600);
	record_done(&f, 7610, 0);
	plane_done(&f, 7620);
	assert_entered(&f, HA_FAILED, HA_STANDBY, HA_REASON_REJOINED);
	assert_polled(&f, 1, HA_STANDBY);
}

static void a_record_of_the_state_before_lets_nobody_rejoin(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	tick(&f, 2030);
	tick(&f, 5530);
	record_done(&f, 5540, 0);
	plane_done(&f, 5550);
	assert_int_equal(f.e.state, HA_FAILED);
	assert_polled(&f, 0, HA_FAILED);
}

static void a_node_whose_id_is_in_use_fails_and_comes_back_when_it_may(void **state)
{
	static const struct {
		const char *label;
		enum ha_state from;
	} cases[] = {{"standby", HA_STANDBY}, {"master", HA_MASTER}, {"start", HA_INITIALIZING}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f = cases[i].from == HA_MASTER    ? master()
				   : cases[i].from == HA_STANDBY ? started(HA_MODE_AUTO, 990)
								 : started(HA_MODE_MASTER, 990);

		print_message("  %s\n", cases[i].label);
		if (cases[i].from != HA_MASTER) {
			plane_done(&f, 1000);
		}
		record_done(&f, 1040, -EACCES);
		assert_entered(&f, cases[i].from, HA_FAILED, HA_REASON_ID_IN_USE);
		plane_done(&f, 1050);
		assert_polled(&f, 0, HA_FAILED);

		/* Refused again: it stays and keeps trying at its pace. */
		record_done(&f, 1060, -EACCES);
		plane_done(&f, 1070);
		assert_int_equal(f.acts.n, 0);
		assert_u64(ha_engine_deadline_ms(&f.e), 2050);

		tick(&f, 2050);
		record_done(&f, 2060, 0);
		plane_done(&f, 2070);
		assert_entered(&f, HA_FAILED, HA_STANDBY, HA_REASON_REJOINED);
	}
}

static void a_refused_id_does_not_hide_why_a_node_had_failed_before(void **state)
{
	struct fixture f = starting_master("other", HA_MASTER);

	(void)state;
	f.plane.peers[0].beat++;
	plane_done(&f, 40);
	record_done(&f, 50, -EACCES);
	assert_int_equal(f.e.reason, HA_REASON_MASTER_EXISTS);

	/* Nor does it let it out. */
	plane_done(&f, 60);
	tick(&f, 1040);
	record_done(&f, 1050, 0);
	plane_done(&f, 1060);
	assert_int_equal(f.e.state, HA_FAILED);
}

static void a_failed_node_ignores_that_its_record_was_overtaken(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	tick(&f, 2030);
	tick(&f, 5530);
	record_done(&f, 5540, -ESTALE);
	assert_int_equal(f.e.state, HA_FAILED);
	assert_int_equal(f.e.reason, HA_REASON_LEASE_EXPIRED);
}

static void a_node_that_nobody_heard_of_leaves_at_once(void **state)
{
	struct fixture f = started(HA_MODE_AUTO, 10);

	(void)state;
	stop(&f, 20);
	assert_entered(&f, HA_INITIALIZING, HA_TERMINATED, HA_REASON_STOPPED);
	assert_int_equal(f.acts.n, 2);
	assert_asked(&f, 1, HA_ACT_EXIT);

	plane_done(&f, 30);
	assert_int_equal(f.acts.n, 0);
	tick(&f, 5000);
	assert_int_equal(f.acts.n, 0);
	assert_u64(ha_engine_deadline_ms(&f.e), UINT64_MAX);
}

static void a_farewell_is_published_before_the_end_whatever_it_is_answered(void **state)
{
	static const int statuses[] = {0, -ETIMEDOUT, -EACCES, -ESTALE, -EIO};

	(void)state;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct fixture f = master_at_rest();

		stop(&f, 1500);
		assert_entered(&f, HA_MASTER, HA_TERMINATED, HA_REASON_STOPPED);
		assert_int_equal(f.acts.n, 2);
		assert_asked(&f, 1, HA_ACT_WRITE_RECORD);
		assert_int_equal(f.acts.v[1].state, HA_TERMINATED);

		record_done(&f, 1510, statuses[i]);
		assert_int_equal(f.acts.n, 1);
		assert_asked(&f, 0, HA_ACT_EXIT);
		assert_int_equal(f.e.state, HA_TERMINATED);
	}
}

static void a_farewell_waits_for_the_record_in_flight_and_is_said_once(void **state)
{
	struct fixture f = master();

	(void)state;
	stop(&f, 1035);
	assert_int_equal(f.acts.n, 1);
	record_done(&f, 1040, 0);
	assert_int_equal(f.acts.n, 1);
	assert_asked(&f, 0, HA_ACT_WRITE_RECORD);
	assert_int_equal(f.acts.v[0].state, HA_TERMINATED);

	plane_done(&f, 1050);
	assert_int_equal(f.acts.n, 0);
	stop(&f, 1060);
	assert_int_equal(f.acts.n, 0);
	record_done(&f, 1070, 0);
	assert_asked(&f, 0, HA_ACT_EXIT);
	stop(&f, 1080);
	assert_int_equal(f.acts.n, 0);
}

static void a_claim_granted_after_the_stop_is_not_used(void **state)
{
	struct fixture f = standby();

	(void)state;
	plane_done(&f, 1020);
	stop(&f, 1025);
	claim_done(&f, 1030, 0, 3);
	assert_int_equal(f.acts.n, 0);
	assert_int_equal(f.e.state, HA_TERMINATED);
}

static void a_node_can_be_stopped_in_every_state(void **state)
{
	struct fixture starting = starting_master("other", HA_MASTER), failed = expired();

	(void)state;
	stop(&starting, 35);
	assert_entered(&starting, HA_INITIALIZING, HA_TERMINATED, HA_REASON_STOPPED);
	stop(&failed, 5540);
	assert_entered(&failed, HA_FAILED, HA_TERMINATED, HA_REASON_STOPPED);
}

static void a_lease_that_ran_out_before_the_stop_is_told_as_such(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	stop(&f, 9000);
	assert_int_equal(f.acts.n, 3);
	assert_int_equal(f.acts.v[0].state, HA_FAILED);
	assert_int_equal(f.acts.v[0].reason, HA_REASON_LEASE_EXPIRED);
	assert_int_equal(f.acts.v[1].state, HA_TERMINATED);
	assert_int_equal(f.acts.v[1].previous, HA_FAILED);
	assert_int_equal(f.acts.v[2].state, HA_TERMINATED);
}

/* A peer's beat, and the switchover, as the next reading shows them. */
static void set_switchover(struct fixture *f, enum ha_switchover_phase phase, const char *to,
			   const char *from)
{
	f->plane.switchover = (struct ha_switchover){.phase = phase, .due = true};
	(void)snprintf(f->plane.switchover.to, sizeof(f->plane.switchover.to), "%s", to);
	(void)snprintf(f->plane.switchover.from, sizeof(f->plane.switchover.from), "%s", from);
}

static void done(struct fixture *f, uint64_t now_ms, enum ha_event_type type, int status)
{
	step(f, (struct ha_event){.type = type, .now_ms = now_ms, .status = status});
}

static void set_mode(struct fixture *f, uint64_t now_ms, enum ha_mode mode)
{
	step(f, (struct ha_event){.type = HA_EV_MODE, .now_ms = now_ms, .mode = mode});
}

static bool has_asked(const struct fixture *f, enum ha_action_type type)
{
	for (unsigned i = 0; i < f->acts.n; i++) {
		if (f->acts.v[i].type == type) {
			return true;
		}
	}
	return false;
}

static void assert_asks_switchover(const struct fixture *f, const char *node)
{
	assert_int_equal(f->acts.n, 1);
	assert_asked(f, 0, HA_ACT_SWITCHOVER);
	assert_string_equal(f->acts.v[0].node, node);
}

/* A poll that begins at @now_ms and goes well, in the state that there is. */
static void poll_at(struct fixture *f, uint64_t now_ms)
{
	tick(f, now_ms);
	record_done(f, now_ms + 1, 0);
	plane_done(f, now_ms + 2);
}

/* A node of the mode hot_standby or hot_backup beside the master "other", loaded at 1100 ms. */
static struct fixture hot(enum ha_mode mode)
{
	struct fixture f = started(mode, 990);
	enum ha_state before = mode == HA_MODE_HOT_BACKUP ? HA_INITIALIZING : HA_STANDBY;

	(void)add_peer(&f, "me", before);
	(void)add_peer(&f, "other", HA_MASTER);
	set_master(&f, "other");
	plane_done(&f, 1000);
	assert_int_equal(f.e.state, before);
	assert_true(has_asked(&f, HA_ACT_LOAD));
	record_done(&f, 1010, 0);
	plane_done(&f, 1020);
	done(&f, 1100, HA_EV_LOAD, 0);
	f.plane.peers[0].status = f.e.state;
	record_done(&f, 1110, 0);
	plane_done(&f, 1120);
	return f;
}

static void a_hot_node_says_so_once_all_is_loaded(void **state)
{
	struct fixture standby_one = hot(HA_MODE_HOT_STANDBY), backup = hot(HA_MODE_HOT_BACKUP);
	struct fixture f = started(HA_MODE_HOT_STANDBY, 990);

	(void)state;
	assert_int_equal(standby_one.e.state, HA_HOT_STANDBY);
	assert_int_equal(backup.e.state, HA_HOT_BACKUP);
	assert_int_equal(backup.e.reason, HA_REASON_LOADED);

	/* What could not be loaded is loaded again in the next poll. */
	set_master(&f, "other");
	plane_done(&f, 1000);
	record_done(&f, 1010, 0);
	plane_done(&f, 1020);
	done(&f, 1100, HA_EV_LOAD, -EIO);
	assert_int_equal(f.e.state, HA_STANDBY);
	tick(&f, 2000);
	assert_true(has_asked(&f, HA_ACT_LOAD));
}

static void a_hot_node_follows_in_each_poll_and_waits_for_no_load(void **state)
{
	struct fixture f = hot(HA_MODE_HOT_STANDBY);

	(void)state;
	done(&f, 1200, HA_EV_LOAD, 0);
	tick(&f, 2100);
	assert_int_equal(f.acts.n, 3);
	assert_asked(&f, 2, HA_ACT_LOAD);
	record_done(&f, 2110, 0);
	plane_done(&f, 2120);
	/* The load is under way: heartbeats go on. */
	tick(&f, 3100);
	assert_polled(&f, 0, HA_HOT_STANDBY);
	done(&f, 3150, HA_EV_LOAD, -EIO);
	assert_int_equal(f.e.state, HA_HOT_STANDBY);
}

static void a_hot_standby_that_is_promoted_loads_nothing(void **state)
{
	struct fixture f = hot(HA_MODE_HOT_STANDBY);

	(void)state;
	f.plane.peers[1].lapsed = true;
	poll_at(&f, 2100);
	assert_asked(&f, 0, HA_ACT_CLAIM);
	done(&f, 2200, HA_EV_LOAD, 0);
	claim_done(&f, 2210, 0, 5);
	assert_entered(&f, HA_HOT_STANDBY, HA_MASTER, HA_REASON_ELECTED);
	assert_polled(&f, 1, HA_MASTER);

	/* And deposed, it says that it is hot only after it has caught up. */
	record_done(&f, 2220, -ESTALE);
	assert_entered(&f, HA_MASTER, HA_STANDBY, HA_REASON_DEPOSED);
	plane_done(&f, 2230);
	assert_true(has_asked(&f, HA_ACT_LOAD));
	done(&f, 2240, HA_EV_LOAD, 0);
	assert_entered(&f, HA_STANDBY, HA_HOT_STANDBY, HA_REASON_LOADED);
}

static void a_hot_backup_never_claims(void **state)
{
	struct fixture f = hot(HA_MODE_HOT_BACKUP);

	(void)state;
	set_master(&f, "");
	f.plane.peers[1].lapsed = true;
	poll_at(&f, 2100);
	assert_int_equal(f.acts.n, 0);
	set_switchover(&f, HA_SWITCHOVER_HANDED, "me", "other");
	done(&f, 2150, HA_EV_LOAD, 0);
	poll_at(&f, 3100);
	assert_int_equal(f.acts.n, 0);
}

static void a_backup_starts_without_a_master_and_a_hot_standby_does_not(void **state)
{
	struct fixture backup = started(HA_MODE_HOT_BACKUP, 10);
	struct fixture f = started(HA_MODE_HOT_STANDBY, 10);

	(void)state;
	plane_done(&backup, 20);
	done(&backup, 30, HA_EV_LOAD, 0);
	assert_entered(&backup, HA_INITIALIZING, HA_HOT_BACKUP, HA_REASON_LOADED);
	plane_done(&f, 20);
	assert_entered(&f, HA_INITIALIZING, HA_FAILED, HA_REASON_NO_MASTER);
}

/* The master at rest with a standby "other" that has beaten @beat times. */
static struct fixture accompanied(void)
{
	struct fixture f = master_at_rest();

	(void)add_peer(&f, "other", HA_STANDBY);
	return f;
}

static void a_switchover_that_is_due_is_announced_to_the_best_or_to_the_one_named(void **state)
{
	struct fixture best = accompanied(), named = accompanied(), early = accompanied();

	(void)state;
	add_peer(&best, "better", HA_HOT_STANDBY)->priority = 1;
	add_peer(&best, "backup", HA_HOT_BACKUP)->priority = 9;
	set_switchover(&best, HA_SWITCHOVER_PLANNED, "", "");
	poll_at(&best, 2030);
	assert_asks_switchover(&best, "better");

	add_peer(&named, "better", HA_HOT_STANDBY)->priority = 1;
	set_switchover(&named, HA_SWITCHOVER_PLANNED, "other", "");
	poll_at(&named, 2030);
	assert_asks_switchover(&named, "other");

	set_switchover(&early, HA_SWITCHOVER_PLANNED, "other", "");
	early.plane.switchover.due = false;
	poll_at(&early, 2030);
	assert_int_equal(early.acts.n, 0);
}

static void a_switchover_to_a_node_that_cannot_is_cancelled(void **state)
{
	static const struct {
		const char *label, *to;
		enum ha_state status;
		bool lapsed;
	} cases[] = {
		{"unknown", "nobody", HA_STANDBY, false}, {"backup", "other", HA_HOT_BACKUP, false},
		{"failed", "other", HA_FAILED, false},    {"lapsed", "other", HA_STANDBY, true},
		{"itself", "me", HA_STANDBY, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (unsigned announced = 0; announced < 2; announced++) {
			struct fixture f = accompanied();

			print_message("  %s\n", cases[i].label);
			f.plane.peers[1].status = cases[i].status;
			f.plane.peers[1].lapsed = cases[i].lapsed;
			set_switchover(&f,
				       announced ? HA_SWITCHOVER_ANNOUNCED : HA_SWITCHOVER_PLANNED,
				       cases[i].to, announced ? "me" : "");
			poll_at(&f, 2030);
			assert_asks_switchover(&f, "");
			done(&f, 2040, HA_EV_SWITCHOVER, 0);
			assert_int_equal(f.e.state, HA_MASTER);
		}
	}
}

/* Announced to the master at 2030 ms; the target has heard of it at 2100. */
static struct fixture handed_over(void)
{
	struct fixture f = accompanied();

	set_switchover(&f, HA_SWITCHOVER_ANNOUNCED, "other", "me");
	poll_at(&f, 2030);
	assert_int_equal(f.acts.n, 0);
	f.plane.peers[1].beat++;
	news(&f, 2100);
	plane_done(&f, 2110);
	return f;
}

static void a_master_lets_go_once_the_target_has_heard_of_it(void **state)
{
	struct fixture f = handed_over();

	(void)state;
	assert_entered(&f, HA_MASTER, HA_STANDBY, HA_REASON_HANDED_OVER);
	assert_int_equal(f.acts.n, 2);
	assert_asked(&f, 1, HA_ACT_RELEASE);

	/* Nothing else is done before it is free. */
	tick(&f, 2120);
	assert_int_equal(f.acts.n, 0);
	done(&f, 2130, HA_EV_RELEASE, 0);
	assert_polled(&f, 0, HA_STANDBY);
}

static void a_switchover_from_another_master_is_not_ours(void **state)
{
	struct fixture f = accompanied();

	(void)state;
	set_switchover(&f, HA_SWITCHOVER_ANNOUNCED, "other", "third");
	poll_at(&f, 2030);
	f.plane.peers[1].beat++;
	poll_at(&f, 3030);
	assert_int_equal(f.acts.n, 0);
	assert_int_equal(f.e.state, HA_MASTER);
}

static void a_master_whose_target_does_not_claim_takes_the_lease_back_after_a_poll(void **state)
{
	struct fixture f = handed_over();

	(void)state;
	done(&f, 2130, HA_EV_RELEASE, 0);
	set_master(&f, "");
	set_switchover(&f, HA_SWITCHOVER_HANDED, "other", "me");
	f.plane.peers[0].status = HA_STANDBY;
	f.plane.switchover.age_ms = 1000;
	record_done(&f, 2140, 0);
	plane_done(&f, 2150);
	assert_int_equal(f.acts.n, 0);

	f.plane.switchover.age_ms = 1001;
	poll_at(&f, 3130);
	assert_asked(&f, 0, HA_ACT_CLAIM);
	claim_done(&f, 3140, 0, 4);
	assert_entered(&f, HA_STANDBY, HA_MASTER, HA_REASON_HANDED_BACK);
}

static void a_target_answers_an_announcement_at_once_and_once(void **state)
{
	struct fixture f = left_alone();

	(void)state;
	set_master(&f, "other");
	f.plane.peers[1].status = HA_MASTER;
	f.plane.epoch = 7;
	set_switchover(&f, HA_SWITCHOVER_ANNOUNCED, "me", "other");
	plane_done(&f, 1510);
	assert_polled(&f, 0, HA_STANDBY);
	record_done(&f, 1520, 0);
	plane_done(&f, 1530);
	assert_int_equal(f.acts.n, 0);
	assert_u64(ha_engine_deadline_ms(&f.e), 2510);
}

static void what_is_handed_over_is_for_a_timeout_claimed_by_its_target_only(void **state)
{
	struct fixture target = left_alone(), third = left_alone();
	struct fixture hot_target = hot(HA_MODE_HOT_STANDBY);

	(void)state;
	/* It would not win an election. */
	add_peer(&target, "better", HA_STANDBY)->priority = 1;
	set_switchover(&target, HA_SWITCHOVER_HANDED, "me", "other");
	plane_done(&target, 1510);
	assert_asked(&target, 0, HA_ACT_CLAIM);
	claim_done(&target, 1520, 0, 4);
	assert_entered(&target, HA_STANDBY, HA_MASTER, HA_REASON_HANDED_TO);

	set_master(&hot_target, "");
	set_switchover(&hot_target, HA_SWITCHOVER_HANDED, "me", "other");
	poll_at(&hot_target, 2100);
	claim_done(&hot_target, 2110, 0, 4);
	assert_entered(&hot_target, HA_HOT_STANDBY, HA_MASTER, HA_REASON_HANDED_TO);

	set_switchover(&third, HA_SWITCHOVER_HANDED, "better", "other");
	third.plane.switchover.age_ms = 5000;
	plane_done(&third, 1510);
	assert_int_equal(third.acts.n, 0);
	third.plane.switchover.age_ms = 5001;
	poll_at(&third, 2000);
	assert_asked(&third, 0, HA_ACT_CLAIM);
}

static void while_the_plane_is_paused_only_what_is_handed_or_ours_is_claimed(void **state)
{
	struct fixture f = left_alone(), target = left_alone(), owner = left_alone();

	(void)state;
	f.plane.paused = target.plane.paused = owner.plane.paused = true;
	plane_done(&f, 1510);
	assert_int_equal(f.acts.n, 0);

	set_switchover(&target, HA_SWITCHOVER_HANDED, "me", "other");
	plane_done(&target, 1510);
	assert_asked(&target, 0, HA_ACT_CLAIM);

	set_master(&owner, "me");
	plane_done(&owner, 1510);
	assert_asked(&owner, 0, HA_ACT_CLAIM);
}

static void a_paused_plane_keeps_its_master(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	f.plane.paused = true;
	poll_at(&f, 2030);
	assert_int_equal(f.acts.n, 0);
	assert_u64(f.e.until_ms, 6530);
}

static void mode_master_in_a_paused_plane_orders_what_it_then_takes(void **state)
{
	struct fixture f = starting_master("", HA_MASTER);

	(void)state;
	f.plane.paused = true;
	plane_done(&f, 40);
	assert_asks_switchover(&f, "me");
	done(&f, 50, HA_EV_SWITCHOVER, 0);
	set_switchover(&f, HA_SWITCHOVER_HANDED, "me", "");
	poll_at(&f, 1020);
	assert_asked(&f, 0, HA_ACT_CLAIM);
	claim_done(&f, 1030, 0, 4);
	assert_entered(&f, HA_INITIALIZING, HA_MASTER, HA_REASON_MASTER_MODE);
}

static void mode_master_at_run_time_asks_the_master_to_hand_over(void **state)
{
	struct fixture f = left_alone();

	(void)state;
	set_master(&f, "other");
	f.plane.peers[1].status = HA_MASTER;
	plane_done(&f, 1510);
	set_mode(&f, 1600, HA_MODE_MASTER);
	record_done(&f, 1610, 0);
	plane_done(&f, 1620);
	assert_asks_switchover(&f, "me");
	done(&f, 1630, HA_EV_SWITCHOVER, 0);
	assert_int_equal(f.e.state, HA_STANDBY);

	/* While one is under way nobody asks again. */
	set_switchover(&f, HA_SWITCHOVER_ANNOUNCED, "me", "other");
	poll_at(&f, 2600);
	assert_false(has_asked(&f, HA_ACT_SWITCHOVER));
}

static void mode_master_at_run_time_needs_no_election_and_is_fulfilled_once(void **state)
{
	struct fixture f = left_alone(), hot_one = hot(HA_MODE_HOT_STANDBY);

	(void)state;
	add_peer(&f, "better", HA_STANDBY)->priority = 1;
	plane_done(&f, 1510);
	assert_int_equal(f.acts.n, 0);
	set_mode(&f, 1600, HA_MODE_MASTER);
	record_done(&f, 1610, 0);
	plane_done(&f, 1620);
	assert_asked(&f, 0, HA_ACT_CLAIM);
	claim_done(&f, 1630, 0, 4);
	assert_entered(&f, HA_STANDBY, HA_MASTER, HA_REASON_MASTER_MODE);
	assert_false(f.e.wants_master);

	/* What is loaded stays so. */
	set_master(&hot_one, "");
	set_mode(&hot_one, 1600, HA_MODE_MASTER);
	assert_false(has_asked(&hot_one, HA_ACT_UNLOAD));
	add_peer(&hot_one, "better", HA_STANDBY)->priority = 1;
	record_done(&hot_one, 1610, 0);
	plane_done(&hot_one, 1620);
	claim_done(&hot_one, 1630, 0, 4);
	assert_entered(&hot_one, HA_HOT_STANDBY, HA_MASTER, HA_REASON_MASTER_MODE);
}

static void a_hot_standby_takes_back_what_its_target_did_not_claim(void **state)
{
	struct fixture f = hot(HA_MODE_HOT_STANDBY);

	(void)state;
	set_master(&f, "");
	set_switchover(&f, HA_SWITCHOVER_HANDED, "other", "me");
	f.plane.switchover.age_ms = 1001;
	poll_at(&f, 2100);
	claim_done(&f, 2110, 0, 4);
	assert_entered(&f, HA_HOT_STANDBY, HA_MASTER, HA_REASON_HANDED_BACK);
}

/* A node in @state, by whatever way there is. */
static struct fixture in(enum ha_state state)
{
	struct fixture f;

	switch (state) {
	case HA_INITIALIZING:
		return starting_master("other", HA_MASTER);
	case HA_HOT_STANDBY:
		return hot(HA_MODE_HOT_STANDBY);
	case HA_HOT_BACKUP:
		return hot(HA_MODE_HOT_BACKUP);
	case HA_MASTER:
		return master_at_rest();
	case HA_FAILED:
		return expired();
	case HA_TERMINATED:
		f = standby();
		stop(&f, 1030);
		return f;
	case HA_STANDBY:
	case HA_STATE_MAX_:
		break;
	}
	return standby();
}

/* Each mode in each state; .now is what it changes at once.  Start rules come with a reading. */
static void every_mode_can_be_asked_for_in_every_state(void **state)
{
	static const struct {
		enum ha_state from;
		enum ha_mode mode;
		enum ha_state now, rest;
		bool releases;
	} cases[] = {
		{HA_INITIALIZING, HA_MODE_AUTO, HA_INITIALIZING, HA_STANDBY, false},
		{HA_INITIALIZING, HA_MODE_MASTER, HA_INITIALIZING, HA_STANDBY, false},
		{HA_INITIALIZING, HA_MODE_STANDBY, HA_INITIALIZING, HA_STANDBY, false},
		{HA_INITIALIZING, HA_MODE_HOT_STANDBY, HA_INITIALIZING, HA_HOT_STANDBY, false},
		{HA_INITIALIZING, HA_MODE_HOT_BACKUP, HA_INITIALIZING, HA_HOT_BACKUP, false},
		{HA_INITIALIZING, HA_MODE_DISABLED, HA_FAILED, HA_FAILED, false},
		{HA_STANDBY, HA_MODE_AUTO, HA_STANDBY, HA_STANDBY, false},
		{HA_STANDBY, HA_MODE_MASTER, HA_STANDBY, HA_STANDBY, false},
		{HA_STANDBY, HA_MODE_STANDBY, HA_STANDBY, HA_STANDBY, false},
		{HA_STANDBY, HA_MODE_HOT_STANDBY, HA_STANDBY, HA_HOT_STANDBY, false},
		{HA_STANDBY, HA_MODE_HOT_BACKUP, HA_INITIALIZING, HA_HOT_BACKUP, false},
		{HA_STANDBY, HA_MODE_DISABLED, HA_FAILED, HA_FAILED, false},
		{HA_HOT_STANDBY, HA_MODE_AUTO, HA_HOT_STANDBY, HA_HOT_STANDBY, false},
		{HA_HOT_STANDBY, HA_MODE_MASTER, HA_HOT_STANDBY, HA_HOT_STANDBY, false},
		{HA_HOT_STANDBY, HA_MODE_STANDBY, HA_STANDBY, HA_STANDBY, false},
		{HA_HOT_STANDBY, HA_MODE_HOT_STANDBY, HA_HOT_STANDBY, HA_HOT_STANDBY, false},
		{HA_HOT_STANDBY, HA_MODE_HOT_BACKUP, HA_HOT_BACKUP, HA_HOT_BACKUP, false},
		{HA_HOT_STANDBY, HA_MODE_DISABLED, HA_FAILED, HA_FAILED, false},
		{HA_HOT_BACKUP, HA_MODE_AUTO, HA_HOT_STANDBY, HA_HOT_STANDBY, false},
		{HA_HOT_BACKUP, HA_MODE_MASTER, HA_HOT_STANDBY, HA_HOT_STANDBY, false},
		{HA_HOT_BACKUP, HA_MODE_STANDBY, HA_STANDBY, HA_STANDBY, false},
		{HA_HOT_BACKUP, HA_MODE_HOT_STANDBY, HA_HOT_STANDBY, HA_HOT_STANDBY, false},
		{HA_HOT_BACKUP, HA_MODE_HOT_BACKUP, HA_HOT_BACKUP, HA_HOT_BACKUP, false},
		{HA_HOT_BACKUP, HA_MODE_DISABLED, HA_FAILED, HA_FAILED, false},
		{HA_MASTER, HA_MODE_AUTO, HA_MASTER, HA_STANDBY, false},
		{HA_MASTER, HA_MODE_MASTER, HA_MASTER, HA_STANDBY, false},
		{HA_MASTER, HA_MODE_STANDBY, HA_STANDBY, HA_STANDBY, true},
		{HA_MASTER, HA_MODE_HOT_STANDBY, HA_STANDBY, HA_HOT_STANDBY, true},
		{HA_MASTER, HA_MODE_HOT_BACKUP, HA_INITIALIZING, HA_HOT_BACKUP, true},
		{HA_MASTER, HA_MODE_DISABLED, HA_FAILED, HA_FAILED, false}, /* by its record */
		{HA_FAILED, HA_MODE_AUTO, HA_INITIALIZING, HA_STANDBY, false},
		{HA_FAILED, HA_MODE_MASTER, HA_INITIALIZING, HA_STANDBY, false},
		{HA_FAILED, HA_MODE_STANDBY, HA_INITIALIZING, HA_STANDBY, false},
		{HA_FAILED, HA_MODE_HOT_STANDBY, HA_INITIALIZING, HA_HOT_STANDBY, false},
		{HA_FAILED, HA_MODE_HOT_BACKUP, HA_INITIALIZING, HA_HOT_BACKUP, false},
		{HA_FAILED, HA_MODE_DISABLED, HA_FAILED, HA_FAILED, false},
		{HA_TERMINATED, HA_MODE_AUTO, HA_TERMINATED, HA_STANDBY, false},
		{HA_TERMINATED, HA_MODE_DISABLED, HA_TERMINATED, HA_STANDBY, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f = in(cases[i].from);

		print_message("  %s, mode %u\n", ha_state_name(cases[i].from), cases[i].mode);
		assert_int_equal(f.e.state, cases[i].from);
		set_mode(&f, 5600, cases[i].mode);
		if (cases[i].from == HA_MASTER) {
			/* Its lease was over by then: ask it in time. */
			f = in(HA_MASTER);
			set_mode(&f, 1600, cases[i].mode);
		}
		assert_int_equal(f.e.state, cases[i].now);
		assert_int_equal(f.e.rest, cases[i].rest);
		assert_int_equal(has_asked(&f, HA_ACT_RELEASE), cases[i].releases);
	}
}

static void at_run_time_no_mode_is_refused(void **state)
{
	static const enum ha_mode modes[] = {HA_MODE_STANDBY, HA_MODE_HOT_STANDBY, HA_MODE_MASTER};

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct fixture f = started(HA_MODE_STANDBY, 10);

		plane_done(&f, 20);
		assert_int_equal(f.e.reason, HA_REASON_NO_MASTER);
		set_mode(&f, 30, modes[i]);
		assert_entered(&f, HA_FAILED, HA_INITIALIZING, HA_REASON_MODE);
		record_done(&f, 40, 0);
		plane_done(&f, 50);
		record_done(&f, 60, 0);
		plane_done(&f, 70);
		assert_int_equal(f.e.state, HA_STANDBY);
		assert_int_equal(f.e.reason, HA_REASON_REQUESTED);
	}
}

static void a_disabled_node_stays_so_until_another_mode_is_asked_for(void **state)
{
	struct fixture f = standby();

	(void)state;
	set_mode(&f, 1015, HA_MODE_DISABLED);
	assert_entered(&f, HA_STANDBY, HA_FAILED, HA_REASON_DISABLED);
	plane_done(&f, 1020);
	record_done(&f, 1030, 0);
	plane_done(&f, 1040);
	poll_at(&f, 2020);
	assert_int_equal(f.e.state, HA_FAILED);
	set_mode(&f, 2100, HA_MODE_AUTO);
	assert_entered(&f, HA_FAILED, HA_INITIALIZING, HA_REASON_MODE);
}

static void a_demoted_master_may_be_elected_again(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	set_mode(&f, 1100, HA_MODE_STANDBY);
	assert_entered(&f, HA_MASTER, HA_STANDBY, HA_REASON_MODE);
	assert_asked(&f, 1, HA_ACT_RELEASE);
	done(&f, 1110, HA_EV_RELEASE, 0);
	assert_polled(&f, 0, HA_STANDBY);
	set_master(&f, "");
	f.plane.peers[0].status = HA_STANDBY;
	record_done(&f, 1120, 0);
	plane_done(&f, 1130);
	assert_asked(&f, 0, HA_ACT_CLAIM);
}

static void a_claim_that_is_granted_too_late_for_the_mode_is_given_back(void **state)
{
	struct fixture f = standby(), unheard = standby();

	(void)state;
	plane_done(&f, 1020);
	assert_asked(&f, 0, HA_ACT_CLAIM);
	set_mode(&f, 1025, HA_MODE_HOT_BACKUP);
	assert_entered(&f, HA_STANDBY, HA_INITIALIZING, HA_REASON_MODE);
	claim_done(&f, 1030, 0, 3);
	assert_asked(&f, 0, HA_ACT_RELEASE);

	plane_done(&unheard, 1020);
	set_mode(&unheard, 1025, HA_MODE_HOT_BACKUP);
	claim_done(&unheard, 1030, -ETIMEDOUT, 0);
	record_done(&unheard, 1040, 0);
	set_master(&unheard, "me");
	plane_done(&unheard, 1050);
	assert_true(has_asked(&unheard, HA_ACT_RELEASE));
}

static void a_backup_whose_id_was_in_use_begins_anew(void **state)
{
	static const enum ha_mode modes[] = {HA_MODE_HOT_BACKUP, HA_MODE_HOT_STANDBY};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f = hot(modes[i]);

		tick(&f, 2100);
		record_done(&f, 2110, -EACCES);
		assert_entered(&f, f.acts.v[0].previous, HA_FAILED, HA_REASON_ID_IN_USE);
		plane_done(&f, 2120);
		record_done(&f, 2130, 0);
		plane_done(&f, 2140);
		assert_entered(&f, HA_FAILED,
			       modes[i] == HA_MODE_HOT_BACKUP ? HA_INITIALIZING : HA_STANDBY,
			       HA_REASON_REJOINED);
	}
}

static void a_master_removes_records_that_are_long_dead_one_by_one(void **state)
{
	struct fixture f = master_at_rest();
	struct ha_peer *peer;

	(void)state;
	f.e.cfg.prune_ms = 60000;
	f.plane.peers[0].age_ms = 90000;
	peer = add_peer(&f, "young", HA_FAILED);
	peer->age_ms = 60000;
	peer = add_peer(&f, "living", HA_STANDBY);
	peer->age_ms = 70000; /* silent, but not for the timeout that its mount counts */
	peer = add_peer(&f, "ended", HA_TERMINATED);
	peer->age_ms = 60001;
	peer = add_peer(&f, "lapsed", HA_STANDBY);
	peer->age_ms = 60001;
	peer->lapsed = true;

	poll_at(&f, 2030);
	assert_int_equal(f.acts.n, 1);
	assert_asked(&f, 0, HA_ACT_REMOVE);
	assert_string_equal(f.acts.v[0].node, "ended");
	done(&f, 2040, HA_EV_REMOVE, -EBUSY);

	f.e.cfg.prune_ms = 0;
	poll_at(&f, 3030);
	assert_int_equal(f.acts.n, 0);
}

static void what_runs_while_a_node_is_master_may_give_it_up(void **state)
{
	struct fixture f = master_at_rest();

	(void)state;
	step(&f, (struct ha_event){.type = HA_EV_GIVE_UP, .now_ms = 1100});
	assert_entered(&f, HA_MASTER, HA_FAILED, HA_REASON_COMMAND);
}

static void a_node_is_stopped_whatever_it_keeps(void **state)
{
	static const enum ha_state states[] = {HA_STANDBY, HA_HOT_STANDBY, HA_HOT_BACKUP};

	(void)state;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct fixture f = in(states[i]);

		stop(&f, 1200);
		assert_entered(&f, states[i], HA_TERMINATED, HA_REASON_STOPPED);
	}
}

/* The last one: each test above notes where it went. */
static void every_row_of_the_table_was_walked(void **state)
{
	(void)state;
	for (const struct ha_transition *t = ha_transitions; t->reason != HA_REASON_MAX_; t++) {
		print_message("  %s to %s: %s\n", ha_state_name(t->from), ha_state_name(t->to),
			      ha_reason_text(t->reason));
		assert_true(walked[t->from][t->to][t->reason]);
	}
}

static void a_broken_invariant_is_named(void **state)
{
	const struct fixture healthy = master_at_rest();
	struct ha_engine e;

	(void)state;
	e = healthy.e;
	e.state = HA_HOT_STANDBY;
	assert_string_equal(ha_engine_violation(&e), "is in a state that no rule leads to");
	e = healthy.e;
	e.until_ms = 0;
	assert_string_equal(ha_engine_violation(&e), "is master without a lease");
	e = healthy.e;
	e.state = HA_STANDBY;
	assert_string_equal(ha_engine_violation(&e), "keeps a lease without being master");
	e = healthy.e;
	e.claim_in_flight = true;
	assert_string_equal(ha_engine_violation(&e), "claims what it has");
	e = healthy.e;
	e.release_in_flight = true;
	assert_string_equal(ha_engine_violation(&e), "is master of what it gives back");
	e = healthy.e;
	e.state = e.rest = HA_HOT_STANDBY;
	assert_string_equal(ha_engine_violation(&e), "is hot and has nothing loaded");
	e = healthy.e;
	e.record_in_flight = true;
	assert_string_equal(ha_engine_violation(&e), "trusts a record that is not answered");
	e = healthy.e;
	e.news = true;
	assert_string_equal(ha_engine_violation(&e), "has news and reads nothing");
	e = healthy.e;
	e.farewell_sent = true;
	assert_string_equal(ha_engine_violation(&e), "took leave and stayed");
}

static void states_are_parsed_exactly_as_they_are_named(void **state)
{
	enum ha_state parsed = HA_FAILED;

	(void)state;
	for (enum ha_state s = 0; s < HA_STATE_MAX_; s++) {
		assert_ok(ha_state_parse(ha_state_name(s), &parsed));
		assert_int_equal(parsed, s);
	}
	assert_string_equal(ha_state_name(HA_MASTER), "MASTER");
	assert_string_equal(ha_state_name(HA_STATE_MAX_), "invalid");
	assert_errno(ha_state_parse("master", &parsed), EINVAL);
	assert_errno(ha_state_parse("", &parsed), EINVAL);
	assert_int_equal(parsed, HA_TERMINATED);
}

static void modes_are_parsed_in_any_case(void **state)
{
	static const struct {
		const char *name;
		enum ha_mode mode;
	} cases[] = {
		{"disabled", HA_MODE_DISABLED},
		{"auto", HA_MODE_AUTO},
		{"AUTO", HA_MODE_AUTO},
		{"standby", HA_MODE_STANDBY},
		{"hot_standby", HA_MODE_HOT_STANDBY},
		{"HOT_BACKUP", HA_MODE_HOT_BACKUP},
		{"Master", HA_MODE_MASTER},
	};
	enum ha_mode mode = HA_MODE_STANDBY;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_ok(ha_mode_parse(cases[i].name, &mode));
		assert_int_equal(mode, cases[i].mode);
	}
	assert_errno(ha_mode_parse("hot", &mode), EINVAL);
	assert_int_equal(mode, HA_MODE_MASTER);
}

static void only_answers_of_the_rules_are_verdicts(void **state)
{
	/* As PROTOCOL.md lists the results of a record's commit and of a claim. */
	static const struct {
		int status;
		bool record, plane, claim;
	} cases[] = {
		{0, true, true, true},
		{-EACCES, true, false, false},
		{-ESTALE, true, false, true},
		{-EBUSY, false, false, true},
		{-EPERM, false, false, true},
		{-EAGAIN, false, false, true},
		{-ETIMEDOUT, false, false, false},
		{-EIO, false, false, false},
		{-EBADMSG, false, false, false},
		{-EINVAL, false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status = cases[i].status;

		print_message("%s\n", strerror(-status));
		assert_int_equal(ha_engine_is_verdict(HA_ACT_WRITE_RECORD, status),
				 cases[i].record);
		assert_int_equal(ha_engine_is_verdict(HA_ACT_READ_PLANE, status), cases[i].plane);
		assert_int_equal(ha_engine_is_verdict(HA_ACT_CLAIM, status), cases[i].claim);
	}
}

static void only_a_mode_that_cannot_be_had_is_a_refusal(void **state)
{
	(void)state;
	for (enum ha_reason reason = 0; reason < HA_REASON_MAX_; reason++) {
		bool want = reason == HA_REASON_MASTER_EXISTS || reason == HA_REASON_NO_MASTER;

		assert_int_equal(ha_reason_is_refusal(reason), want);
	}
}

static void every_reason_has_words_of_its_own(void **state)
{
	(void)state;
	for (enum ha_reason a = 0; a < HA_REASON_MAX_; a++) {
		for (enum ha_reason b = 0; b < a; b++) {
			assert_string_not_equal(ha_reason_text(a), ha_reason_text(b));
		}
	}
	assert_string_equal(ha_reason_text(HA_REASON_MAX_), "invalid");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_refuses_what_cannot_work),
		cmocka_unit_test(the_first_thing_is_to_read_the_plane),
		cmocka_unit_test(an_unreadable_plane_is_read_again_after_a_poll_period),
		cmocka_unit_test(mode_auto_becomes_a_standby_and_polls_at_once),
		cmocka_unit_test(mode_standby_accepts_any_master_that_is_named),
		cmocka_unit_test(mode_standby_fails_for_good_where_no_master_is_named),
		cmocka_unit_test(mode_master_claims_a_lease_that_nobody_living_holds),
		cmocka_unit_test(mode_master_does_not_claim_before_its_own_record_is_in_the_plane),
		cmocka_unit_test(mode_master_fails_when_the_holder_is_seen_to_beat),
		cmocka_unit_test(mode_master_waits_for_a_holder_that_stands_still),
		cmocka_unit_test(mode_master_judges_each_holder_by_its_own_beats),
		cmocka_unit_test(mode_master_takes_what_an_unanswered_claim_won),
		cmocka_unit_test(a_poll_waits_until_everything_is_answered),
		cmocka_unit_test(a_poll_waits_for_a_claim),
		cmocka_unit_test(news_is_read_at_once_and_the_heartbeat_keeps_its_pace),
		cmocka_unit_test(news_waits_until_everything_is_answered_and_is_read_once),
		cmocka_unit_test(news_during_its_reading_is_read_after_it),
		cmocka_unit_test(news_at_the_time_of_a_poll_is_part_of_it),
		cmocka_unit_test(news_before_the_first_reading_adds_no_record),
		cmocka_unit_test(a_master_that_leaves_is_followed_at_once),
		cmocka_unit_test(after_news_the_better_candidate_goes_first_as_ever),
		cmocka_unit_test(after_news_nothing_is_claimed_on_a_record_that_failed),
		cmocka_unit_test(news_after_the_stop_is_not_read),
		cmocka_unit_test(a_standby_claims_when_it_wins_and_nobody_living_holds_the_lease),
		cmocka_unit_test(a_standby_waits_for_a_better_candidate),
		cmocka_unit_test(what_is_ours_already_is_claimed_without_an_election),
		cmocka_unit_test(a_standby_never_promotes_on_doubt),
		cmocka_unit_test(a_refused_or_unanswered_claim_changes_nothing),
		cmocka_unit_test(a_granted_claim_makes_a_master_who_says_so_at_once),
		cmocka_unit_test(a_lease_counts_from_before_the_claim_left),
		cmocka_unit_test(a_claim_that_was_granted_too_late_is_not_used),
		cmocka_unit_test(a_committed_record_prolongs_the_lease_from_before_it_left),
		cmocka_unit_test(a_record_that_is_not_known_to_be_committed_prolongs_nothing),
		cmocka_unit_test(an_overtaken_record_deposes_the_master),
		cmocka_unit_test(a_plane_that_names_another_holder_or_none_deposes_the_master),
		cmocka_unit_test(an_unreadable_plane_deposes_nobody),
		cmocka_unit_test(a_master_fails_at_the_end_of_its_lease),
		cmocka_unit_test(an_answer_after_the_end_revives_nothing),
		cmocka_unit_test(
			an_expired_master_rejoins_when_its_record_is_committed_and_the_plane_read),
		cmocka_unit_test(a_record_of_the_state_before_lets_nobody_rejoin),
		cmocka_unit_test(a_node_whose_id_is_in_use_fails_and_comes_back_when_it_may),
		cmocka_unit_test(a_refused_id_does_not_hide_why_a_node_had_failed_before),
		cmocka_unit_test(a_failed_node_ignores_that_its_record_was_overtaken),
		cmocka_unit_test(a_node_that_nobody_heard_of_leaves_at_once),
		cmocka_unit_test(a_farewell_is_published_before_the_end_whatever_it_is_answered),
		cmocka_unit_test(a_farewell_waits_for_the_record_in_flight_and_is_said_once),
		cmocka_unit_test(a_claim_granted_after_the_stop_is_not_used),
		cmocka_unit_test(a_node_can_be_stopped_in_every_state),
		cmocka_unit_test(a_lease_that_ran_out_before_the_stop_is_told_as_such),
		cmocka_unit_test(a_hot_node_says_so_once_all_is_loaded),
		cmocka_unit_test(a_hot_node_follows_in_each_poll_and_waits_for_no_load),
		cmocka_unit_test(a_hot_standby_that_is_promoted_loads_nothing),
		cmocka_unit_test(a_hot_backup_never_claims),
		cmocka_unit_test(a_backup_starts_without_a_master_and_a_hot_standby_does_not),
		cmocka_unit_test(
			a_switchover_that_is_due_is_announced_to_the_best_or_to_the_one_named),
		cmocka_unit_test(a_switchover_to_a_node_that_cannot_is_cancelled),
		cmocka_unit_test(a_master_lets_go_once_the_target_has_heard_of_it),
		cmocka_unit_test(a_switchover_from_another_master_is_not_ours),
		cmocka_unit_test(
			a_master_whose_target_does_not_claim_takes_the_lease_back_after_a_poll),
		cmocka_unit_test(a_target_answers_an_announcement_at_once_and_once),
		cmocka_unit_test(what_is_handed_over_is_for_a_timeout_claimed_by_its_target_only),
		cmocka_unit_test(while_the_plane_is_paused_only_what_is_handed_or_ours_is_claimed),
		cmocka_unit_test(a_paused_plane_keeps_its_master),
		cmocka_unit_test(mode_master_in_a_paused_plane_orders_what_it_then_takes),
		cmocka_unit_test(mode_master_at_run_time_asks_the_master_to_hand_over),
		cmocka_unit_test(mode_master_at_run_time_needs_no_election_and_is_fulfilled_once),
		cmocka_unit_test(a_hot_standby_takes_back_what_its_target_did_not_claim),
		cmocka_unit_test(every_mode_can_be_asked_for_in_every_state),
		cmocka_unit_test(at_run_time_no_mode_is_refused),
		cmocka_unit_test(a_disabled_node_stays_so_until_another_mode_is_asked_for),
		cmocka_unit_test(a_demoted_master_may_be_elected_again),
		cmocka_unit_test(a_claim_that_is_granted_too_late_for_the_mode_is_given_back),
		cmocka_unit_test(a_backup_whose_id_was_in_use_begins_anew),
		cmocka_unit_test(a_master_removes_records_that_are_long_dead_one_by_one),
		cmocka_unit_test(what_runs_while_a_node_is_master_may_give_it_up),
		cmocka_unit_test(a_node_is_stopped_whatever_it_keeps),
		cmocka_unit_test(a_broken_invariant_is_named),
		cmocka_unit_test(states_are_parsed_exactly_as_they_are_named),
		cmocka_unit_test(modes_are_parsed_in_any_case),
		cmocka_unit_test(only_answers_of_the_rules_are_verdicts),
		cmocka_unit_test(only_a_mode_that_cannot_be_had_is_a_refusal),
		cmocka_unit_test(every_reason_has_words_of_its_own),
		cmocka_unit_test(every_row_of_the_table_was_walked),
	};

	return cmocka_run_group_tests_name("ha/engine", tests, NULL, NULL);
}
