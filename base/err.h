/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error texts for people, and the vocabulary of error codes.
 *
 * Functions return 0 (or a count) or -errno.  In this tree these codes mean:
 *
 *	-ESTALE		a guard or an epoch was overtaken
 *	-EROFS		this node may not write
 *	-EAGAIN		try later, nothing happened
 *	-ETIMEDOUT	the outcome is unknown: it may have happened or may yet happen
 *	-EBADMSG	malformed input from disk or wire
 *	-ECANCELED	shutting down
 *	-EUCLEAN	our own data on the share is damaged
 *
 * "Failed" and "unknown" are different codes: half of high availability is that distinction.
 *
 * Where a person will read it, the last parameter is a struct err.  It is filled once, at the
 * cause, and prefixed on the way up.  Every function here accepts NULL.  Any thread.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_BYTES 512

struct err {
	char text[ERR_BYTES];
};

/* Set the text, cut to its room, and return @code (so that "return err_set(…)" reads well). */
int err_set(struct err *reterr, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "<prefix>: " before the text that is there, or take strerror() of @code if there is none. */
int err_wrap(struct err *reterr, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
