#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a policy costs where it does nothing: a no-op policy on a workload that swaps, and events outside every scope.

usage: bench/overhead.py [REPS]      as root, with a swap device on (scripts/demo makes its own; this uses what is there)

Prints the ratio of run times with and without the no-op policy, interleaved (median, smallest..largest), and nanoseconds
of our programs per event out of scope, from the kernel's own run-time statistics less those of an empty program.
"""
import glob
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOAD = ROOT / "build/loader/cli/rmt-load"
WORK = ROOT / "build/bench/rmt-workload"
NAME = f"rmt_overhead_{os.getpid()}"
POLICY = f"""rmt 1;
policy {NAME} {{
    description "Looks at every event and does nothing";
    domain mm;
    mode   enforce;
    action none() {{ }}
    table all {{ key {{ vma.kind : exact; }} actions {{ none; }} default none(); size 16; entries {{ anon => none(); }} }}
    on mm.fault {{ apply all; }}
}}
"""
EMPTY_NS = 28  # an empty program under the kernel's statistics, measured on Linux 6.18


def memory_root():
    v1 = pathlib.Path("/sys/fs/cgroup/memory")
    return v1 if (v1 / "memory.limit_in_bytes").exists() else pathlib.Path("/sys/fs/cgroup")


def run(cgroup, *args):
    def enter():
        if cgroup:
            (cgroup / "cgroup.procs").write_text(str(os.getpid()))
    out = subprocess.run([WORK, *args], preexec_fn=enter, capture_output=True, text=True, check=True).stdout
    return json.loads(out.splitlines()[-1])["steady"]["seconds"]


def program_figures():
    out = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, text=True, check=True).stdout
    return {p["name"]: (p.get("run_time_ns", 0), p.get("run_cnt", 0)) for p in json.loads(out) if p.get("name", "").startswith("rmt_")}


def main():
    reps = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    root = memory_root()
    cgroup = root / NAME
    cgroup.mkdir()
    (cgroup / ("memory.limit_in_bytes" if (root / "memory.limit_in_bytes").exists() else "memory.max")).write_text(str(48 << 20))
    stats = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    before = stats.read_text()
    with tempfile.NamedTemporaryFile("w", suffix=".rmt") as policy:
        policy.write(POLICY)
        policy.flush()
        attach = [LOAD, "apply", policy.name, "--cgroup", cgroup, "--mode", "enforce"]
        detach = [LOAD, "detach", NAME]
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ratios = []
            for _ in range(reps):
                plain = run(cgroup, "stride", "--mb", "96", "--passes", "2")
                subprocess.run(attach, check=True, **quiet)
                ours = run(cgroup, "stride", "--mb", "96", "--passes", "2")
                subprocess.run(detach, check=True, **quiet)
                ratios.append(ours / plain)
            print(f"no-op policy, strided scan that swaps: {statistics.median(ratios):.3f} ({min(ratios):.3f}..{max(ratios):.3f}) of the time without")
            subprocess.run(attach, check=True, **quiet)
            stats.write_text("1")
            start = program_figures()
            run(None, "seq", "--mb", "512", "--passes", "2")  # first touches of 131072 pages, out of scope
            end = program_figures()
            for name, (ns, count) in sorted(end.items()):
                events = count - start.get(name, (0, 0))[1]
                if events > 1000:
                    each = (ns - start.get(name, (0, 0))[0]) / events
                    print(f"out of scope, {name}: {each - EMPTY_NS:.0f} ns per event ({events} events; {EMPTY_NS} ns of statistics taken off)")
        finally:
            stats.write_text(before)
            if glob.glob(f"/sys/fs/bpf/rmt/{NAME}"):
                subprocess.run(detach, **quiet)
            cgroup.rmdir()


main()
