/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"

const char options_usage[] =
	"usage: holdfast mount [-f] [-d] [-o OPTION[,OPTION…]] BACKING MOUNTPOINT\n"
	"\n"
	"Mounts the directory BACKING (an NFS mount that other machines share, or any directory) "
	"at\n"
	"MOUNTPOINT, writable on one machine at a time.  The index is kept in BACKING/.holdfast.\n"
	"\n"
	"  -f  stay in the foreground\n"
	"  -d  log more\n"
	"  -V  print the version\n"
	"  -h  print this\n"
	"\n"
	"Options after -o:\n"
	"  heartbeat_timeout=30s  how long a node may be silent before another takes over\n"
	"  poll_period=1s         how often nodes beat and look\n"
	"      Both belong to the plane: they apply when it is created and must agree later.\n"
	"  images_only            when the plane is created: publish whole images only, for "
	"shares\n"
	"                         without symbolic links\n"
	"  and mount(8)'s own: ro, nosuid, nodev, noexec, noatime, …\n"
	"\n"
	"Example: holdfast mount /srv/brooklyn /mnt/brooklyn-persistence\n";

/*
 * Options of mount(8) that the kernel is told, and those that are only for mount(8) and its
 * friends.
 */
static const char *const for_kernel[] = {"ro",    "rw",      "suid",     "nosuid",     "dev",
					 "nodev", "exec",    "noexec",   "sync",       "async",
					 "atime", "noatime", "diratime", "nodiratime", "dirsync"};
static const char *const for_others[] = {"defaults", "auto",   "noauto",   "user",
					 "nouser",   "users",  "owner",    "group",
					 "_netdev",  "nofail", "relatime", "norelatime"};

#define HAS(list, word) has(list, sizeof(list) / sizeof(list[0]), word)

static bool has(const char *const *list, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i], word) == 0) {
			return true;
		}
	}
	return false;
}

static int parse_time(const char *key, const char *value, uint64_t *ret_ms, struct err *reterr)
{
	if (!value || parse_duration_ms(value, ret_ms) < 0 || *ret_ms == 0) {
		return err_set(reterr, -EINVAL,
			       "option %s wants a duration such as 30s or 500ms, not '%s'", key,
			       value ? value : "");
	}
	return 0;
}

/* One word of -o: key, and value or NULL. */
static int parse_word(struct options *o, const char *key, const char *value, struct err *reterr)
{
	size_t used = strlen(o->fuse);

	if (strcmp(key, "heartbeat_timeout") == 0) {
		return parse_time(key, value, &o->timeout_ms, reterr);
	}
	if (strcmp(key, "poll_period") == 0) {
		return parse_time(key, value, &o->poll_ms, reterr);
	}
	if (value == NULL && strcmp(key, "images_only") == 0) {
		o->images_only = true;
		return 0;
	}
	if (value == NULL && HAS(for_kernel, key)) {
		if (used + 1 + strlen(key) >= sizeof(o->fuse)) {
			return err_set(reterr, -EINVAL, "too many options: no room for '%s'", key);
		}
		(void)snprintf(o->fuse + used, sizeof(o->fuse) - used, ",%s", key);
		return 0;
	}
	if (HAS(for_others, key) || strncmp(key, "x-", 2) == 0 || strncmp(key, "comment", 7) == 0) {
		return 0;
	}
	return err_set(reterr, -EINVAL, "unknown option '%s'; holdfast mount -h lists them", key);
}

static int parse_words(struct options *o, const char *words, struct err *reterr)
{
	_cleanup_free_ char *copy = strdup(words);
	char *rest = copy, *word;
	int r = copy ? 0 : -ENOMEM;

	while (r == 0 && (word = strsep(&rest, ","))) {
		char *value = strchr(word, '=');

		if (value) {
			*value++ = '\0';
		}
		r = word[0] || value ? parse_word(o, word, value, reterr) : 0;
	}
	return r;
}

int options_parse(int argc, char **argv, struct options *ret, struct err *reterr)
{
	static const struct option names[] = {
		{"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
	char short_name[] = "-?";
	struct options o = {0};
	int c, r = 0;

	opterr = 0;
	optind = 0; /* anew, wherever an earlier call ended; see getopt(3) */
	/* -n, -s and -v come from mount(8) and change nothing here. */
	while (r == 0 && (c = getopt_long(argc, argv, ":fdhVnsvo:t:", names, NULL)) != -1) {
		switch (c) {
		case 'f':
			o.foreground = true;
			break;
		case 'd':
			o.debug = true;
			break;
		case 'h':
			o.help = true;
			break;
		case 'V':
			o.version = true;
			break;
		case 'o':
			r = parse_words(&o, optarg, reterr);
			break;
		case 'n':
		case 's':
		case 'v':
		case 't':
			break;
		default:
			short_name[1] = (char)optopt;
			return err_set(reterr, -EINVAL,
				       c == ':' ? "option %s wants a value"
						: "unknown option %s; holdfast mount -h lists them",
				       optopt ? short_name : argv[optind - 1]);
		}
	}
	if (r == 0 && !o.help && !o.version && argc - optind != 2) {
		return err_set(reterr, -EINVAL,
			       "wants a backing directory and a mount point; holdfast mount -h");
	}
	if (r == 0 && !o.help && !o.version) {
		o.backing = argv[optind];
		o.mountpoint = argv[optind + 1];
	}
	if (r == 0) {
		*ret = o;
	}
	return r;
}
