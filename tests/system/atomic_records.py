#!/usr/bin/python3
"""Records are atomic: whoever reads, from whatever machine, sees one whole version, never an older one."""
import hashlib
import json
import os
import time

from harness import Flag, Record, check, expect, expect_equal, main, record, scaled

VERSIONS = 10000  # both ways of writing together
READERS = 5
# Between two reads of a reader: five that never rest would leave the writer little of a small machine.
BREATH_S = 0.001
LIMIT_S = 240
NODE = "writer"


def version(number):
    """Of changing length, and with a sum over its content, so that mixtures show."""
    pad = "x" * (number * 37 % 1500)
    digest = hashlib.sha256(f"{number} {pad}".encode()).hexdigest()
    return record(NODE, localTimestamp=number, pad=pad, digest=digest)


def verify(text, least):
    """The version's number."""
    content = json.loads(text)
    number = content["localTimestamp"]
    if text != version(number):
        raise AssertionError(f"torn at version {number}: {text!r}")
    if number < least:
        raise AssertionError(f"version {number} after {least}")
    return number


def read_all_the_time(point, stop):
    """Returns how many reads there were and how many versions they met."""
    reads = met = least = 0
    last_round = False
    while True:
        number = verify((point / "nodes" / NODE).read_bytes(), least)
        reads += 1
        met += number != least
        least = number
        if last_round:
            return {"reads": reads, "met": met, "last": least}
        last_round = stop.is_set()
        time.sleep(BREATH_S)


def write_and_read(world, commit, first, count):
    """Versions first .. first + count - 1 through one mount, while five readers use two."""
    stop = Flag()
    readers = [world.worker(read_all_the_time, world.mounts[i % 2].point, stop)
               for i in range(READERS)]
    for number in range(first, first + count):
        commit(version(number))
    world.mounts[1].wait_generation(world.mounts[0].plane()["generation"])
    stop.set()
    for reader in readers:
        result = reader.result(LIMIT_S)
        expect_equal(result["last"], first + count - 1, "the version that a reader saw last")
        expect(result["met"] > 1, f"a reader met several versions: {result}")


def prepare(world):
    share = world.share()
    world.mounts = [world.mount(share, poll="100ms") for _ in range(2)]
    writer = Record(world.mounts[0], NODE)
    writer.commit(version(0))
    world.mounts[1].wait_generation(world.mounts[0].plane()["generation"])
    return writer


@check
def versions_written_in_place(world):
    writer = prepare(world)

    write_and_read(world, writer.commit, 1, scaled(VERSIONS // 2))

    writer.beat("TERMINATED")


@check
def versions_renamed_into_place(world):
    writer = prepare(world)
    nodes = world.mounts[0].point / "nodes"

    def commit(text):
        staging = nodes / f"{NODE}.{NODE}.tmp"
        fd = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(fd, text)
        os.fsync(fd)
        os.close(fd)
        os.rename(staging, nodes / NODE)
    write_and_read(world, commit, 1, scaled(VERSIONS // 2))

    expect_equal(sorted(os.listdir(world.mounts[1].point / "nodes")), [NODE], "names in nodes/")


@check
def a_staging_file_is_not_seen_by_other_mounts(world):
    writer = prepare(world)
    ours, theirs = (mount.point / "nodes" for mount in world.mounts)
    fd = os.open(ours / f"{NODE}.1.tmp", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, version(7))
    os.fsync(fd)

    expect(f"{NODE}.1.tmp" not in os.listdir(theirs), "the staging file in the other mount's list")
    expect_equal((theirs / NODE).read_bytes(), version(0), "the record meanwhile")

    os.close(fd)
    os.rename(ours / f"{NODE}.1.tmp", ours / NODE)
    expect_equal((ours / NODE).read_bytes(), version(7), "the record after the rename")


if __name__ == "__main__":
    main()
