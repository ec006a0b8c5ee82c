# SPDX-License-Identifier: MIT
"""guest.py PLAN: runs the cells of a plan here, one after the other, each in a network of its own (scripts/net); a line of JSON for each.

It runs in the VM, or on a host with the path emulator, as root. A control `policy:NAME` is a cgroup that the plan's attach command puts a policy
on; its flows run in that cgroup and leave their congestion control alone."""
import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys

import cells

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NET = os.path.join(ROOT, "scripts", "net")
LOAD = os.path.join(os.environ.get("RMT_BUILD", os.path.join(ROOT, "build")), "loader", "cli", "rmt-load")
FLOW = os.path.join(os.environ.get("RMT_BUILD", os.path.join(ROOT, "build")), "bench", "net", "flow")


class Failed(Exception):
    pass


def output(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise Failed(f"{' '.join(command[:6])} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def hierarchy():
    with open("/proc/self/mounts", encoding="utf-8") as f:
        for line in f:
            fields = line.split()
            if fields[2] == "cgroup2":
                return fields[1]
    raise Failed("no cgroup v2 hierarchy is mounted")


class Policies:
    """The cgroups of the plan's policies: made when first needed, gone at the end."""

    def __init__(self, attach, detach):
        self.attach, self.detach, self.made = attach, detach, {}

    def fill(self, template, name):
        return template.replace("{cgroup}", shlex.quote(self.made[name])).replace("{name}", shlex.quote(name))

    def cgroup(self, name):
        if name not in self.made:
            folder = os.path.join(hierarchy(), f"rmt-grid-{os.getpid()}-{len(self.made)}")
            os.mkdir(folder)
            self.made[name] = folder
            try:
                output("sh", "-c", self.fill(self.attach, name))
            except Failed:
                # Each run of it then fails: none may go on in a cgroup without its policy.
                del self.made[name]
                os.rmdir(folder)
                raise
        return self.made[name]

    def close(self):
        for name, folder in self.made.items():
            if self.detach:
                output("sh", "-c", self.fill(self.detach, name))
            os.rmdir(folder)
        self.made = {}


def group_of(control, policies):
    """The end of a group's text for `flow`: CONTROL or ,CGROUP."""
    kind, _, name = control.partition(":")
    return f",{policies.cgroup(name)}" if kind == "policy" else control


def flow_arguments(run, policies):
    tested = group_of(run.control, policies)
    size, every, seconds = cells.short_transfers(run.path)
    return {"one": ["--flows", f"1,{tested}", "--short", f"{size},{every},{tested}", "--short-seconds", str(seconds)],
            "four": ["--flows", f"4,{tested}"],
            "mixed": ["--flows", f"2,{tested}", "--flows", "2,cubic"]}[run.pattern]


def idle_share(before, after):
    spent = [b - a for a, b in zip(before, after)]
    return (spent[3] + spent[4]) / max(1, sum(spent))


def cpu_times():
    with open("/proc/stat", encoding="utf-8") as f:
        return [int(v) for v in f.readline().split()[1:9]]


def seed_of(run):
    """Another one for each seed and path, the same for all controls: they meet the same losses, packet by packet."""
    return run.seed * 1000 + cells.all_paths().index(run.path)


def records_name(run):
    """Of the file of what a policy collected during a run."""
    path = run.path
    return f"{run.control.partition(':')[2]}-s{run.seed}-{path.rate:g}mbit-{path.rtt:g}ms-{path.buffer:g}bdp-{path.loss:g}loss-{run.pattern}.csv"


class Collector:
    """Writes what a run's policy collects to a file of the folder; does nothing without a folder, or for a control of the kernel."""

    def __init__(self, run, folder):
        kind, _, name = run.control.partition(":")
        self.process = None
        if folder and kind == "policy":
            self.process = subprocess.Popen([LOAD, "collect", name, "-o", os.path.join(folder, records_name(run))], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def end(self):
        if not self.process:
            return
        self.process.send_signal(signal.SIGINT)
        words = self.process.communicate()[1]
        if self.process.returncode:
            raise Failed(f"rmt-load collect ended with {self.process.returncode}: {words.strip()}")


def measure(run, policies, folder=""):
    path = run.path
    arguments = flow_arguments(run, policies)
    name = output(NET, "up", "--rate", f"{path.rate:g}", "--rtt", f"{path.rtt:g}", "--buffer", f"{path.buffer:g}", "--loss", f"{path.loss:g}",
                  "--ip", "4", "--seed", str(seed_of(run))).strip()
    server = collector = None
    try:
        server = subprocess.Popen([NET, "exec", "b", "--name", name, "--", FLOW, "server"], stdout=subprocess.PIPE, text=True)
        if not server.stdout.readline().startswith("ready"):
            raise Failed("the server did not start")
        collector = Collector(run, folder)
        before = cpu_times()
        figures = json.loads(output(NET, "exec", "a", "--name", name, "--", FLOW, "client", "10.99.0.2", "--warm-up", str(cells.warm_up(path)),
                                    "--seconds", str(cells.window(path)), "--stagger", str(cells.stagger_ms(path)), "--seed", str(run.seed),
                                    *arguments))
        idle = idle_share(before, cpu_times())
        network = json.loads(output(NET, "stats", "--name", name))
        collector.end()
        collector = None
    finally:
        if collector and collector.process:
            collector.process.kill()
            collector.process.wait()
        if server:
            server.terminate()
            server.wait()
        output(NET, "down", "--name", name)
    for s in figures["short"]:
        del s["ms"]
    return {"figures": figures, "network": network, "idle": round(idle, 3)}


def run_of(entry):
    return cells.Run(entry["seed"], cells.Path(*entry["path"]), entry["pattern"], entry["control"])


def entry_of(run):
    return {"seed": run.seed, "path": list(dataclasses.astuple(run.path)), "pattern": run.pattern, "control": run.control,
            "warm_up": cells.warm_up(run.path), "window": cells.window(run.path)}


def main(plan_file):
    with open(plan_file, encoding="utf-8") as f:
        plan = json.load(f)
    policies = Policies(plan["attach"], plan["detach"])
    failures = 0
    try:
        for entry in plan["runs"]:
            run = run_of(entry)
            result = {**entry_of(run), "kernel": os.uname().release}
            try:
                result.update(measure(run, policies, plan.get("collect", "")))
            except (Failed, OSError, ValueError) as e:
                result["error"] = str(e)
                failures += 1
            print(json.dumps(result), flush=True)
    finally:
        policies.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
