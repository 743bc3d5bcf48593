"""A folder of hooks for one node, which report what they are told."""
from harness import PATIENCE_S, wait_until

# One line a call; the time is CLOCK_BOOTTIME, one for all nodes of the test.
REPORT = """#!/bin/sh
echo "${0##*/} $HOLDFAST_PREVIOUS $HOLDFAST_STATE $HOLDFAST_EPOCH $HOLDFAST_NODE_ID" \
"$HOLDFAST_DEADLINE_MS $(cut -d' ' -f1 /proc/uptime) <$HOLDFAST_MASTER_URI> $HOLDFAST_REASON" >>"%s"
"""


class Hooks:
    """A folder of hooks for one node, and what they have reported."""

    def __init__(self, world, name, **scripts):
        self.folder = world.folder / name
        self.folder.mkdir(mode=0o755)
        self.log = world.folder / f"{name}.calls"
        self.log.touch()
        for hook in "on-promote", "on-demote", "on-state-change":
            self.write(hook, scripts.get(hook.replace("-", "_"), REPORT % self.log))

    def write(self, hook, text, mode=0o755):
        path = self.folder / hook
        path.write_text(text)
        path.chmod(mode)

    def calls(self):
        return [line.split(maxsplit=8) for line in self.log.read_text().splitlines()]

    def changes(self):
        """Which hook, and from what to what."""
        return [tuple(call[:3]) for call in self.calls()]

    def wait_for(self, hook, state, limit_s=PATIENCE_S):
        return wait_until(lambda: [call for call in self.calls() if call[0] == hook and call[2] == state],
                          limit_s, f"{hook} for {state}; so far {self.changes()}")[-1]
