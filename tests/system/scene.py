"""A master and a standby, and a program that writes on the master's machine all the time.

What was acknowledged to the program is on the share afterwards, and nothing else came to it, whatever was
done to the machines.
"""
import errno
import os
import time

from harness import PATIENCE_S, Flag, errno_of, expect, expect_equal, wait_until

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
    """A machine is what World.mount() and World.node() are to be given for it: env, prefix."""

    def __init__(self, world, master=None, standby=None):
        master, standby = master or {}, standby or {}
        self.share = world.share()
        self.mounts = [world.mount(self.share, timeout=TIMEOUT, poll=POLL, **master)]
        self.master = world.node(self.mounts[0], **master)
        self.master.wait_state("MASTER")
        self.mounts.append(world.mount(self.share, timeout=TIMEOUT, poll=POLL, **standby))
        self.standby = world.node(self.mounts[1], **standby)
        self.standby.wait_state("STANDBY")
        # One file was there before, the other is created by the writer and stays open: such a file may
        # be buffered by the mount.
        (self.mounts[0].point / "old").write_text("")
        self.names = ["old", "new"]
        self.stop = Flag()
        self.writer = world.worker(append_all_the_time, self.mounts[0].point, self.names, self.stop)
        wait_until(lambda: all(len(text.splitlines()) > 20 for text in self.content().values()),
                   PATIENCE_S, "the writer writes")
        wait_until(lambda: self.holder() == self.master.node_id(), PATIENCE_S, "the standby knows the master")

    def content(self):
        return {name: (self.share / name).read_bytes() for name in self.names}

    def lease(self):
        """As the standby's machine has it."""
        return self.mounts[1].plane()["leases"]["master"]

    def holder(self):
        return self.lease()["holder"]

    def beat(self):
        return self.mounts[1].plane()["nodes"][self.holder()]["beat"]

    def expect_calm(self, epoch, duration_s):
        """The master stays, and so does everybody's mind about that; beats go on."""
        beat, end = self.beat(), time.monotonic() + duration_s
        while time.monotonic() < end:
            expect_equal(self.lease()["epoch"], epoch, "epoch")
            expect_equal((self.master.state(), self.standby.state()), ("MASTER", "STANDBY"), "states")
            for node_id, node in self.standby.states()["nodes"].items():
                expect(node["status"] in ("MASTER", "STANDBY"), f"{node_id} is {node['status']}")
            time.sleep(0.05)
        wait_until(lambda: self.beat() > beat, PATIENCE_S, "the master beats on")

    def expect_untouched(self):
        """The writer has not noticed anything, and what it wrote is there."""
        self.stop.set()
        result = self.writer.result()
        expect_equal(result["errors"], {name: [] for name in self.names}, "errors of the writer")
        for name, text in self.content().items():
            expect_equal(int(text.split()[-1]), result["lines"][name], f"last line of {name}")

    def expect_nothing_lost(self, errors):
        """The writer was refused for a while at least, with these errors, and what it wrote is there."""
        self.stop.set()
        result = self.writer.result()
        for name, text in self.content().items():
            numbers = [int(line) for line in text.split()]
            expect(numbers == sorted(set(numbers)), f"{name}: every line once, in order")
            expect(numbers[-1] >= result["lines"][name],
                   f"{name}: line {result['lines'][name]} was acknowledged, the file ends with {numbers[-1]}")
            expect(result["errors"][name], f"{name}: the writer got errors")
            expect(set(result["errors"][name]) <= errors, f"{name}: the writer got {result['errors'][name]}")

    def takeover(self):
        """Waits for it; returns what is in the files at that moment."""
        self.standby.wait_state("MASTER")
        content = self.content()
        (self.mounts[1].point / "successor").write_text("the new master writes\n")
        return content

    def expect_no_late_writes(self, at_takeover):
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
