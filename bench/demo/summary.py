# SPDX-License-Identifier: MIT
"""From the figures of repetitions to medians, ranges and speedups.

A speedup is the ratio of two runs of the same repetition, that is of neighbours in time: what the machine did meanwhile
touches both. Definitions of coverage and accuracy: see README.md of bench/."""
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Range:
    median: float
    low: float
    high: float

    def json(self):
        return {"median": self.median, "min": self.low, "max": self.high}


def spread(values):
    """Median, smallest and largest; None of nothing."""
    values = [v for v in values if v is not None]
    return Range(median(values), min(values), max(values)) if values else None


def ratio(part, whole):
    return part / whole if whole else None


def coverage(run):
    """Prefetched pages that were touched, of all that had to come from swap."""
    hits = run["hits"]
    return None if hits is None else ratio(hits, hits + run["misses"])


def accuracy(run):
    """Pages that were used, of all that the prefetcher read from swap; None when it read next to nothing."""
    return None if run["prefetch_read"] < FEW else ratio(run["prefetch_used"], run["prefetch_read"])


FEW = 100  # pages; Linux turns its readahead nearly off when it does not pay

FIGURES = ("seconds", "total_seconds", "stall_seconds", "majflt", "misses", "slow_touches", "agent_cpu_seconds")


def summarise(runs, workloads, policies, base):
    """{workload: {policy: {"runs", "failed", figure: Range, "speedup": Range}}} in the given order."""
    out = {}
    for w in workloads:
        base_time = {r["rep"]: r["seconds"] for r in runs if r["workload"] == w and r["policy"] == base and r["ok"]}
        out[w] = {}
        for p in policies:
            mine = [r for r in runs if r["workload"] == w and r["policy"] == p]
            good = [r for r in mine if r["ok"]]
            row = {"runs": len(good), "failed": len(mine) - len(good)}
            for name in FIGURES:
                row[name] = spread([r[name] for r in good])
            row["coverage"] = spread([coverage(r) for r in good])
            row["accuracy"] = spread([accuracy(r) for r in good])
            row["speedup"] = spread([base_time[r["rep"]] / r["seconds"] for r in good if r["rep"] in base_time])
            out[w][p] = row
    return out


def as_json(summary):
    return {w: {p: {k: v.json() if isinstance(v, Range) else v for k, v in row.items()} for p, row in rows.items()}
            for w, rows in summary.items()}


def checksum_problems(runs):
    """A policy must never change what a program computes: one checksum per workload."""
    seen, out = {}, []
    for r in runs:
        if not r["ok"]:
            continue
        first = seen.setdefault(r["workload"], r)
        if r["checksum"] != first["checksum"]:
            out.append(f"{r['workload']} under {r['policy']} computed {r['checksum']}, under {first['policy']} {first['checksum']}")
    return out
