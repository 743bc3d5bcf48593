/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties files as Java reads them (java.util.Properties.load), and the sets of keys and values
 * that they make.  Bytes beyond ASCII are kept as they are; \uXXXX becomes UTF-8.
 *
 * A set is filled by one thread; then any thread may read it.
 */
#ifndef HA_PROPERTIES_H
#define HA_PROPERTIES_H

#include <stddef.h>

#include "base/err.h"

struct ha_property {
	char *key;
	char *value;
};

/* Zero-initialized is empty.  Only properties.c writes the fields. */
struct ha_properties {
	size_t n;
	struct ha_property *v;
};

void ha_properties_done(struct ha_properties *p);

/* Replaces the value of a key that is there.  -ENOMEM. */
int ha_properties_set(struct ha_properties *p, const char *key, const char *value);

/* NULL: there is no such key. */
const char *ha_properties_get(const struct ha_properties *p, const char *key);

/*
 * Add what @text says.  -EBADMSG: a NUL byte or an escape \u that names no character (@reterr has
 * the line); -ENOMEM.
 */
int ha_properties_parse(struct ha_properties *p, const char *text, size_t n, struct err *reterr);

/* The same from a file; also the errors of reading it, -EFBIG beyond 1 MiB. */
int ha_properties_load(struct ha_properties *p, const char *path, struct err *reterr);

#endif
