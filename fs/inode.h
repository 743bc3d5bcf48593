/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's node ids stand for.  A passthrough inode is a file of the share: it is
 * remembered by its file handle (name_to_handle_at(2)) and opened when needed, so that it survives
 * renames by others and no open descriptor makes NFS turn an unlink into a .nfsXXXX file.  Where
 * the file system has no handles an O_PATH descriptor takes that place.
 *
 * Any thread; the table has a lock of its own.
 */
#ifndef FS_INODE_H
#define FS_INODE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* All but the first are virtual: a row each in fs/vkind.c. */
enum inode_kind {
	INODE_PASS,       /* a file of the share */
	INODE_NODES,      /* the directory nodes/ */
	INODE_CONTROL,    /* the directory .holdfast/ */
	INODE_MASTER,     /* the lease `master` */
	INODE_PLANE_ID,   /* planeId */
	INODE_LOG,        /* change.log */
	INODE_PLANE_JSON, /* .holdfast/plane.json */
	INODE_INDEX_DB,   /* .holdfast/index.db */
	INODE_FENCE,      /* .holdfast/fence */
	INODE_SWITCHOVER, /* .holdfast/switchover */
	INODE_PAUSE,      /* .holdfast/pause */
	INODE_LOCKS,      /* the directory .holdfast/locks/ */
	INODE_LOCK,       /* .holdfast/locks/<name> */
	INODE_LEASES,     /* the directory .holdfast/leases/ */
	INODE_LEASE,      /* .holdfast/leases/<name> */
	INODE_RECORD,     /* nodes/<id> */
	INODE_STAGING,    /* <record>.<anything>.tmp: in memory, to be renamed onto a record */
	INODE_KIND_MAX_,
};

struct inode {
	enum inode_kind kind;
	uint64_t lookups; /* by the lock of its table: what the kernel has not forgotten yet */

	/* INODE_PASS; set once. */
	dev_t dev;
	ino_t ino;
	int path_fd;                /* O_PATH, or -EBADF if there is a handle */
	struct file_handle *handle; /* or NULL */
};

struct inodes {
	int root_fd;  /* the share; not kept */
	int mount_no; /* of root_fd, see name_to_handle_at(2) */
	struct inode root;
	pthread_mutex_t lock;
	void *tree; /* by .lock: tsearch(3) over the passthrough inodes */
};

int inodes_init(struct inodes *t, int root_fd);
void inodes_done(struct inodes *t);

/*
 * The inode of @name in the directory @parent_fd, with one more lookup counted.  -ENOENT, or any
 * error of the system calls.
 */
int inodes_look_up(struct inodes *t, int parent_fd, const char *name, struct inode **ret,
		   struct stat *ret_stat);

/* The kernel has forgotten @n lookups. */
void inodes_forget(struct inodes *t, struct inode *i, uint64_t n);

/* An O_PATH descriptor of @i, the caller's.  -errno; -ESTALE: the file is gone. */
int inode_open_path(const struct inodes *t, const struct inode *i);

/* Open @i for reading or writing with @flags of open(2).  -errno. */
int inode_open(const struct inodes *t, const struct inode *i, int flags);

/* "/proc/self/fd/<fd>": for the calls that have no form for O_PATH descriptors. */
#define INODE_PROC_BYTES 32
void inode_proc_path(int fd, char ret[INODE_PROC_BYTES]);

#endif
