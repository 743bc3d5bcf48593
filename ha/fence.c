/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/fence.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"
#include "ha/client.h"
#include "ha/snapshot.h"

/* What the mount takes, see docs/PROTOCOL.md. */
#define REASON_MAX_BYTES 95

#define EXIT_NO_CONSENT HA_CLIENT_COMMAND_LINE

struct settings {
	const char *node;
	const char *reason;
	const char *mount; /* NULL: the only one there is */
	bool yes;
	bool help;
};

static const char usage[] =
	"usage: holdfast fence NODE [option]...\n\n"
	"Frees at once, and not only after the timeout, all leases and locks of the mount that a\n"
	"node is on, with all its nodes.  NODE may also be the id of that mount.  By this you\n"
	"vouch that the machine is switched off or cut off from the share: a master that still\n"
	"runs goes on writing until it learns of it.\n\n"
	"  --reason TEXT  for the history, with your name: one line, 95 bytes at most\n"
	"  --mount DIR    default: the only Holdfast mount of this machine\n"
	"  --yes          do not ask; required where there is no terminal\n\n"
	"exit status: 0 the node is fenced, 1 command line or no consent, 2 it failed\n";

static int usage_error(const char *what, const char *value)
{
	(void)fprintf(stderr, "holdfast fence: %s: %s\n", value, what);
	return -EINVAL;
}

static int parse_args(int argc, char **argv, struct settings *ret)
{
	enum { REASON = 256, MOUNT, YES, HELP };
	static const struct option longs[] = {
		{"reason", required_argument, NULL, REASON},
		{"mount", required_argument, NULL, MOUNT},
		{"yes", no_argument, NULL, YES},
		{"help", no_argument, NULL, HELP},
		{0},
	};
	int val;

	*ret = (struct settings){.reason = "no reason given"};
	opterr = 0;
	while ((val = getopt_long(argc, argv, ":", longs, NULL)) >= 0) {
		switch (val) {
		case REASON:
			ret->reason = optarg;
			break;
		case MOUNT:
			ret->mount = optarg;
			break;
		case YES:
			ret->yes = true;
			break;
		case HELP:
			ret->help = true;
			return 0;
		case ':':
			return usage_error("its value is missing", argv[optind - 1]);
		default:
			return usage_error("unknown option", argv[optind - 1]);
		}
	}
	if (optind == argc) {
		return usage_error("is missing; see holdfast fence --help", "NODE");
	}
	ret->node = argv[optind++];
	if (optind < argc) {
		return usage_error("unexpected argument", argv[optind]);
	}
	if (!parse_id_is_valid(ret->node)) {
		return usage_error("no node id", ret->node);
	}
	if (strlen(ret->reason) > REASON_MAX_BYTES) {
		return usage_error("longer than 95 bytes", "--reason");
	}
	return 0;
}

/* Ask on the terminal.  0: the operator says yes; EXIT_NO_CONSENT; -errno with its text. */
static int ask(const struct settings *s, int mount_fd, struct err *reterr)
{
	_cleanup_(ha_snapshot_unrefp) struct ha_snapshot *plane = NULL;
	const struct ha_snapshot_node *node;
	char answer[16] = "";
	int r = ha_client_read_plane(mount_fd, &plane, reterr);

	if (r < 0) {
		return r;
	}
	node = ha_snapshot_find(plane, s->node);
	if (!node) {
		/* A mount that has locks and no node is not in plane.json. */
		(void)printf("%s is no node, but it may be a mount.\n", s->node);
	} else {
		(void)printf("%s is %s%s, and this machine %s.\n", node->record.id,
			     ha_state_name(node->record.status),
			     plane->master && strcmp(plane->master, node->record.id) == 0
				     ? " and holds the lease master"
				     : "",
			     node->lapsed ? "has seen no heartbeat of it for the timeout"
					  : "SEES ITS HEARTBEATS");
	}
	(void)printf("Is its machine switched off, or cut off from the share?  Type yes: ");
	(void)fflush(stdout);
	if (!fgets(answer, sizeof(answer), stdin) || strcmp(answer, "yes\n") != 0) {
		(void)fprintf(stderr, "holdfast fence: nothing was done\n");
		return EXIT_NO_CONSENT;
	}
	return 0;
}

/* What the mount is to be told, malloc'd.  NULL: the reason is no UTF-8. */
static char *build_request(const struct settings *s)
{
	char user[HA_CLIENT_USER_BYTES];
	json_auto_t *request = NULL;

	ha_client_format_user(user);
	request =
		json_pack("{s:s, s:s, s:s}", "nodeId", s->node, "reason", s->reason, "user", user);
	return request ? json_dumps(request, JSON_COMPACT) : NULL;
}

/* The exit status, or -errno with its text. */
static int fence(const struct settings *s, struct err *reterr)
{
	_cleanup_free_ char *text = build_request(s);
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (!text) {
		return err_set(reterr, -EINVAL, "the reason is no UTF-8");
	}
	r = ha_client_open(s->mount, &fd, reterr);
	if (r == 0 && !s->yes) {
		r = ask(s, fd, reterr);
	}
	if (r != 0) {
		return r;
	}
	r = ha_client_order(fd, "fence", text);
	if (r < 0) {
		return err_set(reterr, r, "%s: %s", s->node,
			       r == -ENOENT ? "the plane has no such node or mount"
					    : ha_client_explain(r));
	}
	(void)printf("%s is fenced: what its mount had is free\n", s->node);
	return HA_CLIENT_DONE;
}

int ha_fence_main(int argc, char **argv)
{
	struct settings s;
	struct err err = {0};
	int r;

	if (parse_args(argc, argv, &s) < 0) {
		return HA_CLIENT_COMMAND_LINE;
	}
	if (s.help) {
		(void)fputs(usage, stdout);
		return 0;
	}
	if (!s.yes && !isatty(STDIN_FILENO)) {
		(void)usage_error("required where there is no terminal to ask on", "--yes");
		return HA_CLIENT_COMMAND_LINE;
	}
	r = fence(&s, &err);
	if (r < 0) {
		(void)fprintf(stderr, "holdfast fence: %s\n",
			      err.text[0] ? err.text : strerror(-r));
		return HA_CLIENT_FAILED;
	}
	return r;
}
