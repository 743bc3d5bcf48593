/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lock.h"

void lock_grant(struct lock_place *q, size_t n)
{
	for (size_t i = 0; i < n && (i == 0 || !(q[i].exclusive || q[0].exclusive)); i++) {
		q[i].granted = true;
	}
}
