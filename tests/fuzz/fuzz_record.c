/* SPDX-License-Identifier: Apache-2.0 */
/* A record of the node `a`: what the mount takes, the daemon reads, and it can be marked FAILED. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/record.h"
#include "ha/record.h"
#include "tests/fuzz/fuzz.h"

#define ID "a"

/* The daemon's side of the same text. */
static void decode(const char *text, size_t n, const char *status)
{
	json_auto_t *object = json_loadb(text, n, 0, NULL);
	_cleanup_free_ char *again = NULL;
	char status_again[INDEX_STATUS_BYTES];
	struct ha_record record;

	must(object);
	must(ha_record_decode(object, ID, &record) == 0);
	must(strcmp(ha_state_name(record.status), status) == 0);
	if (record.version && ha_record_encode(&record, &again) == 0 &&
	    strlen(again) <= RECORD_MAX_BYTES) {
		must(record_check(again, strlen(again), ID, status_again) == 0);
		must(strcmp(status, status_again) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	json_auto_t *any = json_loadb((const char *)data, n, JSON_DECODE_ANY, NULL);
	char status[INDEX_STATUS_BYTES] = "", failed_status[INDEX_STATUS_BYTES];
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *failed = NULL;
	struct ha_record record;
	int r = record_check((const char *)data, n, ID, status);

	must(r == 0 || (r == -EINVAL && status[0] == '\0'));
	/* Whatever another mount calls a record comes to the daemon like this. */
	if (any) {
		int d = ha_record_decode(any, ID, &record);

		must(d == 0 || d == -EBADMSG);
	}
	if (r < 0) {
		return 0;
	}
	text = fuzz_text(data, n);
	must(strlen(text) == n);
	decode(text, n, status);
	(void)record_says(status);
	must(record_with_status(text, RECORD_FAILED, &failed) == 0);
	must(record_check(failed, strlen(failed), ID, failed_status) == 0);
	must(strcmp(failed_status, RECORD_FAILED) == 0);
	return 0;
}
