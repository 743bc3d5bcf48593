/* SPDX-License-Identifier: Apache-2.0 */
/* rest/server.c: the real server on the loopback interface, asked through plain sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/io.h"
#include "rest/server.h"
#include "tests/unit/unit.h"

/* A client that waits for so long has found a hang. */
#define HANG_S 10

#define ANSWER_BYTES_MAX 65536

#define STATE "/v1/server/ha/state"

#define STATES_DOCUMENT                                                                            \
	"{\"ownId\":\"a\",\"masterId\":\"a\",\"nodes\":{"                                          \
	"\"a\":{\"nodeId\":\"a\",\"nodeUri\":\"http://a:8081/\",\"status\":\"MASTER\","            \
	"\"localTimestamp\":1466414301065,\"remoteTimestamp\":1466414301000,\"priority\":0}},"     \
	"\"links\":{},\"planeId\":\"p\",\"epoch\":1,\"generation\":2,\"pausedBy\":null,"           \
	"\"switchover\":null}"

static const char *fake_state(void *ctx)
{
	(void)ctx;
	return "MASTER";
}

static const struct rest_plane *fake_plane_get(void *ctx)
{
	static const struct rest_node nodes[] = {
		{"a", "http://a:8081/", "MASTER", 1466414301065, 1466414301000, 0}};
	static const struct rest_plane plane = {.own_id = "a",
						.plane_id = "p",
						.master_id = "a",
						.epoch = 1,
						.generation = 2,
						.n_nodes = 1,
						.nodes = nodes};

	(void)ctx;
	return &plane;
}

static void fake_plane_put(void *ctx, const struct rest_plane *plane)
{
	(void)ctx;
	(void)plane;
}

static const char *fake_property(void *ctx, const char *key)
{
	(void)ctx;
	if (strcmp(key, "brooklyn.webconsole.security.users") == 0) {
		return "alice";
	}
	return strcmp(key, "brooklyn.webconsole.security.user.alice.password") == 0 ? "secret"
										    : NULL;
}

static struct rest_options options_for(const char *address)
{
	return (struct rest_options){.bind_address = address,
				     .backend = {.state = fake_state,
						 .plane_get = fake_plane_get,
						 .plane_put = fake_plane_put}};
}

/* Most tests share one server; they leave nothing in it. */
static struct rest_server *server;

static int start_server(void **state)
{
	struct rest_options options = options_for("127.0.0.1");

	(void)state;
	return rest_server_start(&options, &server, NULL);
}

static int stop_server(void **state)
{
	(void)state;
	rest_server_stop(server);
	server = NULL;
	return 0;
}

/* -errno; the caller closes it.  No assertion: other threads call it, too. */
static int connect_to(uint16_t port)
{
	const struct sockaddr_in at = {.sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct timeval hang = {.tv_sec = HANG_S};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return -errno;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &hang, sizeof(hang)) < 0 ||
	    connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0) {
		int r = -errno;

		(void)close(fd);
		return r;
	}
	return fd;
}

/*
 * Send a request that ends the connection, and read all that comes: "" where that fails, which is
 * no answer that anybody expects.  The caller frees it.
 */
static char *exchange(int fd, const char *request)
{
	char *answer;

	if (io_write_full(fd, request, strlen(request)) < 0 ||
	    io_read_full(fd, ANSWER_BYTES_MAX, &answer, NULL) < 0) {
		return strdup("");
	}
	return answer;
}

static char *ask(uint16_t port, const char *request)
{
	int fd = connect_to(port);
	char *answer;

	assert_ok(fd);
	answer = exchange(fd, request);
	(void)close(fd);
	return answer;
}

/* A request without a body; @headers are whole lines. */
static char *ask_for(uint16_t port, const char *method, const char *path, const char *headers)
{
	char request[4096];

	(void)snprintf(request, sizeof(request),
		       "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, path,
		       headers);
	return ask(port, request);
}

static long status_of(const char *answer)
{
	static const char protocol[] = "HTTP/1.1 ";

	assert_int_equal(strncmp(answer, protocol, strlen(protocol)), 0);
	return strtol(answer + strlen(protocol), NULL, 10);
}

static const char *body_of(const char *answer)
{
	const char *end = strstr(answer, "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

static bool has_header(const char *answer, const char *line)
{
	char wanted[256];

	(void)snprintf(wanted, sizeof(wanted), "\r\n%s\r\n", line);
	return strcasestr(answer, wanted) != NULL;
}

/* Checks what every answer has in common, and frees it. */
static void assert_answer(char *answer, int status, const char *body)
{
	char length[64];

	(void)snprintf(length, sizeof(length), "Content-Length: %zu", strlen(body));
	assert_int_equal(status_of(answer), status);
	assert_string_equal(body_of(answer), body);
	assert_true(has_header(answer, length));
	assert_true(has_header(answer, "Content-Type: application/json"));
	assert_true(has_header(answer, "Cache-Control: no-cache, no-store"));
	assert_true(has_header(answer, "Pragma: no-cache"));
	assert_true(has_header(answer, "Expires: 0"));
	free(answer);
}

static void assert_is_alive(uint16_t port)
{
	assert_answer(ask_for(port, "GET", STATE, ""), 200, "\"MASTER\"");
}

static void the_documents_come_byte_for_byte(void **state)
{
	static const struct {
		const char *path;
		const char *body;
	} cases[] = {
		{"/v1/server/ha/state", "\"MASTER\""},
		{"/v1/server/ha/state/", "\"MASTER\""},
		{"/v1/server/ha/state?a=b&c=%2F", "\"MASTER\""},
		{"/v1/server/ha/states", STATES_DOCUMENT},
		{"/v1/server/ha/states/?", STATES_DOCUMENT},
	};
	uint16_t port = rest_server_port(server);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s\n", cases[i].path);
		assert_answer(ask_for(port, "GET", cases[i].path, ""), 200, cases[i].body);
	}
}

static void head_has_the_headers_of_get_and_no_body(void **state)
{
	char *answer = ask_for(rest_server_port(server), "HEAD", STATE, "");

	(void)state;
	assert_int_equal(status_of(answer), 200);
	assert_string_equal(body_of(answer), "");
	assert_true(has_header(answer, "Content-Length: 8"));
	assert_true(has_header(answer, "Content-Type: application/json"));
	assert_true(has_header(answer, "Cache-Control: no-cache, no-store"));
	free(answer);
}

static void one_connection_serves_many_requests(void **state)
{
	static const char first[] = "GET " STATE " HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char last[] = "GET " STATE " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	int fd = connect_to(rest_server_port(server));
	char *answer;

	(void)state;
	assert_ok(fd);
	assert_ok(io_write_full(fd, first, strlen(first)));
	answer = exchange(fd, last);

	assert_int_equal(strncmp(body_of(answer), "\"MASTER\"HTTP/1.1 200", 20), 0);
	assert_answer(strdup(body_of(answer) + strlen("\"MASTER\"")), 200, "\"MASTER\"");
	free(answer);
	(void)close(fd);
}

static void unknown_paths_are_404(void **state)
{
	static const char *const cases[] = {
		"/",
		"/v1/server/ha",
		"/v1/server/ha/%73tate",
		"/v1/server%2Fha/state",
		"/v1/server/ha/state%00",
		"/v1/server/ha/../ha/state",
		"/../../etc/passwd",
	};
	uint16_t port = rest_server_port(server);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("  %s\n", cases[i]);
		assert_answer(ask_for(port, "GET", cases[i], ""), 404,
			      "{\"message\":\"There is nothing at this path\",\"error\":404}");
	}
}

static void other_methods_are_405_with_the_allowed_ones(void **state)
{
	static const struct {
		const char *method;
		const char *rest;
	} cases[] = {
		{"DELETE", "\r\n"},
		{"OPTIONS", "\r\n"},
		{"POST", "Content-Length: 0\r\n\r\n"},
		{"POST", "Content-Length: 11\r\n\r\nmode=MASTER"},
		{"PUT", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char request[512];
		char *answer;

		print_message("  %s\n", cases[i].method);
		(void)snprintf(request, sizeof(request),
			       "%s " STATE " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s",
			       cases[i].method, cases[i].rest);
		answer = ask(rest_server_port(server), request);

		assert_true(has_header(answer, "Allow: GET, HEAD"));
		assert_answer(
			answer, 405,
			"{\"message\":\"This path does not allow this method\",\"error\":405}");
	}
}

static void a_body_is_read_whole_before_the_answer(void **state)
{
	static const char head[] = "POST " STATE " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
				   "Content-Length: 60000\r\n\r\n";
	char request[sizeof(head) + 60000];

	(void)state;
	memset(request, 'x', sizeof(request));
	memcpy(request, head, strlen(head));
	request[sizeof(request) - 1] = '\0';

	assert_answer(ask(rest_server_port(server), request), 405,
		      "{\"message\":\"This path does not allow this method\",\"error\":405}");
}

static void a_body_announced_too_long_is_413_at_once(void **state)
{
	static const char *const lengths[] = {"65537", "1000000000000"};
	uint16_t port = rest_server_port(server);

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char header[64];

		print_message("  %s\n", lengths[i]);
		(void)snprintf(header, sizeof(header), "Content-Length: %s\r\n", lengths[i]);
		assert_answer(ask_for(port, "POST", STATE, header), 413,
			      "{\"message\":\"The body is too long\",\"error\":413}");
	}
}

/* The end of the connection is all the answer that there is, as a reset or in order. */
static void a_body_without_end_is_not_read_for_ever(void **state)
{
	static const char head[] = "POST " STATE " HTTP/1.1\r\nHost: x\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";
	static const char chunk[] = "10\r\n0123456789abcdef\r\n";
	int fd = connect_to(rest_server_port(server));
	int sent = 0;

	(void)state;
	assert_ok(fd);
	assert_ok(io_write_full(fd, head, strlen(head)));
	while (sent < 10000000 && send(fd, chunk, strlen(chunk), MSG_NOSIGNAL) > 0) {
		sent += (int)strlen(chunk);
	}
	(void)close(fd);

	assert_in_range(sent, 65536, 9999999);
	assert_is_alive(rest_server_port(server));
}

static void headers_without_end_do_no_harm(void **state)
{
	static const char line[] = "GET " STATE " HTTP/1.1\r\nHost: x\r\nX: ";
	int fd = connect_to(rest_server_port(server));
	int sent = 0;

	(void)state;
	assert_ok(fd);
	assert_ok(io_write_full(fd, line, strlen(line)));
	while (sent < 10000000 && send(fd, "xxxxxxxxxxxxxxxx", 16, MSG_NOSIGNAL) > 0) {
		sent += 16;
	}
	(void)close(fd);

	assert_in_range(sent, 1, 9999999);
	assert_is_alive(rest_server_port(server));
}

static void only_who_knows_the_password_learns_anything(void **state)
{
	static const struct {
		const char *why;
		const char *method;
		const char *path;
		const char *headers;
	} cases[] = {
		{"no header", "GET", STATE, ""},
		{"wrong password", "GET", STATE, "Authorization: Basic YWxpY2U6U2VjcmV0\r\n"},
		{"unknown path", "GET", "/nothing", ""},
		{"method not allowed", "DELETE", STATE, ""},
	};
	struct rest_options options = options_for("127.0.0.1");
	struct rest_server *s = NULL;
	struct rest_auth *auth = NULL;

	(void)state;
	assert_ok(rest_auth_new(fake_property, NULL, &auth, NULL));
	options.auth = auth;
	assert_ok(rest_server_start(&options, &s, NULL));

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *answer;

		print_message("  %s\n", cases[i].why);
		answer = ask_for(rest_server_port(s), cases[i].method, cases[i].path,
				 cases[i].headers);
		assert_true(has_header(answer, "WWW-Authenticate: Basic realm=\"webconsole\""));
		assert_answer(answer, 401,
			      "{\"message\":\"A user name and the password are required\","
			      "\"error\":401}");
	}
	assert_answer(ask_for(rest_server_port(s), "GET", STATE,
			      "Authorization: Basic YWxpY2U6c2VjcmV0\r\n"),
		      200, "\"MASTER\"");
	assert_answer(ask_for(rest_server_port(s), "GET", "/nothing",
			      "Authorization: Basic YWxpY2U6c2VjcmV0\r\n"),
		      404, "{\"message\":\"There is nothing at this path\",\"error\":404}");

	rest_server_stop(s);
	rest_auth_free(auth);
}

static void half_sent_requests_do_not_hold_up_others(void **state)
{
	static const char half[] = "GET " STATE " HTTP/1.1\r\nHo";
	static const char rest[] = "st: x\r\nConnection: close\r\n\r\n";
	uint16_t port = rest_server_port(server);
	int fds[16];

	(void)state;
	for (size_t i = 0; i < 16; i++) {
		fds[i] = connect_to(port);
		assert_ok(fds[i]);
		assert_ok(io_write_full(fds[i], half, strlen(half)));
	}

	assert_is_alive(port);

	for (size_t i = 0; i < 16; i++) {
		assert_answer(exchange(fds[i], rest), 200, "\"MASTER\"");
		(void)close(fds[i]);
	}
}

#define REQUESTS_PER_CLIENT 100

struct client {
	pthread_t thread;
	uint16_t port;
	int answered; /* with the right document */
};

static void *run_client(void *ctx)
{
	struct client *c = ctx;

	for (int i = 0; i < REQUESTS_PER_CLIENT; i++) {
		int fd = connect_to(c->port);
		char *answer;

		if (fd < 0) {
			continue;
		}
		answer = exchange(fd, "GET /v1/server/ha/states HTTP/1.0\r\n\r\n");
		if (strstr(answer, "\r\n\r\n" STATES_DOCUMENT)) {
			c->answered++;
		}
		free(answer);
		(void)close(fd);
	}
	return NULL;
}

static void two_clients_at_once_get_all_their_answers(void **state)
{
	struct client clients[2] = {{.port = rest_server_port(server)},
				    {.port = rest_server_port(server)}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]),
				 0);
	}
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(clients[i].thread, NULL), 0);
	}

	assert_int_equal(clients[0].answered, REQUESTS_PER_CLIENT);
	assert_int_equal(clients[1].answered, REQUESTS_PER_CLIENT);
}

static void a_port_in_use_is_named_in_the_error(void **state)
{
	struct rest_options options = options_for("127.0.0.1");
	struct rest_server *untouched = server;
	struct rest_server *s = untouched;
	struct err err = {""};
	char where[64];

	(void)state;
	options.port = rest_server_port(server);
	(void)snprintf(where, sizeof(where), "127.0.0.1, port %u:", options.port);

	assert_errno(rest_server_start(&options, &s, &err), EADDRINUSE);
	assert_ptr_equal(s, untouched);
	assert_non_null(strstr(err.text, where));
}

static void the_next_free_port_is_taken_if_asked_for(void **state)
{
	struct rest_options options = options_for("127.0.0.1");
	struct rest_server *s = NULL;

	(void)state;
	options.port = rest_server_port(server);
	options.next_free_port = true;
	assert_ok(rest_server_start(&options, &s, NULL));

	assert_in_range(rest_server_port(s), options.port + 1, UINT16_MAX);
	assert_is_alive(rest_server_port(s));
	rest_server_stop(s);
}

static void a_port_is_free_again_after_the_stop(void **state)
{
	struct rest_options options = options_for("127.0.0.1");
	struct rest_server *s = NULL;
	int fd;

	(void)state;
	assert_ok(rest_server_start(&options, &s, NULL));
	options.port = rest_server_port(s);
	assert_is_alive(options.port);
	fd = connect_to(options.port); /* the stop does not wait for it */
	assert_ok(fd);
	rest_server_stop(s);

	assert_errno(connect_to(options.port), ECONNREFUSED);
	assert_ok(rest_server_start(&options, &s, NULL));
	assert_int_equal(rest_server_port(s), options.port);
	assert_is_alive(options.port);
	rest_server_stop(s);
	(void)close(fd);
	rest_server_stop(NULL);
}

static void bad_addresses_are_refused_by_name(void **state)
{
	static const struct {
		const char *address;
		int code;
	} cases[] = {
		{"localhost", -EINVAL},        {"", -EINVAL},
		{"1.2.3.4.5", -EINVAL},        {"::1::", -EINVAL},
		{"192.0.2.1", -EADDRNOTAVAIL}, /* set aside for examples, see RFC 5737 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rest_options options = options_for(cases[i].address);
		struct rest_server *s = NULL;
		struct err err = {""};

		print_message("  '%s'\n", cases[i].address);
		assert_int_equal(rest_server_start(&options, &s, &err), cases[i].code);
		assert_null(s);
		assert_non_null(strstr(err.text, cases[i].address));
	}
}

static void ipv6_works_as_well(void **state)
{
	static const char request[] =
		"GET " STATE " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct rest_options options = options_for("::1");
	struct rest_server *s = NULL;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0) {
		print_message("  this machine has no IPv6\n");
		skip();
	}
	assert_ok(rest_server_start(&options, &s, NULL));
	at.sin6_port = htons(rest_server_port(s));

	assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_answer(exchange(fd, request), 200, "\"MASTER\"");

	(void)close(fd);
	rest_server_stop(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documents_come_byte_for_byte),
		cmocka_unit_test(head_has_the_headers_of_get_and_no_body),
		cmocka_unit_test(one_connection_serves_many_requests),
		cmocka_unit_test(unknown_paths_are_404),
		cmocka_unit_test(other_methods_are_405_with_the_allowed_ones),
		cmocka_unit_test(a_body_is_read_whole_before_the_answer),
		cmocka_unit_test(a_body_announced_too_long_is_413_at_once),
		cmocka_unit_test(a_body_without_end_is_not_read_for_ever),
		cmocka_unit_test(headers_without_end_do_no_harm),
		cmocka_unit_test(only_who_knows_the_password_learns_anything),
		cmocka_unit_test(half_sent_requests_do_not_hold_up_others),
		cmocka_unit_test(two_clients_at_once_get_all_their_answers),
		cmocka_unit_test(a_port_in_use_is_named_in_the_error),
		cmocka_unit_test(the_next_free_port_is_taken_if_asked_for),
		cmocka_unit_test(a_port_is_free_again_after_the_stop),
		cmocka_unit_test(bad_addresses_are_refused_by_name),
		cmocka_unit_test(ipv6_works_as_well),
	};

	return cmocka_run_group_tests_name("rest/server", tests, start_server, stop_server);
}
