#!/usr/bin/python3
"""Two nodes on two machines ask for the same lease at the same instant: one of them gets it."""
import errno
import multiprocessing

from harness import PATIENCE_S, Record, check, errno_of, expect, expect_equal, main, scaled, wait_until

ROUNDS = 500
LIMIT_S = 200


def claim_in_rounds(mount, node_id, rounds, barrier):
    """The outcome of each round: the epoch of the grant, or the name of the error."""
    writer = Record(mount, node_id)
    outcomes = []
    for number in range(rounds):
        writer.beat(localTimestamp=number)
        barrier.wait(PATIENCE_S)
        try:
            outcome = mount.claim(node_id)
        except OSError as error:
            outcome = errno.errorcode[error.errno]
        outcomes.append(outcome)
        barrier.wait(PATIENCE_S)
        if isinstance(outcome, int):
            mount.release()
        barrier.wait(PATIENCE_S)
    return outcomes


@check
def one_of_two_claimants_wins_each_round(world):
    share = world.share()
    mounts = [world.mount(share) for _ in range(2)]
    rounds = scaled(ROUNDS, 20)
    barrier = multiprocessing.Barrier(2)
    workers = [world.worker(claim_in_rounds, mount, f"node{i}", rounds, barrier)
               for i, mount in enumerate(mounts)]
    first, second = (worker.result(LIMIT_S) for worker in workers)

    epoch = 0
    for number, pair in enumerate(zip(first, second)):
        grants = [outcome for outcome in pair if isinstance(outcome, int)]
        expect_equal(len(grants), 1, f"winners of round {number} {pair}")
        expect("EBUSY" in pair, f"the loser of round {number} got {pair}")
        expect(grants[0] > epoch, f"epoch of round {number}: {grants[0]} after {epoch}")
        epoch = grants[0]
    wins = sum(isinstance(outcome, int) for outcome in first)
    print(f"      {rounds} rounds, {wins} won by the first, last epoch {epoch}")
    for mount in mounts:
        mount.wait_generation(max(mount.plane()["generation"] for mount in mounts))
        expect_equal(mount.plane()["leases"]["master"]["epoch"], epoch, f"epoch on {mount.name}")


@check
def whoever_may_not_claim_is_told_why(world):
    share = world.share()
    mounts = [world.mount(share) for _ in range(2)]
    holder, other = (Record(mount, f"node{i}") for i, mount in enumerate(mounts))
    holder.beat()
    other.beat()
    mounts[0].wait_generation(mounts[1].plane()["generation"])
    mounts[1].wait_generation(mounts[0].plane()["generation"])

    expect_equal(errno_of(mounts[0].claim, "node1"), "EPERM", "claim for another machine's node")
    expect_equal(errno_of(mounts[0].claim, "nobody"), "EPERM", "claim for an unknown node")
    epoch = mounts[0].claim("node0")
    expect_equal(errno_of(mounts[1].claim, "node1"), "EBUSY", "claim while the holder is alive")
    expect_equal(errno_of(mounts[1].release), "EPERM", "release of another machine's lease")
    expect_equal((mounts[1].point / "master").read_text().strip(), "node0", "holder as the other reads it")
    expect(mounts[0].claim("node0") > epoch, "a repeated claim of the holder is granted anew")

    holder.beat("TERMINATED")
    expect(mounts[1].claim("node1") > epoch, "claim after the holder said farewell")


@check
def the_death_of_the_holder_frees_its_lease(world):
    share = world.share()
    mounts = [world.mount(share) for _ in range(2)]
    holder, other = (Record(mount, f"node{i}") for i, mount in enumerate(mounts))
    holder.beat()
    other.beat()
    mounts[0].claim("node0")

    holder.close()

    # The kernel tells the mount of the death after close(2) has returned.
    wait_until(lambda: errno_of(mounts[1].claim, "node1") != "EBUSY", 2, "the lease of the dead is free")
    expect_equal(mounts[1].plane()["leases"]["master"]["holder"], "node1", "holder afterwards")
    expect_equal(mounts[1].plane()["nodes"]["node0"]["record"]["status"], "FAILED", "status of the dead")


if __name__ == "__main__":
    main()
