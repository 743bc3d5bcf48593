/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/vdump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/call.h"

struct vdump {
	fuse_req_t req;
	struct fuse_file_info fi;
	struct vfile *file;
	atomic_size_t *ret_n;
};

/* Nobody else has the file yet. */
static int fill(struct content *k, const void *bytes, size_t n)
{
	k->bytes = malloc(n);
	if (!k->bytes) {
		return -ENOMEM;
	}
	memcpy(k->bytes, bytes, n);
	k->n = n;
	return 0;
}

static void on_dump(void *ctx, int result, const void *bytes, size_t n)
{
	struct vdump *d = ctx;
	int r = result < 0 ? result : fill(d->file->content, bytes, n);

	if (r == 0) {
		*d->ret_n = n;
		r = fuse_reply_open(d->req, &d->fi);
	} else {
		call_reply(d->req, r);
	}
	if (r < 0) {
		vfile_free(d->file);
	}
	free(d);
}

void vdump_open(struct plane *p, fuse_req_t req, const struct fuse_file_info *fi, struct vfile *f,
		atomic_size_t *ret_n)
{
	const struct request request = {.verb = REQUEST_DUMP};
	struct vdump *d = malloc(sizeof(*d));

	if (d) {
		*d = (struct vdump){.req = req, .fi = *fi, .file = f, .ret_n = ret_n};
	}
	if (!d || plane_submit(p, &request, on_dump, d) < 0) {
		free(d);
		vfile_free(f);
		call_reply(req, -ENOMEM);
	}
}
