/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/schema.h"

#include "fs/db.h"

#define TEXT_OF(number)  TEXT_OF_(number)
#define TEXT_OF_(number) #number

#define PRAGMA(name, number) "PRAGMA " name " = " TEXT_OF(number) ";"

static const char header[] = PRAGMA("page_size", SCHEMA_PAGE_BYTES)
	PRAGMA("application_id", SCHEMA_APPLICATION_ID) PRAGMA("user_version", SCHEMA_VERSION);

/*
 * WITHOUT ROWID where the key is no integer: a rowid would depend on the order in which a change's
 * rows are applied, and all mounts must have the same database.
 */
static const char tables[] =
	"CREATE TABLE image (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE plane (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE node (id TEXT PRIMARY KEY, mount TEXT NOT NULL, beat INTEGER NOT NULL,"
	" status TEXT NOT NULL, record TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE mount (id TEXT PRIMARY KEY, boot TEXT NOT NULL, pid_ns INTEGER NOT NULL,"
	" pid INTEGER NOT NULL, started INTEGER NOT NULL, host TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, epoch INTEGER NOT NULL,"
	" timeout_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE lock (seq INTEGER PRIMARY KEY, name TEXT NOT NULL, mount TEXT NOT NULL,"
	" owner INTEGER NOT NULL, exclusive INTEGER NOT NULL, granted INTEGER NOT NULL,"
	" pid INTEGER NOT NULL, command TEXT NOT NULL);"
	"CREATE TABLE history (seq INTEGER PRIMARY KEY, at_wall_ms INTEGER NOT NULL,"
	" epoch INTEGER NOT NULL, what TEXT NOT NULL, node TEXT NOT NULL, detail TEXT NOT NULL,"
	" was TEXT NOT NULL, why TEXT NOT NULL, who TEXT NOT NULL)";

const struct patch_table schema_tables[] = {
	[SCHEMA_IMAGE] = {"image", "ta"},
	[SCHEMA_PLANE] = {"plane", "ta"},
	[SCHEMA_NODE] = {"node", "ttntt"},
	[SCHEMA_MOUNT] = {"mount", "ttiiit"},
	[SCHEMA_LEASE] = {"lease", "ttni"},
	[SCHEMA_LOCK] = {"lock", "nttiiiit"},
	[SCHEMA_HISTORY] = {"history", "niitttttt"},
	[SCHEMA_TABLE_MAX_] = {0},
};

int schema_create(struct sqlite3 *db)
{
	int r = db_exec(db, header);

	return r < 0 ? r : db_exec(db, tables);
}
