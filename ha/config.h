/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `holdfast launch` was told: command line, properties files, environment, in Apache
 * Brooklyn's names, defaults and refusals.
 *
 * Judges the settings against each other only, never against the share (ha/preflight.h).  Immutable
 * once resolved: any thread may read.
 */
#ifndef HA_CONFIG_H
#define HA_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ha/engine.h"
#include "ha/properties.h"

enum ha_persist {
	HA_PERSIST_DISABLED,
	HA_PERSIST_AUTO,
	HA_PERSIST_REBIND, /* the directory must hold state */
	HA_PERSIST_CLEAN,  /* what it holds is removed */
	HA_PERSIST_MAX_,
};

/* The texts belong to argv, or to the settings. */
struct ha_settings {
	bool help;
	bool quiet;
	bool verbose;
	bool https;
	bool no_console;
	bool no_console_security;
	bool no_global_properties;
	bool fail_on_persistence_errors;
	bool continue_on_web_errors;
	enum ha_mode mode;
	enum ha_persist persist;
	const char *mode_text; /* NULL: not given, as in the other texts */
	const char *persist_text;
	const char *persistence_dir_text;
	const char *persistence_location;
	const char *port_text;
	const char *bind_address;
	const char *public_address;
	const char *local_properties;
	const char *node_id;
	const char *hooks_dir;
	const char *exec_command;
	struct ha_properties defines; /* -D */
	struct ha_properties files;
	uint16_t port;
	bool next_free_port;
	uint64_t poll_ms;      /* brooklyn.ha.pollPeriod; 0: not given */
	uint64_t prune_ms;     /* brooklyn.ha.timeoutForInactiveNodeRemoval; 0: never */
	uint64_t timeout_ms;   /* brooklyn.ha.heartbeatTimeout; 0: not given */
	char *persistence_dir; /* NULL: persistence is disabled */
};

/*
 * Read the command line, argv[1] onward; argv's order may change.  *ret is to be released with
 * ha_settings_done() in any case.  -EINVAL with the reason: it cannot be understood; -ENOMEM.
 */
int ha_config_parse(int argc, char **argv, struct ha_settings *ret, struct err *reterr);

/*
 * Read the properties files and settle everything else; not needed if .help.  An error with the
 * reason: it can be understood but not be done.
 */
int ha_config_resolve(struct ha_settings *s, struct err *reterr);

void ha_settings_done(struct ha_settings *s);

/*
 * A property's value, or NULL: from -D, else the environment variable of exactly that name, else
 * the last file that has it.
 */
const char *ha_config_get(const struct ha_settings *s, const char *key);

/* The text of --help, on stdout. */
void ha_config_print_help(void);

#endif
