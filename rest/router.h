/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which answer a request asks for: method and path to a route.  It does not look at headers, users
 * or bodies.
 *
 * Pure: a table and string comparisons.  Any thread.
 */
#ifndef REST_ROUTER_H
#define REST_ROUTER_H

/* One for each method of each path. */
enum rest_route {
	REST_ROUTE_HA_STATE,
	REST_ROUTE_HA_STATES,
	REST_ROUTE_MAX_,
};

/* Room for every method of one path, as "GET, HEAD, POST". */
#define REST_ALLOW_BYTES 64

enum rest_verdict {
	REST_FOUND,
	REST_NO_SUCH_PATH,
	REST_NO_SUCH_METHOD, /* the path is known, the method is not one of .allow */
	REST_VERDICT_MAX_,
};

struct rest_match {
	enum rest_verdict verdict;
	enum rest_route route;        /* FOUND */
	char allow[REST_ALLOW_BYTES]; /* NO_SUCH_METHOD: the value of the header `Allow` */
};

/*
 * Look up @path, which has neither a query nor any escape undone: no route needs one, so that "%2F"
 * or "%00" can never be mistaken for a part of a known path.  One trailing slash is ignored; HEAD
 * is allowed where GET is.  Methods and paths are case-sensitive.
 */
struct rest_match rest_router_match(const char *method, const char *path);

#endif
