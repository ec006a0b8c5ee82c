# SPDX-License-Identifier: MIT
"""The demo on this kernel with the kernel's own policies: it measures swapping, and leaves nothing, however it is ended."""
import json
import os
import signal

import live
from demo import host

POLICIES = ("--policies", "linux,none")


def workload_runs(state):
    return bool(state["processes"])


class LiveTest(live.LiveCase):
    def test_measures_and_leaves_nothing(self):
        process = self.start(*POLICIES, "--json", "--reps", "1")
        out, said = process.communicate(timeout=200)
        self.assertEqual(process.returncode, 0, said)
        document = json.loads(out)
        self.assertEqual([(r["policy"], r["ok"], r["error"]) for r in document["runs"]], [("linux", True, ""), ("none", True, "")])
        for r in document["runs"]:
            self.assertGreater(r["misses"], 1000)         # 24576 pages of which half fit, twice
            self.assertGreaterEqual(r["kernel"]["pswpin"], r["misses"])
            self.assertLess(r["stall_seconds"], r["seconds"])
        self.assertGreater(os.path.getsize(self.picture), 1000)
        self.assert_nothing_left()

    def test_signals_leave_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start(*POLICIES, "--reps", "9")
            self.wait_until(process, workload_runs)
            process.send_signal(number)
            said = process.communicate(timeout=60)[1]
            self.assertEqual(process.returncode, 128 + number, said)
            self.assert_nothing_left()

    def test_after_kill_the_next_run_cleans_up(self):
        process = self.start(*POLICIES, "--reps", "9")
        self.wait_until(process, workload_runs)
        process.kill()
        process.communicate(timeout=60)
        self.assertNotEqual(live.state(), live.NOTHING)
        self.test_measures_and_leaves_nothing()

    def test_two_at_once(self):
        first = self.start(*POLICIES, "--reps", "9")
        self.wait_until(first, workload_runs)
        second = self.start(*POLICIES, "--reps", "1")
        said = second.communicate(timeout=60)[1]
        self.assertEqual(second.returncode, 8, said)
        first.terminate()
        first.communicate(timeout=60)
        self.assert_nothing_left()


if __name__ == "__main__":
    live.run(host.why_not(1 << 30))
