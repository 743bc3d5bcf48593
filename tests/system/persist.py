#!/usr/bin/python3
"""launch --persist: what of the persisted state is kept, cleared, or asked for."""
import signal

from harness import PATIENCE_S, check, expect, expect_equal, fingerprint, main, wait_until

TIMEOUT, POLL = "3s", "250ms"


def state_on(share):
    """As a Brooklyn would have left it there."""
    for name in "entities/a1b2c3", "locations/d4e5f6", "brooklyn.properties":
        path = share / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"state of {name}\n")


def is_empty(share):
    return sorted(entry.name for entry in share.iterdir()) == [".holdfast"]


def launch(world, mount, persist, mode="auto"):
    return world.node(mount, mode=mode, options=("--persist", persist))


def expect_refusal(world, mount, persist, needle):
    node = launch(world, mount, persist)
    expect(node.wait() > 0, f"--persist {persist} ends with an error")
    world.announce_error(needle)
    expect(needle in node.log_text(), f"it says why: {node.log_text()}")


@check
def clean_removes_what_is_there_once_it_is_master(world):
    share = world.share()
    mount = world.mount(share, timeout=TIMEOUT, poll=POLL)
    state_on(share)

    launch(world, mount, "clean").wait_state("MASTER")
    wait_until(lambda: is_empty(share), PATIENCE_S, "all state is gone")


@check
def clean_is_refused_beside_a_live_master(world):
    share = world.share()
    mounts = [world.mount(share, timeout=TIMEOUT, poll=POLL) for _ in range(2)]
    state_on(share)
    master = launch(world, mounts[0], "auto", "master")
    master.wait_state("MASTER")
    before = fingerprint(share / "entities")

    wait_until(lambda: mounts[1].plane()["leases"]["master"]["holder"], PATIENCE_S, "the other mount knows")
    expect_refusal(world, mounts[1], "clean", "live master")
    expect_equal(fingerprint(share / "entities"), before, "the master's state")
    expect_equal(master.state(), "MASTER", "state of the master")


@check
def clean_removes_once_and_keeps_what_another_master_has_written(world):
    share = world.share()
    mounts = [world.mount(share, timeout=TIMEOUT, poll=POLL) for _ in range(2)]
    late = launch(world, mounts[0], "clean")
    late.wait_state("MASTER")
    late.signal(signal.SIGSTOP)
    state_on(share)
    other = launch(world, mounts[1], "auto")
    other.wait_state("MASTER")
    before = fingerprint(share / "entities")

    late.signal(signal.SIGCONT)
    late.wait_state("STANDBY")
    other.kill()
    late.wait_state("MASTER")
    expect_equal(fingerprint(share / "entities"), before, "the state of the master before it")


@check
def rebind_wants_state_and_keeps_it(world):
    share = world.share()
    mount = world.mount(share, timeout=TIMEOUT, poll=POLL)
    expect_refusal(world, mount, "rebind", "directory is empty")
    state_on(share)
    before = fingerprint(share / "entities")

    launch(world, mount, "rebind").wait_state("MASTER")
    expect_equal(fingerprint(share / "entities"), before, "the state")


if __name__ == "__main__":
    main()
