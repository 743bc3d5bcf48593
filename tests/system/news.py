#!/usr/bin/python3
"""poll(2) on plane.json: it wakes when a generation arrives, and a standby follows a master that leaves."""
import contextlib
import json
import os
import platform
import select
import signal
import threading
import time
from pathlib import Path

from harness import PATIENCE_S, Record, check, errno_of, expect, expect_equal, main, seconds, wait_until

POLLERS = 200
# Of the system call that poll() of the C library makes.
POLL_NUMBER = {"x86_64": "7", "aarch64": "73"}[platform.machine()]
# How long nothing must happen where nothing may.
QUIET_S = 1


class PlaneFile:
    """plane.json, held open."""

    def __init__(self, mount):
        self.fd = os.open(mount.point / ".holdfast/plane.json", os.O_RDONLY)

    def wait(self, limit_s):
        """The events that came, 0 for none."""
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        events = poller.poll(limit_s * 1000)
        return events[0][1] if events else 0

    def read(self):
        return json.loads(os.pread(self.fd, 1 << 20, 0))

    def generation(self):
        return self.read()["generation"]

    def expect_news(self, what):
        expect_equal(self.wait(PATIENCE_S), select.POLLIN, what)

    def expect_none(self, what, limit_s=0):
        expect_equal(self.wait(limit_s), 0, what)

    def close(self):
        os.close(self.fd)


class Waiter(threading.Thread):
    """Waits for a file in a thread of its own."""

    def __init__(self, file):
        super().__init__(daemon=True)
        self.file = file
        self.events = None
        self.start()

    def run(self):
        self.events = self.file.wait(PATIENCE_S)

    def end(self):
        self.join(PATIENCE_S + 1)
        expect(not self.is_alive(), "a waiter ended")
        return self.events


def polls_that_wait(count, pid="self"):
    """As many threads of the process are inside poll(2)."""
    def all_inside():
        inside = 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                inside += (task / "syscall").read_text().split()[0] == POLL_NUMBER
        return inside >= count
    wait_until(all_inside, PATIENCE_S, f"{count} threads wait in poll(2)")


def two_mounts(world, **options):
    share = world.share()
    return [world.mount(share, **options) for _ in range(2)]


def settled(file, mount):
    """The file has shown what the mount has."""
    wait_until(lambda: file.generation() == mount.plane()["generation"], PATIENCE_S, "all is read")


@check
def a_generation_wakes_and_nothing_else_does(world):
    here, there = two_mounts(world, poll="200ms")
    own, other = Record(here, "own"), Record(there, "other")
    file = PlaneFile(here)
    file.expect_news("a file that was not read yet has news")
    settled(file, here)
    file.expect_none("without a commit", QUIET_S)

    other.beat()
    file.expect_news("another mount's commit")
    file.expect_news("the same, while it is not read")
    generation = file.generation()
    expect_equal(file.read()["nodes"]["other"]["beat"], 1, "what the file shows then")
    file.expect_none("after it was read")

    own.beat()
    file.expect_news("a commit of this mount")
    expect_equal(file.generation(), generation + 1, "the generation after it")
    file.expect_none("after it was read again")
    file.close()


@check
def each_handle_shows_one_generation_until_its_start_is_read_again(world):
    here, _ = two_mounts(world)
    node = Record(here, "node")
    node.beat()
    first, second = PlaneFile(here), PlaneFile(here)
    whole = os.pread(first.fd, 1 << 20, 0)
    expect_equal(json.loads(whole)["nodes"]["node"]["beat"], 1, "what the first shows")

    node.beat()
    first.expect_news("the first after a commit")
    expect_equal(whole[:10] + os.pread(first.fd, 1 << 20, 10), whole, "the rest of what was begun")
    first.expect_news("which is not the news")
    expect_equal(json.loads(b"{" + os.pread(second.fd, 1 << 20, 1))["nodes"]["node"]["beat"], 2,
                 "a handle that is read from elsewhere first")
    expect_equal(first.read()["nodes"]["node"]["beat"], 2, "the first once it is read again")
    for file in (first, second):
        file.expect_none("when everything is read")
        file.close()


@check
def everybody_who_waits_is_woken(world):
    here, there = two_mounts(world, poll="200ms")
    other = Record(there, "other")
    files = [PlaneFile(here) for _ in range(POLLERS)]
    for file in files:
        settled(file, here)
    # Two wait for the same open file, and one of the files is waited for with epoll(7).
    waiters = [Waiter(file) for file in [*files, files[0]]]
    epoll = select.epoll()
    epoll.register(files[1].fd, select.EPOLLIN | select.EPOLLET)
    polls_that_wait(len(waiters))
    expect_equal([waiter.events for waiter in waiters], [None] * len(waiters), "before the commit")
    expect_equal(epoll.poll(0), [], "epoll before the commit")

    start = time.monotonic()
    other.beat()
    expect_equal({waiter.end() for waiter in waiters}, {select.POLLIN}, "what the waiters got")
    print(f"      {len(waiters)} pollers were woken within {time.monotonic() - start:.2f} s of the commit")
    expect_equal(epoll.poll(PATIENCE_S), [(files[1].fd, select.EPOLLIN)], "what epoll got")

    for file in files:
        settled(file, here)
        file.expect_none("after it was read")
    other.beat()
    for file in files:
        file.expect_news("the next commit")
        file.close()
    epoll.close()


def read_and_wait(mount):
    file = PlaneFile(mount)
    settled(file, mount)
    return file.wait(PATIENCE_S)


@check
def a_file_may_be_closed_while_it_is_waited_for(world):
    here, there = two_mounts(world, poll="200ms")
    other = Record(there, "other")
    for _ in range(10):
        file = PlaneFile(here)
        settled(file, here)
        waiter = Waiter(file)
        polls_that_wait(1)
        file.close()
        other.beat()
        # It was woken, and poll(2) has looked the number up again.
        expect_equal(waiter.end(), select.POLLNVAL, "who waited for the closed file")
    # And one whose reader died.
    reader = world.worker(read_and_wait, here)
    polls_that_wait(1, reader.pid)
    reader.end()
    other.beat()
    here.wait_generation(there.plane()["generation"])


@check
def other_files_are_always_ready(world):
    mount = world.mount(world.share())
    node = Record(mount, "node")
    node.beat()
    mount.claim("node")
    (mount.point / "file").write_text("text")
    always = select.POLLIN | select.POLLOUT
    for name in ("file", "planeId", "change.log", "master", "nodes/node", ".holdfast/index.db"):
        fd = os.open(mount.point / name, os.O_RDONLY)
        poller = select.poll()
        poller.register(fd, always)
        expect_equal(poller.poll(PATIENCE_S * 1000), [(fd, always)], name)
        os.close(fd)
    node.beat("TERMINATED")


@check
def the_death_of_the_mount_wakes(world):
    mount = world.mount(world.share())
    file = PlaneFile(mount)
    settled(file, mount)
    waiter = Waiter(file)
    polls_that_wait(1)
    mount.kill()
    expect(waiter.end() & select.POLLERR, "who waited is told")
    expect_equal(errno_of(file.close), "ENOTCONN", "close of a file of a dead mount")


def beats(mount):
    """Of each node, by id."""
    return {name: node["beat"] for name, node in mount.plane()["nodes"].items()}


def stop_of_the_master(world, timeout, poll):
    """Seconds from SIGTERM until the standby is MASTER."""
    mounts = two_mounts(world, timeout=timeout, poll=poll)
    master = world.node(mounts[0])
    master.wait_state("MASTER")
    standby = world.node(mounts[1])
    standby.wait_state("STANDBY")
    # Its next poll is as far away as can be: what follows is not that one's doing.
    wait_until(lambda: beats(mounts[1]).get(standby.node_id(), 0) >= 2, PATIENCE_S, "the standby beats")

    start = time.monotonic()
    master.signal(signal.SIGTERM)
    standby.wait_state("MASTER")
    took_s = time.monotonic() - start
    expect_equal(master.wait(), 0, "exit status of the stopped daemon")
    return took_s


@check
def a_standby_follows_a_stopped_master_before_its_next_poll(world):
    poll = "4s"
    took_s = stop_of_the_master(world, "60s", poll)
    print(f"      SIGTERM of the master, pollPeriod {poll}: MASTER after {took_s:.2f} s")
    expect(took_s < seconds(poll) / 2, f"the standby took {took_s:.2f} s")


@check
def heartbeats_keep_their_pace(world):
    poll = "500ms"
    mounts = two_mounts(world, timeout="10s", poll=poll)
    nodes = [world.node(mount) for mount in mounts]
    wait_until(lambda: sorted(node.state() for node in nodes) == ["MASTER", "STANDBY"], PATIENCE_S,
               "one leads")
    wait_until(lambda: all(beats(mounts[0]).get(node.node_id(), 0) >= 2 for node in nodes), PATIENCE_S,
               "both beat")

    before, start = beats(mounts[0]), time.monotonic()
    busy = [used_s(node.pid) for node in nodes]
    wait_until(lambda: sum(beats(mounts[0]).values()) - sum(before.values()) >= 20, PATIENCE_S, "20 beats")
    after, took_s = beats(mounts[0]), time.monotonic() - start
    # One that was under way at either end.
    allowed = took_s / seconds(poll) + 2
    for name, beat in after.items():
        expect(beat - before[name] <= allowed, f"{beat - before[name]} beats of {name} in {took_s:.2f} s")
    for node, used in zip(nodes, busy):
        share = (used_s(node.pid) - used) / took_s
        print(f"      {node.name} used {share:.1%} of a processor")
        expect(share < 0.2, f"{node.name} is in a busy loop")


def used_s(pid):
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
