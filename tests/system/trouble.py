"""One machine's way to the share, which can be put in trouble while the mount runs."""
import os

from harness import STALL


class Trouble:
    """What World.mount() is to be given as env, and the switch: a word of tests/lib/stall.c, or none."""

    def __init__(self, world, name):
        self.path = world.folder / f"{name}.trouble"
        self.env = {
            "LD_PRELOAD": str(STALL), "STALL_FILE": str(self.path),
            # A sanitizer's runtime wants to be the first library; the shim before it does no harm.
            "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:verify_asan_link_order=0",
        }
        self.be("")

    def be(self, what):
        """At once for whoever looks: no moment with half a word."""
        staged = self.path.with_suffix(".new")
        staged.write_text(what)
        staged.rename(self.path)
