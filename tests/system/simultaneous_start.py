#!/usr/bin/python3
"""Nodes that start at the same instant: one of them becomes MASTER, the other one STANDBY."""
from harness import PATIENCE_S, check, expect, expect_equal, main, scaled, wait_until

ROUNDS_ON_ONE_PLANE = 40
ROUNDS_ON_NEW_PLANES = 10
TIMEOUT, POLL = "2s", "200ms"


def start_both(world, mounts):
    """Two daemons at once; returns them when they have settled, the master first."""
    nodes = [world.node(mount) for mount in mounts]

    def settled():
        states = []
        for node in nodes:
            expect(node.is_running(), f"{node.name} ended: {node.log_text()}")
            states.append(node.state())
        # Asked one after the other, and nothing hands over here: two answers are two masters.
        expect(states.count("MASTER") < 2, "two masters")
        return sorted(states) == ["MASTER", "STANDBY"]
    wait_until(settled, PATIENCE_S, "one MASTER and one STANDBY")
    for _ in range(20):
        expect(settled(), "they stay what they are")
    return sorted(nodes, key=lambda node: node.state())


@check
def on_a_plane_that_exists(world):
    share = world.share()
    mounts = [world.mount(share, timeout=TIMEOUT, poll=POLL) for _ in range(2)]
    epoch = wins = 0
    for _ in range(scaled(ROUNDS_ON_ONE_PLANE, 3)):
        master, standby = start_both(world, mounts)

        states = master.states()
        expect_equal(states["masterId"], states["ownId"], "masterId")
        wait_until(lambda: standby.states()["masterId"] == states["ownId"], PATIENCE_S,
                   "both agree on the master")
        lease = mounts[0].plane()["leases"]["master"]
        expect_equal(lease["epoch"], epoch + 1, "epoch: one grant a round")
        epoch = lease["epoch"]
        wins += master is world.processes[-2]
        for node in standby, master:
            expect_equal(node.terminate(), 0, f"exit status of {node.name}")
    print(f"      {epoch} rounds, {wins} won by the first")


@check
def on_a_plane_that_they_create(world):
    for number in range(scaled(ROUNDS_ON_NEW_PLANES, 2)):
        share = world.share(f"share{number}")
        mounts = [world.mount(share, timeout=TIMEOUT, poll=POLL, wait=False) for _ in range(2)]
        for mount in mounts:
            mount.wait_mounted()

        nodes = start_both(world, mounts)

        expect_equal(len({mount.plane()["planeId"] for mount in mounts}), 1, "planes that were created")
        for mount in mounts:
            # The standby's may not have looked yet.
            wait_until(lambda m=mount: m.plane()["leases"]["master"]["epoch"] == 1, PATIENCE_S, "epoch 1")
        for node in reversed(nodes):
            expect_equal(node.terminate(), 0, f"exit status of {node.name}")
        for mount in mounts:
            expect_equal(mount.unmount(), 0, f"exit status of {mount.name}")


if __name__ == "__main__":
    main()
