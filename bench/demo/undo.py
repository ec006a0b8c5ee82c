# SPDX-License-Identifier: MIT
"""What to take back, in memory and on disk.

Each change of the host is written to the journal before it is made. `undo()` takes everything back in the reverse order; a
journal that a killed run left behind is taken back by the next one. A lock on the journal says whether its owner lives: the
kernel drops it with the process, however that died."""
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time

PREFIX = "rmt-demo"
JOURNAL = os.environ.get("RMT_DEMO_JOURNAL", "/run/rmt-demo.journal")


class Busy(Exception):
    """Another demo is running on this host."""


def say(text):
    print(f"demo: {text}", file=sys.stderr, flush=True)


def process_start(pid):
    """Start time of a process in clock ticks, or None: with it a pid names one process only."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def stop_process(pid, start, first=signal.SIGTERM, patience=5.0):
    """Ends one process that we started, gently, then not; a process that is not ours any more is left alone."""
    for sig, wait in ((first, patience), (signal.SIGKILL, 5.0)):
        if start is None or process_start(pid) != start:
            return
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            return
        end = time.monotonic() + wait
        while time.monotonic() < end:
            try:  # our child: reap it; a leftover of another run: just look
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    return
            except ChildProcessError:
                pass
            if process_start(pid) != start:
                return
            time.sleep(0.02)


def write_text(path, text):
    with open(path, "w") as f:
        f.write(text)


def read_text(path):
    with open(path) as f:
        return f.read().strip()


def remove_cgroup(path):
    """rmdir of an empty cgroup; the kernel may need a moment after the last process."""
    for _ in range(100):
        try:
            os.rmdir(path)
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
    say(f"cannot remove cgroup {path}: is a process left in it?")


def active_swaps(table="/proc/swaps"):
    with open(table) as f:
        return [line.split()[0].replace("\\040", " ") for line in f.readlines()[1:]]


def take_back(kind, value):
    if kind == "process":
        stop_process(value["pid"], value["start"])
    elif kind == "policy":
        if os.path.exists(value["tool"]):
            subprocess.run([value["tool"], "detach", value["name"]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           stdin=subprocess.DEVNULL, timeout=60, check=False)
    elif kind in ("swap", "swap-device"):
        if value in active_swaps():
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.swapoff(os.fsencode(value)) != 0:
                say(f"cannot turn off swap {value}: {os.strerror(ctypes.get_errno())}; by hand: swapoff {value}")
                return
        if kind == "swap" and os.path.exists(value):
            os.unlink(value)
    elif kind == "file":
        if os.path.exists(value):
            os.unlink(value)
    elif kind == "folder":
        shutil.rmtree(value, ignore_errors=True)
    elif kind == "cgroup":
        remove_cgroup(value)
    elif kind == "tunable":
        write_text(value["path"], value["old"])


class Journal:
    """The list of what this run changed. Used as a context: leaving it takes everything back."""

    def __init__(self, path=JOURNAL):
        self.path = path
        self._entries = []
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise Busy(f"another demo is running on this host (it holds {path}); wait for it, or stop it") from None
        leftover = os.read(self._fd, 1 << 20)
        if leftover.strip():
            self._recover(leftover)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.undo()

    def _recover(self, text):
        try:
            self._entries = [(e["kind"], e["value"]) for e in json.loads(text)]
        except (ValueError, KeyError, TypeError):
            say(f"the journal {self.path} of an earlier run is damaged; nothing was taken back from it")
            return
        say(f"an earlier run was killed; taking back what it left ({len(self._entries)} things)")
        self._take_back_all()

    def _store(self):
        text = json.dumps([{"kind": k, "value": v} for k, v in self._entries]).encode() if self._entries else b""
        os.pwrite(self._fd, text, 0)
        os.ftruncate(self._fd, len(text))

    def add(self, kind, value):
        """Call before the change is made; returns a handle for `drop`."""
        entry = (kind, value)
        self._entries.append(entry)
        self._store()
        return entry

    def drop(self, entry):
        """The change was taken back already."""
        self._entries = [e for e in self._entries if e is not entry]
        self._store()

    def take_back_now(self, entry):
        take_back(*entry)
        self.drop(entry)

    def set_tunable(self, path, new):
        """Changes a file of /proc or /sys; its first old value is what comes back."""
        if not any(k == "tunable" and v["path"] == path for k, v in self._entries):
            self.add("tunable", {"path": path, "old": read_text(path)})
        write_text(path, str(new))

    def _take_back_all(self):
        while self._entries:
            kind, value = self._entries[-1]
            try:
                take_back(kind, value)
            except (OSError, subprocess.SubprocessError) as e:
                say(f"cannot take back {kind} {value}: {e}")
            self._entries.pop()
            self._store()

    def undo(self):
        """Takes everything back. A second Ctrl-C must not stop half-way."""
        old = {}
        for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            try:
                old[s] = signal.signal(s, signal.SIG_IGN)
            except ValueError:  # not in the main thread (tests)
                pass
        self._take_back_all()
        os.close(self._fd)
        try:
            os.unlink(self.path)
        except OSError:
            pass
        for s, handler in old.items():
            signal.signal(s, handler)
