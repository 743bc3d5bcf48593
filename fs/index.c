/* SPDX-License-Identifier: Apache-2.0 */
#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1

#include "fs/index.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "fs/apply.h"
#include "fs/db.h"
#include "fs/patch.h"
#include "fs/schema.h"

enum statement {
	ST_BEGIN,
	ST_COMMIT,
	ST_ROLLBACK,
	ST_SAVEPOINT,
	ST_RELEASE,
	ST_ROLLBACK_TO,
	ST_PLANE_GET,
	ST_PLANE_SET,
	ST_PLANE_DELETE,
	ST_NODE_GET,
	ST_NODE_PUT,
	ST_NODE_RECORD,
	ST_NODE_BEAT,
	ST_BEAT_FLOOR,
	ST_NODE_DELETE,
	ST_NODE_ALL,
	ST_MOUNT_PUT,
	ST_MOUNT_DELETE,
	ST_MOUNT_PRUNE,
	ST_MOUNT_ALL,
	ST_LEASE_GET,
	ST_LEASE_NEW,
	ST_LEASE_GRANT,
	ST_LEASE_FREE,
	ST_LEASE_HAS_ANY,
	ST_LEASE_TIMEOUT,
	ST_LEASE_FLOOR,
	ST_LEASE_DELETE,
	ST_LEASE_ALL,
	ST_LOCK_ADD,
	ST_LOCK_GRANT,
	ST_LOCK_DELETE,
	ST_LOCK_ALL,
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
	[ST_PLANE_GET] = "SELECT value FROM plane WHERE key = ?1",
	[ST_PLANE_SET] = ("INSERT INTO plane VALUES (?1, ?2)"
			  " ON CONFLICT (key) DO UPDATE SET value = excluded.value"),
	[ST_PLANE_DELETE] = "DELETE FROM plane WHERE key = ?1",
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
	[ST_MOUNT_PUT] = ("INSERT INTO mount VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
			  " ON CONFLICT (id) DO NOTHING"),
	[ST_MOUNT_DELETE] = "DELETE FROM mount WHERE id = ?1",
	[ST_MOUNT_PRUNE] = ("DELETE FROM mount WHERE id <> ?1 AND id NOT IN"
			    " (SELECT mount FROM node UNION SELECT mount FROM lock)"),
	[ST_MOUNT_ALL] = "SELECT id, boot, pid_ns, pid, started, host FROM mount ORDER BY id",
	[ST_LEASE_GET] = "SELECT holder, epoch, timeout_ms FROM lease WHERE name = ?1",
	[ST_LEASE_NEW] = ("INSERT INTO lease SELECT ?1, '', coalesce(max(value), 0), 0"
			  " FROM plane WHERE key = 'epoch_floor' ON CONFLICT (name) DO NOTHING"),
	[ST_LEASE_GRANT] = "UPDATE lease SET holder = ?2, epoch = epoch + 1 WHERE name = ?1",
	[ST_LEASE_FREE] = "UPDATE lease SET holder = '' WHERE name = ?1",
	[ST_LEASE_HAS_ANY] = "SELECT EXISTS (SELECT 1 FROM lease WHERE holder = ?1)",
	[ST_LEASE_TIMEOUT] = "UPDATE lease SET timeout_ms = ?2 WHERE name = ?1",
	[ST_LEASE_FLOOR] =
		("INSERT INTO plane SELECT 'epoch_floor', epoch FROM lease WHERE name = ?1"
		 " ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)"),
	[ST_LEASE_DELETE] = "DELETE FROM lease WHERE name = ?1",
	[ST_LEASE_ALL] = "SELECT holder, epoch, timeout_ms, name FROM lease ORDER BY name",
	[ST_LOCK_ADD] =
		("INSERT INTO lock SELECT coalesce(max(seq), 0) + 1, ?1, ?2, ?3, ?4, 0, ?5, ?6"
		 " FROM lock"),
	[ST_LOCK_GRANT] = "UPDATE lock SET granted = 1 WHERE seq = ?1",
	[ST_LOCK_DELETE] = "DELETE FROM lock WHERE seq = ?1",
	[ST_LOCK_ALL] =
		("SELECT seq, name, mount, owner, exclusive, granted, pid, command FROM lock"
		 " ORDER BY seq"),
	[ST_HISTORY_ADD] = ("INSERT INTO history SELECT coalesce(max(seq), 0) + 1, ?1, ?2, ?3, ?4,"
			    " ?5, ?6, ?7, ?8 FROM history"),
	[ST_HISTORY_TRIM] = "DELETE FROM history WHERE seq <= (SELECT max(seq) FROM history) - ?1",
	[ST_HISTORY_ALL] =
		("SELECT at_wall_ms, epoch, what, node, detail, was, why, who FROM history"
		 " ORDER BY seq"),
	[ST_HISTORY_NEWEST] = "SELECT coalesce(max(seq), 0) FROM history",
};

struct index {
	sqlite3 *db;
	sqlite3_session *session; /* not NULL between begin and commit or rollback */
	bool is_broken; /* the transaction has what it must not have, or lacks something */
	bool is_torn;   /* see index_is_torn() */
	sqlite3_stmt *statements[ST_MAX_];
	struct apply apply;
};

/* A statement ready to bind. */
static int get(struct index *ix, enum statement which, sqlite3_stmt **ret)
{
	int r = db_prepare(ix->db, sql[which], &ix->statements[which]);

	if (r == 0) {
		*ret = ix->statements[which];
	}
	return r;
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
		db_bind_text(st, 1, first);
	}
	if (second) {
		db_bind_text(st, 2, second);
	}
	return db_run(st);
}

/* One row for one key: 1 and *ret_st to be put back, 0 if there is none, or -errno. */
static int look_up(struct index *ix, enum statement which, const char *key, sqlite3_stmt **ret_st)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, which, &st);

	if (r < 0) {
		return r;
	}
	if (key) {
		db_bind_text(st, 1, key);
	}
	if (sqlite3_step(st) == SQLITE_ROW) {
		*ret_st = st;
		return 1;
	}
	return db_put_back(st);
}

/* Beforehand: what a transaction is undone with must not need memory. */
static int prepare_transactions(struct index *ix)
{
	sqlite3_stmt *st;
	int r = 0;

	for (enum statement which = ST_BEGIN; r == 0 && which <= ST_ROLLBACK_TO; which++) {
		r = get(ix, which, &st);
	}
	return r;
}

int index_new(struct index **ret)
{
	struct index *ix = calloc(1, sizeof(*ix));
	int r;

	if (!ix) {
		return -ENOMEM;
	}
	r = db_open(&ix->db);
	if (r == 0) {
		r = schema_create(ix->db);
	}
	if (r == 0) {
		r = prepare_transactions(ix);
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
		apply_done(&ix->apply);
		db_close(ix->db);
		free(ix);
	}
}

/*
 * Want of memory may have kept a transaction from being undone when it should have been, or ended
 * it, or have undone half of it only: SQLite does not tell which.
 */
static int end_transaction(struct index *ix)
{
	bool was_ended = ix->session && sqlite3_get_autocommit(ix->db);
	int r;

	end_session(ix);
	r = sqlite3_get_autocommit(ix->db) ? 0 : run(ix, ST_ROLLBACK, NULL, NULL);
	ix->is_torn = ix->is_torn || ix->is_broken || was_ended || r < 0;
	ix->is_broken = false;
	return r;
}

bool index_is_torn(const struct index *ix)
{
	return ix->is_torn;
}

int index_begin(struct index *ix)
{
	int r;

	assert(!ix->session);
	r = end_transaction(ix);
	if (r == 0) {
		r = run(ix, ST_BEGIN, NULL, NULL);
	}
	if (r < 0) {
		return r;
	}
	ix->is_broken = false;
	r = db_errno(sqlite3session_create(ix->db, "main", &ix->session));
	if (r == 0) {
		r = db_errno(sqlite3session_attach(ix->session, NULL));
	}
	if (r < 0) {
		index_rollback(ix);
	}
	return r;
}

/*
 * A statement that runs out of memory may end the whole transaction, not only itself; see
 * sqlite3_get_autocommit().  What came before it is gone then, and nothing may be built on it.
 */
static int check_transaction(struct index *ix)
{
	assert(ix->session);
	return ix->is_broken || sqlite3_get_autocommit(ix->db) ? -ENOMEM : 0;
}

int index_changes(struct index *ix, void **ret_bytes, size_t *ret_n)
{
	void *bytes = NULL;
	int n = 0, r = check_transaction(ix);

	if (r < 0) {
		return r;
	}
	r = db_errno(sqlite3session_patchset(ix->session, &n, &bytes));
	if (r == 0 && !patch_is_sound(bytes, (size_t)n, schema_tables)) {
		/* Nobody would take it, and the log would end there. */
		sqlite3_free(bytes);
		r = -EUCLEAN;
	}
	if (r < 0) {
		return r;
	}
	*ret_bytes = bytes;
	*ret_n = (size_t)n;
	return 0;
}

int index_commit(struct index *ix)
{
	int r;

	end_session(ix);
	r = run(ix, ST_COMMIT, NULL, NULL);
	ix->is_torn = ix->is_torn || r < 0;
	return r;
}

void index_rollback(struct index *ix)
{
	(void)end_transaction(ix);
}

int index_savepoint(struct index *ix)
{
	int r = check_transaction(ix);

	return r < 0 ? r : run(ix, ST_SAVEPOINT, NULL, NULL);
}

int index_savepoint_release(struct index *ix)
{
	int r = run(ix, ST_RELEASE, NULL, NULL);

	ix->is_broken = ix->is_broken || r < 0;
	return r;
}

void index_savepoint_rollback(struct index *ix)
{
	/* Rather nothing is published than what was refused. */
	ix->is_broken = ix->is_broken || run(ix, ST_ROLLBACK_TO, NULL, NULL) < 0 ||
			run(ix, ST_RELEASE, NULL, NULL) < 0;
}

void index_free_bytes(void *bytes)
{
	sqlite3_free(bytes);
}

int index_apply(struct index *ix, const void *patch, size_t n)
{
	int r;

	assert(!ix->session);
	if (n == 0) {
		return 0; /* it says that its writer lives, and no more */
	}
	r = end_transaction(ix);
	if (r == 0) {
		r = run(ix, ST_BEGIN, NULL, NULL);
	}
	if (r == 0) {
		r = apply_patch(&ix->apply, ix->db, patch, n);
	}
	if (r == 0) {
		r = run(ix, ST_COMMIT, NULL, NULL);
	}
	if (r < 0) {
		ix->is_torn = ix->is_torn || r == -ENOMEM;
		index_rollback(ix);
	}
	return r;
}

int index_dump(struct index *ix, void **ret_bytes, size_t *ret_n)
{
	return image_dump(ix->db, ret_bytes, ret_n);
}

int index_to_image(struct index *ix, const struct image_head *head, void **ret_bytes, size_t *ret_n)
{
	int r = image_note(ix->db, head);

	return r < 0 ? r : image_dump(ix->db, ret_bytes, ret_n);
}

int index_from_image(struct index *ix, const void *bytes, size_t n, struct image_head *ret_head,
		     struct err *reterr)
{
	int r;

	assert(!ix->session);
	r = end_transaction(ix);
	if (r == 0) {
		r = image_load(ix->db, bytes, n, ret_head, reterr);
	}
	ix->is_torn = ix->is_torn && r < 0;
	return r;
}

int index_plane_get(struct index *ix, const char *key, uint64_t *ret_value)
{
	sqlite3_stmt *st = NULL;
	int r = look_up(ix, ST_PLANE_GET, key, &st);

	if (r <= 0) {
		return r == 0 ? -ENOENT : r;
	}
	*ret_value = db_u64(st, 0);
	return db_put_back(st);
}

int index_plane_set(struct index *ix, const char *key, uint64_t value)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, ST_PLANE_SET, &st);

	if (r < 0) {
		return r;
	}
	db_bind_text(st, 1, key);
	db_bind_u64(st, 2, value);
	return db_run(st);
}

int index_plane_get_text(struct index *ix, const char *key, char *ret, size_t room)
{
	sqlite3_stmt *st = NULL;
	int r = look_up(ix, ST_PLANE_GET, key, &st);

	if (r <= 0) {
		return r == 0 ? -ENOENT : r;
	}
	db_copy_text(st, 0, ret, room);
	return db_put_back(st);
}

int index_plane_set_text(struct index *ix, const char *key, const char *value)
{
	return run(ix, ST_PLANE_SET, key, value);
}

int index_plane_delete(struct index *ix, const char *key)
{
	return run(ix, ST_PLANE_DELETE, key, NULL);
}

/* The first three columns of ST_NODE_GET and ST_NODE_ALL. */
static void node_of_row(sqlite3_stmt *st, struct index_node *ret)
{
	db_copy_text(st, 0, ret->mount, sizeof(ret->mount));
	db_copy_text(st, 1, ret->status, sizeof(ret->status));
	ret->beat = db_u64(st, 2);
}

int index_node_get(struct index *ix, const char *id, struct index_node *ret)
{
	sqlite3_stmt *st = NULL;
	struct index_node node;
	int r = look_up(ix, ST_NODE_GET, id, &st);

	if (r <= 0) {
		return r == 0 ? -ENOENT : r;
	}
	node_of_row(st, &node);
	r = db_put_back(st);
	if (r == 0) {
		*ret = node;
	}
	return r;
}

int index_node_put(struct index *ix, const char *id, const char *mount, const char *status,
		   const char *record, size_t n)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, ST_NODE_PUT, &st);

	if (r < 0) {
		return r;
	}
	db_bind_text(st, 1, id);
	db_bind_text(st, 2, mount);
	db_bind_text(st, 3, status);
	(void)sqlite3_bind_text64(st, 4, record, n, SQLITE_STATIC, SQLITE_UTF8);
	return db_run(st);
}

int index_node_record(struct index *ix, const char *id, char **ret_text)
{
	sqlite3_stmt *st = NULL;
	int r = look_up(ix, ST_NODE_RECORD, id, &st);
	char *copy;

	if (r <= 0) {
		return r == 0 ? -ENOENT : r;
	}
	copy = strdup(db_text(st, 0));
	r = db_put_back(st);
	if (r < 0 || !copy) {
		free(copy);
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

int index_mount_put(struct index *ix, const char *id, const struct index_mount *m)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, ST_MOUNT_PUT, &st);

	if (r < 0) {
		return r;
	}
	db_bind_text(st, 1, id);
	db_bind_text(st, 2, m->boot);
	db_bind_u64(st, 3, m->pid_ns);
	db_bind_u64(st, 4, m->pid);
	db_bind_u64(st, 5, m->started);
	db_bind_text(st, 6, m->host);
	return db_run(st);
}

int index_mount_delete(struct index *ix, const char *id)
{
	return run(ix, ST_MOUNT_DELETE, id, NULL);
}

int index_mount_prune(struct index *ix, const char *but)
{
	return run(ix, ST_MOUNT_PRUNE, but, NULL);
}

/* The first three columns of ST_LEASE_GET and ST_LEASE_ALL. */
static void lease_of_row(sqlite3_stmt *st, struct index_lease *ret)
{
	ret->exists = true;
	db_copy_text(st, 0, ret->holder, sizeof(ret->holder));
	ret->epoch = db_u64(st, 1);
	ret->timeout_ms = db_u64(st, 2);
}

int index_lease_get(struct index *ix, const char *name, struct index_lease *ret)
{
	sqlite3_stmt *st = NULL;
	struct index_lease lease;
	int r = look_up(ix, ST_LEASE_GET, name, &st);

	if (r < 0) {
		return r;
	}
	if (r == 0) {
		*ret = (struct index_lease){0};
		return 0;
	}
	lease_of_row(st, &lease);
	r = db_put_back(st);
	if (r == 0) {
		*ret = lease;
	}
	return r;
}

int index_lease_new(struct index *ix, const char *name)
{
	return run(ix, ST_LEASE_NEW, name, NULL);
}

int index_lease_grant(struct index *ix, const char *name, const char *holder)
{
	int r = index_lease_new(ix, name);

	return r < 0 ? r : run(ix, ST_LEASE_GRANT, name, holder);
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
	return r > 0 ? db_put_back(st) : 0;
}

int index_lease_set_timeout(struct index *ix, const char *name, uint64_t timeout_ms)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, ST_LEASE_TIMEOUT, &st);

	if (r < 0) {
		return r;
	}
	db_bind_text(st, 1, name);
	db_bind_u64(st, 2, timeout_ms);
	return db_run(st);
}

int index_lease_delete(struct index *ix, const char *name)
{
	int r = run(ix, ST_LEASE_FLOOR, name, NULL);

	return r < 0 ? r : run(ix, ST_LEASE_DELETE, name, NULL);
}

int index_lock_add(struct index *ix, const struct index_lock *lock)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, ST_LOCK_ADD, &st);

	if (r < 0) {
		return r;
	}
	db_bind_text(st, 1, lock->name);
	db_bind_text(st, 2, lock->mount);
	db_bind_u64(st, 3, lock->owner);
	(void)sqlite3_bind_int(st, 4, lock->exclusive);
	db_bind_u64(st, 5, lock->pid);
	db_bind_text(st, 6, lock->command);
	return db_run(st);
}

/* Run a statement on the lock numbered @seq. */
static int run_on_lock(struct index *ix, enum statement which, uint64_t seq)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, which, &st);

	if (r < 0) {
		return r;
	}
	db_bind_u64(st, 1, seq);
	return db_run(st);
}

int index_lock_grant(struct index *ix, uint64_t seq)
{
	return run_on_lock(ix, ST_LOCK_GRANT, seq);
}

int index_lock_delete(struct index *ix, uint64_t seq)
{
	return run_on_lock(ix, ST_LOCK_DELETE, seq);
}

int index_history_add(struct index *ix, const struct index_event *event)
{
	sqlite3_stmt *st = NULL;
	int r = get(ix, ST_HISTORY_ADD, &st);

	if (r < 0) {
		return r;
	}
	(void)sqlite3_bind_int64(st, 1, event->at_wall_ms);
	db_bind_u64(st, 2, event->epoch);
	db_bind_text(st, 3, event->what);
	db_bind_text(st, 4, event->node);
	db_bind_text(st, 5, event->detail);
	db_bind_text(st, 6, event->was ? event->was : "");
	db_bind_text(st, 7, event->why ? event->why : "");
	db_bind_text(st, 8, event->who ? event->who : "");
	r = db_run(st);
	if (r < 0) {
		return r;
	}
	r = get(ix, ST_HISTORY_TRIM, &st);
	if (r < 0) {
		return r;
	}
	(void)sqlite3_bind_int(st, 1, INDEX_HISTORY_ROWS);
	return db_run(st);
}

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
		r = rc == SQLITE_ROW ? fn(st, arg) : db_errno(rc);
	}
	rc = db_put_back(st);
	return r != 0 ? r : rc;
}

struct node_walk {
	index_node_fn *fn;
	void *ctx;
};

static int on_node_row(sqlite3_stmt *st, void *arg)
{
	const struct node_walk *w = arg;
	const char *record = db_text(st, 4);
	struct index_node node;

	node_of_row(st, &node);
	return w->fn(w->ctx, db_text(st, 3), &node, record, (size_t)sqlite3_column_bytes(st, 4));
}

int index_each_node(struct index *ix, index_node_fn *fn, void *ctx)
{
	struct node_walk w = {fn, ctx};

	return each(ix, ST_NODE_ALL, on_node_row, &w);
}

struct mount_walk {
	index_mount_fn *fn;
	void *ctx;
};

static int on_mount_row(sqlite3_stmt *st, void *arg)
{
	const struct mount_walk *w = arg;
	struct index_mount m = {
		.pid_ns = db_u64(st, 2),
		.pid = db_u64(st, 3),
		.started = db_u64(st, 4),
	};

	db_copy_text(st, 1, m.boot, sizeof(m.boot));
	db_copy_text(st, 5, m.host, sizeof(m.host));
	return w->fn(w->ctx, db_text(st, 0), &m);
}

int index_each_mount(struct index *ix, index_mount_fn *fn, void *ctx)
{
	struct mount_walk w = {fn, ctx};

	return each(ix, ST_MOUNT_ALL, on_mount_row, &w);
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
	db_copy_text(st, 3, name, sizeof(name));
	return w->fn(w->ctx, name, &lease);
}

int index_each_lease(struct index *ix, index_lease_fn *fn, void *ctx)
{
	struct lease_walk w = {fn, ctx};

	return each(ix, ST_LEASE_ALL, on_lease_row, &w);
}

struct lock_walk {
	index_lock_fn *fn;
	void *ctx;
};

static int on_lock_row(sqlite3_stmt *st, void *arg)
{
	const struct lock_walk *w = arg;
	struct index_lock lock = {
		.seq = db_u64(st, 0),
		.owner = db_u64(st, 3),
		.exclusive = sqlite3_column_int(st, 4) != 0,
		.granted = sqlite3_column_int(st, 5) != 0,
		.pid = db_u64(st, 6),
	};

	db_copy_text(st, 1, lock.name, sizeof(lock.name));
	db_copy_text(st, 2, lock.mount, sizeof(lock.mount));
	db_copy_text(st, 7, lock.command, sizeof(lock.command));
	return w->fn(w->ctx, &lock);
}

int index_each_lock(struct index *ix, index_lock_fn *fn, void *ctx)
{
	struct lock_walk w = {fn, ctx};

	return each(ix, ST_LOCK_ALL, on_lock_row, &w);
}

struct history_walk {
	index_history_fn *fn;
	void *ctx;
};

static int on_history_row(sqlite3_stmt *st, void *arg)
{
	const struct history_walk *w = arg;
	struct index_event event = {
		.at_wall_ms = sqlite3_column_int64(st, 0),
		.epoch = db_u64(st, 1),
		.what = db_text(st, 2),
		.node = db_text(st, 3),
		.detail = db_text(st, 4),
		.was = db_text(st, 5),
		.why = db_text(st, 6),
		.who = db_text(st, 7),
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
	*ret_seq = db_u64(st, 0);
	return db_put_back(st);
}
