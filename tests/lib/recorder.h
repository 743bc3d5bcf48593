/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records what the code under test does to a directory tree, and rebuilds the trees that a power
 * cut can leave.
 *
 * The model is POSIX's and nothing better: a name is there for certain only once its directory was
 * fsynced after it was made, content only once its file was; whatever else was done since may have
 * been kept or lost, each by itself.
 *
 * The program is linked with --wrap for each call of recorder.c, see tests/unit/meson.build.  One
 * thread.
 */
#ifndef TESTS_LIB_RECORDER_H
#define TESTS_LIB_RECORDER_H

#include <stdbool.h>
#include <stddef.h>

/* Record what happens below @path, an absolute path, from now on. */
void recorder_start(const char *path);
void recorder_stop(void);

/* Note that something was acknowledged; how often that happened before a cut is what counts. */
void recorder_acknowledge(void);

/*
 * The next fsync(2) of a directory called @name calls @fn instead, whose result is that of the
 * call; nothing is on stable storage by it.  What @fn does is recorded.
 */
void recorder_on_sync(const char *name, int (*fn)(void *ctx), void *ctx);

/* The number of steps recorded; a cut may come before each and after the last. */
size_t recorder_steps(void);

/* How often something had been acknowledged before a cut at @step. */
unsigned recorder_acknowledged(size_t step);

/* What of that which is not on stable storage yet is there after the cut. */
enum recorder_luck {
	RECORDER_NOTHING,
	RECORDER_EVERYTHING,
	RECORDER_ONE,     /* only the nth of it */
	RECORDER_ALL_BUT, /* everything but the nth of it */
	RECORDER_LUCK_MAX_,
};

/* What a file has whose content is not there. */
enum recorder_content {
	RECORDER_EMPTY,
	RECORDER_ZEROS,
	RECORDER_HALF,
	RECORDER_CONTENT_MAX_,
};

/* Rebuild in the empty directory @dir_fd.  False: there is no nth. */
bool recorder_rebuild(size_t step, enum recorder_luck luck, unsigned nth,
		      enum recorder_content content, int dir_fd);

#endif
