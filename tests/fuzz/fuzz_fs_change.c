/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a link: refused, or the one text that says this. */
#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "fs/change.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct change change;
	char again[CHANGE_TARGET_MAX + 1];
	int r = change_parse((const char *)data, n, &change);

	must(r == 0 || r == -EBADMSG);
	if (r == 0) {
		must(n <= CHANGE_TARGET_MAX && change.n <= sizeof(change.patch));
		must(parse_id_is_valid(change.writer) && parse_id_is_valid(change.nonce));
		must(strlen(change.parent) == CHANGE_SHORT_HASH);
		must(change_format(&change, again, sizeof(again)) == (int)n);
		must(memcmp(again, data, n) == 0);
	}
	return 0;
}
