#!/usr/bin/python3
"""Whenever a committing mount is killed, the share is whole and has all that was acknowledged.

1,000 mounts, two at a time on each of four shares, commit changes and images as fast as they can until
kill -9 ends them at a random instant, some while they start.  After each kill the chain is verified, and
the record that the dead mount wrote is the last one it was told was written, or the one after that.
"""
import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time

from harness import (HOLDFAST, LIBC, MNT_DETACH, PATIENCE_S, SEED, Record, check, expect, expect_equal, main,
                     scaled, wait_until)

SHARES = 4
LANES = 8
KILLS = 1000
LIMIT_S = 280

# Instants of the kill, counted from the start of the process or from its first commit.
STARTING_S = 0.08
COMMITTING_S = 0.1

# Longer than a link's target: its generation is an image.
PADDING = "x" * 1200

DEAD_FOR_S = 3600


def output(*argv):
    return subprocess.run([str(word) for word in argv], check=True, capture_output=True, text=True,
                          timeout=PATIENCE_S).stdout


def commit_until_killed(mount, node_id, dice):
    """The number of the last record that was acknowledged, and of the last that was tried."""
    acknowledged = tried = 0
    with contextlib.suppress(OSError):
        record = Record(mount, node_id)
        while True:
            tried += 1
            record.beat(number=tried, padding=PADDING if dice.randrange(8) == 0 else "")
            acknowledged = tried
    return acknowledged, tried


def number_on_share(share, node_id):
    rows = json.loads(output(HOLDFAST, "index", "sql", share,
                             f"select record from node where id = '{node_id}'", "--json"))
    return json.loads(rows[0]["record"])["number"] if rows else 0


def one_kill(world, share, name, dice):
    """Returns how many records were acknowledged."""
    mount = world.mount(share, name=name, timeout="3s", poll="500ms", wait=False)
    acknowledged = tried = 0
    if dice.randrange(5) == 0:
        time.sleep(dice.uniform(0, STARTING_S))
        mount.kill()
    else:
        mount.wait_mounted()
        end = threading.Timer(dice.uniform(0, COMMITTING_S), mount.signal, [signal.SIGKILL])
        end.start()
        acknowledged, tried = commit_until_killed(mount, name, dice)
        end.join()
        expect_equal(mount.wait(), -signal.SIGKILL, f"end of {name}")
    LIBC.umount2(os.fsencode(mount.point), MNT_DETACH)
    if (share / ".holdfast/gen").exists() and any((share / ".holdfast/gen").iterdir()):
        output(HOLDFAST, "index", "verify", share)
        found = number_on_share(share, name)
        expect(acknowledged <= found <= tried,
               f"{name}: record {found} is there, {acknowledged} was acknowledged, {tried} tried")
    return acknowledged


def lane(world, share, number, kills):
    dice = random.Random(SEED + number)
    return sum(one_kill(world, share, f"lane{number}-{i}", dice) for i in range(kills))


def staging_files(share):
    return list((share / ".holdfast/tmp").iterdir())


@check
def at_a_thousand_instants(world):
    shares = [world.share(f"share{i}") for i in range(SHARES)]
    kills = scaled(KILLS / LANES)
    workers = [world.worker(lane, world, shares[i % SHARES], i, kills) for i in range(LANES)]
    acknowledged = sum(worker.result(LIMIT_S) for worker in workers)
    left = sum(len(staging_files(share)) for share in shares)
    expect(acknowledged > kills, f"{acknowledged} records were acknowledged")

    # Time passes; then whoever mounts finds that those files belong to nobody any more.
    long_ago = time.time() - DEAD_FOR_S
    for share in shares:
        for file in staging_files(share):
            os.utime(file, (long_ago, long_ago), follow_symlinks=False)
        mount = world.mount(share)
        expect_equal(mount.plane()["problem"], None, f"problem of {share.name}")
        wait_until(lambda: not staging_files(share), PATIENCE_S,  # pylint: disable=cell-var-from-loop
                   f"no staging files in {share.name}")
    print(f"      {kills * LANES} kills, {acknowledged} records acknowledged, {left} staging files left")


if __name__ == "__main__":
    main()
