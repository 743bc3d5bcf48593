/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc/self/mountinfo says of one mount, and what its options mean if it is of NFS; see
 * proc(5) and nfs(5).
 *
 * Pure: it is given the text, and judges nothing (fs/judge.h does).  Any thread.
 */
#ifndef FS_MOUNTINFO_H
#define FS_MOUNTINFO_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define MOUNTINFO_TYPE_BYTES    64
#define MOUNTINFO_OPTIONS_BYTES 2048

struct mountinfo {
	uint64_t id;
	char point[PATH_MAX];
	char type[MOUNTINFO_TYPE_BYTES];
	char source[PATH_MAX];
	char options[MOUNTINFO_OPTIONS_BYTES]; /* of the mount, then of the file system */
};

/*
 * The line whose mount id is @id (STATX_MNT_ID).  -ENOENT; -EBADMSG: the line is none that proc(5)
 * describes, or longer than we have room for.
 */
int mountinfo_find(const char *text, uint64_t id, struct mountinfo *ret);

/* The first mount of @type from @source.  -ENOENT. */
int mountinfo_find_source(const char *text, const char *type, const char *source,
			  struct mountinfo *ret);

/* Is @word, alone or with a value, among the options? */
bool mountinfo_has_option(const struct mountinfo *m, const char *word);

enum mountinfo_kind {
	MOUNTINFO_LOCAL,    /* on a disk of this machine */
	MOUNTINFO_MEMORY,   /* gone with this machine's power */
	MOUNTINFO_NFS,      /* struct mountinfo_nfs tells more */
	MOUNTINFO_CLUSTER,  /* made to be mounted on several machines */
	MOUNTINFO_HOLDFAST, /* our own */
	MOUNTINFO_OTHER,    /* nothing is known of it */
	MOUNTINFO_KIND_MAX_,
};

enum mountinfo_kind mountinfo_kind(const struct mountinfo *m);

/* The options of an NFS mount, with the defaults of nfs(5) where the kernel shows none. */
struct mountinfo_nfs {
	unsigned major, minor; /* of the protocol: 3, 0 or 4, 2 */
	bool is_soft;          /* soft or softerr: a call fails when it was not answered in time */
	bool is_udp;
	bool softreval;    /* serve cached attributes while the server does not answer */
	bool nocto;        /* no fresh attributes when a file is opened */
	bool noac;         /* no attributes are cached */
	bool local_locks;  /* flock(2) or fcntl(2) locks stay on this machine */
	uint64_t timeo_ms; /* of the first sending */
	uint64_t retrans;  /* further sendings */
	uint64_t ac_max_s; /* the longest time that an attribute is cached */
};

/* -EBADMSG: no version is shown, or a number is none. */
int mountinfo_nfs(const struct mountinfo *m, struct mountinfo_nfs *ret);

/*
 * How long a call is repeated before it fails; UINT64_MAX: for ever (hard).
 *
 * nfs(5) counts timeo + 2 timeo + ... over TCP, @retrans terms of it; the kernel ends it at
 * timeo * (1 + retrans).  This is the longer of the two.  Over UDP each wait is twice the last.
 */
uint64_t mountinfo_nfs_gives_up_ms(const struct mountinfo_nfs *n);

#endif
