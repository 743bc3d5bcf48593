#!/usr/bin/python3
"""docs/PROTOCOL.md against the programs: its examples are read from the page itself.

An example is a fenced block whose info string has golden=NAME.  What a running plane shows must have
the same keys in the same order and the same kinds of values; values that do not depend on when and where it
runs (EXACT) must be the same.  The page describes the bytes on the share well enough to read them: this
file does so without any code of the product, and must arrive at what the mount shows.
"""
import base64
import hashlib
import json
import os
import re
import sqlite3
import struct
import subprocess
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))
# pylint: disable-next=wrong-import-position
from harness import BUILD, PATIENCE_S, SOURCE, check, expect, errno_of, expect_equal, main, wait_until, write_fully  # noqa: E402

PAGE = SOURCE / "docs/PROTOCOL.md"
FENCE = re.compile(r"^```\w+ golden=(\S+)\n(.*?)^```$", re.M | re.S)
USER = "myusername:mypassword"

# Keys whose values are the same in every run.
EXACT = {"heartbeatTimeoutMs", "pollPeriodMs", "marginMs", "problem", "epoch", "ours", "lapsed", "status",
         "priority", "links", "message", "error"}
OPERATIONS = {18: "insert", 23: "update", 9: "delete"}


def example(name):
    return dict(FENCE.findall(PAGE.read_text()))[name]


def joined(name):
    return example(name).replace("\n", "")


def kind(value, key=None):
    """What two values must have in common; nodes are compared whatever their ids are."""
    if key in EXACT:
        return value
    if key == "nodes":
        return sorted((kind(node) for node in value.values()), key=repr)
    if isinstance(value, dict):
        return [(name, kind(member, name)) for name, member in value.items()]
    return type(value).__name__


def expect_alike(actual, name):
    expect_equal(json.dumps(kind(json.loads(actual)), indent=1),
                 json.dumps(kind(json.loads(example(name))), indent=1), f"the kind of {name}")


def pattern(text, plane):
    """The text without its ids, which plane.json names, and without numbers."""
    ids = [plane["planeId"], *plane["nodes"], *(node["mountId"] for node in plane["nodes"].values())]
    return re.sub(r"\d+", "N", re.sub("|".join(ids), "ID", text))


def take_varint(data, at):
    value = 0
    for _ in range(8):
        byte = data[at]
        at += 1
        value = value << 7 | byte & 127
        if byte < 128:
            return value, at
    return value << 8 | data[at], at + 1


def take_value(data, at):
    code = data[at]
    at += 1
    if code == 0:
        return "?", at
    if code == 1:
        return struct.unpack_from(">q", data, at)[0], at + 8
    if code == 3:
        size, at = take_varint(data, at)
        return data[at:at + size].decode(), at + size
    expect_equal(code, 5, "type of a value")
    return None, at


def rows_of(data):
    """[table, operation, values], and which of the columns are the primary key."""
    at = 0
    while at < len(data):
        if data[at:at + 1] == b"P":
            columns, at = take_varint(data, at + 1)
            keys = [byte != 0 for byte in data[at:at + columns]]
            end = data.index(0, at + columns)
            table, at = data[at + columns:end].decode(), end + 1
        operation = OPERATIONS[data[at]]
        at += 2
        values = []
        for is_key in keys:
            if operation != "delete" or is_key:
                value, at = take_value(data, at)
                values.append(value)
        yield [table, operation, values], keys


def fields_of(text):
    version, writer, nonce, parent, patch = text.split(".")
    expect_equal(version, "1", "version of a change")
    return {"writer": writer, "nonce": nonce, "parent": parent,
            "rows": list(rows_of(base64.urlsafe_b64decode(patch)))}


def tables_of(image):
    """Every table of a database, given as bytes, as {primary key: row}."""
    database = sqlite3.connect(":memory:")
    database.deserialize(image)
    names = [name for name, in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables = {name: {row[0]: list(row) for row in database.execute(f"SELECT * FROM {name}")}
              for name in names}
    database.close()
    return tables


def apply(tables, rows):
    for (table, operation, values), keys in rows:
        expect_equal(keys.index(True), 0, f"the primary key of {table} is its first column")
        if operation == "insert":
            expect(values[0] not in tables[table], f"{table} has no row {values[0]} yet")
            tables[table][values[0]] = values
        elif operation == "update":
            row = tables[table][values[0]]
            row[:] = [old if new == "?" else new for old, new in zip(row, values)]
        else:
            del tables[table][values[0]]


def ask_the_parser(lines):
    """What the product's parser says of each text."""
    answer = subprocess.run([BUILD / "tests/golden/golden_change"], input="\n".join(lines) + "\n",
                            capture_output=True, check=True, text=True, timeout=PATIENCE_S)
    return [line.split() for line in answer.stdout.splitlines()]


def attributes(path):
    return [f'{name}="{os.getxattr(path, name).decode()}"' for name in os.listxattr(path)]


class Plane:
    """A master and a standby, each on its own mount, as in the examples."""

    def __init__(self, world):
        users = world.folder / "users.properties"
        users.write_text("brooklyn.webconsole.security.users=myusername\n"
                         "brooklyn.webconsole.security.user.myusername.password=mypassword\n")
        options = ("--localBrooklynProperties", users, "--bindAddress", "127.0.0.1")
        self.share = world.share()
        self.mounts = [world.mount(self.share) for _ in range(2)]
        self.master = world.node(self.mounts[0], mode="master", options=options)
        self.master.wait_state("MASTER", user=USER)
        self.standby = world.node(self.mounts[1], mode="auto", options=options)
        self.standby.wait_state("STANDBY", user=USER)
        self.point = self.mounts[0].point
        wait_until(self.is_settled, PATIENCE_S, "both nodes are known by their states")

    def is_settled(self):
        shown = [[node["record"]["status"] for node in mount.plane()["nodes"].values()]
                 for mount in self.mounts]
        states = self.standby.states(USER)["nodes"].values()
        shown.append([node["status"] for node in states])
        return all(sorted(statuses) == ["MASTER", "STANDBY"] for statuses in shown)

    def end_daemons(self):
        for node in self.standby, self.master:
            expect_equal(node.terminate(), 0, f"exit status of {node.name}")


@check
def the_link_texts_are_read_as_the_page_says(_world):
    text, following = joined("change"), joined("change-next")

    [(word, writer, nonce, parent, patch, digest)] = ask_the_parser([text])
    expect_equal(word, "accepted", "the example")
    expected = json.loads(example("change-fields"))
    expect_equal({"writer": writer, "nonce": nonce, "parent": parent,
                  "rows": [row for row, _ in rows_of(bytes.fromhex(patch))]}, expected, "its fields")
    expect_equal(digest, hashlib.sha256(text.encode()).hexdigest(), "its hash")
    [(word, _, _, parent, _, _)] = ask_the_parser([following])
    expect_equal((word, parent), ("accepted", digest[:16]), "the next one descends from it")

    for line in example("change-grammar").splitlines():
        verdict, text = line.split()[:2]
        expect_equal(ask_the_parser([text])[0][0], verdict, f"the parser's verdict on {line}")


@check
def clearing_spares_the_names_of_the_page(world):
    del world
    spared = re.search(r"names\[\] = \{(.*?)\}", (SOURCE / "ha/persisted.c").read_text(), re.S)[1]
    names = {name.split("/")[0] for name in example("names").split()}
    expect_equal(sorted(re.findall(r'"([^"]+)"', spared)), sorted(names), "names in ha/persisted.c")


@check
def a_plane_shows_what_the_page_shows(world):
    plane = Plane(world)
    shown = plane.mounts[0].plane()

    def expect_same_pattern(actual, name):
        expect_equal(pattern(actual, shown).split("\n"),
                     pattern(example(name), json.loads(example("plane.json"))).split("\n"), name)

    expect_same_pattern((plane.share / ".holdfast/plane").read_text(), "plane")
    expect_alike((plane.point / ".holdfast/plane.json").read_text(), "plane.json")
    master = (plane.point / "master").read_text()
    expect_alike((plane.point / "nodes" / master).read_text(), "record")
    names = [str(path.relative_to(plane.point)) for path in
             (*plane.point.iterdir(), *(plane.point / ".holdfast").iterdir())]
    expect_equal(sorted(set(names) - {".holdfast"}), example("names").split(), "names in the mount")
    expect_same_pattern("\n".join(attributes(plane.point) + [""] + attributes(plane.point / "master") + [""]),
                        "attributes")
    schema = world.run("sqlite3", plane.point / ".holdfast/index.db", ".schema").stdout
    expect_equal(schema.split(), example("schema").split(), "schema")

    plane.master.kill()
    plane.standby.wait_state("MASTER", user=USER)
    fence = {**json.loads(example("fence")), "nodeId": master}
    write_fully(plane.mounts[1].point / ".holdfast/fence", json.dumps(fence).encode())
    expect_equal(plane.mounts[1].dump().count(f"'fenced: {fence['reason']}','{fence['user']}'".encode()), 1,
                 "rows of the history with the reason and the user of the fence")
    other = plane.mounts[1].point / ".holdfast"
    expect_equal(errno_of(write_fully, other / "switchover", example("switchover").encode()), "ENOENT",
                 "a switchover to a node that is not there")
    write_fully(other / "pause", example("pause").encode())
    pause = json.loads(example("pause"))
    expect_equal(plane.mounts[1].plane()["pausedBy"], pause["user"], "who paused the plane")
    log = (plane.point / "change.log").read_text().splitlines(keepends=True)
    expect_same_pattern("".join(log[:example("change.log").count("\n")]), "change.log")


@check
def the_api_answers_as_the_page_says(world):
    plane = Plane(world)

    def answer(path, method="GET", user=USER):
        status, _, body = plane.standby.http("/v1/server/" + path, method, user)
        return status, body.decode()

    expect_equal(json.dumps(plane.master.state(USER)), example("ha/state").strip(), "ha/state")
    expect_alike(answer("ha/states")[1], "ha/states")
    for name, request in {"401": ("ha/state", "GET", None), "404": ("ha/nothing",),
                          "405": ("ha/state", "POST")}.items():
        status, body = answer(*request)
        expect_equal(str(status), name, f"status of {request}")
        expect_alike(body, name)


@check
def the_share_can_be_read_by_the_page_alone(world):
    plane = Plane(world)
    plane.end_daemons()
    folder = plane.share / ".holdfast/gen"

    tables, parent = {}, ""
    for number, name in enumerate(sorted(os.listdir(folder)), 1):
        path = f"{folder}/{name}"
        expect_equal(name, f"{number:020}", "name of a generation")
        if os.path.islink(path):
            content = os.readlink(path)
            fields = fields_of(content)
            expect_equal(fields["parent"], parent[:16], f"parent of {name}")
            expect_equal(ask_the_parser([content])[0][1:4],
                         [fields["writer"], fields["nonce"], fields["parent"]], f"fields of {name}")
            apply(tables, fields["rows"])
            content = content.encode()
        else:
            content = Path(path).read_bytes()
            tables = tables_of(zlib.decompress(content))
            expect_equal(tables["image"]["parent"][1], parent, f"parent of {name}")
            expect_equal(int(tables["image"]["generation"][1]), number, f"number in {name}")
        parent = hashlib.sha256(content).hexdigest()

    expect(len(tables["node"]) == 2, "both nodes are on the share")
    plane.mounts[0].wait_generation(number)
    expect_equal(tables, tables_of((plane.point / ".holdfast/index.db").read_bytes()), "the tables read by hand")


@check
def every_example_is_checked(_world):
    source = Path(__file__).read_text()
    for name, _ in FENCE.findall(PAGE.read_text()):
        expect(f'"{name}"' in source, f"the example {name} is named in this file")


if __name__ == "__main__":
    main()
