/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/status.h"

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"
#include "ha/states.h"

#define ANSWER_MAX_BYTES (16U << 20)
#define DEFAULT_SERVERS  "http://127.0.0.1:8081"
#define DEFAULT_LIMIT_MS 5000
#define STATES_PATH      "/v1/server/ha/states"

enum {
	EXIT_HAS_MASTER = 0,
	EXIT_NO_MASTER = 1,
	EXIT_COMMAND_LINE = 1,
	EXIT_NO_ANSWER = 2,
};

struct settings {
	const char *servers;
	const char *user;  /* "name:password", or NULL */
	uint64_t limit_ms; /* for each server */
	bool json;
	bool help;
};

struct answer {
	char *text; /* NULL while empty */
	size_t n;
};

DEFINE_CLEANUP(CURL *, curl_easy_cleanup);
DEFINE_CLEANUP(CURLU *, curl_url_cleanup);
DEFINE_CLEANUP(char *, curl_free);

static const char usage[] =
	"usage: holdfast status [option]...\n\n"
	"  --servers URL,...        asked in turn until one answers; default " DEFAULT_SERVERS "\n"
	"  --user NAME:PASSWORD     unless they stand in the URL\n"
	"  --timeout DURATION       for each server; default 5s\n"
	"  --json                   the server's answer as it is\n\n"
	"exit status: 0 there is a master, 1 there is none, 2 no server answers\n";

static int usage_error(const char *what, const char *value)
{
	(void)fprintf(stderr, "holdfast status: %s: %s\n", value, what);
	return -EINVAL;
}

static int parse_args(int argc, char **argv, struct settings *ret)
{
	enum { SERVERS = 256, USER, TIMEOUT, JSON, HELP };
	static const struct option longs[] = {
		{"servers", required_argument, NULL, SERVERS},
		{"user", required_argument, NULL, USER},
		{"timeout", required_argument, NULL, TIMEOUT},
		{"json", no_argument, NULL, JSON},
		{"help", no_argument, NULL, HELP},
		{0},
	};
	int val;

	*ret = (struct settings){.servers = DEFAULT_SERVERS, .limit_ms = DEFAULT_LIMIT_MS};
	opterr = 0;
	while ((val = getopt_long(argc, argv, ":", longs, NULL)) >= 0) {
		switch (val) {
		case SERVERS:
			ret->servers = optarg;
			break;
		case USER:
			ret->user = optarg;
			break;
		case TIMEOUT:
			if (parse_duration_ms(optarg, &ret->limit_ms) < 0 || ret->limit_ms == 0) {
				return usage_error("no duration such as 500ms or 5s", optarg);
			}
			break;
		case JSON:
			ret->json = true;
			break;
		case HELP:
			ret->help = true;
			break;
		case ':':
			return usage_error("its value is missing", argv[optind - 1]);
		default:
			return usage_error("unknown option", argv[optind - 1]);
		}
	}
	return optind < argc ? usage_error("unexpected argument", argv[optind]) : 0;
}

/* The URL to ask, and the form without a password that may be shown.  Both are curl's memory. */
static int build_url(const char *server, char **ret_url, char **ret_shown)
{
	_cleanup_(curl_url_cleanupp) CURLU *url = curl_url();
	_cleanup_(curl_freep) char *full = NULL;

	if (!url) {
		return -ENOMEM;
	}
	if (curl_url_set(url, CURLUPART_URL, server, CURLU_GUESS_SCHEME) != CURLUE_OK ||
	    curl_url_set(url, CURLUPART_PATH, STATES_PATH, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_URL, &full, 0) != CURLUE_OK ||
	    curl_url_set(url, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
	    curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_URL, ret_shown, 0) != CURLUE_OK) {
		return -EINVAL;
	}
	*ret_url = take_ptr(full);
	return 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
	struct answer *a = ctx;
	char *bigger;

	n *= size;
	if (n > ANSWER_MAX_BYTES - a->n) {
		return 0;
	}
	bigger = realloc(a->text, a->n + n + 1);
	if (!bigger) {
		return 0;
	}
	memcpy(bigger + a->n, bytes, n);
	a->text = bigger;
	a->n += n;
	a->text[a->n] = '\0';
	return n;
}

/* -EIO with the reason: it gives no answer that can be used. */
static int ask(const struct settings *s, const char *url, struct answer *ret, struct err *reterr)
{
	_cleanup_(curl_easy_cleanupp) CURL *curl = curl_easy_init();
	struct answer a = {0};
	long code = 0;
	CURLcode result;

	if (!curl) {
		return -ENOMEM;
	}
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)s->limit_ms);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
	if (s->user) {
		(void)curl_easy_setopt(curl, CURLOPT_USERPWD, s->user);
	}
	result = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
	if (result != CURLE_OK || code != 200 || !a.text) {
		free(a.text);
		if (result != CURLE_OK) {
			return err_set(reterr, -EIO, "%s", curl_easy_strerror(result));
		}
		return err_set(reterr, -EIO, "HTTP status %ld%s", code,
			       code == 401 ? ": say --user NAME:PASSWORD" : "");
	}
	*ret = a;
	return 0;
}

/*
 * One server, from its URL to what is printed.  The exit status, or -errno if the next must be
 * asked.
 */
static int try_server(const struct settings *s, const char *server)
{
	_cleanup_(curl_freep) char *url = NULL;
	_cleanup_(curl_freep) char *shown = NULL;
	_cleanup_free_ char *text = NULL;
	json_auto_t *states = NULL;
	struct answer a = {0};
	struct err err = {0};
	int r;

	r = build_url(server, &url, &shown);
	if (r < 0) {
		(void)fprintf(stderr, "holdfast status: one of --servers is no URL\n");
		return r;
	}
	r = ask(s, url, &a, &err);
	text = a.text;
	if (r == 0) {
		r = text ? ha_states_parse(text, a.n, &states) : -EBADMSG;
	}
	if (r < 0) {
		(void)fprintf(stderr, "holdfast status: %s: %s\n", shown,
			      r == -EBADMSG ? "no answer of a Holdfast server" : err.text);
		return r;
	}
	if (s->json) {
		(void)printf("%s\n", text);
	} else {
		ha_states_print(states, stdout);
	}
	return ha_states_has_master(states) ? EXIT_HAS_MASTER : EXIT_NO_MASTER;
}

int ha_status_main(int argc, char **argv)
{
	_cleanup_free_ char *servers = NULL;
	struct settings s;
	char *next, *server;
	int r;

	if (parse_args(argc, argv, &s) < 0) {
		return EXIT_COMMAND_LINE;
	}
	if (s.help) {
		(void)fputs(usage, stdout);
		return 0;
	}
	servers = strdup(s.servers);
	if (!servers) {
		return EXIT_NO_ANSWER;
	}
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	r = -EINVAL;
	for (next = servers; r < 0 && (server = strsep(&next, ","));) {
		if (server[0]) {
			r = try_server(&s, server);
		}
	}
	curl_global_cleanup();
	return r < 0 ? EXIT_NO_ANSWER : r;
}
