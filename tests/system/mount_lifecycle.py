#!/usr/bin/python3
"""Mounting, unmounting and being killed; what the mount shows of itself."""
import json
import os
import signal
import sqlite3

from harness import (BUILD, HOLDFAST, PATIENCE_S, Record, check, errno_of, expect, expect_equal, main,
                     wait_until)


def is_mounted(point):
    return str(point) in (line.split()[4] for line in open("/proc/self/mountinfo", encoding="utf-8"))


def server_of(world, point):
    """The process that daemonized for this mount point."""
    for pid in world.leftovers():
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            if os.fsencode(point) in stream.read().split(b"\0"):
                return pid
    raise AssertionError(f"no process serves {point}")


@check
def it_daemonizes_once_the_mount_works(world):
    share, point = world.share(), world.share("point")

    result = world.run(HOLDFAST, "mount", share, point)

    expect_equal(result.returncode, 0, f"exit status: {result.stderr}")
    # No waiting here: the exit status says that it works.
    expect(os.getxattr(point, "user.holdfast.plane_id"), "plane id right after the command")
    expect(json.loads((point / ".holdfast/plane.json").read_text())["planeId"], "plane.json")
    server = server_of(world, point)

    world.run("umount", point)

    wait_until(lambda: not os.path.exists(f"/proc/{server}"), PATIENCE_S, "the process ends")
    expect(not is_mounted(point), "the mount is gone")


@check
def signals_and_umount_end_it(world):
    share = world.share()
    for number in signal.SIGTERM, signal.SIGINT:
        mount = world.mount(share)
        mount.signal(number)
        expect_equal(mount.wait(), 0, f"exit status after {number.name}")
        expect(not is_mounted(mount.point), f"the mount is gone after {number.name}")
    mount = world.mount(share)
    expect_equal(mount.unmount(), 0, "exit status after umount")
    expect(not is_mounted(mount.point), "the mount is gone after umount")


@check
def records_survive_a_clean_end_and_a_kill(world):
    share = world.share()
    for end in "unmount", "kill":
        mount = world.mount(share, name=f"mount-{end}")
        writer = Record(mount, f"node-{end}")
        writer.beat(localTimestamp=5)
        getattr(mount, end)()

    nodes = world.mount(share).plane()["nodes"]

    for end in "unmount", "kill":
        expect_equal(nodes[f"node-{end}"]["record"]["localTimestamp"], 5, f"record after {end}")


@check
def a_stale_mount_is_taken_over(world):
    share = world.share()
    mount = world.mount(share, name="point")
    mount.kill()
    expect(is_mounted(mount.point), "a killed mount stays in the table")
    expect_equal(errno_of(os.listdir, mount.point), "ENOTCONN", "and answers nothing")

    again = world.mount(share, name="point")

    expect(again.plane()["planeId"], "the new mount works")
    expect_equal(again.unmount(), 0, "exit status")
    expect(not is_mounted(again.point), "nothing is mounted there afterwards")


@check
def mount_8_and_fstab_find_the_helper(world):
    """In a mount namespace whose /usr/sbin has our helper on top."""
    share, point, upper, work = (world.share(name) for name in ("share", "point", "upper", "work"))
    (upper / "mount.holdfast").symlink_to(BUILD / "mount.holdfast")
    (world.folder / "fstab").write_text(
        f"{share} {point} holdfast heartbeat_timeout=8s,poll_period=1s,nofail,_netdev 0 0\n")
    script = f"""
        set -eu
        mount -t overlay overlay -o lowerdir=/usr/sbin,upperdir={upper},workdir={work} /usr/sbin
        mount -t holdfast {share} {point} -o heartbeat_timeout=8s,poll_period=1s
        cat {point}/.holdfast/plane.json
        umount {point}
        mount -T {world.folder}/fstab {point}
        getfattr --only-values -n user.holdfast.plane_id {point}
        umount {point}
    """

    result = world.run("unshare", "-m", "sh", "-c", script)

    expect_equal(result.returncode, 0, f"exit status: {result.stderr}")
    plane, _, plane_id = result.stdout.rpartition("}")
    expect_equal(json.loads(plane + "}")["heartbeatTimeoutMs"], 8000, "heartbeatTimeoutMs")
    expect_equal(plane_id.strip(), json.loads(plane + "}")["planeId"], "plane id by fstab")


@check
def the_index_on_the_share_is_out_of_reach(world):
    share = world.share()
    mount = world.mount(share)
    holder = Record(mount, "node")
    holder.beat()
    mount.claim("node")
    (mount.point / "way").symlink_to(share / ".holdfast")

    expect_equal(errno_of(os.stat, mount.point / ".holdfast/gen"), "ENOENT", "gen/ through the mount")
    expect_equal(errno_of(os.stat, mount.point / ".holdfast/plane"), "ENOENT", "plane through the mount")
    for call in ("mkdir", "touch"):
        expect(errno_of(getattr(mount.point / ".holdfast/gen", call)) != "0", f"{call} of gen")
    for old, new in ((".holdfast", "moved"), ("way", ".holdfast")):
        expect(errno_of(os.rename, mount.point / old, mount.point / new) != "0", f"rename {old} to {new}")
    expect(errno_of(os.rmdir, mount.point / ".holdfast") != "0", "rmdir of .holdfast")
    expect_equal(os.listdir(mount.point).count(".holdfast"), 1, "entries .holdfast in the root")


@check
def names_of_the_mount_hide_those_of_the_share(world):
    share = world.share()
    (share / "master").write_text("an ordinary file that was there before")
    (share / "nodes").mkdir()
    (share / "nodes/stray").write_text("")
    (share / "ordinary").write_text("text")

    mount = world.mount(share)

    expect_equal((mount.point / "master").read_text(), "", "the lease")
    expect_equal(os.listdir(mount.point / "nodes"), [], "records")
    names = sorted(os.listdir(mount.point))
    expect_equal(names, sorted(set(names)), "names in the root, each once")
    for name in "nodes", "master", "planeId", "change.log", ".holdfast", "ordinary":
        expect(name in names, f"{name} is in the root: {names}")


@check
def what_the_mount_tells_about_itself(world):
    share = world.share()
    mounts = [world.mount(share) for _ in range(2)]
    plane = mounts[0].plane()

    expect_equal(list(plane)[:3], ["planeId", "mountId", "generation"], "first keys of plane.json")
    expect_equal((plane["heartbeatTimeoutMs"], plane["pollPeriodMs"], plane["marginMs"]),
                 (30000, 1000, 3000), "default timing")
    for name, value in ("plane_id", plane["planeId"]), ("mount_id", plane["mountId"]):
        expect_equal(os.getxattr(mounts[0].point, f"user.holdfast.{name}").decode(), value, name)
    expect(os.getxattr(mounts[0].point, "user.holdfast.version"), "version")
    expect_equal((mounts[0].point / "planeId").read_text().strip(), plane["planeId"], "planeId")
    expect_equal(mounts[1].plane()["planeId"], plane["planeId"], "planeId of the other mount")
    expect(mounts[1].plane()["mountId"] != plane["mountId"], "each mount has an id of its own")

    holder = Record(mounts[0], "node")
    holder.beat()
    epoch = mounts[0].claim("node")
    mounts[1].wait_generation(mounts[0].plane()["generation"])
    for mount in mounts:
        lease = mount.point / "master"
        expect_equal(os.getxattr(lease, "user.holdfast.epoch").decode(), str(epoch), "epoch")
        expect_equal(os.getxattr(lease, "user.holdfast.holder").decode(), "node", "holder")
        log = (mount.point / "change.log").read_text()
        for line in "created node node", "set master to node":
            expect(line in log, f"{line!r} in change.log of {mount.name}: {log}")
        expect(errno_of((mount.point / "change.log").write_text, "x") != "0", "change.log is read-only")
        expect(errno_of((mount.point / "planeId").write_text, "x") != "0", "planeId is read-only")
    remaining = int(os.getxattr(mounts[0].point / "master", "user.holdfast.remaining_ms"))
    expect(20000 < remaining <= 30000, f"remaining_ms on the holder's mount: {remaining}")
    expect_equal(errno_of(os.getxattr, mounts[1].point / "master", "user.holdfast.remaining_ms"), "ENODATA",
                 "remaining_ms elsewhere: only the holder's clock can tell")
    copy = world.folder / "index.db"
    copy.write_bytes((mounts[1].point / ".holdfast/index.db").read_bytes())
    database = sqlite3.connect(copy)
    expect_equal(database.execute("pragma quick_check").fetchall(), [("ok",)], "the index as a database")
    database.close()


if __name__ == "__main__":
    main()
