# SPDX-License-Identifier: MIT
"""The command: what to run, in which order, what to print."""
import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time

from . import emulated, host, summary, svg, table
from .measure import Bench
from .memcg import NoMemcg, find_hierarchy
from .product import Product, ProductError
from .swapfile import NoSwap, make_swapfile, use_device
from .training import train_model
from .undo import Busy, Journal, say
from .variants import DEFAULT as DEFAULT_POLICIES
from .variants import VARIANTS
from .workloads import DEFAULT as DEFAULT_WORKLOADS
from .workloads import WORKLOADS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FAILED, USAGE, CANNOT, CONFLICT = 1, 2, 5, 8


class Stopped(BaseException):
    """A signal asked us to end."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


def _names(known):
    def parse(text):
        names = [n for n in text.split(",") if n]
        unknown = [n for n in names if n not in known]
        if unknown or not names:
            raise argparse.ArgumentTypeError(f"'{text}': expected names of {', '.join(known)}")
        return names
    return parse


def _at_least(low):
    def parse(text):
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low:
            raise argparse.ArgumentTypeError(f"'{text}': expected a whole number of {low} or more")
        return value
    return parse


def parse_arguments(argv):
    p = argparse.ArgumentParser(prog="scripts/demo", description="Memory-limited workloads under Linux readahead, no readahead, "
                                "Leap and our learned prefetcher, interleaved. About three minutes.")
    p.add_argument("--workloads", type=_names(WORKLOADS), default=list(DEFAULT_WORKLOADS), metavar="A,B",
                   help=f"of {', '.join(WORKLOADS)} (default: {','.join(DEFAULT_WORKLOADS)})")
    p.add_argument("--policies", type=_names(VARIANTS), default=list(DEFAULT_POLICIES), metavar="A,B",
                   help=f"of {', '.join(VARIANTS)} (default: {','.join(DEFAULT_POLICIES)}); the first is the reference")
    p.add_argument("--reps", type=_at_least(1), default=None, help="repetitions (default 5)")
    p.add_argument("--seconds", type=_at_least(1), default=240,
                   help="begin no repetition that would end later than this; at least 3 are made, or --reps (default 240)")
    p.add_argument("--footprint", type=_at_least(32), default=None, metavar="MB",
                   help="memory that a workload uses; its limit is half of it (default 96)")
    p.add_argument("--passes", type=_at_least(2), default=None, help="passes of each run (default 2); the time is that of all but the first")
    p.add_argument("--json", action="store_true", help="print one document with every repetition's figures")
    p.add_argument("--svg", metavar="FILE", default=None, help="the picture (default: demo.svg in the build folder)")
    p.add_argument("--build", metavar="DIR", default=os.path.join(ROOT, "build"), help=argparse.SUPPRESS)
    p.add_argument("--vm", nargs="?", const="7", default=None, metavar="KERNEL",
                   help="run in a virtual machine even where this host can")
    p.add_argument("--swap-device", default=None, help=argparse.SUPPRESS)   # in the VM
    p.add_argument("--packages", default=None, help=argparse.SUPPRESS)      # policies compiled elsewhere
    p.add_argument("--emulated", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--only-parse", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--save", default=None, metavar="FILE", help="also write the document of --json to a file")
    a = p.parse_args(argv)
    a.build = os.path.abspath(a.build)
    a.svg = os.path.abspath(a.svg or os.path.join(a.build, "demo.svg"))
    return a


def settle(args, slow):
    """Fills in what was not given. In a VM each run takes many times as long."""
    reps, footprint, passes = (1, 64, 2) if slow else (5, 96, 2)
    args.reps, args.footprint, args.passes = args.reps or reps, args.footprint or footprint, args.passes or passes


def swap_bytes(args):
    """Four times the largest memory that a workload fills."""
    return int(4 * (args.footprint or 96) * max(WORKLOADS[w].buffer_factor for w in args.workloads)) << 20


def rotated(items, by):
    """Another one goes first in each repetition: none has always the same neighbour."""
    by %= len(items)
    return items[by:] + items[:by]


def run_all(args, bench, model):
    """All repetitions. Stops early, after a whole repetition, when the time is up."""
    runs, begin, longest = [], time.monotonic(), 0.0
    for rep in range(args.reps):
        start = time.monotonic()
        if rep >= 3 and start - begin + longest > args.seconds:
            say(f"{rep} of {args.reps} repetitions: the time of --seconds {args.seconds} is used up")
            break
        for w in args.workloads:
            for p in rotated(args.policies, rep):
                variant = VARIANTS[p]
                run = bench.repetition(WORKLOADS[w], variant, rep, model if variant.model else None)
                runs.append(run)
                what = f"{run['seconds']:.2f} s, {run['misses']} misses" if run["ok"] else f"FAILED: {run['error']}"
                say(f"{rep + 1}/{args.reps} {WORKLOADS[w].title}, {variant.title}: {what}")
        longest = max(longest, time.monotonic() - start)
    return runs


def notes(document):
    h = document["host"]
    lines = [f"Linux {h['kernel']}, {h['cpus']} CPUs; {document['footprint_mb']} MB of memory used, {document['limit_mb']} MB allowed; "
             f"swap on {h['swap']}; Linux readahead by {h['readahead']}",
             f"median of {document['repetitions']} interleaved repetitions, whiskers and brackets: smallest and largest; time of the "
             "passes after the first"]
    if document["emulated"]:
        lines.append("EMULATED: in QEMU without hardware virtualisation. Only counts and ratios mean something, and ratios little")
    return lines


def report(args, document, summed):
    """Table to stdout (or the document), picture to its file. The exit status."""
    titles = {w: WORKLOADS[w].title for w in args.workloads}
    policy_titles = {p: VARIANTS[p].title for p in args.policies}
    try:
        text = svg.render(summed, titles, VARIANTS, "Page prefetching under a memory limit", notes(document))
        with open(args.svg, "w") as f:
            f.write(text)
        say(f"picture: {args.svg}")
    except OSError as e:
        say(f"cannot write the picture {args.svg}: {e.strerror}; give another file with --svg")
    text = json.dumps(document, indent=1)
    if args.save:
        with open(args.save, "w") as f:
            f.write(text + "\n")
    if args.json:
        print(text)
    else:
        print("\n".join(notes(document)) + "\n\n" + table.render(summed, titles, policy_titles))
    for problem in document["problems"]:
        say(problem)
    return FAILED if document["problems"] else 0


def problems_of(runs, summed):
    out = summary.checksum_problems(runs)
    for w, rows in summed.items():
        out += [f"no run of {WORKLOADS[w].title} under {VARIANTS[p].title} succeeded" for p, row in rows.items() if not row["runs"]]
    return out


def here(args, journal, scratch):
    """The demo on this kernel."""
    hierarchy = find_hierarchy()
    if args.swap_device:
        swap = use_device(journal, args.swap_device)
    else:
        swap = make_swapfile(journal, host.swap_directory(), swap_bytes(args))
    product = Product(journal, args.build, os.path.join(ROOT, "policies"), scratch, args.packages)
    bench = Bench(journal, hierarchy, product, os.path.join(args.build, "bench/rmt-workload"), args.footprint, args.passes,
                  args.emulated)
    model = None
    if any(VARIANTS[p].model for p in args.policies):
        model = train_model(bench, [WORKLOADS[w] for w in args.workloads], scratch)
    runs = run_all(args, bench, model)
    summed = summary.summarise(runs, args.workloads, args.policies, args.policies[0])
    where = f"{args.swap_device} (in memory)" if args.swap_device else f"a file in {host.swap_directory()}"
    document = {"rmt_demo": 1, "emulated": args.emulated, "host": {**host.describe(), "swap": where,
                "readahead": host.readahead_kind(swap), "cgroup_version": hierarchy.version},
                "footprint_mb": args.footprint, "limit_mb": bench.limit_mb, "passes": args.passes, "reference": args.policies[0],
                "repetitions": len({r["rep"] for r in runs}), "problems": problems_of(runs, summed), "runs": runs,
                "summary": summary.as_json(summed)}
    return report(args, document, summed)


def install_signals():
    def stop(number, _frame):
        raise Stopped(number)
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, stop)


def why_not(args):
    reasons = host.why_not(swap_bytes(args), args.swap_device)
    if not reasons and any(VARIANTS[p].policy for p in args.policies):
        reasons = Product(None, args.build, None, None).why_not()
    return reasons


def main(argv):
    args = parse_arguments(argv)
    if args.only_parse:  # before minutes of building
        return 0
    install_signals()
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    scratch = tempfile.mkdtemp(prefix="rmt-demo-")
    try:
        reasons = why_not(args)
        if args.vm or reasons:
            for r in reasons:
                say(f"this host cannot: {r}")
            if args.emulated:
                return CANNOT
            settle(args, slow=True)
            return emulated.run(args, ROOT, scratch)
        settle(args, slow=args.emulated)
        with Journal() as journal:
            journal.add("folder", scratch)
            return here(args, journal, scratch)
    except Busy as e:
        say(str(e))
        return CONFLICT
    except (NoSwap, NoMemcg, ProductError) as e:
        say(str(e))
        return CANNOT if not isinstance(e, ProductError) else FAILED
    except Stopped as e:
        say(f"stopped by {signal.Signals(e.number).name}; everything was taken back")
        return 128 + e.number
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
