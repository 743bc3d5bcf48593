#!/usr/bin/python3
"""Nodes that are killed, stopped, and lose the share at random, while a program writes on each of them.

On every mount a writer appends lines "epoch counter writer" to one file, whenever that mount lets it.  In the
end all is mended, one node is master, and the file must say:

- every line that was acknowledged is there, once;
- the lines of one epoch are all of one writer, in its order;
- epochs never go back.

The command of --exec, which the daemons run, needs a lock of this machine that no other one may have by then.

Exempt is exactly what docs/ARCHITECTURE.md exempts: a mount that is stopped between its gate and its system
call carries that one call out when it goes on.  Such a line was not acknowledged.
"""
import collections
import contextlib
import os
import random
import signal
import time

from harness import (LIBC, MNT_DETACH, PATIENCE_S, SCALE, SEED, Flag, check, expect, expect_equal, main, seconds,
                     wait_until)
from trouble import Trouble

TIMEOUT, POLL = "3s", "500ms"
DURATION_S = max(6, 30 * SCALE)
# Longer and shorter than the timeout.
LENGTH_S = (0.1, 6)
# Of a command that meets another one.
MET = 99
PAUSE_S = (0.2, 1.2)
ON_MASTER = 0.6
# All on this machine, and each of them waits for others that were just mended.
END_PATIENCE_S = 3 * PATIENCE_S


def append_under_epochs(point, name, stop):
    """Returns what was acknowledged."""
    acknowledged, counter, errors = [], 0, collections.Counter()
    while not stop.is_set():
        time.sleep(0.002)
        with contextlib.suppress(OSError):
            fd = os.open(point / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                # A file that is open stays with the epoch that it was opened under: if this is a later
                # one, nothing more is written.
                os.getxattr(point / "master", "user.holdfast.remaining_ms")
                epoch = int(os.getxattr(point / "master", "user.holdfast.epoch"))
                while not stop.is_set():
                    counter += 1
                    os.write(fd, f"{epoch} {counter} {name}\n".encode())
                    acknowledged.append((epoch, counter))
                    time.sleep(0.002)
            except OSError as error:
                errors[error.errno] += 1
            finally:
                os.close(fd)
    return {"acknowledged": acknowledged}


class Machine:
    """A mount, its daemon, its writer, and what can happen to them."""

    def __init__(self, world, share, number, stop):
        self.world = world
        self.share = share
        self.name = f"machine{number}"
        self.trouble = Trouble(world, self.name)
        self.mount = self.start_mount()
        self.node = self.start_node()
        self.writer = world.worker(append_under_epochs, self.mount.point, self.name, stop)

    def start_mount(self):
        return self.world.mount(self.share, name=self.name, timeout=TIMEOUT, poll=POLL, env=self.trouble.env)

    def start_node(self):
        command = f"exec flock -n -F -E {MET} {self.world.folder}/lock sleep 1000"
        return self.world.node(self.mount, name=f"{self.name}-node", options=("--exec", command))

    def meetings(self):
        """How many of its commands met another one."""
        return self.node.log_text().count(f'how="exit status {MET}"')

    def is_master(self):
        try:
            return self.node.state() == "MASTER"
        except (OSError, AssertionError, ValueError):
            return False

    # Faults; each yields how long it lasts, and then mends what it has broken.

    def kill_daemon(self, length_s):
        self.node.kill()
        yield length_s / 4
        self.node = self.start_node()

    def stop_daemon(self, length_s):
        self.node.terminate()
        yield length_s / 4
        self.node = self.start_node()

    def kill_mount(self, length_s):
        self.mount.kill()
        yield length_s / 4
        LIBC.umount2(os.fsencode(self.mount.point), MNT_DETACH)
        self.mount = self.start_mount()

    def pause_daemon(self, length_s):
        yield from pause(length_s, self.node)

    def pause_mount(self, length_s):
        yield from pause(length_s, self.mount)

    def pause_machine(self, length_s):
        yield from pause(length_s, self.node, self.mount)

    def lose_share(self, length_s):
        self.trouble.be("lost")
        yield length_s
        self.trouble.be("")

    def fill_share(self, length_s):
        self.trouble.be("ENOSPC")
        yield length_s
        self.trouble.be("")


def pause(length_s, *processes):
    for process in processes:
        process.signal(signal.SIGSTOP)
    yield length_s
    for process in processes:
        process.signal(signal.SIGCONT)


FAULTS = (Machine.kill_daemon, Machine.stop_daemon, Machine.kill_mount, Machine.pause_daemon,
          Machine.pause_mount, Machine.pause_machine, Machine.lose_share, Machine.fill_share)


class Torment:
    """
    Faults at random, most of them on the master's machine, at most one at a time on each.  In one thread:
    what a thread has started would be killed with it.
    """

    def __init__(self, machines, dice):
        self.machines = machines
        self.dice = dice
        self.counts = collections.Counter()
        self.under_way = {}  # machine: when it is to be mended, fault

    def begin_one(self):
        idle = [machine for machine in self.machines if machine not in self.under_way]
        masters = [machine for machine in idle if machine.is_master()]
        among = masters if masters and self.dice.random() < ON_MASTER else idle
        if among:
            machine, kind = self.dice.choice(among), self.dice.choice(FAULTS)
            self.counts[kind.__name__] += 1
            fault = kind(machine, self.dice.uniform(*LENGTH_S))
            self.under_way[machine] = time.monotonic() + next(fault), fault

    def mend(self, until):
        for machine, (at, fault) in list(self.under_way.items()):
            if at <= until:
                del self.under_way[machine]
                next(fault, None)

    def run(self, duration_s):
        end = begin_at = time.monotonic()
        end += duration_s
        while time.monotonic() < end:
            if time.monotonic() >= begin_at:
                self.begin_one()
                begin_at = time.monotonic() + self.dice.uniform(*PAUSE_S)
            self.mend(time.monotonic())
            time.sleep(0.01)
        self.mend(float("inf"))


def judge(text, acknowledged, late_allowed):
    """Returns epochs, lines, and how many lines of stopped mounts came late."""
    lines = [(int(epoch), int(counter), writer)
             for epoch, counter, writer in (line.split() for line in text.splitlines())]
    known = {(epoch, counter, writer) for writer, pairs in acknowledged.items() for epoch, counter in pairs}
    expect_equal(len(set(lines)), len(lines), "lines that are there once")
    missing = known - set(lines)
    expect(not missing, f"{len(missing)} acknowledged lines are missing, such as {sorted(missing)[:3]}")

    newest, writers, late = (0, 0), {}, []
    for line in lines:
        epoch, counter, writer = line
        if (epoch, counter) <= newest if epoch == newest[0] else epoch < newest[0]:
            late.append(line)
            continue
        newest = epoch, counter
        expect_equal(writers.setdefault(epoch, writer), writer, f"writer of epoch {epoch}")
    acknowledged_late = set(late) & known
    expect(not acknowledged_late, f"acknowledged, and out of order: {sorted(acknowledged_late)[:3]}")
    expect(len(late) <= late_allowed, f"out of order: {late[:5]}, with {late_allowed} stopped mounts")
    return len(writers), len(lines), len(late)


def torment(world, count):
    share = world.share()
    stop = Flag()
    machines = [Machine(world, share, number, stop) for number in range(count)]
    # In the words of the mount: somebody may start while its predecessor's mount is still there.
    wait_until(lambda: any(machine.is_master() for machine in machines), PATIENCE_S, "there is a master")
    tormented = Torment(machines, random.Random(SEED))
    tormented.run(DURATION_S)

    def states():
        return sorted(machine.node.state() for machine in machines)
    wait_until(lambda: states() == ["MASTER"] + ["STANDBY"] * (count - 1), END_PATIENCE_S,
               "in the end there is one master, and all others are standbys")
    size = (share / "log").stat().st_size
    wait_until(lambda: (share / "log").stat().st_size > size, PATIENCE_S, "the last master's writer writes")
    stop.set()
    acknowledged = {machine.name: map(tuple, machine.writer.result(END_PATIENCE_S)["acknowledged"])
                    for machine in machines}
    stopped = tormented.counts["pause_mount"] + tormented.counts["pause_machine"]
    epochs, lines, late = judge((share / "log").read_text(), acknowledged, stopped)
    # A mount that was killed and is mounted again frees its predecessor's leases at once, see
    # docs/ARCHITECTURE.md; the daemon's command may run on until the daemon hears of it.
    met = sum(machine.meetings() for machine in machines)
    expect(met <= tormented.counts["kill_mount"], f"{met} commands met another one")
    done = ", ".join(f"{name} {number}" for name, number in sorted(tormented.counts.items()))
    print(f"      {count} nodes, {DURATION_S:.0f} s: {sum(tormented.counts.values())} faults ({done}); "
          f"{epochs} epochs with {lines} lines, {late} late; {met} commands met another")
    expect(epochs > DURATION_S / (10 * seconds(TIMEOUT)), f"the master changed: {epochs} epochs")


@check
def three_nodes(world):
    torment(world, 3)


@check
def five_nodes(world):
    torment(world, 5)


if __name__ == "__main__":
    main()
