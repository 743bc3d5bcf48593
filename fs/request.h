/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to the plane, carried out on the index inside a transaction: gathers the facts, asks
 * the rules (fs/lease.h), writes what they grant.  Publishing is not its business (fs/plane.h).
 * Plane's thread only.
 */
#ifndef FS_REQUEST_H
#define FS_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "fs/index.h"
#include "fs/view.h"

/* The lease whose holder may write to the share. */
#define REQUEST_MASTER "master"

enum request_verb {
	REQUEST_WRITE_RECORD,  /* .node's record becomes .text, whose status is .status */
	REQUEST_REMOVE_RECORD, /* .node's record goes */
	REQUEST_CLAIM,         /* .node wants .lease */
	REQUEST_RELEASE,       /* .lease is given back */
	REQUEST_NODE_DIED,     /* the process of .node ended without a word: FAILED, leases free */
	REQUEST_DUMP,          /* give the database as bytes; changes nothing */
};

struct request {
	enum request_verb verb;
	char node[PARSE_ID_BYTES];
	char lease[PARSE_ID_BYTES];
	char status[INDEX_STATUS_BYTES];
	const char *text;
	size_t n;
};

/* What a request is judged by, besides the index itself. */
struct request_facts {
	const char *own_mount;
	const struct view *view; /* of the base generation: observations and own deadlines */
	uint64_t now_ms;         /* CLOCK_BOOTTIME */
	int64_t wall_ms;         /* for the history: people only */
};

/*
 * 0, or the rule's refusal (-EACCES, -ESTALE, -EBUSY, -EPERM, -ENOENT of lease.h), or an error of
 * index.h; on failure the caller rolls its savepoint back.
 */
int request_run(struct index *ix, const struct request_facts *facts, const struct request *req);

#endif
