# SPDX-License-Identifier: MIT
"""The earlier run that the trained model comes from: each workload once, the policy in shadow, its faults collected. One model
for all of them."""
import os
import time

from .memcg import Memcg
from .product import NAME, ProductError
from .undo import say, stop_process
from .variants import VARIANTS
from .workloads import run, start

PASSES = 1


def collect(bench, workloads, out):
    """Runs the workloads, one after the other, without any prefetching, and keeps what the policy saw in a file."""
    variant = VARIANTS["learned"]
    bench.journal.set_tunable("/proc/sys/vm/page-cluster", 0)
    memcg = Memcg(bench.journal, bench.hierarchy, bench.limit_mb << 20)
    active = None
    try:
        active = bench.product.activate(variant, memcg.path, mode="shadow", agent=False)
        with open(out + ".log", "wb") as log:
            collector, entry = start(bench.journal, [bench.product.load_tool, "collect", NAME + variant.name, "-o", out],
                                     stdout=log, stderr=log)
        try:
            for w in workloads:
                say(f"collecting the faults of an earlier run: {w.title}")
                outcome = run(bench.journal, bench.command(w, PASSES), memcg)
                if outcome.error:
                    raise ProductError(f"collecting faults: {w.title} {outcome.error}")
        finally:
            stop_process(*entry[1].values())
            collector.poll()
            bench.journal.drop(entry)
        if not os.path.exists(out):
            with open(out + ".log") as log:
                raise ProductError(f"rmt-load collect wrote nothing: {log.read().strip()}")
    finally:
        if active:
            active.stop()
        memcg.remove()


def train_model(bench, workloads, scratch):
    """The file of one model for all workloads."""
    begin = time.monotonic()
    samples, model = (os.path.join(scratch, name) for name in ("faults.npy", "next_delta.json"))
    collect(bench, workloads, samples)
    for line in bench.product.train(samples, model).splitlines():
        say(line.strip())
    say(f"the model of the earlier run is ready after {time.monotonic() - begin:.1f} s")
    return model
