/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/parse.h"
#include "rest/api_ha.h"
#include "rest/json.h"
#include "rest/router.h"

/* Answers come from memory: one thread would do, two keep one slow client from being noticed. */
#define THREADS 2U

/* Each connection may take CONNECTION_BYTES, so all of them 8 MiB. */
#define CONNECTIONS_MAX             512U
#define CONNECTIONS_PER_ADDRESS_MAX 128U /* a reverse proxy is one address */
#define CONNECTION_BYTES            ((size_t)16384)
#define IDLE_TIMEOUT_S              15U

/* Bodies are read and thrown away, so that the client is there for the answer; but not for ever. */
#define BODY_MAX_BYTES 65536

struct rest_server {
	/* All set before the threads start, but for .daemon, which they do not use. */
	struct MHD_Daemon *daemon;
	const struct rest_auth *auth;
	struct rest_backend backend;
	uint16_t port;
};

struct request {
	size_t body_bytes; /* read so far */
};

typedef int answer_fn(const struct rest_backend *b, char **ret_text);

static answer_fn *const answers[REST_ROUTE_MAX_] = {
	[REST_ROUTE_HA_STATE] = rest_api_ha_state,
	[REST_ROUTE_HA_STATES] = rest_api_ha_states,
};

struct header {
	const char *name; /* NULL: none */
	const char *value;
};

static const struct header common_headers[] = {
	{MHD_HTTP_HEADER_CONTENT_TYPE, "application/json"},
	{MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache, no-store"},
	{MHD_HTTP_HEADER_PRAGMA, "no-cache"},
	{MHD_HTTP_HEADER_EXPIRES, "0"},
};

DEFINE_CLEANUP(struct MHD_Response *, MHD_destroy_response);
DEFINE_CLEANUP(struct addrinfo *, freeaddrinfo);
DEFINE_CLEANUP(struct rest_server *, rest_server_stop);

/* MHD_NO, here and below, makes the library close the connection: there is no memory for words. */
static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status,
				 char *text /* takes */, struct header extra)
{
	_cleanup_(MHD_destroy_responsep) struct MHD_Response *response =
		MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);

	if (!response) {
		free(text);
		return MHD_NO;
	}
	for (size_t i = 0; i < sizeof(common_headers) / sizeof(common_headers[0]); i++) {
		const struct header *h = &common_headers[i];

		if (MHD_add_response_header(response, h->name, h->value) == MHD_NO) {
			return MHD_NO;
		}
	}
	if (extra.name && MHD_add_response_header(response, extra.name, extra.value) == MHD_NO) {
		return MHD_NO;
	}
	return MHD_queue_response(connection, status, response);
}

static enum MHD_Result send_error(struct MHD_Connection *connection, unsigned status,
				  const char *message, struct header extra)
{
	char *text;

	if (rest_json_error(status, message, &text) < 0) {
		return MHD_NO;
	}
	return send_text(connection, status, text, extra);
}

static const char *header_of(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result answer(const struct rest_server *s, struct MHD_Connection *connection,
			      const char *method, const char *path)
{
	const char *authorization = header_of(connection, MHD_HTTP_HEADER_AUTHORIZATION);
	struct rest_match match;
	char *text;
	int r;

	/* First of all: without it nobody learns which paths there are. */
	if (s->auth && !rest_auth_allows(s->auth, authorization)) {
		return send_error(connection, MHD_HTTP_UNAUTHORIZED,
				  "A user name and the password are required",
				  (struct header){MHD_HTTP_HEADER_WWW_AUTHENTICATE,
						  "Basic realm=\"webconsole\""});
	}
	match = rest_router_match(method, path);
	switch (match.verdict) {
	case REST_NO_SUCH_PATH:
		return send_error(connection, MHD_HTTP_NOT_FOUND, "There is nothing at this path",
				  (struct header){0});
	case REST_NO_SUCH_METHOD:
		return send_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				  "This path does not allow this method",
				  (struct header){MHD_HTTP_HEADER_ALLOW, match.allow});
	case REST_FOUND:
	case REST_VERDICT_MAX_:
		break;
	}
	r = answers[match.route](&s->backend, &text);
	if (r < 0) {
		log_line(LOG_WARN, "rest", "no answer could be made, ignoring",
			 "path=%s error=\"%s\"", path, strerror(-r));
		return send_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
				  "The answer could not be made", (struct header){0});
	}
	return send_text(connection, MHD_HTTP_OK, text, (struct header){0});
}

static bool has_too_long_body(struct MHD_Connection *connection)
{
	const char *length = header_of(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
	uint64_t bytes;

	return length && (parse_u64(length, &bytes) < 0 || bytes > BODY_MAX_BYTES);
}

/* Called when the headers are there, then with each piece of the body, then at the end. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *piece,
				  size_t *piece_bytes, void **state)
{
	const struct rest_server *s = ctx;
	struct request *request = *state;

	(void)version;
	(void)piece;
	if (!request) {
		if (has_too_long_body(connection)) {
			return send_error(connection, MHD_HTTP_CONTENT_TOO_LARGE,
					  "The body is too long", (struct header){0});
		}
		*state = calloc(1, sizeof(*request));
		return *state ? MHD_YES : MHD_NO;
	}
	if (*piece_bytes > 0) {
		request->body_bytes += *piece_bytes;
		*piece_bytes = 0;
		/* Of unannounced length.  The library takes no answer amid a body: hang up. */
		return request->body_bytes <= BODY_MAX_BYTES ? MHD_YES : MHD_NO;
	}
	return answer(s, connection, method, path);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode code)
{
	(void)ctx;
	(void)connection;
	(void)code;
	free(*state);
	*state = NULL;
}

/* The router wants paths as they were sent. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *connection, char *text)
{
	(void)ctx;
	(void)connection;
	return strlen(text);
}

__attribute__((format(printf, 2, 0))) static void on_log(void *ctx, const char *format,
							 va_list args)
{
	char text[256];

	(void)ctx;
	(void)vsnprintf(text, sizeof(text), format, args);
	log_line(LOG_DEBUG, "rest", "libmicrohttpd", "text=\"%s\"", text);
}

static int listen_on(const char *address, uint16_t port, int *ret_fd)
{
	const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				       .ai_socktype = SOCK_STREAM};
	_cleanup_(freeaddrinfop) struct addrinfo *where = NULL;
	_cleanup_close_ int fd = -EBADF;
	const int on = 1;
	char service[8];
	int r;

	(void)snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(address, service, &hints, &where);
	if (r != 0) {
		return r == EAI_MEMORY ? -ENOMEM : -EINVAL;
	}
	fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return -errno;
	}
	/* REUSEADDR: connections of our predecessor that are in TIME_WAIT do not count. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, where->ai_addr, where->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0) {
		return -errno;
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

static int listen_from(const struct rest_options *options, int *ret_fd)
{
	uint16_t port = options->port;
	int r = listen_on(options->bind_address, port, ret_fd);

	while (r == -EADDRINUSE && options->next_free_port && port < UINT16_MAX) {
		r = listen_on(options->bind_address, ++port, ret_fd);
	}
	return r;
}

static int port_of(int fd, uint16_t *ret_port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = {0};
	socklen_t n = sizeof(at);

	if (getsockname(fd, &at.any, &n) < 0) {
		return -errno;
	}
	*ret_port = ntohs(at.any.sa_family == AF_INET6 ? at.v6.sin6_port : at.v4.sin_port);
	return 0;
}

int rest_server_start(const struct rest_options *options, struct rest_server **ret,
		      struct err *reterr)
{
	_cleanup_(rest_server_stopp) struct rest_server *s = calloc(1, sizeof(*s));
	_cleanup_close_ int fd = -EBADF;
	int r = s ? listen_from(options, &fd) : -ENOMEM;

	if (r == 0) {
		r = port_of(fd, &s->port);
	}
	if (r < 0) {
		return err_set(reterr, r, "cannot listen on address %s, port %u%s: %s",
			       options->bind_address, options->port,
			       options->next_free_port ? " or higher" : "",
			       r == -EINVAL ? "this is no numeric IPv4 or IPv6 address"
					    : strerror(-r));
	}
	s->auth = options->auth;
	s->backend = options->backend;
	errno = 0;
	/* The socket is the library's now: it closes it, also where it cannot start its threads. */
	/* clang-format off */
	s->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, s,
		/* First, so that it hears of the other options, too. */
		MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, take_fd(&fd),
		MHD_OPTION_THREAD_POOL_SIZE, THREADS,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, CONNECTIONS_PER_ADDRESS_MAX,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
		MHD_OPTION_END);
	/* clang-format on */
	if (!s->daemon) {
		r = errno > 0 ? -errno : -ENOMEM;
		return err_set(reterr, r, "cannot start the threads of the HTTP server: %s",
			       strerror(-r));
	}
	log_line(LOG_INFO, "rest", "listening", "address=%s port=%u", options->bind_address,
		 s->port);
	*ret = take_ptr(s);
	return 0;
}

uint16_t rest_server_port(const struct rest_server *s)
{
	return s->port;
}

void rest_server_stop(struct rest_server *s)
{
	if (!s) {
		return;
	}
	if (s->daemon) {
		MHD_stop_daemon(s->daemon);
	}
	free(s);
}
