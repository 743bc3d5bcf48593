/* SPDX-License-Identifier: Apache-2.0 */
/* `holdfast`: runs the sibling programs by name, and the client commands itself. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ha/fence.h"
#include "ha/order.h"
#include "ha/status.h"
#include "ha/timing.h"

#define EXIT_COMMAND_LINE 1
#define EXIT_EXECUTION    2

static const struct command {
	const char *name;
	const char *program;               /* a sibling program that does it, or NULL */
	int (*run)(int argc, char **argv); /* or the function */
	const char *help;
} commands[] = {
	{"mount", "mount.holdfast", NULL, "mount a shared directory: BACKING MOUNTPOINT [-o ...]"},
	{"launch", "holdfastd", NULL, "run this machine's node of the plane"},
	{"doctor", "holdfast-doctor", NULL, "is a directory fit to be shared?  BACKING|MOUNTPOINT"},
	{"index", "holdfast-index", NULL, "look at an index: show, log, verify, sql, export"},
	{"status", NULL, ha_status_main, "who is master: a table, or --json"},
	{"switchover", NULL, ha_switchover_main,
	 "let another node be master: --to NODE, --at TIME"},
	{"pause", NULL, ha_pause_main, "maintenance: nobody becomes master by itself"},
	{"resume", NULL, ha_resume_main, "the end of it"},
	{"timing", NULL, ha_timing_main, "how long a take-over takes at worst, and why"},
	{"fence", NULL, ha_fence_main, "a machine is off: free its node's leases at once.  NODE"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(void)
{
	(void)printf("usage: holdfast COMMAND [option]...\n\n");
	for (size_t i = 0; i < COMMANDS; i++) {
		(void)printf("  %-10s %s\n", commands[i].name, commands[i].help);
	}
	(void)printf("  %-10s %s\n\n", "help", "print this");
	(void)printf("holdfast COMMAND --help tells more; holdfast --version the version.\n");
}

/* The folder of this very program, so that a build directory works without installation. */
static int own_folder(char *ret, size_t n)
{
	ssize_t k = readlink("/proc/self/exe", ret, n - 1);
	char *slash;

	if (k < 0) {
		return -errno;
	}
	ret[k] = '\0';
	slash = strrchr(ret, '/');
	if (!slash) {
		return -ENOENT;
	}
	*slash = '\0';
	return 0;
}

/* Returns only if it could not be started. */
static int run_sibling(const char *program, char **argv)
{
	char folder[PATH_MAX], path[PATH_MAX + NAME_MAX];

	if (own_folder(folder, sizeof(folder)) == 0) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, program);
		argv[0] = path;
		(void)execv(path, argv);
	}
	(void)snprintf(path, sizeof(path), "%s/%s", HOLDFAST_SBINDIR, program);
	argv[0] = path;
	(void)execv(path, argv);
	(void)fprintf(stderr, "holdfast: %s: %s\n", path, strerror(errno));
	return EXIT_EXECUTION;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name) {
		(void)fprintf(stderr, "holdfast: which command?  See holdfast help\n");
		return EXIT_COMMAND_LINE;
	}
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		print_help();
		return 0;
	}
	if (strcmp(name, "--version") == 0) {
		(void)printf("holdfast %s\n", HOLDFAST_VERSION);
		return 0;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (strcmp(name, c->name) == 0) {
			return c->program ? run_sibling(c->program, argv + 1)
					  : c->run(argc - 1, argv + 1);
		}
	}
	(void)fprintf(stderr, "holdfast: unknown command %s; see holdfast help\n", name);
	return EXIT_COMMAND_LINE;
}
