# SPDX-License-Identifier: MIT
"""For the tests that run the demo on this kernel: starting it, and seeing whatever it could leave behind."""
import glob
import os
import subprocess
import sys
import tempfile
import time
import unittest

from demo import host, memcg, undo

BUILD = os.environ["RMT_BUILD"]
ARGS = ["--build", BUILD, "--workloads", "stride", "--footprint", "96", "--passes", "2"]
NOTHING = {"swaps": [], "files": [], "cgroups": [], "journal": False, "processes": [], "pins": [], "page-cluster": None}


def _read(path):
    try:
        return undo.read_text(path)
    except OSError:
        return ""


def _ours(comm):
    """A workload, or the agent of one of the demo's policies."""
    name = _read(comm)
    return name == "rmt-workload" or name == "rmt-agent" and "rmt_demo_" in _read(comm.replace("/comm", "/cmdline"))


def state(page_cluster=None):
    """What a demo could leave behind; equal to NOTHING when it left nothing."""
    root = memcg.find_hierarchy().root
    now = undo.read_text("/proc/sys/vm/page-cluster")
    return {"swaps": [s for s in undo.active_swaps() if undo.PREFIX in s],
            "files": glob.glob(f"{host.swap_directory()}/{undo.PREFIX}-*"), "cgroups": glob.glob(f"{root}/{undo.PREFIX}-*"),
            "journal": os.path.exists(undo.JOURNAL), "processes": [p for p in glob.glob("/proc/[0-9]*/comm") if _ours(p)],
            "pins": glob.glob("/sys/fs/bpf/rmt/rmt_demo_*"), "page-cluster": None if page_cluster in (None, now) else now}


class LiveCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.picture = os.path.join(self.folder.name, "demo.svg")
        self.page_cluster = undo.read_text("/proc/sys/vm/page-cluster")

    def tearDown(self):
        self.folder.cleanup()

    def start(self, *more):
        return subprocess.Popen([sys.executable, "-B", "-m", "demo", *ARGS, "--svg", self.picture, *more], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def wait_until(self, process, condition):
        """Until the demo has come so far."""
        end = time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            if condition(state()):
                return
            time.sleep(0.01)
        process.terminate()
        self.fail("the demo did not come so far: " + process.communicate()[1])

    def assert_nothing_left(self):
        self.assertEqual(state(self.page_cluster), NOTHING)


def run(reasons):
    """The tests of a file, or the reasons why they cannot run here."""
    if reasons:
        print("rmt-skip: " + "; ".join(reasons))
        sys.exit(0)
    try:
        with undo.Journal():  # leftovers of an earlier run, whoever killed that
            pass
    except undo.Busy as e:
        print(f"rmt-skip: {e}")
        sys.exit(0)
    unittest.main()
