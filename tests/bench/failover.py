#!/usr/bin/python3
"""Fail-over: how long nobody can write, and what two idle processes cost.

Two machines, played by two mounts and two daemons on one share.  On each a client tries to write 5 bytes every
5 ms, synchronously; without a writer is from the last write that the old master acknowledged to the first one
that the new master does.  The two take turns in office.

    daemon killed   kill -9 of the master's daemon; heartbeat timeout 30 s, poll period 1 s
    clean stop      SIGTERM of the master's daemon; likewise
    switchover      holdfast switchover; likewise
    machine dead    kill -9 of mount and daemon at once; timeout 3 s and poll 500 ms, 1 s and 250 ms
    share hung      all calls of the master's mount on the share hang; 3 s and 500 ms

Idle: a mount and its daemon, as master, with polls of 1 s.
"""
import contextlib
import mmap
import os
import random
import signal
import struct
import time

from bench import latencies, main
from harness import HOLDFAST, LIBC, MNT_DETACH, PATIENCE_S, Flag, expect, seconds, wait_until
from trouble import Trouble

WRITE_EVERY_S = 0.005
RUNS, QUICK_RUNS = 100, 5
IDLE_S, QUICK_IDLE_S = 300, 15
MIB = 1 << 20


class Client:
    """What a client on one machine was told: when its newest write was acknowledged, and its first since."""

    def __init__(self, world, point, stop):
        self.shared = mmap.mmap(-1, 16)
        self.worker = world.worker(self.run, point, stop)

    def get(self):
        return struct.unpack("dd", self.shared[:16])

    def forget_first(self):
        self.shared[8:16] = struct.pack("d", 0)

    def run(self, point, stop):
        fd, below = None, os.stat(point.parent).st_dev
        while not stop.is_set():
            try:
                if fd is None:
                    fd = os.open(point / "written", os.O_WRONLY | os.O_CREAT, 0o644)
                    if os.fstat(fd).st_dev == below:
                        raise OSError("not mounted")
                os.pwrite(fd, b"here\n", 0)
                now = time.monotonic()
                self.shared[:8] = struct.pack("d", now)
                if self.get()[1] == 0:
                    self.shared[8:16] = struct.pack("d", now)
            except OSError:
                if fd is not None:
                    with contextlib.suppress(OSError):
                        os.close(fd)
                    fd = None
            time.sleep(WRITE_EVERY_S)


class Machine:
    def __init__(self, world, share, number, timeout, poll, stop):
        self.world, self.share, self.name = world, share, f"machine{number}"
        self.timing = {"timeout": timeout, "poll": poll}
        self.trouble = Trouble(world, self.name)
        self.start_mount()
        self.start_node()
        self.client = Client(world, self.mount.point, stop)

    def start_mount(self):
        self.mount = self.world.mount(self.share, name=self.name, env=self.trouble.env, **self.timing)

    def start_node(self):
        self.node = self.world.node(self.mount, name=f"{self.name}-node")

    # Each fault, and what makes a standby of the machine again.

    def daemon_killed(self):
        self.node.kill()
        yield
        self.start_node()

    def clean_stop(self):
        self.node.signal(signal.SIGTERM)
        yield
        self.node.wait()
        self.start_node()

    def switchover(self):
        result = self.world.run(HOLDFAST, "switchover", "--mount", self.mount.point)
        expect(result.returncode == 0, f"switchover: {result.stderr}")
        yield

    def machine_dead(self):
        # The mount first: it would see the daemon die, which a dead machine does not.
        self.mount.signal(signal.SIGKILL)
        self.node.signal(signal.SIGKILL)
        yield
        self.mount.wait()
        self.node.wait()
        LIBC.umount2(os.fsencode(self.mount.point), MNT_DETACH)
        self.start_mount()
        self.start_node()

    def share_hung(self):
        self.trouble.be("lost")
        yield
        self.trouble.be("")


# Name, fault, timeout, poll period, and the goal for p99.
ROWS = (
    ("daemon_killed", Machine.daemon_killed, "30s", "1s", 2.0),
    ("clean_stop", Machine.clean_stop, "30s", "1s", 0.25),
    ("switchover", Machine.switchover, "30s", "1s", 0.25),
    ("machine_dead_3s", Machine.machine_dead, "3s", "500ms", 4.0),
    ("machine_dead_1s", Machine.machine_dead, "1s", "250ms", 1.5),
    ("share_hung_3s", Machine.share_hung, "3s", "500ms", 4.0),
)


def settle(master, standby):
    """Both are what they are to be, and know it of each other."""
    master.node.wait_state("MASTER")
    standby.node.wait_state("STANDBY")
    node_id = master.node.node_id()
    wait_until(lambda: standby.node.states()["masterId"] == node_id, PATIENCE_S, "the standby knows the master")
    wait_until(lambda: len([node for node in master.node.states()["nodes"].values()
                            if node["status"] == "STANDBY"]) == 1, PATIENCE_S, "the master knows the standby")


def one_run(master, standby, fault):
    """Seconds without a writer."""
    settle(master, standby)
    # Anywhere between two polls.
    time.sleep(random.uniform(0.2, 0.2 + seconds(master.timing["poll"])))
    standby.client.forget_first()
    steps = fault(master)
    next(steps)
    first = wait_until(lambda: standby.client.get()[1], seconds(master.timing["timeout"]) + PATIENCE_S,
                       "the new master's client writes", period_s=0.001)
    gap = first - master.client.get()[0]
    next(steps, None)
    return gap


def measure(bench, name, fault, timeout, poll, runs):
    with bench.world(name) as world:
        share, stop = world.share(), Flag()
        master = Machine(world, share, 0, timeout, poll, stop)
        master.node.wait_state("MASTER")
        standby = Machine(world, share, 1, timeout, poll, stop)
        gaps_ms = []
        for _ in range(runs):
            gaps_ms.append(one_run(master, standby, fault) * 1000)
            master, standby = standby, master
        settle(master, standby)
        stop.set()
    return gaps_ms


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
        fields = stream.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as stream:
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in stream if line.endswith("kB\n")}
    return sizes["Rss"], sizes["Pss"]


def measure_idle(bench):
    duration_s = QUICK_IDLE_S if bench.quick else IDLE_S
    rows = []
    with bench.world("idle") as world:
        mount = world.mount(world.share(), timeout="30s", poll="1s")
        node = world.node(mount)
        node.wait_state("MASTER")
        processes = {"mount.holdfast": mount.pid, "holdfastd": node.pid}
        before = {name: cpu_s(pid) for name, pid in processes.items()}
        time.sleep(duration_s)
        for name, pid in processes.items():
            rss, pss = memory_bytes(pid)
            rows.append([name, rss / MIB, pss / MIB, 100 * (cpu_s(pid) - before[name]) / duration_s])
    bench.report["idle"] = {"seconds": duration_s, "rows": rows}
    bench.table(f"idle for {duration_s} s", ["", "RSS MiB", "PSS MiB", "CPU %"], rows)
    bench.goal("rss_of_the_larger_mib", max(row[1] for row in rows), "<=", 10)
    bench.goal("idle_cpu_of_both_percent", sum(row[3] for row in rows), "<=", 0.5)


def failover(bench):
    runs = QUICK_RUNS if bench.quick else RUNS
    rows = []
    bench.report["failover"] = {}
    for name, fault, timeout, poll, target_s in ROWS:
        gaps_ms = measure(bench, name, fault, timeout, poll, runs)
        figures = latencies(gaps_ms)
        bench.report["failover"][name] = {**figures, "gaps_ms": gaps_ms}
        rows.append([name, timeout, poll, *figures.values()])
        bench.goal(f"{name}_p99_s", figures["p99_ms"] / 1000, "<=", target_s)
    bench.table(f"without a writer, {runs} runs each", ["", "timeout", "poll", "p50 ms", "p99 ms", "max ms"], rows)
    measure_idle(bench)


if __name__ == "__main__":
    main(failover, __doc__)
