/* SPDX-License-Identifier: Apache-2.0 */
/* mount.holdfast, the program behind `holdfast mount` and `mount -t holdfast`. */
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "fs/ops.h"
#include "fs/options.h"
#include "fs/plane.h"
#include "fs/vattr.h"

/* As mount(8) knows them: 1 wrong call, 32 the mount failed. */
#define EXIT_USAGE        1
#define EXIT_MOUNT_FAILED 32

/*
 * Operations on a share that does not answer each keep a thread; the virtual files need some as
 * well.
 */
#define WORKERS_MAX      64
#define WORKERS_IDLE_MAX 8

#define FUSE_OPTIONS "allow_other,default_permissions,subtype=holdfast,fsname="

/* Is @inner the directory @outer or inside it?  Both canonical. */
static bool is_inside(const char *inner, const char *outer)
{
	size_t n = strlen(outer);

	return strncmp(inner, outer, n) == 0 &&
	       (inner[n] == '\0' || inner[n] == '/' || (n > 0 && outer[n - 1] == '/'));
}

static int check_backing(const char *given, char *backing, struct err *reterr)
{
	struct stat st;

	if (!realpath(given, backing) || stat(backing, &st) < 0) {
		int r = -errno;

		return err_set(reterr, r, "backing directory %s: %s", given, strerror(-r));
	}
	if (!S_ISDIR(st.st_mode)) {
		return err_set(reterr, -ENOTDIR, "backing directory %s is no directory", given);
	}
	if (getxattr(backing, VATTR_PLANE_ID, NULL, 0) >= 0) {
		return err_set(reterr, -EINVAL, "%s is itself a Holdfast mount", given);
	}
	return 0;
}

/* Asked by an attribute: the kernel could still answer stat(2) from its cache. */
static bool is_stale(const char *mountpoint)
{
	return getxattr(mountpoint, VATTR_PLANE_ID, NULL, 0) < 0 && errno == ENOTCONN;
}

/* A mount whose process was killed answers ENOTCONN: it is nobody's, so it is taken away. */
static int clear_stale(const char *mountpoint, struct err *reterr)
{
	while (is_stale(mountpoint)) {
		if (umount2(mountpoint, MNT_DETACH) < 0) {
			int r = -errno;

			return err_set(reterr, r, "taking away the dead mount at %s: %s",
				       mountpoint, strerror(-r));
		}
		log_line(LOG_INFO, "fs", "took away the mount of a process that died",
			 "mountpoint=%s", mountpoint);
	}
	return 0;
}

static int check_mountpoint(const char *given, const char *backing, char *mountpoint,
			    struct err *reterr)
{
	struct stat st;
	int r = clear_stale(given, reterr);

	if (r < 0) {
		return r;
	}
	if (!realpath(given, mountpoint) || stat(mountpoint, &st) < 0) {
		r = -errno;
		return err_set(reterr, r, "mount point %s: %s", given, strerror(-r));
	}
	if (!S_ISDIR(st.st_mode)) {
		return err_set(reterr, -ENOTDIR, "mount point %s is no directory", given);
	}
	if (getxattr(mountpoint, VATTR_PLANE_ID, NULL, 0) >= 0) {
		return err_set(reterr, -EBUSY, "%s is a Holdfast mount already", given);
	}
	if (is_inside(mountpoint, backing)) {
		return err_set(reterr, -EINVAL,
			       "the mount point %s is inside its backing directory %s", given,
			       backing);
	}
	if (is_inside(backing, mountpoint)) {
		return err_set(reterr, -EINVAL,
			       "the backing directory %s is inside the mount point %s", backing,
			       given);
	}
	return 0;
}

/*
 * Without -f the caller waits until the mount works: the child that serves it sends its exit status
 * through a pipe, 0 once it is ready.
 */
static int ready_fd = -EBADF;

static void tell_caller(unsigned char status)
{
	if (ready_fd >= 0) {
		(void)!write(ready_fd, &status, 1);
		closep(&ready_fd);
		ready_fd = -EBADF;
	}
}

/*
 * The background's log goes to the system log, so that nobody waits for the end of our stderr; but
 * if that is a file, somebody wanted it there.
 */
static void move_log(void)
{
	struct stat st;

	if (fstat(STDERR_FILENO, &st) < 0 || !S_ISREG(st.st_mode)) {
		log_to_syslog("mount.holdfast");
		(void)dup2(STDOUT_FILENO, STDERR_FILENO); /* which is /dev/null */
	}
}

/* In the child: the session is its own, and nothing holds the caller's terminal or directory. */
static void detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)setsid();
	(void)!chdir("/");
	if (null >= 0) {
		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
		(void)close(null);
	}
}

/* Fork; the parent never returns. */
static int go_to_background(struct err *reterr)
{
	unsigned char status = EXIT_MOUNT_FAILED;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		return err_set(reterr, -errno, "pipe: %s", strerror(errno));
	}
	pid = fork();
	if (pid < 0) {
		return err_set(reterr, -errno, "fork: %s", strerror(errno));
	}
	if (pid > 0) {
		(void)close(fds[1]);
		(void)!read(fds[0], &status, 1); /* nothing comes if the child dies */
		_exit(status);
	}
	(void)close(fds[0]);
	ready_fd = fds[1];
	detach();
	return 0;
}

static int serve(struct fuse_session *session, struct err *reterr)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int r;

	if (!config) {
		return -ENOMEM;
	}
	fuse_loop_cfg_set_max_threads(config, WORKERS_MAX);
	fuse_loop_cfg_set_idle_threads(config, WORKERS_IDLE_MAX);
	r = fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	/* A signal ends it cleanly; its number is no error. */
	return r < 0 ? err_set(reterr, r, "serving the mount: %s", strerror(-r)) : 0;
}

/* fsname=@backing, with what FUSE's option parser would take for its own escaped. */
static void format_options(char *ret, size_t n, const char *backing, const char *more)
{
	size_t used = (size_t)snprintf(ret, n, "%s", FUSE_OPTIONS);

	for (const char *p = backing; *p && used + 2 < n; p++) {
		if (*p == ',' || *p == '\\') {
			ret[used++] = '\\';
		}
		ret[used++] = *p;
	}
	(void)snprintf(ret + used, n - used, "%s", more);
}

/* Mount; the caller destroys *ret_session. */
static int mount_session(struct ops *ops, const struct options *o, const char *backing,
			 const char *mountpoint, struct fuse_session **ret_session,
			 struct err *reterr)
{
	char fuse_options[sizeof(FUSE_OPTIONS) + (size_t)2 * PATH_MAX + OPTIONS_FUSE_BYTES];
	char program[] = "mount.holdfast", dash_o[] = "-o";
	char *argv[] = {program, dash_o, fuse_options, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_session *session;

	format_options(fuse_options, sizeof(fuse_options), backing, o->fuse);
	session = fuse_session_new(&args, &ops_table, sizeof(ops_table), ops);
	fuse_opt_free_args(&args);
	if (!session) {
		return err_set(reterr, -EINVAL, "starting the FUSE session");
	}
	if (fuse_set_signal_handlers(session) != 0 ||
	    fuse_session_mount(session, mountpoint) != 0) {
		fuse_session_destroy(session);
		return err_set(reterr, -EIO, "mounting at %s; is /dev/fuse there?", mountpoint);
	}
	*ret_session = session;
	return 0;
}

/* Serve until a signal or umount(8) ends it. */
static int serve_session(struct fuse_session *session, bool foreground, struct err *reterr)
{
	int r;

	if (!foreground) {
		move_log();
	}
	tell_caller(EXIT_SUCCESS);
	r = serve(session, reterr);
	fuse_remove_signal_handlers(session);
	/* libfuse has set it back to its default; the last log lines must not kill us. */
	(void)signal(SIGPIPE, SIG_IGN);
	return r;
}

static void log_timing(struct plane *plane)
{
	struct view *v = plane_view(plane);
	const struct lease_timing *t = &v->timing;

	log_line(LOG_INFO, "fs", "timing of the plane",
		 "heartbeat_timeout_ms=%" PRIu64 " poll_period_ms=%" PRIu64 " margin_ms=%" PRIu64
		 " holder_stops_after_ms=%" PRIu64 " deposed_after_ms=%" PRIu64
		 " follow_ms=%" PRIu64 " request_limit_ms=%" PRIu64 " retry_ms=%" PRIu64
		 " others_ms=%" PRIu64 " yield_ms=%" PRIu64 " staging_ms=%" PRIu64
		 " generation=%" PRIu64,
		 t->timeout_ms, t->poll_ms, t->margin_ms, lease_deadline_ms(t, 0), t->timeout_ms,
		 t->follow_ms, t->limit_ms, t->retry_ms, t->others_ms, t->yield_ms, t->staging_ms,
		 v->generation);
	view_unref(v);
}

static int mount_plane(struct plane *plane, int root_fd, const struct options *o,
		       const char *backing, const char *mountpoint, struct err *reterr)
{
	struct fuse_session *session = NULL;
	struct ops ops;
	bool ended;
	int r = ops_init(&ops, root_fd, plane);

	if (r < 0) {
		(void)plane_close(plane);
		return err_set(reterr, r, "%s: %s", backing, strerror(-r));
	}
	r = mount_session(&ops, o, backing, mountpoint, &session, reterr);
	if (r == 0) {
		log_line(LOG_INFO, "fs", "mounted",
			 "backing=%s mountpoint=%s plane=%s mount=%s pid=%d version=%s", backing,
			 mountpoint, plane_id(plane), plane_mount_id(plane), (int)getpid(),
			 HOLDFAST_VERSION);
		r = serve_session(session, o->foreground, reterr);
	}
	/* Before the session's descriptor is closed: all of these answer requests through it. */
	ended = ops_stop(&ops) == 0;
	ended = plane_close(plane) == 0 && ended;
	if (session) {
		fuse_session_unmount(session);
		log_line(LOG_INFO, "fs", "unmounted", "mountpoint=%s", mountpoint);
	}
	if (ended) {
		if (session) {
			fuse_session_destroy(session);
		}
		ops_done(&ops);
	}
	return r;
}

static int run(const struct options *o, const char *backing, const char *mountpoint,
	       struct err *reterr)
{
	_cleanup_close_ int root_fd = open(backing, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct plane_options options = {
		.backing_fd = root_fd,
		.timeout_ms = o->timeout_ms,
		.poll_ms = o->poll_ms,
		.images_only = o->images_only,
	};
	struct plane *plane;
	int r;

	if (root_fd < 0) {
		return err_set(reterr, -errno, "%s: %s", backing, strerror(errno));
	}
	r = plane_open(&options, &plane, reterr);
	if (r < 0) {
		return err_wrap(reterr, r, "%s", backing);
	}
	log_timing(plane);
	return mount_plane(plane, root_fd, o, backing, mountpoint, reterr);
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int complain(const struct err *why, int status)
{
	(void)fprintf(stderr, "holdfast mount: %s\n", why->text);
	tell_caller((unsigned char)status);
	return status;
}

int main(int argc, char **argv)
{
	char backing[PATH_MAX], mountpoint[PATH_MAX];
	struct err why = {{0}};
	struct options o;

	if (options_parse(argc, argv, &o, &why) < 0) {
		return complain(&why, EXIT_USAGE);
	}
	if (o.help) {
		(void)fputs(options_usage, stdout);
		return EXIT_SUCCESS;
	}
	if (o.version) {
		(void)printf("holdfast %s, libfuse %s\n", HOLDFAST_VERSION, fuse_pkgversion());
		return EXIT_SUCCESS;
	}
	if (o.debug) {
		log_set_level(LOG_DEBUG);
	}
	if (check_backing(o.backing, backing, &why) < 0 ||
	    check_mountpoint(o.mountpoint, backing, mountpoint, &why) < 0) {
		return complain(&why, EXIT_MOUNT_FAILED);
	}
	if (!o.foreground && go_to_background(&why) < 0) {
		return complain(&why, EXIT_MOUNT_FAILED);
	}
	(void)signal(SIGPIPE, SIG_IGN);
	raise_file_limit();
	(void)umask(0); /* the kernel has applied the caller's */
	if (run(&o, backing, mountpoint, &why) < 0) {
		return complain(&why, EXIT_MOUNT_FAILED);
	}
	return EXIT_SUCCESS;
}
