#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares congestion controls over the grid of paths of the test network, in virtual time: one VM for each seed. docs/testnet.md.

  bench/net/grid.py --subset smoke --controls reno,cubic,bbr --seeds 2
  bench/net/grid.py --subset held-out --controls reno,cubic,bbr,policy:aimd --file build/aimd.rmtp
      --attach 'build/loader/cli/rmt-load apply build/{name}.rmtp --cgroup {cgroup} --mode enforce'

Results are appended to --out, a line of JSON for each run; what is there already is not run again, so an interrupted grid goes on where it was."""
import argparse
import json
import os
import queue
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time

import cells
import guest
import tables

ROOT = guest.ROOT
HERE = os.path.dirname(os.path.abspath(__file__))


def parse_arguments(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--subset", choices=("smoke", "train", "held-out", "all"), default="smoke", help="which paths")
    p.add_argument("--path", action="append", default=[], type=parse_path, metavar="RATE,RTT,BUFFER,LOSS",
                   help="one path of the grid instead of a subset, for example 50,30,1,0.5; may be given more than once")
    p.add_argument("--controls", default="reno,cubic,bbr", help="names of the kernel's controls, and policy:NAME")
    p.add_argument("--patterns", default="one,four,mixed", help="one flow, four flows, two and two of cubic")
    p.add_argument("--seeds", type=int, default=5, help="how many, from 1")
    p.add_argument("--kernel", default="6.12", help="of the VM")
    p.add_argument("--jobs", type=int, choices=(1, 2), default=1, help="VMs side by side")
    p.add_argument("--out", default="grid.jsonl", help="results, appended to")
    p.add_argument("--attach", default="", help="command in the guest that puts policy {name} on cgroup {cgroup}")
    p.add_argument("--detach", default="", help="command in the guest that takes it off")
    p.add_argument("--file", action="append", default=[], help="a file that the guest needs (a compiled policy)")
    p.add_argument("--collect", default="", metavar="DIR", help="keep what policies collect, a file for each run")
    p.add_argument("--host", action="store_true", help="here, with the path emulator, in real time: a cross-check")
    p.add_argument("--report", action="store_true", help="only the tables of what is in --out")
    p.add_argument("--estimate", action="store_true", help="only say what it would cost")
    o = p.parse_args(argv)
    o.controls = [c for c in o.controls.split(",") if c]
    o.patterns = [c for c in o.patterns.split(",") if c]
    for name in o.patterns:
        if name not in cells.PATTERNS:
            p.error(f"pattern '{name}' is unknown; expected one, four or mixed")
    if o.seeds < 1 or not o.controls:
        p.error("at least one seed and one control are needed")
    if any(c.startswith("policy:") for c in o.controls) and not o.attach:
        p.error("a control policy:NAME needs --attach, the command that puts it on {cgroup}")
    return o


def parse_path(text):
    try:
        path = cells.Path(*map(float, text.split(",")))
    except (TypeError, ValueError):
        raise argparse.ArgumentTypeError(f"'{text}' is not RATE,RTT,BUFFER,LOSS") from None
    if path not in cells.all_paths():
        raise argparse.ArgumentTypeError(f"{path} is not in the grid")
    return cells.all_paths()[cells.all_paths().index(path)]


def wanted_runs(o):
    return [cells.Run(seed, path, pattern, control) for seed in range(1, o.seeds + 1) for path in o.path or cells.paths_of(o.subset)
            for pattern in o.patterns for control in o.controls]


def read_results(file):
    """The runs that are done: key -> result. A line that an interruption cut short, or a run that failed, is none."""
    done = {}
    if not os.path.exists(file):
        return done
    with open(file, encoding="utf-8") as f:
        for line in f:
            try:
                result = json.loads(line)
                run = guest.run_of(result)
            except (ValueError, KeyError, TypeError):
                continue
            if "figures" in result and (result["warm_up"], result["window"]) == (cells.warm_up(run.path), cells.window(run.path)):
                done[run] = result
    return done


def estimate(runs, o):
    if o.host:
        seconds = sum(cells.warm_up(r.path) + cells.window(r.path) + (r.pattern == "one") * cells.short_transfers(r.path)[2] + 0.5 for r in runs)
        return f"{len(runs)} runs here, about {seconds / 60:.0f} minutes"
    boots = len({r.seed for r in runs})
    cpu = sum(cells.cpu_seconds(r) for r in runs) + 15 * boots
    return (f"{len(runs)} runs in {boots} VMs; about {cpu:.0f} CPU seconds ({cpu / max(1, len(runs)):.1f} for each run), "
            f"{cpu / o.jobs / 3600:.1f} hours with --jobs {o.jobs}")


class Results:
    """The results file: one writer at a time, whole lines only."""

    def __init__(self, file, total):
        self.file, self.lock, self.left, self.failed = file, threading.Lock(), total, 0
        # A line that was cut short stays one, and the next begins after it.
        if os.path.exists(file) and os.path.getsize(file):
            with open(file, "rb+") as f:
                f.seek(-1, os.SEEK_END)
                if f.read(1) != b"\n":
                    f.write(b"\n")

    def add(self, line):
        result = json.loads(line)
        with self.lock:
            self.left -= 1
            if "error" in result:
                self.failed += 1
                say(f"{describe(guest.run_of(result))}: {result['error']}")
            with open(self.file, "a", encoding="utf-8") as f:
                f.write(line if line.endswith("\n") else line + "\n")
            if "figures" in result:
                f = result["figures"]
                say(f"{describe(guest.run_of(result))}: {f['mbit']:.1f} Mbit/s, {f['rtt_ms']:.1f} ms; {self.left} to go")


def say(text):
    print("grid: " + text, file=sys.stderr, flush=True)


def describe(run):
    return f"seed {run.seed}, {run.path}, {run.pattern}, {run.control}"


class Worker(threading.Thread):
    """Runs plans, one VM (or, here, one process) after the other."""

    def __init__(self, plans, results, o):
        super().__init__(daemon=True)
        self.plans, self.results, self.o, self.process, self.broken = plans, results, o, None, 0

    def command(self, plan_file, seed, runs):
        argv = ["python3", "-B", os.path.join(HERE, "guest.py"), plan_file]
        if self.o.host:
            return argv
        # Wall-clock time depends on who else is here; this only ends what hangs.
        seconds = int(600 + 20 * sum(cells.cpu_seconds(r) for r in runs))
        files = [os.path.join(HERE, n) for n in ("guest.py", "cells.py")] + [plan_file] + self.o.file
        return [os.path.join(ROOT, "scripts", "vm"), self.o.kernel, "-n", "-p", "--icount", str(seed), "-t", str(seconds),
                *(a for f in files for a in ("-f", f)), *(("-o", self.o.collect) if self.o.collect else ()), "--", *argv]

    def run(self):
        while True:
            try:
                seed, runs = self.plans.get_nowait()
            except queue.Empty:
                return
            with tempfile.TemporaryDirectory() as folder:
                plan_file = os.path.join(folder, "plan.json")
                with open(plan_file, "w", encoding="utf-8") as f:
                    json.dump({"runs": [guest.entry_of(r) for r in runs], "attach": self.o.attach, "detach": self.o.detach,
                               "collect": self.o.collect and (os.path.abspath(self.o.collect) if self.o.host else "/out")}, f)
                self.process = subprocess.Popen(self.command(plan_file, seed, runs), stdout=subprocess.PIPE, text=True, cwd=ROOT)
                for line in self.process.stdout:
                    if line.startswith('{"seed"'):
                        self.results.add(line)
                    else:
                        sys.stderr.write(line)
                if self.process.wait() not in (0, 1):
                    self.broken += 1
                    say(f"seed {seed}: ended with {self.process.returncode}")


def run_all(runs, o):
    plans = queue.Queue()
    for seed in sorted({r.seed for r in runs}):
        plans.put((seed, [r for r in runs if r.seed == seed]))
    results = Results(o.out, len(runs))
    workers = [Worker(plans, results, o) for _ in range(1 if o.host else o.jobs)]

    def stop(number, _):
        # Once. The VMs clean up behind themselves; waiting for them here, in the middle of whatever this thread was doing, could wait forever.
        for n in (signal.SIGINT, signal.SIGTERM):
            signal.signal(n, signal.SIG_IGN)
        while not plans.empty():
            plans.get_nowait()
        for w in workers:
            if w.process and w.process.poll() is None:
                w.process.terminate()
        sys.exit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    started = time.monotonic()
    for w in workers:
        w.start()
    for w in workers:
        while w.is_alive():
            w.join(0.5)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, count = used.ru_utime + used.ru_stime, len(runs) - results.left
    if count:
        say(f"{count} runs took {cpu:.0f} CPU seconds, {cpu / count:.1f} for each; estimated were "
            f"{sum(cells.cpu_seconds(r) for r in runs) / len(runs):.1f} (emulated); {time.monotonic() - started:.0f} seconds by the clock")
    return not results.failed and not results.left and not any(w.broken for w in workers)


def main(argv):
    o = parse_arguments(argv)
    wanted = wanted_runs(o)
    done = read_results(o.out)
    missing = [r for r in wanted if r not in done]
    good = True
    if not o.report:
        if missing:
            say(("" if len(missing) == len(wanted) else f"{len(wanted) - len(missing)} runs are there; ") + estimate(missing, o))
        if o.estimate:
            return 0
        if missing:
            good = run_all(missing, o)
            done = read_results(o.out)
    results = [done[r] for r in wanted if r in done]
    if not results:
        say(f"no results in {o.out}")
        return 1
    print(f"# {'paths given' if o.path else o.subset}: {len(results)} of {len(wanted)} runs, kernel {', '.join(sorted({r['kernel'] for r in results}))}, seeds 1 to {o.seeds}\n")
    for line in tables.doubts(results):
        print(line + "\n")
    print(tables.report(results, [c for c in o.controls if c not in cells.KERNEL_CONTROLS]))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
