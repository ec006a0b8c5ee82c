#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a congestion control costs for each acknowledgement: policies beside the kernel's own bbr, in one frame of measurement.

usage: bench/tcp_cost.py [-r REPS] [POLICY.rmt|POLICY.rmt,MODEL=FILE ...]      as root; default: aimd, and each base unchanged

Each control sends over a path of 50 Mbit/s and 20 ms (scripts/net) in a cgroup of its own, in turn, REPS times. The figure is the run time of all of
its BPF programs, by the kernel's statistics, divided by the acknowledgements. The kernel's bbr runs behind BPF programs that only call it. Ratios
are to that, of the same repetition: median (smallest..largest). The statistics are on for the whole machine while this runs.
"""
import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("RMT_BUILD", ROOT / "build"))
LOAD = BUILD / "loader/cli/rmt-load"
FLOW = BUILD / "bench/net/flow"
NET = ROOT / "scripts/net"
STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
RULER = "rmt_ruler_bbr"
BASES = {f"watch_{b}": f'rmt 1;\npolicy watch_{b} {{ description "{b}, watched"; domain tcp; base "{b}"; mode shadow; on tcp.round {{ cwnd = cwnd; }} }}\n'
         for b in ("reno", "cubic", "bbr")}


def run(*args, **kw):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, **kw)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(str(a) for a in args)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def cgroup_mount():
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        device, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return pathlib.Path(where)
    raise RuntimeError("no cgroup of version 2 is mounted")


def programs(prefix):
    """(runs, ns) by name of the struct_ops programs whose name begins so."""
    found = {}
    for p in json.loads(run("bpftool", "-j", "prog", "list")):
        if p.get("type") == "struct_ops" and p.get("name", "").startswith(prefix):
            found[p["name"]] = (p.get("run_cnt", 0), p.get("run_time_ns", 0))
    return found


class Network:
    def __enter__(self):
        self.name = run(NET, "up", "--rate", 50, "--rtt", 20, "--seed", 1).strip()
        self.server = subprocess.Popen([str(NET), "exec", "b", "--name", self.name, "--", str(FLOW), "server"], stdout=subprocess.PIPE, text=True)
        self.port = self.server.stdout.readline().split()[1]
        return self

    def send(self, control, cgroup, seconds):
        return json.loads(run(NET, "exec", "a", "--name", self.name, "--", FLOW, "client", "10.99.0.2", "--port", self.port, "--flows", f"1,{control},{cgroup}",
                              "--seconds", seconds, "--warm-up", 1))["flows"][0]

    def __exit__(self, *_):
        self.server.send_signal(signal.SIGTERM)
        self.server.wait()
        run(NET, "down", "--name", self.name)


def figure(main, prefix, flow):
    used = programs(prefix)
    acks = used[main][0]
    if acks == 0 or flow["mbit"] < 30:
        raise RuntimeError(f"the path was not filled: {flow}")
    return sum(ns for _, ns in used.values()) / acks


def ruler(network, cgroup, obj, seconds):
    # Without a link, which bpftool before 7.1 cannot make: it outlives this process until it is unregistered.
    run("bpftool", "struct_ops", "register", obj)
    try:
        return figure("ruler_main", "ruler_", network.send(RULER, cgroup, seconds))
    finally:
        run("bpftool", "struct_ops", "unregister", "name", "ruler")


def policy(network, cgroup, file, models, seconds):
    name = file.stem
    run(LOAD, "apply", file, "--cgroup", cgroup, "--mode", "shadow" if name in BASES else "enforce", *[a for m in models for a in ("--model", m)])
    try:
        flow = network.send("", cgroup, seconds)
        if flow["control"] != name:
            raise RuntimeError(f"{name} was attached, the flow ran {flow['control']}")
        return figure("rmt_tcp_main", "rmt_tcp_", flow)
    finally:
        run(LOAD, "detach", name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", "--reps", type=int, default=5)
    parser.add_argument("-s", "--seconds", type=float, default=4)
    parser.add_argument("policies", nargs="*")
    args = parser.parse_args()
    before = STATS.read_text()
    cgroup = cgroup_mount() / f"rmt-tcp-cost-{os.getpid()}"
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        obj = pathlib.Path(folder) / "ruler.o"
        run("clang-19", "-target", "bpf", "-mcpu=v4", "-O2", "-g", "-D__TARGET_ARCH_x86", "-I", ROOT / "bpf/include", "-I", ROOT / "bpf", "-I", ROOT / "vmlinux", "-c",
            ROOT / "bench/tcp_ruler.bpf.c", "-o", obj)
        for name, text in BASES.items():
            (pathlib.Path(folder) / f"{name}.rmt").write_text(text)
        given = args.policies or [*(str(pathlib.Path(folder) / f"{n}.rmt") for n in BASES), *(str(ROOT / "policies" / f"{n}.rmt") for n in ("aimd",))]
        try:
            cgroup.mkdir()
            STATS.write_text("1")
            with Network() as network:
                for _ in range(args.reps):
                    base = ruler(network, cgroup, obj, args.seconds)
                    rows.setdefault("bbr of the kernel", []).append((base, 1.0))
                    for one in given:
                        file, *models = one.split(",")
                        ns = policy(network, cgroup, pathlib.Path(file), models, args.seconds)
                        rows.setdefault(pathlib.Path(file).stem, []).append((ns, ns / base))
        finally:
            STATS.write_text(before)
            if cgroup.exists():
                cgroup.rmdir()
    print(f"{'control':<24}{'ns for each ACK':>20}{'of the kernel’s bbr':>28}")
    for name, got in rows.items():
        ns, ratio = [g[0] for g in got], [g[1] for g in got]
        print(f"{name:<24}{statistics.median(ns):>20.0f}{statistics.median(ratio):>12.2f} ({min(ratio):.2f}..{max(ratio):.2f})")


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as e:
        sys.exit(f"tcp_cost: {e}")
