/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "fs/chain.h"
#include "fs/verify.h"

#define ITEM          "repair"
#define LOOK_EVERY_MS 200
#define NS_PER_MS     1000000L

DEFINE_CLEANUP(struct index *, index_free);

static void refuse(const struct findings *to, const char *why, const char *advice, const char *what)
{
	findings_bad(to, FINDING_FAIL, ITEM, why, advice, "nothing was moved: %s", what);
}

/*
 * Load the plane as a mount does.  0; 1: it cannot be loaded because of the generation *ret_bad;
 * -errno with @reterr: that could not be found out.
 */
static int try_to_load(struct store *store, uint64_t *ret_bad, struct err *reterr)
{
	_cleanup_(index_freep) struct index *index = NULL;
	_cleanup_free_ struct store_entry *entries = NULL;
	struct chain chain = {0};
	size_t n = 0;
	int r = index_new(&index);

	if (r == 0) {
		r = chain_load(&chain, store, index, "doctor", NULL, reterr);
	}
	if (r != -EUCLEAN || !chain.damaged) {
		return r;
	}
	if (chain.generation > 0) {
		*ret_bad = chain.generation + 1;
		return 1;
	}
	/* Not even the newest image could be loaded, where a mount begins. */
	r = store_list(store, &entries, &n);
	for (size_t i = n; r == 0 && i > 0; i--) {
		if (entries[i - 1].kind == STORE_IMAGE) {
			*ret_bad = entries[i - 1].generation;
			return 1;
		}
	}
	return r < 0 ? r : err_set(reterr, -ENODATA, "there is no image");
}

/* Is there a generation in @now that was not in @before?  Both ascend. */
static bool has_new(const struct store_entry *before, size_t n_before,
		    const struct store_entry *now, size_t n_now)
{
	size_t at = 0;

	for (size_t i = 0; i < n_now; i++) {
		while (at < n_before && before[at].generation < now[i].generation) {
			at++;
		}
		if (at == n_before || before[at].generation != now[i].generation) {
			return true;
		}
	}
	return false;
}

/* -EBUSY: a generation appeared. */
static int look_again(struct store *store, const struct store_entry *before, size_t n_before)
{
	_cleanup_free_ struct store_entry *now = NULL;
	size_t n = 0;
	int r = store_list(store, &now, &n);

	return r == 0 && has_new(before, n_before, now, n) ? -EBUSY : r;
}

/* Nobody has committed for @watch_ms: 0.  -EBUSY; -EINTR; errors of the store. */
static int watch(const struct repair *order)
{
	_cleanup_free_ struct store_entry *before = NULL;
	const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * NS_PER_MS};
	uint64_t start_ms = clock_boot_ms();
	size_t n = 0;
	int r = store_list(order->store, &before, &n);

	/* As the rules of leases have it: exactly the timeout is still alive. */
	while (r == 0 && clock_boot_ms() - start_ms <= order->watch_ms) {
		(void)nanosleep(&pause, NULL);
		r = *order->stop ? -EINTR : look_again(order->store, before, n);
	}
	return r == 0 ? look_again(order->store, before, n) : r;
}

static int move_one(const struct repair *order, uint64_t generation, const struct findings *to)
{
	char from[STORE_NAME_BYTES], id[IO_RANDOM_ID_LENGTH + 1];
	char target[sizeof(REPAIR_DIRECTORY) + STORE_NAME_BYTES + sizeof(id)];

	store_name(generation, from);
	io_random_id(id); /* a number that was moved aside once may be damaged once more */
	(void)snprintf(target, sizeof(target), "%s/%s.%s", REPAIR_DIRECTORY, strrchr(from, '/') + 1,
		       id);
	if (renameat(order->backing_fd, from, order->backing_fd, target) < 0) {
		int r = -errno;

		findings_bad(to, FINDING_FAIL, ITEM, "the plane does not load before it is done",
			     "see the error, then run this again", "moving %s: %s", from,
			     strerror(-r));
		return r;
	}
	findings_bad(to, FINDING_WARN, ITEM,
		     "what it carried (beats, grants of leases) is lost to the plane",
		     "keep it until you know what damaged it", "moved %s to %s", from, target);
	return 0;
}

/* Make the moves durable.  NFS has done so; its answer to this is success. */
static int sync_directory(int backing_fd, const char *path)
{
	_cleanup_close_ int fd =
		openat(backing_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int sync_all(int backing_fd)
{
	int r = sync_directory(backing_fd, REPAIR_DIRECTORY);

	return r == 0 ? sync_directory(backing_fd, STORE_DIRECTORY "/gen") : r;
}

/*
 * Move @first and all after it, the newest first: wherever it is interrupted, what is left is what
 * it was, with a shorter end.  The number moved, or -errno.
 */
static int move_from(const struct repair *order, uint64_t first, const struct findings *to)
{
	_cleanup_free_ struct store_entry *entries = NULL;
	size_t n = 0;
	int moved = 0, r = store_list(order->store, &entries, &n);

	if (r == 0 && mkdirat(order->backing_fd, REPAIR_DIRECTORY, 0700) < 0 && errno != EEXIST) {
		r = -errno;
	}
	for (size_t i = n; r == 0 && i > 0 && entries[i - 1].generation >= first; i--) {
		r = *order->stop ? -EINTR : move_one(order, entries[i - 1].generation, to);
		moved += r == 0;
	}
	if (r == 0) {
		r = sync_all(order->backing_fd);
	}
	return r < 0 ? r : moved;
}

/*
 * Once is enough where the damage is in a change.  Where it is in an image, what lies before that
 * is tried next.
 */
static void move_all(const struct repair *order, uint64_t bad, uint64_t newest_valid_image,
		     const struct findings *to)
{
	struct err why = {{0}};
	int r = 1;

	while (r > 0) {
		if (bad <= newest_valid_image) {
			refuse(to, "it would take away the newest valid chain",
			       "verify the share with holdfast index verify",
			       "bug in this program");
			return;
		}
		r = move_from(order, bad, to);
		if (r == 0) {
			r = -ENOENT;
		} else if (r > 0) {
			r = try_to_load(order->store, &bad, &why);
		}
	}
	if (r < 0) {
		(void)err_wrap(&why, r, "the plane does not load");
		findings_bad(to, FINDING_FAIL, ITEM, "no mount can start on this share",
			     "see the error, then run this again", "%s", why.text);
	} else {
		findings_ok(to, ITEM, "the plane loads again");
	}
}

static void refuse_while_live(const struct repair *order, int error, const struct findings *to)
{
	if (error == -EBUSY) {
		refuse(to, "a lease may be live: what is moved away would be in use",
		       "unmount it on all machines, then run this again",
		       "a mount is committing to this share");
	} else if (error != -EINTR || !*order->stop) {
		refuse(to, "whether a lease is live could not be found out",
		       "see the error, then run this again", strerror(-error));
	}
}

void repair_run(const struct repair *order, const struct findings *to)
{
	struct fs_verify_report report = {0};
	struct err why = {{0}};
	uint64_t bad = 0;
	int r = try_to_load(order->store, &bad, &why);

	if (r == 0) {
		findings_ok(to, ITEM, "the plane loads: nothing was moved");
		return;
	}
	if (r > 0) {
		r = fs_verify_generations(order->store, NULL, NULL, &report);
	}
	if (r < 0) {
		(void)err_wrap(&why, r, "reading the generations");
		refuse(to, "what cannot be read need not be damaged",
		       "see the error, then run this again", why.text);
		return;
	}
	if (report.newest_image == 0) {
		refuse(to, "nothing would be left that a plane could go on from",
		       "bring .holdfast back from a backup; or begin a new plane: unmount on all "
		       "machines and move .holdfast away by hand",
		       "there is no valid image");
		return;
	}
	r = watch(order);
	if (r < 0) {
		refuse_while_live(order, r, to);
		return;
	}
	findings_ok(to, ITEM, "nobody has committed for %" PRIu64 " ms", order->watch_ms);
	move_all(order, bad, report.newest_image, to);
}
