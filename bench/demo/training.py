# SPDX-License-Identifier: MIT
"""The earlier run that the trained model comes from: each workload once, the policy in shadow, its faults collected."""
import os
import time

from .memcg import Memcg
from .product import NAME, ProductError
from .undo import say, stop_process
from .variants import VARIANTS
from .workloads import run, start

PASSES = 1


def collect(bench, workload, scratch):
    """Runs a workload without any prefetching and keeps what the policy saw; the file of samples."""
    out = os.path.join(scratch, f"{workload.name}.npy")
    variant = VARIANTS["learned"]
    bench.journal.set_tunable("/proc/sys/vm/page-cluster", 0)
    memcg = Memcg(bench.journal, bench.hierarchy, bench.limit_mb << 20)
    active = None
    try:
        active = bench.product.activate(variant, memcg.path, mode="shadow", agent=False)
        collector, entry = start(bench.journal, [bench.product.load_tool, "collect", NAME + variant.name, "-o", out])
        try:
            outcome = run(bench.journal, workload.command(bench.binary, bench.footprint_mb, PASSES), memcg)
        finally:
            stop_process(*entry[1].values())
            collector.poll()
            bench.journal.drop(entry)
        if outcome.error:
            raise ProductError(f"collecting faults: {workload.title} {outcome.error}")
        if not os.path.exists(out):
            raise ProductError(f"rmt-load collect wrote no {out}")
        return out
    finally:
        if active:
            active.stop()
        memcg.remove()


def train_model(bench, workloads, scratch):
    """The file of one model for all workloads."""
    begin = time.monotonic()
    samples = []
    for w in workloads:
        say(f"collecting the faults of an earlier run: {w.title}")
        samples.append(collect(bench, w, scratch))
    model = bench.product.train(samples, os.path.join(scratch, "next_delta.json"))
    say(f"trained a model on them; {time.monotonic() - begin:.1f} s in all")
    return model
