/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ha/config.h"
#include "unit.h"

#define ARGS_MAX 12

/* What ha_config_parse() and, after it, ha_config_resolve() make of these arguments. */
struct outcome {
	struct ha_settings s;
	struct err err;
	int parsed;
	int resolved;
};

static char home[] = "/tmp/test_ha_config.XXXXXX";

static void launch(const char *const *args, struct outcome *ret)
{
	char *argv[ARGS_MAX + 2] = {strdup("holdfast launch")};
	char *given[ARGS_MAX + 1];
	int argc = 1;

	for (; args[argc - 1]; argc++) {
		argv[argc] = strdup(args[argc - 1]);
	}
	memcpy(given, argv, sizeof(given)); /* getopt changes the order */
	*ret = (struct outcome){.resolved = 1};
	ret->parsed = ha_config_parse(argc, argv, &ret->s, &ret->err);
	if (ret->parsed == 0) {
		ret->resolved = ha_config_resolve(&ret->s, &ret->err);
	}
	/* Settings point into argv: tests read them before the next launch(). */
	for (int i = 0; i < argc; i++) {
		static char *kept[ARGS_MAX + 1];

		free(kept[i]);
		kept[i] = given[i];
	}
}

#define LAUNCH(o, ...) launch((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}, o)

static void put_file(const char *name, const char *text)
{
	char path[128];
	FILE *out;

	(void)snprintf(path, sizeof(path), "%s/%s", home, name);
	out = fopen(path, "w");
	assert_non_null(out);
	(void)fputs(text, out);
	(void)fclose(out);
}

static int set_up(void **state)
{
	char path[64];

	(void)state;
	if (!mkdtemp(home) || setenv("HOME", home, 1) < 0) {
		return -1;
	}
	(void)snprintf(path, sizeof(path), "%s/.brooklyn", home);
	return mkdir(path, 0700);
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", home);
	return system(command);
}

static int remove_files(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -f %s/*.properties %s/.brooklyn/*", home,
		       home);
	return system(command);
}

static void without_options_nothing_is_shared(void **state)
{
	struct outcome o;

	(void)state;
	LAUNCH(&o);

	assert_ok(o.parsed);
	assert_ok(o.resolved);
	assert_int_equal(o.s.mode, HA_MODE_DISABLED);
	assert_int_equal(o.s.persist, HA_PERSIST_DISABLED);
	assert_null(o.s.persistence_dir);
	assert_int_equal(o.s.port, 8081);
	assert_true(o.s.next_free_port);
	assert_null(o.s.bind_address);
	ha_settings_done(&o.s);
}

static void the_documents_command_line_is_understood(void **state)
{
	struct outcome o;

	(void)state;
	LAUNCH(&o, "--highAvailability", "master", "--persist", "auto", "--persistenceDir",
	       "/mnt/brooklyn-persistence");

	assert_ok(o.resolved);
	assert_int_equal(o.s.mode, HA_MODE_MASTER);
	assert_int_equal(o.s.persist, HA_PERSIST_AUTO);
	assert_string_equal(o.s.persistence_dir, "/mnt/brooklyn-persistence");
	ha_settings_done(&o.s);
}

static void every_spelling_of_an_option_means_the_same(void **state)
{
	static const char *const lines[][ARGS_MAX + 1] = {
		{"--port", "9000", "--bindAddress", "::1", "--publicAddress", "n1", "--noConsole",
		 "--quiet", "--verbose"},
		{"-p", "9000", "-b", "::1", "-pa", "n1", "-nc", "-q", "-v"},
		{"-p9000", "-b::1", "--pa=n1", "--nc", "-qv"},
		{"--port=9000", "--bindAddress=::1", "-publicAddress", "n1", "-noConsole", "-q",
		 "-v"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct outcome o;

		launch(lines[i], &o);
		print_message("case %zu %s\n", i, o.err.text);
		assert_ok(o.resolved);
		assert_int_equal(o.s.port, 9000);
		assert_false(o.s.next_free_port);
		assert_string_equal(o.s.bind_address, "::1");
		assert_string_equal(o.s.public_address, "n1");
		assert_true(o.s.no_console);
		assert_true(o.s.quiet);
		assert_true(o.s.verbose);
		ha_settings_done(&o.s);
	}
}

static void modes_are_read_in_any_case(void **state)
{
	struct outcome o;

	(void)state;
	LAUNCH(&o, "--highAvailability", "STANDBY", "--persist", "ReBind", "--persistenceDir",
	       "/d");

	assert_ok(o.resolved);
	assert_int_equal(o.s.mode, HA_MODE_STANDBY);
	assert_int_equal(o.s.persist, HA_PERSIST_REBIND);
	ha_settings_done(&o.s);
}

static void what_cannot_be_understood_is_a_command_line_error(void **state)
{
	static const struct {
		const char *args[ARGS_MAX + 1];
		const char *reason;
	} bad[] = {
		{{"--unknown"}, "--unknown"},
		{{"-x"}, "-x"},
		{{"stray"}, "stray"},
		{{"--port"}, "missing"},
		{{"-p"}, "missing"},
		{{"--noConsole=yes"}, "--noConsole=yes"},
		{{"--persistence", "x"}, "ambiguous"},
		{{"--port", "http"}, "http"},
		{{"--port", "70000"}, "70000"},
		{{"--bindAddress", "localhost"}, "localhost"},
		{{"--publicAddress", "http://a/"}, "http://a/"},
		{{"--highAvailability", "boss"}, "Illegal highAvailability setting: boss"},
		{{"--highAvailability", ""}, "Illegal highAvailability"},
		{{"--persist", "maybe"}, "Illegal persist setting: maybe"},
		{{"-D"}, "missing"},
		{{"-D=v"}, "no key"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct outcome o;

		launch(bad[i].args, &o);
		print_message("case %s: %s\n", bad[i].args[0], o.err.text);
		assert_errno(o.parsed, EINVAL);
		assert_non_null(strstr(o.err.text, bad[i].reason));
		ha_settings_done(&o.s);
	}
}

static void what_does_not_go_together_is_a_configuration_error(void **state)
{
	static const struct {
		const char *args[ARGS_MAX + 1];
		const char *reason;
	} bad[] = {
		{{"--persistenceDir", "/d"},
		 "Cannot specify persistenceDir when persist is disabled"},
		{{"--persistenceLocation", "s3"},
		 "Cannot specify persistenceLocation when persist is disabled"},
		{{"--highAvailability", "master"},
		 "Cannot specify highAvailability when persistence is disabled"},
		{{"--highAvailability", "standby"},
		 "Cannot specify highAvailability when persistence is disabled"},
		{{"--highAvailability", "standby", "--persist", "clean"},
		 "Cannot specify highAvailability STANDBY when persistence is CLEAN"},
		{{"--highAvailability", "hot_standby", "--persist", "clean"},
		 "Cannot specify highAvailability HOT_STANDBY when persistence is CLEAN"},
		{{"--highAvailability", "disabled", "--persist", "clean"},
		 "Cannot specify highAvailability DISABLED when persistence is CLEAN"},
		{{"-Dbrooklyn.ha.timeoutForInactiveNodeRemoval=1"}, "timeoutForInactiveNodeRem"},
		{{"--persistenceLocation", "s3", "--persist", "auto"}, "later version"},
		{{"--https"}, "later version"},
		{{"-Dbrooklyn.webconsole.security.https.required=true"}, "later version"},
		{{"-Dbrooklyn.webconsole.security.https.required=1"}, "neither true nor false"},
		{{"-Dbrooklyn.webconsole.port=x"}, "brooklyn.webconsole.port"},
		{{"-Dbrooklyn.ha.pollPeriod=1"}, "brooklyn.ha.pollPeriod: 1 is no duration"},
		{{"-Dbrooklyn.ha.heartbeatTimeout=0"}, "brooklyn.ha.heartbeatTimeout"},
		{{"--localBrooklynProperties", "/nowhere"}, "/nowhere"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct outcome o;

		launch(bad[i].args, &o);
		print_message("case %s: %s\n", bad[i].args[0], o.err.text);
		assert_ok(o.parsed);
		assert_true(o.resolved < 0);
		assert_non_null(strstr(o.err.text, bad[i].reason));
		ha_settings_done(&o.s);
	}
}

static void each_source_is_stronger_than_the_one_before(void **state)
{
	static const char *const keys[] = {"k1", "k2", "k3", "k4", "k5"};
	char local[128];
	struct outcome o;

	(void)state;
	put_file(".brooklyn/location-metadata.properties", "k1=1\nk2=1\nk3=1\nk4=1\nk5=1\n");
	put_file(".brooklyn/brooklyn.properties", "k2=2\nk3=2\nk4=2\nk5=2\n");
	put_file("local.properties", "k3=3\nk4=3\nk5=3\n");
	(void)setenv("k4", "4", 1);
	(void)setenv("k5", "4", 1);
	(void)snprintf(local, sizeof(local), "%s/local.properties", home);
	LAUNCH(&o, "--localBrooklynProperties", local, "-Dk5=5");

	assert_ok(o.resolved);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char want[] = {(char)('1' + i), '\0'};

		assert_string_equal(ha_config_get(&o.s, keys[i]), want);
	}
	assert_null(ha_config_get(&o.s, "k6"));
	ha_settings_done(&o.s);

	LAUNCH(&o, "--noGlobalBrooklynProperties");
	assert_ok(o.resolved);
	assert_string_equal(ha_config_get(&o.s, "k3"), "1");
	ha_settings_done(&o.s);
	(void)unsetenv("k4");
	(void)unsetenv("k5");
}

static void the_command_line_is_stronger_than_properties(void **state)
{
	struct outcome o;

	(void)state;
	put_file(".brooklyn/brooklyn.properties",
		 "brooklyn.persistence.dir=/from/file\nbrooklyn.webconsole.port=9001\n"
		 "brooklyn.ha.pollPeriod=500ms\nbrooklyn.ha.heartbeatTimeout=10s\n");
	LAUNCH(&o, "--persist", "auto");
	assert_ok(o.resolved);
	assert_int_equal(o.s.mode, HA_MODE_AUTO);
	assert_string_equal(o.s.persistence_dir, "/from/file");
	assert_int_equal(o.s.port, 9001);
	assert_false(o.s.next_free_port);
	assert_u64(o.s.poll_ms, 500);
	assert_u64(o.s.timeout_ms, 10000);
	assert_u64(o.s.prune_ms, UINT64_C(24) * 3600 * 1000);
	assert_null(o.s.node_id);
	ha_settings_done(&o.s);

	LAUNCH(&o, "--persist", "auto", "-Dbrooklyn.ha.timeoutForInactiveNodeRemoval=0", "--nodeId",
	       "blue-1");
	assert_ok(o.resolved);
	assert_u64(o.s.prune_ms, 0);
	assert_string_equal(o.s.node_id, "blue-1");
	ha_settings_done(&o.s);

	LAUNCH(&o, "--persist", "auto", "--persistenceDir", "/d", "--port", "9002+");
	assert_ok(o.resolved);
	assert_string_equal(o.s.persistence_dir, "/d");
	assert_int_equal(o.s.port, 9002);
	assert_true(o.s.next_free_port);
	ha_settings_done(&o.s);
}

static void relative_directories_are_below_the_base_directory(void **state)
{
	static const struct {
		const char *args[ARGS_MAX + 1];
		const char *dir; /* @ stands for the home directory */
	} cases[] = {
		{{"--persist", "auto"}, "@/.brooklyn/brooklyn-persisted-state/data"},
		{{"--persist", "auto", "--persistenceDir", "x/y"}, "@/.brooklyn/x/y"},
		{{"--persist", "auto", "--persistenceDir", "~/x"}, "@/x"},
		{{"--persist", "auto", "--persistenceDir", "~x"}, "@/.brooklyn/~x"},
		{{"--persist", "auto", "-Dbrooklyn.base.dir=/b", "--persistenceDir", "x"}, "/b/x"},
		{{"--persist", "auto", "-Dbrooklyn.base.dir=~/b", "-Dbrooklyn.persistence.dir=x"},
		 "@/b/x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool in_home = cases[i].dir[0] == '@';
		char want[256];
		struct outcome o;

		(void)snprintf(want, sizeof(want), "%s%s", in_home ? home : "",
			       cases[i].dir + in_home);
		launch(cases[i].args, &o);
		print_message("case %s\n", want);
		assert_ok(o.resolved);
		assert_string_equal(o.s.persistence_dir, want);
		ha_settings_done(&o.s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_options_nothing_is_shared),
		cmocka_unit_test(the_documents_command_line_is_understood),
		cmocka_unit_test(every_spelling_of_an_option_means_the_same),
		cmocka_unit_test(modes_are_read_in_any_case),
		cmocka_unit_test(what_cannot_be_understood_is_a_command_line_error),
		cmocka_unit_test(what_does_not_go_together_is_a_configuration_error),
		cmocka_unit_test_teardown(each_source_is_stronger_than_the_one_before,
					  remove_files),
		cmocka_unit_test_teardown(the_command_line_is_stronger_than_properties,
					  remove_files),
		cmocka_unit_test(relative_directories_are_below_the_base_directory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
