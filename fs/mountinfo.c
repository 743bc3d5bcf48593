/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/mountinfo.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"

/* nfs(5) over TCP. */
#define DEFAULT_TIMEO_DS 600
#define DEFAULT_RETRANS  2
#define DEFAULT_AC_MAX_S 60

/* More would not change what is said of it, and could not be multiplied. */
#define TIMEO_MAX_DS 36000
#define RETRANS_MAX  16
#define NUMBER_MAX   UINT32_MAX

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* Blanks, newlines and backslashes are written as \040; see proc(5).  -EBADMSG: no room. */
static int unescape(const char *from, size_t n, char *ret, size_t room)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		char c = from[i];

		if (c == '\\' && n - i > 3 && is_octal(from[i + 1]) && is_octal(from[i + 2]) &&
		    is_octal(from[i + 3])) {
			c = (char)((from[i + 1] - '0') * 64 + (from[i + 2] - '0') * 8 +
				   (from[i + 3] - '0'));
			i += 3;
		}
		if (used + 1 >= room) {
			return -EBADMSG;
		}
		ret[used++] = c;
	}
	ret[used] = '\0';
	return 0;
}

/* Step over the next word of a line; its length, 0 at the end. */
static size_t next_word(const char **line, const char **ret_word)
{
	size_t n;

	*line += strspn(*line, " ");
	*ret_word = *line;
	n = strcspn(*line, " \n");
	*line += n;
	return n;
}

/* Add @word to the options, which become one list. */
static int add_options(struct mountinfo *m, const char *word, size_t n)
{
	size_t used = strlen(m->options);

	if (used > 0 && used + 1 < sizeof(m->options)) {
		m->options[used++] = ',';
	}
	return unescape(word, n, m->options + used, sizeof(m->options) - used);
}

/* The words of a line: id parent device root point options [tag]... - type source super-options. */
enum { WORD_ID, WORD_PARENT, WORD_DEVICE, WORD_ROOT, WORD_POINT, WORD_OPTIONS, WORDS_BEFORE_TAGS };

static int parse_head(const char **line, struct mountinfo *m)
{
	char digits[24];
	const char *word;
	int r = 0;

	for (int i = 0; r == 0 && i < WORDS_BEFORE_TAGS; i++) {
		size_t n = next_word(line, &word);

		if (n == 0) {
			return -EBADMSG;
		}
		if (i == WORD_ID) {
			r = unescape(word, n, digits, sizeof(digits));
			if (r == 0 && parse_u64(digits, &m->id) < 0) {
				r = -EBADMSG;
			}
		} else if (i == WORD_POINT) {
			r = unescape(word, n, m->point, sizeof(m->point));
		} else if (i == WORD_OPTIONS) {
			r = add_options(m, word, n);
		}
	}
	return r;
}

static int parse_line(const char *line, struct mountinfo *ret)
{
	const char *word;
	size_t n;
	int r;

	ret->options[0] = '\0';
	r = parse_head(&line, ret);
	do {
		n = next_word(&line, &word);
	} while (r == 0 && n > 0 && !(n == 1 && *word == '-'));
	if (r < 0 || n == 0) {
		return -EBADMSG;
	}
	n = next_word(&line, &word);
	r = n ? unescape(word, n, ret->type, sizeof(ret->type)) : -EBADMSG;
	if (r == 0) {
		/* A source may be empty: then its two blanks are one to us, and nothing follows. */
		n = next_word(&line, &word);
		r = unescape(word, n, ret->source, sizeof(ret->source));
	}
	if (r == 0) {
		n = next_word(&line, &word);
		r = add_options(ret, word, n);
	}
	return r;
}

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : line + strlen(line);
}

/* The id alone, since other lines need not fit or be understood. */
static bool has_id(const char *line, uint64_t id)
{
	char digits[24];
	uint64_t found;
	const char *word;
	size_t n = next_word(&line, &word);

	return n > 0 && unescape(word, n, digits, sizeof(digits)) == 0 &&
	       parse_u64(digits, &found) == 0 && found == id;
}

int mountinfo_find(const char *text, uint64_t id, struct mountinfo *ret)
{
	for (const char *line = text; *line; line = next_line(line)) {
		if (has_id(line, id)) {
			return parse_line(line, ret);
		}
	}
	return -ENOENT;
}

int mountinfo_find_source(const char *text, const char *type, const char *source,
			  struct mountinfo *ret)
{
	for (const char *line = text; *line; line = next_line(line)) {
		if (parse_line(line, ret) == 0 && strcmp(ret->type, type) == 0 &&
		    strcmp(ret->source, source) == 0) {
			return 0;
		}
	}
	return -ENOENT;
}

/* What follows the first @word in the options: "", "=value", or NULL if it is not there. */
static const char *find_option(const struct mountinfo *m, const char *word, size_t *ret_n)
{
	size_t n = strlen(word);

	for (const char *p = m->options; *p;) {
		size_t length = strcspn(p, ",");

		if (length >= n && strncmp(p, word, n) == 0 && (length == n || p[n] == '=')) {
			*ret_n = length - n;
			return p + n;
		}
		p += length;
		p += *p == ',';
	}
	return NULL;
}

bool mountinfo_has_option(const struct mountinfo *m, const char *word)
{
	size_t n;

	return find_option(m, word, &n) != NULL;
}

/* *ret stays as it is where the option is not there. */
static int number_option(const struct mountinfo *m, const char *word, uint64_t max, uint64_t *ret)
{
	size_t n;
	const char *value = find_option(m, word, &n);
	char digits[24];
	uint64_t number;

	if (!value) {
		return 0;
	}
	if (n < 2 || unescape(value + 1, n - 1, digits, sizeof(digits)) < 0 ||
	    parse_u64(digits, &number) < 0) {
		return -EBADMSG;
	}
	*ret = number < max ? number : max;
	return 0;
}

static bool option_is(const struct mountinfo *m, const char *word, const char *value)
{
	size_t n;
	const char *found = find_option(m, word, &n);

	return found && n == strlen(value) + 1 && strncmp(found + 1, value, n - 1) == 0;
}

/* "vers=3" or "vers=4.2". */
static int parse_version(const struct mountinfo *m, struct mountinfo_nfs *n)
{
	size_t length;
	const char *v = find_option(m, "vers", &length);

	if (!v || length < 2 || v[1] < '2' || v[1] > '4') {
		return -EBADMSG;
	}
	n->major = (unsigned)(v[1] - '0');
	if (length == 2) {
		return 0;
	}
	if (length != 4 || v[2] != '.' || v[3] < '0' || v[3] > '9') {
		return -EBADMSG;
	}
	n->minor = (unsigned)(v[3] - '0');
	return 0;
}

int mountinfo_nfs(const struct mountinfo *m, struct mountinfo_nfs *ret)
{
	uint64_t timeo_ds = DEFAULT_TIMEO_DS, files_s = DEFAULT_AC_MAX_S, dirs_s = DEFAULT_AC_MAX_S;
	struct mountinfo_nfs n = {
		.is_soft = mountinfo_has_option(m, "soft") || mountinfo_has_option(m, "softerr"),
		.is_udp = option_is(m, "proto", "udp") || option_is(m, "proto", "udp6"),
		.softreval = mountinfo_has_option(m, "softreval"),
		.nocto = mountinfo_has_option(m, "nocto"),
		.noac = mountinfo_has_option(m, "noac"),
		.local_locks = mountinfo_has_option(m, "nolock") ||
			       (mountinfo_has_option(m, "local_lock") &&
				!option_is(m, "local_lock", "none")),
		.retrans = DEFAULT_RETRANS,
	};

	if (parse_version(m, &n) < 0 || number_option(m, "timeo", TIMEO_MAX_DS, &timeo_ds) < 0 ||
	    number_option(m, "retrans", RETRANS_MAX, &n.retrans) < 0 ||
	    number_option(m, "acregmax", NUMBER_MAX, &files_s) < 0 ||
	    number_option(m, "acdirmax", NUMBER_MAX, &dirs_s) < 0) {
		return -EBADMSG;
	}
	n.timeo_ms = timeo_ds * 100;
	n.ac_max_s = n.noac ? 0 : files_s > dirs_s ? files_s : dirs_s;
	*ret = n;
	return 0;
}

uint64_t mountinfo_nfs_gives_up_ms(const struct mountinfo_nfs *n)
{
	uint64_t waits;

	if (!n->is_soft) {
		return UINT64_MAX;
	}
	if (n->is_udp) {
		waits = ((uint64_t)2 << n->retrans) - 1;
	} else {
		uint64_t by_manual = n->retrans * (n->retrans + 1) / 2, by_kernel = 1 + n->retrans;

		waits = by_manual > by_kernel ? by_manual : by_kernel;
	}
	return n->timeo_ms * waits;
}

enum mountinfo_kind mountinfo_kind(const struct mountinfo *m)
{
	static const struct {
		const char *type;
		enum mountinfo_kind kind;
	} kinds[] = {
		{"bcachefs", MOUNTINFO_LOCAL},
		{"btrfs", MOUNTINFO_LOCAL},
		{"ext2", MOUNTINFO_LOCAL},
		{"ext3", MOUNTINFO_LOCAL},
		{"ext4", MOUNTINFO_LOCAL},
		{"f2fs", MOUNTINFO_LOCAL},
		{"jfs", MOUNTINFO_LOCAL},
		{"overlay", MOUNTINFO_LOCAL},
		{"xfs", MOUNTINFO_LOCAL},
		{"zfs", MOUNTINFO_LOCAL},
		{"ramfs", MOUNTINFO_MEMORY},
		{"tmpfs", MOUNTINFO_MEMORY},
		{"nfs", MOUNTINFO_NFS},
		{"nfs4", MOUNTINFO_NFS},
		{"beegfs", MOUNTINFO_CLUSTER},
		{"ceph", MOUNTINFO_CLUSTER},
		{"fuse.ceph", MOUNTINFO_CLUSTER},
		{"fuse.glusterfs", MOUNTINFO_CLUSTER},
		{"gfs2", MOUNTINFO_CLUSTER},
		{"gpfs", MOUNTINFO_CLUSTER},
		{"lustre", MOUNTINFO_CLUSTER},
		{"ocfs2", MOUNTINFO_CLUSTER},
		{"fuse.holdfast", MOUNTINFO_HOLDFAST},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(m->type, kinds[i].type) == 0) {
			return kinds[i].kind;
		}
	}
	return MOUNTINFO_OTHER;
}
