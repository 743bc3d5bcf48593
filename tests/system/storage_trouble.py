#!/usr/bin/python3
"""The share hangs, refuses to be written to, or is gone, for the machine of one node."""
import os
import statistics
import threading
import time

from harness import (LIBC, MNT_DETACH, PATIENCE_S, check, errno_of, expect, expect_equal, main, seconds,
                     wait_until)
from hookfolder import Hooks
from trouble import Trouble

TIMEOUT, POLL = "3s", "500ms"
REST_LIMIT_S = 0.05
EXPIRED = "no record was committed before the lease's deadline"


class Answers:
    """Asks a node for its state all the time: how long that took, and what it said when."""

    def __init__(self, node):
        self.node = node
        self.times_s = []
        self.states = []
        self.problem = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.stop.wait(0.01):
                start = time.monotonic()
                state = self.node.state()
                self.times_s.append(time.monotonic() - start)
                if not self.states or self.states[-1] != state:
                    self.states.append(state)
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.problem = error

    def end(self):
        self.stop.set()
        self.thread.join()
        expect(self.problem is None, f"REST answers: {self.problem!r}")
        return self


def pair(world):
    """A master and a standby with hooks, and the trouble of each one's machine."""
    share = world.share()
    hooks = [Hooks(world, f"hooks{i}") for i in range(2)]
    troubles = [Trouble(world, f"machine{i}") for i in range(2)]
    mounts = [world.mount(share, timeout=TIMEOUT, poll=POLL, env=trouble.env) for trouble in troubles]
    nodes = []
    for i, state in enumerate(("MASTER", "STANDBY")):
        nodes.append(world.node(mounts[i], options=("--hooks", hooks[i].folder)))
        nodes[i].wait_state(state)
    hooks[0].wait_for("on-promote", "MASTER")
    master = nodes[0].node_id()
    wait_until(lambda: nodes[1].states()["masterId"] == master, PATIENCE_S, "the standby knows the master")
    return mounts, nodes, hooks, troubles


def expect_out_of_office(nodes, hooks):
    """The master ends by itself before the other one begins."""
    demote = hooks[0].wait_for("on-demote", "FAILED")
    promote = hooks[1].wait_for("on-promote", "MASTER")
    expect_equal(demote[8], EXPIRED, "reason that on-demote is told")
    expect(float(demote[6]) <= float(promote[6]), f"on-demote at {demote[6]}, on-promote at {promote[6]}")
    nodes[0].wait_state("FAILED")
    own = nodes[0].states()
    expect_equal(own["nodes"][own["ownId"]]["status"], "FAILED", "own status in ha/states")
    expect(EXPIRED in nodes[0].log_text(), "the reason is logged")


def trouble_of_the_master(world, what):
    mounts, nodes, hooks, troubles = pair(world)
    point = mounts[0].point
    (point / "file").write_text("before\n")

    answers = Answers(nodes[0])
    troubles[0].be(what)
    begun = time.monotonic()
    expect_out_of_office(nodes, hooks)
    took = time.monotonic() - begun
    answers.end()
    expect_equal(answers.states, ["MASTER", "FAILED"], "states while the share is in trouble")
    typical_ms = statistics.median(answers.times_s) * 1000
    print(f"      {what}: replaced after {took:.2f} s; REST answers within {typical_ms:.1f} ms (median), "
          f"{max(answers.times_s) * 1000:.1f} ms (max)")
    expect(typical_ms < REST_LIMIT_S * 1000, f"REST takes {typical_ms:.1f} ms")

    troubles[0].be("")
    nodes[0].wait_state("STANDBY")
    hooks[0].wait_for("on-state-change", "STANDBY")
    expect_equal(nodes[1].state(), "MASTER", "state of the new master")
    expect_equal(errno_of((point / "file").write_text, "after\n"), "EROFS", "a write on the old master's mount")
    # It is as good as before: the next fail-over brings it back.
    nodes[1].terminate()
    nodes[0].wait_state("MASTER")
    expect_equal((point / "file").read_text(), "before\n", "what was written before")


@check
def a_share_that_hangs(world):
    trouble_of_the_master(world, "hang")


@check
def a_share_that_turned_read_only(world):
    trouble_of_the_master(world, "EROFS")


@check
def a_share_that_is_full(world):
    trouble_of_the_master(world, "ENOSPC")


@check
def a_share_that_fails(world):
    trouble_of_the_master(world, "EIO")


@check
def trouble_that_is_shorter_than_the_lease_changes_nothing(world):
    mounts, nodes, _, troubles = pair(world)
    epoch = mounts[1].plane()["leases"]["master"]["epoch"]
    for what in "hang", "ENOSPC":
        beat = mounts[1].plane()["nodes"][nodes[0].node_id()]["beat"]
        troubles[0].be(what)
        time.sleep(seconds(TIMEOUT) / 5)
        troubles[0].be("")
        wait_until(lambda: mounts[1].plane()["nodes"][nodes[0].node_id()]["beat"] > beat + 2,  # pylint: disable=cell-var-from-loop
                   PATIENCE_S, "the master beats again")
    expect_equal([node.state() for node in nodes], ["MASTER", "STANDBY"], "states")
    expect_equal(mounts[1].plane()["leases"]["master"]["epoch"], epoch, "epoch")


@check
def a_standby_does_not_promote_on_doubt(world):
    """What it cannot read or write is no proof that the master is dead."""
    mounts, nodes, _, troubles = pair(world)
    epoch = mounts[0].plane()["leases"]["master"]["epoch"]
    for what in "hang", "EROFS", "EIO":
        answers = Answers(nodes[1])
        troubles[1].be(what)
        # Longer than the timeout: by its own reckoning the master has lapsed.
        time.sleep(seconds(TIMEOUT) * 1.5)
        troubles[1].be("")
        nodes[1].wait_state("STANDBY")
        answers.end()
        expect("MASTER" not in answers.states, f"{what}: the standby said {answers.states}")
        expect_equal(nodes[0].state(), "MASTER", f"{what}: state of the master")
    expect_equal(mounts[0].plane()["leases"]["master"]["epoch"], epoch, "epoch")


@check
def a_mount_that_dies(world):
    mounts, nodes, hooks, _ = pair(world)
    mounts[0].kill()
    expect_out_of_office(nodes, hooks)

    # What an operator, or systemd, does.
    LIBC.umount2(os.fsencode(mounts[0].point), MNT_DETACH)
    again = world.mount(world.folder / "share", name=mounts[0].name, timeout=TIMEOUT, poll=POLL)
    nodes[0].wait_state("STANDBY")
    expect_equal(nodes[1].state(), "MASTER", "state of the new master")
    expect(again.plane()["nodes"][nodes[0].node_id()]["ours"], "its record is the new mount's")


@check
def a_daemon_on_a_hung_share_can_be_stopped(world):
    _, nodes, hooks, troubles = pair(world)
    troubles[0].be("hang")
    expect_equal(nodes[0].terminate(), 0, "exit status")
    expect_equal(hooks[0].calls()[-2][:3], ["on-demote", "MASTER", "TERMINATED"], "hook")
    nodes[1].wait_state("MASTER")
    troubles[0].be("")


if __name__ == "__main__":
    main()
