/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to the plane, carried out on the index inside a transaction: gathers the facts, asks
 * the rules (fs/lease.h, fs/lock.h), writes what they grant.  Publishing is not its business
 * (fs/plane.h).  Plane's thread only.
 */
#ifndef FS_REQUEST_H
#define FS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/index.h"
#include "fs/view.h"

/* Bounds of what a plane may have, so that its index stays small; beyond: -ENOSPC, -ENOLCK. */
#define REQUEST_NODES_MAX  1024
#define REQUEST_LEASES_MAX 256
#define REQUEST_LOCKS_MAX  1024
#define REQUEST_LOCKS_OWN  256 /* of one mount */

#define REQUEST_WHY_BYTES 96 /* of what an operator says, with the NUL */

/* The answer to a lock that has its place in the queue, and must wait. */
#define REQUEST_QUEUED 1

enum request_verb {
	REQUEST_WRITE_RECORD,  /* .node's record becomes .text, whose status is .status */
	REQUEST_REMOVE_RECORD, /* .node's record goes */
	REQUEST_CLAIM,         /* .node wants the lease .name */
	REQUEST_RELEASE,       /* the lease .name is given back; it is made if it is not there */
	REQUEST_SET_TIMEOUT,   /* the lease .name gets the timeout .timeout_ms */
	REQUEST_REMOVE_LEASE,  /* the lease .name goes */
	REQUEST_NODE_DIED,     /* the process of .node ended without a word: FAILED, leases free */
	REQUEST_FENCE,         /* .who vouches, by .why, that .node (or mount)'s machine is off */
	REQUEST_SWITCHOVER, /* .who wants `master` to go to .node at .at_wall_ms; .off: no more */
	REQUEST_PAUSE,      /* .who wants, by .why, nobody to become master; .off: no more */
	REQUEST_BURY,       /* the process that was the mount .name is gone, nodes and all */
	REQUEST_LOCK,       /* the open file .owner wants the lock .name; .text is its command */
	REQUEST_UNLOCK,     /* it lets go of it, or of its place in the queue */
	REQUEST_SWEEP,      /* the locks of mounts that have lapsed go to the next */
	REQUEST_GOODBYE,    /* this mount ends: as REQUEST_BURY, of itself */
	REQUEST_DUMP,       /* give the database as bytes; changes nothing */
};

struct request {
	enum request_verb verb;
	char node[PARSE_ID_BYTES];
	char name[PARSE_ID_BYTES];
	char who[PARSE_ID_BYTES];
	char status[INDEX_STATUS_BYTES];
	char why[REQUEST_WHY_BYTES];
	uint64_t timeout_ms;
	uint64_t at_wall_ms; /* 0: now */
	uint64_t owner;
	uint64_t previous; /* what the open file of .owner holds already, and lets go of; or 0 */
	uint64_t pid;
	bool off;
	bool exclusive;
	bool wait; /* for a lock that is taken; else -EAGAIN */
	const char *text;
	size_t n;
};

/* What a request is judged by, besides the index itself. */
struct request_facts {
	const char *own_mount;
	const struct index_mount *own_process;
	const struct view *view; /* of the base generation: observations and own deadlines */
	uint64_t now_ms;         /* CLOCK_BOOTTIME */
	int64_t wall_ms;         /* for the history: people only */
};

/*
 * 0, REQUEST_QUEUED, or the rule's refusal (-EACCES, -ESTALE, -EBUSY, -EPERM, -ENOENT, -EINVAL of
 * lease.h; -EAGAIN; -ENOSPC, -ENOLCK; -EHOSTDOWN, -EALREADY of a switchover), or an error of
 * index.h; on failure the caller rolls its savepoint back.
 */
int request_run(struct index *ix, const struct request_facts *facts, const struct request *req);

#endif
