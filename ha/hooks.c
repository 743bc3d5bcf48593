/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/hooks.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ha/child.h"
#include "ha/keeper.h"

/* What waits to be run; as many changes are forgotten only where a hook needs minutes. */
#define QUEUE_MAX 16

enum hook {
	ON_PROMOTE,
	ON_DEMOTE,
	ON_STATE_CHANGE,
	HOOK_MAX_,
};

static const char *const names[HOOK_MAX_] = {
	[ON_PROMOTE] = "on-promote",
	[ON_DEMOTE] = "on-demote",
	[ON_STATE_CHANGE] = "on-state-change",
};

struct call {
	enum hook hook;
	struct ha_notice notice;
};

struct hooks {
	struct ha_seat *seat;
	const struct ha_hooks_options *options;
	struct ha_notice now; /* what was entered last */
	bool judged_itself;   /* .now is what the clock said, not the daemon */
	struct ha_child child;
	char path[PATH_MAX];
	const char *argv[2];
	uint64_t kill_ms; /* if the child runs */
	size_t n_queued;
	struct call queue[QUEUE_MAX];
};

/* Nobody but root and we may decide what it is. */
static int check_owner(const char *path, struct stat *ret, struct err *reterr)
{
	if (stat(path, ret) < 0) {
		return err_set(reterr, -errno, "%s: %s", path, strerror(errno));
	}
	if (ret->st_uid != 0 && ret->st_uid != geteuid()) {
		return err_set(reterr, -EACCES, "%s belongs to another user (%u)", path,
			       ret->st_uid);
	}
	/* In a sticky directory others may make files, but not replace these. */
	if (ret->st_mode & (S_IWGRP | S_IWOTH) && !(ret->st_mode & S_ISVTX)) {
		return err_set(reterr, -EACCES, "%s may be written by others (mode %03o)", path,
			       ret->st_mode & 0777);
	}
	return 0;
}

int ha_hooks_check(const char *dir, struct err *reterr)
{
	char parent[PATH_MAX];
	struct stat st = {0};
	int r;

	if (dir[0] != '/') {
		return err_set(reterr, -EINVAL, "--hooks: %s is not absolute", dir);
	}
	if (strlen(dir) >= sizeof(parent) - NAME_MAX) {
		return err_set(reterr, -ENAMETOOLONG, "--hooks: the path is too long");
	}
	/* Who may rename a directory on the way may put another one in its place. */
	for (size_t n = 1; n <= strlen(dir); n++) {
		if (dir[n] == '/' || !dir[n]) {
			(void)snprintf(parent, sizeof(parent), "%.*s", (int)n, dir);
			r = check_owner(parent, &st, reterr);
			if (r < 0) {
				return err_wrap(reterr, r, "--hooks");
			}
		}
	}
	if (!S_ISDIR(st.st_mode)) {
		return err_set(reterr, -ENOTDIR, "--hooks: %s is no directory", dir);
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		return err_set(reterr, -EACCES, "--hooks: %s may be written by others", dir);
	}
	return 0;
}

/* False: there is none, or none that may be run. */
static bool find(struct hooks *h, enum hook hook)
{
	struct err err = {0};
	struct stat st;
	int r = ha_hooks_check(h->options->dir, &err);

	(void)snprintf(h->path, sizeof(h->path), "%s/%s", h->options->dir, names[hook]);
	if (r == 0) {
		r = check_owner(h->path, &st, &err);
	}
	if (r == 0 && (!S_ISREG(st.st_mode) || st.st_mode & (S_IWGRP | S_IWOTH))) {
		r = err_set(&err, -EACCES, "%s is no file that only its owner may write", h->path);
	}
	if (r < 0 && r != -ENOENT) {
		log_line(LOG_ERR, "ha", "a hook may not be run", "hook=%s error=\"%s\"",
			 names[hook], err.text);
	}
	return r == 0;
}

static void start(struct hooks *h, const struct call *call)
{
	int r;

	if (!find(h, call->hook)) {
		return;
	}
	ha_seat_export(h->seat, &call->notice, h->options->limit_ms);
	h->argv[0] = h->path;
	r = ha_child_start(&h->child, names[call->hook], h->argv, true);
	if (r < 0) {
		log_line(LOG_ERR, "ha", "a hook could not be run", "hook=%s error=\"%s\"",
			 names[call->hook], strerror(-r));
		return;
	}
	h->kill_ms = clock_boot_ms() + h->options->limit_ms;
}

static void start_next(struct hooks *h)
{
	while (h->child.pid == 0 && h->n_queued > 0) {
		struct call call = h->queue[0];

		h->n_queued--;
		memmove(&h->queue[0], &h->queue[1], h->n_queued * sizeof(h->queue[0]));
		start(h, &call);
	}
}

static void append(struct hooks *h, enum hook hook, const struct ha_notice *notice)
{
	if (h->n_queued == QUEUE_MAX) {
		log_line(LOG_WARN, "ha", "too many hooks wait, ignoring", "hook=%s state=%s",
			 names[hook], ha_state_name(notice->state));
		return;
	}
	h->queue[h->n_queued++] = (struct call){.hook = hook, .notice = *notice};
}

static void kill_child(struct hooks *h, const char *why)
{
	if (h->child.pid > 0) {
		log_line(LOG_WARN, "ha", why, "hook=%s", h->child.name);
		ha_child_abandon(&h->child);
	}
}

static void enter(struct hooks *h, const struct ha_notice *notice)
{
	enum ha_state before = h->now.state;

	h->now = *notice;
	if (notice->state == before) {
		return; /* the clock had said so already */
	}
	if (before == HA_MASTER) {
		kill_child(h, "a hook is killed for on-demote, ignoring");
		h->n_queued = 0;
		append(h, ON_DEMOTE, notice);
	} else if (notice->state == HA_MASTER) {
		append(h, ON_PROMOTE, notice);
	}
	append(h, ON_STATE_CHANGE, notice);
}

/* What the daemon cannot say. */
static void judge(struct hooks *h, enum ha_state state, const char *reason)
{
	struct ha_notice notice = h->now;

	notice.previous = h->now.state;
	notice.state = state;
	if (state != HA_MASTER) {
		notice.master_uri[0] = '\0';
	}
	(void)snprintf(notice.reason, sizeof(notice.reason), "%s", reason);
	enter(h, &notice);
	h->judged_itself = true;
}

static void look_at_the_clock(struct hooks *h)
{
	uint64_t now_ms = clock_boot_ms(), end_ms = ha_seat_lease_end_ms(h->seat);

	if (h->now.state == HA_MASTER && now_ms >= end_ms) {
		judge(h, HA_FAILED, ha_reason_text(HA_REASON_LEASE_EXPIRED));
	} else if (h->judged_itself && h->seat->daemon_fd >= 0 && now_ms < end_ms) {
		judge(h, HA_MASTER, "its lease was renewed after all");
		h->judged_itself = false;
	}
	if (h->child.pid > 0 && now_ms >= h->kill_ms) {
		kill_child(h, "a hook is killed: its time is over, ignoring");
	}
}

static void on_left(struct hooks *h)
{
	if (h->now.state != HA_TERMINATED && h->now.state != HA_INITIALIZING) {
		judge(h, HA_FAILED, "the daemon died");
	}
}

static void on_child(struct hooks *h)
{
	bool none_left;
	char how[32];
	int status;

	if (!ha_child_reap(&h->child, &status, &none_left)) {
		return;
	}
	if (status != 0) {
		ha_child_describe(status, how, sizeof(how));
		log_line(LOG_WARN, "ha", "a hook failed, ignoring", "hook=%s error=\"%s\"",
			 h->child.name, how);
	}
}

static uint64_t next_look_ms(const struct hooks *h)
{
	uint64_t at_ms = h->child.pid > 0 ? h->kill_ms : UINT64_MAX, look_ms = UINT64_MAX;

	if (h->now.state == HA_MASTER) {
		look_ms = ha_seat_lease_end_ms(h->seat);
	} else if (h->judged_itself && h->seat->daemon_fd >= 0) {
		look_ms = clock_boot_ms() + h->options->check_ms;
	}
	return look_ms < at_ms ? look_ms : at_ms;
}

static void run(struct ha_seat *seat, const void *arg)
{
	struct hooks h = {
		.seat = seat,
		.options = arg,
		.now = {.state = HA_INITIALIZING},
		.child = {.output_fd = -EBADF},
	};

	while (seat->daemon_fd >= 0 || h.child.pid > 0 || h.n_queued > 0) {
		struct ha_notice notice;
		unsigned happened;

		start_next(&h);
		happened = ha_seat_wait(seat, h.child.output_fd, next_look_ms(&h), &notice);
		ha_child_read(&h.child);
		if (happened & HA_SEAT_CHILD) {
			on_child(&h);
		}
		if (happened & HA_SEAT_NOTICE) {
			h.judged_itself = false;
			enter(&h, &notice);
		}
		if (happened & HA_SEAT_LEFT) {
			on_left(&h);
		}
		look_at_the_clock(&h);
	}
}

int ha_hooks_start(const struct ha_hooks_options *options, struct ha_keeper **ret)
{
	return ha_keeper_start("holdfastd-hooks", options->node_id, run, options, ret);
}
