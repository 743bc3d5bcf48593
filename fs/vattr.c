/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vattr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "fs/names.h"
#include "fs/render.h"
#include "fs/vkind.h"

static void set_times(struct stat *st, int64_t ms)
{
	st->st_mtim.tv_sec = (time_t)(ms / 1000);
	st->st_mtim.tv_nsec = (long)(ms % 1000) * 1000000;
	st->st_ctim = st->st_atim = st->st_mtim;
}

void vattr_stat(struct plane *p, const struct inode *i, struct stat *ret)
{
	const struct vkind *kind = &vkinds[i->kind];
	struct view *v = plane_view(p);
	struct vkind_facts facts = {.mtime_ms = v->mtime_ms};

	if (i->kind == INODE_STAGING) {
		struct content *k = names_of(i)->content;

		(void)pthread_mutex_lock(&k->lock);
		facts.n = k->n;
		(void)pthread_mutex_unlock(&k->lock);
	} else if (kind->facts) {
		/* One that was removed, and is still open, is empty. */
		(void)kind->facts(p, v, names_name(i), &facts);
	}
	view_unref(v);
	*ret = (struct stat){.st_ino = i->ino,
			     .st_mode = kind->mode,
			     .st_nlink = S_ISDIR(kind->mode) ? 2 : 1,
			     .st_size = (off_t)facts.n,
			     .st_blksize = 4096};
	set_times(ret, facts.mtime_ms);
}

/*
 * Extended attributes: each function gives the value as of @v of the file @name, as asprintf(3)
 * does, or -ENODATA.
 */
typedef int value_fn(struct plane *p, const struct view *v, const char *name, char **ret);

static int version(struct plane *p, const struct view *v, const char *name, char **ret)
{
	(void)p;
	(void)v;
	(void)name;
	return asprintf(ret, "%s", HOLDFAST_VERSION);
}

static int id_of_plane(struct plane *p, const struct view *v, const char *name, char **ret)
{
	(void)v;
	(void)name;
	return asprintf(ret, "%s", plane_id(p));
}

static int id_of_mount(struct plane *p, const struct view *v, const char *name, char **ret)
{
	(void)v;
	(void)name;
	return asprintf(ret, "%s", plane_mount_id(p));
}

static int lease_epoch(struct plane *p, const struct view *v, const char *name, char **ret)
{
	(void)p;
	return asprintf(ret, "%" PRIu64, view_lease(v, name).epoch);
}

static int lease_holder(struct plane *p, const struct view *v, const char *name, char **ret)
{
	(void)p;
	return asprintf(ret, "%s", view_lease(v, name).holder);
}

static int lease_remaining(struct plane *p, const struct view *v, const char *name, char **ret)
{
	uint64_t ms;

	(void)p;
	if (!render_remaining_ms(v, name, clock_boot_ms(), &ms)) {
		return -ENODATA;
	}
	return asprintf(ret, "%" PRIu64, ms);
}

static int lease_timeout(struct plane *p, const struct view *v, const char *name, char **ret)
{
	(void)p;
	return asprintf(ret, "%" PRIu64, view_lease_timeout_ms(v, name));
}

/* What setting it to @text asks of the plane of the file @name.  -EINVAL. */
typedef int setter_fn(const char *name, const char *text, struct request *ret);

static int set_lease_timeout(const char *name, const char *text, struct request *ret)
{
	struct request q = {.verb = REQUEST_SET_TIMEOUT};

	if (parse_u64(text, &q.timeout_ms) < 0) {
		return -EINVAL;
	}
	(void)snprintf(q.name, sizeof(q.name), "%s", name);
	*ret = q;
	return 0;
}

static const struct attribute {
	enum inode_kind kind;
	const char *name;
	value_fn *value;
	setter_fn *set; /* NULL: it cannot be set */
} attributes[] = {
	{INODE_PASS, VATTR_PREFIX "version", version, NULL},
	{INODE_PASS, VATTR_PLANE_ID, id_of_plane, NULL},
	{INODE_PASS, VATTR_PREFIX "mount_id", id_of_mount, NULL},
	{INODE_MASTER, VATTR_PREFIX "epoch", lease_epoch, NULL},
	{INODE_MASTER, VATTR_PREFIX "holder", lease_holder, NULL},
	{INODE_MASTER, VATTR_PREFIX "remaining_ms", lease_remaining, NULL},
	{INODE_MASTER, VATTR_PREFIX "timeout_ms", lease_timeout, NULL},
	{INODE_LEASE, VATTR_PREFIX "epoch", lease_epoch, NULL},
	{INODE_LEASE, VATTR_PREFIX "holder", lease_holder, NULL},
	{INODE_LEASE, VATTR_PREFIX "remaining_ms", lease_remaining, NULL},
	{INODE_LEASE, VATTR_PREFIX "timeout_ms", lease_timeout, set_lease_timeout},
};

#define N_ATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

bool vattr_is_ours(const char *name)
{
	return strncmp(name, VATTR_PREFIX, strlen(VATTR_PREFIX)) == 0;
}

int vattr_get(struct plane *p, const struct inode *i, const char *name, char **ret_value)
{
	char *value = NULL;
	struct view *v;
	int n = -ENODATA;

	for (size_t k = 0; k < N_ATTRIBUTES; k++) {
		if (attributes[k].kind == i->kind && strcmp(attributes[k].name, name) == 0) {
			v = plane_view(p);
			n = attributes[k].value(p, v, names_name(i), &value);
			view_unref(v);
		}
	}
	if (n == -1) {
		return -ENOMEM; /* asprintf()'s */
	}
	if (n >= 0) {
		*ret_value = value;
	}
	return n;
}

size_t vattr_list(const struct inode *i, char ret[XATTR_LIST_MAX])
{
	size_t n = 0;

	for (size_t k = 0; k < N_ATTRIBUTES; k++) {
		if (attributes[k].kind == i->kind) {
			size_t length = strlen(attributes[k].name) + 1;

			memcpy(ret + n, attributes[k].name, length);
			n += length;
		}
	}
	return n;
}

int vattr_to_request(const struct inode *i, const char *name, const char *value, size_t n,
		     struct request *ret)
{
	char text[32] = "";

	for (size_t k = 0; k < N_ATTRIBUTES; k++) {
		const struct attribute *a = &attributes[k];

		if (a->kind == i->kind && a->set && strcmp(a->name, name) == 0) {
			if (n >= sizeof(text) || memchr(value, '\0', n)) {
				return -EINVAL;
			}
			memcpy(text, value, n);
			return a->set(names_name(i), text, ret);
		}
	}
	return -EPERM;
}
