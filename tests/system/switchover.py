#!/usr/bin/python3
"""What an operator orders: that the master hands over, and that nobody becomes master by itself."""
import json
import os
import time

from harness import (HOLDFAST, PATIENCE_S, Flag, Record, check, expect, expect_equal, main, scaled, wait_until,
                     write_fully)

# So long that nobody takes over by itself within a check.
TIMEOUT, POLL = "60s", "1s"
# A machine with a single busy core; the aim is 0.25 s.
LONGEST_GAP_S = 5
# Nothing must happen for so many polls where nothing may.
QUIET_POLLS = 3


class Pair:
    """A master and a standby."""

    def __init__(self, world, mode="auto", timeout=TIMEOUT):
        self.world = world
        share = world.share()
        self.mounts = [world.mount(share, timeout=timeout, poll=POLL) for _ in range(2)]
        self.nodes = [world.node(self.mounts[0])]
        self.nodes[0].wait_state("MASTER")
        self.mounts[1].wait_generation(self.mounts[0].plane()["generation"])
        self.nodes.append(world.node(self.mounts[1], mode=mode))
        self.nodes[1].wait_state("HOT_STANDBY" if mode == "hot_standby" else "STANDBY")
        self.ids = [node.node_id() for node in self.nodes]

    def order(self, *argv, at=0):
        return self.world.run(HOLDFAST, *argv, "--mount", self.mounts[at].point)

    def expect_order(self, *argv, at=0):
        result = self.order(*argv, at=at)
        expect_equal(result.returncode, 0, f"exit status of {argv}: {result.stderr}")
        return result.stdout

    def await_quiet(self):
        """Until whoever is alive has polled a few times more."""
        def beats():
            return sum(node["beat"] for node in self.mounts[1].plane()["nodes"].values())
        wanted = beats() + QUIET_POLLS
        wait_until(lambda: beats() >= wanted, PATIENCE_S, "some polls")


def write_where_it_works(points, stop):
    """When each write succeeded, on whichever machine it did."""
    times = []
    while not stop.is_set():
        for point in points:
            try:
                with open(point / "file", "a", encoding="ascii") as file:
                    file.write("x")
                times.append(time.monotonic())
            except OSError:
                pass
        time.sleep(0.005)
    return times


@check
def the_master_hands_over_and_writers_hardly_notice(world):
    pair = Pair(world)
    stop = Flag()
    writer = world.worker(write_where_it_works, [mount.point for mount in pair.mounts], stop)
    moments = []
    for number in range(scaled(10, least=2)):
        target = pair.ids[1 - number % 2]
        expect_equal(pair.expect_order("switchover", "--to", target, at=number % 2).split()[0], target,
                     "who is master by the command")
        pair.nodes[1 - number % 2].wait_state("MASTER")
        pair.nodes[number % 2].wait_state("STANDBY")
        moments.append(time.monotonic())
    stop.set()
    times = writer.result()
    gaps = sorted((later - earlier for earlier, later in zip(times, times[1:])), reverse=True)
    print(f"      {len(moments)} switchovers, longest gaps between writes:",
          " ".join(f"{gap * 1000:.0f}" for gap in gaps[:len(moments)]), "ms")
    expect(gaps[0] < LONGEST_GAP_S, f"longest gap {gaps[0]:.2f} s")


@check
def a_target_that_does_not_claim_loses_it_to_the_old_master(world):
    pair = Pair(world)
    fake = Record(pair.mounts[1], "fake")
    fake.beat()
    pair.mounts[0].wait_generation(pair.mounts[1].plane()["generation"])
    order = {"nodeId": "fake", "user": "root@ops"}
    write_fully(pair.mounts[0].point / ".holdfast/switchover", json.dumps(order).encode())
    pair.mounts[1].wait_generation(pair.mounts[0].plane()["generation"])

    def is_handed():
        fake.beat()
        return (pair.mounts[1].plane()["switchover"] or {}).get("phase") == "handed"
    wait_until(is_handed, PATIENCE_S, "the lease handed to a target that beats")
    wait_until(lambda: (pair.mounts[1].plane()["leases"]["master"]["holder"], pair.nodes[0].state()) ==
               (pair.ids[0], "MASTER"), PATIENCE_S, "the old master again")
    expect_equal(pair.mounts[0].plane()["switchover"], None, "the switchover afterwards")
    expect_equal(pair.nodes[1].state(), "STANDBY", "who looked on")


@check
def what_cannot_be_done_is_told(world):
    pair = Pair(world)
    for argv, needle in ((("switchover", "--to", "nobody"), "no such node"),
                         (("switchover", "--to", pair.ids[0]), "is master"),
                         (("switchover", "--cancel"), "no switchover")):
        result = pair.order(*argv)
        expect_equal(result.returncode, 2, f"exit status of {argv}")
        expect(needle in result.stderr, f"{argv}: {result.stderr}")
    expect_equal(pair.order("switchover", "--at", "yesterday").returncode, 1, "a time that is none")


@check
def a_plan_is_carried_out_when_it_is_due_or_cancelled(world):
    pair = Pair(world)
    pair.expect_order("switchover", "--at", "1h")
    expect_equal(pair.mounts[0].plane()["switchover"]["phase"], "planned", "phase")
    pair.expect_order("switchover", "--cancel")
    expect_equal(pair.mounts[0].plane()["switchover"], None, "after the cancellation")
    pair.expect_order("switchover", "--at", "1s", at=1)
    pair.nodes[1].wait_state("MASTER")


@check
def while_paused_nobody_becomes_master_by_itself(world):
    pair = Pair(world)
    pair.expect_order("pause", "--reason", "upgrade", at=1)
    wait_until(lambda: pair.nodes[0].states()["pausedBy"], PATIENCE_S, "the pause in ha/states")
    status = world.run(HOLDFAST, "status", "--servers", f"127.0.0.1:{pair.nodes[0].port}")
    expect("paused by " in status.stdout, f"holdfast status: {status.stdout}")

    pair.nodes[0].kill()
    wait_until(lambda: not pair.mounts[1].plane()["leases"]["master"]["holder"], PATIENCE_S, "a free lease")
    pair.await_quiet()
    expect_equal(pair.nodes[1].state(), "STANDBY", "a standby in a paused plane")

    # It is still paused when all mounts were away.
    pair.expect_order("switchover", "--to", pair.ids[1], at=1)
    pair.nodes[1].wait_state("MASTER")
    pair.nodes[1].kill()
    third = world.node(pair.mounts[1])
    third.wait_state("STANDBY")
    pair.await_quiet()
    expect_equal(third.state(), "STANDBY", "a new node in a paused plane")
    pair.expect_order("resume", at=1)
    third.wait_state("MASTER")


@check
def a_hot_standby_takes_over_and_a_backup_does_not(world):
    pair = Pair(world, mode="hot_standby")
    (pair.mounts[0].point / "state").write_text("persisted")
    backup = world.node(pair.mounts[1], mode="hot_backup", options=("--nodeId", "backup"))
    backup.wait_state("HOT_BACKUP")
    result = pair.order("switchover", "--to", "backup")
    expect_equal(result.returncode, 2, f"a switchover to a backup: {result.stdout}")
    pair.nodes[0].kill()
    pair.nodes[1].wait_state("MASTER")
    pair.nodes[1].kill()
    pair.await_quiet()
    expect_equal(backup.state(), "HOT_BACKUP", "a backup that is alone")
    expect_equal(os.listdir(pair.mounts[1].point / "nodes").count("backup"), 1, "records of the id that was given")


if __name__ == "__main__":
    main()
