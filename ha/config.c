/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/config.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "ha/address.h"
#include "ha/hooks.h"

enum kind {
	KIND_FLAG,   /* sets a bool */
	KIND_TEXT,   /* sets a const char * */
	KIND_DEFINE, /* adds to .defines */
};

#define FLAG(member) KIND_FLAG, offsetof(struct ha_settings, member)
#define TEXT(member) KIND_TEXT, offsetof(struct ha_settings, member)
#define TEXT_COLUMN  42

/* A day: who looks for a dead node in the morning still finds it. */
#define PRUNE_DEFAULT_MS 86400000
#define FIRST_LONG_VAL   256

/* The one table: what is accepted, and what --help says. */
static const struct row {
	const char *name;
	const char *alias; /* one letter: also without a blank before its value */
	enum kind kind;
	size_t offset;
	const char *value; /* its name in the help; NULL for a flag */
	const char *help;
} rows[] = {
	{"highAvailability", NULL, TEXT(mode_text), "MODE",
	 "auto (default), master, standby, hot_standby (keeps the persisted state loaded), "
	 "hot_backup (likewise, never becomes master), disabled"},
	{"nodeId", NULL, TEXT(node_id), "ID",
	 "this node's id; default: a new one of 8 characters at each start"},
	{"persist", NULL, TEXT(persist_text), "MODE",
	 "disabled (default), auto, rebind (DIR must hold state), clean (the first promotion "
	 "removes what DIR holds)"},
	{"persistenceDir", NULL, TEXT(persistence_dir_text), "DIR",
	 "a Holdfast mount; default: the property brooklyn.persistence.dir"},
	{"persistenceLocation", NULL, TEXT(persistence_location), "SPEC",
	 "an object store; comes later"},
	{"port", "p", TEXT(port_text), "PORT[+]",
	 "port of the REST API; with '+' the first free one from there; default 8081+"},
	{"bindAddress", "b", TEXT(bind_address), "ADDRESS",
	 "numeric address to listen on; default 0.0.0.0, or 127.0.0.1 if no users are configured"},
	{"publicAddress", "pa", TEXT(public_address), "HOST",
	 "host that others reach this node by"},
	{"https", NULL, FLAG(https), NULL, "comes later"},
	{"noConsole", "nc", FLAG(no_console), NULL, "no web server: no REST API"},
	{"noConsoleSecurity", NULL, FLAG(no_console_security), NULL, "ask nobody for a password"},
	{"localBrooklynProperties", NULL, TEXT(local_properties), "FILE",
	 "a further properties file, stronger than the global one"},
	{"noGlobalBrooklynProperties", NULL, FLAG(no_global_properties), NULL,
	 "do not read ~/.brooklyn/brooklyn.properties"},
	{"hooks", NULL, TEXT(hooks_dir), "DIR",
	 "run DIR/on-promote, on-demote and on-state-change when they are due"},
	{"exec", NULL, TEXT(exec_command), "COMMAND",
	 "run COMMAND, by /bin/sh, while this node is master"},
	{"startupFailOnPersistenceErrors", NULL, FLAG(fail_on_persistence_errors), NULL,
	 "end with status 2 if the plane refuses the mode"},
	{"startupContinueOnWebErrors", NULL, FLAG(continue_on_web_errors), NULL,
	 "go on without the web server if it cannot start"},
	{"quiet", "q", FLAG(quiet), NULL, "log warnings and errors only"},
	{"verbose", "v", FLAG(verbose), NULL, "log more"},
	{"define", "D", KIND_DEFINE, 0, "KEY=VALUE", "set a property; stronger than all files"},
	{"help", "h", FLAG(help), NULL, "print this and end"},
};

#define ROWS              (sizeof(rows) / sizeof(rows[0]))
#define ROOM_FOR(per_row) ((per_row)*ROWS + 2)

static bool is_letter(const char *alias)
{
	return alias && !alias[1];
}

void ha_config_print_help(void)
{
	(void)printf(
		"usage: holdfast launch [option]...\n\n"
		"Runs this machine's node of the plane in the foreground, and writes pid.txt in "
		"the current directory.\n\n");
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *row = &rows[i];
		int n = printf("  %s%s%s--%s %s", row->alias ? "-" : "",
			       row->alias ? row->alias : "", row->alias ? ", " : "", row->name,
			       row->value ? row->value : "");

		(void)printf("%*s%s\n", n < TEXT_COLUMN ? TEXT_COLUMN - n : 1, "", row->help);
	}
	(void)printf("\nexit status: 0 stopped, 1 command line, 2 execution, 3 configuration\n");
}

/* Both spellings of row i have the value FIRST_LONG_VAL + i, a letter has itself. */
static void build_tables(struct option *ret_long, char *ret_short)
{
	size_t n_long = 0, n_short = 0;

	ret_short[n_short++] = ':'; /* tell a missing value from an unknown option */
	for (size_t i = 0; i < ROWS; i++) {
		int has_arg = rows[i].value ? required_argument : no_argument;
		int val = FIRST_LONG_VAL + (int)i;

		ret_long[n_long++] = (struct option){rows[i].name, has_arg, NULL, val};
		if (is_letter(rows[i].alias)) {
			ret_short[n_short++] = rows[i].alias[0];
			if (rows[i].value) {
				ret_short[n_short++] = ':';
			}
		} else if (rows[i].alias) {
			ret_long[n_long++] = (struct option){rows[i].alias, has_arg, NULL, val};
		}
	}
	ret_long[n_long] = (struct option){0};
	ret_short[n_short] = '\0';
}

static const struct row *find_row(int val)
{
	if (val >= FIRST_LONG_VAL) {
		return &rows[val - FIRST_LONG_VAL];
	}
	for (size_t i = 0; i < ROWS; i++) {
		if (is_letter(rows[i].alias) && rows[i].alias[0] == val) {
			return &rows[i];
		}
	}
	assert(false);
	return NULL;
}

static int add_define(struct ha_settings *s, const char *text, struct err *reterr)
{
	const char *equals = strchrnul(text, '=');
	_cleanup_free_ char *key = strndup(text, (size_t)(equals - text));

	if (!key) {
		return -ENOMEM;
	}
	if (!key[0]) {
		return err_set(reterr, -EINVAL, "-D%s: there is no key", text);
	}
	return ha_properties_set(&s->defines, key, *equals ? equals + 1 : "");
}

static int apply(struct ha_settings *s, const struct row *row, const char *value,
		 struct err *reterr)
{
	char *member = (char *)s + row->offset;

	switch (row->kind) {
	case KIND_FLAG:
		*(bool *)(void *)member = true;
		return 0;
	case KIND_TEXT:
		*(const char **)(void *)member = value;
		return 0;
	case KIND_DEFINE:
		return add_define(s, value, reterr);
	}
	return -EINVAL;
}

static int parse_persist(const char *text, enum ha_persist *ret)
{
	static const char *const names[HA_PERSIST_MAX_] = {
		[HA_PERSIST_DISABLED] = "disabled",
		[HA_PERSIST_AUTO] = "auto",
		[HA_PERSIST_REBIND] = "rebind",
		[HA_PERSIST_CLEAN] = "clean",
	};

	for (enum ha_persist p = 0; p < HA_PERSIST_MAX_; p++) {
		if (strcasecmp(text, names[p]) == 0) {
			*ret = p;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_values(struct ha_settings *s, struct err *reterr)
{
	s->mode = HA_MODE_AUTO;
	if (s->mode_text && ha_mode_parse(s->mode_text, &s->mode) < 0) {
		return err_set(reterr, -EINVAL, "Illegal highAvailability setting: %s",
			       s->mode_text);
	}
	if (s->persist_text && parse_persist(s->persist_text, &s->persist) < 0) {
		return err_set(reterr, -EINVAL, "Illegal persist setting: %s", s->persist_text);
	}
	if (s->port_text && ha_address_parse_port(s->port_text, &s->port, &s->next_free_port) < 0) {
		return err_set(reterr, -EINVAL, "--port: %s is no port such as 8081 or 8081+",
			       s->port_text);
	}
	if (s->bind_address && !ha_address_is_numeric(s->bind_address)) {
		return err_set(reterr, -EINVAL, "--bindAddress: %s is no numeric address",
			       s->bind_address);
	}
	if (s->node_id && !parse_id_is_valid(s->node_id)) {
		return err_set(reterr, -EINVAL, "--nodeId: %s is no id", s->node_id);
	}
	if (s->public_address && !ha_address_is_host(s->public_address)) {
		return err_set(reterr, -EINVAL, "--publicAddress: %s is no host name or address",
			       s->public_address);
	}
	return 0;
}

int ha_config_parse(int argc, char **argv, struct ha_settings *ret, struct err *reterr)
{
	struct option longs[ROOM_FOR(2)];
	char shorts[ROOM_FOR(2)];
	int val, r;

	*ret = (struct ha_settings){0};
	build_tables(longs, shorts);
	opterr = 0;
	optind = 0; /* GNU: forget any earlier command line */
	while ((val = getopt_long_only(argc, argv, shorts, longs, NULL)) >= 0) {
		if (val == '?' || val == ':') {
			return err_set(reterr, -EINVAL, "%s: %s", argv[optind - 1],
				       val == ':' ? "its value is missing"
						  : "unknown, ambiguous or misused option");
		}
		r = apply(ret, find_row(val), optarg, reterr);
		if (r < 0) {
			return r;
		}
	}
	if (optind < argc) {
		return err_set(reterr, -EINVAL, "unexpected argument: %s", argv[optind]);
	}
	return parse_values(ret, reterr);
}

void ha_settings_done(struct ha_settings *s)
{
	ha_properties_done(&s->defines);
	ha_properties_done(&s->files);
	free(s->persistence_dir);
	*s = (struct ha_settings){0};
}

const char *ha_config_get(const struct ha_settings *s, const char *key)
{
	const char *value = ha_properties_get(&s->defines, key);

	if (!value) {
		value = getenv(key);
	}
	return value ? value : ha_properties_get(&s->files, key);
}

/* NULL: this user has none. */
static const char *home(void)
{
	const char *path = getenv("HOME");
	const struct passwd *user;

	if (path && path[0]) {
		return path;
	}
	user = getpwuid(getuid());
	return user ? user->pw_dir : NULL;
}

/* A file that is not there is no error. */
static int load_from_home(struct ha_settings *s, const char *name, struct err *reterr)
{
	_cleanup_free_ char *path = NULL;
	const char *base = home();

	if (!base) {
		return 0;
	}
	if (asprintf(&path, "%s/.brooklyn/%s", base, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (access(path, F_OK) < 0 && errno == ENOENT) {
		return 0;
	}
	return ha_properties_load(&s->files, path, reterr);
}

/* The later one wins. */
static int load_files(struct ha_settings *s, struct err *reterr)
{
	int r = load_from_home(s, "location-metadata.properties", reterr);

	if (r == 0 && !s->no_global_properties) {
		r = load_from_home(s, "brooklyn.properties", reterr);
	}
	if (r == 0 && s->local_properties) {
		r = ha_properties_load(&s->files, s->local_properties, reterr);
	}
	return r;
}

static int check_modes(struct ha_settings *s, struct err *reterr)
{
	static const char *const names[HA_MODE_MAX_] = {
		[HA_MODE_STANDBY] = "STANDBY",
		[HA_MODE_HOT_STANDBY] = "HOT_STANDBY",
		[HA_MODE_HOT_BACKUP] = "HOT_BACKUP",
	};

	if (s->persist == HA_PERSIST_DISABLED) {
		if (s->persistence_dir_text || s->persistence_location) {
			return err_set(
				reterr, -EINVAL, "Cannot specify %s when persist is disabled",
				s->persistence_dir_text ? "persistenceDir" : "persistenceLocation");
		}
		if (s->mode != HA_MODE_AUTO && s->mode != HA_MODE_DISABLED) {
			return err_set(reterr, -EINVAL,
				       "Cannot specify highAvailability when persistence is "
				       "disabled");
		}
		s->mode = HA_MODE_DISABLED;
		return 0;
	}
	if (s->persist == HA_PERSIST_CLEAN && names[s->mode]) {
		return err_set(reterr, -EINVAL,
			       "Cannot specify highAvailability %s when persistence is CLEAN",
			       names[s->mode]);
	}
	if (s->persist == HA_PERSIST_CLEAN && s->mode == HA_MODE_DISABLED) {
		return err_set(reterr, -EINVAL,
			       "Cannot specify highAvailability DISABLED when persistence is "
			       "CLEAN: only a master may remove state");
	}
	if (s->persistence_location) {
		return err_set(reterr, -EINVAL,
			       "persistenceLocation comes in a later version; there "
			       "is persistenceDir");
	}
	return 0;
}

static int check_programs(const struct ha_settings *s, struct err *reterr)
{
	if (s->mode == HA_MODE_DISABLED && (s->hooks_dir || s->exec_command)) {
		return err_set(reterr, -EINVAL,
			       "Cannot specify %s when high availability is disabled",
			       s->hooks_dir ? "hooks" : "exec");
	}
	if (s->exec_command && !s->exec_command[0]) {
		return err_set(reterr, -EINVAL, "--exec: there is no command");
	}
	return s->hooks_dir ? ha_hooks_check(s->hooks_dir, reterr) : 0;
}

static int check_web(struct ha_settings *s, struct err *reterr)
{
	const char *required = ha_config_get(s, "brooklyn.webconsole.security.https.required");
	const char *port = ha_config_get(s, "brooklyn.webconsole.port");
	bool is_required = false;

	if (required && parse_bool(required, &is_required) < 0) {
		return err_set(reterr, -EINVAL,
			       "brooklyn.webconsole.security.https.required: %s is neither true "
			       "nor false",
			       required);
	}
	if (s->https || is_required) {
		return err_set(reterr, -EINVAL,
			       "https comes in a later version; put a proxy in "
			       "front of http on the loopback address");
	}
	if (s->port_text) {
		return 0;
	}
	if (!port) {
		port = "8081+";
	}
	if (ha_address_parse_port(port, &s->port, &s->next_free_port) < 0) {
		return err_set(reterr, -EINVAL,
			       "brooklyn.webconsole.port: %s is no port such as 8081 or 8081+",
			       port);
	}
	return 0;
}

/* *ret_ms stays if it is not given. */
static int get_duration(const struct ha_settings *s, const char *key, bool may_be_zero,
			uint64_t *ret_ms, struct err *reterr)
{
	const char *text = ha_config_get(s, key);

	if (text && (parse_duration_ms(text, ret_ms) < 0 || (*ret_ms == 0 && !may_be_zero))) {
		return err_set(reterr, -EINVAL, "%s: %s is no duration such as 500ms or 30s", key,
			       text);
	}
	return 0;
}

/* "~" is the home directory; a relative path is below @base, as in Apache Brooklyn.  NULL: none. */
static int resolve_path(const char *base, const char *path, char **ret)
{
	bool in_home = path[0] == '~' && (path[1] == '/' || !path[1]);
	const char *parent = in_home ? home() : base;
	char *text;

	if (path[0] == '/' || !parent) {
		text = strdup(path);
	} else if (asprintf(&text, "%s/%s", parent, in_home ? path + 1 + !!path[1] : path) < 0) {
		text = NULL;
	}
	if (!text) {
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}

static int resolve_dir(struct ha_settings *s)
{
	const char *base_text = ha_config_get(s, "brooklyn.base.dir");
	const char *path = s->persistence_dir_text;
	_cleanup_free_ char *base = NULL;
	int r;

	if (!path) {
		path = ha_config_get(s, "brooklyn.persistence.dir");
	}
	if (!path) {
		path = "brooklyn-persisted-state/data";
	}
	r = resolve_path(NULL, base_text ? base_text : "~/.brooklyn", &base);
	return r < 0 ? r : resolve_path(base, path, &s->persistence_dir);
}

int ha_config_resolve(struct ha_settings *s, struct err *reterr)
{
	int r;

	s->prune_ms = PRUNE_DEFAULT_MS;
	if ((r = load_files(s, reterr)) < 0 || (r = check_modes(s, reterr)) < 0 ||
	    (r = check_programs(s, reterr)) < 0 || (r = check_web(s, reterr)) < 0 ||
	    (r = get_duration(s, "brooklyn.ha.pollPeriod", false, &s->poll_ms, reterr)) < 0 ||
	    (r = get_duration(s, "brooklyn.ha.heartbeatTimeout", false, &s->timeout_ms, reterr)) <
		    0 ||
	    (r = get_duration(s, "brooklyn.ha.timeoutForInactiveNodeRemoval", true, &s->prune_ms,
			      reterr)) < 0) {
		return r;
	}
	return s->persist == HA_PERSIST_DISABLED ? 0 : resolve_dir(s);
}
