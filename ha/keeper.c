/* SPDX-License-Identifier: Apache-2.0 */
#include "ha/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

struct ha_keeper {
	const char *name;
	pid_t pid;
	int fd;
	atomic_uint_fast64_t *until_ms; /* in memory of both */
	bool is_lost;                   /* its end was noticed */
};

/* A message that carries a descriptor, or says that none is lent any more; notices are longer. */
#define LOAN_BYTES 1

union loan_control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/* Of the descriptors, keep what goes to the daemon and the three that everybody has. */
static void close_others(int kept_fd)
{
	if (kept_fd > STDERR_FILENO + 1) {
		(void)close_range(STDERR_FILENO + 1, (unsigned)kept_fd - 1, 0);
	}
	(void)close_range((unsigned)kept_fd + 1, UINT_MAX, 0);
}

/*
 * What stops the daemon, a terminal or a supervisor, may signal all that belongs to it.  A keeper
 * ends when the daemon has: it has work to do then.
 */
static int block_signals(void)
{
	sigset_t all, child;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

static _Noreturn void live(const char *name, struct ha_seat *seat, ha_keeper_fn *run,
			   const void *arg)
{
	close_others(seat->daemon_fd);
	(void)setsid();
	(void)prctl(PR_SET_NAME, name);
	seat->child_fd = block_signals();
	if (seat->child_fd >= 0) {
		run(seat, arg);
	}
	_exit(seat->child_fd < 0);
}

int ha_keeper_start(const char *name, const char *node_id, ha_keeper_fn *run, const void *arg,
		    struct ha_keeper **ret)
{
	_cleanup_free_ struct ha_keeper *k = calloc(1, sizeof(*k));
	struct ha_seat seat = {.node_id = node_id, .lent_fd = -EBADF};
	int fds[2];

	if (!k) {
		return -ENOMEM;
	}
	k->until_ms = mmap(NULL, sizeof(*k->until_ms), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (k->until_ms == MAP_FAILED) {
		return -errno;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
		int r = -errno;

		(void)munmap(k->until_ms, sizeof(*k->until_ms));
		return r;
	}
	k->name = name;
	k->fd = fds[0];
	seat.daemon_fd = fds[1];
	seat.until_ms = k->until_ms;
	k->pid = fork();
	if (k->pid == 0) {
		live(name, &seat, run, arg);
	}
	closep(&seat.daemon_fd);
	if (k->pid < 0) {
		int r = -errno;

		closep(&k->fd);
		(void)munmap(k->until_ms, sizeof(*k->until_ms));
		return r;
	}
	*ret = take_ptr(k);
	return 0;
}

void ha_keeper_renew(struct ha_keeper *k, uint64_t until_ms)
{
	atomic_store(k->until_ms, until_ms);
}

static void lose(struct ha_keeper *k)
{
	if (!k->is_lost) {
		k->is_lost = true;
		log_line(LOG_ERR, "ha", "the process that runs programs has ended", "name=%s",
			 k->name);
	}
}

void ha_keeper_tell(struct ha_keeper *k, const struct ha_notice *notice)
{
	if (k->is_lost || send(k->fd, notice, sizeof(*notice), MSG_NOSIGNAL) >= 0) {
		return;
	}
	if (errno == EPIPE || errno == ECONNRESET) {
		lose(k);
	} else {
		log_line(LOG_ERR, "ha", "the process that runs programs does not listen",
			 "name=%s state=%s error=\"%s\"", k->name, ha_state_name(notice->state),
			 strerror(errno));
	}
}

int ha_keeper_fd(const struct ha_keeper *k)
{
	return k->is_lost ? -EBADF : k->fd;
}

int ha_keeper_take(struct ha_keeper *k, struct ha_answer *ret_answer)
{
	struct ha_answer answer;
	ssize_t n = k->is_lost ? 0 : recv(k->fd, &answer, sizeof(answer), 0);

	if (n == (ssize_t)sizeof(answer)) {
		*ret_answer = answer;
		return 1;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return 0;
	}
	lose(k);
	return -EPIPE;
}

int ha_keeper_dup(const struct ha_keeper *k)
{
	int fd = k ? fcntl(k->fd, F_DUPFD_CLOEXEC, 0) : -1;

	return fd < 0 ? -EBADF : fd;
}

void ha_keeper_lend(int keeper_fd, int fd)
{
	char byte = 0;
	struct iovec v = {.iov_base = &byte, .iov_len = LOAN_BYTES};
	union loan_control control = {0};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	struct cmsghdr *c;

	if (keeper_fd < 0) {
		return;
	}
	if (fd >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	(void)sendmsg(keeper_fd, &m, MSG_NOSIGNAL);
}

void ha_keeper_stop(struct ha_keeper *k, uint64_t wait_ms)
{
	struct pollfd ended = {.events = POLLIN};

	if (!k) {
		return;
	}
	(void)shutdown(k->fd, SHUT_RDWR); /* there may be duplicates */
	closep(&k->fd);
	ended.fd = pidfd_open(k->pid, 0);
	if (ended.fd >= 0 && poll(&ended, 1, wait_ms < INT_MAX ? (int)wait_ms : INT_MAX) == 1) {
		(void)waitpid(k->pid, NULL, 0);
	}
	closep(&ended.fd);
	(void)munmap(k->until_ms, sizeof(*k->until_ms));
	free(k);
}

static int wait_ms(uint64_t until_ms)
{
	uint64_t now_ms = clock_boot_ms();

	if (until_ms <= now_ms) {
		return 0;
	}
	return until_ms - now_ms < INT_MAX ? (int)(until_ms - now_ms) : INT_MAX;
}

/* What was lent before is given back. */
static void take_loan(struct ha_seat *seat, struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	closep(&seat->lent_fd);
	seat->lent_fd = -EBADF;
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		memcpy(&seat->lent_fd, CMSG_DATA(c), sizeof(seat->lent_fd));
	}
}

static unsigned receive(struct ha_seat *seat, struct ha_notice *ret_notice)
{
	struct ha_notice notice;
	struct iovec v = {.iov_base = &notice, .iov_len = sizeof(notice)};
	union loan_control control = {0};
	struct msghdr m = {
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(seat->daemon_fd, &m, MSG_CMSG_CLOEXEC);

	if (n == LOAN_BYTES) {
		take_loan(seat, &m);
		return 0;
	}

	if (n == (ssize_t)sizeof(notice)) {
		*ret_notice = notice;
		return HA_SEAT_NOTICE;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return 0;
	}
	closep(&seat->daemon_fd);
	seat->daemon_fd = -EBADF;
	return HA_SEAT_LEFT;
}

unsigned ha_seat_wait(struct ha_seat *seat, int output_fd, uint64_t until_ms,
		      struct ha_notice *ret_notice)
{
	struct pollfd fds[] = {
		{.fd = seat->daemon_fd, .events = POLLIN},
		{.fd = seat->child_fd, .events = POLLIN},
		{.fd = output_fd, .events = POLLIN},
	};
	struct signalfd_siginfo info;
	unsigned happened = 0;

	if (poll(fds, 3, wait_ms(until_ms)) <= 0) {
		return 0;
	}
	if (fds[0].revents) {
		happened |= receive(seat, ret_notice);
	}
	if (fds[1].revents) {
		(void)!read(seat->child_fd, &info, sizeof(info));
		happened |= HA_SEAT_CHILD;
	}
	return happened;
}

uint64_t ha_seat_lease_end_ms(const struct ha_seat *seat)
{
	return atomic_load(seat->until_ms);
}

void ha_seat_answer(const struct ha_seat *seat, enum ha_answer_type type, uint64_t epoch)
{
	const struct ha_answer answer = {.type = type, .epoch = epoch};

	(void)send(seat->daemon_fd, &answer, sizeof(answer), MSG_NOSIGNAL);
}

static void export_number(const char *key, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	(void)setenv(key, text, 1);
}

void ha_seat_export(const struct ha_seat *seat, const struct ha_notice *n, uint64_t deadline_ms)
{
	export_number("HOLDFAST_EPOCH", n->epoch);
	export_number("HOLDFAST_DEADLINE_MS", deadline_ms);
	(void)setenv("HOLDFAST_STATE", ha_state_name(n->state), 1);
	(void)setenv("HOLDFAST_PREVIOUS", ha_state_name(n->previous), 1);
	(void)setenv("HOLDFAST_REASON", n->reason, 1);
	(void)setenv("HOLDFAST_NODE_ID", seat->node_id, 1);
	(void)setenv("HOLDFAST_MASTER_URI", n->master_uri, 1);
}
