"""What every system case uses: shares, mounts, daemons and worker processes, all ended whatever happens.

A case is a file of checks, functions marked @check that take a World.  Each check gets a World of its
own (a work folder with all logs), conditions are waited for with limits, and afterwards

- everything is ended cleanly and must do so, then whatever is left is killed and unmounted;
- a log line of level err, a sanitizer's report or a process that died by itself fails the check, unless
  the check announced it (World.announce_error, Process.expect_end).

    CASE.py [CHECK...]      runs all checks, or those named

Environment:
    HOLDFAST_BUILD  the build folder (default: build, beside the sources)
    TEST_SCALE      multiplies the counts of long checks (default 1); sanitizer runs use less
    TEST_SEED       start of all random choices (default: drawn, and printed)
    TEST_MUST_RUN   1: where root or /dev/fuse is missing, fail and do not skip
"""
import base64
import contextlib
import ctypes
import errno
import hashlib
import http.client
import json
import mmap
import os
import random
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("HOLDFAST_BUILD", SOURCE / "build")).resolve()
HOLDFAST = str(BUILD / "holdfast")
LIAR = BUILD / "tests/system/libliar.so"
CLOCK_SHIFT = BUILD / "tests/system/libclock_shift.so"
STALL = BUILD / "tests/system/libstall.so"
SCALE = float(os.environ.get("TEST_SCALE", "1"))
SEED = int(os.environ.get("TEST_SEED", random.SystemRandom().randrange(1 << 31)))

# Waiting for something that is not itself measured may take this long, on a slow machine too.
PATIENCE_S = 20

SKIPPED = 77
CHECKS = []

REPORTS = re.compile(r"\blevel=err\b|AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:"
                     r"|Assertion .* failed")

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
MNT_DETACH = 2


def check(function):
    """Register a check; its name is the sentence that it shows."""
    CHECKS.append(function)
    return function


def scaled(count, least=1):
    return max(least, round(count * SCALE))


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def expect_equal(actual, expected, what):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r}, expected {expected!r}")


def wait_until(condition, limit_s, what, period_s=0.01):
    """Poll until the condition is true; return its value.  An OSError counts as not yet."""
    end = time.monotonic() + limit_s
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except (OSError, http.client.HTTPException, ValueError) as error:
            last = error
        if time.monotonic() >= end:
            raise AssertionError(f"not within {limit_s:g} s: {what} (last: {last!r})")
        time.sleep(period_s)


def errno_of(function, *arguments, **options):
    """The name of the error that a call ends with, or "0"."""
    try:
        function(*arguments, **options)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "0"


def seconds(duration):
    """A duration as the mount takes it, "500ms" or "3s", in seconds."""
    return float(duration[:-2]) / 1000 if duration.endswith("ms") else float(duration[:-1])


def record(node_id, status="STANDBY", **more):
    return json.dumps({"nodeId": node_id, "nodeUri": None, "status": status, "priority": 0,
                       "version": "1.0", "localTimestamp": 0, **more}).encode()


def write_fully(path, data, flags=os.O_WRONLY | os.O_TRUNC):
    """What a careful program does: write, fsync, close; raises what any of them returns."""
    fd = os.open(path, flags, 0o644)
    try:
        if data:
            os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def fingerprint(folder):
    """Every name, kind and content below, the index included."""
    digest = hashlib.sha256()
    # No pathlib here: it cannot walk over links whose target is longer than a file name.
    paths = [os.path.join(parent, name) for parent, folders, names in os.walk(folder)
             for name in folders + names]
    for path in sorted(paths):
        kind = stat.S_IFMT(os.lstat(path).st_mode)
        digest.update(f"{os.path.relpath(path, folder)} {kind} ".encode())
        if stat.S_ISLNK(kind):
            digest.update(os.readlink(path).encode())
        elif stat.S_ISREG(kind):
            with open(path, "rb") as stream:
                digest.update(stream.read())
    return digest.hexdigest()


def one_clear_line(text, needles, what):
    """Of what a person reads; log lines do not count."""
    lines = [line for line in text.splitlines() if not line.startswith("level=")]
    expect_equal(len(lines), 1, f"lines of {what}: {text!r}")
    for needle in needles:
        expect(needle in lines[0], f"{what} mentions {needle}: {lines[0]}")


def free_port():
    """Below the range of outgoing connections, so that none of those takes it meanwhile."""
    while True:
        port = random.randrange(10000, 30000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Flag:
    """A bit that parent and workers share."""

    def __init__(self):
        self.byte = mmap.mmap(-1, 1)

    def set(self):
        self.byte[0] = 1

    def is_set(self):
        return self.byte[0] == 1


class Record:
    """A node's record, held open as the daemon holds it, at the latest until the mount ends."""

    def __init__(self, mount, node_id):
        self.node_id = node_id
        mount.records.append(self)
        self.fd = os.open(mount.point / "nodes" / node_id, os.O_WRONLY | os.O_CREAT, 0o644)

    def commit(self, text):
        os.pwrite(self.fd, text, 0)
        os.ftruncate(self.fd, len(text))
        os.fsync(self.fd)

    def beat(self, status="STANDBY", **more):
        self.commit(record(self.node_id, status, **more))

    def close(self):
        if self.fd is not None:
            fd, self.fd = self.fd, None
            # It gives the result of the last commit once more, which whoever committed has seen.
            with contextlib.suppress(OSError):
                os.close(fd)


def die_with_parent():
    """In a child before exec: whatever ends the test, even SIGKILL, ends the child."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


class Process:
    """A program in a session of its own, both outputs in a log."""

    def __init__(self, world, name, argv, cwd=None, env=None):
        self.world = world
        self.name = name
        self.log = world.logs / f"{name}.log"
        self.end_expected = False
        with self.log.open("ab") as log:
            # pylint: disable-next=consider-using-with,subprocess-popen-preexec-fn
            self.popen = subprocess.Popen(
                [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=cwd, env={**os.environ, "HOME": str(world.folder), **(env or {})},
                start_new_session=True, preexec_fn=die_with_parent)
        self.pid = self.popen.pid
        world.processes.append(self)

    def is_running(self):
        return self.popen.poll() is None

    def signal(self, number):
        os.kill(self.pid, number)

    def expect_end(self):
        self.end_expected = True

    def wait(self, limit_s=PATIENCE_S):
        """The exit code once it has ended, negative for a signal."""
        self.end_expected = True
        try:
            return self.popen.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {limit_s:g} s") from None

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()

    def terminate(self):
        self.signal(signal.SIGTERM)
        return self.wait()

    def log_text(self):
        return self.log.read_text(errors="replace")


class Mount(Process):
    """holdfast mount -f.  Options become -o key=value; the prefix is a command that runs a command."""

    def __init__(self, world, share, name, options, env, prefix):
        self.point = world.folder / name
        self.point.mkdir(exist_ok=True)
        self.records = []
        argv = [*prefix, HOLDFAST, "mount", share, self.point, "-f"]
        if options:
            argv += ["-o", ",".join(options)]
        super().__init__(world, name, argv, env=env)

    def wait_mounted(self, limit_s=PATIENCE_S):
        def mounted():
            expect(self.is_running(), f"{self.name} ended: {self.log_text()}")
            return os.getxattr(self.point, "user.holdfast.plane_id")
        wait_until(mounted, limit_s, f"{self.name} mounted")
        return self

    def plane(self):
        return json.loads((self.point / ".holdfast/plane.json").read_bytes())

    def dump(self):
        """The index as SQL text, by the tool that users have."""
        return subprocess.run(["sqlite3", str(self.point / ".holdfast/index.db"), ".dump"],
                              check=True, capture_output=True, timeout=PATIENCE_S).stdout

    def wait_generation(self, generation, limit_s=PATIENCE_S):
        wait_until(lambda: self.plane()["generation"] >= generation, limit_s,
                   f"{self.name} sees generation {generation}")

    def claim(self, node_id, lease="master"):
        """Ask for the lease; returns the epoch of the grant, raises EBUSY and others."""
        path = self.point / ("master" if lease == "master" else f".holdfast/leases/{lease}")
        write_fully(path, node_id.encode(), os.O_WRONLY | os.O_TRUNC | os.O_CREAT)
        return int(os.getxattr(path, "user.holdfast.epoch"))

    def release(self):
        write_fully(self.point / "master", b"")

    def unmount(self):
        """
        As an operator does, and refused while a file is open.  After a signal the closing of files that the
        kernel has not told yet is never told, and LeakSanitizer reports what belongs to them.
        """
        for opened in self.records:
            opened.close()
        subprocess.run(["umount", str(self.point)], check=True, timeout=PATIENCE_S)
        return self.wait()


class Node(Process):
    """holdfast launch, in a folder of its own; --persist is auto if the options do not have it."""

    def __init__(self, world, mount, name, mode, port, options, env, prefix):
        self.folder = world.folder / name
        self.folder.mkdir(exist_ok=True)
        self.port = port or free_port()
        super().__init__(world, name, [
            *prefix, HOLDFAST, "launch", *(("--highAvailability", mode) if mode else ()),
            *(() if "--persist" in options else ("--persist", "auto")), "--persistenceDir", getattr(mount, "point", mount), "--noGlobalBrooklynProperties",
            "--port", self.port, *options], cwd=self.folder, env=env)

    def http(self, path, method="GET", user=None):
        """Status, headers and body; never waits long."""
        headers = {}
        if user:
            headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def get(self, path, user=None):
        status, _, body = self.http(path, user=user)
        expect_equal(status, 200, f"status of GET {path}")
        return json.loads(body)

    def state(self, user=None):
        return self.get("/v1/server/ha/state", user)

    def states(self, user=None):
        return self.get("/v1/server/ha/states", user)

    def node_id(self, user=None):
        return self.states(user)["ownId"]

    def wait_state(self, state, limit_s=PATIENCE_S, user=None):
        """Seconds until the node says so."""
        start = time.monotonic()

        def reached():
            expect(self.is_running(), f"{self.name} ended: {self.log_text()}")
            return self.state(user) == state
        wait_until(reached, limit_s, f"{self.name} says {state}")
        return time.monotonic() - start


class Worker:
    """
    A function in a process of its own; what it returns (as JSON) is the result.

    The process lives on until end(), and with it what the function opened: a record's closing is the
    death of its node.  Such things are opened by the worker, since a descriptor that is shared by several
    processes is flushed, and so committed, when any of them ends.
    """

    def __init__(self, world, function, *arguments):
        self.name = f"worker{len(world.workers)}-{function.__name__}"
        self.log = world.logs / f"{self.name}.log"
        self.log.touch()
        self.pipe, write_end = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self.run(write_end, function, arguments)
        os.close(write_end)
        world.workers.append(self)

    def run(self, write_end, function, arguments):
        try:
            os.setsid()
            die_with_parent()
            with self.log.open("ab") as log:
                os.dup2(log.fileno(), 2)
            result = function(*arguments)
            with os.fdopen(write_end, "w") as stream:
                json.dump(result, stream)
            signal.pause()
        except BaseException:  # pylint: disable=broad-exception-caught
            traceback.print_exc()
        finally:
            os._exit(1)

    def result(self, limit_s=PATIENCE_S):
        end = time.monotonic() + limit_s
        text = b""
        while True:
            ready, _, _ = select.select([self.pipe], [], [], max(0, end - time.monotonic()))
            expect(ready, f"{self.name} did not finish within {limit_s:g} s")
            part = os.read(self.pipe, 1 << 16)
            if not part:
                break
            text += part
        expect(text, f"{self.name} failed: {self.log.read_text()}")
        return json.loads(text)

    def kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def end(self):
        if self.pid:
            self.kill()
            os.waitpid(self.pid, 0)
            self.pid = None


class World:
    """The work folder of one check and everything that runs in it."""

    def __init__(self, name):
        parent = Path(os.environ.get("TMPDIR") or BUILD / "tests/system/work")
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name[:40]}-", dir=parent))
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self.processes = []
        self.workers = []
        self.announced = []

    # What a check makes.

    def share(self, name="share"):
        path = self.folder / name
        path.mkdir()
        return path

    def mount(self, share, name=None, timeout=None, poll=None, options=(), env=None, prefix=(),
              wait=True):
        count = sum(isinstance(process, Mount) for process in self.processes)
        options = list(options)
        if timeout:
            options.append(f"heartbeat_timeout={timeout}")
        if poll:
            options.append(f"poll_period={poll}")
        mount = Mount(self, share, name or f"mount{count}", options, env, prefix)
        return mount.wait_mounted() if wait else mount

    def node(self, mount, mode="auto", name=None, port=None, options=(), env=None, prefix=()):
        count = sum(isinstance(process, Node) for process in self.processes)
        return Node(self, mount, name or f"node{count}", mode, port, options, env, prefix)

    def worker(self, function, *arguments):
        return Worker(self, function, *arguments)

    def run(self, *argv, limit_s=PATIENCE_S, cwd=None, env=None):
        """A command to its end, output as text.  Whatever it leaves running may keep the outputs open."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            result = subprocess.run(
                [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                cwd=cwd or self.folder, timeout=limit_s, check=False,
                env={**os.environ, "HOME": str(self.folder), **(env or {})})
            out.seek(0)
            err.seek(0)
            result.stdout, result.stderr = out.read(), err.read()
            return result

    def announce_error(self, pattern):
        """This check provokes log lines that match."""
        self.announced.append(re.compile(pattern))

    # The end.

    def end_cleanly(self):
        """Workers, daemons, mounts: all must end by themselves, with status 0."""
        for worker in self.workers:
            worker.end()
        ending = [process for process in self.processes if not process.end_expected]
        for process in ending:
            expect(process.is_running(), f"{process.name} died, status {process.popen.returncode}")
        nodes = [process for process in ending if isinstance(process, Node)]
        for node in nodes:
            node.signal(signal.SIGTERM)
        for node in nodes:
            expect_equal(node.wait(), 0, f"exit status of {node.name} after SIGTERM")
        for mount in ending:
            if isinstance(mount, Mount):
                expect_equal(mount.unmount(), 0, f"exit status of {mount.name} after umount")

    def check_logs(self):
        for log in sorted(self.logs.iterdir()):
            for line in log.read_text(errors="replace").splitlines():
                if REPORTS.search(line) and not any(known.search(line) for known in self.announced):
                    raise AssertionError(f"{log.name}: {line}")

    def leftovers(self):
        """Processes that daemonized, told by the work folder in their arguments."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if os.fsencode(self.folder) + b"/" in (entry / "cmdline").read_bytes():
                        yield int(entry.name)

    def mount_points(self):
        """Newest first, as they have to go."""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        points = [re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4])
                  for line in lines]
        return [point for point in reversed(points) if point.startswith(f"{self.folder}/")]

    def close(self):
        """Leaves nothing running and nothing mounted.  Never raises, never waits for long."""
        for worker in self.workers:
            worker.kill()
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for pid in self.leftovers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for point in self.mount_points():
            LIBC.umount2(os.fsencode(point), MNT_DETACH)
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(PATIENCE_S)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def print_logs(self):
        for log in sorted(self.logs.iterdir()):
            lines = log.read_text(errors="replace").splitlines()
            print(f"--- {log.name}: {len(lines)} lines")
            print(*lines[-40:], sep="\n")


def run_check(function):
    """True if it passed."""
    start = time.monotonic()
    random.seed(SEED)
    world = World(function.__name__)
    try:
        function(world)
        world.end_cleanly()
        world.check_logs()
        problem = None
    except Exception as error:  # pylint: disable=broad-exception-caught
        problem = error if isinstance(error, AssertionError) else traceback.format_exc()
    finally:
        world.close()
    took = f"({time.monotonic() - start:.1f} s)"
    if problem is None:
        print(f"ok    {function.__name__} {took}", flush=True)
        world.remove()
        return True
    print(f"FAIL  {function.__name__} {took}: {problem}")
    world.print_logs()
    print(f"logs:  {world.logs}")
    print(f"repro: HOLDFAST_BUILD={BUILD} TEST_SCALE={SCALE:g} TEST_SEED={SEED} "
          f"{Path(sys.argv[0]).resolve()} {function.__name__}", flush=True)
    return False


def why_not():
    """Why the system cases cannot run here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.path.exists("/dev/fuse"):
        return "needs /dev/fuse"
    return None


def main():
    reason = why_not()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(1 if os.environ.get("TEST_MUST_RUN") == "1" else SKIPPED)

    def end(number, _frame):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)

    wanted = sys.argv[1:]
    unknown = set(wanted) - {function.__name__ for function in CHECKS}
    if unknown:
        sys.exit(f"no such check: {', '.join(sorted(unknown))}")
    print(f"seed {SEED}, scale {SCALE:g}", flush=True)
    passed = [run_check(function) for function in CHECKS
              if not wanted or function.__name__ in wanted]
    sys.exit(0 if all(passed) else 1)
