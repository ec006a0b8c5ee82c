# SPDX-License-Identifier: MIT
"""The demo on this kernel with the kernel's own policies: it measures swapping, and leaves nothing, however it is ended."""
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from demo import host, memcg, undo

BUILD = os.environ["RMT_BUILD"]
ARGS = ["--build", BUILD, "--policies", "linux,none", "--workloads", "stride", "--footprint", "48", "--passes", "2"]
REASONS = host.why_not(1 << 30)
LINE = "1/1 strided scan, Linux readahead"


def state():
    """What a demo could leave behind."""
    root = memcg.find_hierarchy().root
    return {"swaps": [s for s in undo.active_swaps() if undo.PREFIX in s], "files": glob.glob(f"{host.swap_directory()}/{undo.PREFIX}-*"),
            "cgroups": glob.glob(f"{root}/{undo.PREFIX}-*"), "journal": os.path.exists(undo.JOURNAL),
            "workloads": [p for p in glob.glob("/proc/[0-9]*/comm") if name_of(p) == "rmt-workload"]}


def name_of(path):
    try:
        return undo.read_text(path)
    except OSError:
        return ""


NOTHING = {"swaps": [], "files": [], "cgroups": [], "journal": False, "workloads": []}


class LiveTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.picture = os.path.join(self.folder.name, "demo.svg")

    def tearDown(self):
        self.folder.cleanup()

    def start(self, *more):
        return subprocess.Popen([sys.executable, "-B", "-m", "demo", *ARGS, "--svg", self.picture, *more], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def wait_for_workload(self, process):
        """Until the first workload runs: swap, cgroup and child exist."""
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None:
            if state()["workloads"]:
                return
            time.sleep(0.01)
        self.fail("no workload was started: " + process.communicate()[1])

    def test_measures_and_leaves_nothing(self):
        process = self.start("--json", "--reps", "1")
        out, said = process.communicate(timeout=200)
        self.assertEqual(process.returncode, 0, said)
        document = json.loads(out)
        self.assertEqual([(r["policy"], r["ok"], r["error"]) for r in document["runs"]], [("linux", True, ""), ("none", True, "")])
        for r in document["runs"]:
            self.assertGreater(r["misses"], 1000)         # 12288 pages of which half fit, twice
            self.assertGreaterEqual(r["kernel"]["pswpin"], r["misses"])
            self.assertLess(r["stall_seconds"], r["seconds"])
        self.assertGreater(os.path.getsize(self.picture), 1000)
        self.assertEqual(state(), NOTHING)

    def test_signals_leave_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start("--reps", "9")
            self.wait_for_workload(process)
            process.send_signal(number)
            said = process.communicate(timeout=60)[1]
            self.assertEqual(process.returncode, 128 + number, said)
            self.assertEqual(state(), NOTHING)

    def test_after_kill_the_next_run_cleans_up(self):
        process = self.start("--reps", "9")
        self.wait_for_workload(process)
        process.kill()
        process.communicate(timeout=60)
        self.assertNotEqual(state(), NOTHING)
        self.test_measures_and_leaves_nothing()

    def test_two_at_once(self):
        first = self.start("--reps", "9")
        self.wait_for_workload(first)
        second = self.start("--reps", "1")
        said = second.communicate(timeout=60)[1]
        self.assertEqual(second.returncode, 8, said)
        first.terminate()
        first.communicate(timeout=60)
        self.assertEqual(state(), NOTHING)


if __name__ == "__main__":
    if REASONS:
        print("rmt-skip: " + "; ".join(REASONS))
        sys.exit(0)
    with undo.Journal():  # leftovers of an earlier run, whoever killed that
        pass
    unittest.main()
