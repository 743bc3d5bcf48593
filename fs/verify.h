/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is what is kept of the log whole?  Every generation is read and tried, not only those that a
 * mount would need, and nothing on the share is changed: the store may be one of
 * store_open_readonly(), and mounts may go on committing and collecting meanwhile.
 *
 * It finds what is there.  What to do about it is the caller's.  Any one thread.
 */
#ifndef FS_VERIFY_H
#define FS_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#include "fs/store.h"

struct fs_verify_report {
	uint64_t oldest;       /* generation the walk began with: the oldest image; 0: none */
	uint64_t newest;       /* the last one that was there when it was last listed; 0: none */
	uint64_t newest_image; /* the newest image without a fault; 0: none */
	size_t links;          /* changes that were read, those with faults included */
	size_t images;         /* images that were read, likewise */
	size_t faults;         /* how often @on_fault was called */
};

/*
 * @name: of the file in gen/ (twenty digits); @why: a clause in our own words.  Both end with the
 * call.
 */
typedef void fs_verify_fault_fn(void *arg, const char *name, const char *why);

/*
 * Walk the generations from the oldest image to the newest, and tell @on_fault (may be NULL) of
 * each that is missing between others (once for a hole, with its first number), is no valid image
 * or change, does not descend from the one before it, or does not apply.
 *
 * After a fault the walk goes on: the next one's parent is not compared then, and changes are
 * applied again from the next image on.  Changes before the oldest image are what a collection has
 * left for now, and one that vanishes after all before it was collected: neither is a fault.  Names
 * that are no generation numbers are nobody's (an NFS client renames what is deleted while open)
 * and are left out, as by mounts.
 *
 * 0, whatever was found; an empty log is a report of zeros.  Else -ENOMEM, or the errno of the
 * store: if it is about a file, @on_fault was told which, and that is no proof of damage.
 */
int fs_verify_generations(struct store *store, fs_verify_fault_fn *on_fault, void *arg,
			  struct fs_verify_report *ret_report);

#endif
