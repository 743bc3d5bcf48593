#!/usr/bin/python3
"""The index: what a commit costs, alone and in a crowd, and what a start costs.

Commits: 1, 2, 8 and 32 committers, each a process that overwrites its node's record back to back.

    holdfast              a mount for each, one share (pwrite, ftruncate, fsync of nodes/<id>)
    holdfast images_only  the same where a share has no symbolic links
    sqlite rollback       one database in the same directory, synchronous=FULL, one UPDATE a transaction
    sqlite wal            the same with a write-ahead log
    etcd                  one member, same directory, put through its JSON gateway; if it is there
    overwrite             4 KiB of a file of its own, fsync: the floor

Heartbeats: two mounts, one commit a second each, at random moments, beside the floor at the same pace.

Image: the size of one with 16 nodes and 1,000 history rows.  Start: from before the exec of `holdfast
mount` to the answer of stat(nodes/), where 10,000 generations were committed before.  Endurance (not with
--quick): one committer before and after the time from which old generations are deleted.
"""
import os
import random
import sqlite3
import stat
import statistics
import string
import time
import urllib.request

from bench import Bench, find_program, latencies, main, medians, output
from harness import Process, Record, expect, free_port, wait_until

COUNTS = (1, 2, 8, 32)
FLOOR = "overwrite"
OURS = "holdfast"
OURS_IMAGES = "holdfast images_only"
SQLITE = "sqlite rollback"
ETCD = "etcd"

IMAGE_EVERY = 64  # fs/chain.h
IMAGE_NODES = 16
IMAGE_ROWS = 1000
START_GENERATIONS = 10000
START_LIMIT_S = 60
COLLECTING_AFTER_S = 130  # fs/commit.h keeps what is younger than two minutes


def node_ids(count):
    """As random as a daemon's own, since images are packed; the same ones each time."""
    dice = random.Random(count)
    return ["n" + "".join(dice.choices(string.ascii_letters + string.digits, k=7))
            for _ in range(count)]


def holdfast(bench, world, count, *options, **load):
    share = world.share()
    # One alone creates the plane; the others start together.
    mounts = [world.mount(share, options=options)]
    mounts += [world.mount(share, options=options, wait=False) for _ in range(count - 1)]
    for mount in mounts:
        mount.wait_mounted()
    return bench.load(world, "record", {node: mount.point / "nodes" / node
                                        for node, mount in zip(node_ids(count), mounts)}, **load)


def holdfast_images(bench, world, count, **load):
    return holdfast(bench, world, count, "images_only", **load)


def sqlite(bench, world, count, journal, **load):
    path = world.share() / "peer.db"
    connection = sqlite3.connect(path)
    mode, = connection.execute(f"PRAGMA journal_mode = {journal}").fetchone()
    expect(mode == journal, f"journal_mode is {mode}")
    connection.execute("CREATE TABLE node (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID")
    connection.executemany("INSERT INTO node VALUES (?, '')", [(node,) for node in node_ids(count)])
    connection.commit()
    connection.close()
    return bench.load(world, "sqlite", {node: path for node in node_ids(count)}, **load)


def sqlite_rollback(bench, world, count, **load):
    return sqlite(bench, world, count, "delete", **load)


def sqlite_wal(bench, world, count, **load):
    return sqlite(bench, world, count, "wal", **load)


def etcd(bench, world, count, **load):
    port, peer = free_port(), f"http://127.0.0.1:{free_port()}"
    client = f"http://127.0.0.1:{port}"
    server = Process(world, "etcd", [
        find_program("etcd", "etcd-server", False), "--name", "bench",
        "--data-dir", world.share(), "--log-level", "error",
        "--listen-client-urls", client, "--advertise-client-urls", client,
        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
        "--initial-cluster", f"bench={peer}"])

    def is_healthy():
        expect(server.is_running(), f"etcd ended: {server.log_text()}")
        with urllib.request.urlopen(f"{client}/health", timeout=2) as answer:
            return b'"true"' in answer.read()
    wait_until(is_healthy, 20, "etcd is healthy", period_s=0.1)
    result = bench.load(world, "etcd", {node: port for node in node_ids(count)}, **load)
    server.terminate()
    return result


def overwrite(bench, world, count, **load):
    share = world.share()
    return bench.load(world, "overwrite", {node: share / node for node in node_ids(count)}, **load)


CONTENDERS = {
    FLOOR: overwrite,
    SQLITE: sqlite_rollback,
    OURS: holdfast,
    "sqlite wal": sqlite_wal,
    OURS_IMAGES: holdfast_images,
    ETCD: etcd,
}


def measure_commits(bench, contenders):
    """{(count, name): figures of each round}, all in turn."""
    rounds, seconds = (2, 1) if bench.quick else (5, 2)
    runs = {(count, name): [] for count in COUNTS for name in contenders}
    for _ in range(rounds):
        for count, name in runs:
            with bench.world(f"{name.replace(' ', '-')}-{count}") as world:
                run = CONTENDERS[name](bench, world, count, seconds=seconds)
                runs[count, name].append(run.figures())
    return runs


def ratio(runs, one, other):
    """Of the rates.  Round by round, since the machine may change in between."""
    return statistics.median(a["rate"] / b["rate"] for a, b in zip(runs[one], runs[other]))


def report_commits(bench, runs):
    rows = []
    bench.report["commits"] = []
    for (count, name), rounds in runs.items():
        middle = medians(rounds)
        bench.report["commits"].append(
            {"committers": count, "contender": name, "median": middle, "rounds": rounds})
        rates = [run["rate"] for run in rounds]
        rows.append([count, name, middle["rate"], min(rates), max(rates),
                     ratio(runs, (count, name), (count, SQLITE)),
                     ratio(runs, (count, name), (1, name)), middle["p50_ms"], middle["p99_ms"],
                     middle["max_ms"], middle["least_rate"], middle["failed"]])
    bench.table(
        f"commits back to back, medians of {len(rounds)} rounds (least: of the slowest committer)",
        ["committers", "", "commits/s", "min", "max", "x rollback", "x alone", "p50 ms", "p99 ms",
         "max ms", "least/s", "failed"], rows)
    bench.goal("one_committer_over_sqlite_rollback", ratio(runs, (1, OURS), (1, SQLITE)), ">=", 1.3)
    bench.goal("32_committers_over_one", ratio(runs, (32, OURS), (1, OURS)), ">=", 1)


def measure_beats(bench):
    """Two nodes that beat once a second, and the floor at that pace; all rounds' latencies together."""
    rounds, seconds = (2, 10) if bench.quick else (4, 15)
    values = {OURS: [], FLOOR: []}
    for _ in range(rounds):
        for name, together in values.items():
            with bench.world(f"beats-{name}") as world:
                run = CONTENDERS[name](bench, world, 2, seconds=seconds, period_ms=1000)
                expect(run.failed == 0, f"beats of {name}: {run.errors}")
                together += run.latencies_ms
    figures = {name: latencies(together) for name, together in values.items()}
    bench.report["beats"] = {name: {**figures[name], "latencies_ms": values[name]} for name in values}
    bench.table("two committers, one commit a second each",
                ["", "commits", "p50 ms", "p99 ms", "max ms"],
                [[name, len(values[name]), *figures[name].values()] for name in values])
    bench.goal("beats_p99_over_floor_p99_at_the_same_pace",
               figures[OURS]["p99_ms"] / figures[FLOOR]["p99_ms"], "<=", 10)


def newest_image(share):
    """The last generation that is a whole database and no change."""
    generations = share / ".holdfast/gen"
    return next(generations / name for name in sorted(os.listdir(generations), reverse=True)
                if stat.S_ISREG((generations / name).lstat().st_mode))


def changes_after_image(mount, share):
    return mount.plane()["generation"] - int(newest_image(share).name)


def count_rows(database, table):
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    rows, = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    connection.close()
    return rows


def beat_until(record, condition):
    """Commits until it is true, which an image or two must bring about."""
    for _ in range(2 * IMAGE_EVERY):
        if condition():
            return
        record.beat(localTimestamp=time.time_ns() // 1000000)
    raise AssertionError("no image came")


def measure_image(bench):
    """The master changes for as long as the history has room: each grant and each release is a row."""
    with bench.world("image") as world:
        share = world.share()
        mounts = [world.mount(share) for _ in range(2)]
        records = [Record(mounts[i % 2], node) for i, node in enumerate(node_ids(IMAGE_NODES))]
        for record in records:
            record.beat(nodeUri=f"http://{record.node_id}.brooklyn.example.org:8081/",
                        localTimestamp=time.time_ns() // 1000000)
        for turn in range(IMAGE_ROWS // 2):
            mounts[turn % 2].claim(records[turn % IMAGE_NODES].node_id)
            mounts[turn % 2].release()
        earlier = newest_image(share)
        beat_until(records[0], lambda: newest_image(share) != earlier)
        size_bytes = newest_image(share).stat().st_size
        # The beats since have changed no number of rows.
        database = world.folder / "index.db"
        database.write_bytes((mounts[0].point / ".holdfast/index.db").read_bytes())
        rows = {table: count_rows(database, table) for table in ("node", "history")}
        database_bytes = database.stat().st_size
    expect(rows["node"] == IMAGE_NODES and rows["history"] >= IMAGE_ROWS, f"rows of the image: {rows}")
    bench.report["image"] = {"bytes": size_bytes, "database_bytes": database_bytes, "rows": rows}
    bench.table("image", ["nodes", "history rows", "database bytes", "image bytes"],
                [[*rows.values(), database_bytes, size_bytes]])
    bench.goal("image_bytes_16_nodes_1000_history_rows", size_bytes, "<=", 32 * 1024)


def time_starts(bench, options):
    """What is there to be read, and the ms of each start."""
    with bench.world("start") as world:
        share = world.share()
        mount = world.mount(share, options=options)
        bench.load(world, "record", {"writer": mount.point / "nodes/writer"},
                   commits=START_GENERATIONS)
        # About as many changes after the newest image as there can be; the last by a node that ends.
        last = Record(mount, "last")
        if not options:
            beat_until(last, lambda: changes_after_image(mount, share) >= IMAGE_EVERY - 3)
        last.beat("TERMINATED")
        generation, changes = mount.plane()["generation"], changes_after_image(mount, share)
        expect(mount.unmount() == 0, "the mount ends well")
        names = len(os.listdir(share / ".holdfast/gen"))
        took_ms = []
        for number in range(3 if bench.quick else 7):
            start = time.monotonic()
            again = world.mount(share, name=f"again{number}", options=options, wait=False)
            wait_until((again.point / "nodes").stat, START_LIMIT_S, "the mount answers", period_s=0.0005)
            took_ms.append((time.monotonic() - start) * 1000)
            expect(again.unmount() == 0, "the mount ends well")
    return {"generation": generation, "names": names, "changes": changes, "ms": took_ms}


def measure_start(bench):
    starts = {OURS: time_starts(bench, ()), OURS_IMAGES: time_starts(bench, ("images_only",))}
    bench.report["start"] = starts
    bench.table("start of a mount",
                ["", "generation", "names", "changes after image", "median ms", "max ms"],
                [[name, start["generation"], start["names"], start["changes"],
                  statistics.median(start["ms"]), max(start["ms"])]
                 for name, start in starts.items()])
    bench.goal("start_ms_10000_generations", statistics.median(starts[OURS]["ms"]), "<=", 200)


def measure_endurance(bench):
    with bench.world("endurance") as world:
        share = world.share()
        target = {"writer": world.mount(share).point / "nodes/writer"}
        first = bench.load(world, "record", target, seconds=10).figures()
        bench.load(world, "record", target, seconds=COLLECTING_AFTER_S)
        last = bench.load(world, "record", target, seconds=10).figures()
        names = len(os.listdir(share / ".holdfast/gen"))
    bench.report["endurance"] = {"first": first, "last": last, "names": names}
    bench.table(f"one committer, 10 s each; {names} names on the share in the end",
                ["", "commits/s", "p50 ms", "p99 ms", "max ms"],
                [[name, *(run[key] for key in ("rate", "p50_ms", "p99_ms", "max_ms"))]
                 for name, run in (("first", first), (f"after {COLLECTING_AFTER_S} s", last))])


def index(bench: Bench):
    program = find_program("etcd", "etcd-server", bench.peers)
    versions = {"sqlite": sqlite3.sqlite_version}
    if program:
        versions["etcd"] = output(program, "--version").splitlines()[0]
    bench.report["peers"] = versions
    print("peers: " + ", ".join(f"{name} ({version})" for name, version in versions.items())
          + ("" if program else "; no etcd, --peers would get it"))
    report_commits(bench, measure_commits(
        bench, [name for name in CONTENDERS if program or name != ETCD]))
    measure_beats(bench)
    measure_image(bench)
    measure_start(bench)
    if not bench.quick:
        measure_endurance(bench)


if __name__ == "__main__":
    main(index, __doc__)
