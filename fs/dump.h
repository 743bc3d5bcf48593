/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index as SQL: the statements that make an equal database where there is none.  Of the rows
 * nothing but plain text gets into them; other bytes stand in hex.
 */
#ifndef FS_DUMP_H
#define FS_DUMP_H

#include <stdio.h>

#include "base/err.h"
#include "fs/query.h"

/* Errors of query_run(); those of @out are for the caller to look for. */
int dump_sql(struct query *q, FILE *out, struct err *reterr);

#endif
