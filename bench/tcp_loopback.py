#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a policy costs a sender that fills loopback: processor time for the same bytes, beside the kernel's reno.

usage: bench/tcp_loopback.py [-r REPS] [-g GIB] [POLICY.rmt|POLICY.rmt,MODEL=FILE ...]      as root; default: aimd and by_path

One process sends to itself over 127.0.0.1, in a cgroup of its own; in turn under reno, cubic, bbr and each policy, REPS times. Ratios of user and
system time to reno's of the same repetition: median (smallest..largest).
"""
import argparse
import os
import pathlib
import resource
import socket
import statistics
import sys
import threading
import time

from tcp_cost import LOAD, ROOT, cgroup_mount, run

CHUNK = 1 << 20


def transfer(control, cgroup, total):
    """(processor seconds, wall seconds) of a child that sends itself `total` bytes."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        with os.fdopen(read) as answer:
            line = answer.read()
        os.waitpid(pid, 0)
        if not line:
            raise RuntimeError(f"the transfer under {control or 'the policy'} ended early")
        cpu, wall, used = line.split()
        if control is None and used in ("reno", "cubic", "bbr"):
            raise RuntimeError(f"a policy was attached, the flow ran {used}")
        return float(cpu), float(wall)
    try:
        if cgroup:
            (cgroup / "cgroup.procs").write_text("0")
        listener = socket.create_server(("127.0.0.1", 0))
        sender = socket.socket()
        if control:
            sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control.encode())
        sender.connect(listener.getsockname())
        receiver, _ = listener.accept()
        begin, wall = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()

        def drain():
            buffer = bytearray(CHUNK)
            left = total
            while left > 0:
                left -= receiver.recv_into(buffer)

        thread = threading.Thread(target=drain)
        thread.start()
        data = b"x" * CHUNK
        for _ in range(total // CHUNK):
            sender.sendall(data)
        thread.join()
        end = resource.getrusage(resource.RUSAGE_SELF)
        used = sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).split(b"\0")[0].decode()
        os.write(write, f"{end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime} {time.monotonic() - wall} {used}".encode())
    finally:
        os._exit(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", "--reps", type=int, default=9)
    parser.add_argument("-g", "--gib", type=int, default=8)
    parser.add_argument("policies", nargs="*")
    args = parser.parse_args()
    given = args.policies or [str(ROOT / "policies" / f"{n}.rmt") for n in ("aimd", "by_path")]
    cgroup = cgroup_mount() / f"rmt-tcp-loopback-{os.getpid()}"
    cgroup.mkdir()
    rows = {}
    try:
        for _ in range(args.reps):
            reno = None
            for control in ("reno", "cubic", "bbr"):
                cpu, _ = transfer(control, cgroup, args.gib << 30)
                reno = reno or cpu
                rows.setdefault(control, []).append((cpu, cpu / reno))
            for one in given:
                file, *models = one.split(",")
                name = pathlib.Path(file).stem
                run(LOAD, "apply", file, "--cgroup", cgroup, "--mode", "enforce", *[a for m in models for a in ("--model", m)])
                try:
                    cpu, _ = transfer(None, cgroup, args.gib << 30)
                finally:
                    run(LOAD, "detach", name)
                rows.setdefault(name, []).append((cpu, cpu / reno))
    finally:
        cgroup.rmdir()
    print(f"{'control':<24}{'CPU ms for each GiB':>22}{'of reno’s':>14}")
    for name, got in rows.items():
        cpu, ratio = [g[0] for g in got], [g[1] for g in got]
        print(f"{name:<24}{1000 * statistics.median(cpu) / args.gib:>22.0f}{statistics.median(ratio):>14.3f} ({min(ratio):.3f}..{max(ratio):.3f})")


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as e:
        sys.exit(f"tcp_loopback: {e}")
