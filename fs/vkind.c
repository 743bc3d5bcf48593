/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vkind.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "fs/jsonmem.h"
#include "fs/lease.h"
#include "fs/record.h"
#include "fs/render.h"
#include "fs/store.h"

static int copy(const char *text, char **ret)
{
	char *mine = strdup(text);

	if (!mine) {
		return -ENOMEM;
	}
	*ret = mine;
	return 0;
}

static const char *node_id_at(const struct view *v, size_t i)
{
	return i < v->n_nodes ? v->nodes[i].id : NULL;
}

static int record_facts(struct plane *p, const struct view *v, const char *name,
			struct vkind_facts *ret)
{
	const struct view_node *node = view_find_node(v, name);

	(void)p;
	if (!node) {
		return -ENOENT;
	}
	*ret = (struct vkind_facts){.n = node->n, .mtime_ms = node->mtime_ms};
	return 0;
}

static int record_text(struct plane *p, const struct view *v, const char *name, char **ret)
{
	const struct view_node *node = view_find_node(v, name);

	(void)p;
	return node ? copy(node->record, ret) : -ENOENT;
}

static int record_request(const char *name, const char *text, size_t n, struct request *ret)
{
	struct request q = {.verb = REQUEST_WRITE_RECORD, .text = text, .n = n};
	int r = record_check(text, n, name, q.status);

	if (r < 0) {
		return r;
	}
	(void)snprintf(q.node, sizeof(q.node), "%s", name);
	*ret = q;
	return 0;
}

static void record_removal(const char *name, struct request *ret)
{
	*ret = (struct request){.verb = REQUEST_REMOVE_RECORD};
	(void)snprintf(ret->node, sizeof(ret->node), "%s", name);
}

/* `master` is there before it was ever granted. */
static bool has_lease(const struct view *v, const char *name)
{
	return strcmp(name, LEASE_MASTER) == 0 || view_lease(v, name).exists;
}

static const char *lease_name_at(const struct view *v, size_t i)
{
	if (!view_lease(v, LEASE_MASTER).exists && i-- == 0) {
		return LEASE_MASTER;
	}
	return i < v->n_leases ? v->leases[i].name : NULL;
}

static int lease_facts(struct plane *p, const struct view *v, const char *name,
		       struct vkind_facts *ret)
{
	struct index_lease lease = view_lease(v, name);

	(void)p;
	if (!has_lease(v, name)) {
		return -ENOENT;
	}
	*ret = (struct vkind_facts){.n = strlen(lease.holder), .mtime_ms = v->mtime_ms};
	return 0;
}

static int lease_text(struct plane *p, const struct view *v, const char *name, char **ret)
{
	(void)p;
	return has_lease(v, name) ? copy(view_lease(v, name).holder, ret) : -ENOENT;
}

/* It will be printed: one line, and not cut off. */
static bool is_line(const char *text, size_t room)
{
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f) {
			return false;
		}
	}
	return strlen(text) < room;
}

/* A node's id claims the lease, nothing gives it back.  A second line is the reason. */
static int lease_request(const char *name, const char *text, size_t n, struct request *ret)
{
	struct request q = {0};
	const char *end = memchr(text, '\n', n);
	size_t n_why;

	/* echo(1) ends its line. */
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' ')) {
		n--;
	}
	if (end && end < text + n) {
		n_why = (size_t)(text + n - end) - 1;
		n = (size_t)(end - text);
		if (n == 0 || n_why >= sizeof(q.why)) {
			return -EINVAL;
		}
		memcpy(q.why, end + 1, n_why);
		if (strlen(q.why) != n_why || !is_line(q.why, sizeof(q.why))) {
			return -EINVAL;
		}
	}
	if (n >= sizeof(q.node)) {
		return -EINVAL;
	}
	memcpy(q.node, text, n);
	/* A byte 0 would hide what stands behind it. */
	if (n > 0 && (strlen(q.node) != n || !parse_id_is_valid(q.node))) {
		return -EINVAL;
	}
	q.verb = n > 0 ? REQUEST_CLAIM : REQUEST_RELEASE;
	(void)snprintf(q.name, sizeof(q.name), "%s", name);
	*ret = q;
	return 0;
}

static void lease_removal(const char *name, struct request *ret)
{
	*ret = (struct request){.verb = REQUEST_REMOVE_LEASE};
	(void)snprintf(ret->name, sizeof(ret->name), "%s", name);
}

/* {"nodeId", "reason", "user"}: all of them texts, and only the reason may be empty. */
static int fence_request(const char *name, const char *text, size_t n, struct request *ret)
{
	unsigned refused = jsonmem_refused();
	json_auto_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	struct request q = {.verb = REQUEST_FENCE};
	const char *node, *reason, *user;

	(void)name;
	if (jsonmem_refused() != refused) {
		return -ENOMEM;
	}
	if (json_unpack(root, "{s:s, s:s, s:s}", "nodeId", &node, "reason", &reason, "user",
			&user) < 0) {
		return -EINVAL;
	}
	if (!parse_id_is_valid(node) || !user[0] || !is_line(user, sizeof(q.who)) ||
	    !is_line(reason, sizeof(q.why))) {
		return -EINVAL;
	}
	(void)snprintf(q.node, sizeof(q.node), "%s", node);
	(void)snprintf(q.who, sizeof(q.who), "%s", user);
	(void)snprintf(q.why, sizeof(q.why), "%s", reason);
	*ret = q;
	return 0;
}

/*
 * {"nodeId", "user"}, and if wanted "atTimestamp", "cancel".  An empty id: whom the master finds
 * best.
 */
static int switchover_request(const char *name, const char *text, size_t n, struct request *ret)
{
	json_auto_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	struct request q = {.verb = REQUEST_SWITCHOVER};
	const char *node, *user;
	json_int_t at_ms = 0;
	int cancel = 0;

	(void)name;
	if (json_unpack(root, "{s:s, s:s, s?I, s?b}", "nodeId", &node, "user", &user, "atTimestamp",
			&at_ms, "cancel", &cancel) < 0) {
		return -EINVAL;
	}
	if ((node[0] && !parse_id_is_valid(node)) || at_ms < 0 || !user[0] ||
	    !is_line(user, sizeof(q.who))) {
		return -EINVAL;
	}
	(void)snprintf(q.node, sizeof(q.node), "%s", node);
	(void)snprintf(q.who, sizeof(q.who), "%s", user);
	q.at_wall_ms = (uint64_t)at_ms;
	q.off = cancel;
	*ret = q;
	return 0;
}

/* {"paused", "reason", "user"}: only the reason may be empty. */
static int pause_request(const char *name, const char *text, size_t n, struct request *ret)
{
	json_auto_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	struct request q = {.verb = REQUEST_PAUSE};
	const char *reason, *user;
	int paused;

	(void)name;
	if (json_unpack(root, "{s:b, s:s, s:s}", "paused", &paused, "reason", &reason, "user",
			&user) < 0) {
		return -EINVAL;
	}
	if (!user[0] || !is_line(user, sizeof(q.who)) || !is_line(reason, sizeof(q.why))) {
		return -EINVAL;
	}
	(void)snprintf(q.who, sizeof(q.who), "%s", user);
	(void)snprintf(q.why, sizeof(q.why), "%s", reason);
	q.off = !paused;
	*ret = q;
	return 0;
}

static int plane_id_facts(struct plane *p, const struct view *v, const char *name,
			  struct vkind_facts *ret)
{
	(void)name;
	*ret = (struct vkind_facts){.n = strlen(plane_id(p)), .mtime_ms = v->mtime_ms};
	return 0;
}

static int plane_id_text(struct plane *p, const struct view *v, const char *name, char **ret)
{
	(void)v;
	(void)name;
	return copy(plane_id(p), ret);
}

static int log_facts(struct plane *p, const struct view *v, const char *name,
		     struct vkind_facts *ret)
{
	(void)p;
	(void)name;
	*ret = (struct vkind_facts){.n = v->log->n, .mtime_ms = v->mtime_ms};
	return 0;
}

static int log_text(struct plane *p, const struct view *v, const char *name, char **ret)
{
	(void)p;
	(void)name;
	return copy(v->log->text, ret);
}

static int plane_json_text(struct plane *p, const struct view *v, const char *name, char **ret)
{
	char *text = render_plane(p, v);

	(void)name;
	if (!text) {
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}

/* The first place in the queue of each lock stands for its name. */
static bool is_first_of_name(const struct view *v, size_t i)
{
	for (size_t before = 0; before < i; before++) {
		if (strcmp(v->locks[before].name, v->locks[i].name) == 0) {
			return false;
		}
	}
	return true;
}

static const char *lock_id_at(const struct view *v, size_t i)
{
	for (size_t at = 0; at < v->n_locks; at++) {
		if (is_first_of_name(v, at) && i-- == 0) {
			return v->locks[at].name;
		}
	}
	return NULL;
}

static int lock_text(struct plane *p, const struct view *v, const char *name, char **ret)
{
	char *text = render_lock(v, name);

	(void)p;
	if (!text) {
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}

/* Every name is there: a lock that nobody has is free.  Its length is known when it is opened. */
static int lock_facts(struct plane *p, const struct view *v, const char *name,
		      struct vkind_facts *ret)
{
	(void)p;
	(void)name;
	*ret = (struct vkind_facts){.mtime_ms = v->mtime_ms};
	return 0;
}

const struct vkind vkinds[INODE_KIND_MAX_] = {
	[INODE_LOCKS] = {.name = "locks",
			 .dir = INODE_CONTROL,
			 .mode = S_IFDIR | 0755,
			 .children = INODE_LOCK,
			 .id_at = lock_id_at},
	[INODE_LOCK] = {.mode = S_IFREG | 0666,
			.facts = lock_facts,
			.text = lock_text,
			.ignores_writes = true},
	[INODE_NODES] = {.name = "nodes",
			 .mode = S_IFDIR | 0755,
			 .children = INODE_RECORD,
			 .id_at = node_id_at},
	[INODE_RECORD] = {.mode = S_IFREG | 0644,
			  .has_life_line = true,
			  .facts = record_facts,
			  .text = record_text,
			  .to_request = record_request,
			  .to_removal = record_removal},
	[INODE_STAGING] = {.mode = S_IFREG | 0644},
	[INODE_MASTER] = {.name = LEASE_MASTER,
			  .mode = S_IFREG | 0644,
			  .facts = lease_facts,
			  .text = lease_text,
			  .to_request = lease_request},
	[INODE_PLANE_ID] = {.name = "planeId",
			    .mode = S_IFREG | 0444,
			    .facts = plane_id_facts,
			    .text = plane_id_text},
	[INODE_LOG] = {.name = "change.log",
		       .mode = S_IFREG | 0444,
		       .facts = log_facts,
		       .text = log_text},
	[INODE_CONTROL] = {.name = STORE_DIRECTORY, .mode = S_IFDIR | 0755},
	[INODE_PLANE_JSON] = {.name = "plane.json",
			      .dir = INODE_CONTROL,
			      .mode = S_IFREG | 0444,
			      .has_news = true,
			      .text = plane_json_text},
	/* It shows everything, what the other names leave out as well. */
	[INODE_INDEX_DB] = {.name = "index.db", .dir = INODE_CONTROL, .mode = S_IFREG | 0400},
	/* It has nothing to show, and nobody but the owner is to know of it. */
	[INODE_FENCE] = {.name = "fence",
			 .dir = INODE_CONTROL,
			 .mode = S_IFREG | 0600,
			 .to_request = fence_request},
	[INODE_SWITCHOVER] = {.name = "switchover",
			      .dir = INODE_CONTROL,
			      .mode = S_IFREG | 0600,
			      .to_request = switchover_request},
	[INODE_PAUSE] = {.name = "pause",
			 .dir = INODE_CONTROL,
			 .mode = S_IFREG | 0600,
			 .to_request = pause_request},
	[INODE_LEASES] = {.name = "leases",
			  .dir = INODE_CONTROL,
			  .mode = S_IFDIR | 0755,
			  .children = INODE_LEASE,
			  .id_at = lease_name_at},
	[INODE_LEASE] = {.mode = S_IFREG | 0644,
			 .facts = lease_facts,
			 .text = lease_text,
			 .to_request = lease_request,
			 .to_removal = lease_removal},
};

/* vkind_find() for the names of everything but staging files. */
static enum inode_kind find_file(enum inode_kind dir, const char *name)
{
	for (unsigned kind = 0; kind < INODE_KIND_MAX_; kind++) {
		if (vkinds[kind].name && vkinds[kind].dir == dir &&
		    strcmp(vkinds[kind].name, name) == 0) {
			return (enum inode_kind)kind;
		}
	}
	return vkinds[dir].children != INODE_PASS && parse_id_is_valid(name) ? vkinds[dir].children
									     : INODE_KIND_MAX_;
}

/* "<file>.<anything>.tmp", where <file> can be written. */
static bool is_staging(enum inode_kind dir, const char *name)
{
	size_t n = strlen(name), head = strcspn(name, ".");
	enum inode_kind kind;
	char file[PARSE_ID_BYTES];

	if (n > NAME_MAX || head >= sizeof(file) || n < head + strlen(".x.tmp") ||
	    strcmp(name + n - strlen(".tmp"), ".tmp") != 0) {
		return false;
	}
	(void)snprintf(file, sizeof(file), "%.*s", (int)head, name);
	kind = find_file(dir, file);
	return kind != INODE_KIND_MAX_ && vkinds[kind].to_request;
}

enum inode_kind vkind_find(enum inode_kind dir, const char *name)
{
	return is_staging(dir, name) ? INODE_STAGING : find_file(dir, name);
}
