#!/usr/bin/python3
"""Leases besides `master`, each with its own timeout; and the operator's word that a machine is off."""
import os
import pty
import re
import signal
import sqlite3
import subprocess
import time

from harness import (HOLDFAST, PATIENCE_S, Record, check, errno_of, expect, expect_equal, main,
                     wait_until, write_fully)

TIMEOUT, POLL = "5s", "250ms"
# So long that nobody takes over by itself within a check.
NEVER = "60s"
TIMEOUT_MS = "user.holdfast.timeout_ms"


class Pair:
    """Two machines with a node each, both heard by both."""

    def __init__(self, world):
        share = world.share()
        self.mounts = [world.mount(share, timeout=TIMEOUT, poll=POLL) for _ in range(2)]
        self.records = [Record(mount, name) for mount, name in zip(self.mounts, "ab")]
        self.beat()

    def beat(self):
        for record in self.records:
            record.beat()
        self.meet()

    def meet(self):
        """Each sees what the other has committed."""
        newest = max(mount.plane()["generation"] for mount in self.mounts)
        for mount in self.mounts:
            mount.wait_generation(newest)


def lease(mount, name):
    return mount.point / ".holdfast/leases" / name


def attribute(path, name):
    return os.getxattr(path, f"user.holdfast.{name}").decode()


def set_timeout(path, text):
    os.setxattr(path, TIMEOUT_MS, text.encode())


@check
def a_lease_is_made_by_writing_and_has_one_holder(world):
    pair = Pair(world)
    here, there = (lease(mount, "nightly") for mount in pair.mounts)
    expect_equal(errno_of(here.read_text), "ENOENT", "a lease that nobody made")
    expect_equal(os.listdir(here.parent), ["master"], "leases of a new plane")

    here.touch()
    pair.meet()
    expect_equal((there.read_text(), attribute(there, "epoch")), ("", "0"), "holder and epoch of a new one")
    expect_equal(pair.mounts[0].claim("a", "nightly"), 1, "epoch of the first grant")
    expect_equal(errno_of(pair.mounts[1].claim, "b", "nightly"), "EBUSY", "claim of the other machine")
    expect_equal(errno_of(pair.mounts[1].claim, "a", "nightly"), "EPERM", "claim for the other's node")
    expect_equal(pair.mounts[1].claim("b", "made-by-claim"), 1, "epoch of one that a claim made")
    pair.meet()

    expect_equal(there.read_text(), "a", "holder as the other machine reads it")
    expect_equal([attribute(there, name) for name in ("epoch", "holder", "timeout_ms")], ["1", "a", "5000"],
                 "attributes on the other machine")
    expect(0 < int(attribute(here, "remaining_ms")) <= 4500, "the holder's machine knows for how long")
    expect_equal(errno_of(attribute, there, "remaining_ms"), "ENODATA", "remaining_ms of another's")
    expect_equal(sorted(os.listdir(there.parent)), ["made-by-claim", "master", "nightly"], "leases")
    shown = pair.mounts[1].plane()["leases"]
    expect_equal(shown["nightly"], {"holder": "a", "epoch": 1, "remainingMs": None, "timeoutMs": 5000},
                 "nightly in plane.json")
    expect_equal(shown["master"]["holder"], None, "the lease master is another one")
    expect_equal(errno_of(os.mkdir, pair.mounts[0].point / "x"), "EROFS", "writing without the lease master")

    expect_equal(errno_of(write_fully, there, b""), "EPERM", "release by the other machine")
    write_fully(here, b"")
    expect_equal(pair.mounts[1].claim("b", "nightly"), 2, "epoch after a release")


@check
def a_lease_falls_to_the_next_after_its_own_timeout(world):
    pair = Pair(world)
    here, there = (lease(mount, "quick") for mount in pair.mounts)
    here.touch()
    set_timeout(here, "2000")
    pair.meet()
    expect_equal(attribute(there, "timeout_ms"), "2000", "timeout as the other machine reads it")
    slow = pair.mounts[0].claim("a", "slow")
    start = time.monotonic()
    quick = pair.mounts[0].claim("a", "quick")
    expect(int(attribute(here, "remaining_ms")) <= 1800, "the holder stops before the short timeout")
    pair.meet()

    # "a" is silent from now on.
    refusals = set()

    def taken():
        pair.records[1].beat()
        outcome = errno_of(pair.mounts[1].claim, "b", "quick")
        if outcome == "0":
            return time.monotonic() - start
        refusals.add(outcome)
        return None
    took = wait_until(taken, 4, "the quick lease is taken over", period_s=0.05)

    print(f"      taken over after {took:.1f} s")
    expect_equal(refusals, {"EBUSY"}, "answers until then")
    expect(took > 2, f"taken over after {took:.3f} s already")
    expect_equal(attribute(there, "epoch"), str(quick + 1), "epoch of the take-over")
    expect_equal(errno_of(pair.mounts[1].claim, "b", "slow"), "EBUSY", "claim of the one with the plane's timeout")
    expect_equal(attribute(lease(pair.mounts[1], "slow"), "epoch"), str(slow), "epoch of that one")


@check
def a_timeout_is_set_within_bounds_while_nobody_relies_on_it(world):
    pair = Pair(world)
    path = lease(pair.mounts[0], "x")
    path.touch()
    for text in ("", "2s", "-2000", "2000 ", "0x7d0", "1", "999", "600001", "18446744073709551616"):
        expect_equal(errno_of(set_timeout, path, text), "EINVAL", f"timeout {text!r}")
    expect_equal(attribute(path, "timeout_ms"), "5000", "timeout afterwards")
    for text in ("1000", "600000", "2000"):
        set_timeout(path, text)
        expect_equal(attribute(path, "timeout_ms"), text, "timeout that was set")
    expect_equal(pair.mounts[0].plane()["leases"]["x"]["timeoutMs"], 2000, "timeout in plane.json")

    pair.mounts[0].claim("a", "x")
    pair.meet()
    for mount in pair.mounts:
        expect_equal(errno_of(set_timeout, lease(mount, "x"), "3000"), "EBUSY", "timeout of a held lease")
    write_fully(path, b"")
    set_timeout(path, "0")
    expect_equal(attribute(path, "timeout_ms"), "5000", "0 is the plane's")

    master = pair.mounts[0].point / "master"
    expect_equal(attribute(master, "timeout_ms"), "5000", "timeout of master")
    for other in (master, lease(pair.mounts[0], "master")):
        expect_equal(errno_of(set_timeout, other, "2000"), "EPERM", f"timeout of {other.name}")
    expect_equal(errno_of(os.setxattr, path, "user.holdfast.epoch", b"9"), "EPERM", "setting the epoch")
    expect_equal(errno_of(os.removexattr, path, TIMEOUT_MS), "EPERM", "removing the timeout")
    expect_equal(errno_of(os.setxattr, path, TIMEOUT_MS, b"2000", os.XATTR_CREATE), "EEXIST", "making it anew")


@check
def a_free_lease_is_removed_and_its_epochs_go_on(world):
    pair = Pair(world)
    here, there = (lease(mount, "x") for mount in pair.mounts)
    pair.mounts[0].claim("a", "x")
    epoch = pair.mounts[0].claim("a", "x")
    pair.meet()
    for path in here, there:
        expect_equal(errno_of(path.unlink), "EBUSY", "unlink of a held lease")
    write_fully(here, b"")

    there.unlink()
    pair.meet()

    expect(not here.exists() and not there.exists(), "it is gone on both machines")
    expect_equal(errno_of(there.unlink), "ENOENT", "unlink once more")
    expect_equal(errno_of(set_timeout, there, "2000"), "ENOENT", "timeout of a removed lease")
    expect("x" not in pair.mounts[0].plane()["leases"], "it is gone from plane.json")
    expect_equal(pair.mounts[1].claim("b", "x"), epoch + 1, "epoch of the next of that name")
    expect_equal(errno_of((here.parent / "master").unlink), "EPERM", "unlink of master")


@check
def what_is_no_id_is_no_lease(world):
    pair = Pair(world)
    folder = lease(pair.mounts[0], "x").parent
    for name in ("a.b", "-a", "a b", "ä", ".x", "a.tmp", "x" * 64):
        expect_equal(errno_of((folder / name).touch), "EINVAL", f"lease {name!r}")
        expect(not (folder / name).exists(), f"{name!r} is not there")
    expect_equal(errno_of(os.mkdir, folder / "x"), "EPERM", "a directory of that name")
    expect_equal(errno_of(os.rmdir, folder), "EPERM", "removing the directory of leases")
    expect_equal(os.listdir(folder), ["master"], "leases afterwards")
    (folder / ("x" * 63)).touch()

    # A staging file commits by rename here as well.
    (folder / "y.1.tmp").write_text("a")
    os.rename(folder / "y.1.tmp", folder / "y")
    expect_equal((folder / "y").read_text(), "a", "holder after the rename")


class Fenced:
    """A master that does not answer any more, but is not silent for the timeout yet, and a standby."""

    def __init__(self, world):
        share = world.share()
        self.mounts = [world.mount(share, timeout=NEVER, poll=POLL) for _ in range(2)]
        self.master = world.node(self.mounts[0])
        self.master.wait_state("MASTER")
        self.id = self.master.node_id()
        self.standby = world.node(self.mounts[1])
        self.standby.wait_state("STANDBY")
        self.mounts[0].claim(self.id, "nightly")
        self.mounts[1].wait_generation(self.mounts[0].plane()["generation"])
        self.machine = (self.master, self.mounts[0])
        for process in self.machine:
            process.signal(signal.SIGSTOP)

    def wake(self):
        for process in self.machine:
            process.signal(signal.SIGCONT)

    def holders(self):
        return {name: row["holder"] for name, row in self.mounts[1].plane()["leases"].items()}

    def history(self, world):
        copy = world.folder / "copy.db"
        copy.write_bytes((self.mounts[1].point / ".holdfast/index.db").read_bytes())
        database = sqlite3.connect(copy)
        rows = database.execute("SELECT what, node, detail, was, why, who FROM history ORDER BY seq").fetchall()
        database.close()
        return rows


@check
def a_fenced_machine_is_succeeded_at_once(world):
    scene = Fenced(world)
    start = time.monotonic()
    result = world.run(HOLDFAST, "fence", scene.id, "--yes", "--reason", "pulled the plug, ticket 7",
                       "--mount", scene.mounts[1].point, env={"SUDO_USER": "alice"})
    expect_equal(result.returncode, 0, f"exit status of holdfast fence: {result.stderr}")
    scene.standby.wait_state("MASTER", 5)
    took = time.monotonic() - start

    print(f"      master {took:.1f} s after the command began, timeout {NEVER}")
    expect_equal(scene.holders(), {"master": scene.standby.node_id(), "nightly": None}, "holders afterwards")
    expect_equal(scene.mounts[1].plane()["nodes"][scene.id]["record"]["status"], "FAILED", "its record")
    told = [row for row in scene.history(world) if row[4] == "fenced: pulled the plug, ticket 7"]
    expect_equal([row[:4] for row in told],
                 [("fenced", scene.id, "", "MASTER"), ("status", scene.id, "FAILED", "MASTER"),
                  ("master", "", "", scene.id), ("lease", "", "nightly", scene.id)], "the history")
    expect_equal({row[5] for row in told}, {f"alice@{os.uname().nodename}"[:63]}, "who it was, by the history")
    log = (scene.mounts[1].point / "change.log").read_text()
    expect(f": fenced node {scene.id}\n" in log, "change.log tells of it")

    # It was not off after all: it comes back as what it is now.
    scene.wake()
    scene.master.wait_state("STANDBY")
    expect_equal(errno_of(os.mkdir, scene.mounts[0].point / "late"), "EROFS", "a write of the fenced machine")
    expect_equal(scene.standby.state(), "MASTER", "state of the successor")


def on_terminal(argv, answer):
    """Exit code of a command that reads the answer from its terminal."""
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen([str(word) for word in argv], stdin=theirs, stdout=theirs, stderr=theirs) as child:
            os.write(ours, answer.encode())
            return child.wait(PATIENCE_S)
    finally:
        os.close(ours)
        os.close(theirs)


@check
def nobody_is_fenced_without_consent(world):
    scene = Fenced(world)
    before = scene.holders()
    there = ["--mount", scene.mounts[1].point]
    table = {
        "no terminal": (1, r"--yes: required", [scene.id, *there]),
        "no node": (1, r"NODE: ", ["--yes", *there]),
        "no id": (1, r"no node id", ["../x", "--yes", *there]),
        "two nodes": (1, r"unexpected argument", [scene.id, "b", "--yes", *there]),
        "unknown option": (1, r"--no: ", [scene.id, "--yes", "--no", *there]),
        "long reason": (1, r"--reason: ", [scene.id, "--yes", "--reason", "x" * 96, *there]),
        "two lines": (2, r"one line", [scene.id, "--yes", "--reason", "a\nb", *there]),
        "unknown node": (2, r"no such node", ["nobody", "--yes", *there]),
        "no mount": (2, r"is no Holdfast mount", [scene.id, "--yes", "--mount", world.folder]),
        "nothing there": (2, r"No such file", [scene.id, "--yes", "--mount", world.folder / "x"]),
        "two mounts": (2, r"several Holdfast mounts", [scene.id, "--yes"]),
    }
    for label, (status, pattern, arguments) in table.items():
        result = world.run(HOLDFAST, "fence", *arguments)
        expect_equal(result.returncode, status, f"exit status: {label}: {result.stderr}")
        expect(re.fullmatch(rf"holdfast fence: .*{pattern}.*\n", result.stderr), f"{label}: {result.stderr}")
    for answer in ("no\n", "y\n", "\n", "\x04"):
        expect_equal(on_terminal([HOLDFAST, "fence", scene.id, *there], answer), 1, f"after {answer!r}")
    expect_equal(on_terminal([HOLDFAST, "fence", "nobody", *there], "yes\n"), 2, "exit status, unknown node")
    expect_equal(scene.holders(), before, "holders after all that")

    expect_equal(on_terminal([HOLDFAST, "fence", scene.id, *there], "yes\n"), 0, "after yes")
    scene.standby.wait_state("MASTER", 5)
    expect("fenced: no reason given" in [row[4] for row in scene.history(world)], "the history says that much")
    scene.wake()
    scene.master.wait_state("STANDBY")


@check
def the_file_fence_takes_one_whole_object(world):
    pair = Pair(world)
    path = pair.mounts[1].point / ".holdfast/fence"
    pair.mounts[0].claim("a", "nightly")
    pair.meet()
    expect_equal((path.stat().st_mode & 0o777, path.read_bytes()), (0o600, b""), "mode and content")
    for text in (b"", b"a", b'{"nodeId":"a"}', b'{"nodeId":"a","reason":"","user":""}'):
        expect_equal(errno_of(write_fully, path, text), "EINVAL", f"{text!r}")
    expect_equal(errno_of(write_fully, path, b'{"nodeId":"c","reason":"","user":"u"}'), "ENOENT", "no such node")
    expect_equal(errno_of(path.unlink), "EPERM", "unlink")
    expect_equal(lease(pair.mounts[1], "nightly").read_text(), "a", "holder until then")

    # By close(2) alone, as a shell does it.
    path.write_text('{"nodeId":"a","reason":"","user":"u"}\n')

    expect_equal(lease(pair.mounts[1], "nightly").read_text(), "", "holder afterwards")
    expect_equal(pair.mounts[1].claim("b", "nightly"), 2, "epoch of the successor")


if __name__ == "__main__":
    main()
