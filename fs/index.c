/* SPDX-License-Identifier: Apache-2.0 */
#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1

#include "fs/index.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/patch.h"

/* "HOLD"; see https://www.sqlite.org/pragma.html#pragma_application_id */
#define APPLICATION_ID   "1213156420"
#define SCHEMA_VERSION   "1"
#define PAGE_BYTES       "1024"
/* See https://www.sqlite.org/fileformat.html#file_format_version_numbers */
#define WRITE_VERSION_AT 18

#define SCHEMA_BYTES 2048 /* the text of all tables fits */

/*
 * WITHOUT ROWID: a rowid would depend on the order in which a change's rows are applied, and all
 * mounts must have the same database.
 */
static const char schema[] =
	"PRAGMA page_size = " PAGE_BYTES ";"
	"PRAGMA application_id = " APPLICATION_ID ";"
	"PRAGMA user_version = " SCHEMA_VERSION ";"
	"CREATE TABLE image (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE plane (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE node (id TEXT PRIMARY KEY, mount TEXT NOT NULL, beat INTEGER NOT NULL,"
	" status TEXT NOT NULL, record TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, epoch INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE history (seq INTEGER PRIMARY KEY, at_wall_ms INTEGER NOT NULL,"
	" epoch INTEGER NOT NULL, what TEXT NOT NULL, node TEXT NOT NULL, detail TEXT NOT NULL)";

/* The same tables, to look through a change before SQLite gets it. */
static const struct patch_table tables[] = {
	{"image", "ta"},  {"plane", "ta"},       {"node", "ttitt"},
	{"lease", "tti"}, {"history", "iiittt"}, {0},
};

enum statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_ROLLBACK,
	ST_SAVEPOINT,
	ST_RELEASE,
	ST_ROLLBACK_TO,
	ST_IMAGE_SET,
	ST_PLANE_GET,
	ST_PLANE_SET,
	ST_NODE_GET,
	ST_NODE_PUT,
	ST_NODE_RECORD,
	ST_NODE_BEAT,
	ST_BEAT_FLOOR,
	ST_NODE_DELETE,
	ST_NODE_ALL,
	ST_LEASE_GET,
	ST_LEASE_GRANT,
	ST_LEASE_FREE,
	ST_LEASE_HAS_ANY,
	ST_LEASE_FREE_ALL,
	ST_LEASE_ALL,
	ST_HISTORY_ADD,
	ST_HISTORY_TRIM,
	ST_HISTORY_ALL,
	ST_HISTORY_NEWEST,
	ST_MAX_,
};

static const char *const sql[ST_MAX_] = {
	[ST_BEGIN] = "BEGIN",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	[ST_SAVEPOINT] = "SAVEPOINT request",
	[ST_RELEASE] = "RELEASE request",
	[ST_ROLLBACK_TO] = "ROLLBACK TO request",
	[ST_IMAGE_SET] = ("INSERT INTO image VALUES (?1, ?2)"
			  " ON CONFLICT (key) DO UPDATE SET value = excluded.value"),
	[ST_PLANE_GET] = "SELECT value FROM plane WHERE key = ?1",
	[ST_PLANE_SET] = ("INSERT INTO plane VALUES (?1, ?2)"
			  " ON CONFLICT (key) DO UPDATE SET value = excluded.value"),
	[ST_NODE_GET] = "SELECT mount, status, beat FROM node WHERE id = ?1",
	[ST_NODE_PUT] = ("INSERT INTO node SELECT ?1, ?2, coalesce(max(value), 0) + 1, ?3, ?4"
			 " FROM plane WHERE key = 'beat_floor'"
			 " ON CONFLICT (id) DO UPDATE SET mount = excluded.mount, beat = beat + 1,"
			 " status = excluded.status, record = excluded.record"),
	[ST_NODE_RECORD] = "SELECT record FROM node WHERE id = ?1",
	[ST_NODE_BEAT] = "UPDATE node SET beat = beat + 1 WHERE id = ?1",
	[ST_BEAT_FLOOR] = ("INSERT INTO plane SELECT 'beat_floor', beat FROM node WHERE id = ?1"
			   " ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)"),
	[ST_NODE_DELETE] = "DELETE FROM node WHERE id = ?1",
	[ST_NODE_ALL] = "SELECT mount, status, beat, id, record FROM node ORDER BY id",
	[ST_LEASE_GET] = "SELECT holder, epoch FROM lease WHERE name = ?1",
	[ST_LEASE_GRANT] = ("INSERT INTO lease VALUES (?1, ?2, 1)"
			    " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder,"
			    " epoch = epoch + 1"),
	[ST_LEASE_FREE] = "UPDATE lease SET holder = '' WHERE name = ?1",
	[ST_LEASE_HAS_ANY] = "SELECT EXISTS (SELECT 1 FROM lease WHERE holder = ?1)",
	[ST_LEASE_FREE_ALL] = "UPDATE lease SET holder = '' WHERE holder = ?1",
	[ST_LEASE_ALL] = "SELECT holder, epoch, name FROM lease ORDER BY name",
	[ST_HISTORY_ADD] =
		("INSERT INTO history SELECT coalesce(max(seq), 0) + 1, ?1, ?2, ?3, ?4, ?5"
		 " FROM history"),
	[ST_HISTORY_TRIM] = "DELETE FROM history WHERE seq <= (SELECT max(seq) FROM history) - ?1",
	[ST_HISTORY_ALL] = "SELECT at_wall_ms, epoch, what, node, detail FROM history ORDER BY seq",
	[ST_HISTORY_NEWEST] = "SELECT coalesce(max(seq), 0) FROM history",
};

struct index {
	sqlite3 *db;
	sqlite3_session *session; /* not NULL between begin and commit or rollback */
	sqlite3_stmt *statements[ST_MAX_];
};

static int to_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_ABORT:
	case SQLITE_SCHEMA:
		return -EUCLEAN;
	default:
		return -EIO;
	}
}

/* --- statements ----------------------------------------------------------------------------- */

/* A statement ready to bind. */
static int get(struct index *ix, enum statement which, sqlite3_stmt **ret)
{
	sqlite3_stmt **st = &ix->statements[which];

	if (!*st) {
		int r = to_errno(sqlite3_prepare_v3(ix->db, sql[which], -1,
						    SQLITE_PREPARE_PERSISTENT, st, NULL));

		if (r < 0) {
			return r;
		}
	}
	*ret = *st;
	return 0;
}

static void put_back(sqlite3_stmt *st)
{
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
}

/* Bound texts are the caller's and outlive the step, so nothing is copied. */
static void bind_text(sqlite3_stmt *st, int column, const char *text)
{
	(void)sqlite3_bind_text(st, column, text, -1, SQLITE_STATIC);
}

/* Run a statement that gives no rows and needs up to two texts. */
static int run(struct index *ix, enum statement which, const char *first, const char *second)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, which, &st);

	if (r < 0) {
		return r;
	}
	if (first) {
		bind_text(st, 1, first);
	}
	if (second) {
		bind_text(st, 2, second);
	}
	r = to_errno(sqlite3_step(st));
	put_back(st);
	return r;
}

/* One row for one key: 1 and *ret_st positioned (put_back() it), 0 if there is none, or -errno. */
static int look_up(struct index *ix, enum statement which, const char *key, sqlite3_stmt **ret_st)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, which, &st);

	if (r < 0) {
		return r;
	}
	if (key) {
		bind_text(st, 1, key);
	}
	r = sqlite3_step(st);
	if (r == SQLITE_ROW) {
		*ret_st = st;
		return 1;
	}
	put_back(st);
	return to_errno(r);
}

static void copy_text(sqlite3_stmt *st, int column, char *ret, size_t room)
{
	const unsigned char *text = sqlite3_column_text(st, column);

	(void)snprintf(ret, room, "%s", text ? (const char *)text : "");
}

static uint64_t column_u64(sqlite3_stmt *st, int column)
{
	return (uint64_t)sqlite3_column_int64(st, column);
}

/* --- life ------------------------------------------------------------------------------------ */

static int open_memory(sqlite3 **ret)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(":memory:", &db,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
				 NULL);

	if (rc != SQLITE_OK) {
		(void)sqlite3_close(db);
		return to_errno(rc);
	}
	/* What comes from the share is data: no functions or virtual tables in a schema. */
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	*ret = db;
	return 0;
}

int index_new(struct index **ret)
{
	struct index *ix = calloc(1, sizeof(*ix));
	int r;

	if (!ix) {
		return -ENOMEM;
	}
	r = open_memory(&ix->db);
	if (r == 0) {
		r = to_errno(sqlite3_exec(ix->db, schema, NULL, NULL, NULL));
	}
	if (r < 0) {
		index_free(ix);
		return r;
	}
	*ret = ix;
	return 0;
}

static void end_session(struct index *ix)
{
	if (ix->session) {
		sqlite3session_delete(ix->session); /* does not take NULL */
		ix->session = NULL;
	}
}

void index_free(struct index *ix)
{
	if (ix) {
		end_session(ix);
		for (unsigned i = 0; i < ST_MAX_; i++) {
			(void)sqlite3_finalize(ix->statements[i]);
		}
		(void)sqlite3_close(ix->db);
		free(ix);
	}
}

/*
 * --- transactions ------------------------------------------------------------------------------
 */

int index_begin(struct index *ix)
{
	int r;

	assert(!ix->session);
	r = run(ix, ST_BEGIN, NULL, NULL);
	if (r < 0) {
		return r;
	}
	r = to_errno(sqlite3session_create(ix->db, "main", &ix->session));
	if (r == 0) {
		r = to_errno(sqlite3session_attach(ix->session, NULL));
	}
	if (r < 0) {
		index_rollback(ix);
	}
	return r;
}

int index_changes(struct index *ix, void **ret_bytes, size_t *ret_n)
{
	void *bytes = NULL;
	int n = 0, r;

	assert(ix->session);
	r = to_errno(sqlite3session_patchset(ix->session, &n, &bytes));
	if (r < 0) {
		return r;
	}
	*ret_bytes = bytes;
	*ret_n = (size_t)n;
	return 0;
}

int index_commit(struct index *ix)
{
	end_session(ix);
	return run(ix, ST_COMMIT, NULL, NULL);
}

void index_rollback(struct index *ix)
{
	end_session(ix);
	(void)run(ix, ST_ROLLBACK, NULL, NULL);
}

int index_savepoint(struct index *ix)
{
	return run(ix, ST_SAVEPOINT, NULL, NULL);
}

int index_savepoint_release(struct index *ix)
{
	return run(ix, ST_RELEASE, NULL, NULL);
}

void index_savepoint_rollback(struct index *ix)
{
	(void)run(ix, ST_ROLLBACK_TO, NULL, NULL);
	(void)run(ix, ST_RELEASE, NULL, NULL);
}

void index_free_bytes(void *bytes)
{
	sqlite3_free(bytes);
}

/*
 * --- generations ---------------------------------------------------------------------------------
 */

static int refuse_conflict(void *ctx, int kind, sqlite3_changeset_iter *iter)
{
	(void)ctx;
	(void)kind;
	(void)iter;
	return SQLITE_CHANGESET_ABORT;
}

int index_apply(struct index *ix, const void *patch, size_t n)
{
	_cleanup_free_ void *copy = NULL;

	if (n > INT_MAX || !patch_is_sound(patch, n, tables)) {
		return -EUCLEAN;
	}
	/* SQLite asks for writable memory, though it only reads. */
	copy = malloc(n);
	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, patch, n);
	return to_errno(sqlite3changeset_apply(ix->db, (int)n, copy, NULL, refuse_conflict, NULL));
}

static int image_set(struct index *ix, const char *key, const char *value)
{
	return run(ix, ST_IMAGE_SET, key, value);
}

int index_dump(struct index *ix, void **ret_bytes, size_t *ret_n)
{
	sqlite3_int64 n = 0;
	void *bytes = sqlite3_serialize(ix->db, "main", &n, 0);

	if (!bytes) {
		return -ENOMEM;
	}
	*ret_bytes = bytes;
	*ret_n = (size_t)n;
	return 0;
}

int index_to_image(struct index *ix, const struct index_image *head, void **ret_bytes,
		   size_t *ret_n)
{
	char number[24];
	int r;

	(void)snprintf(number, sizeof(number), "%" PRIu64, head->generation);
	r = image_set(ix, "generation", number);
	if (r == 0) {
		r = image_set(ix, "writer", head->writer);
	}
	if (r == 0) {
		r = image_set(ix, "nonce", head->nonce);
	}
	if (r == 0) {
		r = image_set(ix, "parent", head->parent);
	}
	return r < 0 ? r : index_dump(ix, ret_bytes, ret_n);
}

/* Run a query that gives one text; -EUCLEAN if it gives none. */
static int one_text(sqlite3 *db, const char *query, char *ret, size_t room)
{
	sqlite3_stmt *st = NULL;
	int r = to_errno(sqlite3_prepare_v2(db, query, -1, &st, NULL));

	if (r == 0) {
		int rc = sqlite3_step(st);

		r = rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -EUCLEAN : to_errno(rc);
		if (r == 0) {
			copy_text(st, 0, ret, room);
		}
	}
	(void)sqlite3_finalize(st);
	return r;
}

/* The text of all that a schema has, in a canonical order. */
static const char whole_schema[] = "SELECT group_concat(type || name || tbl_name || sql)"
				   " FROM (SELECT * FROM sqlite_schema ORDER BY name)";

/* The same of an index of ours. */
static int own_schema(char *ret, size_t room)
{
	struct index *ix = NULL;
	int r = index_new(&ix);

	if (r == 0) {
		r = one_text(ix->db, whole_schema, ret, room);
		index_free(ix);
	}
	return r;
}

/* Is this, @n bytes long, a database of ours, undamaged, with our very tables? */
static int check_database(sqlite3 *db, size_t n, struct err *reterr)
{
	char tables_text[SCHEMA_BYTES], size[24];
	const struct {
		const char *query, *want, *problem;
	} checks[] = {
		{"PRAGMA application_id", APPLICATION_ID, "no image of a Holdfast index"},
		{"PRAGMA user_version", SCHEMA_VERSION, "the image has another schema version"},
		{"PRAGMA page_size", PAGE_BYTES, "the image has another page size"},
		/* SQLite would read zeros where the last page is cut. */
		{"SELECT page_count * " PAGE_BYTES " FROM pragma_page_count", size,
		 "the image is cut or has a tail"},
		{"PRAGMA quick_check(1)", "ok", "the image is damaged"},
		/* Other tables could carry triggers or generated columns; or some are missing. */
		{whole_schema, tables_text, "the image has tables that are not ours"},
	};
	int r = own_schema(tables_text, sizeof(tables_text));

	(void)snprintf(size, sizeof(size), "%zu", n);
	for (size_t i = 0; r == 0 && i < sizeof(checks) / sizeof(checks[0]); i++) {
		char text[SCHEMA_BYTES];

		r = one_text(db, checks[i].query, text, sizeof(text));
		if (r != -ENOMEM && (r < 0 || strcmp(text, checks[i].want) != 0)) {
			r = err_set(reterr, -EUCLEAN, "%s", checks[i].problem);
		}
	}
	return r;
}

static int read_head(sqlite3 *db, struct index_image *ret)
{
	struct index_image head;
	char number[24];
	int r = one_text(db, "SELECT value FROM image WHERE key = 'generation'", number,
			 sizeof(number));

	if (r == 0 && parse_u64(number, &head.generation) < 0) {
		r = -EUCLEAN;
	}
	if (r == 0) {
		r = one_text(db, "SELECT value FROM image WHERE key = 'writer'", head.writer,
			     sizeof(head.writer));
	}
	if (r == 0) {
		r = one_text(db, "SELECT value FROM image WHERE key = 'nonce'", head.nonce,
			     sizeof(head.nonce));
	}
	if (r == 0) {
		r = one_text(db, "SELECT value FROM image WHERE key = 'parent'", head.parent,
			     sizeof(head.parent));
	}
	if (r == 0) {
		*ret = head;
	}
	return r;
}

/* An image as a database of its own, checked.  *ret is to be closed. */
static int open_image(const void *bytes, size_t n, sqlite3 **ret, struct index_image *ret_head,
		      struct err *reterr)
{
	unsigned char *copy;
	sqlite3 *db = NULL;
	int r;

	if (n == 0 || n > INT_MAX) {
		return err_set(reterr, -EUCLEAN, "the image is empty");
	}
	copy = sqlite3_malloc64(n);
	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, bytes, n);
	r = open_memory(&db);
	if (r < 0) {
		sqlite3_free(copy);
		return r;
	}
	/* Takes the copy, also when it fails. */
	r = to_errno(
		sqlite3_deserialize(db, "main", copy, (sqlite3_int64)n, (sqlite3_int64)n,
				    SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY));
	if (r == 0) {
		r = check_database(db, n, reterr);
	}
	if (r == 0 && ((const uint8_t *)bytes)[WRITE_VERSION_AT] != 1) {
		r = err_set(reterr, -EUCLEAN, "the image says that it is read-only");
	}
	if (r == 0 && read_head(db, ret_head) < 0) {
		r = err_set(reterr, -EUCLEAN, "the image does not say which generation it is");
	}
	if (r < 0) {
		(void)sqlite3_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

int index_image_head(const void *bytes, size_t n, struct index_image *ret_head, struct err *reterr)
{
	struct index_image head;
	sqlite3 *image = NULL;
	int r = open_image(bytes, n, &image, &head, reterr);

	if (r == 0) {
		(void)sqlite3_close(image);
		*ret_head = head;
	}
	return r;
}

int index_from_image(struct index *ix, const void *bytes, size_t n, struct index_image *ret_head,
		     struct err *reterr)
{
	struct index_image head;
	sqlite3_backup *backup;
	sqlite3 *image = NULL;
	int r;

	assert(!ix->session);
	r = open_image(bytes, n, &image, &head, reterr);
	if (r < 0) {
		return r;
	}
	/*
	 * Copied, not deserialized in place: sqlite3_serialize() of a deserialized database does
	 * not see what the transaction under way has changed, and images are taken inside one.
	 */
	backup = sqlite3_backup_init(ix->db, "main", image, "main");
	r = backup ? 0 : to_errno(sqlite3_errcode(ix->db));
	if (backup) {
		(void)sqlite3_backup_step(backup, -1);
		r = to_errno(sqlite3_backup_finish(backup));
	}
	(void)sqlite3_close(image);
	if (r == 0) {
		*ret_head = head;
	}
	return r;
}

/*
 * --- rows
 * ------------------------------------------------------------------------------------------
 */

int index_plane_get(struct index *ix, const char *key, uint64_t *ret_value)
{
	sqlite3_stmt *st = NULL;
	int r = look_up(ix, ST_PLANE_GET, key, &st);

	if (r <= 0) {
		return r == 0 ? -ENOENT : r;
	}
	*ret_value = column_u64(st, 0);
	put_back(st);
	return 0;
}

int index_plane_set(struct index *ix, const char *key, uint64_t value)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, ST_PLANE_SET, &st);

	if (r < 0) {
		return r;
	}
	bind_text(st, 1, key);
	(void)sqlite3_bind_int64(st, 2, (sqlite3_int64)value);
	r = to_errno(sqlite3_step(st));
	put_back(st);
	return r;
}

/* The first three columns of ST_NODE_GET and ST_NODE_ALL. */
static void node_of_row(sqlite3_stmt *st, struct index_node *ret)
{
	copy_text(st, 0, ret->mount, sizeof(ret->mount));
	copy_text(st, 1, ret->status, sizeof(ret->status));
	ret->beat = column_u64(st, 2);
}

int index_node_get(struct index *ix, const char *id, struct index_node *ret)
{
	sqlite3_stmt *st = NULL;
	int r = look_up(ix, ST_NODE_GET, id, &st);

	if (r <= 0) {
		return r == 0 ? -ENOENT : r;
	}
	node_of_row(st, ret);
	put_back(st);
	return 0;
}

int index_node_put(struct index *ix, const char *id, const char *mount, const char *status,
		   const char *record, size_t n)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, ST_NODE_PUT, &st);

	if (r < 0) {
		return r;
	}
	bind_text(st, 1, id);
	bind_text(st, 2, mount);
	bind_text(st, 3, status);
	(void)sqlite3_bind_text64(st, 4, record, n, SQLITE_STATIC, SQLITE_UTF8);
	r = to_errno(sqlite3_step(st));
	put_back(st);
	return r;
}

int index_node_record(struct index *ix, const char *id, char **ret_text)
{
	sqlite3_stmt *st = NULL;
	int r = look_up(ix, ST_NODE_RECORD, id, &st);
	const unsigned char *text;
	char *copy;

	if (r <= 0) {
		return r == 0 ? -ENOENT : r;
	}
	text = sqlite3_column_text(st, 0);
	copy = strdup(text ? (const char *)text : "");
	put_back(st);
	if (!copy) {
		return -ENOMEM;
	}
	*ret_text = copy;
	return 0;
}

int index_node_beat(struct index *ix, const char *id)
{
	return run(ix, ST_NODE_BEAT, id, NULL);
}

int index_node_delete(struct index *ix, const char *id)
{
	int r = run(ix, ST_BEAT_FLOOR, id, NULL);

	return r < 0 ? r : run(ix, ST_NODE_DELETE, id, NULL);
}

/* The first two columns of ST_LEASE_GET and ST_LEASE_ALL. */
static void lease_of_row(sqlite3_stmt *st, struct index_lease *ret)
{
	copy_text(st, 0, ret->holder, sizeof(ret->holder));
	ret->epoch = column_u64(st, 1);
}

int index_lease_get(struct index *ix, const char *name, struct index_lease *ret)
{
	sqlite3_stmt *st = NULL;
	int r = look_up(ix, ST_LEASE_GET, name, &st);

	if (r < 0) {
		return r;
	}
	if (r == 0) {
		*ret = (struct index_lease){0};
		return 0;
	}
	lease_of_row(st, ret);
	put_back(st);
	return 0;
}

int index_lease_grant(struct index *ix, const char *name, const char *holder)
{
	return run(ix, ST_LEASE_GRANT, name, holder);
}

int index_lease_free(struct index *ix, const char *name)
{
	return run(ix, ST_LEASE_FREE, name, NULL);
}

int index_lease_has_any(struct index *ix, const char *holder, bool *ret)
{
	sqlite3_stmt *st = NULL;
	int r = look_up(ix, ST_LEASE_HAS_ANY, holder, &st);

	if (r < 0) {
		return r;
	}
	*ret = r > 0 && sqlite3_column_int(st, 0) != 0;
	if (r > 0) {
		put_back(st);
	}
	return 0;
}

int index_lease_free_all(struct index *ix, const char *holder)
{
	return run(ix, ST_LEASE_FREE_ALL, holder, NULL);
}

int index_history_add(struct index *ix, const struct index_event *event)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, ST_HISTORY_ADD, &st);

	if (r < 0) {
		return r;
	}
	(void)sqlite3_bind_int64(st, 1, event->at_wall_ms);
	(void)sqlite3_bind_int64(st, 2, (sqlite3_int64)event->epoch);
	bind_text(st, 3, event->what);
	bind_text(st, 4, event->node);
	bind_text(st, 5, event->detail);
	r = to_errno(sqlite3_step(st));
	put_back(st);
	if (r < 0) {
		return r;
	}
	r = get(ix, ST_HISTORY_TRIM, &st);
	if (r < 0) {
		return r;
	}
	(void)sqlite3_bind_int(st, 1, INDEX_HISTORY_ROWS);
	r = to_errno(sqlite3_step(st));
	put_back(st);
	return r;
}

/*
 * --- all rows
 * --------------------------------------------------------------------------------------
 */

/* Step through @which; @fn gets each row. */
static int each(struct index *ix, enum statement which, int (*fn)(sqlite3_stmt *st, void *arg),
		void *arg)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, which, &st);
	int rc;

	if (r < 0) {
		return r;
	}
	while (r == 0 && (rc = sqlite3_step(st)) != SQLITE_DONE) {
		r = rc == SQLITE_ROW ? fn(st, arg) : to_errno(rc);
	}
	put_back(st);
	return r;
}

struct node_walk {
	index_node_fn *fn;
	void *ctx;
};

static int on_node_row(sqlite3_stmt *st, void *arg)
{
	const struct node_walk *w = arg;
	const char *record = (const char *)sqlite3_column_text(st, 4);
	const char *id = (const char *)sqlite3_column_text(st, 3);
	struct index_node node;

	node_of_row(st, &node);
	return w->fn(w->ctx, id ? id : "", &node, record ? record : "",
		     (size_t)sqlite3_column_bytes(st, 4));
}

int index_each_node(struct index *ix, index_node_fn *fn, void *ctx)
{
	struct node_walk w = {fn, ctx};

	return each(ix, ST_NODE_ALL, on_node_row, &w);
}

struct lease_walk {
	index_lease_fn *fn;
	void *ctx;
};

static int on_lease_row(sqlite3_stmt *st, void *arg)
{
	const struct lease_walk *w = arg;
	struct index_lease lease;
	char name[PARSE_ID_BYTES];

	lease_of_row(st, &lease);
	copy_text(st, 2, name, sizeof(name));
	return w->fn(w->ctx, name, &lease);
}

int index_each_lease(struct index *ix, index_lease_fn *fn, void *ctx)
{
	struct lease_walk w = {fn, ctx};

	return each(ix, ST_LEASE_ALL, on_lease_row, &w);
}

struct history_walk {
	index_history_fn *fn;
	void *ctx;
};

static int on_history_row(sqlite3_stmt *st, void *arg)
{
	const struct history_walk *w = arg;
	const char *what = (const char *)sqlite3_column_text(st, 2);
	const char *node = (const char *)sqlite3_column_text(st, 3);
	const char *detail = (const char *)sqlite3_column_text(st, 4);
	struct index_event event = {
		.at_wall_ms = sqlite3_column_int64(st, 0),
		.epoch = column_u64(st, 1),
		.what = what ? what : "",
		.node = node ? node : "",
		.detail = detail ? detail : "",
	};

	return w->fn(w->ctx, &event);
}

int index_each_event(struct index *ix, index_history_fn *fn, void *ctx)
{
	struct history_walk w = {fn, ctx};

	return each(ix, ST_HISTORY_ALL, on_history_row, &w);
}

int index_history_newest(struct index *ix, uint64_t *ret_seq)
{
	sqlite3_stmt *st = NULL;
	int r = look_up(ix, ST_HISTORY_NEWEST, NULL, &st);

	if (r <= 0) {
		return r == 0 ? -EUCLEAN : r;
	}
	*ret_seq = column_u64(st, 0);
	put_back(st);
	return 0;
}
