/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server of `holdfast launch`: listens, authenticates, routes, answers.  The only file
 * that includes microhttpd.h is server.c.  It decides nothing about high availability and never
 * touches the share.
 *
 * Every answer is JSON and must not be cached.  What is no valid request, or has a head of more
 * than 16 KiB, is answered by the library itself (400, 414, 431, with its own words) and gets no
 * further.
 */
#ifndef REST_SERVER_H
#define REST_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "rest/auth.h"
#include "rest/backend.h"

struct rest_server;

struct rest_options {
	const char *bind_address;     /* numeric IPv4 or IPv6 address */
	uint16_t port;                /* the first port to try; 0: any free one */
	bool next_free_port;          /* "8081+": go on to the next port while one is in use */
	const struct rest_auth *auth; /* NULL: no authentication.  Must outlive the server. */
	struct rest_backend backend;
};

/*
 * Listen and serve with the library's own threads.  -EADDRINUSE, -EADDRNOTAVAIL, -EACCES (port),
 * -EINVAL (address), -ENOMEM; @reterr says which address and port.
 */
int rest_server_start(const struct rest_options *options, struct rest_server **ret,
		      struct err *reterr);

/* The port that it listens on. */
uint16_t rest_server_port(const struct rest_server *s);

/* Ends open connections and joins the threads.  NULL is allowed. */
void rest_server_stop(struct rest_server *s);

#endif
