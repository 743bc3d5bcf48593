/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/call.h"
#include "fs/lifeline.h"
#include "fs/names.h"
#include "fs/poller.h"
#include "fs/staged.h"
#include "fs/vattr.h"
#include "fs/vdump.h"
#include "fs/vfile.h"
#include "fs/vkind.h"

struct control {
	struct plane *plane;
	uid_t uid;
	gid_t gid;
	struct names names;
	struct lifelines lines;
	struct lockfiles locks;
	struct pollers pollers;
	atomic_size_t dump_bytes; /* size of index.db when it was opened last */
};

/* The plane thread has a new view. */
static void on_view(void *ctx)
{
	struct control *c = ctx;

	lockfiles_on_view(&c->locks);
	pollers_wake(&c->pollers);
}

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
	lifelines_init(&c->lines);
	lockfiles_init(&c->locks, plane);
	pollers_init(&c->pollers);
	plane_watch(plane, on_view, c);
	*ret = c;
	return 0;
}

void control_stop(struct control *c)
{
	plane_watch(c->plane, NULL, NULL);
	lockfiles_stop(&c->locks);
}

void control_free(struct control *c)
{
	names_done(&c->names);
	lifelines_done(&c->lines);
	lockfiles_done(&c->locks);
	pollers_done(&c->pollers);
	free(c);
}

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
	       (parent_is_root && vkind_find(INODE_PASS, name) != INODE_KIND_MAX_);
}

static struct stat stat_of(struct control *c, const struct inode *i)
{
	struct stat st;

	vattr_stat(c->plane, i, &st);
	st.st_uid = c->uid;
	st.st_gid = c->gid;
	if (i->kind == INODE_INDEX_DB) {
		/* SQLite asks for the size after it opened: each open sets it. */
		st.st_size = (off_t)c->dump_bytes;
	}
	return st;
}

static struct fuse_entry_param entry_of(struct control *c, struct inode *i)
{
	return (struct fuse_entry_param){
		.ino = (fuse_ino_t)(uintptr_t)i,
		.generation = 1,
		.attr = stat_of(c, i),
	};
}

/* Does the plane have the file @name?  Of staging files it knows nothing. */
static bool is_on_plane(struct control *c, const struct inode *parent, const char *name)
{
	enum inode_kind kind = vkind_find(parent->kind, name);
	struct vkind_facts facts;
	struct view *v;
	bool exists;

	if (kind == INODE_KIND_MAX_ || !vkinds[kind].facts) {
		return false;
	}
	v = plane_view(c->plane);
	exists = vkinds[kind].facts(c->plane, v, name, &facts) == 0;
	view_unref(v);
	return exists;
}

void control_lookup(struct control *c, fuse_req_t req, const struct inode *parent, const char *name)
{
	bool exists = is_on_plane(c, parent, name);
	struct fuse_entry_param e;
	struct inode *i;
	int r = names_look_up(&c->names, parent, name, exists, false, &i);

	if (r < 0) {
		call_reply(req, r);
		return;
	}
	e = entry_of(c, i);
	if (fuse_reply_entry(req, &e) < 0) {
		control_forget(c, i, 1);
	}
}

void control_forget(struct control *c, struct inode *i, uint64_t n)
{
	names_forget(&c->names, i, n);
}

void control_getattr(struct control *c, fuse_req_t req, const struct inode *i)
{
	struct stat st = stat_of(c, i);

	(void)fuse_reply_attr(req, &st, 0);
}

static struct vfile *vfile_of(const struct fuse_file_info *fi)
{
	return (struct vfile *)(uintptr_t)fi->fh; /* NOLINT(performance-no-int-to-ptr) */
}

static void set_handle(struct fuse_file_info *fi, struct vfile *f)
{
	fi->fh = (uint64_t)(uintptr_t)f;
	fi->direct_io = 1; /* the size is known only now, and nothing may be cached */
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
		/* Without a handle there is nothing that could be committed later. */
		r = fi ? vfile_resize(vfile_of(fi), attr->st_size) : -EPERM;
	}
	if (r < 0) {
		call_reply(req, r);
		return;
	}
	st = stat_of(c, i);
	if (to_set & FUSE_SET_ATTR_SIZE) {
		st.st_size = attr->st_size;
	}
	(void)fuse_reply_attr(req, &st, 0);
}

void control_open(struct control *c, fuse_req_t req, struct inode *i, struct fuse_file_info *fi)
{
	struct vfile *f;
	int r = vfile_new(c->plane, i, fi->flags, &f);

	if (r < 0) {
		call_reply(req, r);
		return;
	}
	set_handle(fi, f);
	if (i->kind == INODE_INDEX_DB) {
		vdump_open(c->plane, req, fi, f, &c->dump_bytes);
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
		/* A new record has nothing to show: what is committed is what is written. */
		r = vfile_new(c->plane, i, fi->flags | O_TRUNC, &f);
		if (r < 0) {
			control_forget(c, i, 1);
		}
	}
	if (r < 0) {
		call_reply(req, r);
		return;
	}
	set_handle(fi, f);
	e = entry_of(c, i);
	if (fuse_reply_create(req, &e, fi) < 0) {
		vfile_free(f);
		control_forget(c, i, 1);
	}
}

/* Has it lost the lock that it held? */
static bool is_lost(struct control *c, struct vfile *f)
{
	return f->kind == INODE_LOCK && lockfile_check(&c->locks, &f->lock, f->name) < 0;
}

void control_flock(struct control *c, fuse_req_t req, const struct inode *i,
		   struct fuse_file_info *fi, int op)
{
	struct vfile *f = vfile_of(fi);

	if (i->kind == INODE_LOCK) {
		lockfile_flock(&c->locks, req, &f->lock, f->name, op);
	} else {
		call_reply(req, -ENOTSUP);
	}
}

void control_read(struct control *c, fuse_req_t req, size_t size, off_t offset,
		  struct fuse_file_info *fi)
{
	_cleanup_free_ char *bytes = NULL;
	size_t n = 0;
	struct vfile *f = vfile_of(fi);
	int r = is_lost(c, f) ? -EIO : vfile_read(c->plane, f, size, offset, &bytes, &n);

	if (r < 0) {
		call_reply(req, r);
	} else {
		(void)fuse_reply_buf(req, bytes, n);
	}
}

void control_write(struct control *c, fuse_req_t req, const char *bytes, size_t size, off_t offset,
		   struct fuse_file_info *fi)
{
	struct vfile *f = vfile_of(fi);
	int r = is_lost(c, f) ? -EIO : vfile_write(f, bytes, size, offset);

	if (r < 0) {
		call_reply(req, r);
	} else {
		(void)fuse_reply_write(req, size);
	}
}

void control_flush(struct control *c, fuse_req_t req, struct fuse_file_info *fi)
{
	staged_commit_file(c->plane, req, vfile_of(fi), NULL);
}

void control_fsync(struct control *c, fuse_req_t req, struct fuse_file_info *fi)
{
	struct vfile *f = vfile_of(fi);
	bool ties = f->writable && vkinds[f->kind].has_life_line;

	if (is_lost(c, f)) {
		call_reply(req, -EIO);
		return;
	}
	staged_commit_file(c->plane, req, f, ties ? &c->lines : NULL);
}

void control_release(struct control *c, fuse_req_t req, struct fuse_file_info *fi)
{
	struct vfile *f = vfile_of(fi);
	struct request died = {.verb = REQUEST_NODE_DIED};

	if (lifeline_cut(&c->lines, &f->line)) {
		(void)snprintf(died.node, sizeof(died.node), "%.*s", PARSE_ID_BYTES - 1, f->name);
		/* Without memory the node lapses after the timeout like one whose machine died. */
		(void)plane_submit(c->plane, &died, NULL, NULL);
	}
	lockfile_release(&c->locks, &f->lock, f->name);
	poller_disarm(&c->pollers, &f->poller);
	vfile_free(f);
	call_reply(req, 0);
}

void control_poll(struct control *c, fuse_req_t req, struct fuse_file_info *fi,
		  struct fuse_pollhandle *handle)
{
	struct vfile *f = vfile_of(fi);

	if (!vkinds[f->kind].has_news) {
		poller_decline(req, handle);
		return;
	}
	poller_arm(&c->pollers, &f->poller, handle);
	(void)fuse_reply_poll(req, vfile_is_behind(c->plane, f) ? POLLIN | POLLRDNORM : 0);
}

void control_unlink(struct control *c, fuse_req_t req, const struct inode *parent, const char *name)
{
	enum inode_kind kind = vkind_find(parent->kind, name);

	if (!may_change_names(c, req)) {
		call_reply(req, -EACCES);
	} else if (kind == INODE_KIND_MAX_) {
		call_reply(req, -ENOENT);
	} else if (kind == INODE_STAGING) {
		call_reply(req, names_unlink(&c->names, parent->kind, name));
	} else if (vkinds[kind].to_removal) {
		staged_commit_removal(c->plane, req, kind, name);
	} else {
		call_reply(req, -EPERM);
	}
}

void control_rename(struct control *c, fuse_req_t req, const struct inode *parent, const char *name,
		    const struct inode *new_parent, const char *new_name)
{
	enum inode_kind target = vkind_find(new_parent->kind, new_name);
	struct content *staged = NULL;

	if (!may_change_names(c, req)) {
		call_reply(req, -EACCES);
		return;
	}
	if (parent == new_parent && target != INODE_KIND_MAX_ && vkinds[target].to_request) {
		staged = names_staged(&c->names, parent->kind, name);
	}
	if (!staged) {
		/* Between the index and the share there is no way but copying. */
		call_reply(req, -EXDEV);
		return;
	}
	staged_commit_rename(c->plane, req, &c->names, parent->kind, name, staged, target,
			     new_name);
}

struct list_walk {
	control_add_fn *add;
	void *ctx;
	enum inode_kind dir;
};

static int list_fixed(const struct list_walk *w)
{
	int r = 0;

	for (unsigned kind = 0; r == 0 && kind < INODE_KIND_MAX_; kind++) {
		const struct vkind *k = &vkinds[kind];

		if (k->name && k->dir == w->dir) {
			r = w->add(w->ctx, k->name, k->mode & S_IFMT, NAMES_INO_FIXED + kind);
		}
	}
	return r;
}

static int list_ids(struct control *c, const struct list_walk *w)
{
	const struct vkind *dir = &vkinds[w->dir];
	struct view *v;
	const char *id;
	int r = 0;

	if (!dir->id_at) {
		return 0;
	}
	v = plane_view(c->plane);
	for (size_t i = 0; r == 0 && (id = dir->id_at(v, i)); i++) {
		r = w->add(w->ctx, id, S_IFREG, names_ino(w->dir, id));
	}
	view_unref(v);
	return r;
}

static int list_staging(void *ctx, const char *name)
{
	const struct list_walk *w = ctx;

	return w->add(w->ctx, name, S_IFREG, names_ino(w->dir, name));
}

int control_list(struct control *c, const struct inode *dir, control_add_fn *add, void *ctx)
{
	struct list_walk w = {add, ctx, dir->kind};
	int r = list_fixed(&w);

	if (r == 0) {
		r = list_ids(c, &w);
	}
	return r ? r : names_each_staging(&c->names, dir->kind, list_staging, &w);
}
