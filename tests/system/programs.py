#!/usr/bin/python3
"""Hooks and the command of --exec: who is told of what, when, and that nothing outlives the lease."""
import os
import signal
import time

from harness import HOLDFAST, PATIENCE_S, check, expect, expect_equal, main, seconds, wait_until
from hookfolder import Hooks

TIMEOUT, POLL = "3s", "500ms"

def options(hooks):
    return "--hooks", hooks.folder


def is_running(pid):
    try:
        return open(f"/proc/{pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids_in(path):
    return [int(word) for word in path.read_text().split()] if path.exists() else []


@check
def hooks_are_told_of_every_change_in_order(world):
    hooks = Hooks(world, "hooks")
    node = world.node(world.mount(world.share(), timeout=TIMEOUT, poll=POLL), options=options(hooks))
    node.wait_state("MASTER")
    hooks.wait_for("on-state-change", "MASTER")
    node_id = node.node_id()
    expect_equal(node.terminate(), 0, "exit status")

    # The daemon has waited for them.
    expect_equal(hooks.changes(), [
        ("on-state-change", "INITIALIZING", "STANDBY"),
        ("on-promote", "STANDBY", "MASTER"), ("on-state-change", "STANDBY", "MASTER"),
        ("on-demote", "MASTER", "TERMINATED"), ("on-state-change", "MASTER", "TERMINATED")], "calls")
    standby, promote, _, demote, _ = hooks.calls()
    expect_equal((standby[3], promote[3], demote[3]), ("0", "1", "1"), "epochs")
    expect_equal({call[4] for call in hooks.calls()}, {node_id}, "node id")
    expect_equal(promote[5], "3000", "time limit")
    expect_equal(promote[7].endswith(f":{node.port}/>"), True, "URI of the master has the port")
    expect_equal(demote[8], "it was told to stop", "reason")


@check
def a_hung_hook_delays_nothing_and_is_killed_with_its_group(world):
    pids = world.folder / "pids"
    hang = f"#!/bin/sh\nsleep 1000 &\necho $$ $! >{pids}\nwait\n"
    hooks = Hooks(world, "hooks", on_promote=hang)
    mount = world.mount(world.share(), timeout="60s", poll=POLL)
    node = world.node(mount, options=options(hooks))
    node.wait_state("MASTER")
    hung = wait_until(lambda: len(pids_in(pids)) == 2 and pids_in(pids), PATIENCE_S, "on-promote runs")

    expect_equal(node.state(), "MASTER", "state while a hook hangs")
    expect_equal(node.terminate(), 0, "exit status")

    # The limit is a minute: it was the demotion that ended it, and nothing of what waited was run.
    wait_until(lambda: not any(map(is_running, hung)), PATIENCE_S, "the hung hook and its child are gone")
    expect_equal(hooks.changes()[1:], [("on-demote", "MASTER", "TERMINATED"),
                                       ("on-state-change", "MASTER", "TERMINATED")], "calls")


@check
def a_hook_is_killed_when_its_time_is_over(world):
    pids = world.folder / "pids"
    hooks = Hooks(world, "hooks", on_promote=f"#!/bin/sh\nsleep 1000 &\necho $$ $! >{pids}\nwait\n")
    node = world.node(world.mount(world.share(), timeout=TIMEOUT, poll=POLL), options=options(hooks))
    node.wait_state("MASTER")

    hooks.wait_for("on-state-change", "MASTER")
    expect(not any(map(is_running, pids_in(pids))), "the hook and its child are gone")
    expect_equal(node.state(), "MASTER", "state afterwards")


@check
def output_of_a_hook_is_logged_line_by_line_and_bounded(world):
    hooks = Hooks(world, "hooks", on_promote="#!/bin/sh\necho first\necho second >&2\nexit 3\n",
                  on_state_change="#!/bin/sh\nseq 5000\nhead -c 5000 /dev/zero | tr '\\0' x\n")
    node = world.node(world.mount(world.share(), timeout="30s", poll=POLL), options=options(hooks))
    node.wait_state("MASTER")
    wait_until(lambda: node.log_text().count("too much output") == 2, PATIENCE_S, "two runs of on-state-change")
    expect_equal(node.terminate(), 0, "exit status")

    lines = node.log_text().splitlines()
    for text in "first", "second":
        expect(sum(f'of=on-promote line="{text}"' in line for line in lines) == 1, f"{text} is logged once")
    expect(any("a hook failed" in line and "exit status 3" in line for line in lines), "its failure is logged")
    expect_equal(sum("of=on-state-change line=" in line for line in lines), 3 * 200,
                 "lines of three runs of on-state-change")
    expect(max(map(len, lines)) < 2000, "no line is long")


@check
def hooks_that_others_could_write_are_not_run(world):
    mount = world.mount(world.share(), timeout=TIMEOUT, poll=POLL)
    hooks = Hooks(world, "hooks")
    hooks.folder.chmod(0o777)
    refused = world.node(mount, options=options(hooks))
    expect_equal(refused.wait(), 3, "exit status with hooks that all may write")
    expect("may be written by others" in refused.log_text(), f"why: {refused.log_text()}")
    relative = world.node(mount, options=("--hooks", "hooks"))
    expect_equal(relative.wait(), 3, "exit status with a relative path")

    hooks.folder.chmod(0o755)
    (hooks.folder / "on-promote").chmod(0o777)
    os.chown(hooks.folder / "on-demote", 4711, 4711)
    world.announce_error("a hook may not be run")
    node = world.node(mount, options=options(hooks))
    node.wait_state("MASTER")
    hooks.wait_for("on-state-change", "MASTER")
    expect_equal(node.terminate(), 0, "exit status")
    expect_equal({change[0] for change in hooks.changes()}, {"on-state-change"}, "hooks that were run")


def pair_with_hooks(world):
    share = world.share()
    hooks = [Hooks(world, f"hooks{i}") for i in range(2)]
    mounts = [world.mount(share, timeout=TIMEOUT, poll=POLL) for _ in range(2)]
    nodes = []
    for i, state in enumerate(("MASTER", "STANDBY")):
        nodes.append(world.node(mounts[i], options=options(hooks[i])))
        nodes[i].wait_state(state)
    hooks[0].wait_for("on-promote", "MASTER")
    return mounts, nodes, hooks


@check
def on_demote_is_run_for_a_daemon_that_was_killed(world):
    _, nodes, hooks = pair_with_hooks(world)
    nodes[0].kill()

    hooks[0].wait_for("on-demote", "FAILED")
    expect_equal(hooks[0].calls()[-1][8], "the daemon died", "reason")
    hooks[1].wait_for("on-promote", "MASTER")


@check
def on_demote_is_run_before_the_successor_promotes_though_the_daemon_is_stopped(world):
    _, nodes, hooks = pair_with_hooks(world)
    nodes[0].signal(signal.SIGSTOP)
    stopped_at = time.monotonic()

    demote = hooks[0].wait_for("on-demote", "FAILED")
    promote = hooks[1].wait_for("on-promote", "MASTER")
    print(f"      on-demote {float(promote[6]) - float(demote[6]):.2f} s before on-promote of the other")
    expect(float(demote[6]) <= float(promote[6]), f"on-demote at {demote[6]}, on-promote at {promote[6]}")
    expect(time.monotonic() - stopped_at > seconds(TIMEOUT) / 2, "the lease was not over before")

    nodes[0].signal(signal.SIGCONT)
    nodes[0].wait_state("STANDBY")
    hooks[0].wait_for("on-state-change", "STANDBY")
    expect_equal(sum(change[0] == "on-demote" for change in hooks[0].changes()), 1, "calls of on-demote")


def command(world, name, then="sleep 1000"):
    """
    Two of these at once, wherever, and the later one ends with status 99: what it starts holds the lock, too,
    also where it has left group and session.
    """
    lock, pids, starts = (world.folder / what for what in ("lock", f"{name}.pids", "starts"))
    return (f"exec flock -n -E 99 {lock} sh -c 'echo {name} $HOLDFAST_EPOCH $HOLDFAST_STATE >>{starts}; "
            f"setsid sleep 1000 & echo $$ $! >{pids}; {then}'")


def pair_with_commands(world, then="sleep 1000"):
    share = world.share()
    mounts = [world.mount(share, timeout=TIMEOUT, poll=POLL) for _ in range(2)]
    nodes = []
    for i, state in enumerate(("MASTER", "STANDBY")):
        nodes.append(world.node(mounts[i], options=("--exec", command(world, f"node{i}", then))))
        nodes[i].wait_state(state)
    wait_until(lambda: len(starts_of(world)) == 1, PATIENCE_S, "the master's command runs")
    return nodes


def starts_of(world):
    path = world.folder / "starts"
    return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []


def expect_handed_over(world, nodes):
    """The second node runs it now, and they never ran together."""
    nodes[1].wait_state("MASTER")
    wait_until(lambda: len(starts_of(world)) >= 2, PATIENCE_S, "the successor's command runs")
    expect_equal(starts_of(world), [("node0", "1", "MASTER"), ("node1", "2", "MASTER")], "starts")
    expect("ended by itself" not in nodes[1].log_text(), "the successor's command met nobody")
    expect(not any(map(is_running, pids_in(world.folder / "node0.pids"))), "nothing of the first one is left")
    expect(all(map(is_running, pids_in(world.folder / "node1.pids"))), "the second one runs")


@check
def the_command_has_ended_before_a_stopped_daemon_gives_the_lease_up(world):
    # It takes its time, but less than a fifth of the lease.
    ended = world.folder / "ended"
    nodes = pair_with_commands(world, f"trap \"sleep 0.2; date >{ended}; exit 0\" TERM; sleep 1000 & wait")
    expect_equal(nodes[0].terminate(), 0, "exit status")
    expect_handed_over(world, nodes)
    expect(ended.exists(), "it was given the time to end by itself")


@check
def a_command_that_ignores_sigterm_is_killed_before_the_lease_is_given_up(world):
    nodes = pair_with_commands(world, "trap \"\" TERM; while :; do sleep 1; done")
    expect_equal(nodes[0].terminate(), 0, "exit status")
    expect_handed_over(world, nodes)
    expect("the command is killed" in nodes[0].log_text(), "it was killed")


@check
def the_command_dies_with_all_its_descendants_when_the_daemon_is_killed(world):
    nodes = pair_with_commands(world, "trap \"\" TERM; while :; do sleep 1; done")
    nodes[0].kill()
    expect_handed_over(world, nodes)


@check
def the_command_is_dead_before_the_lease_of_a_stopped_daemon_ends(world):
    nodes = pair_with_commands(world)
    nodes[0].signal(signal.SIGSTOP)
    expect_handed_over(world, nodes)
    nodes[0].signal(signal.SIGCONT)
    nodes[0].wait_state("STANDBY")


@check
def the_command_is_killed_at_once_when_the_lease_is_taken_away(world):
    share = world.share()
    mounts = [world.mount(share, timeout="60s", poll=POLL) for _ in range(2)]
    # It had a fifth of the lease to end, if there still were one: 10.8 s.
    node = world.node(mounts[0], options=("--exec", command(world, "node0", "trap \"\" TERM; while :; do sleep 1; done")))
    node.wait_state("MASTER")
    pids = wait_until(lambda: pids_in(world.folder / "node0.pids"), PATIENCE_S, "the command runs")
    mounts[1].wait_generation(mounts[0].plane()["generation"])

    fenced = world.run(HOLDFAST, "fence", node.node_id(), "--mount", mounts[1].point, "--yes")
    expect_equal(fenced.returncode, 0, f"exit status of fence {fenced.stderr}")
    begun = time.monotonic()

    wait_until(lambda: not any(map(is_running, pids)), PATIENCE_S, "nothing of it is left")
    expect(time.monotonic() - begun < 10, f"it lived for {time.monotonic() - begun:.1f} s")


@check
def a_command_that_ends_is_started_again(world):
    starts = world.folder / "starts"
    node = world.node(world.mount(world.share(), timeout=TIMEOUT, poll=POLL), options=(
        "--exec", f"echo x >>{starts}; [ $(wc -l <{starts}) -ge 3 ] && exec sleep 1000; exit 7"))
    node.wait_state("MASTER")
    wait_until(lambda: starts.exists() and starts.read_text().count("x") == 3, PATIENCE_S, "three starts")
    expect_equal(node.state(), "MASTER", "state afterwards")
    expect("exit status 7" in node.log_text(), "how it ended is logged")


@check
def a_master_whose_command_ends_again_and_again_steps_down_for_good(world):
    share = world.share()
    mounts = [world.mount(share, timeout=TIMEOUT, poll=POLL) for _ in range(2)]
    world.announce_error("the command ends again and again|--exec ended again and again")
    failing = world.node(mounts[0], options=("--exec", "exit 1"))
    failing.wait_state("MASTER")
    other = world.node(mounts[1])

    failing.wait_state("FAILED", limit_s=2 * PATIENCE_S)
    other.wait_state("MASTER")
    expect("the command of --exec ended again and again" in failing.log_text(), "the reason is logged")
    expect_equal(failing.log_text().count("the command is started"), 5, "starts")


if __name__ == "__main__":
    main()
