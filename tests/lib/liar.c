/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A share that lies: an LD_PRELOAD library for mount.holdfast.
 *
 * Some of the calls that create a generation are answered with an error although they were carried
 * out, as NFS answers a repeated call whose first reply was lost; some are answered with an error
 * and not carried out.  Calls for other names pass.
 *
 *	LIAR_PERMILLE	so many calls of 1,000 are lied about (default 0)
 *	LIAR_SEED	start of the random numbers (default 1)
 *
 * At the end of the process one line on stderr says how many calls there were and how many lies.
 */
#include <assert.h>
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A generation's name is its number with this many digits. */
#define GENERATION_DIGITS 20

enum verdict {
	TELL_THE_TRUTH,
	DO_AND_DENY,
	DENY,
};

static struct {
	unsigned permille; /* set before main() */
	atomic_uint_fast64_t random;
	atomic_uint calls;
	atomic_uint lies;
} liar;

static unsigned from_environment(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void start(void)
{
	liar.permille = from_environment("LIAR_PERMILLE", 0);
	atomic_store(&liar.random, from_environment("LIAR_SEED", 1));
}

__attribute__((destructor)) static void report(void)
{
	(void)fprintf(stderr, "liar: %u calls, %u lies\n", atomic_load(&liar.calls),
		      atomic_load(&liar.lies));
}

static bool is_generation(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	for (const char *p = name; *p; p++) {
		if (!isdigit((unsigned char)*p)) {
			return false;
		}
	}
	return strlen(name) == GENERATION_DIGITS;
}

/* SplitMix64: one atomic addition a number, so that threads need no lock. */
static uint64_t draw(void)
{
	uint64_t x = atomic_fetch_add(&liar.random, 0x9e3779b97f4a7c15U) + 0x9e3779b97f4a7c15U;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
	return x ^ (x >> 31);
}

static enum verdict judge(const char *path, int *ret_errno)
{
	static const int lies[] = {EEXIST, EIO, ESTALE};
	uint64_t random = draw();

	if (!is_generation(path)) {
		return TELL_THE_TRUTH;
	}
	atomic_fetch_add(&liar.calls, 1);
	if (random % 1000 >= liar.permille) {
		return TELL_THE_TRUTH;
	}
	atomic_fetch_add(&liar.lies, 1);
	*ret_errno = lies[(random >> 32) % (sizeof(lies) / sizeof(lies[0]))];
	return (random >> 48) % 2 ? DO_AND_DENY : DENY;
}

/* The next definition of @name, which must exist: the C library has it. */
static void *real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	assert(found);
	return found;
}

typedef int symlinkat_fn(const char *from, int tofd, const char *to);
typedef int linkat_fn(int fromfd, const char *from, int tofd, const char *to, int flags);

__attribute__((visibility("default"))) int symlinkat(const char *from, int tofd, const char *to)
{
	int code = 0;
	enum verdict verdict = judge(to, &code);
	int r = 0;

	if (verdict != DENY) {
		r = ((symlinkat_fn *)real("symlinkat"))(from, tofd, to);
	}
	if (verdict == TELL_THE_TRUTH) {
		return r;
	}
	errno = code;
	return -1;
}

__attribute__((visibility("default"))) int linkat(int fromfd, const char *from, int tofd,
						  const char *to, int flags)
{
	int code = 0;
	enum verdict verdict = judge(to, &code);
	int r = 0;

	if (verdict != DENY) {
		r = ((linkat_fn *)real("linkat"))(fromfd, from, tofd, to, flags);
	}
	if (verdict == TELL_THE_TRUTH) {
		return r;
	}
	errno = code;
	return -1;
}
