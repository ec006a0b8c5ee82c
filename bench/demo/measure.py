# SPDX-License-Identifier: MIT
"""One repetition: one workload under one policy, and what was counted meanwhile."""
import os

from . import vmstat
from .memcg import Memcg
from .product import ProductError
from .workloads import run


class Bench:
    """What all repetitions share."""

    def __init__(self, journal, hierarchy, product, binary, footprint_mb, passes, emulated=False):
        self.journal = journal
        self.hierarchy = hierarchy
        self.product = product        # None: the kernel's own policies only
        self.binary = binary
        self.footprint_mb = footprint_mb
        self.limit_mb = footprint_mb // 2
        self.passes = passes
        self.emulated = emulated

    def command(self, workload, passes):
        return workload.command(self.binary, self.footprint_mb, passes, self.emulated)

    def repetition(self, workload, variant, number, model=None):
        """Figures of one run; never raises for what workload or policy do, `error` says it."""
        figures = {"workload": workload.name, "policy": variant.name, "rep": number, "ok": False, "error": "",
                   "load": os.getloadavg()[0], "policy_stats": None, "agent_cpu_seconds": None}
        self.journal.set_tunable("/proc/sys/vm/page-cluster", variant.page_cluster)
        memcg = Memcg(self.journal, self.hierarchy, self.limit_mb << 20)
        active = None
        try:
            if variant.policy:
                active = self.product.activate(variant, memcg.path, model)
            outcome, counters = self._run(workload, memcg)
            if active:
                figures.update(active.figures())
            self._fill(figures, outcome, counters)
        except ProductError as e:
            figures["error"] = str(e)
        finally:
            if active:
                active.stop()
            memcg.remove()
        return figures

    def _run(self, workload, memcg):
        counters = {}

        def on_line(line):
            if "ready" in line:
                counters["before"] = vmstat.read()

        outcome = run(self.journal, self.command(workload, self.passes), memcg, on_line)
        counters["after"] = vmstat.read()
        return outcome, counters

    def _fill(self, figures, outcome, counters):
        figures["error"] = outcome.error
        if outcome.error:
            return
        last = outcome.lines[-1]
        kernel = vmstat.difference(counters["after"], counters["before"])
        if kernel["pswpin"] == 0:
            figures["error"] = "nothing was swapped in: the memory limit or the swap did not work"
            return
        if figures["policy_stats"] is not None and figures["policy_stats"].get("faults", 1) == 0:
            figures["error"] = "the policy saw no fault of the workload"
            return
        figures.update(ok=True, kernel=kernel, checksum=last["checksum"], fill_seconds=last["fill_seconds"],
                       total_seconds=last["total_seconds"], seconds=last["steady"]["seconds"],
                       stall_seconds=last["steady"]["stall_seconds"], slow_touches=last["steady"]["slow_touches"],
                       majflt=last["steady"]["majflt"], minflt=last["steady"]["minflt"],
                       accesses=last["steady"]["accesses"], passes=[p for p in outcome.lines if "pass" in p])
        figures.update(prefetching(figures["policy_stats"], kernel, last["all"]["majflt"]))


def prefetching(stats, kernel, majflt):
    """hits, misses, pages read and used by the prefetcher, over all passes: of a policy by its ledger, of the kernel's own
    readahead by vmstat."""
    if stats is not None:
        return {"hits": stats["hit"], "misses": stats["major"], "prefetch_read": stats["read"], "prefetch_used": stats["used"]}
    return {"hits": kernel["swap_ra_hit"], "misses": majflt, "prefetch_read": kernel["swap_ra"],
            "prefetch_used": kernel["swap_ra_hit"]}

