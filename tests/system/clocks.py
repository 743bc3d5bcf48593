#!/usr/bin/python3
"""Clocks that are wrong, are set, or stand still; and the shortest and the longest heartbeat timeout.

A machine's clocks are shifted by tests/lib/clock_shift.c in all its programs, at any time; the storage
server's clock in what both mounts are told of the times of files.
"""
import mmap
import os
import signal
import struct
import time

from harness import (CLOCK_SHIFT, PATIENCE_S, Record, check, errno_of, expect, expect_equal, main, scaled,
                     seconds, wait_until)
from scene import POLL, TIMEOUT, Scene

DAY_S = 86400
# Longer than the timeout: whoever would be taken for dead is by then.
WATCHED_S = seconds(TIMEOUT) + seconds(POLL)


class Clocks:
    """Of one machine.  The fields are those of struct shift."""

    def __init__(self, world, name):
        path = world.folder / f"{name}.clocks"
        path.write_bytes(bytes(32))
        with path.open("r+b") as stream:
            self.shared = mmap.mmap(stream.fileno(), 32)
        self.env = {
            "LD_PRELOAD": str(CLOCK_SHIFT), "CLOCK_SHIFT": str(path),
            # A sanitizer's runtime wants to be the first library; the shim before it does no harm.
            "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0",
        }
        self.machine = {"env": self.env}

    def put(self, index, value):
        self.shared[8 * index:8 * index + 8] = struct.pack("q", value)

    def set_wall(self, shift_s):
        self.put(0, shift_s)

    def sleep(self, duration_s):
        self.put(1, duration_s)

    def set_server(self, shift_s, since_ns):
        self.put(3, since_ns)
        self.put(2, shift_s)


def two_clocks(world):
    return [Clocks(world, name) for name in ("first", "second")]


def set_server(clocks, shift_s):
    """The same server for all machines.  Files that are there keep their times."""
    since_ns = time.time_ns()
    for clock in clocks:
        clock.set_server(shift_s, since_ns)


def local_s(scene, node):
    """When the node wrote its last record, by its own machine's clock."""
    return scene.standby.states()["nodes"][node.node_id()]["localTimestamp"] / 1000


def remote_s(scene, node):
    """Likewise by the storage server's clock."""
    return scene.standby.states()["nodes"][node.node_id()]["remoteTimestamp"] / 1000


def is_about(actual_s, expected_s):
    return abs(actual_s - expected_s) < 3600


# The wall clock of a machine.


def set_the_wall_clock_of(world, which):
    clocks = two_clocks(world)
    scene = Scene(world, *[clock.machine for clock in clocks])
    node = (scene.master, scene.standby)[which]
    epoch = scene.lease()["epoch"]

    for shift_s in DAY_S, -DAY_S:
        clocks[which].set_wall(shift_s)
        scene.expect_calm(epoch, WATCHED_S)
        wait_until(lambda shift_s=shift_s: is_about(local_s(scene, node), time.time() + shift_s),
                   PATIENCE_S, "its records have the odd date")
        expect(is_about(remote_s(scene, node), time.time()), "the server's dates are as they were")

    scene.expect_untouched()


@check
def the_wall_clock_of_the_master_is_set(world):
    set_the_wall_clock_of(world, 0)


@check
def the_wall_clock_of_the_standby_is_set(world):
    set_the_wall_clock_of(world, 1)


# The clock of the storage server.


def set_the_servers_clock(world, shift_s):
    clocks = two_clocks(world)
    scene = Scene(world, *[clock.machine for clock in clocks])
    epoch = scene.lease()["epoch"]

    set_server(clocks, shift_s)
    scene.expect_calm(epoch, WATCHED_S)
    wait_until(lambda: is_about(remote_s(scene, scene.master), time.time() + shift_s), PATIENCE_S,
               "beats have the odd date")
    expect(is_about(local_s(scene, scene.master), time.time()), "the machines' dates are as they were")
    # Whoever comes now has seen nothing else.
    late = world.mount(scene.share, env=clocks[1].env)
    scene.expect_calm(epoch, seconds(POLL))
    expect_equal(late.plane()["leases"]["master"]["epoch"], epoch, "epoch on a new mount")

    scene.expect_untouched()


@check
def the_servers_clock_is_set_forward(world):
    set_the_servers_clock(world, DAY_S)


@check
def the_servers_clock_is_set_back(world):
    set_the_servers_clock(world, -DAY_S)


def beat_all_the_time(mount, node_id, seen):
    """Numbers the commits, so that the last record says how many there were."""
    record = Record(mount, node_id)
    count = 0
    while not seen.exists():
        count += 1
        record.beat(version=str(count))
    return count


@check
def the_sweep_spares_what_is_being_published(world):
    """
    Each generation is a staging file first, and each new mount sweeps away those that are old by the
    server's clock.
    """
    share = world.share()
    clocks = two_clocks(world)
    # Nobody dies here, and a slow machine may take long for an image.
    mounts = [world.mount(share, timeout="60s", poll=POLL, options=["images_only"], env=clock.env)
              for clock in clocks]
    end = world.folder / "end"
    workers = [world.worker(beat_all_the_time, mount, f"node{i}", end) for i, mount in enumerate(mounts)]
    wait_until(lambda: len(mounts[0].plane()["nodes"]) == 2, PATIENCE_S, "both beat")

    turns = scaled(20, least=2)
    for turn in range(turns):
        shift_s = -DAY_S if turn % 2 else DAY_S
        garbage = share / f".holdfast/tmp/deadmnt0.{turn + 1}"
        garbage.write_bytes(b"x")
        long_ago = time.time() - 3 * DAY_S
        os.utime(garbage, (long_ago, long_ago))
        set_server(clocks, shift_s)
        sweeper = world.mount(share, env=clocks[1].env, options=["images_only"])
        wait_until(lambda garbage=garbage: not garbage.exists(), PATIENCE_S, "old files are swept away")
        expect_equal(sweeper.unmount(), 0, f"exit status of {sweeper.name}")

    end.touch()
    counts = [worker.result() for worker in workers]
    plane = mounts[0].plane()
    for i, count in enumerate(counts):
        node = mounts[i].plane()["nodes"][f"node{i}"]
        expect_equal(node["record"]["version"], str(count), f"last record of node{i}")
        expect_equal(node["beat"], count, f"beats of node{i}, acknowledged {count}")
    expect_equal(plane["problem"], None, "problem")
    print(f"      {sum(counts)} commits through staging files, {turns} settings of the server's clock")


# Machines that have been up for different times.


@check
def boot_times_days_apart(world):
    """Real ones, by a time namespace."""
    namespace = world.folder / "time"
    namespace.touch()
    made = world.run("unshare", f"--time={namespace}", "--boottime", 2 * DAY_S, "--monotonic", 2 * DAY_S,
                     "true")
    expect_equal((made.returncode, made.stderr), (0, ""), "making a time namespace")
    prefix = ["nsenter", f"--time={namespace}"]
    uptime_s = [float(world.run(*command, "cat", "/proc/uptime").stdout.split()[0])
                for command in ([], prefix)]
    expect(is_about(uptime_s[1] - uptime_s[0], 2 * DAY_S), f"uptimes are days apart: {uptime_s}")
    scene = Scene(world, master={"prefix": prefix})
    epoch = scene.lease()["epoch"]

    scene.expect_calm(epoch, WATCHED_S)
    for mount in scene.mounts:
        expect("is gone" not in mount.log_text(), f"{mount.name} takes the other for living")
    beat = scene.beat()
    wait_until(lambda: scene.beat() > beat, PATIENCE_S, "a beat")
    scene.mounts[0].kill()
    scene.master.kill()
    killed_at = time.monotonic()
    scene.standby.wait_state("MASTER")
    took_s = time.monotonic() - killed_at

    print(f"      kill -9 of daemon and mount: MASTER after {took_s:.2f} s")
    expect(took_s >= seconds(TIMEOUT) - seconds(POLL), f"not before the timeout: {took_s:.2f} s")
    expect(took_s <= seconds(TIMEOUT) + 2 * seconds(POLL), f"soon after the timeout: {took_s:.2f} s")
    scene.expect_nothing_lost({"ENOTCONN", "ECONNABORTED", "EIO"})


# Machines that sleep: CLOCK_BOOTTIME goes on, no other clock does, and nothing runs.


def expect_new_election(scene, epoch):
    """Whoever slept has no advantage, and no disadvantage: any of the two may win."""
    wait_until(lambda: scene.lease()["epoch"] > epoch and scene.holder(), PATIENCE_S, "a new master")
    expect("its lease expired" in scene.master.log_text(), "the master that slept stood back")


def stands_still(scene):
    """One beat may have been on its way."""
    beat = scene.beat()
    time.sleep(seconds(POLL))
    return scene.beat() == beat


@check
def the_first_write_after_a_sleep_is_refused(world):
    clocks = two_clocks(world)
    scene = Scene(world, *[clock.machine for clock in clocks])
    epoch = scene.lease()["epoch"]
    point = scene.mounts[0].point
    opened = os.open(point / "opened", os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(opened, b"in time")
    scene.stop.set()
    scene.writer.end()
    # Nothing renews the lease while the mount is asked.
    scene.master.signal(signal.SIGSTOP)
    wait_until(lambda: stands_still(scene), PATIENCE_S, "the beat of a daemon that is stopped stands still")
    os.pwrite(opened, b"In time", 0)

    clocks[0].sleep(DAY_S)
    results = {
        "write": errno_of(os.pwrite, opened, b"late", 0),
        "create": errno_of((point / "late").write_text, "x"),
        "truncate": errno_of(os.truncate, point / "old", 0),
        "unlink": errno_of(os.unlink, point / "old"),
        "mkdir": errno_of(os.mkdir, point / "folder"),
    }
    expect(set(results.values()) <= {"EROFS", "EIO"}, f"results after the sleep: {results}")
    names = sorted(path.name for path in scene.share.iterdir() if path.name != ".holdfast")
    expect_equal(names, ["new", "old", "opened"], "files on the share")
    expect(scene.content()["old"], "the old file has its content")

    # What closing says is the result of the writes.
    errno_of(os.close, opened)
    expect_equal((scene.share / "opened").read_bytes(), b"In time", "what was written in time")

    scene.master.signal(signal.SIGCONT)
    expect(scene.master.state() != "MASTER", "the first answer after the sleep")
    expect_new_election(scene, epoch)


@check
def a_sleep_that_nobody_else_noticed(world):
    clocks = two_clocks(world)
    scene = Scene(world, *[clock.machine for clock in clocks])
    epoch = scene.lease()["epoch"]

    clocks[0].sleep(DAY_S)
    expect_new_election(scene, epoch)

    scene.expect_nothing_lost({"EROFS", "EIO"})


@check
def a_sleep_through_a_takeover(world):
    clocks = two_clocks(world)
    scene = Scene(world, *[clock.machine for clock in clocks])

    for process in scene.master, scene.mounts[0]:
        process.signal(signal.SIGSTOP)
    at_takeover = scene.takeover()
    clocks[0].sleep(DAY_S)
    for process in scene.mounts[0], scene.master:
        process.signal(signal.SIGCONT)
    expect(scene.master.state() != "MASTER", "the first answer after the sleep")

    scene.master.wait_state("STANDBY")
    scene.expect_no_late_writes(at_takeover)


@check
def a_standby_that_slept_takes_nothing(world):
    clocks = two_clocks(world)
    scene = Scene(world, *[clock.machine for clock in clocks])
    epoch = scene.lease()["epoch"]

    # Beyond the timeout; beyond what a mount trusts names it has not listed; beyond all that is kept.
    slept_s = 0
    for duration_s in 2 * seconds(TIMEOUT), 90, DAY_S:
        slept_s += int(duration_s)
        # A machine that sleeps misses beats: without one the master's silence would be as long.
        for process in scene.standby, scene.mounts[1]:
            process.signal(signal.SIGSTOP)
        # One may be the sleeper's last.
        missed = scene.mounts[0].plane()["generation"] + 2
        scene.mounts[0].wait_generation(missed)
        clocks[1].sleep(slept_s)
        # First the mount: what a daemon reads before its mount has looked at the share is old.
        scene.mounts[1].signal(signal.SIGCONT)
        scene.mounts[1].wait_generation(missed)
        scene.standby.signal(signal.SIGCONT)
        scene.expect_calm(epoch, 2 * seconds(POLL))

    scene.expect_untouched()


@check
def a_short_sleep_costs_nothing(world):
    clocks = two_clocks(world)
    scene = Scene(world, *[clock.machine for clock in clocks])
    epoch = scene.lease()["epoch"]
    beat = scene.beat()
    wait_until(lambda: scene.beat() > beat, PATIENCE_S, "a beat")

    clocks[0].sleep(1)
    scene.expect_calm(epoch, seconds(TIMEOUT))

    scene.expect_untouched()


# The ends of what is allowed.


def timing_line(mount):
    """What the mount says at its start, as numbers."""
    line = next(line for line in mount.log_text().splitlines() if "timing of the plane" in line)
    return {key: int(value) for key, value in
            (word.split("=") for word in line.split('"')[-1].split())}


@check
def the_shortest_timeout(world):
    share = world.share()
    mounts = [world.mount(share, timeout="500ms", poll="100ms") for _ in range(2)]
    times = timing_line(mounts[1])
    for key, expected_ms in (("heartbeat_timeout_ms", 500), ("poll_period_ms", 100), ("margin_ms", 50),
                             ("holder_stops_after_ms", 450), ("deposed_after_ms", 500), ("follow_ms", 25),
                             ("request_limit_ms", 250), ("retry_ms", 100), ("staging_ms", 600000)):
        expect_equal(times[key], expected_ms, key)
    nodes = [world.node(mount) for mount in mounts]
    wait_until(lambda: sorted(node.state() for node in nodes) == ["MASTER", "STANDBY"], PATIENCE_S,
               "a master and a standby")
    first = [node.state() for node in nodes].index("MASTER")
    (mounts[first].point / "file").write_text("x\n")

    mounts[first].kill()
    nodes[first].kill()
    killed_at = time.monotonic()
    nodes[1 - first].wait_state("MASTER")
    took_s = time.monotonic() - killed_at

    print(f"      500 ms, kill -9 of daemon and mount: MASTER after {took_s:.2f} s")
    expect(took_s < 2, f"soon after the timeout: {took_s:.2f} s")
    expect_equal((mounts[1 - first].point / "file").read_text(), "x\n", "what the first master wrote")
    (mounts[1 - first].point / "file").write_text("y\n")


@check
def the_longest_timeout(world):
    mount = world.mount(world.share(), timeout="10m", poll="150s")
    times = timing_line(mount)
    for key, expected_ms in (("heartbeat_timeout_ms", 600000), ("poll_period_ms", 150000),
                             ("margin_ms", 60000), ("holder_stops_after_ms", 540000),
                             ("deposed_after_ms", 600000), ("follow_ms", 37500),
                             ("request_limit_ms", 300000), ("retry_ms", 1000), ("staging_ms", 1200000)):
        expect_equal(times[key], expected_ms, key)
    node = Record(mount, "node")
    node.beat()
    expect_equal(mount.claim("node"), 1, "epoch")
    (mount.point / "file").write_text("x\n")


@check
def other_timeouts_are_refused(world):
    share = world.share()
    for timeout, poll, problem in (("499ms", "100ms", "500ms <= heartbeatTimeout <= 10m"),
                                   ("601s", "1s", "500ms <= heartbeatTimeout <= 10m"),
                                   ("500ms", "126ms", "heartbeatTimeout >= 4 x pollPeriod")):
        mount = world.mount(share, timeout=timeout, poll=poll, wait=False)
        expect_equal(mount.wait(), 32, f"exit status with {timeout} and {poll}")
        expect(f"{problem} does not hold" in mount.log_text(), f"the inequality: {mount.log_text()}")
    expect_equal(list(share.iterdir()), [], "files of a plane that was refused")


if __name__ == "__main__":
    main()
