/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has jansson run out of memory?  By itself it does not tell: json_loads() gives NULL as for a
 * text that is no JSON, and both it and json_dumps() may go on, and give a text with a piece
 * missing.  So whoever must know which it was compares this before and after:
 *
 *	unsigned refused = jsonmem_refused();
 *	…calls of jansson…
 *	if (jsonmem_refused() != refused) …	whatever they gave is to be thrown away
 */
#ifndef FS_JSONMEM_H
#define FS_JSONMEM_H

/* How often jansson wanted memory and got none, in this thread, since the first call of this. */
unsigned jsonmem_refused(void);

#endif
