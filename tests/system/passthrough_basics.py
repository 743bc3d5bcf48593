#!/usr/bin/python3
"""Everything else under the mount: ordinary files for the holder, read-only for the others."""
import fcntl
import filecmp
import os
import random
import stat
import subprocess

from harness import Record, check, errno_of, expect, expect_equal, main, record, scaled, wait_until

NOBODY = 65534


class Pair:
    """The holder's mount and another one, of the same share."""

    def __init__(self, world):
        self.share = world.share()
        self.share.chmod(0o755)
        self.mounts = [world.mount(self.share) for _ in range(2)]
        self.holder = Record(self.mounts[0], "node")
        self.holder.beat()
        self.mounts[0].claim("node")
        self.ours, self.theirs = (mount.point for mount in self.mounts)


@check
def files_are_written_and_read(world):
    pair = Pair(world)
    path = pair.ours / "file"

    path.write_text("one\n")
    with path.open("a") as stream:
        stream.write("two\n")
    expect_equal((pair.share / "file").read_text(), "one\ntwo\n", "content on the share")
    expect_equal((pair.theirs / "file").read_text(), "one\ntwo\n", "content on the other mount")

    with path.open("r+b") as stream:
        stream.seek(4)
        stream.write(b"TWO")
        stream.seek(100)
        stream.write(b"end")
    expect_equal(path.read_bytes(), b"one\nTWO\n" + b"\0" * 92 + b"end", "content with a hole")
    os.truncate(path, 3)
    expect_equal(path.read_bytes(), b"one", "content after truncate")
    os.truncate(path, 5)
    expect_equal(path.read_bytes(), b"one\0\0", "content after growing")
    fd = os.open(path, os.O_RDWR)
    os.posix_fallocate(fd, 0, 5000)
    expect_equal(os.fstat(fd).st_size, 5000, "size after fallocate")
    os.close(fd)
    expect_equal(errno_of(os.open, path, os.O_CREAT | os.O_EXCL | os.O_WRONLY), "EEXIST", "O_EXCL")
    path.unlink()
    expect(not (pair.share / "file").exists(), "the file is removed")
    expect_equal(errno_of(path.read_text), "ENOENT", "reading a removed file")


@check
def a_big_file_arrives_whole(world):
    pair = Pair(world)
    block = random.randbytes(1 << 20)
    with (world.folder / "big").open("wb") as source:
        for number in range(64):
            source.write(block[number:] + block[:number])

    world.run("cp", world.folder / "big", pair.ours / "big")

    for copy in pair.share / "big", pair.ours / "big", pair.theirs / "big":
        expect(filecmp.cmp(world.folder / "big", copy, shallow=False), f"{copy} is the same")


@check
def a_copy_goes_in_pieces_and_the_gate_is_asked_for_each(world):
    pair = Pair(world)
    (pair.ours / "from").write_bytes(random.randbytes(3 << 20))

    with (pair.ours / "from").open("rb") as source, (pair.ours / "to").open("wb") as target:
        copied = [os.copy_file_range(source.fileno(), target.fileno(), 1 << 30)]
        while copied[-1] > 0:
            copied.append(os.copy_file_range(source.fileno(), target.fileno(), 1 << 30))
    expect(max(copied) <= 1 << 20, f"no call copies for long: {copied}")
    expect(filecmp.cmp(pair.share / "from", pair.share / "to", shallow=False), "the copy is the same")


@check
def an_unlinked_file_stays_usable_while_it_is_open(world):
    pair = Pair(world)
    fd = os.open(pair.ours / "file", os.O_RDWR | os.O_CREAT, 0o600)
    os.unlink(pair.ours / "file")

    os.write(fd, b"still here")

    expect_equal(os.pread(fd, 100, 0), b"still here", "content")
    expect_equal(os.fstat(fd).st_nlink, 0, "links")
    os.close(fd)


@check
def names_move_and_link(world):
    pair = Pair(world)
    (pair.ours / "a").write_text("a")
    (pair.ours / "b").write_text("b")

    os.rename(pair.ours / "a", pair.ours / "c")
    os.rename(pair.ours / "c", pair.ours / "b")
    expect_equal((pair.theirs / "b").read_text(), "a", "content after a rename over it")
    (pair.ours / "folder").mkdir()
    os.rename(pair.ours / "b", pair.ours / "folder/b")
    os.rename(pair.ours / "folder", pair.ours / "moved")
    expect_equal((pair.ours / "moved/b").read_text(), "a", "content in a moved folder")
    expect_equal(errno_of(os.rename, pair.ours / "moved", pair.ours / "moved/inside"), "EINVAL",
                 "a folder into itself")

    os.link(pair.ours / "moved/b", pair.ours / "hard")
    expect_equal((pair.ours / "hard").stat().st_ino, (pair.ours / "moved/b").stat().st_ino, "inode")
    expect_equal((pair.ours / "hard").stat().st_nlink, 2, "links")
    os.symlink("moved/b", pair.ours / "soft")
    expect_equal(os.readlink(pair.ours / "soft"), "moved/b", "target")
    expect_equal((pair.ours / "soft").read_text(), "a", "content through the link")
    expect_equal(errno_of(os.rmdir, pair.ours / "moved"), "ENOTEMPTY", "removal of a full folder")
    os.unlink(pair.ours / "moved/b")
    os.rmdir(pair.ours / "moved")
    expect_equal(sorted(os.listdir(pair.share)), [".holdfast", "hard", "soft"], "names on the share")
    expect(errno_of(os.rename, pair.ours / "hard", pair.ours / "planeId") != "0",
           "a rename onto a name of the mount is refused")


@check
def large_folders_are_listed_whole(world):
    pair = Pair(world)
    (pair.ours / "many").mkdir()
    names = {f"{number:06}-{'n' * (number % 60)}" for number in range(scaled(2000, 300))}
    for name in names:
        (pair.ours / "many" / name).touch()

    for point in pair.ours, pair.theirs:
        listed = os.listdir(point / "many")
        expect_equal(len(listed), len(names), "names listed, each once")
        expect_equal(set(listed), names, "names listed")

    # Removing while listing must not skip any.
    for entry in os.scandir(pair.ours / "many"):
        os.unlink(entry.path)
    expect_equal(os.listdir(pair.ours / "many"), [], "names after removing all")


@check
def attributes_are_kept(world):
    pair = Pair(world)
    path = pair.ours / "file"
    path.write_text("x")

    os.chmod(path, 0o640)
    os.chown(path, NOBODY, 12345)
    os.utime(path, ns=(1_000_000_001, 2_000_000_002))
    os.setxattr(path, "user.colour", b"red")
    status = (pair.share / "file").stat()
    expect_equal(stat.S_IMODE(status.st_mode), 0o640, "mode on the share")
    expect_equal((status.st_uid, status.st_gid), (NOBODY, 12345), "owner on the share")
    expect_equal((status.st_atime_ns, status.st_mtime_ns), (1_000_000_001, 2_000_000_002), "times")
    expect_equal(os.getxattr(path, "user.colour"), b"red", "attribute")
    expect("user.colour" in os.listxattr(path), "attribute in the list")
    expect_equal(errno_of(os.setxattr, path, "user.colour", b"blue", os.XATTR_CREATE), "EEXIST",
                 "XATTR_CREATE")
    os.removexattr(path, "user.colour")
    expect_equal(errno_of(os.getxattr, path, "user.colour"), "ENODATA", "a removed attribute")
    expect(errno_of(os.setxattr, pair.ours, "user.holdfast.plane_id", b"x") != "0",
           "the mount's own attributes are read-only")
    os.mkfifo(pair.ours / "fifo")
    expect(stat.S_ISFIFO((pair.share / "fifo").stat().st_mode), "a fifo")
    space = os.statvfs(pair.ours)
    expect(0 < space.f_bavail <= space.f_blocks, "statvfs")


def as_nobody(point, function, *arguments):
    """The names are relative: folders above the mount may be closed to other users."""
    os.chdir(point)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    return errno_of(function, *arguments)


@check
def other_users_have_their_own_rights(world):
    pair = Pair(world)
    for name, mode in ("secret", 0o600), ("public", 0o644):
        (pair.ours / name).write_text("x")
        (pair.ours / name).chmod(mode)
    (pair.ours / "drop").mkdir()
    (pair.ours / "drop").chmod(0o1777)

    for label, expected, function, *arguments in (
            ("reading what only root may", "EACCES", os.open, "secret", os.O_RDONLY),
            ("reading what all may", "0", os.open, "public", os.O_RDONLY),
            ("writing what all may read", "EACCES", os.open, "public", os.O_WRONLY),
            ("a new file where all may", "0", os.open, "drop/theirs", os.O_WRONLY | os.O_CREAT, 0o600),
            ("a new folder where all may", "0", os.mkdir, "drop/folder"),
            ("a new file where only root may", "EACCES", os.open, "theirs", os.O_WRONLY | os.O_CREAT),
            ("a new owner", "EPERM", os.chown, "public", NOBODY, NOBODY)):
        result = world.worker(as_nobody, pair.ours, function, *arguments).result()
        expect_equal(result, expected, label)
    for name in "drop/theirs", "drop/folder":
        status = (pair.share / name).stat()
        expect_equal((status.st_uid, status.st_gid), (NOBODY, NOBODY), f"owner of {name}")


@check
def nothing_changes_through_a_mount_without_the_lease(world):
    pair = Pair(world)
    (pair.ours / "file").write_text("x")
    (pair.ours / "folder").mkdir()
    os.symlink("file", pair.ours / "soft")
    reader = os.open(pair.theirs / "file", os.O_RDONLY)
    calls = {
        "open for writing": (os.open, pair.theirs / "file", os.O_WRONLY),
        "open for both": (os.open, pair.theirs / "file", os.O_RDWR),
        "open with truncation": (os.open, pair.theirs / "file", os.O_WRONLY | os.O_TRUNC),
        "create": (os.open, pair.theirs / "new", os.O_WRONLY | os.O_CREAT),
        "truncate": (os.truncate, pair.theirs / "file", 0),
        "mkdir": (os.mkdir, pair.theirs / "new"),
        "rmdir": (os.rmdir, pair.theirs / "folder"),
        "unlink": (os.unlink, pair.theirs / "file"),
        "rename": (os.rename, pair.theirs / "file", pair.theirs / "new"),
        "link": (os.link, pair.theirs / "file", pair.theirs / "new"),
        "symlink": (os.symlink, "file", pair.theirs / "new"),
        "mkfifo": (os.mkfifo, pair.theirs / "new"),
        "chmod": (os.chmod, pair.theirs / "file", 0o600),
        "fchmod": (os.fchmod, reader, 0o600),
        "chown": (os.chown, pair.theirs / "file", 1, 1),
        "utime": (os.utime, pair.theirs / "file"),
        "setxattr": (os.setxattr, pair.theirs / "file", "user.colour", b"red"),
        "removexattr": (os.removexattr, pair.theirs / "file", "user.colour"),
    }
    before = (pair.share / "file").stat()

    for label, (function, *arguments) in calls.items():
        expect_equal(errno_of(function, *arguments), "EROFS", label)

    expect_equal(os.read(reader, 10), b"x", "reading works")
    os.close(reader)
    after = (pair.share / "file").stat()
    for field in "st_mtime_ns", "st_ctime_ns", "st_mode":
        expect_equal(getattr(after, field), getattr(before, field), f"{field} on the share")
    expect_equal(sorted(os.listdir(pair.share)), [".holdfast", "file", "folder", "soft"],
                 "names on the share")


@check
def the_right_to_write_follows_the_lease(world):
    pair = Pair(world)
    writer = os.open(pair.ours / "file", os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(writer, b"before")
    os.fsync(writer)

    pair.mounts[0].release()

    expect_equal(errno_of(os.write, writer, b"after"), "EROFS", "a write after the release")
    expect_equal(errno_of((pair.ours / "new").write_text, "x"), "EROFS", "a new file after the release")
    other = Record(pair.mounts[1], "other")
    other.beat()
    pair.mounts[1].claim("other")
    (pair.theirs / "new").write_text("x")
    expect_equal((pair.share / "file").read_bytes(), b"before", "content on the share")
    expect(errno_of(os.close, writer) in ("0", "EIO"), "closing a new file after the release")


@check
def a_handle_of_an_earlier_epoch_cannot_write(world):
    """Found by review: between two epochs of ours somebody else was master, and knew better."""
    pair = Pair(world)
    (pair.ours / "file").write_text("old data")
    handle = os.open(pair.ours / "file", os.O_WRONLY)
    pair.mounts[0].release()
    other = Record(pair.mounts[1], "other")
    other.beat()
    pair.mounts[1].claim("other")
    (pair.theirs / "file").write_text("new data")
    pair.mounts[1].release()
    wait_until(lambda: errno_of(pair.mounts[0].claim, "node") == "0", 5, "the lease again")

    expect_equal(errno_of(os.pwrite, handle, b"late", 0), "EIO", "a write through the old handle")
    expect_equal(errno_of(os.ftruncate, handle, 0), "EIO", "ftruncate through the old handle")
    expect_equal((pair.share / "file").read_text(), "new data", "content on the share")
    (pair.ours / "file").write_text("newer")
    os.close(handle)


@check
def an_append_lands_at_the_end_whoever_appended_before(world):
    """Found by review: the kernel's idea of the size can be a second old."""
    pair = Pair(world)
    (pair.ours / "log").write_text("1234567890")
    other = Record(pair.mounts[1], "other")
    other.beat()
    expect_equal(os.stat(pair.theirs / "log").st_size, 10, "size before")
    with (pair.ours / "log").open("a") as log:
        log.write("AAAAAAAAAA")
    pair.mounts[0].release()
    pair.mounts[1].claim("other")

    with (pair.theirs / "log").open("a") as log:
        log.write("bb")

    expect_equal((pair.share / "log").read_text(), "1234567890AAAAAAAAAAbb", "content on the share")


@check
def only_the_owner_of_the_share_changes_virtual_names(world):
    """Found by review: the share's root may be writable for everybody."""
    pair = Pair(world)
    os.chmod(pair.share, 0o1777)

    def as_nobody():
        os.setgid(65534)
        os.setuid(65534)

    def made_by_nobody(name):
        folder = os.open(pair.ours, os.O_RDONLY | os.O_DIRECTORY)
        script = f": > /proc/self/fd/{folder}/{name}"
        done = subprocess.run(["/bin/sh", "-c", script], preexec_fn=as_nobody, capture_output=True,
                              pass_fds=[folder])
        os.close(folder)
        return done.returncode == 0

    expect(made_by_nobody("ordinary"), "a stranger makes an ordinary file")
    expect(not made_by_nobody("master.nobody.tmp"), "a stranger made a staging file beside `master`")


@check
def mv_puts_a_staging_file_in_place(world):
    """Found by review: mv(1) compares inode numbers."""
    pair = Pair(world)
    nodes = pair.ours / "nodes"
    (nodes / "extra.x.tmp").write_bytes(record("extra"))
    subprocess.run(["mv", str(nodes / "extra.x.tmp"), str(nodes / "extra")], check=True)
    (nodes / "extra.x.tmp").write_bytes(record("extra", "INITIALIZING"))

    subprocess.run(["mv", str(nodes / "extra.x.tmp"), str(nodes / "extra")], check=True)

    expect_equal((nodes / "extra").read_bytes(), record("extra", "INITIALIZING"), "the record")


@check
def locks_work_as_on_the_share(world):
    pair = Pair(world)
    (pair.ours / "file").write_text("x")
    with (pair.ours / "file").open("r+") as first, (pair.ours / "file").open("r+") as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        expect_equal(errno_of(fcntl.flock, second, fcntl.LOCK_EX | fcntl.LOCK_NB), "EAGAIN",
                     "a second flock")
        fcntl.flock(first, fcntl.LOCK_UN)
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)


if __name__ == "__main__":
    main()
