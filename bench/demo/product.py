# SPDX-License-Identifier: MIT
"""rmt-load and rmt-agent, as a user would call them. Policies are loaded under names of their own (rmt_demo_...), so that the
demo never meets a policy that the host already runs."""
import json
import os
import re
import signal
import subprocess
import time

from .undo import process_start, stop_process
from .workloads import start

NAME = "rmt_demo_"
MODEL = "next_delta"
INPUTS = "deltas[0],deltas[1],deltas[2],deltas[3]"
LABEL = "fault.delta"


class ProductError(Exception):
    """rmt-load or rmt-agent did not do what was asked; the text is theirs."""


def cpu_seconds(pid):
    """User and system time of a process so far, all threads."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None


def rename_policy(text, name):
    """The policy's text under another name."""
    renamed, count = re.subn(r"(?m)^(\s*policy\s+)\w+", rf"\g<1>{name}", text, count=1)
    if count != 1:
        raise ProductError("no line `policy NAME {` in the policy's text")
    return renamed


class Product:
    def __init__(self, journal, build, policies, scratch, packages=None):
        self.journal = journal
        self.load_tool = os.path.join(build, "loader/cli/rmt-load")
        self.agent_tool = os.path.join(build, "loader/cli/rmt-agent")
        self.policies = policies   # folder of .rmt files
        self.scratch = scratch     # folder for what is made on the way
        self.packages = packages   # folder of compiled policies; None: compile here
        self._compiled = {}

    def missing(self):
        return [t for t in (self.load_tool, self.agent_tool) if not os.path.exists(t)]

    def why_not(self):
        """The reasons why no policy can be loaded here, from `rmt-load doctor`; an empty list when one can."""
        absent = self.missing()
        if absent:
            raise ProductError(f"{absent[0]} is not built; run scripts/demo, which builds it")
        told = self.doctor()
        if told["usable"]:
            return []
        return [f"{f['name']}: {f['detail']}" for f in told["host"] if not f["ok"] and f["name"] != "swap"] + [told["verdict"]]

    def doctor(self):
        done = subprocess.run([self.load_tool, "doctor", "-j"], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=60, check=False)
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise ProductError(f"rmt-load doctor -j printed no JSON (status {done.returncode}): {done.stderr.strip()}") from None

    def call(self, *args, timeout=120):
        """Runs rmt-load; its stdout. ProductError with its own words when it fails."""
        try:
            done = subprocess.run([self.load_tool, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                  timeout=timeout, check=False, start_new_session=True)
        except (OSError, subprocess.TimeoutExpired) as e:
            raise ProductError(f"rmt-load {' '.join(args)}: {e}") from None
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise ProductError(f"rmt-load {' '.join(args)} ended with {done.returncode}:\n{said}")
        return done.stdout

    def compiled(self, variant):
        """The variant's policy, compiled once, ready for `apply`."""
        if variant.name not in self._compiled:
            name = NAME + variant.name
            if self.packages:
                self._compiled[variant.name] = os.path.join(self.packages, name + ".rmtp")
            else:
                self._compiled[variant.name] = self.compile(variant, self.scratch)
        return self._compiled[variant.name]

    def compile(self, variant, folder):
        name = NAME + variant.name
        source = os.path.join(folder, name + ".rmt")
        with open(os.path.join(self.policies, variant.policy + ".rmt")) as f:
            text = rename_policy(f.read(), name)
        with open(source, "w") as f:
            f.write(text)
        package = os.path.join(folder, name + ".rmtp")
        self.call("compile", source, "-o", package)
        return package

    def activate(self, variant, cgroup, model=None, mode="enforce", agent=True):
        return Active(self, variant, cgroup, model, mode, agent)

    def train(self, samples, out):
        """Trains a model on a file of collected faults; what the trainer says about it. One model for several workloads: where
        they mix in a leaf it had better not predict."""
        return self.call("model", "train", samples, "--label", LABEL, "--inputs", INPUTS, "--confidence", "0.8", "--name", MODEL,
                         "-o", out)


class Active:
    """A policy that is applied to one cgroup, and its agent."""

    def __init__(self, product, variant, cgroup, model, mode, agent):
        self._product = product
        self.name = NAME + variant.name
        package = product.compiled(variant)
        self._entry = product.journal.add("policy", {"tool": product.load_tool, "name": self.name})
        self._agent = self._agent_entry = None
        try:
            chosen = ["--model", f"{MODEL}={model}"] if model else []
            product.call("apply", package, "--cgroup", cgroup, "--mode", mode, *chosen)
            if agent:
                self._start_agent(variant)
        except BaseException:
            self.stop()
            raise

    def _start_agent(self, variant):
        self._log = os.path.join(self._product.scratch, self.name + ".agent")
        trail = [] if variant.trail else ["--trail", "0"]
        with open(self._log, "wb") as log:
            self._agent, self._agent_entry = start(self._product.journal, [self._product.agent_tool, self.name, *trail],
                                                   death_signal=signal.SIGTERM, stdout=log, stderr=log)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if self._agent.poll() is not None:
                raise ProductError(f"rmt-agent {self.name} ended with {self._agent.returncode}: {self._said()}")
            if self._said():
                return  # it speaks when it has begun to act
            time.sleep(0.02)
        raise ProductError(f"rmt-agent {self.name} did not begin to act within 10 s")

    def _said(self):
        with open(self._log) as f:
            return f.read().strip()

    def figures(self):
        """Counters of the policy so far, and the agent's CPU time."""
        told = json.loads(self._product.call("stats", self.name, "-j"))
        stats = {}
        for group in told["cgroups"]:
            for key, value in group["stat"].items():
                stats[key] = stats.get(key, 0) + value
        seconds = cpu_seconds(self._agent.pid) if self._agent else None
        if self._agent and self._agent.poll() is not None:
            raise ProductError(f"rmt-agent {self.name} died with {self._agent.returncode}: {self._said()}")
        return {"policy_stats": stats, "agent_cpu_seconds": seconds}

    def stop(self):
        if self._agent:
            value = self._agent_entry[1]
            stop_process(value["pid"], value["start"])
            self._agent.poll()
            self._product.journal.drop(self._agent_entry)
            self._agent = None
        self._product.journal.take_back_now(self._entry)
