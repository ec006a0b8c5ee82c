# SPDX-License-Identifier: MIT
"""What this host is, and whether the demo can run on it."""
import os
import platform

from .memcg import NoMemcg, find_hierarchy
from .swapfile import NoSwap, check_directory, is_rotational


def swap_directory():
    return os.environ.get("RMT_SWAP_DIR", "/var/tmp")


def why_not(swap_bytes, swap_device=None):
    """The reasons why a workload cannot be made to swap here; an empty list when it can."""
    reasons = []
    if os.geteuid() != 0:
        reasons.append("not root: cgroups, swap and BPF need it")
    try:
        find_hierarchy()
    except (NoMemcg, OSError) as e:
        reasons.append(str(e))
    if not os.path.exists("/proc/sys/vm/page-cluster"):
        reasons.append("this kernel has no swap (no /proc/sys/vm/page-cluster)")
    elif not os.access("/proc/sys/vm/page-cluster", os.W_OK):
        reasons.append("/proc/sys is read-only here, so vm.page-cluster cannot be set")
    if swap_device is None:
        try:
            check_directory(swap_directory(), swap_bytes)
        except NoSwap as e:
            reasons.append(str(e))
    return reasons


def readahead_kind(swap_path):
    """Which readahead the kernel uses for this swap: by slots of the device, or by the virtual memory around a fault."""
    rotational = is_rotational(swap_path)
    try:
        with open("/sys/kernel/mm/swap/vma_ra_enabled") as f:
            vma = f.read().strip() == "true"
    except OSError:
        vma = False
    return "VMA" if vma and rotational is False else "slot cluster"


def cpu_name():
    try:
        with open("/proc/cpuinfo") as f:
            for line in f:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def describe():
    return {"kernel": platform.release(), "cpus": len(os.sched_getaffinity(0)), "cpu": cpu_name(),
            "load": os.getloadavg()[0]}
