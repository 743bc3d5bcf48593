"""What every benchmark uses: the command line, a folder to measure in, loads, tables, goals, the machine.

A benchmark is a function that takes a Bench, and is run by main().  Shares, mounts and other processes
come from tests/system/harness.py and end as they do there: whatever happens, nothing is left running,
mounted or on disk.
"""
import argparse
import contextlib
import errno
import json
import math
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))

# pylint: disable=wrong-import-position
from harness import BUILD, HOLDFAST, PATIENCE_S, SOURCE, World, expect, why_not

LOAD = BUILD / "tests/bench/load"
PEERS = BUILD / "bench-peers"
IN_MEMORY = ("tmpfs", "ramfs")
LIBRARIES = ("libfuse3-3", "libsqlite3-0", "libjansson4", "libnettle8", "libc6")


def output(*argv):
    """Of a command that must work, one text without the end of line."""
    return subprocess.run([str(word) for word in argv], check=True, capture_output=True, text=True,
                          timeout=PATIENCE_S).stdout.strip()


def first_match(path, pattern):
    match = re.search(pattern, Path(path).read_text(), re.M)
    return match[1] if match else None


def percentile(ordered, share):
    """Nearest rank: a value that occurred, and not below it."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def latencies(values_ms):
    ordered = sorted(values_ms)
    return {"p50_ms": percentile(ordered, 0.5), "p99_ms": percentile(ordered, 0.99),
            "max_ms": ordered[-1]}


class Load:
    """One run of the load generator: what its committers did."""

    def __init__(self, text, committers, seconds):
        rows = [tuple(map(int, line.split())) for line in text.splitlines()]
        self.failed = sum(error != 0 for *_, error in rows)
        self.errors = sorted({errno.errorcode[error] for *_, error in rows if error})
        done = [(who, end_ns, latency_ns) for who, end_ns, latency_ns, error in rows if not error]
        self.seconds = seconds or max((end_ns for _, end_ns, _ in done), default=0) / 1e9
        # What ended after the time was over belongs to no second that is counted.
        done = [row for row in done if row[1] <= self.seconds * 1e9]
        expect(done, f"no commit within {self.seconds} s; errors: {self.errors}")
        self.latencies_ms = [latency_ns / 1e6 for *_, latency_ns in done]
        counts = [0] * committers
        for who, *_ in done:
            counts[who] += 1
        self.rate = len(done) / self.seconds
        self.least_rate = min(counts) / self.seconds

    def figures(self):
        return {"rate": self.rate, "least_rate": self.least_rate, **latencies(self.latencies_ms),
                "failed": self.failed, "errors": self.errors}


def medians(runs):
    """Of each figure over the runs; failures are added up."""
    middle = {key: statistics.median(run[key] for run in runs)
              for key in runs[0] if key not in ("failed", "errors")}
    return {**middle, "failed": sum(run["failed"] for run in runs),
            "errors": sorted({error for run in runs for error in run["errors"]})}


def text_of(value):
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"
    return "-" if value is None else str(value)


class Bench:
    """One session: its options, what was measured so far, the goals."""

    def __init__(self, name, options):
        self.name = name
        self.quick = options.quick
        self.peers = options.peers
        self.folder = Path(options.dir).resolve() if options.dir else BUILD / "bench-work"
        self.folder.mkdir(parents=True, exist_ok=True)
        # ext4 puts what is made in it far apart: its search for a free inode slows down where many
        # were freed lately, and no contender is to pay for another one's.
        subprocess.run(["chattr", "+T", self.folder], check=False, stderr=subprocess.DEVNULL)
        # Where World makes its folders.
        os.environ["TMPDIR"] = str(self.folder)
        self.worlds = []
        self.report = {"bench": name, "quick": self.quick, "machine": self.machine(), "goals": []}

    def machine(self):
        source, kind, mounted = output("findmnt", "-n", "-o", "SOURCE,FSTYPE,OPTIONS",
                                       "-T", self.folder).split()
        build = {option["name"]: option["value"] for option in
                 json.loads(output("meson", "introspect", "--buildoptions", BUILD))}
        versions = dict(re.findall(r"^(\S+)\t(\S+)$", output(
            "dpkg-query", "-W", "-f", "${Package}\t${Version}\n", *LIBRARIES), re.M))
        commit = "unknown"
        with contextlib.suppress(subprocess.CalledProcessError, OSError):
            commit = output("git", "-C", SOURCE, "describe", "--always", "--dirty")
        return {
            "cpu": first_match("/proc/cpuinfo", r"^model name\s*: (.*)$"),
            "cores": os.cpu_count(),
            "memory_mib": int(first_match("/proc/meminfo", r"^MemTotal:\s*(\d+)")) // 1024,
            "kernel": platform.release(),
            "file_system": kind, "device": source, "mount_options": mounted,
            # Only of ext4: without one, all that a change of names touches is written in its place.
            "journal": kind != "ext4" or any(
                Path("/proc/fs/jbd2").glob(f"{Path(source).resolve().name}-*")),
            "load_before": os.getloadavg()[0],
            "holdfast": output(HOLDFAST, "--version"), "commit": commit,
            "build": {key: build[key] for key in ("buildtype", "optimization", "b_ndebug",
                                                  "b_sanitize")},
            "libraries": versions,
        }

    def print_machine(self):
        machine = self.report["machine"]
        print(f"{self.name}: {machine['holdfast']} ({machine['commit']}), "
              f"build {machine['build']['buildtype']} -O{machine['build']['optimization']}, "
              f"sanitizers {machine['build']['b_sanitize']}")
        print(f"machine: {machine['cores']} x {machine['cpu']}, {machine['memory_mib']} MiB, "
              f"Linux {machine['kernel']}, load {machine['load_before']:.2f}")
        print("libraries: " + ", ".join(f"{name} {version}"
                                        for name, version in machine["libraries"].items()))
        without = "" if machine["journal"] else " without journal"
        print(f"file system: {machine['file_system']}{without} on {machine['device']} "
              f"({machine['mount_options']}), {self.folder}")
        if machine["file_system"] in IN_MEMORY:
            print("WARNING: that is memory.  Nothing here is durable, and no figure says anything "
                  "about a disk.")
        if machine["build"]["b_sanitize"] != "none":
            print("WARNING: a build with sanitizers is several times slower.")

    @contextlib.contextmanager
    def world(self, name):
        """A folder with processes, which must end cleanly.  It is removed at the end of the session."""
        world = World(name)
        self.worlds.append(world)
        try:
            yield world
            world.end_cleanly()
            world.check_logs()
        except Exception:
            world.print_logs()
            raise
        finally:
            world.close()

    def load(self, world, kind, targets, seconds=None, commits=None, period_ms=None):
        """Run the generator with a committer for each of the targets, node: where."""
        argv = [LOAD]
        for option, value in (("-s", seconds), ("-n", commits), ("-p", period_ms)):
            if value:
                argv += [option, value]
        limit_s = (seconds or 0) + (commits or 0) / 10 + 3 * PATIENCE_S
        result = world.run(*argv, kind, *(f"{node}={where}" for node, where in targets.items()),
                           limit_s=limit_s)
        expect(result.returncode == 0, f"load {kind}: {result.stderr}")
        return Load(result.stdout, len(targets), seconds)

    def table(self, title, columns, rows):
        """Figures to the right, words to the left."""
        cells = [list(columns)] + [[text_of(value) for value in row] for row in rows]
        widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
        words = [all(isinstance(row[i], str) for row in rows) for i in range(len(columns))]
        print(f"\n{title}\n")
        for line in cells:
            print("  " + "  ".join(
                text.ljust(width) if is_word else text.rjust(width)
                for text, width, is_word in zip(line, widths, words)).rstrip())

    def goal(self, name, measured, comparison, target):
        met = measured >= target if comparison == ">=" else measured <= target
        self.report["goals"].append({"name": name, "measured": measured, "comparison": comparison,
                                     "target": target, "met": met})

    def remove_worlds(self):
        for world in self.worlds:
            world.remove()

    def print_goals(self, json_file):
        print()
        for goal in self.report["goals"]:
            print(f"goal {goal['name']} {text_of(goal['measured'])} {goal['comparison']} "
                  f"{goal['target']} {'met' if goal['met'] else 'missed'}")
        if json_file:
            json.dump(self.report, json_file, indent=2)


def find_program(name, package, may_install):
    """On the PATH, or from a Debian package that --peers unpacks in the build folder; None: nowhere."""
    unpacked = PEERS / package
    if may_install and not unpacked.exists():
        # Unpacked, not installed: an installed server would be started, now and at each boot.
        PEERS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=PEERS) as folder:
            subprocess.run(["apt-get", "-q", "download", package], cwd=folder, check=True,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
            deb, = Path(folder).glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", deb, Path(folder) / "root"], check=True, timeout=60)
            (Path(folder) / "root").rename(unpacked)
    for folder in [*os.environ["PATH"].split(":"), unpacked / "usr/bin"]:
        if os.access(Path(folder) / name, os.X_OK):
            return Path(folder) / name
    return None


def main(function, text):
    parser = argparse.ArgumentParser(prog=f"bench {function.__name__}", description=text,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true",
                        help="get the peers that are missing, into the build folder")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--dir", help="where the shares are: this file system is measured")
    parser.add_argument("--json", metavar="FILE", type=argparse.FileType("w"),
                        help="write everything that was measured")
    options = parser.parse_args()
    reason = why_not()
    if reason:
        sys.exit(f"bench: {reason}")

    def end(number, _frame):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGTERM, end)

    bench = Bench(function.__name__, options)
    bench.print_machine()
    try:
        function(bench)
        bench.print_goals(options.json)
    finally:
        sys.stdout.flush()
        bench.remove_worlds()
