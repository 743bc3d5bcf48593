/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's record as the mount sees it: which bytes are one, and what they say of the node.
 * ha/record.h is the daemon's side of the same format (docs/PROTOCOL.md).  Any thread.
 */
#ifndef FS_RECORD_H
#define FS_RECORD_H

#include <stddef.h>

#include "fs/index.h"
#include "fs/lease.h"

#define RECORD_MAX_BYTES 4096

#define RECORD_FAILED     "FAILED"
#define RECORD_HOT_BACKUP "HOT_BACKUP"

/*
 * -EINVAL unless @text (@n bytes) is a JSON object of at most RECORD_MAX_BYTES whose `nodeId` is
 * @id and whose `status` is one of the seven states; -ENOMEM.  @ret_status takes the status' name.
 */
int record_check(const char *text, size_t n, const char *id, char ret_status[INDEX_STATUS_BYTES]);

/* What a status means to the rules of leases. */
enum lease_claim_of_record record_says(const char *status);

/*
 * A copy of the record @text with another status; malloc'd, NUL-terminated.  -EINVAL, -ENOMEM.
 * Numbers may be written in full now ("1e9"): where that makes it longer than RECORD_MAX_BYTES,
 * only `nodeId` and `status` are left.
 */
int record_with_status(const char *text, const char *status, char **ret_text);

#endif
