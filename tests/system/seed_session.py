#!/usr/bin/python3
"""The session of the document that describes the system: two nodes, one share, a failover."""
import hashlib
import json
import signal
import time

from harness import HOLDFAST, PATIENCE_S, check, expect, expect_equal, main, seconds, wait_until

USER = "myusername:mypassword"
SEED_KEYS = ["ownId", "masterId", "nodes", "links"]
SEED_NODE_KEYS = ["nodeId", "nodeUri", "status", "localTimestamp", "remoteTimestamp"]


def users_file(world, text=None):
    path = world.folder / "users.properties"
    path.write_text(text or "brooklyn.webconsole.security.users=myusername\n"
                            "brooklyn.webconsole.security.user.myusername.password=mypassword\n")
    return path


def knows_both(states):
    return len(states["nodes"]) == 2 and states["masterId"]


def two_nodes(world, timeout=None, poll=None, options=()):
    """A master and a standby, each on its own mount."""
    share = world.share()
    mounts = [world.mount(share, timeout=timeout, poll=poll) for _ in range(2)]
    user = USER if options else None
    master = world.node(mounts[0], mode="master", options=options)
    master.wait_state("MASTER", user=user)
    standby = world.node(mounts[1], mode="auto", options=options)
    standby.wait_state("STANDBY", user=user)
    for node in master, standby:
        wait_until(lambda node=node: knows_both(node.states(user)), PATIENCE_S, f"{node.name} knows both")
    return mounts, master, standby


@check
def the_session_of_the_document(world):
    _, master, standby = two_nodes(world, options=("--localBrooklynProperties", users_file(world)))

    for node, state in (master, "MASTER"), (standby, "STANDBY"):
        curl = world.run("curl", "-s", "-u", USER, f"http://127.0.0.1:{node.port}/v1/server/ha/state")
        expect_equal(curl.stdout.strip(), f'"{state}"', "answer to the document's first curl")
        expect_equal((node.folder / "pid.txt").read_text().strip(), str(node.pid), "pid.txt")

    curl = world.run("curl", "-s", "-u", USER, f"http://127.0.0.1:{standby.port}/v1/server/ha/states")
    states = json.loads(curl.stdout)
    expect_equal(list(states)[:4], SEED_KEYS, "keys, in the document's order")
    expect_equal(states["masterId"], master.node_id(USER), "masterId")
    expect_equal(states["ownId"], standby.node_id(USER), "ownId")
    expect_equal(states["links"], {}, "links")
    for node, status in (master, "MASTER"), (standby, "STANDBY"):
        entry = states["nodes"][node.node_id(USER)]
        expect_equal(list(entry)[:5], SEED_NODE_KEYS, "keys of a node, in the document's order")
        expect_equal(entry["status"], status, f"status of {node.name}")
        expect_equal(entry["nodeUri"].rsplit(":", 1)[1], f"{node.port}/", "port in nodeUri")
        for stamp in entry["localTimestamp"], entry["remoteTimestamp"]:
            expect(abs(stamp - time.time() * 1000) < 60000, f"timestamp {stamp} in ms, about now")

    killed_at = time.monotonic()
    world.run("sh", "-c", "kill -9 $(cat pid.txt)", cwd=master.folder)
    expect_equal(master.wait(), -signal.SIGKILL, "exit status of the killed daemon")
    standby.wait_state("MASTER", limit_s=2, user=USER)
    print(f"      kill -9 of the daemon: MASTER after {time.monotonic() - killed_at:.2f} s")

    dead = next(key for key in states["nodes"] if key != states["ownId"])
    wait_until(lambda: standby.states(USER)["nodes"][dead]["status"] == "FAILED", PATIENCE_S,
               "the killed node is shown as FAILED")
    wait_until(lambda: standby.states(USER)["masterId"] == states["ownId"], PATIENCE_S,
               "masterId after the failover")


@check
def a_dead_machine_is_replaced_after_the_timeout(world):
    timeout, poll = "3s", "500ms"
    mounts, master, standby = two_nodes(world, timeout, poll)
    node_id = master.node_id()

    # As seen from the other machine; what it sees is older than this by one poll at most.
    beat = mounts[1].plane()["nodes"][node_id]["beat"]
    wait_until(lambda: mounts[1].plane()["nodes"][node_id]["beat"] > beat, PATIENCE_S, "a beat")
    # The mount first: it would see the daemon die, which a dead machine does not.
    mounts[0].kill()
    master.kill()
    killed_at = time.monotonic()

    limit = seconds(timeout) + 2 * seconds(poll)
    standby.wait_state("MASTER", limit_s=limit)
    took = time.monotonic() - killed_at
    print(f"      kill -9 of daemon and mount: MASTER after {took:.2f} s")
    # The last beat was committed at most one poll before the kill.
    expect(took >= seconds(timeout) - seconds(poll), f"not before the timeout: {took:.2f} s")
    wait_until(lambda: standby.states()["nodes"][node_id]["status"] == "FAILED", PATIENCE_S,
               "the dead node is shown as FAILED")


@check
def a_stopped_master_is_replaced_at_once(world):
    timeout, poll = "30s", "1s"
    _, master, standby = two_nodes(world, timeout, poll)
    node_id = master.node_id()

    stopped_at = time.monotonic()
    master.signal(signal.SIGTERM)
    standby.wait_state("MASTER", limit_s=seconds(poll) + 0.5)
    print(f"      SIGTERM of the daemon: MASTER after {time.monotonic() - stopped_at:.2f} s")

    expect_equal(master.wait(), 0, "exit status of the stopped daemon")
    expect(not (master.folder / "pid.txt").exists(), "pid.txt is removed by a clean stop")
    wait_until(lambda: standby.states()["nodes"][node_id]["status"] == "TERMINATED", PATIENCE_S,
               "the stopped node is shown as TERMINATED")


@check
def the_history_says_who_won_and_why_not_the_others(world):
    mounts, master, standby = two_nodes(world, "3s", "500ms")
    first, second = master.node_id(), standby.node_id()
    master.kill()
    standby.wait_state("MASTER", limit_s=PATIENCE_S)

    log = world.run(HOLDFAST, "index", "log", mounts[1].point, "--json")
    grants = [(event["to"], event["why"]) for event in json.loads(log.stdout)
              if event["what"] == "master" and event["to"]]
    expect_equal(grants, [(first, "asked: won, alone"), (second, f"asked: won over {first} (FAILED)")],
                 "grants of the lease in the history")


@check
def a_restarted_node_becomes_standby_of_the_new_master(world):
    mounts, master, standby = two_nodes(world, "3s", "500ms")
    old_id = master.node_id()
    master.kill()
    standby.wait_state("MASTER", limit_s=2)

    again = world.node(mounts[0], mode="auto")

    again.wait_state("STANDBY")
    expect(again.node_id() != old_id, "a new start has a new node id")
    master_id = standby.node_id()
    wait_until(lambda: again.states()["masterId"] == master_id, PATIENCE_S,
               "the restarted node sees the new master")


@check
def mode_master_takes_over_after_a_crash(world):
    mount = world.mount(world.share(), timeout="2s", poll="500ms")
    first = world.node(mount, mode="master")
    first.wait_state("MASTER")
    first.kill()

    second = world.node(mount, mode="master")

    second.wait_state("MASTER")


@check
def a_third_node_takes_over_from_the_second_and_the_plane_stays_the_same(world):
    mounts, first, second = two_nodes(world, "3s", "500ms")
    plane_id = first.states()["planeId"]
    (mounts[0].point / "application").write_text("deployed\n")
    first.kill()
    second.wait_state("MASTER")

    mounts.append(world.mount(world.folder / "share", timeout="3s", poll="500ms"))
    third = world.node(mounts[2])
    third.wait_state("STANDBY")
    expect_equal(second.terminate(), 0, "exit status of the second")
    third.wait_state("MASTER")

    expect_equal(third.states()["planeId"], plane_id, "plane id")
    expect_equal((mounts[2].point / "application").read_text(), "deployed\n", "what the first one wrote")
    (mounts[2].point / "application").write_text("changed\n")


@check
def persist_clean_is_refused_beside_a_living_master(world):
    mounts, master, _ = two_nodes(world, "3s", "500ms")
    (mounts[0].point / "application").write_text("deployed\n")

    refused = world.node(mounts[1], options=("--persist", "clean"))

    expect_equal(refused.wait(), 3, "exit status")
    expect("live master" in refused.log_text(), f"why: {refused.log_text()}")
    expect_equal((mounts[0].point / "application").read_text(), "deployed\n", "the master's state")
    expect_equal(master.state(), "MASTER", "state of the master")


@check
def requests_need_the_password(world):
    salt, password = "aBcD", "s3cret"
    digest = hashlib.sha256((salt + password).encode()).hexdigest()
    users = users_file(world, "brooklyn.webconsole.security.users=plain, salted\n"
                              "brooklyn.webconsole.security.user.plain.password=pw\n"
                              f"brooklyn.webconsole.security.user.salted.salt={salt}\n"
                              f"brooklyn.webconsole.security.user.salted.sha256={digest}\n")
    node = world.node(world.mount(world.share()), options=("--localBrooklynProperties", users))
    node.wait_state("MASTER", user="plain:pw")

    expect_equal(node.state(f"salted:{password}"), "MASTER", "state for the salted user")
    for user in None, "plain:wrong", "nobody:pw", "salted:pw", "plain:", ":":
        status, headers, body = node.http("/v1/server/ha/state", user=user)
        expect_equal(status, 401, f"status for {user}")
        expect("Basic" in headers["WWW-Authenticate"], "WWW-Authenticate asks for Basic")
        expect_equal(json.loads(body)["error"], 401, f"error in the answer for {user}")


@check
def unknown_paths_and_methods_are_answered_in_json(world):
    node = world.node(world.mount(world.share()))
    node.wait_state("MASTER")

    for method, path, expected in (("GET", "/v1/server/ha/nothing", 404), ("GET", "/", 404),
                                   ("DELETE", "/v1/server/ha/state", 405),
                                   ("PUT", "/v1/server/ha/states", 405)):
        status, headers, body = node.http(path, method)
        expect_equal(status, expected, f"status of {method} {path}")
        expect("application/json" in headers["Content-Type"], f"{method} {path} answers JSON")
        expect_equal(json.loads(body)["error"], expected, f"error in the answer to {method} {path}")


@check
def status_shows_the_plane_and_tells_if_there_is_a_master(world):
    _, master, standby = two_nodes(world)
    servers = f"http://127.0.0.1:{master.port},http://127.0.0.1:{standby.port}"

    table = world.run(HOLDFAST, "status", "--servers", servers)
    expect_equal(table.returncode, 0, "exit status of status with a master")
    for node in master, standby:
        expect(node.node_id() in table.stdout, f"{node.name} is in the table: {table.stdout}")
    answer = json.loads(world.run(HOLDFAST, "status", "--json", "--servers", servers).stdout)
    expect_equal(answer["masterId"], master.node_id(), "masterId of status --json")

    nobody = world.run(HOLDFAST, "status", "--servers", "http://127.0.0.1:1")
    expect(nobody.returncode != 0, "exit status of status without a server")
    expect(nobody.stderr, "a message says why")


if __name__ == "__main__":
    main()
