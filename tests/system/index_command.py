#!/usr/bin/python3
"""holdfast index shows, verifies, asks and exports an index, and changes nothing."""
import json
import os
import re
import signal
import sqlite3
import time
from pathlib import Path

from harness import (HOLDFAST, PATIENCE_S, Process, Record, check, expect, expect_equal, fingerprint, main,
                     one_clear_line, record, scaled, wait_until)

# Exit statuses.
WELL, FAULT, USAGE = 0, 1, 2

ENDLESS = "WITH RECURSIVE r (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT count(*) FROM r"

# What a terminal would act on, or show as something else: a C1 control, and text turned around.
HOSTILE = "\u009b2J\u202e"


def index(world, *arguments, status=WELL):
    """The output of one call; errors have one clear line and nothing else."""
    result = world.run(HOLDFAST, "index", *arguments)
    what = f"holdfast index {' '.join(map(str, arguments))}"
    expect_equal(result.returncode, status, f"status of {what}: {result.stdout}{result.stderr}")
    if status == WELL:
        expect_equal(result.stderr, "", f"stderr of {what}")
    return result


def as_json(world, *arguments):
    return json.loads(index(world, *arguments, "--json").stdout)


def a_plane(world, beats=3):
    """A mount whose node was master, and is no more."""
    share = world.share()
    mount = world.mount(share)
    node = Record(mount, "first")
    for _ in range(beats):
        node.beat(pad=HOSTILE)
    mount.claim("first")
    node.beat("MASTER")
    node.beat("TERMINATED", pad="it's the end")
    return share, mount, node


def generation(share, number):
    return share / ".holdfast/gen" / f"{number:020}"


def damage(path):
    """Another text of the same length in the place of a change."""
    text = os.readlink(path)
    path.unlink()
    os.symlink(text[:-8] + "AAAAAAA=", path)


@check
def a_backing_directory_and_its_mount_show_the_same(world):
    share, mount, _ = a_plane(world)
    plane = mount.plane()

    shown = as_json(world, "show", share)
    expect_equal(shown["planeId"], plane["planeId"], "planeId")
    expect_equal(shown["generation"], plane["generation"], "generation")
    nodes = shown["tables"]["node"]
    expect_equal([row["id"] for row in nodes], ["first"], "ids")
    expect_equal(json.loads(nodes[0]["record"])["status"], "TERMINATED", "the record, as written")
    expect_equal(shown["tables"]["lease"][0]["holder"], "", "holder")

    by_mount = as_json(world, "show", mount.point)
    expect_equal(by_mount["generation"], None, "generation by the mount")
    expect_equal(by_mount["planeId"], shown["planeId"], "planeId by the mount")
    expect_equal(by_mount["tables"], shown["tables"], "tables by the mount")

    text = index(world, "show", share).stdout
    expect(text.startswith(f"plane {plane['planeId']}, generation {plane['generation']}\n"), text)
    for table in shown["tables"]:
        expect(f"\n\n{table}\n" in text, f"{table} is a heading of {text}")
    only = index(world, "show", share, "lease").stdout
    expect("\n\nlease\n" in only and "\nnode\n" not in only, f"one table: {only}")


@check
def the_log_says_who_was_master_when_and_why(world):
    share, _, _ = a_plane(world)

    events = as_json(world, "log", share)
    expect_equal(events, as_json(world, "log", world.folder / "mount0"), "log by the mount")
    expect_equal([event["seq"] for event in events], list(range(1, len(events) + 1)), "numbers")
    for event in events:
        expect(abs(event["atWallMs"] / 1000 - time.time()) < 60, f"time of {event}")
        expect(event["why"] and event["who"], f"{event} has a reason and somebody who did it")
    told = [(event["what"], event["of"], event["from"], event["to"], event["epoch"]) for event in events]
    expect(("master", "master", "", "first", 1) in told, f"the claim: {told}")
    expect(("master", "master", "first", "", 1) in told, f"its end: {told}")
    expect(any(event[:2] == ("status", "first") and event[3] == "TERMINATED" for event in told),
           f"the last status: {told}")

    lines = index(world, "log", share).stdout.splitlines()
    expect_equal(lines[0].split(), ["when", "epoch", "what", "of", "from", "to", "why", "who"], "heading")
    expect_equal(len(lines), len(events) + 1, "lines")
    for line in lines[1:]:
        expect(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  ", line), f"time in {line}")


@check
def verify_reads_all_that_is_kept(world):
    share, mount, node = a_plane(world, beats=70)
    newest = mount.plane()["generation"]

    text = index(world, "verify", share).stdout
    one_clear_line(text, [f"generations 1 to {newest} ", "0 faults"], "the verdict")
    report = as_json(world, "verify", mount.point)
    expect_equal({**report, "planeId": None},
                 {"planeId": None, "oldest": 1, "newest": newest, "newestImage": 64, "images": 2,
                  "changes": newest - 2, "faults": []}, "the report by the mount")

    # The chain is read to its end: a mount that starts would begin at 64, and not see this.
    node.close()
    expect_equal(mount.unmount(), 0, "end of the mount")
    damage(generation(share, 7))
    result = index(world, "verify", share, status=FAULT)
    expect(result.stdout.startswith(f"{7:020}: "), f"the file is named: {result.stdout}")
    expect("1 faults" in result.stdout, result.stdout)
    result = index(world, "verify", share, "--json", status=FAULT)
    expect_equal([fault["name"] for fault in json.loads(result.stdout)["faults"]], [f"{7:020}"], "faults")
    index(world, "show", share)

    # What a mount needs as well is a fault for every command.
    damage(generation(share, 66))
    for command in ("show",), ("log",), ("sql", "SELECT 1"), ("export", "-", "--sql"):
        result = index(world, command[0], share, *command[1:], status=FAULT)
        one_clear_line(result.stderr, ["holdfast index", "gen/"], "the error")
        expect_equal(result.stdout, "", f"output of {command[0]}")


@check
def a_mount_whose_backing_directory_is_hidden_is_read_but_not_verified(world):
    share, mount, _ = a_plane(world)
    hidden = f'mount -t tmpfs none "{share}" && exec "{HOLDFAST}" index "$0" "{mount.point}"'

    result = world.run("unshare", "-m", "sh", "-c", hidden, "show")
    expect_equal(result.returncode, WELL, f"show: {result.stderr}")
    result = world.run("unshare", "-m", "sh", "-c", hidden, "verify")
    expect_equal(result.returncode, FAULT, "status of verify")
    expect_equal(result.stdout, "", "output of verify")
    one_clear_line(result.stderr, [str(mount.point), "backing directory"], "the error")


@check
def sql_answers_what_only_reads(world):
    share, mount, _ = a_plane(world)
    for place in share, mount.point:
        text = index(world, "sql", place, "SELECT id, json_extract(record, '$.status') AS s FROM node").stdout
        expect_equal(text, "id     s\nfirst  TERMINATED\n", "the answer as a table")
        rows = as_json(world, "sql", place, "SELECT id, status FROM node;")
        expect_equal(rows, [{"id": "first", "status": "TERMINATED"}], "the answer as JSON")
        expect_equal(as_json(world, "sql", place, "SELECT * FROM node WHERE 0"), [], "no row")

    before = fingerprint(share)
    table = {
        "DELETE FROM node": "only read",
        "UPDATE lease SET holder = 'me'": "only read",
        f"ATTACH '{world.folder}/x' AS x": "only read",
        f"VACUUM INTO '{world.folder}/x'": "only read",
        "PRAGMA user_version = 7": "only read",
        "SELEC 1": "syntax",
        "SELECT * FROM nothing": "nothing",
        "SELECT 1; SELECT 2": "one statement",
        "": "no statement",
    }
    for statement, reason in table.items():
        result = index(world, "sql", share, statement, status=USAGE)
        one_clear_line(result.stderr, ["holdfast index", reason], statement)
    one_clear_line(index(world, "sql", share, "--json", "SELECT 1 AS a, 2 AS a", status=USAGE).stderr,
                   ["named a"], "two columns of one name")
    expect(not (world.folder / "x").exists(), "a file was made")
    expect_equal(fingerprint(share), before, "the share")


def processor_ticks(pid):
    """Clock ticks that a process has computed for; proc(5), stat, utime."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11])


@check
def a_long_query_can_be_interrupted_or_bounded(world):
    share, _, _ = a_plane(world)
    start = time.monotonic()
    result = index(world, "sql", share, ENDLESS, "--timeout", "300ms", status=FAULT)
    one_clear_line(result.stderr, ["in time"], "the error")
    expect(0.3 <= time.monotonic() - start < 5, f"it took {time.monotonic() - start} s")

    query = Process(world, "query", [HOLDFAST, "index", "sql", share, ENDLESS])
    query.expect_end()
    wait_until(lambda: processor_ticks(query.pid) > 10, PATIENCE_S, "the query computes")
    expect(query.is_running(), f"the query ended: {query.log_text()}")
    query.signal(signal.SIGINT)
    expect_equal(query.wait(5), -signal.SIGINT, "status after SIGINT")


@check
def an_export_is_a_database_of_its_own(world):
    share, mount, _ = a_plane(world)
    database, text = world.folder / "index.db", world.folder / "index.sql"
    index(world, "export", share, database)
    index(world, "export", mount.point, text, "--sql")
    expect_equal(database.stat().st_mode & 0o777, 0o600, "mode")

    again = world.folder / "again.db"
    with sqlite3.connect(database) as one, sqlite3.connect(again) as other:
        expect_equal(one.execute("PRAGMA integrity_check").fetchone(), ("ok",), "integrity")
        other.executescript(text.read_text())
        expect_equal(list(other.iterdump()), list(one.iterdump()), "the SQL text makes the same tables")
        for pragma in "application_id", "user_version", "page_size":
            expect_equal(other.execute(f"PRAGMA {pragma}").fetchone(),
                         one.execute(f"PRAGMA {pragma}").fetchone(), pragma)
        one.execute("DELETE FROM node")
    expect_equal(len(as_json(world, "show", share)["tables"]["node"]), 1, "nodes of the share")

    before = database.read_bytes()
    result = index(world, "export", share, database, status=FAULT)
    one_clear_line(result.stderr, [str(database), "exists"], "an existing file")
    expect_equal(database.read_bytes(), before, "the existing file")
    expect(index(world, "export", share, "-", "--sql").stdout == text.read_text(), "- is the output")


@check
def nothing_of_the_share_is_written_not_even_where_it_is_read_only(world):
    share, mount, node = a_plane(world)
    node.close()
    expect_equal(mount.unmount(), 0, "end of the mount")
    before = fingerprint(share)
    commands = [("show",), ("log",), ("verify",), ("sql", "SELECT 1"), ("export", "-", "--sql")]
    for command in commands:
        index(world, command[0], share, *command[1:])
    expect_equal(fingerprint(share), before, "the share")

    shown = {command[0]: index(world, command[0], share, *command[1:]).stdout for command in commands}
    read_only = world.folder / "read-only"
    read_only.mkdir()
    expect_equal(world.run("mount", "--bind", "-o", "ro", share, read_only).returncode, 0, "bind mount")
    for command in commands:
        expect_equal(index(world, command[0], read_only, *command[1:]).stdout, shown[command[0]],
                     f"{command[0]} of a share that is read-only")
    expect_equal(world.run("umount", read_only).returncode, 0, "umount")


@check
def it_works_beside_mounts_that_commit(world):
    share, mount, _ = a_plane(world)
    pace = world.worker(beat_for, mount, "busy", 2.0)
    last = 0
    for _ in range(scaled(20, 5)):
        shown = as_json(world, "show", share)["generation"]
        report = as_json(world, "verify", share)
        expect_equal(report["faults"], [], "faults")
        expect(last <= shown <= report["newest"], f"{last}, {shown}, {report}")
        last = report["newest"]
        index(world, "log", mount.point)
    pace.result()


def beat_for(mount, node_id, duration_s):
    node = Record(mount, node_id)
    end = time.monotonic() + duration_s
    count = 0
    while time.monotonic() < end:
        node.beat()
        count += 1
    node.beat("TERMINATED")
    return count


@check
def what_the_share_says_cannot_command_a_terminal(world):
    share = world.share()
    mount = world.mount(share)
    node = Record(mount, "evil")
    node.commit(json.dumps({**json.loads(record("evil")), "pad": HOSTILE}, ensure_ascii=False).encode())
    for arguments in (("show", share), ("show", mount.point), ("sql", share, "SELECT record FROM node"),
                      ("sql", share, f"SELECT 1 AS '{HOSTILE}'"),
                      ("show", share, "--json"), ("export", share, "-", "--sql")):
        text = index(world, *arguments).stdout
        expect(not set(HOSTILE) - set("2J") & set(text), f"{arguments[0]}: {text!r}")
    expect("\\u{9b}2J\\u{202e}" in index(world, "show", share, "node").stdout, "it is shown escaped")
    # SQLite's message repeats what was in the record.
    result = index(world, "sql", share, "SELECT json_extract('{}', record) FROM node", status=FAULT)
    expect(not set(HOSTILE) - set("2J") & set(result.stderr), f"{result.stderr!r}")


@check
def wrong_usage_is_told_in_one_line(world):
    share, mount, _ = a_plane(world)
    plain, file = world.folder / "plain", world.folder / "file"
    plain.mkdir()
    (plain / ".holdfast").mkdir()
    file.touch()
    foreign = world.folder / "foreign"
    (foreign / ".holdfast/gen").mkdir(parents=True)
    (foreign / ".holdfast/plane").write_text("another program's\n")
    born = world.folder / "born"
    (born / ".holdfast/gen").mkdir(parents=True)
    (born / ".holdfast/plane").write_text((share / ".holdfast/plane").read_text())
    table = [
        ((), USAGE, "which command"),
        (("list", share), USAGE, "list"),
        (("show",), USAGE, "DIRECTORY"),
        (("log", share, "more"), USAGE, "usage"),
        (("sql", share), USAGE, "STATEMENT"),
        (("export", share), USAGE, "FILE"),
        (("show", share, "--jason"), USAGE, "--jason"),
        (("show", share, "--sql"), USAGE, "options"),
        (("export", share, "-", "--json"), USAGE, "options"),
        (("sql", share, "SELECT 1", "--timeout", "soon"), USAGE, "soon"),
        (("sql", share, "SELECT 1", "--timeout"), USAGE, "--timeout"),
        (("show", share, "nodes"), USAGE, "nodes"),
        (("show", world.folder / "gone"), FAULT, "No such file"),
        (("show", file), FAULT, "Not a directory"),
        (("show", plain), FAULT, "neither"),
        (("verify", plain), FAULT, "neither"),
        (("show", mount.point / "nodes"), FAULT, "neither"),
        (("show", foreign), FAULT, "not a plane"),
        (("show", born), FAULT, "no generation yet"),
        (("verify", born), FAULT, "no generation yet"),
        (("export", share, world.folder / "no/such/file"), FAULT, "No such file"),
    ]
    for arguments, status, reason in table:
        result = index(world, *arguments, status=status)
        one_clear_line(result.stderr, ["holdfast index", reason], " ".join(map(str, arguments)))
        expect_equal(result.stdout, "", f"output of {arguments}")
    help_text = index(world, "--help").stdout
    for word in "show", "log", "verify", "sql", "export", "exit status":
        expect(word in help_text, f"the help mentions {word}")
    full = world.run("sh", "-c", f'exec "{HOLDFAST}" index show "{share}" >/dev/full')
    expect_equal(full.returncode, FAULT, "status where the output is full")
    one_clear_line(full.stderr, ["output"], "the error")


if __name__ == "__main__":
    main()
