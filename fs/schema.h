/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of an index, and how the database that has them begins: the same in every index and
 * every image.  What the tables are for stands in index.h.  Pure data.
 */
#ifndef FS_SCHEMA_H
#define FS_SCHEMA_H

#include "fs/patch.h"

/* "HOLD"; see https://www.sqlite.org/pragma.html#pragma_application_id */
#define SCHEMA_APPLICATION_ID 1213156420
#define SCHEMA_VERSION        2
#define SCHEMA_PAGE_BYTES     1024

struct sqlite3;

enum schema_table {
	SCHEMA_IMAGE,
	SCHEMA_PLANE,
	SCHEMA_NODE,
	SCHEMA_MOUNT,
	SCHEMA_LEASE,
	SCHEMA_LOCK,
	SCHEMA_HISTORY,
	SCHEMA_TABLE_MAX_,
};

/* By that number; at the end is one without a name. */
extern const struct patch_table schema_tables[SCHEMA_TABLE_MAX_ + 1];

/* Make them, in a database that is new. */
int schema_create(struct sqlite3 *db);

#endif
