#!/usr/bin/python3
"""A master that slept through its lease writes nothing any more, whichever of its processes slept.

A program on the master's machine appends to files all the time and notes each line that was
acknowledged.  When the other machine is MASTER, the files on the share are read; they must never change
again, whatever wakes up afterwards.
"""
import errno
import os
import signal
import time

from harness import PATIENCE_S, Flag, check, errno_of, expect, expect_equal, main, wait_until

TIMEOUT, POLL = "3s", "500ms"
# How long late writes get to arrive after everything runs again.
AFTERMATH_S = 2


def append_all_the_time(point, names, stop):
    """Keeps descriptors open, as programs do; opens anew what failed.  Per file: lines, errors."""
    lines = {name: 0 for name in names}
    errors = {name: [] for name in names}
    fds = {}
    number = 0
    while not stop.is_set():
        number += 1
        for name in names:
            try:
                if name not in fds:
                    fds[name] = os.open(point / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
                os.write(fds[name], f"{number}\n".encode())
                lines[name] = number
            except OSError as error:
                code = errno.errorcode[error.errno]
                if code not in errors[name]:
                    errors[name].append(code)
                if number % 10 == 0 and name in fds:
                    try:
                        os.close(fds.pop(name))
                    except OSError:
                        pass
        time.sleep(0.005)
    return {"lines": lines, "errors": errors}


class Scene:
    """Master and standby, and a writer on the master's machine."""

    def __init__(self, world):
        self.share = world.share()
        self.mounts = [world.mount(self.share, timeout=TIMEOUT, poll=POLL) for _ in range(2)]
        self.master = world.node(self.mounts[0])
        self.master.wait_state("MASTER")
        self.standby = world.node(self.mounts[1])
        self.standby.wait_state("STANDBY")
        # One file was there before, the other is created by the writer and stays open: such a file may
        # be buffered by the mount.
        (self.mounts[0].point / "old").write_text("")
        self.names = ["old", "new"]
        self.stop = Flag()
        self.writer = world.worker(append_all_the_time, self.mounts[0].point, self.names, self.stop)
        wait_until(lambda: all(len(text.splitlines()) > 20 for text in self.content().values()),
                   PATIENCE_S, "the writer writes")

    def content(self):
        return {name: (self.share / name).read_bytes() for name in self.names}

    def takeover(self):
        """Waits for it; returns what is in the files at that moment."""
        self.standby.wait_state("MASTER")
        content = self.content()
        (self.mounts[1].point / "successor").write_text("the new master writes\n")
        return content

    def verify(self, at_takeover):
        time.sleep(AFTERMATH_S)
        self.stop.set()
        result = self.writer.result()
        for name, text in self.content().items():
            expect(text == at_takeover[name], f"{name} changed after the takeover: "
                   f"it had {len(at_takeover[name])} bytes, and has {len(text)}: ...{text[-60:]!r}")
        expect_equal((self.share / "successor").read_text(), "the new master writes\n", "the new file")
        for name in self.names:
            last = int(at_takeover[name].split()[-1])
            expect(last >= result["lines"][name],
                   f"{name}: line {result['lines'][name]} was acknowledged, the file ends with {last}")
            expect(result["errors"][name], f"{name}: the writer got errors")
            expect(set(result["errors"][name]) <= {"EROFS", "EIO"},
                   f"{name}: the writer got {result['errors'][name]}")
        expect_equal(self.standby.state(), "MASTER", "the new master's state at the end")
        expect_equal(errno_of((self.mounts[0].point / "late").write_text, "x"), "EROFS",
                     "a new file on the old master's mount")


@check
def a_paused_daemon(world):
    scene = Scene(world)

    scene.master.signal(signal.SIGSTOP)
    at_takeover = scene.takeover()
    scene.master.signal(signal.SIGCONT)
    expect(scene.master.state() != "MASTER", "the first answer after the pause")

    scene.master.wait_state("STANDBY")
    scene.verify(at_takeover)


@check
def a_paused_mount(world):
    scene = Scene(world)

    scene.mounts[0].signal(signal.SIGSTOP)
    at_takeover = scene.takeover()
    # The daemon cannot reach its mount, and still knows how late it is.
    expect(scene.master.state() != "MASTER", "the old master's answer while the other is MASTER")
    scene.mounts[0].signal(signal.SIGCONT)

    scene.master.wait_state("STANDBY")
    scene.verify(at_takeover)


@check
def a_paused_machine(world):
    scene = Scene(world)

    for process in scene.master, scene.mounts[0]:
        process.signal(signal.SIGSTOP)
    at_takeover = scene.takeover()
    for process in scene.mounts[0], scene.master:
        process.signal(signal.SIGCONT)
    expect(scene.master.state() != "MASTER", "the first answer after the pause")

    scene.master.wait_state("STANDBY")
    scene.verify(at_takeover)


@check
def a_short_pause_costs_nothing(world):
    scene = Scene(world)
    before = scene.mounts[1].plane()
    holder, epoch = (before["leases"]["master"][key] for key in ("holder", "epoch"))

    def beat():
        return scene.mounts[1].plane()["nodes"][holder]["beat"]

    scene.mounts[0].signal(signal.SIGSTOP)
    time.sleep(0.5)
    scene.mounts[0].signal(signal.SIGCONT)
    paused_at = beat()
    wait_until(lambda: beat() >= paused_at + 2, PATIENCE_S, "the master beats again")

    expect_equal(scene.master.state(), "MASTER", "the master's state after a short pause")
    expect_equal(scene.mounts[1].plane()["leases"]["master"]["epoch"], epoch, "epoch")
    scene.stop.set()
    expect_equal(scene.writer.result()["errors"], {"old": [], "new": []}, "errors of the writer")


if __name__ == "__main__":
    main()
