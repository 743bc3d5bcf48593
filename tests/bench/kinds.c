/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/kinds.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nettle/base64.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define RECORD_BYTES    320
#define OVERWRITE_BYTES 4096
#define SQLITE_BUSY_MS  60000
#define BODY_BYTES      1024
#define MESSAGE_BYTES   2048 /* etcd's answer to a put has about 400 bytes, headers included */

/* As holdfastd writes it: 166 bytes with ids of 8 characters. */
static int format_record(char ret[RECORD_BYTES], const char *node, uint64_t version)
{
	return snprintf(ret, RECORD_BYTES,
			"{\"nodeId\":\"%s\",\"nodeUri\":\"http://%s.brooklyn.example.org:8081/\","
			"\"status\":\"STANDBY\",\"priority\":0,\"version\":\"0.1.0-SNAPSHOT\","
			"\"localTimestamp\":%" PRIu64 "}",
			node, node, UINT64_C(1466414300000) + version);
}

static int open_file(struct target *t, const char *where)
{
	t->fd = open(where, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	return t->fd < 0 ? -errno : 0;
}

static int write_file(int fd, const void *bytes, size_t n)
{
	ssize_t written = pwrite(fd, bytes, n, 0);

	if (written < 0) {
		return -errno;
	}
	return (size_t)written == n ? 0 : -EIO;
}

static void close_fd(struct target *t)
{
	closep(&t->fd);
}

/* A file below nodes/ of a mount, written as the daemon does. */
static int commit_record(struct target *t, uint64_t version)
{
	char text[RECORD_BYTES];
	int n = format_record(text, t->node, version);
	int r = write_file(t->fd, text, (size_t)n);

	if (r < 0) {
		return r;
	}
	return ftruncate(t->fd, n) < 0 || fsync(t->fd) < 0 ? -errno : 0;
}

/* One block of a plain file: the least that anything durable costs. */
static int commit_overwrite(struct target *t, uint64_t version)
{
	unsigned char block[OVERWRITE_BYTES] = {0};
	int r;

	memcpy(block, &version, sizeof(version));
	r = write_file(t->fd, block, sizeof(block));
	if (r < 0) {
		return r;
	}
	return fsync(t->fd) < 0 ? -errno : 0;
}

static int sqlite_to_errno(int rc)
{
	switch (rc) {
	case SQLITE_OK:
	case SQLITE_DONE:
		return 0;
	case SQLITE_BUSY:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static int open_sqlite(struct target *t, const char *where)
{
	int rc = sqlite3_open_v2(where, &t->db, SQLITE_OPEN_READWRITE, NULL);

	if (rc == SQLITE_OK) {
		rc = sqlite3_busy_timeout(t->db, SQLITE_BUSY_MS);
	}
	if (rc == SQLITE_OK) {
		rc = sqlite3_exec(t->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	}
	if (rc == SQLITE_OK) {
		rc = sqlite3_prepare_v3(t->db, "UPDATE node SET record = ?1 WHERE id = ?2", -1,
					SQLITE_PREPARE_PERSISTENT, &t->update, NULL);
	}
	if (rc == SQLITE_OK) {
		rc = sqlite3_bind_text(t->update, 2, t->node, -1, SQLITE_STATIC);
	}
	return sqlite_to_errno(rc);
}

/* A transaction of one statement. */
static int commit_sqlite(struct target *t, uint64_t version)
{
	char text[RECORD_BYTES];
	int n = format_record(text, t->node, version);
	int rc = sqlite3_bind_text(t->update, 1, text, n, SQLITE_STATIC);

	if (rc == SQLITE_OK) {
		rc = sqlite3_step(t->update);
		(void)sqlite3_reset(t->update);
	}
	if (rc == SQLITE_DONE && sqlite3_changes(t->db) != 1) {
		return -ENOENT;
	}
	return sqlite_to_errno(rc);
}

static void close_sqlite(struct target *t)
{
	(void)sqlite3_finalize(t->update);
	(void)sqlite3_close(t->db);
}

static int open_etcd(struct target *t, const char *where)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint64_t port;
	int one = 1;

	if (parse_u64(where, &port) < 0 || port > UINT16_MAX) {
		return -EINVAL;
	}
	address.sin_port = htons((uint16_t)port);
	t->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (t->fd < 0 || connect(t->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0) {
		return -errno;
	}
	return 0;
}

/* Base64 of @text, with NUL. */
static void encode(char *ret, const char *text)
{
	size_t n = strlen(text);

	base64_encode_raw(ret, n, (const uint8_t *)text);
	ret[BASE64_ENCODE_RAW_LENGTH(n)] = '\0';
}

/* 1: all of it is there; 0: not yet; -EBADMSG: it is no success, or nothing that we understand. */
static int is_complete(const char *answer, size_t n)
{
	static const char key[] = "\r\nContent-Length:";
	const char *end = strstr(answer, "\r\n\r\n");
	const char *length = strcasestr(answer, key);

	if (!end) {
		return 0;
	}
	if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0 || !length || length > end) {
		return -EBADMSG;
	}
	return n >= (size_t)(end - answer) + 4 + strtoul(length + strlen(key), NULL, 10);
}

static int read_answer(int fd)
{
	char answer[MESSAGE_BYTES];
	size_t n = 0;
	int r = 0;

	while (r == 0) {
		ssize_t got = read(fd, answer + n, sizeof(answer) - 1 - n);

		/* 0 as well when there is no more room, for an answer that is none. */
		if (got <= 0) {
			return got < 0 ? -errno : -EBADMSG;
		}
		n += (size_t)got;
		answer[n] = '\0';
		r = is_complete(answer, n);
	}
	return r < 0 ? r : 0;
}

static int commit_etcd(struct target *t, uint64_t version)
{
	char text[RECORD_BYTES], value[BASE64_ENCODE_RAW_LENGTH(RECORD_BYTES) + 1];
	char key[BASE64_ENCODE_RAW_LENGTH(PARSE_ID_BYTES) + 1];
	char body[BODY_BYTES], message[MESSAGE_BYTES];
	int n, r;

	(void)format_record(text, t->node, version);
	encode(value, text);
	encode(key, t->node);
	n = snprintf(body, sizeof(body), "{\"key\":\"%s\",\"value\":\"%s\"}", key, value);
	n = snprintf(message, sizeof(message),
		     "POST /v3/kv/put HTTP/1.1\r\nHost: localhost\r\n"
		     "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		     n, body);
	r = io_write_full(t->fd, message, (size_t)n);
	return r < 0 ? r : read_answer(t->fd);
}

const struct kind *kinds_find(const char *name)
{
	static const struct kind kinds[] = {
		{"record", open_file, commit_record, close_fd},
		{"overwrite", open_file, commit_overwrite, close_fd},
		{"sqlite", open_sqlite, commit_sqlite, close_sqlite},
		{"etcd", open_etcd, commit_etcd, close_fd},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, name) == 0) {
			return &kinds[i];
		}
	}
	return NULL;
}
