/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"

#define HOST_MAX_BYTES 255

int ha_address_parse_port(const char *text, uint16_t *ret_port, bool *ret_next_free)
{
	char digits[sizeof("65535")];
	size_t n = strlen(text);
	bool next_free = n > 0 && text[n - 1] == '+';
	uint64_t port;

	n -= next_free;
	if (n >= sizeof(digits)) {
		return -EINVAL;
	}
	memcpy(digits, text, n);
	digits[n] = '\0';
	if (parse_u64(digits, &port) < 0 || port == 0 || port > UINT16_MAX) {
		return -EINVAL;
	}
	*ret_port = (uint16_t)port;
	*ret_next_free = next_free;
	return 0;
}

bool ha_address_is_numeric(const char *text)
{
	struct in6_addr any;

	return inet_pton(AF_INET, text, &any) == 1 || inet_pton(AF_INET6, text, &any) == 1;
}

bool ha_address_is_host(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-_";
	size_t n = strlen(text);

	if (ha_address_is_numeric(text)) {
		return true;
	}
	return n > 0 && n <= HOST_MAX_BYTES && strspn(text, letters) == n;
}

static bool is_loopback(const char *text)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool is_any(const char *text)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		return v4.s_addr == htonl(INADDR_ANY);
	}
	return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6);
}

int ha_address_choose_bind(const char *asked, bool has_users, bool no_security, const char **ret,
			   struct err *reterr)
{
	if (asked && !has_users && !no_security && !is_loopback(asked)) {
		return err_set(reterr, -EACCES,
			       "--bindAddress %s would open the REST API to the network without a "
			       "password: configure brooklyn.webconsole.security.users, or say "
			       "--noConsoleSecurity",
			       asked);
	}
	if (asked) {
		*ret = asked;
	} else {
		*ret = has_users && !no_security ? "0.0.0.0" : "127.0.0.1";
	}
	return 0;
}

int ha_address_format_uri(const char *public_host, const char *bind, uint16_t port, char *ret,
			  size_t n)
{
	char name[HOST_NAME_MAX + 1];
	const char *host = public_host ? public_host : bind;
	bool is_v6;
	int k;

	if (!public_host && is_any(bind)) {
		if (gethostname(name, sizeof(name)) < 0) {
			return -errno;
		}
		host = name;
	}
	is_v6 = strchr(host, ':') != NULL;
	k = snprintf(ret, n, "http://%s%s%s:%u/", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
	return k < 0 || (size_t)k >= n ? -ENAMETOOLONG : 0;
}
