# SPDX-License-Identifier: MIT
"""The demo on this kernel with our policies: they prefetch, their figures add up, and no pin or agent is left."""
import json
import signal

import live
from demo import host
from demo.product import Product

POLICIES = ("--policies", "none,learned,fresh")


def agent_runs(state):
    return bool(state["pins"]) and len(state["processes"]) == 2  # the agent and a workload


class LivePolicyTest(live.LiveCase):
    def test_prefetches_and_leaves_nothing(self):
        process = self.start(*POLICIES, "--json", "--reps", "1")
        out, said = process.communicate(timeout=280)
        self.assertEqual(process.returncode, 0, said)
        runs = {r["policy"]: r for r in json.loads(out)["runs"]}
        none = runs.pop("none")
        for name, r in runs.items():
            self.assertEqual((r["ok"], r["error"]), (True, ""), name)
            self.assertEqual(r["checksum"], none["checksum"], name)
            stats = r["policy_stats"]
            self.assertLess(r["misses"], none["misses"] / 2, name)
            self.assertGreater(stats["hit"], stats["major"], name)
            self.assertLessEqual(stats["used"], stats["read"], name)
            self.assertLessEqual(stats["read"], stats["issued"], name)
        self.assert_nothing_left()

    def test_signals_leave_nothing(self):
        process = self.start("--policies", "fresh", "--reps", "9")
        self.wait_until(process, agent_runs)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 128 + signal.SIGINT, said)
        self.assert_nothing_left()

    def test_after_kill_the_next_run_cleans_up(self):
        process = self.start("--policies", "fresh", "--reps", "9")
        self.wait_until(process, agent_runs)
        process.kill()
        process.communicate(timeout=60)
        self.assertTrue(live.state()["pins"])
        process = self.start("--policies", "none", "--reps", "1")
        said = process.communicate(timeout=200)[1]
        self.assertEqual(process.returncode, 0, said)
        self.assert_nothing_left()


if __name__ == "__main__":
    live.run(host.why_not(1 << 30) or Product(None, live.BUILD, None, None).why_not())
