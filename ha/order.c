/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/order.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/parse.h"
#include "ha/client.h"
#include "ha/snapshot.h"

#define REASON_MAX_BYTES 95 /* as the mount takes it, see docs/PROTOCOL.md */
#define DAY_S            86400
#define LOOK_MS          20 /* plane.json is looked at so often for the end of a switchover */

struct settings {
	const char *command;
	const char *to; /* "": whom the master finds best */
	uint64_t at_ms; /* 0: now */
	bool cancel;
	const char *reason;
	const char *mount; /* NULL: the only one there is */
	bool help;
};

static const char switchover_usage[] =
	"usage: holdfast switchover [option]...\n\n"
	"The master hands over to another node, and this waits until that is master.  If it does\n"
	"not take over within a poll period the old master goes on.  Without a master, --to\n"
	"names the one that becomes it.\n\n"
	"  --to NODE     default: the one that would win an election\n"
	"  --at TIME     later: 22:30, 22:30:00, \"2026-11-30 22:30\" (local time), or 90s, 5m, "
	"2h\n"
	"                from now; waits for nothing\n"
	"  --cancel      forget the one that was ordered\n";
static const char pause_usage[] =
	"usage: holdfast pause [option]...\n\n"
	"Until holdfast resume no node of the plane becomes master by itself, whatever happens to\n"
	"the one there is.  holdfast switchover still works.\n\n"
	"  --reason TEXT for the history, with your name: one line, 95 bytes at most\n";
static const char resume_usage[] = "usage: holdfast resume [option]...\n\n"
				   "Ends what holdfast pause began.\n\n"
				   "  --reason TEXT for the history\n";
static const char common_usage[] =
	"  --mount DIR   default: the only Holdfast mount of this machine\n\n"
	"exit status: 0 done, 1 command line, 2 it failed\n";

static int usage_error(const struct settings *s, const char *what, const char *value)
{
	(void)fprintf(stderr, "holdfast %s: %s: %s\n", s->command, value, what);
	return -EINVAL;
}

/* "22:30", "22:30:00", either of them after "2026-11-30 "; or a duration.  By the local clock. */
static int parse_time(const char *text, uint64_t *ret_wall_ms)
{
	static const char *const formats[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M",
					      "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M",
					      "%H:%M:%S",          "%H:%M"};
	time_t now = (time_t)(clock_wall_ms() / 1000), at;
	uint64_t from_now_ms;

	if (parse_duration_ms(text, &from_now_ms) == 0) {
		*ret_wall_ms = (uint64_t)clock_wall_ms() + from_now_ms;
		return 0;
	}
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		bool has_date = formats[i][1] == 'Y';
		const char *end;
		struct tm tm;

		(void)localtime_r(&now, &tm);
		tm.tm_sec = 0;
		end = strptime(text, formats[i], &tm);
		if (!end || *end) {
			continue;
		}
		tm.tm_isdst = -1;
		at = mktime(&tm);
		if (at < now && !has_date) {
			at += DAY_S;
		}
		if (at < now) {
			return -EINVAL;
		}
		*ret_wall_ms = (uint64_t)at * 1000;
		return 0;
	}
	return -EINVAL;
}

static int parse_args(int argc, char **argv, const struct option *longs, struct settings *ret)
{
	int val;

	*ret = (struct settings){.command = argv[0], .to = "", .reason = "no reason given"};
	opterr = 0;
	while ((val = getopt_long(argc, argv, ":", longs, NULL)) >= 0) {
		switch (val) {
		case 't':
			ret->to = optarg;
			if (!parse_id_is_valid(optarg)) {
				return usage_error(ret, "no node id", optarg);
			}
			break;
		case 'a':
			if (parse_time(optarg, &ret->at_ms) < 0) {
				return usage_error(ret, "no time to come, such as 22:30", optarg);
			}
			break;
		case 'c':
			ret->cancel = true;
			break;
		case 'r':
			ret->reason = optarg;
			if (strlen(optarg) > REASON_MAX_BYTES) {
				return usage_error(ret, "longer than 95 bytes", "--reason");
			}
			break;
		case 'm':
			ret->mount = optarg;
			break;
		case 'h':
			ret->help = true;
			return 0;
		case ':':
			return usage_error(ret, "its value is missing", argv[optind - 1]);
		default:
			return usage_error(ret, "unknown option", argv[optind - 1]);
		}
	}
	if (optind < argc) {
		return usage_error(ret, "unexpected argument", argv[optind]);
	}
	if (ret->cancel && (ret->to[0] || ret->at_ms)) {
		return usage_error(ret, "goes with neither --to nor --at", "--cancel");
	}
	return 0;
}

/* @object is what the file takes; NULL: there was no memory, or a text is no UTF-8. */
static int order(int mount_fd, const char *file, json_t *object /* takes */)
{
	_cleanup_free_ char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

	json_decref(object);
	return text ? ha_client_order(mount_fd, file, text) : -EINVAL;
}

static const char *explain(int r)
{
	switch (r) {
	case -ENOENT:
		return "the plane has no such node, or no switchover to be cancelled";
	case -EHOSTDOWN:
		return "it cannot become master: it is dead or a backup, or there is no master "
		       "to choose: say --to NODE";
	case -EALREADY:
		return "it is master";
	case -EBUSY:
		return "a switchover is under way";
	}
	return ha_client_explain(r);
}

/* What became of the switchover, as @now shows it since @before.  1: nothing so far. */
static int judge(const struct settings *s, const struct ha_snapshot *before,
		 const struct ha_snapshot *now, struct err *reterr)
{
	if (now->epoch != before->epoch && now->master) {
		if (s->to[0] ? strcmp(now->master, s->to) == 0
			     : !before->master || strcmp(now->master, before->master) != 0) {
			(void)printf("%s is master under epoch %" PRIu64 "\n", now->master,
				     now->epoch);
			return 0;
		}
		return err_set(reterr, -EHOSTDOWN, "%s is master: the target did not take over",
			       now->master);
	}
	if (now->switchover == HA_SWITCHOVER_NONE) {
		return err_set(reterr, -EHOSTDOWN, "given up: no node can take over");
	}
	return 1;
}

/* Wait for its end, at most for the heartbeat timeout and what comes after. */
static int await(const struct settings *s, int mount_fd, const struct ha_snapshot *before,
		 struct err *reterr)
{
	uint64_t until_ms = clock_boot_ms() + 2 * before->timeout_ms;
	int r = 1;

	while (r == 1 && clock_boot_ms() < until_ms) {
		_cleanup_(ha_snapshot_unrefp) struct ha_snapshot *plane = NULL;
		const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};

		r = ha_client_read_plane(mount_fd, &plane, reterr);
		if (r == 0) {
			r = judge(s, before, plane, reterr);
		}
		if (r == 1) {
			(void)nanosleep(&pause, NULL);
		}
	}
	return r == 1 ? err_set(reterr, -ETIMEDOUT, "it is not over: see holdfast status") : r;
}

static int switch_over(const struct settings *s, int mount_fd, struct err *reterr)
{
	_cleanup_(ha_snapshot_unrefp) struct ha_snapshot *before = NULL;
	char user[HA_CLIENT_USER_BYTES];
	int r = ha_client_read_plane(mount_fd, &before, reterr);

	if (r < 0) {
		return r;
	}
	ha_client_format_user(user);
	r = order(mount_fd, "switchover",
		  json_pack("{s:s, s:s, s:I, s:b}", "nodeId", s->to, "user", user, "atTimestamp",
			    (json_int_t)s->at_ms, "cancel", s->cancel));
	if (r < 0) {
		return err_set(reterr, r, "%s%s%s", s->to, s->to[0] ? ": " : "", explain(r));
	}
	if (s->cancel || s->at_ms) {
		(void)printf("%s\n", s->cancel ? "cancelled" : "planned");
		return 0;
	}
	return await(s, mount_fd, before, reterr);
}

static int pause_plane(const struct settings *s, int mount_fd, struct err *reterr)
{
	bool paused = strcmp(s->command, "pause") == 0;
	char user[HA_CLIENT_USER_BYTES];
	int r;

	ha_client_format_user(user);
	r = order(
		mount_fd, "pause",
		json_pack("{s:b, s:s, s:s}", "paused", paused, "reason", s->reason, "user", user));
	if (r < 0) {
		return err_set(reterr, r, "%s", explain(r));
	}
	(void)printf("%s\n", paused ? "paused: nobody becomes master by itself"
				    : "resumed: there are elections again");
	return 0;
}

typedef int order_fn(const struct settings *s, int mount_fd, struct err *reterr);

static int run(int argc, char **argv, const struct option *longs, const char *usage, order_fn *fn)
{
	_cleanup_close_ int fd = -EBADF;
	struct settings s;
	struct err err = {0};
	int r;

	if (parse_args(argc, argv, longs, &s) < 0) {
		return HA_CLIENT_COMMAND_LINE;
	}
	if (s.help) {
		(void)printf("%s%s", usage, common_usage);
		return HA_CLIENT_DONE;
	}
	r = ha_client_open(s.mount, &fd, &err);
	if (r == 0) {
		r = fn(&s, fd, &err);
	}
	if (r < 0) {
		(void)fprintf(stderr, "holdfast %s: %s\n", s.command,
			      err.text[0] ? err.text : strerror(-r));
		return HA_CLIENT_FAILED;
	}
	return HA_CLIENT_DONE;
}

int ha_switchover_main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"to", required_argument, NULL, 't'}, {"at", required_argument, NULL, 'a'},
		{"cancel", no_argument, NULL, 'c'},   {"mount", required_argument, NULL, 'm'},
		{"help", no_argument, NULL, 'h'},     {0},
	};

	return run(argc, argv, longs, switchover_usage, switch_over);
}

static const struct option pause_options[] = {
	{"reason", required_argument, NULL, 'r'},
	{"mount", required_argument, NULL, 'm'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

int ha_pause_main(int argc, char **argv)
{
	return run(argc, argv, pause_options, pause_usage, pause_plane);
}

int ha_resume_main(int argc, char **argv)
{
	return run(argc, argv, pause_options, resume_usage, pause_plane);
}
