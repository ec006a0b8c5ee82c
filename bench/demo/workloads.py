# SPDX-License-Identifier: MIT
"""The workloads of the demo, and how one is run: in the cgroup, watched line by line, killed when it takes too long."""
import ctypes
import json
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass, field

from .undo import process_start, stop_process

PR_SET_PDEATHSIG = 1
RUN_TIMEOUT = 180.0


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    args: tuple
    buffer_factor: float = 1.0  # memory that is filled, in parts of what a pass touches
    emulated_work: int = 3      # rounds of arithmetic per page where a CPU is emulated, many times slower

    def command(self, binary, footprint_mb, passes, emulated=False):
        work = ["--work", str(self.emulated_work)] if emulated else []
        return [binary, *self.args, "--mb", str(footprint_mb), "--passes", str(passes), *work]


WORKLOADS = {w.name: w for w in (
    Workload("stride", "strided scan", ("stride",)),
    Workload("conv", "matrix convolution", ("conv",), emulated_work=2),
    Workload("resize", "video resizing", ("resize",), 2.0, 16),
    Workload("seq", "sequential scan", ("seq",)),
    Workload("random", "random access", ("random",)),
    Workload("chase", "pointer chase", ("chase",)),
)}
DEFAULT = ("stride", "conv", "resize")


@dataclass
class Outcome:
    """What one run of a workload said, and how it ended."""
    lines: list = field(default_factory=list)
    status: int = None  # as of wait: negative for a signal
    error: str = ""     # why it does not count; empty when it does
    text: str = ""      # its stderr


_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(sig=signal.SIGKILL):
    """For preexec_fn: when the runner dies, however it dies, the kernel sends this child a signal."""
    _libc.prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0)


def start(journal, command, enter_cgroup=None, cpus=None, death_signal=signal.SIGKILL, **kwargs):
    """Starts a child in a session of its own (Ctrl-C goes to the runner alone), in the cgroup from its first instruction."""
    def prepare():
        die_with_parent(death_signal)
        if cpus:
            os.sched_setaffinity(0, cpus)
        if enter_cgroup:
            enter_cgroup()

    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=prepare, **kwargs)
    entry = journal.add("process", {"pid": process.pid, "start": process_start(process.pid)})
    return process, entry


def _read_lines(process, deadline, on_line):
    """Feeds complete lines of stdout to on_line until it closes; False when the deadline passed."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        buffer = b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if not selector.select(min(left, 1.0)):
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                return True
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                on_line(line)


def run(journal, command, memcg, on_line=None, cpus=None, timeout=RUN_TIMEOUT):
    """Runs one workload to its end. Never raises for what the workload does: the outcome says it."""
    out = Outcome()

    def take(raw):
        try:
            line = json.loads(raw)
        except ValueError:
            out.error = out.error or f"printed a line that is not JSON: {raw[:80]!r}"
            return
        out.lines.append(line)
        if on_line:
            on_line(line)

    before = memcg.oom_kills() if memcg else 0
    process, entry = start(journal, command, memcg.enter if memcg else None, cpus, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
    try:
        in_time = _read_lines(process, time.monotonic() + timeout, take)
        if not in_time:
            out.error = f"took longer than {timeout:.0f} s and was ended"
            stop_process(*entry[1].values())
        process.wait()
    except BaseException:
        stop_process(*entry[1].values())
        raise
    finally:
        out.text = process.stderr.read().decode(errors="replace").strip() if process.returncode is not None else ""
        process.stdout.close()
        process.stderr.close()
    journal.drop(entry)
    out.status = process.returncode
    kills = (memcg.oom_kills() if memcg else 0) - before
    if kills > 0:
        out.error = f"the memory cgroup's OOM killer ended {kills} process(es)"
    elif not out.error and out.status != 0:
        how = f"signal {-out.status}" if out.status < 0 else f"status {out.status}"
        out.error = f"ended with {how}" + (f": {out.text.splitlines()[-1]}" if out.text else "")
    elif not out.error and (not out.lines or "done" not in out.lines[-1]):
        out.error = "ended without its closing line"
    return out
