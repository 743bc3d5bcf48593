#!/usr/bin/python3
"""A supervisor starts daemon and mount again after a crash: back in office at once, and not after the timeout.

That holds only where it is certain that the process before is gone: on the same boot, in the same PID
namespace.  Any doubt, and the full timeout passes.
"""
import fcntl
import os
import signal
import subprocess
import time

from harness import PATIENCE_S, Record, check, errno_of, expect, expect_equal, main, seconds, wait_until

# The time from the start of the mount is measured against polls of this length.
LONG_TIMEOUT, LONG_POLL = "30s", "1s"
# Where the timeout has to pass.
TIMEOUT, POLL = "3s", "500ms"
GONE = "the process of an earlier mount is gone"


def start(world, share, timeout, poll, prefix=(), point=None):
    mount = world.mount(share, name=point, timeout=timeout, poll=poll, prefix=prefix)
    return mount, world.node(mount)


def master_of(world, share, timeout, poll, **more):
    mount, node = start(world, share, timeout, poll, **more)
    node.wait_state("MASTER")
    (mount.point / "file").write_text("of the first\n")
    return mount, node


def crash(mount, node):
    """The mount first: it would see the daemon die."""
    os.killpg(mount.pid, signal.SIGKILL)
    mount.wait()
    node.kill()


def restart(world, share, crashed, timeout, poll):
    """As a supervisor does, at the same mount point."""
    mount, _ = crashed
    subprocess.run(["umount", "-l", str(mount.point)], check=True, timeout=PATIENCE_S)
    again = world.mount(share, name=mount.name, timeout=timeout, poll=poll)
    return again, world.node(again)


def wait_master(nodes, limit_s):
    """The first of them that says MASTER."""
    return wait_until(lambda: next((node for node in nodes if node.state() == "MASTER"), None), limit_s,
                      "a new master")


def expect_office(world, with_standby):
    share = world.share()
    crashed = master_of(world, share, LONG_TIMEOUT, LONG_POLL)
    old_id = crashed[1].node_id()
    others = []
    if with_standby:
        other_mount, other = start(world, share, LONG_TIMEOUT, LONG_POLL)
        other.wait_state("STANDBY")
        wait_until(lambda: other_mount.plane()["leases"]["master"]["holder"] == old_id, PATIENCE_S,
                   "the standby knows the master")
        others = [other]

    crash(*crashed)
    restarted_at = time.monotonic()
    mount, node = restart(world, share, crashed, LONG_TIMEOUT, LONG_POLL)
    winner = wait_master([node, *others], limit_s=2 * seconds(LONG_POLL) + 1)
    took_s = time.monotonic() - restarted_at

    print(f"      crash and restart{' beside a standby' if with_standby else ''}: "
          f"MASTER after {took_s:.2f} s, timeout {LONG_TIMEOUT}")
    expect(GONE in mount.log_text(), "the mount said that its predecessor is gone")
    wait_until(lambda: mount.plane()["leases"]["master"]["holder"] == winner.node_id(), PATIENCE_S,
               "the restarted mount sees the new master")
    plane = mount.plane()
    expect_equal(plane["nodes"][old_id]["record"]["status"], "FAILED", "status of the node that crashed")
    expect_equal(plane["leases"]["master"]["epoch"], 2, "epoch")
    point = mount.point if winner is node else other_mount.point
    expect_equal((point / "file").read_text(), "of the first\n", "what the first master wrote")
    (point / "file").write_text("of the second\n")


@check
def a_lonely_master_is_back_at_once(world):
    expect_office(world, with_standby=False)


@check
def beside_a_standby_one_of_them_is_master_at_once(world):
    expect_office(world, with_standby=True)


@check
def locks_of_the_crashed_are_free_at_once(world):
    share = world.share()
    mount = world.mount(share, timeout=LONG_TIMEOUT, poll=LONG_POLL)
    lock = ".holdfast/locks/nightly"

    def hold():
        fd = os.open(mount.point / lock, os.O_RDWR | os.O_CREAT)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    holder = world.worker(hold)
    holder.result()
    os.killpg(mount.pid, signal.SIGKILL)
    mount.wait()
    subprocess.run(["umount", "-l", str(mount.point)], check=True, timeout=PATIENCE_S)

    again = world.mount(share, name=mount.name, timeout=LONG_TIMEOUT, poll=LONG_POLL)

    fd = os.open(again.point / lock, os.O_RDWR | os.O_CREAT)
    wait_until(lambda: errno_of(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB) == "0",
               seconds(LONG_POLL), "the lock is free")
    os.close(fd)


def expect_full_timeout(world, share, crashed):
    """Start another mount on this machine; the crashed one's lease is not touched before its time."""
    old_id = crashed[1].node_id()
    crash(*crashed)
    crashed_at = time.monotonic()
    mount, node = restart(world, share, crashed, TIMEOUT, POLL)
    node.wait_state("STANDBY")
    expect_equal(mount.plane()["leases"]["master"]["holder"], old_id, "holder after the restart")
    node.wait_state("MASTER")
    took_s = time.monotonic() - crashed_at

    print(f"      MASTER after {took_s:.2f} s, timeout {TIMEOUT}")
    expect(GONE not in mount.log_text(), "nobody was declared gone")
    expect(took_s >= seconds(TIMEOUT) - seconds(POLL), f"not before the timeout: {took_s:.2f} s")


def shared_point(world, name):
    """A folder where a mount that is made in another mount namespace shows here, too."""
    point = world.folder / name
    point.mkdir()
    for options in ["--bind", point], ["--make-shared"]:
        subprocess.run(["mount", *options, point], check=True, timeout=PATIENCE_S)
    return name


@check
def a_process_of_another_pid_namespace_may_be_alive(world):
    share = world.share()
    crashed = master_of(world, share, TIMEOUT, POLL, point=shared_point(world, "contained"), prefix=[
        "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "unchanged"])

    expect_full_timeout(world, share, crashed)


@check
def a_process_of_another_boot_may_be_alive(world):
    share = world.share()
    boot_id = world.folder / "boot_id"
    boot_id.write_text("01234567-89ab-cdef-0123-456789abcdef\n")
    crashed = master_of(world, share, TIMEOUT, POLL, point=shared_point(world, "clone"), prefix=[
        "unshare", "--mount", "--propagation", "unchanged", "sh", "-ec",
        "mount --make-private /proc; mount --bind \"$0\" /proc/sys/kernel/random/boot_id; exec \"$@\"",
        boot_id])

    expect_full_timeout(world, share, crashed)


@check
def a_process_that_stands_still_is_alive(world):
    share = world.share()
    mount, node = master_of(world, share, TIMEOUT, POLL)
    old_id = node.node_id()
    for process in node, mount:
        process.signal(signal.SIGSTOP)
    stopped_at = time.monotonic()

    second_mount, second = start(world, share, TIMEOUT, POLL)
    second.wait_state("STANDBY")
    expect_equal(second_mount.plane()["leases"]["master"]["holder"], old_id, "holder")
    second.wait_state("MASTER")
    took_s = time.monotonic() - stopped_at

    expect(GONE not in second_mount.log_text(), "nobody was declared gone")
    expect(took_s >= seconds(TIMEOUT) - seconds(POLL), f"not before the timeout: {took_s:.2f} s")
    for process in mount, node:
        process.signal(signal.SIGCONT)
    node.wait_state("STANDBY")


@check
def neighbours_are_left_alone(world):
    """Several mounts on one machine, of which one is started again and again."""
    share = world.share()
    mount, node = master_of(world, share, TIMEOUT, POLL)
    for turn in range(3):
        other = world.mount(share, name="other", timeout=TIMEOUT, poll=POLL)
        record = Record(other, f"node{turn}")
        record.beat()
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()
        other.records.clear()
        record.close()
        subprocess.run(["umount", "-l", str(other.point)], check=True, timeout=PATIENCE_S)
    last = world.mount(share, name="other", timeout=TIMEOUT, poll=POLL)
    def statuses():
        nodes = mount.plane()["nodes"]
        return [nodes[name]["record"]["status"] for name in ("node0", "node1", "node2") if name in nodes]
    wait_until(lambda: statuses() == ["FAILED"] * 3, seconds(POLL), "the nodes of the killed have failed")

    expect_equal(last.log_text().count(GONE), 3, "burials in the log of all four")
    expect_equal(node.state(), "MASTER", "state of the neighbour")
    expect_equal(mount.plane()["leases"]["master"]["epoch"], 1, "epoch")
    (mount.point / "file").write_text("still\n")


if __name__ == "__main__":
    main()
