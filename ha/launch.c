/* SPDX-License-Identifier: Apache-2.0 */
/* `holdfast launch`: one node of the plane, in the foreground.  Connects ha/ with rest/. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "ha/address.h"
#include "ha/agent.h"
#include "ha/config.h"
#include "ha/dir.h"
#include "ha/pidfile.h"
#include "ha/preflight.h"
#include "ha/programs.h"
#include "ha/snapshot.h"
#include "ha/view.h"
#include "rest/auth.h"
#include "rest/server.h"

#define PID_FILE  "pid.txt"
#define URI_BYTES 512

enum exit_status {
	EXIT_STOPPED = 0,
	EXIT_COMMAND_LINE = 1,
	EXIT_EXECUTION = 2,
	EXIT_CONFIGURATION = 3,
};

/* The web server and what it stands on. */
struct web {
	struct ha_agent *agent;
	struct ha_programs *programs; /* NULL: there are none */
	struct rest_plane bare; /* shown when there is no memory for more: it claims nothing */
	struct rest_auth *auth;
	const char *bind_address;
	struct rest_server *server; /* NULL: there is none */
	char uri[URI_BYTES];        /* "": there is none */
};

static int complain(int status, const struct err *err, int error)
{
	(void)fprintf(stderr, "holdfast launch: %s\n", err->text[0] ? err->text : strerror(-error));
	return status;
}

/* All threads inherit the mask; the signals arrive at the descriptor only. */
static int catch_signals(void)
{
	sigset_t stop;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&stop);
	(void)sigaddset(&stop, SIGTERM);
	(void)sigaddset(&stop, SIGINT);
	(void)sigaddset(&stop, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &stop, NULL);
	return signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
}

static const char *on_lookup(void *ctx, const char *key)
{
	return ha_config_get(ctx, key);
}

/* Who may ask, and from where: wrong here means wrong configuration. */
static int web_configure(struct web *w, struct ha_settings *s, struct err *reterr)
{
	int r;

	if (!s->no_console_security) {
		r = rest_auth_new(on_lookup, s, &w->auth, reterr);
		if (r < 0) {
			return r;
		}
	}
	return ha_address_choose_bind(s->bind_address, w->auth != NULL, s->no_console_security,
				      &w->bind_address, reterr);
}

static const char *on_state(void *ctx)
{
	const struct web *w = ctx;

	return ha_state_name(ha_agent_state(w->agent));
}

static const struct rest_plane *on_plane_get(void *ctx)
{
	const struct web *w = ctx;
	const struct rest_plane *plane;
	struct ha_look look;

	ha_agent_look(w->agent, &look);
	plane = ha_view_new(look.newest, &look.own, look.own_epoch);
	ha_snapshot_unref(look.newest);
	return plane ? plane : &w->bare;
}

static void on_plane_put(void *ctx, const struct rest_plane *plane)
{
	const struct web *w = ctx;

	if (plane != &w->bare) {
		ha_view_free(plane);
	}
}

static int web_start(struct web *w, const struct ha_settings *s, struct err *reterr)
{
	struct rest_options options = {
		.bind_address = w->bind_address,
		.port = s->port,
		.next_free_port = s->next_free_port,
		.auth = w->auth,
		.backend = {.ctx = w,
			    .state = on_state,
			    .plane_get = on_plane_get,
			    .plane_put = on_plane_put},
	};
	int r = rest_server_start(&options, &w->server, reterr);

	if (r < 0) {
		return r;
	}
	r = ha_address_format_uri(s->public_address, w->bind_address, rest_server_port(w->server),
				  w->uri, sizeof(w->uri));
	if (r < 0) {
		w->uri[0] = '\0';
		return err_wrap(reterr, r, "making this node's URI");
	}
	log_line(LOG_INFO, "ha", "REST API is up", "uri=%s bind=%s auth=%s", w->uri,
		 w->bind_address, w->auth ? "basic" : "none");
	return 0;
}

static void web_stop(struct web *w)
{
	rest_server_stop(w->server);
	rest_auth_free(w->auth);
}

/* From the web server on: what goes wrong here is no matter of configuration. */
static int run(struct web *w, const struct ha_settings *s, int stop_fd)
{
	struct err err = {0};
	int r;

	if (!s->no_console) {
		r = web_start(w, s, &err);
		if (r < 0 && !s->continue_on_web_errors) {
			return complain(EXIT_EXECUTION, &err, r);
		}
		if (r < 0) {
			log_line(LOG_WARN, "ha", "no web server, ignoring", "error=\"%s\"",
				 err.text);
		}
	}
	log_line(LOG_INFO, "ha",
		 "Launched Holdfast; will now block until process interrupt (SIGTERM, SIGINT)",
		 "version=%s", HOLDFAST_VERSION);
	r = ha_agent_run(w->agent, w->uri[0] ? w->uri : NULL, stop_fd);
	if (r < 0 && r != -ECANCELED) {
		return complain(EXIT_EXECUTION, &err, r);
	}
	return r < 0 ? EXIT_EXECUTION : EXIT_STOPPED;
}

/* Before any thread is started. */
static int start_programs(struct web *w, const struct ha_settings *s, const char *id,
			  const struct ha_snapshot *plane)
{
	const struct ha_programs_options options = {
		.hooks_dir = s->hooks_dir,
		.command = s->exec_command,
		.node_id = id,
		.timeout_ms = plane ? plane->timeout_ms : 0,
		.margin_ms = plane ? plane->margin_ms : 0,
		.poll_ms = plane ? plane->poll_ms : 0,
	};

	return ha_programs_start(&options, &w->programs);
}

/* Everything that can be wrong with the configuration. */
static int prepare(struct ha_settings *s, const char *id, struct web *w, struct err *reterr)
{
	_cleanup_(ha_dir_closep) struct ha_dir *dir = NULL;
	_cleanup_(ha_snapshot_unrefp) struct ha_snapshot *plane = NULL;
	struct ha_agent_options options = {
		.id = id,
		.mode = s->mode,
		.prune_ms = s->prune_ms,
		.clear_on_first_promotion = s->persist == HA_PERSIST_CLEAN,
		.refusal_is_fatal = s->fail_on_persistence_errors,
	};
	int r;

	if ((r = web_configure(w, s, reterr)) < 0 ||
	    (r = ha_preflight(s, id, &dir, &plane, reterr)) < 0 ||
	    (r = start_programs(w, s, id, plane)) < 0) {
		return r;
	}
	if (dir) {
		ha_dir_set_witness(dir, ha_programs_witness(w->programs));
	}
	options.programs = w->programs;
	if ((r = ha_agent_new(&options, dir, plane, &w->agent, reterr)) < 0) {
		return r;
	}
	dir = NULL;
	plane = NULL;
	return 0;
}

static int launch(struct ha_settings *s, int stop_fd)
{
	char id[PARSE_ID_BYTES];
	int r, pid_fd, status;
	struct err err = {0};
	struct web web = {.bare = {.own_id = id}};

	io_random_id(id);
	if (s->node_id) {
		(void)snprintf(id, sizeof(id), "%s", s->node_id);
	}
	r = prepare(s, id, &web, &err);
	if (r < 0) {
		ha_programs_stop(web.programs);
		rest_auth_free(web.auth);
		return complain(EXIT_CONFIGURATION, &err, r);
	}
	r = ha_pidfile_acquire(PID_FILE, &pid_fd, &err);
	status = r < 0 ? complain(EXIT_EXECUTION, &err, r) : run(&web, s, stop_fd);
	web_stop(&web);
	ha_programs_stop(web.programs);
	if (r == 0) {
		ha_pidfile_release(PID_FILE, pid_fd);
	}
	if (ha_agent_free(web.agent) < 0) {
		log_line(LOG_WARN, "ha", "the share still holds a thread, ignoring", "id=%s", id);
		_exit(status);
	}
	return status;
}

int main(int argc, char **argv)
{
	_cleanup_(ha_settings_done) struct ha_settings settings;
	_cleanup_close_ int stop_fd = -EBADF;
	struct err err = {0};
	int r;

	r = ha_config_parse(argc, argv, &settings, &err);
	if (r < 0) {
		return complain(EXIT_COMMAND_LINE, &err, r);
	}
	if (settings.help) {
		ha_config_print_help();
		return EXIT_STOPPED;
	}
	if (settings.quiet || settings.verbose) {
		log_set_level(settings.quiet ? LOG_WARN : LOG_DEBUG);
	}
	r = ha_config_resolve(&settings, &err);
	if (r < 0) {
		return complain(EXIT_CONFIGURATION, &err, r);
	}
	stop_fd = catch_signals();
	if (stop_fd < 0) {
		return complain(EXIT_EXECUTION, &err, -errno);
	}
	return launch(&settings, stop_fd);
}
