/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast-doctor, the program behind `holdfast doctor`.
 *
 * The examination (fs/examine.h) runs in a child, since a share whose server is gone can hang any
 * call for ever: the parent touches no file of the share, prints the findings as they come through
 * a pipe, and ends in time whatever the child does.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"
#include "fs/examine.h"
#include "fs/findings.h"
#include "fs/lease.h"

#define DEFAULT_LIMIT_MS 60000

/* What the child gets to remove its probes, before it is killed. */
#define GRACE_MS 2000

/* After SIGKILL a process ends at once, or only when the share answers; we do not wait for that. */
#define REAP_MS       500
#define REAP_EVERY_MS 10
#define NS_PER_MS     1000000L

static const char usage[] =
	"usage: holdfast doctor [option]... BACKING|MOUNTPOINT\n"
	"\n"
	"Is this directory fit to be shared by Holdfast?  Examines the mount, if the directory is\n"
	"one of Holdfast's, then its backing directory: the file system and its options, what it\n"
	"does when several processes want one name, latencies, clocks, space, and the index in\n"
	".holdfast if there is one.  One line for each item: ok, warn or fail; docs/DOCTOR.md\n"
	"explains them.  It tries things out in a directory of its own, which it removes again; "
	"the\n"
	"index is only read.\n"
	"\n"
	"  --peer DIR        a second mount of the same share on this machine, best with the NFS\n"
	"                    option nosharecache: names are raced for through both, and the time\n"
	"                    until one shows what was made in the other is measured\n"
	"  --limit DURATION  of all of it, also if the share hangs; default 60s, and 10m more "
	"with\n"
	"                    --repair\n"
	"  --json            one JSON document at the end\n"
	"  --repair          make a plane load again whose newest generations are damaged: move "
	"those\n"
	"                    that no mount can load, the first damaged one and all after it, to\n"
	"                    .holdfast/damaged.  What they carried is lost to the plane, and "
	"epochs\n"
	"                    that they granted are granted again.  Unmount on all machines first: "
	"it\n"
	"                    watches for the longest heartbeat timeout of the plane (every beat is "
	"a\n"
	"                    new generation) and moves nothing if a generation appears, if the "
	"share\n"
	"                    is mounted on this machine, or if no valid image would be left.\n"
	"  --help            print this\n"
	"\n"
	"exit status: 0 all is well, 1 warnings, 2 failures, 64 wrong command line\n";

struct settings {
	const char *directory;
	const char *peer;
	uint64_t limit_ms;
	bool json;
	bool repair;
	bool help;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static void send_finding(void *arg, const struct finding *f)
{
	const int *fd = arg;

	/* After an interruption nobody wants to read what could not be examined any more. */
	if (!stop) {
		(void)!write(*fd, f, sizeof(*f));
	}
}

/* The signals that end a program by hand, which here leave time to remove what was made. */
static sigset_t endings(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	return set;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t set = endings();

	(void)sigaction(SIGHUP, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/*
 * The caller's outputs are not for the child: it can outlive its parent, hanging, and whoever waits
 * for the end of a pipe would wait for it.
 */
static void drop_outputs(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
		(void)close(null);
	}
}

static int run_child(const struct settings *s, int pipe_fd)
{
	const struct findings to = {.add = send_finding, .arg = &pipe_fd};
	const struct examine order = {
		.directory = s->directory, .peer = s->peer, .repair = s->repair, .stop = &stop};

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)signal(SIGPIPE, SIG_IGN);
	catch_signals();
	drop_outputs();
	examine_run(&order, &to);
	return EXIT_SUCCESS;
}

struct run {
	const struct settings *settings;
	pid_t child;
	int pipe_fd;
	int signal_fd;
	uint64_t deadline_ms;
	int got_signal;   /* 0: none */
	bool is_too_late; /* the limit is over */

	size_t n, room;
	struct finding *findings;
};

static void take_finding(void *arg, const struct finding *f)
{
	struct run *run = arg;

	if (run->n == run->room) {
		size_t room = run->room ? 2 * run->room : 32;
		struct finding *more = reallocarray(run->findings, room, sizeof(*more));

		if (!more) {
			(void)fprintf(stderr, "holdfast doctor: %s\n", strerror(ENOMEM));
			exit(FINDING_FAIL);
		}
		run->findings = more;
		run->room = room;
	}
	run->findings[run->n++] = *f;
	if (!run->settings->json) {
		findings_print(stdout, f);
		(void)fflush(stdout);
	}
}

/* False at the end of the pipe.  What is written to a pipe in one piece of this size comes so. */
static bool read_finding(struct run *run)
{
	struct finding f;
	ssize_t n = read(run->pipe_fd, &f, sizeof(f));

	if (n != (ssize_t)sizeof(f)) {
		return n < 0 && errno == EINTR;
	}
	if (!run->is_too_late) {
		take_finding(run, &f);
	}
	return true;
}

/* Let the child clean up, for a while. */
static void end_child(struct run *run)
{
	(void)kill(run->child, SIGTERM);
	run->deadline_ms = clock_boot_ms() + GRACE_MS;
}

static void read_signal(struct run *run)
{
	struct signalfd_siginfo info;

	if (read(run->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
	    run->got_signal == 0) {
		run->got_signal = (int)info.ssi_signo;
		end_child(run);
	}
}

/* Until the child closes the pipe, which it does at its end, or the time is over. */
static void follow_child(struct run *run)
{
	struct pollfd fds[] = {{.fd = run->pipe_fd, .events = POLLIN},
			       {.fd = run->signal_fd, .events = POLLIN}};
	bool is_open = true;

	while (is_open) {
		uint64_t now_ms = clock_boot_ms();
		int wait_ms = now_ms < run->deadline_ms ? (int)(run->deadline_ms - now_ms) : 0;
		int n = poll(fds, 2, wait_ms);

		if (n > 0 && fds[1].revents) {
			read_signal(run);
		}
		if (n > 0 && fds[0].revents) {
			is_open = read_finding(run);
		}
		if (n == 0 && (run->is_too_late || run->got_signal)) {
			return;
		}
		if (n == 0) {
			run->is_too_late = true;
			end_child(run);
		}
	}
}

/* The child's status; -ETIMEDOUT: it hangs where it cannot be killed, and is left behind. */
static int reap_child(struct run *run)
{
	const struct timespec pause = {.tv_nsec = REAP_EVERY_MS * NS_PER_MS};
	int status;

	for (int i = 0; i < REAP_MS / REAP_EVERY_MS; i++) {
		if (waitpid(run->child, &status, WNOHANG) == run->child) {
			return status;
		}
		(void)nanosleep(&pause, NULL);
	}
	(void)kill(run->child, SIGKILL);
	for (int i = 0; i < REAP_MS / REAP_EVERY_MS; i++) {
		if (waitpid(run->child, &status, WNOHANG) == run->child) {
			return status;
		}
		(void)nanosleep(&pause, NULL);
	}
	return -ETIMEDOUT;
}

/* What the child could not say itself. */
static void judge_end(struct run *run, int status)
{
	const struct findings to = {.add = take_finding, .arg = run};
	const char *last = run->n ? run->findings[run->n - 1].item : "the start";

	if (run->is_too_late) {
		findings_bad(&to, FINDING_FAIL, "time limit",
			     "a share that does not answer hangs what uses it; a mount closes its "
			     "gate in time, and its node is replaced",
			     "see whether the file server is up; or give more time with --limit",
			     "no answer within %llu ms; the last item was %s",
			     (unsigned long long)run->settings->limit_ms, last);
	} else if (status != 0) {
		findings_bad(&to, FINDING_FAIL, "examination",
			     "the items that should follow were not examined",
			     "run this again; if it happens again it is a bug",
			     "it ended unexpectedly after %s: %s %d", last,
			     status > 0 && WIFSIGNALED(status) ? "signal" : "status",
			     status > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : status);
	}
}

/* As if it had ended us, so that a shell's loop ends as well. */
static int end_by_signal(int number)
{
	sigset_t set = endings();

	(void)signal(number, SIG_DFL);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)raise(number);
	return EX_SOFTWARE;
}

static int report(struct run *run)
{
	if (run->settings->json &&
	    findings_print_json(stdout, run->settings->directory, run->findings, run->n) < 0) {
		return FINDING_FAIL;
	}
	/* The verdicts' numbers are the exit statuses. */
	return fflush(stdout) == 0 ? (int)findings_worst(run->findings, run->n) : FINDING_FAIL;
}

static int run_parent(struct run *run)
{
	int status;

	follow_child(run);
	status = reap_child(run);
	if (run->got_signal) {
		return end_by_signal(run->got_signal);
	}
	judge_end(run, status);
	return report(run);
}

static int examine_in_child(const struct settings *s)
{
	sigset_t set = endings();
	struct run run = {.settings = s, .deadline_ms = clock_boot_ms() + s->limit_ms};
	int fds[2], status;

	/* Before the fork: a signal in between waits until somebody takes it. */
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	run.signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (run.signal_fd < 0 || pipe2(fds, O_CLOEXEC) < 0) {
		(void)fprintf(stderr, "holdfast doctor: %s\n", strerror(errno));
		return FINDING_FAIL;
	}
	run.child = fork();
	if (run.child < 0) {
		(void)fprintf(stderr, "holdfast doctor: %s\n", strerror(errno));
		return FINDING_FAIL;
	}
	if (run.child == 0) {
		(void)close(fds[0]);
		(void)close(run.signal_fd);
		return run_child(s, fds[1]);
	}
	(void)close(fds[1]);
	run.pipe_fd = fds[0];
	status = run_parent(&run);
	free(run.findings);
	return status;
}

static int usage_error(const char *what, const char *value)
{
	(void)fprintf(stderr, "holdfast doctor: %s%s%s; see holdfast doctor --help\n", value,
		      value[0] ? ": " : "", what);
	return -EINVAL;
}

static int parse_args(int argc, char **argv, struct settings *ret)
{
	enum { PEER = 256, LIMIT, JSON, REPAIR, HELP };
	static const struct option longs[] = {
		{"peer", required_argument, NULL, PEER}, {"limit", required_argument, NULL, LIMIT},
		{"json", no_argument, NULL, JSON},       {"repair", no_argument, NULL, REPAIR},
		{"help", no_argument, NULL, HELP},       {0},
	};
	int val;

	*ret = (struct settings){.limit_ms = DEFAULT_LIMIT_MS};
	opterr = 0;
	while ((val = getopt_long(argc, argv, ":h", longs, NULL)) >= 0) {
		switch (val) {
		case PEER:
			ret->peer = optarg;
			break;
		case LIMIT:
			if (parse_duration_ms(optarg, &ret->limit_ms) < 0 || ret->limit_ms == 0 ||
			    ret->limit_ms > INT32_MAX / 2) {
				return usage_error("--limit wants a duration such as 60s", optarg);
			}
			break;
		case JSON:
			ret->json = true;
			break;
		case REPAIR:
			ret->repair = true;
			break;
		case HELP:
		case 'h':
			ret->help = true;
			return 0;
		default:
			return usage_error(val == ':' ? "a value is missing" : "unknown option",
					   argv[optind - 1]);
		}
	}
	if (argc - optind != 1) {
		return usage_error("wants one directory", "");
	}
	ret->directory = argv[optind];
	if (ret->repair) {
		ret->limit_ms += LEASE_TIMEOUT_MAX_MS; /* it watches for as long as that */
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct settings s;

	if (parse_args(argc, argv, &s) < 0) {
		return EX_USAGE;
	}
	if (s.help) {
		(void)fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	return examine_in_child(&s);
}
