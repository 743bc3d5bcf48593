#!/usr/bin/python3
"""holdfast doctor tells a fit directory from one that is not, leaves nothing behind and repairs no more than it says."""
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from harness import (BUILD, HOLDFAST, PATIENCE_S, Process, Record, check, expect, expect_equal, main,
                     wait_until)

TRICKSTER = BUILD / "tests/system/libtrickster.so"

# Exit statuses.
FIT, WARNINGS, FAILURES, USAGE = 0, 1, 2, 64

# Items that are there whatever the share is.
ITEMS = ["directory", "file system", "free space", "free inodes", "writable", "exclusive create",
         "symlink arbitration", "link arbitration", "symlink target", "link count", "rename", "O_DIRECT",
         "fsync latency", "visibility", "server clock", "plane", "staging files"]
ITEMS_OF_A_PLANE = ["generations", "chain", "lease", "records"]

# What the machine that runs the tests may have to be told: it is loaded, or its folder is in memory.
OF_THE_MACHINE = {"file system", "fsync latency"}

TIMEOUT, POLL = "1s", "100ms"
BEATS = 140


class Report:
    """What doctor said, by item."""

    def __init__(self, result):
        self.status = result.returncode
        self.text = result.stdout
        expect(not result.stderr, f"stderr: {result.stderr}")
        self.items = {}
        for verdict, item, text in re.findall(r"^(ok|warn|fail) +([^:]+): (.*)$", self.text, re.M):
            self.items.setdefault(item, []).append((verdict, text))

    def verdict(self, item):
        """The worst one."""
        expect(item in self.items, f"there is an item {item}: {self.text}")
        verdicts = [verdict for verdict, _ in self.items[item]]
        return next(verdict for verdict in ("fail", "warn", "ok") if verdict in verdicts)

    def says(self, item, verdict, *needles):
        expect_equal(self.verdict(item), verdict, f"verdict of {item} in {self.text}")
        text = "\n".join(text for _, text in self.items[item])
        for needle in needles:
            expect(needle in text, f"{item} mentions {needle}: {text}")

    def ends_with(self, status, what):
        """The exit status, unless something is to be said of this machine that is worse."""
        of_machine = {"ok": FIT, "warn": WARNINGS, "fail": FAILURES}
        worst = max((of_machine[self.verdict(item)] for item in OF_THE_MACHINE & self.items.keys()), default=FIT)
        expect_equal(self.status, max(status, worst), f"{what}: {self.text}")

    def is_fit_but_for(self, *items):
        """All others are well, whatever is to be said of this machine."""
        bad = {item for item in self.items if self.verdict(item) != "ok"} - OF_THE_MACHINE
        expect_equal(bad, set(items), f"items that are not well in {self.text}")


def examine(world, *words, limit_s=3 * PATIENCE_S, **env):
    if env:
        # A sanitizer's runtime wants to be the first library; the shim before it does no harm.
        env.update(LD_PRELOAD=str(TRICKSTER),
                   ASAN_OPTIONS=f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0")
    return Report(world.run(HOLDFAST, "doctor", *words, limit_s=limit_s, env=env))


def names(folder):
    """All there is below, with what links say."""
    return sorted((os.path.join(parent, name),
                   os.readlink(os.path.join(parent, name))
                   if os.path.islink(os.path.join(parent, name)) else None)
                  for parent, folders, files in os.walk(folder) for name in folders + files)


def generations(share):
    return sorted((share / ".holdfast/gen").iterdir())


def images(share):
    return [path for path in generations(share) if not path.is_symlink()]


def share_with_history(world, name="share"):
    """A share with several images and changes after the newest one, mounted nowhere."""
    share = world.share(name)
    mount = world.mount(share, name=f"mount-of-{name}", timeout=TIMEOUT, poll=POLL)
    writer = Record(mount, "node")
    for number in range(BEATS):
        writer.beat(localTimestamp=int(time.time() * 1000) + number)
    writer.beat("TERMINATED", localTimestamp=int(time.time() * 1000))
    expect_equal(mount.unmount(), 0, "exit status of the mount")
    expect(len(images(share)) > 1 and generations(share)[-4] > images(share)[-1],
           "there are two images, and changes after the second")
    return share


def relink(path, target):
    path.unlink()
    path.symlink_to(target)


def mounts_again(world, share, name):
    """At the newest generation that there is, and it can commit."""
    newest = int(generations(share)[-1].name)
    mount = world.mount(share, name=name)
    expect(mount.plane()["generation"] >= newest, "the mount stands at the newest generation")
    Record(mount, "after").beat()
    expect_equal(mount.unmount(), 0, f"exit status of {name}")


def bind(world, share, name, *options):
    point = world.folder / name
    point.mkdir()
    subprocess.run(["mount", "--bind", share, point], check=True)
    if options:
        subprocess.run(["mount", "-o", ",".join(("remount", "bind", *options)), point], check=True)
    return point


def in_memory(world, *options):
    point = world.folder / "memory"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(("size=1g", *options)), "none", point], check=True)
    return point


# Whole runs.

@check
def a_good_directory_is_fit_and_stays_as_it_was(world):
    share = world.share()
    report = examine(world, share)
    expect_equal(set(report.items), set(ITEMS), "items of an empty directory")
    report.is_fit_but_for()
    report.ends_with(FIT, "exit status")
    report.says("plane", "ok", "none here yet")
    report.says("visibility", "ok", "not tried")
    expect_equal(names(share), [], "what is left in the directory")

    share = share_with_history(world, "used")
    before = names(share)
    report = examine(world, share)
    expect_equal(set(report.items), {*ITEMS, *ITEMS_OF_A_PLANE} - {"lease"}, "items of a share with a plane")
    report.is_fit_but_for()
    report.says("plane", "ok", "heartbeat timeout 1000 ms", "margin 100 ms")
    report.says("chain", "ok", f"generation {int(generations(share)[-1].name)}")
    expect_equal(names(share), before, "the share afterwards")


@check
def a_mount_point_is_examined_with_what_is_behind_it(world):
    share = world.share()
    mount = world.mount(share)
    Record(mount, "node").beat()
    mount.claim("node")
    report = examine(world, mount.point)
    expect_equal(set(report.items), {"mount", *ITEMS, *ITEMS_OF_A_PLANE}, "items of a mount point")
    report.is_fit_but_for()
    report.says("mount", "ok", mount.plane()["planeId"])
    report.says("directory", "ok", str(share))
    report.says("lease", "ok", "master: held by node, epoch 1")

    report = examine(world, mount.point / "nodes")
    report.ends_with(FAILURES, "exit status inside a mount")
    report.says("file system", "fail", "inside the Holdfast mount")

    mount.kill()
    report = examine(world, mount.point)
    report.ends_with(FAILURES, "exit status at a dead mount")
    report.says("mount", "fail", "died")


@check
def a_mount_that_met_damage_says_so(world):
    share = world.share()
    mount = world.mount(share, timeout=TIMEOUT, poll=POLL)
    world.announce_error(r"level=err mod=fs")
    newest = int(generations(share)[-1].name)
    (share / f".holdfast/gen/{newest + 1:020}").symlink_to("nonsense")
    wait_until(lambda: mount.plane()["problem"], PATIENCE_S, "the mount met the damage")
    report = examine(world, mount.point)
    report.ends_with(FAILURES, "exit status")
    report.says("mount", "fail", f"{newest + 1:020}")
    report.says("chain", "fail", f"{newest + 1:020}")

    report = examine(world, "--repair", mount.point)
    report.says("repair", "fail", "nothing was moved", str(mount.point))
    expect(not (share / ".holdfast/damaged").exists(), "nothing was moved")


@check
def through_a_second_mount_names_are_raced_for_and_looked_for(world):
    share = world.share()
    report = examine(world, "--peer", bind(world, share, "peer"), share)
    report.is_fit_but_for()
    report.says("symlink arbitration", "ok", "on two mounts")
    report.says("visibility", "ok", "on the other mount after p50")

    report = examine(world, "--peer", world.share("another"), share)
    report.ends_with(FAILURES, "exit status with the wrong peer")
    report.is_fit_but_for("peer")
    expect_equal(names(share), [], "what is left in the directory")
    report = examine(world, "--peer", world.folder / "nothing", share)
    report.says("peer", "fail")


@check
def a_directory_in_memory_is_for_tests_only(world):
    report = examine(world, in_memory(world))
    report.ends_with(WARNINGS, "exit status")
    report.is_fit_but_for()
    report.says("file system", "warn", "tmpfs")


@check
def a_read_only_directory_fails_and_its_index_is_examined_all_the_same(world):
    share = share_with_history(world)
    report = examine(world, bind(world, share, "readonly", "ro"))
    report.ends_with(FAILURES, "exit status")
    report.is_fit_but_for("writable")
    report.says("writable", "fail", "Read-only")
    report.says("generations", "ok")
    report.says("chain", "ok")


@check
def what_is_no_directory_or_no_command_line_is_refused(world):
    (world.folder / "file").touch()
    for path, why in ("nothing", "No such file"), ("file", "Not a directory"):
        report = examine(world, world.folder / path)
        report.ends_with(FAILURES, f"exit status for {path}")
        report.says("directory", "fail", why)

    for words in [], ["a", "b"], ["--nope", "a"], ["--peer"], ["--limit", "7", "a"], ["--limit=0", "a"]:
        result = world.run(HOLDFAST, "doctor", *words)
        expect_equal(result.returncode, USAGE, f"exit status of {words}")
        expect_equal(len(result.stderr.splitlines()), 1, f"lines about {words}")
    result = world.run(HOLDFAST, "doctor", "--help")
    expect_equal(result.returncode, 0, "exit status of --help")
    expect("--repair" in result.stdout, "the help speaks of --repair")


@check
def json_has_the_same_findings(world):
    share = share_with_history(world)
    relink(generations(share)[-1], "nonsense")
    result = world.run(HOLDFAST, "doctor", "--json", share)
    document = json.loads(result.stdout)
    expect_equal(result.returncode, FAILURES, "exit status")
    expect_equal((document["directory"], document["verdict"]), (str(share), "fail"), "head")
    lines = Report(world.run(HOLDFAST, "doctor", share))
    expect_equal([finding["item"] for finding in document["findings"]], [
        item for _, item in re.findall(r"^(ok|warn|fail) +([^:]+): ", lines.text, re.M)], "items")
    for finding in document["findings"]:
        is_well = finding["verdict"] == "ok"
        expect(finding["finding"], f"text of {finding}")
        expect_equal((finding["why"] is None, finding["advice"] is None), (is_well, is_well),
                     f"reason and advice of {finding}")


# Shares that are not what they should be.

@check
def a_share_that_lies_is_found_out(world):
    share = world.share()
    table = {
        "symlink-twice": ("symlink arbitration", "fail", "several processes"),
        "link-twice": ("link arbitration", "fail", "several processes"),
        "create-twice": ("exclusive create", "fail", "several processes"),
        "symlink-steals": ("symlink arbitration", "fail", "another one has"),
        "short-symlinks": ("symlink target", "warn", "up to 500 bytes"),
        "slow-fsync": ("fsync latency", "warn", "p50 7"),
        "fast-clock": ("server clock", "fail", "permille"),
        "one-link": ("link count", "warn", "1 after link"),
    }
    for trick, (item, verdict, text) in table.items():
        report = examine(world, share, TRICKS=trick)
        report.says(item, verdict, text)
        report.is_fit_but_for(*{item} - OF_THE_MACHINE)
        report.ends_with(FAILURES if verdict == "fail" else WARNINGS, f"exit status of {trick}")
        expect_equal(names(share), [], f"what is left in the directory after {trick}")

    report = examine(world, share, TRICKS="no-symlinks")
    report.is_fit_but_for("symlink arbitration", "symlink target")
    report.says("symlink arbitration", "warn", "no symbolic links")


@check
def a_plane_of_changes_needs_symbolic_links(world):
    share = share_with_history(world)
    for trick in "no-symlinks", "short-symlinks":
        report = examine(world, share, TRICKS=trick)
        report.ends_with(FAILURES, f"exit status with {trick}")
        report.says("symlink target", "fail")


@check
def the_options_of_an_nfs_mount_are_compared_with_the_margin_of_the_plane(world):
    """The share is a local one; what the kernel says of its mount is replaced."""
    share = share_with_history(world)
    device = os.stat(share).st_dev
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    mountinfo = world.folder / "mountinfo"

    def examined(options):
        lines = [re.sub(r" - .*", f" - nfs4 server:/export rw,{options}", line)
                 if line.split()[2] == f"{os.major(device)}:{os.minor(device)}" else line for line in table]
        mountinfo.write_text("\n".join(lines) + "\n")
        return examine(world, share, TRICKS_MOUNTINFO=str(mountinfo))

    # The margin of a timeout of 1 s is 100 ms: nothing is that short.
    report = examined("vers=4.2,soft,timeo=1,retrans=1,local_lock=none")
    report.says("file system", "ok", "server:/export")
    report.says("NFS version", "ok", "4.2")
    report.says("late calls", "warn", "200 ms", "margin 100 ms")
    report.says("NFS locks", "ok")
    report.is_fit_but_for("late calls")
    report = examined("vers=4.2,soft,timeo=1,retrans=0,local_lock=none")
    report.is_fit_but_for()
    report.says("late calls", "ok", "100 ms")
    report = examined("vers=3,hard,nocto,acregmax=600,local_lock=all")
    report.says("late calls", "warn", "hard")
    report.is_fit_but_for("NFS version", "late calls", "NFS caches", "NFS locks")
    report.ends_with(WARNINGS, "exit status")
    report = examined("hard")
    report.says("NFS version", "fail", "not understood")


@check
def leftovers_and_old_records_are_told(world):
    share = world.share()
    mount = world.mount(share, timeout=TIMEOUT, poll=POLL)
    old = Record(mount, "old")
    old.beat("TERMINATED", localTimestamp=1000)
    Record(mount, "new").beat(localTimestamp=int(time.time() * 1000))
    expect_equal(mount.unmount(), 0, "exit status of the mount")
    leftover = share / ".holdfast/tmp/AbCdEfGh.1"
    leftover.touch()
    report = examine(world, share)
    report.is_fit_but_for("records")
    report.says("records", "warn", "1 of 2", "old (TERMINATED, 1970-01-01)")
    report.ends_with(WARNINGS, "exit status")

    os.utime(leftover, (0, 0))
    report = examine(world, share)
    report.is_fit_but_for("records", "staging files")
    report.says("staging files", "warn", ".holdfast/tmp/AbCdEfGh.1")


# Hanging and interruptions.

@check
def a_share_that_hangs_does_not_hang_doctor(world):
    share = world.share()
    start = time.monotonic()
    report = examine(world, "--limit", "2s", share, TRICKS="hang-link")
    took = time.monotonic() - start
    report.ends_with(FAILURES, "exit status")
    report.says("time limit", "fail", "symlink arbitration")
    expect(2 <= took < 10, f"it took {took:.1f} s")
    wait_until(lambda: not names(share), PATIENCE_S, "what it had made is removed")

    # Here not even a signal gets through to who hangs.
    mount = world.mount(share)
    mount.signal(signal.SIGSTOP)
    start = time.monotonic()
    report = examine(world, "--json", "--limit", "1s", mount.point)
    took = time.monotonic() - start
    mount.signal(signal.SIGCONT)
    report.ends_with(FAILURES, "exit status at a stopped mount")
    expect_equal(json.loads(report.text)["findings"][0]["item"], "time limit", "the only item")
    expect(1 <= took < 10, f"it took {took:.1f} s")


@check
def interrupted_it_leaves_nothing(world):
    share = world.share()
    for number in signal.SIGINT, signal.SIGTERM:
        process = Process(world, f"doctor-{number}", [HOLDFAST, "doctor", share])
        wait_until(lambda: names(share), PATIENCE_S, "the probes have begun")
        process.signal(number)
        expect_equal(process.wait(), -number, "exit status")
        expect_equal(names(share), [], f"what is left after {number}")


# Damage and repair.

@check
def damage_is_named_and_repair_moves_no_more_than_has_to_go(world):
    share = share_with_history(world)
    newest = generations(share)
    image = images(share)[-1]

    def after(path):
        return [one for one in newest if one >= path]

    def garbage(path):
        relink(path, "nonsense")

    def cut(path):
        os.truncate(path, 100)

    original = world.folder / "original"
    subprocess.run(["cp", "-a", share, original], check=True)
    table = {
        "the newest change": (newest[-1], garbage, after(newest[-1])),
        "a change before it": (newest[-3], garbage, after(newest[-3])),
        "a missing change": (newest[-3], Path.unlink, after(newest[-2])),
        "the newest image": (image, cut, after(image)),
        "the newest image is a folder": (image, lambda path: (path.unlink(), path.mkdir()), after(image)),
    }
    for label, (path, damage, moved) in table.items():
        subprocess.run(["rm", "-rf", share], check=True)
        subprocess.run(["cp", "-a", original, share], check=True)
        damage(path)
        before = names(share)

        report = examine(world, share)
        report.ends_with(FAILURES, f"exit status with damage to {label}")
        report.is_fit_but_for("generations", "chain")
        report.says("generations", "fail", path.name)
        report.says("chain", "fail", path.name)
        expect_equal(names(share), before, f"the share after an examination: {label}")

        start = time.monotonic()
        report = examine(world, "--repair", share)
        expect(time.monotonic() - start >= 1, "it watched for the heartbeat timeout")
        report.ends_with(WARNINGS, f"exit status after the repair of {label}: {report.text}")
        report.is_fit_but_for("repair")
        report.says("repair", "warn", *(one.name for one in moved), ".holdfast/damaged", "loads again")
        kept = sorted((share / ".holdfast/damaged").iterdir())
        expect_equal([one.name.split(".")[0] for one in kept], [one.name for one in moved],
                     f"what was moved because of {label}")
        expect_equal(generations(share), [one for one in newest if one < moved[0] and one != path],
                     f"what is left after {label}")

        report = examine(world, share)
        report.is_fit_but_for()
        mounts_again(world, share, f"mount-{len(world.processes)}")


@check
def what_no_mount_needs_is_told_and_not_moved(world):
    share = share_with_history(world)
    old = [path for path in generations(share) if images(share)[0] < path < images(share)[-1]][3]
    relink(old, "nonsense")
    before = names(share)
    for words in [], ["--repair"]:
        report = examine(world, *words, share)
        report.ends_with(WARNINGS, f"exit status with {words}")
        report.is_fit_but_for("generations")
        report.says("generations", "warn", old.name)
        report.says("chain", "ok")
        expect_equal(names(share), before, f"the share after {words}")
    report.says("repair", "ok", "nothing was moved")


@check
def nothing_is_repaired_while_somebody_commits_or_where_nothing_would_be_left(world):
    share = share_with_history(world)
    newest = int(generations(share)[-1].name)
    relink(generations(share)[-1], "nonsense")

    process = Process(world, "doctor", [HOLDFAST, "doctor", "--repair", share])
    wait_until(lambda: "fsync latency" in process.log_text(), PATIENCE_S, "it is on its way")
    number = newest
    while process.is_running() and "  repair: " not in process.log_text():
        number += 1
        (share / f".holdfast/gen/{number:020}").symlink_to("somebody's")
        time.sleep(0.2)
    expect_equal(process.wait(), FAILURES, "exit status")
    expect("nothing was moved: a mount is committing" in process.log_text(), process.log_text())
    expect(not (share / ".holdfast/damaged").exists(), "nothing was moved")

    for path in images(share):
        os.truncate(path, 100)
    before = names(share)
    report = examine(world, "--repair", share)
    report.ends_with(FAILURES, "exit status without a valid image")
    report.says("repair", "fail", "nothing was moved: there is no valid image")
    expect_equal(names(share), before, "the share afterwards")


@check
def a_plane_that_is_none_of_ours_is_left_alone(world):
    share = share_with_history(world)
    (share / ".holdfast/plane").write_text("something else\n")
    before = names(share)
    report = examine(world, "--repair", share)
    report.ends_with(FAILURES, "exit status")
    report.is_fit_but_for("plane")
    report.says("plane", "fail", ".holdfast/plane")
    expect_equal(names(share), before, "the share afterwards")


if __name__ == "__main__":
    main()
