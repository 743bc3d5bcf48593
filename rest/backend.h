/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the REST server asks of the rest of the process: plain data and functions, so that rest/
 * knows nothing of ha/.  Every function may be called by any of the server's threads, answers from
 * memory and never waits for the share.  All texts are UTF-8.
 */
#ifndef REST_BACKEND_H
#define REST_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#define REST_TIMESTAMP_NONE INT64_MIN

struct rest_node {
	const char *id;
	const char *uri;             /* NULL: none */
	const char *status;          /* one of the seven state names; lapsed nodes say FAILED */
	int64_t local_timestamp_ms;  /* the node's own clock; REST_TIMESTAMP_NONE: unknown */
	int64_t remote_timestamp_ms; /* the storage server's clock; REST_TIMESTAMP_NONE: unknown */
	int64_t priority;
};

/* The plane as of one generation.  Immutable. */
struct rest_plane {
	const char *own_id;
	const char *plane_id;  /* NULL: not known (yet) */
	const char *master_id; /* NULL: nobody holds the lease */
	uint64_t epoch;        /* of the lease `master`; 0: never granted */
	uint64_t generation;
	const char *paused_by;        /* NULL: the plane is not paused */
	const char *switchover_phase; /* "planned", "announced", "handed"; NULL: there is none */
	const char *switchover_to;    /* NULL: whom the master finds best */
	const char *switchover_from;  /* NULL: nobody yet */
	size_t n_nodes;
	const struct rest_node *nodes;
};

struct rest_backend {
	void *ctx;
	/* This node's state now, one of the seven names; static text. */
	const char *(*state)(void *ctx);
	/* The newest plane; never NULL.  Valid until given back with plane_put(). */
	const struct rest_plane *(*plane_get)(void *ctx);
	void (*plane_put)(void *ctx, const struct rest_plane *plane);
};

#endif
