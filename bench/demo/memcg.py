# SPDX-License-Identifier: MIT
"""A memory cgroup of our own, version 1 or 2: found where this host has it, never assumed."""
import os
from dataclasses import dataclass

from .undo import PREFIX, read_text, write_text


class NoMemcg(Exception):
    """No memory cgroup can be made here; the text says why."""


@dataclass(frozen=True)
class Hierarchy:
    version: int
    root: str  # where a child of ours is made


def find_hierarchy(mounts="/proc/self/mounts"):
    """The hierarchy that has the memory controller. Version 1 wins when both are mounted: only one can hold it."""
    unified = None
    with open(mounts) as f:
        for line in f:
            device, where, kind, options, *_ = line.split()
            where = where.replace("\\040", " ")
            if kind == "cgroup" and "memory" in options.split(","):
                return Hierarchy(1, where)
            if kind == "cgroup2":
                unified = where
    if unified is None:
        raise NoMemcg("no cgroup hierarchy is mounted")
    if "memory" not in read_text(os.path.join(unified, "cgroup.controllers")).split():
        raise NoMemcg(f"the cgroup hierarchy at {unified} has no memory controller")
    return Hierarchy(2, unified)


class Memcg:
    """One cgroup with a memory limit. Files differ between the versions, meanings do not."""

    def __init__(self, journal, hierarchy, limit_bytes, name=None):
        self.version = hierarchy.version
        self.path = os.path.join(hierarchy.root, name or f"{PREFIX}-{os.getpid()}")
        if self.version == 2:
            self._enable_memory(journal, hierarchy.root)
        self._entry = journal.add("cgroup", self.path)
        self._journal = journal
        try:
            os.mkdir(self.path)
        except OSError as e:
            raise NoMemcg(f"cannot make the cgroup {self.path}: {e.strerror}") from e
        self._write("memory.limit_in_bytes" if self.version == 1 else "memory.max", str(limit_bytes))
        if self.version == 1:
            self._write("memory.swappiness", "60")
        elif os.path.exists(self._file("memory.zswap.max")):
            self._write("memory.zswap.max", "0")  # to the device, not into a compressed pool in memory

    @staticmethod
    def _enable_memory(journal, root):
        control = os.path.join(root, "cgroup.subtree_control")
        if "memory" in read_text(control).split():
            return
        journal.add("tunable", {"path": control, "old": "-memory"})
        try:
            write_text(control, "+memory")
        except OSError as e:
            raise NoMemcg(f"the memory controller cannot be turned on below {root}: {e.strerror}") from e

    def _file(self, name):
        return os.path.join(self.path, name)

    def _write(self, name, text):
        try:
            write_text(self._file(name), text)
        except OSError as e:
            raise NoMemcg(f"cannot set {name} to {text} in {self.path}: {e.strerror}") from e

    def enter(self):
        """Moves the calling process in."""
        write_text(self._file("cgroup.procs"), "0" if self.version == 2 else str(os.getpid()))

    def oom_kills(self):
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        try:
            for line in read_text(self._file(name)).splitlines():
                key, value = line.split()[:2]
                if key == "oom_kill":
                    return int(value)
        except OSError:
            pass
        return 0

    def remove(self):
        self._journal.take_back_now(self._entry)
