/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `holdfast index`: looks at an index, as of now, and writes nothing to the share.
 *
 * It takes a backing directory, and then reads the log as a mount would, or a mount point, and then
 * asks that mount.  Signals end it at once, as there is nothing to tidy up.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/io.h"
#include "base/parse.h"
#include "fs/backing.h"
#include "fs/chain.h"
#include "fs/dump.h"
#include "fs/index.h"
#include "fs/query.h"
#include "fs/rows.h"
#include "fs/store.h"
#include "fs/verify.h"

#define PLANE_ID_XATTR "user.holdfast.plane_id"
#define MOUNT_INDEX    STORE_DIRECTORY "/index.db"
#define TABLES_MAX     16
#define STANDARD_OUT   "-"

/* Of all commands.  Functions here return one of them, or -errno with a text. */
enum {
	EXIT_WELL = 0,
	EXIT_FAULT = 1, /* verify found one, or something failed */
	EXIT_COMMAND_LINE = 2,
};

struct settings {
	const char *directory;
	char **rest; /* further arguments */
	int n_rest;
	bool json;
	bool sql;          /* export */
	uint64_t limit_ms; /* sql; 0: none */
};

DEFINE_CLEANUP(struct index *, index_free);
DEFINE_CLEANUP(struct query *, query_close);
DEFINE_CLEANUP(struct store *, store_close);

/* What is on the share may be part of a text: nothing of it reaches a terminal unescaped. */
static void complain(const char *text)
{
	(void)fputs("holdfast index: ", stderr);
	rows_put_text(stderr, text, strlen(text));
	(void)fputc('\n', stderr);
}

struct place {
	const char *path;
	int fd;
	bool is_mount;
	char plane_id[PARSE_ID_BYTES];
	uint64_t generation;    /* that was loaded; 0: a mount does not say */
	char backing[PATH_MAX]; /* .path once it is not what was given */
};

static int open_place(const char *path, struct place *ret, struct err *reterr)
{
	struct place p = {.path = path};
	ssize_t n;

	p.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p.fd < 0) {
		return err_set(reterr, -errno, "%s: %s", path, strerror(errno));
	}
	n = fgetxattr(p.fd, PLANE_ID_XATTR, p.plane_id, sizeof(p.plane_id) - 1);
	p.is_mount = n >= 0;
	p.plane_id[n > 0 ? n : 0] = '\0';
	if (p.is_mount && !parse_id_is_valid(p.plane_id)) {
		(void)close(p.fd);
		return err_set(reterr, -EBADMSG, "%s: its plane id is none", path);
	}
	*ret = p;
	return 0;
}

static int open_log(struct place *p, struct store **ret, struct err *reterr)
{
	int r = store_open_readonly(p->fd, ret, reterr);

	if (r == -ENOENT) {
		return err_set(reterr, r,
			       "%s is neither the backing directory of an index nor the root of a"
			       " Holdfast mount",
			       p->path);
	}
	if (r < 0) {
		return err_wrap(reterr, r, "%s", p->path);
	}
	(void)snprintf(p->plane_id, sizeof(p->plane_id), "%s", store_plane_id(*ret));
	return 0;
}

static int load_log(struct place *p, struct index *ix, struct err *reterr)
{
	_cleanup_(store_closep) struct store *store = NULL;
	struct chain chain;
	int r = open_log(p, &store, reterr);

	if (r < 0) {
		return r;
	}
	r = chain_load(&chain, store, ix, "", NULL, reterr);
	if (r < 0) {
		return err_wrap(reterr, r, "%s", p->path);
	}
	p->generation = chain.generation;
	return 0;
}

static int load_mount(const struct place *p, struct index *ix, struct err *reterr)
{
	_cleanup_free_ char *bytes = NULL;
	struct image_head head;
	size_t n;
	int r = io_read_file(p->fd, MOUNT_INDEX, STORE_IMAGE_MAX_BYTES, &bytes, &n);

	if (r == 0) {
		r = index_from_image(ix, bytes, n, &head, reterr);
	}
	return r < 0 ? err_wrap(reterr, r, "%s/%s", p->path, MOUNT_INDEX) : 0;
}

/* The database as bytes (index_free_bytes()). */
static int load(struct place *p, void **ret_bytes, size_t *ret_n, struct err *reterr)
{
	_cleanup_(index_freep) struct index *ix = NULL;
	int r = index_new(&ix);

	if (r == 0) {
		r = p->is_mount ? load_mount(p, ix, reterr) : load_log(p, ix, reterr);
	}
	return r < 0 ? r : index_dump(ix, ret_bytes, ret_n);
}

static int load_query(struct place *p, struct query **ret, struct err *reterr)
{
	void *bytes;
	size_t n;
	int r = load(p, &bytes, &n, reterr);

	if (r == 0) {
		r = query_open(bytes, n, ret);
		index_free_bytes(bytes);
	}
	return r;
}

/* Run @sql and print all of its result. */
static int print_query(struct query *q, const char *sql, const struct settings *s,
		       struct err *reterr)
{
	struct rows rows;
	int r;

	rows_init(&rows, stdout, s->json, reterr);
	r = query_run(q, sql, s->limit_ms, &rows_sink, &rows, reterr);
	if (r == 0) {
		rows_end(&rows);
	}
	rows_done(&rows);
	return r;
}

struct show {
	const struct settings *settings;
	struct query *query;
	struct err *reterr;
	bool known[TABLES_MAX]; /* which of the tables that were asked for are there */
	unsigned printed;
};

static int ignore_columns(void *ctx, unsigned n, const char *const *names)
{
	(void)ctx;
	(void)n;
	(void)names;
	return 0;
}

/* Is the table to be shown?  All are if none is named. */
static bool is_wanted(struct show *w, const char *table)
{
	bool wanted = w->settings->n_rest == 0;

	for (int i = 0; i < w->settings->n_rest; i++) {
		if (strcmp(w->settings->rest[i], table) == 0) {
			w->known[i] = wanted = true;
		}
	}
	return wanted;
}

static int mark_table(void *ctx, unsigned n, const struct query_value *values)
{
	(void)n;
	(void)is_wanted(ctx, values[0].bytes);
	return 0;
}

static int print_table(void *ctx, unsigned n, const struct query_value *values)
{
	_cleanup_free_ char *sql = NULL;
	struct show *w = ctx;

	(void)n;
	if (!is_wanted(w, values[0].bytes)) {
		return 0;
	}
	if (w->settings->json) {
		(void)printf("%s\n  \"%s\": ", w->printed > 0 ? "," : "", values[0].bytes);
	} else {
		(void)printf("\n%s\n", values[0].bytes);
	}
	w->printed++;
	if (asprintf(&sql, "SELECT * FROM %s", values[0].bytes) < 0) {
		sql = NULL;
		return -ENOMEM;
	}
	return print_query(w->query, sql, w->settings, w->reterr);
}

static int each_table(struct show *w, int (*fn)(void *, unsigned, const struct query_value *))
{
	const struct query_sink sink = {ignore_columns, fn};

	return query_run(w->query,
			 "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid", 0,
			 &sink, w, w->reterr);
}

static void print_place(const struct place *p, bool json)
{
	if (json && p->generation > 0) {
		(void)printf("{\"planeId\": \"%s\", \"generation\": %" PRIu64 ", \"tables\": {",
			     p->plane_id, p->generation);
	} else if (json) {
		(void)printf("{\"planeId\": \"%s\", \"generation\": null, \"tables\": {",
			     p->plane_id);
	} else if (p->generation > 0) {
		(void)printf("plane %s, generation %" PRIu64 "\n", p->plane_id, p->generation);
	} else {
		(void)printf("plane %s, as its mount has it\n", p->plane_id);
	}
}

static int run_show(const struct settings *s, struct place *p, struct err *reterr)
{
	_cleanup_(query_closep) struct query *q = NULL;
	struct show w = {.settings = s, .reterr = reterr};
	int r = load_query(p, &q, reterr);

	if (r < 0) {
		return r;
	}
	w.query = q;
	r = each_table(&w, mark_table);
	for (int i = 0; r == 0 && i < s->n_rest; i++) {
		if (!w.known[i]) {
			(void)err_set(reterr, -EINVAL, "%s: there is no such table", s->rest[i]);
			complain(reterr->text);
			return EXIT_COMMAND_LINE;
		}
	}
	if (r < 0) {
		return r;
	}
	print_place(p, s->json);
	r = each_table(&w, print_table);
	if (r == 0 && s->json) {
		(void)printf("\n}}\n");
	}
	return r;
}

/* Events are of a record, from status to status, or of a lease, from holder to holder. */
#define LOG_COLUMNS                                                                                \
	"epoch, what,"                                                                             \
	" CASE what WHEN 'master' THEN what WHEN 'lease' THEN detail ELSE node END AS \"of\","     \
	" was AS \"from\","                                                                        \
	" CASE WHEN what IN ('master', 'lease') THEN node ELSE detail END AS \"to\","              \
	" why, who FROM history ORDER BY seq"

static const char log_text[] = "SELECT strftime('%Y-%m-%d %H:%M:%f', at_wall_ms / 1000.0,"
			       " 'unixepoch', 'localtime') AS \"when\", " LOG_COLUMNS;
static const char log_json[] = "SELECT seq, at_wall_ms AS atWallMs, " LOG_COLUMNS;

static int run_log(const struct settings *s, struct place *p, struct err *reterr)
{
	_cleanup_(query_closep) struct query *q = NULL;
	int r = load_query(p, &q, reterr);

	if (r == 0) {
		r = print_query(q, s->json ? log_json : log_text, s, reterr);
	}
	if (r == 0 && s->json) {
		(void)putchar('\n');
	}
	return r;
}

/* The backing directory of a mount, opened instead of it. */
static int go_to_backing(struct place *p, struct err *reterr)
{
	_cleanup_(store_closep) struct store *store = NULL;
	int fd = -EBADF, r = backing_of_mount(p->path, p->backing);

	if (r == 0) {
		fd = open(p->backing, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = fd < 0 ? -errno : store_open_readonly(fd, &store, NULL);
	}
	if (r == 0 && strcmp(store_plane_id(store), p->plane_id) != 0) {
		r = -ENOENT;
	}
	if (r < 0) {
		closep(&fd);
		return err_set(reterr, r,
			       "%s: a mount shows the newest generation only, and its backing"
			       " directory is not to be found from here (%s); name that",
			       p->path, strerror(-r));
	}
	(void)close(p->fd);
	p->fd = fd;
	p->path = p->backing;
	return 0;
}

/* @arg: an array to collect them, or NULL to print them as they come. */
static void on_fault(void *arg, const char *name, const char *why)
{
	json_t *faults = arg;

	if (faults) {
		(void)json_array_append_new(faults,
					    json_pack("{s:s, s:s}", "name", name, "why", why));
	} else {
		(void)printf("%s: %s\n", name, why);
	}
}

static int print_report(const struct place *p, const struct fs_verify_report *report,
			json_t *faults)
{
	json_auto_t *all = NULL;

	if (!faults) {
		(void)printf("generations %" PRIu64 " to %" PRIu64
			     " of plane %s: %zu images, %zu changes, %zu faults\n",
			     report->oldest, report->newest, p->plane_id, report->images,
			     report->links, report->faults);
		return 0;
	}
	all = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:O}", "planeId", p->plane_id, "oldest",
			(json_int_t)report->oldest, "newest", (json_int_t)report->newest,
			"newestImage", (json_int_t)report->newest_image, "images",
			(json_int_t)report->images, "changes", (json_int_t)report->links, "faults",
			faults);
	if (!all || json_dumpf(all, stdout, JSON_ENSURE_ASCII | JSON_INDENT(2)) < 0) {
		return -ENOMEM;
	}
	(void)putchar('\n');
	return 0;
}

static int run_verify(const struct settings *s, struct place *p, struct err *reterr)
{
	_cleanup_(store_closep) struct store *store = NULL;
	json_auto_t *faults = s->json ? json_array() : NULL;
	struct fs_verify_report report;
	int r = p->is_mount ? go_to_backing(p, reterr) : 0;

	if (r == 0) {
		r = open_log(p, &store, reterr);
	}
	if (r < 0) {
		return r;
	}
	r = fs_verify_generations(store, on_fault, faults, &report);
	if (r < 0) {
		return err_wrap(reterr, r, "%s: reading the generations", p->path);
	}
	if (report.newest == 0) {
		return err_set(reterr, -ENODATA, "%s: there is no generation yet", p->path);
	}
	r = print_report(p, &report, faults);
	return r < 0 ? r : report.faults > 0 ? EXIT_FAULT : EXIT_WELL;
}

static int run_sql(const struct settings *s, struct place *p, struct err *reterr)
{
	_cleanup_(query_closep) struct query *q = NULL;
	int r = load_query(p, &q, reterr);

	if (r < 0) {
		return r;
	}
	r = print_query(q, s->rest[0], s, reterr);
	if (r == -EINVAL || r == -EPERM || r == -ENOTUNIQ) {
		complain(reterr->text);
		return EXIT_COMMAND_LINE;
	}
	if (r == 0 && s->json) {
		(void)putchar('\n');
	}
	return r;
}

/* As SQL text, malloc'd. */
static int to_sql(const void *image, size_t size, char **ret_text, size_t *ret_n,
		  struct err *reterr)
{
	_cleanup_(query_closep) struct query *q = NULL;
	_cleanup_free_ char *text = NULL;
	FILE *out;
	size_t n;
	int r = query_open(image, size, &q);

	if (r < 0) {
		return r;
	}
	out = open_memstream(&text, &n);
	if (!out) {
		return -ENOMEM;
	}
	r = dump_sql(q, out, reterr);
	if (fclose(out) != 0 && r == 0) {
		r = -ENOMEM;
	}
	if (r == 0) {
		*ret_text = take_ptr(text);
		*ret_n = n;
	}
	return r;
}

/* To a file that is not there yet: whole and on its disk, or gone again. */
static int write_new_file(const char *path, const void *bytes, size_t n, struct err *reterr)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), r;

	if (fd < 0) {
		return err_set(reterr, -errno, "%s: %s", path, strerror(errno));
	}
	r = io_write_full(fd, bytes, n);
	if (r == 0 && fsync(fd) < 0) {
		r = -errno;
	}
	if (close(fd) < 0 && r == 0) {
		r = -errno;
	}
	if (r < 0) {
		(void)unlink(path);
		return err_set(reterr, r, "%s: %s", path, strerror(-r));
	}
	return 0;
}

static int run_export(const struct settings *s, struct place *p, struct err *reterr)
{
	_cleanup_free_ char *text = NULL;
	const char *path = s->rest[0];
	void *image;
	size_t n, n_text = 0;
	int r;

	if (strcmp(path, STANDARD_OUT) == 0 && !s->sql && isatty(STDOUT_FILENO)) {
		complain("the database is no text for a terminal: name a file, or say --sql");
		return EXIT_COMMAND_LINE;
	}
	r = load(p, &image, &n, reterr);
	if (r < 0) {
		return r;
	}
	if (s->sql) {
		r = to_sql(image, n, &text, &n_text, reterr);
	}
	if (r == 0 && strcmp(path, STANDARD_OUT) == 0) {
		(void)fwrite(s->sql ? text : image, 1, s->sql ? n_text : n, stdout);
	} else if (r == 0) {
		r = write_new_file(path, s->sql ? text : image, s->sql ? n_text : n, reterr);
	}
	index_free_bytes(image);
	return r;
}

static const char usage[] =
	"usage: holdfast index COMMAND DIRECTORY [argument]... [option]...\n\n"
	"DIRECTORY is the backing directory of an index, or where it is mounted.  Nothing is\n"
	"written to it, and mounts may go on.\n\n"
	"  show DIRECTORY [TABLE]...   the tables\n"
	"  log DIRECTORY               what happened: when, epoch, from, to, why, who\n"
	"  verify DIRECTORY            read and try all generations that are kept\n"
	"  sql DIRECTORY STATEMENT     the answer to one statement that only reads\n"
	"  export DIRECTORY FILE       the database as a new file for sqlite3; - is the output\n\n"
	"  --json              show, log, verify, sql: for programs\n"
	"  --sql               export: the statements that make the database, as text\n"
	"  --timeout DURATION  sql: give up after so long, such as 5s; default never\n\n"
	"exit status: 0 done, and all is well; 1 verify found a fault, or it failed; 2 wrong\n"
	"usage, or a statement that is none or does more than read\n";

static const struct command {
	const char *name;
	const char *wants; /* after the directory, for messages */
	int min_rest, max_rest;
	const char *options; /* the letters of those that it takes */
	int (*run)(const struct settings *s, struct place *p, struct err *reterr);
} commands[] = {
	{"show", "DIRECTORY [TABLE]...", 0, TABLES_MAX, "j", run_show},
	{"log", "DIRECTORY", 0, 0, "j", run_log},
	{"verify", "DIRECTORY", 0, 0, "j", run_verify},
	{"sql", "DIRECTORY STATEMENT", 1, 1, "jt", run_sql},
	{"export", "DIRECTORY FILE", 1, 1, "s", run_export},
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0) {
			return &commands[i];
		}
	}
	return NULL;
}

/* Returns @code, for the message to be shown. */
static int wrong(struct err *reterr, const char *what, const char *value)
{
	return err_set(reterr, -EINVAL, "%s: %s; see holdfast index --help", value, what);
}

/* The letters of all options that are given go to @given. */
static int parse_options(int argc, char **argv, struct settings *s, char *given, size_t room,
			 struct err *reterr)
{
	static const struct option longs[] = {
		{"help", no_argument, NULL, 'h'},
		{"json", no_argument, NULL, 'j'},
		{"sql", no_argument, NULL, 's'},
		{"timeout", required_argument, NULL, 't'},
		{0},
	};
	size_t n = 0;
	int val;

	opterr = 0;
	while ((val = getopt_long(argc, argv, ":h", longs, NULL)) >= 0) {
		switch (val) {
		case 'h':
			break;
		case 'j':
			s->json = true;
			break;
		case 's':
			s->sql = true;
			break;
		case 't':
			if (parse_duration_ms(optarg, &s->limit_ms) < 0 || s->limit_ms == 0) {
				return wrong(reterr, "no duration such as 500ms or 5s", optarg);
			}
			break;
		case ':':
			return wrong(reterr, "its value is missing", argv[optind - 1]);
		default:
			return wrong(reterr, "unknown option", argv[optind - 1]);
		}
		if (n + 1 < room && !memchr(given, val, n)) {
			given[n++] = (char)val;
		}
	}
	given[n] = '\0';
	return 0;
}

static int check_arguments(const struct command *c, const struct settings *s, const char *given,
			   struct err *reterr)
{
	assert(c);
	if (!s->directory || s->n_rest < c->min_rest || s->n_rest > c->max_rest) {
		return err_set(reterr, -EINVAL, "usage: holdfast index %s %s", c->name, c->wants);
	}
	if (given[strspn(given, c->options)] != '\0') {
		return wrong(reterr, "one of the options is not for this command", c->name);
	}
	return 0;
}

static int run(const struct command *c, const struct settings *s, struct err *reterr)
{
	struct place p;
	int r;

	assert(c && s->directory);
	r = open_place(s->directory, &p, reterr);
	if (r == 0) {
		r = c->run(s, &p, reterr);
		(void)close(p.fd);
	}
	if (r >= 0 && (fflush(stdout) != 0 || ferror(stdout))) {
		return err_set(reterr, -EIO, "writing the output failed");
	}
	return r;
}

int main(int argc, char **argv)
{
	const struct command *c;
	struct settings s = {0};
	struct err err = {{0}};
	char given[8];
	int r = parse_options(argc, argv, &s, given, sizeof(given), &err);

	if (r == 0 && strchr(given, 'h')) {
		(void)fputs(usage, stdout);
		return EXIT_WELL;
	}
	if (r == 0 && optind >= argc) {
		r = err_set(&err, -EINVAL, "which command?  See holdfast index --help");
	}
	c = r == 0 ? find_command(argv[optind]) : NULL;
	if (r == 0 && !c) {
		r = wrong(&err, "unknown command", argv[optind]);
	}
	if (r == 0) {
		s.directory = argv[optind + 1]; /* NULL at the end */
		s.rest = argv + optind + (s.directory ? 2 : 1);
		s.n_rest = argc - optind - (s.directory ? 2 : 1);
		r = check_arguments(c, &s, given, &err);
	}
	if (r < 0) {
		complain(err.text);
		return EXIT_COMMAND_LINE;
	}
	r = run(c, &s, &err);
	if (r < 0) {
		complain(err.text[0] ? err.text : strerror(-r));
		return EXIT_FAULT;
	}
	return r;
}
