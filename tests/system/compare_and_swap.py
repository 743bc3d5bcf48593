#!/usr/bin/python3
"""Nothing that was acknowledged is lost and no epoch is granted twice, whoever commits at the same time.

Eight processes on four mounts commit 4,000 records in total.  Each record raises its node's beat by one,
and so does each grant of `master`, which they claim and release in between: the beats count the commits.
A mount that starts afterwards, from the newest image and the changes after it, must arrive at the very
same database.
"""
import errno
import os
import random
import re

from harness import LIAR, SEED, Record, check, expect, expect_equal, main, scaled

MOUNTS = 4
PROCESSES = 8
RECORDS = 4000
RECORDS_PER_CLAIM = 10
LIES_PERMILLE = 200
LIMIT_S = 240


def release(mount):
    """Until the mount says that the lease is not ours any more."""
    for _ in range(100):
        try:
            mount.release()
            return
        except PermissionError:
            return
        except OSError:
            pass
    raise AssertionError("the lease could not be released in 100 attempts")


def commit_many(mount, node_id, count, claims, seed):
    """Writes versions 1 .. count, each until it is acknowledged, and claims `master` now and then."""
    writer = Record(mount, node_id)
    dice = random.Random(seed)
    attempts = unclear = 0
    epochs = []
    for number in range(1, count + 1):
        while True:
            attempts += 1
            try:
                writer.beat(localTimestamp=number)
                break
            except OSError:
                expect(attempts < 20 * count, "the share acknowledges next to nothing")
        if claims and dice.randrange(RECORDS_PER_CLAIM) == 0:
            try:
                epochs.append(mount.claim(node_id))
            except OSError as error:
                if error.errno == errno.EBUSY:
                    continue
                unclear += 1
            release(mount)
    return {"attempts": attempts, "epochs": epochs, "unclear": unclear}


def race(world, options=(), env=None, truthful=True):
    share = world.share()
    # The plane is created without lies: a mount that cannot create one may well refuse to start.
    world.mount(share, name="first", options=options).unmount()
    mounts = [world.mount(share, options=options, env=env) for _ in range(MOUNTS)]
    per_process = scaled(RECORDS // PROCESSES, 20)
    node_ids = [f"node{i}" for i in range(PROCESSES)]
    # One claimant a mount: a release gives back whatever lease the mount's nodes hold.
    workers = [world.worker(commit_many, mounts[i % MOUNTS], node_id, per_process, i < MOUNTS, SEED + i)
               for i, node_id in enumerate(node_ids)]
    results = [worker.result(LIMIT_S) for worker in workers]

    granted = [epoch for result in results for epoch in result["epochs"]]
    unclear = sum(result["unclear"] for result in results)
    attempts = sum(result["attempts"] for result in results)
    expect(granted, "some claims were granted")
    expect_equal(len(set(granted)), len(granted), "epochs that were granted once")
    for result in results:
        expect_equal(result["epochs"], sorted(result["epochs"]), "epochs in the order of their grants")

    late = world.mount(share, name="late")
    generation = max(mount.plane()["generation"] for mount in [*mounts, late])
    for mount in [*mounts, late]:
        mount.wait_generation(generation)
    planes = [mount.plane() for mount in [*mounts, late]]
    dumps = [mount.dump() for mount in [*mounts, late]]
    for mount, plane, dump in zip([*mounts, late], planes, dumps):
        for node_id, result in zip(node_ids, results):
            node = plane["nodes"][node_id]
            where = f"{node_id} on {mount.name}"
            expect_equal(node["record"]["localTimestamp"], per_process, f"last version of {where}")
            grants = len(result["epochs"])
            least, most = per_process + grants, result["attempts"] + grants + result["unclear"]
            expect(least <= node["beat"] <= most,
                   f"beat of {where}: {node['beat']}, acknowledged {least}, attempted {most}")
        epoch = plane["leases"]["master"]["epoch"]
        expect(max(granted) <= epoch and len(granted) <= epoch <= len(granted) + unclear,
               f"epoch on {mount.name}: {epoch}, granted {len(granted)}, unclear {unclear}")
        expect_equal(plane["problem"], None, f"problem on {mount.name}")
        expect(dump == dumps[0], f"the database of {mount.name} differs from that of {mounts[0].name}")
    if truthful:
        expect_equal((attempts, unclear), (per_process * PROCESSES, 0), "attempts, and unclear claims")
    print(f"      {per_process * PROCESSES} records acknowledged in {attempts} attempts, "
          f"{len(granted)} epochs, generation {generation}")
    for worker in workers:
        worker.end()
    return mounts


def liars(world, options=()):
    mounts = race(world, options, truthful=False, env={
        "LD_PRELOAD": str(LIAR), "LIAR_SEED": str(SEED), "LIAR_PERMILLE": str(LIES_PERMILLE),
        # A sanitizer's runtime wants to be the first library; the shim before it does no harm.
        "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0",
    })
    for mount in mounts:
        expect_equal(mount.unmount(), 0, f"exit status of {mount.name}")
        lies = re.search(r"liar: (\d+) calls, (\d+) lies", mount.log_text())
        expect(lies and int(lies[2]) > 0, f"{mount.name} was lied to")


@check
def changes_in_links(world):
    race(world)


@check
def images_only(world):
    race(world, options=["images_only"])


@check
def changes_in_links_on_a_share_that_lies(world):
    liars(world)


@check
def images_only_on_a_share_that_lies(world):
    liars(world, options=["images_only"])


if __name__ == "__main__":
    main()
