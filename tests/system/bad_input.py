#!/usr/bin/python3
"""What is wrong is refused with a clear message and the right code, and what was there stays."""
import contextlib
import hashlib
import os
import re
import shutil
import socket

from harness import (HOLDFAST, PATIENCE_S, Record, check, errno_of, expect, expect_equal,
                     fingerprint, free_port, main, one_clear_line, record, wait_until, write_fully)

# Exit codes of the launcher, as Apache Brooklyn has them.
PARSE_ERROR, EXECUTION_ERROR, CONFIGURATION_ERROR = 1, 2, 3

NOBODY = 65534


@check
def bad_records_are_refused_and_the_old_one_stays(world):
    mount = world.mount(world.share())
    path = mount.point / "nodes/good"
    holder = Record(mount, "good")
    holder.beat(localTimestamp=7)
    before = path.read_bytes()
    table = {
        "no JSON": b"status: MASTER",
        "cut off": record("good")[:-1],
        "more after the end": record("good") + b"{}",
        "no object": b'["good"]',
        "blank": b" ",
        "no status": b'{"nodeId": "good"}',
        "unknown status": record("good", "KING"),
        "status in lower case": record("good", "master"),
        "status that is no text": record("good", 7),
        "no nodeId": b'{"status": "STANDBY"}',
        "another nodeId": record("evil"),
        "nodeId that is no text": record(7),
        "no UTF-8": record("good", pad="@").replace(b"@", b"\xff"),
        "a byte 0": record("good", pad="@").replace(b"@", b"\0"),
        "too long": record("good", pad="x" * 5000),
        "nested deeply": b'{"nodeId":"good","status":"STANDBY","pad":' + b"[" * 3000 + b"]" * 3000 + b"}",
    }
    for label, text in table.items():
        expect_equal(errno_of(holder.commit, text), "EINVAL", label)
        expect_equal(path.read_bytes(), before, f"record after: {label}")
        expect_equal(errno_of(write_fully, path, text), "EINVAL", f"{label}, in a handle of its own")
        expect_equal(path.read_bytes(), before, f"record after: {label}")

    holder.beat(localTimestamp=8)
    expect_equal(mount.plane()["nodes"]["good"]["record"]["localTimestamp"], 8, "a good record passes")
    expect_equal(mount.plane()["nodes"]["good"]["beat"], 2, "beats: the good records")


@check
def the_database_is_for_root_and_the_owner_of_the_share(world):
    mount = world.mount(world.share())
    path = mount.point / ".holdfast/index.db"
    expect_equal(path.stat().st_mode & 0o777, 0o400, "mode")

    def as_nobody():
        # The names are relative: folders above the mount may be closed to other users.
        os.chdir(mount.point / ".holdfast")
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        return [errno_of(os.open, name, os.O_RDONLY) for name in ("index.db", "plane.json")]

    expect_equal(world.worker(as_nobody).result(), ["EACCES", "0"], "reading index.db and plane.json as nobody")
    expect(path.read_bytes().startswith(b"SQLite format 3"), "the owner reads it")


@check
def records_of_other_machines_are_not_touched(world):
    share = world.share()
    mounts = [world.mount(share) for _ in range(2)]
    theirs = Record(mounts[0], "theirs")
    theirs.beat()
    mounts[1].wait_generation(mounts[0].plane()["generation"])
    before = (mounts[1].point / "nodes/theirs").read_bytes()

    path = mounts[1].point / "nodes/theirs"
    expect_equal(errno_of(write_fully, path, record("theirs", "MASTER")), "EACCES", "a foreign record")
    expect_equal(errno_of(path.unlink), "EBUSY", "removal of a living foreign record")
    expect_equal(path.read_bytes(), before, "the record afterwards")


@check
def a_refused_fsync_declares_nobody_dead(world):
    mount = world.mount(world.share())
    good, other = mount.point / "nodes/good", Record(mount, "other")
    staging = mount.point / "nodes/good.x.tmp"
    # Committed by a rename: it has no life line that could hide what the others do.
    staging.write_bytes(record("good"))
    staging.rename(good)

    def status():
        return mount.plane()["nodes"]["good"]["record"]["status"]

    table = {
        "rubbish": (b"rubbish", "EINVAL"),
        "another node's record": (record("other"), "EINVAL"),
        "MASTER without the lease": (record("good", "MASTER"), "ESTALE"),
        "nothing": (b"", "0"),
    }
    for label, (text, code) in table.items():
        flags = os.O_WRONLY | (os.O_TRUNC if text else 0)
        expect_equal(errno_of(write_fully, good, text, flags), code, label)
        # The kernel tells the mount of a close when it has returned; this commit gives it time.
        other.beat()
        expect_equal(status(), "STANDBY", f"status after: {label}")

    write_fully(good, record("good"))
    wait_until(lambda: status() == "FAILED", PATIENCE_S, "a good record that is fsynced and closed is a death")


@contextlib.contextmanager
def as_user(uid):
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@check
def only_root_and_the_owner_of_the_share_change_virtual_names(world):
    owner, stranger = 4711, 4712
    share = world.share()
    share.chmod(0o777)
    os.chown(share, owner, -1)
    mount = world.mount(share)
    Record(mount, "node").beat()
    # The folders above are root's alone: names are looked up below this descriptor.
    root = os.open(mount.point, os.O_RDONLY | os.O_DIRECTORY)
    place = {"dir_fd": root}

    def create(name):
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=root))

    def rename():
        os.rename("master.x.tmp", "master", src_dir_fd=root, dst_dir_fd=root)

    try:
        create("master.x.tmp")
        with as_user(stranger):
            for label, change in {
                    "create": (create, "master.y.tmp"), "rename": (rename,),
                    "unlink": (lambda: os.unlink("master.x.tmp", **place),),
                    "create in nodes": (create, "nodes/x"),
                    "unlink in nodes": (lambda: os.unlink("nodes/node", **place),)}.items():
                expect_equal(errno_of(*change), "EACCES", f"{label} by a stranger")
        with as_user(owner):
            expect_equal(errno_of(rename), "0", "rename by the owner, an empty file: release")
            create("master.x.tmp")
            os.unlink("master.x.tmp", **place)
            expect_equal(errno_of(os.unlink, "nodes/node", **place), "EBUSY",
                         "unlink of a living node's record by the owner")
        for name in "master", "planeId", ".holdfast/plane.json":
            expect_equal(errno_of(os.unlink, name, **place), "EPERM", f"unlink of {name} by root")
    finally:
        os.close(root)


@check
def a_record_says_master_only_with_the_lease(world):
    mount = world.mount(world.share())
    holder = Record(mount, "node")
    holder.beat()

    expect_equal(errno_of(holder.beat, "MASTER"), "ESTALE", "MASTER without the lease")
    mount.claim("node")
    holder.beat("MASTER")
    mount.release()
    expect_equal(errno_of(holder.beat, "MASTER"), "ESTALE", "MASTER after the release")


@check
def names_that_are_no_ids_are_refused(world):
    mount = world.mount(world.share())
    for name in "with space", "dot.ted", "-dash", "x" * 64, "x" * 255, "ümlaut":
        code = errno_of(write_fully, mount.point / "nodes" / name, record(name),
                        os.O_WRONLY | os.O_CREAT)
        expect_equal(code, "EINVAL", f"record {name!r}")
    expect_equal(os.listdir(mount.point / "nodes"), [], "records afterwards")


# Damage.  An image every 64 generations: more than 130 records leave two images and changes after them.

def plane_with_history(world):
    """A share with images and changes, no mount on it any more; its generations in order."""
    share = world.share()
    mount = world.mount(share)
    writer = Record(mount, "node")
    for number in range(140):
        writer.beat(localTimestamp=number)
    writer.beat("TERMINATED")
    expect_equal(mount.unmount(), 0, "exit status of the mount")
    generations = sorted((share / ".holdfast/gen").iterdir())
    images = [path for path in generations if not path.is_symlink()]
    expect(images and generations[-1].is_symlink() and generations[-2].is_symlink()
           and generations.index(images[-1]) < len(generations) - 3, "an image and changes after it")
    return share, generations, images


def relink(path, target):
    path.unlink()
    path.symlink_to(target)


def refuses(world, share, path, label, *others):
    """The mount does not start, names the file (or one of the others), and leaves the share as it is."""
    before = fingerprint(share)
    point = world.folder / "refused"
    point.mkdir(exist_ok=True)
    for options in (), ("-f",):
        result = world.run(HOLDFAST, "mount", share, point, *options)
        expect(result.returncode != 0, f"{label}: the mount refuses")
        expect(any(file.name in result.stderr for file in (path, *others)),
               f"{label}: the message names {path.name}: {result.stderr}")
        expect_equal(fingerprint(share), before, f"{label}: the share afterwards")
        expect(not os.path.ismount(point), f"{label}: nothing is mounted")


def damage_by(world, table):
    """Applies each damage to a copy of the same plane."""
    world.announce_error(r"\.holdfast/gen/")
    original, generations, images = plane_with_history(world)
    for label, (choose, damage) in table.items():
        share = world.folder / "damaged"
        shutil.rmtree(share, ignore_errors=True)
        shutil.copytree(original, share, symlinks=True)
        path = share / choose(generations, images).relative_to(original)
        damage(path)
        # Where only the hash that its child names gives it away, the child may be the one that is named.
        child = path.with_name(f"{int(path.name) + 1:020}")
        refuses(world, share, path, label, child)


def newest(generations, _images):
    return generations[-1]


def second_newest(generations, _images):
    return generations[-2]


def newest_image(_generations, images):
    return images[-1]


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x40
    path.write_bytes(content)


def edit(pattern, replacement):
    def damage(path):
        target = os.readlink(path)
        changed = re.sub(pattern, replacement, target, count=1)
        if changed == target:
            raise AssertionError(f"{pattern} does not match {target}")
        relink(path, changed)
    return damage


@check
def damaged_changes_are_refused(world):
    damage_by(world, {
        "no change at all": (newest, lambda path: relink(path, "hello")),
        "cut off": (newest, lambda path: relink(path, os.readlink(path)[:-5])),
        "another version": (newest, edit(r"^[^.]*\.", "99.")),
        "another parent": (newest, edit(r"^((?:[^.]*\.){3})[^.]*\.", r"\g<1>0000000000000000.")),
        "no base64": (newest, edit(r".$", "!")),
        "the one before, content changed": (second_newest,
                                            edit("[A-Za-z](?=[^A-Za-z]*$)", lambda m: m[0].swapcase())),
        "the one before, nonce changed": (second_newest,
                                          edit(r"^([^.]*\.[^.]*\.)[^.]*", r"\g<1>AAAAAAAA")),
    })


@check
def damaged_images_are_refused(world):
    damage_by(world, {
        "empty": (newest_image, lambda path: path.write_bytes(b"")),
        "cut off": (newest_image, lambda path: os.truncate(path, path.stat().st_size - 40)),
        "a few bytes only": (newest_image, lambda path: os.truncate(path, 100)),
        "no SQLite": (newest_image, lambda path: path.write_bytes(b"hello" * 2000)),
        "a bit in the header": (newest_image, lambda path: flip(path, 1)),
        "a bit in the application id": (newest_image, lambda path: flip(path, 68)),
        "a bit in the middle": (newest_image, lambda path: flip(path, path.stat().st_size // 2)),
        "a bit at the end": (newest_image, lambda path: flip(path, path.stat().st_size - 1)),
    })


@check
def a_hole_in_the_chain_is_refused(world):
    world.announce_error(r"\.holdfast/gen/")
    share, generations, _ = plane_with_history(world)
    missing = generations[-2]
    missing.unlink()
    refuses(world, share, missing, "a hole", generations[-1])


@check
def a_mount_that_meets_damage_stops_committing(world):
    world.announce_error(r"\.holdfast/gen/")
    share = world.share()
    mount = world.mount(share, timeout="3s", poll="200ms")
    writer = Record(mount, "node")
    writer.beat()
    generations = sorted((share / ".holdfast/gen").iterdir())
    following = share / ".holdfast/gen" / f"{int(generations[-1].name) + 1:020}"
    following.symlink_to("hello")
    before = fingerprint(share)

    expect(errno_of(writer.beat) != "0", "a record is not committed over damage")
    problem = wait_until(lambda: mount.plane()["problem"], PATIENCE_S, "plane.json tells the problem")

    expect(following.name in problem, f"the problem names the file: {problem}")
    expect(errno_of(writer.beat) != "0", "a later record is not committed either")
    expect_equal(fingerprint(share), before, "the share afterwards")


@check
def a_plane_file_that_is_not_ours_is_refused(world):
    share = world.share()
    (share / ".holdfast").mkdir()
    (share / ".holdfast/plane").write_text("somebody else's file\n")
    refuses(world, share, share / ".holdfast/plane", "a foreign plane file")


# Command lines.

@check
def mount_refuses(world):
    share, empty, point = world.share(), world.share("empty"), world.share("point")
    inside = share / "inside"
    inside.mkdir()
    (world.folder / "file").write_text("")
    table = {
        "no arguments": ([], ["usage"]),
        "no mount point": ([share], []),
        "missing share": ([world.folder / "nowhere", point], ["nowhere"]),
        "missing mount point": ([share, world.folder / "nowhere"], ["nowhere"]),
        "share that is a file": ([world.folder / "file", point], ["file"]),
        "mount point that is a file": ([share, world.folder / "file"], ["file"]),
        "the share on itself": ([share, share], [str(share)]),
        "the share on a folder inside it": ([share, inside], [str(inside)]),
        "the share inside the mount point": ([inside, share], [str(share)]),
        "unknown option": ([empty, point, "--colour"], ["colour"]),
        "unknown -o option": ([empty, point, "-o", "colour=red"], ["colour"]),
        "duration without a unit": ([empty, point, "-o", "heartbeat_timeout=30"], ["heartbeat_timeout"]),
        "bad duration": ([empty, point, "-o", "poll_period=soon"], ["poll_period"]),
        "negative duration": ([empty, point, "-o", "poll_period=-1s"], ["poll_period"]),
        "unsafe timing": ([empty, point, "-o", "heartbeat_timeout=3s,poll_period=1s"], [">= 4"]),
        "timeout too short": ([empty, point, "-o", "heartbeat_timeout=1ms,poll_period=1ms"], ["500ms"]),
    }
    for label, (arguments, needles) in table.items():
        result = world.run(HOLDFAST, "mount", *arguments)
        expect(0 < result.returncode < 128, f"{label}: exit status {result.returncode}")
        if arguments:
            one_clear_line(result.stderr, needles, label)
    expect_equal(fingerprint(empty), hashlib.sha256().hexdigest(), "the share of refused mounts")


@check
def a_second_mount_on_the_same_point_is_refused(world):
    share = world.share()
    mount = world.mount(share)

    result = world.run(HOLDFAST, "mount", share, mount.point)

    expect(result.returncode != 0, "exit status")
    one_clear_line(result.stderr, [str(mount.point)], "message")
    expect(mount.plane()["planeId"], "the first mount goes on")


@check
def other_timings_than_the_planes_are_refused(world):
    share, point = world.share(), world.share("point")
    first = world.mount(share, timeout="8s", poll="2s")
    for option, values in (("heartbeat_timeout=9s", ("9s", "8s")), ("poll_period=1s", ("1s", "2s"))):
        result = world.run(HOLDFAST, "mount", share, point, "-o", option)
        expect(result.returncode != 0, f"exit status with {option}")
        one_clear_line(result.stderr, values, f"message for {option}")
    world.mount(share, timeout="8s", poll="2s")
    third = world.mount(share)
    expect_equal(third.plane()["heartbeatTimeoutMs"], 8000, "timeout as the third mount has it")
    expect_equal(first.plane()["pollPeriodMs"], 2000, "poll period")


@check
def launch_refuses(world):
    mount = world.mount(world.share())
    plain = world.share("plain")
    point = mount.point
    (world.folder / "bad.properties").write_text("brooklyn.webconsole.security.users=nobody\n")
    persisted = ["--persist", "auto", "--persistenceDir", point]
    table = {
        "unknown option": (["--colour", "red"], PARSE_ERROR, "colour"),
        "unknown mode": ([*persisted, "--highAvailability", "king"], PARSE_ERROR, "king"),
        "unknown persist": (["--persist", "maybe"], PARSE_ERROR, "maybe"),
        "option without its value": (["--highAvailability"], PARSE_ERROR, "highAvailability"),
        "bad port": ([*persisted, "--port", "many"], PARSE_ERROR, "many"),
        "port out of range": ([*persisted, "--port", "65536"], PARSE_ERROR, "65536"),
        "directory without persistence":
            (["--persistenceDir", point], CONFIGURATION_ERROR,
             "Cannot specify persistenceDir when persist is disabled"),
        "availability without persistence":
            (["--highAvailability", "master"], CONFIGURATION_ERROR,
             "Cannot specify highAvailability when persistence is disabled"),
        "standby and clean":
            (["--highAvailability", "standby", "--persist", "clean", "--persistenceDir", point],
             CONFIGURATION_ERROR, "Cannot specify highAvailability STANDBY when persistence is CLEAN"),
        "a node id that is none": ([*persisted, "--nodeId", "a/b"], PARSE_ERROR, "a/b"),
        "no mount":
            (["--persist", "auto", "--persistenceDir", plain], CONFIGURATION_ERROR, "holdfast mount"),
        "missing directory":
            (["--persist", "auto", "--persistenceDir", world.folder / "nowhere"], CONFIGURATION_ERROR,
             "nowhere"),
        "missing properties file":
            ([*persisted, "--localBrooklynProperties", world.folder / "nowhere"], CONFIGURATION_ERROR,
             "nowhere"),
        "user without a password":
            ([*persisted, "--localBrooklynProperties", world.folder / "bad.properties"],
             CONFIGURATION_ERROR, "nobody"),
    }
    for label, (arguments, code, needle) in table.items():
        result = world.run(HOLDFAST, "launch", "--noGlobalBrooklynProperties", *arguments)
        expect_equal(result.returncode, code, f"exit status for {label}: {result.stderr}")
        one_clear_line(result.stderr, [needle], label)
    expect(not (world.folder / "pid.txt").exists(), "no pid.txt of a refused start")
    expect_equal(mount.plane()["nodes"], {}, "nodes of refused starts")


@check
def a_port_in_use_is_refused_unless_the_next_may_be_taken(world):
    mount = world.mount(world.share())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]

        result = world.run(HOLDFAST, "launch", "--noGlobalBrooklynProperties", "--persist", "auto",
                           "--persistenceDir", mount.point, "--port", port)
        expect_equal(result.returncode, EXECUTION_ERROR, f"exit status: {result.stderr}")
        one_clear_line(result.stderr, [str(port)], "port in use")

        node = world.node(mount, port=f"{port}+")
        node.port = port + 1
        node.wait_state("MASTER")
        expect_equal(node.states()["nodes"][node.node_id()]["nodeUri"].rsplit(":", 1)[1], f"{port + 1}/",
                     "port in nodeUri")


@check
def mode_standby_needs_a_master(world):
    world.announce_error("No existing master; cannot start as STANDBY")
    mount = world.mount(world.share())

    world.node(mount, mode="standby").wait_state("FAILED")

    strict = world.node(mount, mode="standby", options=["--startupFailOnPersistenceErrors"])
    expect_equal(strict.wait(), EXECUTION_ERROR, "exit status with --startupFailOnPersistenceErrors")


@check
def mode_master_is_refused_beside_a_living_master(world):
    world.announce_error("Master already exists; cannot run as master")
    share = world.share()
    mounts = [world.mount(share) for _ in range(2)]
    first = world.node(mounts[0], mode="master")
    first.wait_state("MASTER")

    world.node(mounts[1], mode="master").wait_state("FAILED")

    strict = world.node(mounts[1], mode="master", options=["--startupFailOnPersistenceErrors"])
    expect_equal(strict.wait(), EXECUTION_ERROR, "exit status with --startupFailOnPersistenceErrors")
    expect_equal(first.state(), "MASTER", "the master's state afterwards")


@check
def a_second_daemon_in_the_same_folder_is_refused(world):
    mount = world.mount(world.share())
    first = world.node(mount)
    first.wait_state("MASTER")

    result = world.run(HOLDFAST, "launch", "--noGlobalBrooklynProperties", "--persist", "auto",
                       "--persistenceDir", mount.point, "--port", free_port(), cwd=first.folder)

    expect_equal(result.returncode, EXECUTION_ERROR, f"exit status: {result.stderr}")
    one_clear_line(result.stderr, ["pid.txt", str(first.pid)], "message")
    expect_equal((first.folder / "pid.txt").read_text().strip(), str(first.pid), "pid.txt afterwards")


@check
def unknown_commands_are_refused(world):
    for arguments in [], ["dance"], ["--colour"]:
        result = world.run(HOLDFAST, *arguments)
        expect_equal(result.returncode, PARSE_ERROR, f"exit status of holdfast {arguments}")
        expect(result.stderr, f"message for holdfast {arguments}")
    for arguments in ["--json=x"], ["--servers"], ["--colour"]:
        result = world.run(HOLDFAST, "status", *arguments)
        expect_equal(result.returncode, PARSE_ERROR, f"exit status of holdfast status {arguments}")


if __name__ == "__main__":
    main()
