/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: load [-s SECONDS] [-n COMMITS] [-p PERIOD_MS] KIND NODE=WHERE...
 *
 * One committer, a process of its own, for each NODE=WHERE.  All begin together, and each commits
 * back to back until the time is over or it has so many commits (at least one of the two must be
 * given).  With a period: once in each, at a random moment of it.  Then each commit is one line on
 * stdout, with the number of its committer, its end in ns since the beginning, and 0 or an errno:
 *
 *	COMMITTER END_NS LATENCY_NS ERRNO
 *
 * Exit status 1 if a committer could not begin.  The kinds are in kinds.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/parse.h"
#include "tests/bench/kinds.h"

#define COMMITTERS_MAX 64
#define SAMPLES_MAX    (1U << 20) /* of one committer; it ends when they are used up */
#define NS_PER_S       UINT64_C(1000000000)
#define NS_PER_MS      UINT64_C(1000000)

struct sample {
	uint64_t end_ns;
	uint64_t latency_ns;
	int error;
};

struct committer {
	struct target target;
	const char *where;
	uint64_t n_samples;
	struct sample samples[SAMPLES_MAX];
};

struct options {
	const struct kind *kind;
	uint64_t seconds; /* 0: no limit */
	uint64_t commits; /* 0: no limit */
	uint64_t period_ms;
	unsigned n;
};

/* Shared by all processes; memory that nobody touches is none. */
struct shared {
	pthread_barrier_t together;
	uint64_t begin_ns;
	struct committer committers[COMMITTERS_MAX];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t until_ns)
{
	const struct timespec t = {.tv_sec = (time_t)(until_ns / NS_PER_S),
				   .tv_nsec = (long)(until_ns % NS_PER_S)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
	}
}

/*
 * When commit @n is due.  With a period at no fixed distance, or the committers would either keep
 * out of each other's way or always meet.
 */
static uint64_t due_ns(const struct shared *s, const struct options *o, uint64_t n)
{
	uint64_t period_ns = o->period_ms * NS_PER_MS;

	return period_ns ? s->begin_ns + n * period_ns +
				   period_ns / 1000 * (uint64_t)(random() % 1000)
			 : now_ns();
}

static void run_committer(const struct shared *s, struct committer *c, const struct options *o)
{
	uint64_t until_ns = o->seconds ? s->begin_ns + o->seconds * NS_PER_S : UINT64_MAX;
	uint64_t most = o->commits && o->commits < SAMPLES_MAX ? o->commits : SAMPLES_MAX;

	while (c->n_samples < most) {
		struct sample *sample = &c->samples[c->n_samples];
		uint64_t from_ns = due_ns(s, o, c->n_samples), to_ns;

		if (from_ns >= until_ns) {
			return;
		}
		sleep_until(from_ns);
		from_ns = now_ns(); /* the commit is measured, not the timer that woke us */
		sample->error = -o->kind->commit(&c->target, ++c->n_samples);
		to_ns = now_ns();
		sample->end_ns = to_ns - s->begin_ns;
		sample->latency_ns = to_ns - from_ns;
	}
}

/* In the child.  One that cannot begin waits with the others all the same, or they would hang. */
static int be_committer(struct shared *s, struct committer *c, const struct options *o)
{
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	srandom((unsigned)(c - s->committers) + 1);
	c->target.fd = -EBADF;
	r = o->kind->open(&c->target, c->where);
	if (r == 0) {
		/* So that every commit which is measured overwrites one. */
		r = o->kind->commit(&c->target, 0);
	}
	if (r < 0) {
		(void)fprintf(stderr, "load: %s: %s\n", c->where, strerror(-r));
	}
	(void)pthread_barrier_wait(&s->together);
	if (c == s->committers) {
		s->begin_ns = now_ns();
	}
	(void)pthread_barrier_wait(&s->together);
	if (r == 0) {
		run_committer(s, c, o);
	}
	/* Closing a record commits the death of its node, which nobody's figures are to see. */
	(void)pthread_barrier_wait(&s->together);
	o->kind->close(&c->target);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void print_samples(const struct shared *s, const struct options *o)
{
	for (unsigned i = 0; i < o->n; i++) {
		const struct committer *c = &s->committers[i];

		for (uint64_t k = 0; k < c->n_samples; k++) {
			(void)printf("%u %" PRIu64 " %" PRIu64 " %d\n", i, c->samples[k].end_ns,
				     c->samples[k].latency_ns, c->samples[k].error);
		}
	}
}

static int usage(void)
{
	(void)fputs("usage: load [-s SECONDS] [-n COMMITS] [-p PERIOD_MS] KIND NODE=WHERE...\n",
		    stderr);
	return EXIT_FAILURE;
}

static int parse_options(int argc, char **argv, struct options *ret)
{
	struct options o = {0};
	int option;

	while ((option = getopt(argc, argv, "s:n:p:")) != -1) {
		uint64_t *value = option == 's'   ? &o.seconds
				  : option == 'n' ? &o.commits
				  : option == 'p' ? &o.period_ms
						  : NULL;

		if (!value || parse_u64(optarg, value) < 0) {
			return -EINVAL;
		}
	}
	if (optind + 1 >= argc || argc - optind - 1 > COMMITTERS_MAX) {
		return -EINVAL;
	}
	o.kind = kinds_find(argv[optind]);
	o.n = (unsigned)(argc - optind - 1);
	if (!o.kind || (!o.seconds && !o.commits)) {
		return -EINVAL;
	}
	*ret = o;
	return 0;
}

static int parse_committer(const char *text, struct committer *ret)
{
	const char *equals = strchr(text, '=');

	if (!equals || (size_t)(equals - text) >= sizeof(ret->target.node)) {
		return -EINVAL;
	}
	memcpy(ret->target.node, text, (size_t)(equals - text));
	ret->where = equals + 1;
	return parse_id_is_valid(ret->target.node) ? 0 : -EINVAL;
}

/* NULL and errno if there is no memory. */
static struct shared *shared_new(unsigned n)
{
	pthread_barrierattr_t attributes;
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (s == MAP_FAILED) {
		return NULL;
	}
	(void)pthread_barrierattr_init(&attributes);
	(void)pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	(void)pthread_barrier_init(&s->together, &attributes, n);
	(void)pthread_barrierattr_destroy(&attributes);
	return s;
}

/* -errno: some are missing, and those that wait for them die with us. */
static int start_committers(struct shared *s, const struct options *o)
{
	for (unsigned i = 0; i < o->n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			_exit(be_committer(s, &s->committers[i], o));
		}
		if (pid < 0) {
			return -errno;
		}
	}
	return 0;
}

/* Waits for every one. */
static bool all_ended_well(unsigned n)
{
	bool well = true;

	for (unsigned i = 0; i < n; i++) {
		int status = 0;

		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
			well = false;
		}
	}
	return well;
}

int main(int argc, char **argv)
{
	struct options o;
	struct shared *s;
	int r;

	if (parse_options(argc, argv, &o) < 0) {
		return usage();
	}
	s = shared_new(o.n);
	if (!s) {
		(void)fprintf(stderr, "load: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	for (unsigned i = 0; i < o.n; i++) {
		if (parse_committer(argv[optind + 1 + (int)i], &s->committers[i]) < 0) {
			return usage();
		}
	}
	r = start_committers(s, &o);
	if (r < 0) {
		(void)fprintf(stderr, "load: fork: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	if (!all_ended_well(o.n)) {
		return EXIT_FAILURE;
	}
	print_samples(s, &o);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
