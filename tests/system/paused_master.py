#!/usr/bin/python3
"""A master that slept through its lease writes nothing any more, whichever of its processes slept.

A program on the master's machine appends to files all the time and notes each line that was
acknowledged.  When the other machine is MASTER, the files on the share are read; they must never change
again, whatever wakes up afterwards.
"""
import signal
import time

from harness import PATIENCE_S, check, expect, main, seconds, wait_until
from scene import POLL, Scene


@check
def a_paused_daemon(world):
    scene = Scene(world)

    scene.master.signal(signal.SIGSTOP)
    at_takeover = scene.takeover()
    scene.master.signal(signal.SIGCONT)
    expect(scene.master.state() != "MASTER", "the first answer after the pause")

    scene.master.wait_state("STANDBY")
    scene.expect_no_late_writes(at_takeover)


@check
def a_paused_mount(world):
    scene = Scene(world)

    scene.mounts[0].signal(signal.SIGSTOP)
    at_takeover = scene.takeover()
    # The daemon cannot reach its mount, and still knows how late it is.
    expect(scene.master.state() != "MASTER", "the old master's answer while the other is MASTER")
    scene.mounts[0].signal(signal.SIGCONT)

    scene.master.wait_state("STANDBY")
    scene.expect_no_late_writes(at_takeover)


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
    scene.expect_no_late_writes(at_takeover)


@check
def a_short_pause_costs_nothing(world):
    scene = Scene(world)
    epoch = scene.lease()["epoch"]

    scene.mounts[0].signal(signal.SIGSTOP)
    # The pause is what this is about: a poll period, far less than the lease lasts.
    time.sleep(0.5)
    scene.mounts[0].signal(signal.SIGCONT)
    paused_at = scene.beat()
    wait_until(lambda: scene.beat() >= paused_at + 2, PATIENCE_S, "the master beats again")

    scene.expect_calm(epoch, seconds(POLL))
    scene.expect_untouched()


if __name__ == "__main__":
    main()
