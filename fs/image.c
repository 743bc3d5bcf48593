/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/image.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/db.h"
#include "fs/schema.h"
#include "fs/store.h"

#define SCHEMA_TEXT_BYTES 4096 /* the text of all tables fits, in hex */

int image_note(sqlite3 *db, const struct image_head *head)
{
	sqlite3_stmt *st = NULL;
	char number[24];
	int r = db_prepare(db,
			   "INSERT INTO image VALUES ('generation', ?1), ('writer', ?2),"
			   " ('nonce', ?3), ('parent', ?4)"
			   " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
			   &st);

	if (r < 0) {
		return r;
	}
	(void)snprintf(number, sizeof(number), "%" PRIu64, head->generation);
	db_bind_text(st, 1, number);
	db_bind_text(st, 2, head->writer);
	db_bind_text(st, 3, head->nonce);
	db_bind_text(st, 4, head->parent);
	r = db_run(st);
	(void)sqlite3_finalize(st);
	return r;
}

int image_dump(sqlite3 *db, void **ret_bytes, size_t *ret_n)
{
	sqlite3_int64 n = 0;
	void *bytes = sqlite3_serialize(db, "main", &n, 0);

	if (!bytes) {
		return -ENOMEM;
	}
	*ret_bytes = bytes;
	*ret_n = (size_t)n;
	return 0;
}

/* A number of the 100 bytes that begin every SQLite database, big-endian. */
static uint64_t header_number(const uint8_t *image, size_t at, size_t n_bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n_bytes; i++) {
		value = value << 8 | image[at + i];
	}
	return value;
}

/*
 * Is this the header that SQLite gives to an index of ours, @n bytes long?  Looked at before SQLite
 * sees any of it; see https://www.sqlite.org/fileformat.html#the_database_header
 */
static int check_header(const uint8_t *image, size_t n, struct err *reterr)
{
	static const char magic[16] = "SQLite format 3";
	const struct {
		size_t at, n_bytes;
		uint64_t want;
		const char *problem;
	} fields[] = {
		{68, 4, SCHEMA_APPLICATION_ID, "no image of a Holdfast index"},
		{60, 4, SCHEMA_VERSION, "the image has another schema version"},
		{16, 2, SCHEMA_PAGE_BYTES, "the image has another page size"},
		/* 2: there is a write-ahead log beside it.  More: only to be read. */
		{18, 2, 0x0101, "the image says that it is not complete, or read-only"},
		/* Room behind each page, then how full a page may be. */
		{20, 4, 0x00402020, "the image has another page layout"},
		{44, 4, 4, "the image has another schema format"},
		{52, 4, 0, "the image is one that shrinks by itself"},
		{56, 4, 1, "the image is not in UTF-8"},
	};

	if (n < SCHEMA_PAGE_BYTES || memcmp(image, magic, sizeof(magic)) != 0) {
		return err_set(reterr, -EUCLEAN, "no image of a Holdfast index");
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (header_number(image, fields[i].at, fields[i].n_bytes) != fields[i].want) {
			return err_set(reterr, -EUCLEAN, "%s", fields[i].problem);
		}
	}
	/* SQLite would read zeros where the last page is cut. */
	if (header_number(image, 28, 4) * SCHEMA_PAGE_BYTES != n) {
		return err_set(reterr, -EUCLEAN, "the image is cut or has a tail");
	}
	return 0;
}

/*
 * The text of all that a schema has, in a canonical order.  In hex: a text with a NUL inside would
 * hide what follows it, and a NULL the whole row.
 */
static const char whole_schema[] =
	"SELECT group_concat(hex(type) || ' ' || hex(name) || ' ' || hex(tbl_name) || ' ' ||"
	" hex(sql)) FROM (SELECT * FROM sqlite_schema ORDER BY name)";

/* The same of an index of ours: of @index, or if that is NULL of a new one. */
static int own_schema(sqlite3 *index, char *ret, size_t room)
{
	_cleanup_(db_closep) sqlite3 *db = NULL;
	int r = index ? 0 : db_open(&db);

	if (r == 0 && !index) {
		r = schema_create(db);
	}
	return r < 0 ? r : db_one_text(index ? index : db, whole_schema, ret, room);
}

/* -EUCLEAN unless @query gives @want. */
static int expect_text(sqlite3 *db, const char *query, const char *want)
{
	char text[SCHEMA_TEXT_BYTES];
	int r = db_one_text(db, query, text, sizeof(text));

	return r == 0 && strcmp(text, want) != 0 ? -EUCLEAN : r;
}

/* Are these our very tables?  Others could carry triggers, views or generated columns. */
static int check_schema(sqlite3 *db, sqlite3 *index)
{
	char own[SCHEMA_TEXT_BYTES];
	int r = own_schema(index, own, sizeof(own));

	return r < 0 ? r : expect_text(db, whole_schema, own);
}

static bool may_hold(char column, sqlite3_stmt *st, int i)
{
	switch (sqlite3_column_type(st, i)) {
	case SQLITE_INTEGER:
		return patch_may_hold_integer(column, sqlite3_column_int64(st, i));
	case SQLITE_TEXT:
		return patch_may_hold_text(column, sqlite3_column_blob(st, i),
					   (size_t)sqlite3_column_bytes(st, i));
	default:
		return false;
	}
}

/* Does every row of @t have values that a change could have brought as well? */
static int check_table(sqlite3 *db, const struct patch_table *t)
{
	sqlite3_stmt *st = NULL;
	char query[64];
	int r, rc;

	(void)snprintf(query, sizeof(query), "SELECT * FROM %s", t->name);
	r = db_errno(sqlite3_prepare_v2(db, query, -1, &st, NULL));
	while (r == 0 && (rc = sqlite3_step(st)) != SQLITE_DONE) {
		r = db_errno(rc);
		for (int i = 0; r == 0 && t->columns[i]; i++) {
			r = may_hold(t->columns[i], st, i) ? 0 : -EUCLEAN;
		}
	}
	(void)sqlite3_finalize(st);
	return r;
}

static int check_rows(sqlite3 *db)
{
	int r = 0;

	for (const struct patch_table *t = schema_tables; r == 0 && t->name; t++) {
		r = check_table(db, t);
	}
	return r;
}

/* Is this, @n bytes long, an undamaged database with our very tables?  @index: see own_schema(). */
static int check_database(sqlite3 *db, sqlite3 *index, size_t n, struct err *reterr)
{
	const char *problem = "the image is damaged";
	struct db_allowance allowance;
	int r = db_restrict(db, n, &allowance);

	if (r == 0) {
		problem = "the image has tables that are not ours, or damaged ones";
		r = check_schema(db, index);
	}
	/*
	 * Before quick_check, which follows pages to any depth, by recursion: a cursor stops at a
	 * depth that no real table reaches.
	 */
	if (r == 0) {
		problem = "the image is damaged, or has values that nobody writes";
		r = check_rows(db);
	}
	if (r == 0) {
		problem = "the image is damaged";
		r = expect_text(db, "PRAGMA quick_check(1)", "ok");
	}
	db_unrestrict(db);
	return r == 0 || r == -ENOMEM ? r : err_set(reterr, -EUCLEAN, "%s", problem);
}

static int read_text(sqlite3 *db, const char *key, char *ret, size_t room)
{
	char query[64];

	(void)snprintf(query, sizeof(query), "SELECT value FROM image WHERE key = '%s'", key);
	return db_one_text(db, query, ret, room);
}

static int read_head(sqlite3 *db, struct image_head *ret)
{
	struct image_head head;
	char number[24];
	int r = read_text(db, "generation", number, sizeof(number));

	if (r == 0 && parse_u64(number, &head.generation) < 0) {
		r = -EUCLEAN;
	}
	if (r == 0) {
		r = read_text(db, "writer", head.writer, sizeof(head.writer));
	}
	if (r == 0) {
		r = read_text(db, "nonce", head.nonce, sizeof(head.nonce));
	}
	if (r == 0) {
		r = read_text(db, "parent", head.parent, sizeof(head.parent));
	}
	if (r == 0) {
		*ret = head;
	}
	return r;
}

/* @bytes as a database of its own, whatever they are. */
static int open_copy(const void *bytes, size_t n, sqlite3 **ret)
{
	_cleanup_(db_closep) sqlite3 *db = NULL;
	unsigned char *copy;
	int rc, r = db_open(&db);

	if (r < 0) {
		return r;
	}
	copy = sqlite3_malloc64(n);
	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, bytes, n);
	/* Takes the copy, also when it fails. */
	rc = sqlite3_deserialize(db, "main", copy, (sqlite3_int64)n, (sqlite3_int64)n,
				 SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
	if (rc != SQLITE_OK) {
		/* The bytes are not looked at yet: for want of memory, also if it says ERROR. */
		return rc == SQLITE_ERROR ? -ENOMEM : db_errno(rc);
	}
	*ret = take_ptr(db);
	return 0;
}

/* An image as a database of its own, checked.  @index: one of ours, or NULL. */
static int open_image(const void *bytes, size_t n, sqlite3 *index, sqlite3 **ret,
		      struct image_head *ret_head, struct err *reterr)
{
	_cleanup_(db_closep) sqlite3 *db = NULL;
	int r;

	if (n == 0 || n > STORE_IMAGE_MAX_BYTES) {
		return err_set(reterr, -EUCLEAN, "the image is %s", n == 0 ? "empty" : "too large");
	}
	r = check_header(bytes, n, reterr);
	if (r == 0) {
		r = open_copy(bytes, n, &db);
	}
	if (r == 0) {
		r = check_database(db, index, n, reterr);
	}
	if (r < 0) {
		return r;
	}
	r = read_head(db, ret_head);
	if (r < 0) {
		return r == -ENOMEM ? r
				    : err_set(reterr, -EUCLEAN,
					      "the image does not say which generation it is");
	}
	*ret = take_ptr(db);
	return 0;
}

int image_load(sqlite3 *db, const void *bytes, size_t n, struct image_head *ret_head,
	       struct err *reterr)
{
	_cleanup_(db_closep) sqlite3 *image = NULL;
	struct image_head head;
	sqlite3_backup *backup;
	int r = open_image(bytes, n, db, &image, &head, reterr);

	if (r < 0) {
		return r;
	}
	/*
	 * Copied, not deserialized in place: sqlite3_serialize() of a deserialized database does
	 * not see what the transaction under way has changed, and images are taken inside one.
	 */
	backup = sqlite3_backup_init(db, "main", image, "main");
	if (!backup) {
		return db_errno(sqlite3_errcode(db));
	}
	(void)sqlite3_backup_step(backup, -1);
	r = db_errno(sqlite3_backup_finish(backup));
	if (r == 0) {
		*ret_head = head;
	}
	return r;
}

int image_read_head(const void *bytes, size_t n, struct image_head *ret_head, struct err *reterr)
{
	_cleanup_(db_closep) sqlite3 *image = NULL;

	return open_image(bytes, n, NULL, &image, ret_head, reterr);
}
