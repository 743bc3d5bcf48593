/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells protocol.py what the product's own parser makes of link texts: for each line of stdin
 *
 *	accepted <writer> <nonce> <parent> <patchset in hex> <SHA-256 of the line>
 *	refused
 */
#include "fs/change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/cleanup.h"

static void tell(const char *text, size_t n)
{
	char hash[CHANGE_HASH_BYTES];
	struct change c;

	if (change_parse(text, n, &c) < 0) {
		(void)puts("refused");
		return;
	}
	(void)printf("accepted %s %s %s ", c.writer, c.nonce, c.parent);
	for (size_t i = 0; i < c.n; i++) {
		(void)printf("%02x", c.patch[i]);
	}
	change_hash(text, n, hash);
	(void)printf(" %s\n", hash);
}

int main(void)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, stdin)) > 0) {
		tell(line, (size_t)n - (line[n - 1] == '\n'));
	}
	return EXIT_SUCCESS;
}
