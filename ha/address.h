/* SPDX-License-Identifier: Apache-2.0 */
/* Where the web server listens and what address others are told.  Any thread. */
#ifndef HA_ADDRESS_H
#define HA_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* "8081", or "8081+": that port or the first free one after it.  -EINVAL. */
int ha_address_parse_port(const char *text, uint16_t *ret_port, bool *ret_next_free);

/* A numeric IPv4 or IPv6 address. */
bool ha_address_is_numeric(const char *text);

/* A host name or numeric address: what may stand in a URL. */
bool ha_address_is_host(const char *text);

/*
 * Where to listen.  @asked is --bindAddress or NULL.  Only where users are configured is it open to
 * the network without being asked.  -EACCES: an address other than loopback was asked for, and
 * nobody is asked for a password without --noConsoleSecurity saying so.
 */
int ha_address_choose_bind(const char *asked, bool has_users, bool no_security, const char **ret,
			   struct err *reterr);

/*
 * "http://<host>:<port>/": @public_host, or else the bind address, or else (it is the address of
 * all interfaces) this machine's name.  -ENAMETOOLONG.
 */
int ha_address_format_uri(const char *public_host, const char *bind, uint16_t port, char *ret,
			  size_t n);

#endif
