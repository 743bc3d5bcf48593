/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "fs/content.h"
#include "fs/names.h"
#include "fs/record.h"
#include "fs/render.h"
#include "fs/store.h"

#define XATTR_PREFIX "user.holdfast."

/* An open virtual file. */
struct vfile {
	LIST_ENTRY(vfile) entry; /* in control.life_lines */
	enum inode_kind kind;
	char name[NAMES_BYTES]; /* of a record */
	bool writable;
	struct content *content;
	bool dirty;             /* by .content->lock: changed since the last commit began */
	struct commit *pending; /* by .content->lock: the newest commit of it that is under way */
	int result;             /* by .content->lock: of the last one that ended */
	bool is_life_line;      /* by control.lock */
};

struct control {
	struct plane *plane;
	uid_t uid;
	gid_t gid;
	struct names names;
	atomic_size_t dump_bytes; /* size of index.db when it was opened last */

	pthread_mutex_t lock;
	LIST_HEAD(, vfile) life_lines; /* by .lock */
};

static struct vfile *vfile_of(const struct fuse_file_info *fi)
{
	return (struct vfile *)(uintptr_t)fi->fh; /* NOLINT(performance-no-int-to-ptr) */
}

static void vfile_free(struct vfile *f)
{
	if (f) {
		content_unref(f->content);
		free(f);
	}
}

/*
 * --- life ----------------------------------------------------------------------------------------
 */

int control_new(struct plane *plane, const struct stat *owner, struct control **ret)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c) {
		return -ENOMEM;
	}
	c->plane = plane;
	c->uid = owner->st_uid;
	c->gid = owner->st_gid;
	names_init(&c->names);
	(void)pthread_mutex_init(&c->lock, NULL);
	LIST_INIT(&c->life_lines);
	*ret = c;
	return 0;
}

void control_free(struct control *c)
{
	names_done(&c->names);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

/* --- names ------------------------------------------------------------------------------------ */

/*
 * May the caller make, rename or remove virtual names?  The kernel has asked the directory's mode,
 * and the root is the share's: whoever may write there is not therefore the one who runs the
 * daemon.
 */
static bool may_change_names(const struct control *c, fuse_req_t req)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	return uid == 0 || uid == c->uid;
}

bool control_has_name(const struct inode *parent, bool parent_is_root, const char *name)
{
	return parent->kind != INODE_PASS ||
	       (parent_is_root && (names_fixed_kind(parent, name) != INODE_KIND_MAX_ ||
				   names_is_staging(false, name)));
}

void control_forget(struct control *c, struct inode *i, uint64_t n)
{
	names_forget(&c->names, i, n);
}

/*
 * --- attributes ----------------------------------------------------------------------------------
 */

static mode_t mode_of(enum inode_kind kind)
{
	switch (kind) {
	case INODE_NODES:
	case INODE_CONTROL:
		return S_IFDIR | 0755;
	case INODE_MASTER:
	case INODE_RECORD:
	case INODE_STAGING:
		return S_IFREG | 0644;
	case INODE_PASS:
	case INODE_PLANE_ID:
	case INODE_LOG:
	case INODE_PLANE_JSON:
	case INODE_INDEX_DB:
	case INODE_KIND_MAX_:
		break;
	}
	return S_IFREG | 0444;
}

static void set_mtime(struct stat *st, int64_t ms)
{
	st->st_mtim.tv_sec = (time_t)(ms / 1000);
	st->st_mtim.tv_nsec = (long)(ms % 1000) * 1000000;
	st->st_ctim = st->st_atim = st->st_mtim;
}

static void fill(struct control *c, const struct inode *i, struct stat *st)
{
	struct view *v = plane_view(c->plane);
	const struct view_node *node = NULL;
	struct index_lease master;

	*st = (struct stat){.st_ino = i->ino,
			    .st_mode = mode_of(i->kind),
			    .st_nlink = S_ISDIR(mode_of(i->kind)) ? 2 : 1,
			    .st_uid = c->uid,
			    .st_gid = c->gid,
			    .st_blksize = 4096};
	set_mtime(st, v->mtime_ms);
	if (i->kind == INODE_MASTER) {
		master = view_lease(v, REQUEST_MASTER);
		st->st_size = (off_t)strlen(master.holder);
	} else if (i->kind == INODE_PLANE_ID) {
		st->st_size = (off_t)strlen(plane_id(c->plane));
	} else if (i->kind == INODE_LOG) {
		st->st_size = (off_t)v->log->n;
	} else if (i->kind == INODE_INDEX_DB) {
		/* SQLite asks for the size after it opened: each open sets it. */
		st->st_size = (off_t)c->dump_bytes;
	} else if (i->kind == INODE_RECORD) {
		node = view_find_node(v, names_of(i)->name);
		if (node) {
			st->st_size = (off_t)node->n;
			set_mtime(st, node->mtime_ms);
		}
	} else if (i->kind == INODE_STAGING) {
		struct content *k = names_of(i)->content;

		(void)pthread_mutex_lock(&k->lock);
		st->st_size = (off_t)k->n;
		(void)pthread_mutex_unlock(&k->lock);
	}
	view_unref(v);
}

void control_getattr(struct control *c, fuse_req_t req, const struct inode *i)
{
	struct stat st;

	fill(c, i, &st);
	(void)fuse_reply_attr(req, &st, 0);
}

static struct fuse_entry_param entry_of(struct control *c, struct inode *i)
{
	struct fuse_entry_param e = {.ino = (fuse_ino_t)(uintptr_t)i, .generation = 1};

	fill(c, i, &e.attr);
	return e;
}

static bool record_exists(struct control *c, const char *id)
{
	struct view *v = plane_view(c->plane);
	bool exists = view_find_node(v, id) != NULL;

	view_unref(v);
	return exists;
}

void control_lookup(struct control *c, fuse_req_t req, const struct inode *parent, const char *name)
{
	bool exists = parent->kind == INODE_NODES && record_exists(c, name);
	struct fuse_entry_param e;
	struct inode *i;
	int r = names_look_up(&c->names, parent, name, exists, false, &i);

	if (r < 0) {
		(void)fuse_reply_err(req, -r);
		return;
	}
	e = entry_of(c, i);
	if (fuse_reply_entry(req, &e) < 0) {
		control_forget(c, i, 1);
	}
}

void control_setattr(struct control *c, fuse_req_t req, const struct inode *i,
		     const struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct stat st;
	int r = 0;

	/* Times are the plane's and are not set; tools that try are not refused for it. */
	if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) {
		r = -EPERM;
	} else if (to_set & FUSE_SET_ATTR_SIZE) {
		struct vfile *f = fi ? vfile_of(fi) : NULL;

		/* Without a handle there is nothing that could be committed later. */
		r = f && f->writable ? 0 : -EPERM;
		if (r == 0) {
			(void)pthread_mutex_lock(&f->content->lock);
			r = attr->st_size < 0
				    ? -EINVAL
				    : content_resize_locked(f->content, (size_t)attr->st_size);
			f->dirty = f->dirty || r == 0;
			(void)pthread_mutex_unlock(&f->content->lock);
		}
	}
	if (r < 0) {
		(void)fuse_reply_err(req, -r);
		return;
	}
	fill(c, i, &st);
	if (to_set & FUSE_SET_ATTR_SIZE) {
		st.st_size = attr->st_size;
	}
	(void)fuse_reply_attr(req, &st, 0);
}

/*
 * --- open ----------------------------------------------------------------------------------------
 */

/*
 * The content as of now; malloc'd.  NULL and *ret_error: -ENOMEM; -ENOENT: the record was removed.
 */
static char *content_of(struct control *c, const struct inode *i, size_t *ret_n, int *ret_error)
{
	struct view *v = plane_view(c->plane);
	const struct view_node *node;
	char *text = NULL;

	*ret_error = -ENOMEM;
	if (i->kind == INODE_MASTER) {
		text = strdup(view_lease(v, REQUEST_MASTER).holder);
	} else if (i->kind == INODE_PLANE_ID) {
		text = strdup(plane_id(c->plane));
	} else if (i->kind == INODE_LOG) {
		text = strdup(v->log->text);
	} else if (i->kind == INODE_PLANE_JSON) {
		text = render_plane(c->plane);
	} else if (i->kind == INODE_RECORD) {
		node = view_find_node(v, names_of(i)->name);
		text = node ? strdup(node->record) : NULL;
		*ret_error = node ? *ret_error : -ENOENT;
	}
	view_unref(v);
	*ret_n = text ? strlen(text) : 0;
	return text;
}

static bool is_writable(enum inode_kind kind)
{
	return kind == INODE_MASTER || kind == INODE_RECORD || kind == INODE_STAGING;
}

/* An open file on @i; -ENOMEM, -EACCES. */
static int vfile_new(struct control *c, struct inode *i, int flags, struct vfile **ret)
{
	struct vfile *f;
	char *text = NULL;
	size_t n = 0;
	int r;

	if ((flags & O_ACCMODE) != O_RDONLY && !is_writable(i->kind)) {
		return -EACCES;
	}
	f = calloc(1, sizeof(*f));
	if (!f) {
		return -ENOMEM;
	}
	f->kind = i->kind;
	f->writable = (flags & O_ACCMODE) != O_RDONLY;
	f->dirty = f->writable && (flags & O_TRUNC);
	if (i->kind == INODE_STAGING) {
		f->content = content_ref(names_of(i)->content);
	} else {
		if (i->kind == INODE_RECORD) {
			(void)snprintf(f->name, sizeof(f->name), "%s", names_of(i)->name);
		}
		if (!(flags & O_TRUNC) && i->kind != INODE_INDEX_DB) {
			text = content_of(c, i, &n, &r);
			if (!text) {
				free(f);
				return r;
			}
		}
		f->content = content_new(text, n);
	}
	if (!f->content) {
		free(f);
		return -ENOMEM;
	}
	if (i->kind == INODE_STAGING && f->dirty) {
		(void)pthread_mutex_lock(&f->content->lock);
		(void)content_resize_locked(f->content, 0);
		(void)pthread_mutex_unlock(&f->content->lock);
	}
	*ret = f;
	return 0;
}

static void set_handle(struct fuse_file_info *fi, struct vfile *f)
{
	fi->fh = (uint64_t)(uintptr_t)f;
	fi->direct_io = 1; /* the size is known only now, and nothing may be cached */
}

struct dump_open {
	struct control *control;
	fuse_req_t req;
	struct fuse_file_info fi;
	struct vfile *file;
};

static void on_dump(void *ctx, int result, const void *bytes, size_t n)
{
	struct dump_open *d = ctx;
	struct content *k = d->file->content;

	if (result == 0) {
		k->bytes = malloc(n);
		if (k->bytes) {
			memcpy(k->bytes, bytes, n);
			k->n = n;
			d->control->dump_bytes = n;
		} else {
			result = -ENOMEM;
		}
	}
	if (result < 0) {
		(void)fuse_reply_err(d->req, -result);
		vfile_free(d->file);
	} else if (fuse_reply_open(d->req, &d->fi) < 0) {
		vfile_free(d->file);
	}
	free(d);
}

/* index.db: only the plane's thread can tell what is in the database. */
static void open_dump(struct control *c, fuse_req_t req, struct vfile *f,
		      const struct fuse_file_info *fi)
{
	const struct request dump = {.verb = REQUEST_DUMP};
	struct dump_open *d = malloc(sizeof(*d));

	if (d) {
		*d = (struct dump_open){.control = c, .req = req, .fi = *fi, .file = f};
	}
	if (!d || plane_submit(c->plane, &dump, on_dump, d) < 0) {
		free(d);
		vfile_free(f);
		(void)fuse_reply_err(req, ENOMEM);
	}
}

void control_open(struct control *c, fuse_req_t req, struct inode *i, struct fuse_file_info *fi)
{
	struct vfile *f;
	int r = vfile_new(c, i, fi->flags, &f);

	if (r < 0) {
		(void)fuse_reply_err(req, -r);
		return;
	}
	set_handle(fi, f);
	if (i->kind == INODE_INDEX_DB) {
		open_dump(c, req, f, fi);
	} else if (fuse_reply_open(req, fi) < 0) {
		vfile_free(f);
	}
}

void control_create(struct control *c, fuse_req_t req, const struct inode *parent, const char *name,
		    struct fuse_file_info *fi)
{
	struct fuse_entry_param e;
	struct inode *i = NULL;
	struct vfile *f = NULL;
	int r = may_change_names(c, req) ? names_look_up(&c->names, parent, name, false, true, &i)
					 : -EACCES;

	if (r == 0) {
		/*
		 * A record that is new has nothing to show: what is committed is what is written.
		 */
		r = vfile_new(c, i, fi->flags | O_TRUNC, &f);
		if (r < 0) {
			control_forget(c, i, 1);
		}
	}
	if (r < 0) {
		(void)fuse_reply_err(req, -r);
		return;
	}
	set_handle(fi, f);
	e = entry_of(c, i);
	if (fuse_reply_create(req, &e, fi) < 0) {
		vfile_free(f);
		control_forget(c, i, 1);
	}
}

/*
 * --- read and write ------------------------------------------------------------------------------
 */

void control_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct content *k = vfile_of(fi)->content;
	size_t from, n;

	(void)pthread_mutex_lock(&k->lock);
	from = (size_t)offset < k->n ? (size_t)offset : k->n;
	n = k->n - from < size ? k->n - from : size;
	{
		_cleanup_free_ char *copy = malloc(n + 1);

		if (copy && n > 0) {
			memcpy(copy, k->bytes + from, n);
		}
		(void)pthread_mutex_unlock(&k->lock);
		if (copy) {
			(void)fuse_reply_buf(req, copy, n);
		} else {
			(void)fuse_reply_err(req, ENOMEM);
		}
	}
}

void control_write(fuse_req_t req, const char *bytes, size_t size, off_t offset,
		   struct fuse_file_info *fi)
{
	struct vfile *f = vfile_of(fi);
	struct content *k = f->content;
	size_t end;
	int r = 0;

	if (!f->writable) {
		(void)fuse_reply_err(req, EBADF);
		return;
	}
	if (offset < 0 || offset > CONTENT_MAX_BYTES || size > CONTENT_MAX_BYTES) {
		(void)fuse_reply_err(req, EFBIG);
		return;
	}
	end = (size_t)offset + size;
	(void)pthread_mutex_lock(&k->lock);
	if (end > k->n) {
		r = content_resize_locked(k, end);
	}
	if (r == 0 && size > 0) {
		memcpy(k->bytes + offset, bytes, size);
		f->dirty = true;
	}
	(void)pthread_mutex_unlock(&k->lock);
	if (r < 0) {
		(void)fuse_reply_err(req, -r);
	} else {
		(void)fuse_reply_write(req, size);
	}
}

/*
 * --- commit --------------------------------------------------------------------------------------
 */

/*
 * One commit under way.  A file's handle may be shared by processes (fork(2)), and any of them may
 * close it or fsync it meanwhile: whoever asks gets the result of the newest commit of what was
 * staged.
 */
struct commit {
	struct control *control;
	struct vfile *file; /* whose content it is; NULL: of a staging file, or a removal */
	struct waiter {
		struct waiter *next;
		fuse_req_t req;
	} * waiters; /* with .file: by .file->content->lock */
	char staging
		[NAMES_BYTES]; /* the file that was renamed, to be unlinked if it worked; "": none */
	bool in_nodes;
};

/* @req is to be answered with the result of @m.  -ENOMEM. */
static int wait_for(struct commit *m, fuse_req_t req)
{
	struct waiter *w = malloc(sizeof(*w));

	if (!w) {
		return -ENOMEM;
	}
	*w = (struct waiter){.next = m->waiters, .req = req};
	m->waiters = w;
	return 0;
}

/* NULL: out of memory. */
static struct commit *commit_new(struct control *c, fuse_req_t req)
{
	struct commit *m = calloc(1, sizeof(*m));

	if (m && wait_for(m, req) < 0) {
		free(m);
		return NULL;
	}
	if (m) {
		m->control = c;
	}
	return m;
}

static void on_committed(void *ctx, int result, const void *bytes, size_t n)
{
	struct commit *m = ctx;
	struct vfile *f = m->file;

	(void)bytes;
	(void)n;
	if (f) {
		/* The file stays open until those who wait are answered. */
		(void)pthread_mutex_lock(&f->content->lock);
		f->result = result;
		f->pending = f->pending == m ? NULL : f->pending;
		(void)pthread_mutex_unlock(&f->content->lock);
	}
	if (result == 0 && m->staging[0]) {
		(void)names_unlink(&m->control->names, m->in_nodes, m->staging);
	}
	while (m->waiters) {
		struct waiter *w = m->waiters;

		m->waiters = w->next;
		(void)fuse_reply_err(w->req, -result);
		free(w);
	}
	free(m);
}

/* What the bytes, written to a record or to `master`, ask of the plane.  -EINVAL. */
static int request_of(enum inode_kind kind, const char *name, char *text, size_t n,
		      struct request *ret)
{
	*ret = (struct request){0};
	if (kind == INODE_RECORD) {
		ret->verb = REQUEST_WRITE_RECORD;
		ret->text = text;
		ret->n = n;
		(void)snprintf(ret->node, sizeof(ret->node), "%s", name);
		return record_check(text, n, name, ret->status);
	}
	/* echo(1) ends its line. */
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' ')) {
		text[--n] = '\0';
	}
	(void)snprintf(ret->lease, sizeof(ret->lease), "%s", REQUEST_MASTER);
	ret->verb = n > 0 ? REQUEST_CLAIM : REQUEST_RELEASE;
	if (n > 0 && (strlen(text) != n || !parse_id_is_valid(text))) {
		return -EINVAL;
	}
	(void)snprintf(ret->node, sizeof(ret->node), "%s", text);
	return 0;
}

/* Carry out @m: commit @text (taken; NULL: out of memory) to the record @name or to `master`. */
static void commit(struct commit *m, enum inode_kind kind, const char *name, char *text, size_t n)
{
	_cleanup_free_ char *own = text;
	struct request request;
	int r = own ? request_of(kind, name, own, n, &request) : -ENOMEM;

	if (r == 0) {
		r = plane_submit(m->control->plane, &request, on_committed, m);
	}
	if (r < 0) {
		on_committed(m, r, NULL, 0);
	}
}

/*
 * Commit what @f has staged; if that was done already, or is under way, the result is that one's.
 */
static void commit_file(struct control *c, fuse_req_t req, struct vfile *f)
{
	struct commit *begun = NULL;
	char *text = NULL;
	size_t n = 0;
	int r = 0;
	bool answer = true;

	(void)pthread_mutex_lock(&f->content->lock);
	if (f->dirty && f->kind != INODE_STAGING) {
		begun = commit_new(c, req);
		answer = begun == NULL;
		r = begun ? 0 : -ENOMEM;
	} else if (f->pending) {
		r = wait_for(f->pending, req);
		answer = r < 0;
	} else {
		r = f->result;
	}
	if (begun) {
		text = content_copy_locked(f->content, &n);
		begun->file = f;
		f->pending = begun;
		f->dirty = false;
	}
	(void)pthread_mutex_unlock(&f->content->lock);
	if (begun) {
		commit(begun, f->kind, f->name, text, n);
	} else if (answer) {
		(void)fuse_reply_err(req, -r);
	}
}

void control_flush(struct control *c, fuse_req_t req, struct fuse_file_info *fi)
{
	commit_file(c, req, vfile_of(fi));
}

void control_fsync(struct control *c, fuse_req_t req, struct fuse_file_info *fi)
{
	struct vfile *f = vfile_of(fi);

	if (f->kind == INODE_RECORD && f->writable) {
		(void)pthread_mutex_lock(&c->lock);
		if (!f->is_life_line) {
			f->is_life_line = true;
			LIST_INSERT_HEAD(&c->life_lines, f, entry);
		}
		(void)pthread_mutex_unlock(&c->lock);
	}
	commit_file(c, req, f);
}

static void on_death(void *ctx, int result, const void *bytes, size_t n)
{
	(void)ctx;
	(void)result;
	(void)bytes;
	(void)n;
}

/* The last life line of its node? */
static bool cut_locked(struct control *c, struct vfile *f)
{
	const struct vfile *other;

	LIST_REMOVE(f, entry);
	LIST_FOREACH (other, &c->life_lines, entry) {
		if (strcmp(other->name, f->name) == 0) {
			return false;
		}
	}
	return true;
}

void control_release(struct control *c, fuse_req_t req, struct fuse_file_info *fi)
{
	struct vfile *f = vfile_of(fi);
	struct request died = {.verb = REQUEST_NODE_DIED};
	bool is_dead;

	(void)pthread_mutex_lock(&c->lock);
	is_dead = f->is_life_line && cut_locked(c, f);
	(void)pthread_mutex_unlock(&c->lock);
	if (is_dead) {
		(void)snprintf(died.node, sizeof(died.node), "%.*s", PARSE_ID_BYTES - 1, f->name);
		/* Without memory the node lapses after the timeout like one whose machine died. */
		(void)plane_submit(c->plane, &died, on_death, NULL);
	}
	vfile_free(f);
	(void)fuse_reply_err(req, 0);
}

void control_unlink(struct control *c, fuse_req_t req, const struct inode *parent, const char *name)
{
	bool in_nodes = parent->kind == INODE_NODES;
	struct request removal = {.verb = REQUEST_REMOVE_RECORD};
	struct commit *m;

	if (parent->kind == INODE_CONTROL || names_fixed_kind(parent, name) != INODE_KIND_MAX_ ||
	    !may_change_names(c, req)) {
		(void)fuse_reply_err(req, EPERM);
		return;
	}
	if (names_is_staging(in_nodes, name)) {
		(void)fuse_reply_err(req, -names_unlink(&c->names, in_nodes, name));
		return;
	}
	if (!parse_id_is_valid(name)) {
		(void)fuse_reply_err(req, ENOENT);
		return;
	}
	m = commit_new(c, req);
	if (!m) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	(void)snprintf(removal.node, sizeof(removal.node), "%s", name);
	if (plane_submit(c->plane, &removal, on_committed, m) < 0) {
		on_committed(m, -ENOMEM, NULL, 0);
	}
}
void control_rename(struct control *c, fuse_req_t req, const struct inode *parent, const char *name,
		    const struct inode *new_parent, const char *new_name)
{
	bool in_nodes = parent->kind == INODE_NODES;
	bool to_master = names_fixed_kind(new_parent, new_name) == INODE_MASTER;
	bool to_record = new_parent->kind == INODE_NODES && parse_id_is_valid(new_name);
	struct content *staged = NULL;
	struct commit *m;
	char *text;
	size_t n = 0;

	if (!may_change_names(c, req)) {
		(void)fuse_reply_err(req, EACCES);
		return;
	}
	if (parent == new_parent && (to_master || to_record)) {
		staged = names_staged(&c->names, in_nodes, name);
	}
	if (!staged) {
		/* Between the index and the share there is no way but copying. */
		(void)fuse_reply_err(req, EXDEV);
		return;
	}
	(void)pthread_mutex_lock(&staged->lock);
	text = content_copy_locked(staged, &n);
	(void)pthread_mutex_unlock(&staged->lock);
	content_unref(staged);
	m = commit_new(c, req);
	if (!m) {
		free(text);
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	m->in_nodes = in_nodes;
	(void)snprintf(m->staging, sizeof(m->staging), "%s", name);
	commit(m, to_master ? INODE_MASTER : INODE_RECORD, new_name, text, n);
}

/*
 * --- directories and attributes
 * --------------------------------------------------------------------
 */

static int list_root(control_add_fn *add, void *ctx)
{
	const struct inode root = {.kind = INODE_PASS};
	int r = 0;

	for (size_t i = 0; r == 0 && names_of_root[i]; i++) {
		enum inode_kind kind = names_fixed_kind(&root, names_of_root[i]);

		r = add(ctx, names_of_root[i], mode_of(kind), NAMES_INO_FIXED + kind);
	}
	return r;
}

static int list_nodes(struct control *c, control_add_fn *add, void *ctx)
{
	struct view *v = plane_view(c->plane);
	int r = 0;

	for (size_t i = 0; r == 0 && i < v->n_nodes; i++) {
		r = add(ctx, v->nodes[i].id, S_IFREG, names_ino(true, v->nodes[i].id));
	}
	view_unref(v);
	return r;
}

struct staging_walk {
	control_add_fn *add;
	void *ctx;
	bool in_nodes;
};

static int add_staging(void *ctx, const char *name)
{
	const struct staging_walk *w = ctx;

	return w->add(w->ctx, name, S_IFREG, names_ino(w->in_nodes, name));
}

int control_list(struct control *c, const struct inode *dir, control_add_fn *add, void *ctx)
{
	bool in_nodes = dir->kind == INODE_NODES;
	struct staging_walk w = {add, ctx, in_nodes};
	int r;

	if (dir->kind == INODE_CONTROL) {
		r = add(ctx, "plane.json", S_IFREG, NAMES_INO_FIXED + INODE_PLANE_JSON);
		return r ? r : add(ctx, "index.db", S_IFREG, NAMES_INO_FIXED + INODE_INDEX_DB);
	}
	r = in_nodes ? list_nodes(c, add, ctx) : list_root(add, ctx);
	return r ? r : names_each_staging(&c->names, in_nodes, add_staging, &w);
}

bool control_has_xattr(const char *name)
{
	return strncmp(name, XATTR_PREFIX, strlen(XATTR_PREFIX)) == 0;
}

static int master_xattr(struct control *c, const char *name, char **ret)
{
	struct view *v = plane_view(c->plane);
	struct index_lease master = view_lease(v, REQUEST_MASTER);
	const struct view_node *holder = view_find_node(v, master.holder);
	uint64_t now_ms = clock_boot_ms(), end_ms = 0;
	int n = -1;

	if (holder && holder->ours) {
		end_ms = holder->deadline_ms;
	}
	if (strcmp(name, XATTR_PREFIX "epoch") == 0) {
		n = asprintf(ret, "%" PRIu64, master.epoch);
	} else if (strcmp(name, XATTR_PREFIX "holder") == 0) {
		n = asprintf(ret, "%s", master.holder);
	} else if (strcmp(name, XATTR_PREFIX "remaining_ms") == 0 && end_ms != 0) {
		n = asprintf(ret, "%" PRIu64, end_ms > now_ms ? end_ms - now_ms : 0);
	} else {
		n = -ENODATA;
	}
	view_unref(v);
	return n == -1 ? -ENOMEM : n;
}

int control_getxattr(struct control *c, const struct inode *i, const char *name, char **ret_value)
{
	int n = -ENODATA;

	if (i->kind == INODE_MASTER) {
		return master_xattr(c, name, ret_value);
	}
	if (i->kind != INODE_PASS) {
		return -ENODATA;
	}
	if (strcmp(name, XATTR_PREFIX "version") == 0) {
		n = asprintf(ret_value, "%s", HOLDFAST_VERSION);
	} else if (strcmp(name, XATTR_PREFIX "plane_id") == 0) {
		n = asprintf(ret_value, "%s", plane_id(c->plane));
	} else if (strcmp(name, XATTR_PREFIX "mount_id") == 0) {
		n = asprintf(ret_value, "%s", plane_mount_id(c->plane));
	}
	return n == -1 ? -ENOMEM : n;
}

const char *control_listxattr(const struct inode *i, size_t *ret_n)
{
	static const char of_root[] =
		XATTR_PREFIX "version\0" XATTR_PREFIX "plane_id\0" XATTR_PREFIX "mount_id";
	static const char of_master[] =
		XATTR_PREFIX "epoch\0" XATTR_PREFIX "holder\0" XATTR_PREFIX "remaining_ms";

	if (i->kind == INODE_MASTER) {
		*ret_n = sizeof(of_master);
		return of_master;
	}
	*ret_n = i->kind == INODE_PASS ? sizeof(of_root) : 0;
	return of_root;
}
