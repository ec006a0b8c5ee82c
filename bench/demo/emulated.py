# SPDX-License-Identifier: MIT
"""The same demo in a virtual machine, for hosts that cannot: a stock Debian kernel in QEMU without hardware virtualisation."""
import json
import os
import shutil
import subprocess
import sys

from . import summary, table
from .product import Product
from .undo import process_start, say, stop_process
from .variants import VARIANTS
from .workloads import WORKLOADS, die_with_parent

KERNEL = "7"         # without the one-jiffy race of kernels up to 6.18
TIMEOUT = 3000


def guest_command(args, packages):
    return ["env", "PYTHONPATH=bench", "python3", "-B", "-m", "demo", "--emulated", "--swap-device", "/dev/nullb0",
            "--packages", packages, "--save", "/out/demo.json", "--svg", "/out/demo.svg",
            "--workloads", ",".join(args.workloads), "--policies", ",".join(args.policies),
            "--reps", str(args.reps), "--footprint", str(args.footprint), "--passes", str(args.passes)]


def run(args, root, scratch):
    """Compiles the policies here, runs the demo there, prints its results here. The exit status."""
    say("running the demo in a virtual machine instead; it is EMULATED, so only counts mean something, and ratios little")
    packages = os.path.join(scratch, "packages")
    os.mkdir(packages)
    product = Product(None, args.build, os.path.join(root, "policies"), scratch)
    for p in args.policies:
        if VARIANTS[p].policy:
            product.compile(VARIANTS[p], packages)
    out = os.path.join(scratch, "out")
    command = [os.path.join(root, "scripts/vm"), args.vm or KERNEL, "-p", "-f", os.path.join(root, "bench/demo"), "-f", packages,
               "-o", out, "-t", str(TIMEOUT), "-m", "3072", "--", *guest_command(args, packages)]
    status = _wait(command, dict(os.environ, RMT_BUILD=args.build))
    if status == 77:
        say("and there is no virtual machine either; the reason is above")
        return 5
    saved = os.path.join(out, "demo.json")
    if not os.path.exists(saved):
        say(f"the demo in the virtual machine ended with {status} and left no result")
        return status or 1
    return _report(args, saved, out, status)


def _wait(command, env):
    """Runs scripts/vm; what the guest prints is progress, so it goes to stderr."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=env, start_new_session=True,
                               preexec_fn=die_with_parent)
    try:
        return process.wait()
    except BaseException:
        stop_process(process.pid, process_start(process.pid))
        raise


def _report(args, saved, out, status):
    with open(saved) as f:
        document = json.load(f)
    shutil.copy(os.path.join(out, "demo.svg"), args.svg)
    say(f"picture: {args.svg}")
    if args.json:
        print(json.dumps(document, indent=1))
    else:
        summed = summary.summarise(document["runs"], args.workloads, args.policies, args.policies[0])
        print("EMULATED: in QEMU without hardware virtualisation. Only counts and ratios mean something, and ratios little\n")
        print(table.render(summed, {w: WORKLOADS[w].title for w in args.workloads}, {p: VARIANTS[p].title for p in args.policies}))
    return status
