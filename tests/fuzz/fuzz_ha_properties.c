/* SPDX-License-Identifier: Apache-2.0 */
/* A properties file: refused with a reason, or keys that each have their value. */
#include <errno.h>
#include <string.h>

#include "ha/properties.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ha_properties p = {0};
	struct err err = {{0}};
	int r = ha_properties_parse(&p, (const char *)data, n, &err);

	must(r == 0 || (r == -EBADMSG && err.text[0]));
	for (size_t i = 0; i < p.n; i++) {
		must(ha_properties_get(&p, p.v[i].key) == p.v[i].value);
	}
	ha_properties_done(&p);
	return 0;
}
