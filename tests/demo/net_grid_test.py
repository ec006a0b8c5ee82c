# SPDX-License-Identifier: MIT
"""The grid of congestion controls without its networks: its cells and their split, resuming, and what the tables say."""
import collections
import io
import json
import os
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench", "net"))
import cells   # noqa: E402
import grid    # noqa: E402
import guest   # noqa: E402
import tables  # noqa: E402

PATH = cells.Path(10, 30, 1, 0)


def result(control, mbit, rtt, *, pattern="one", seed=1, path=PATH, jain=1.0, flows=(), short=100.0):
    run = cells.Run(seed, path, pattern, control)
    figures = {"mbit": mbit, "rtt_ms": rtt, "rtt_p95_ms": rtt, "retransmits": 0, "jain": jain, "seconds": 5,
               "flows": [{"group": g, "mbit": m, "control": control.split(":")[-1]} for g, m in flows],
               "short": [{"mean_ms": short, "p95_ms": short, "unfinished": 0, "bytes": 1, "done": 1}] if pattern == "one" else []}
    return {**guest.entry_of(run), "kernel": "6.12", "figures": figures, "network": {}, "idle": 0.5}


class CellsTest(unittest.TestCase):
    def test_split(self):
        held, train = cells.paths_of("held-out"), cells.paths_of("train")
        self.assertEqual((len(held), len(train)), (18, 36))
        self.assertEqual(set(held) | set(train), set(cells.paths_of("all")))
        self.assertFalse(set(held) & set(train))
        self.assertEqual(len(cells.all_paths()), 3 * 3 * 3 * 2)
        pairs = collections.Counter((p.rate, p.rtt, p.loss) for p in held)
        self.assertEqual((len(pairs), set(pairs.values())), (18, {1}))     # one buffer of each
        for field in ("rate", "rtt", "buffer", "loss"):
            self.assertEqual({getattr(p, field) for p in held}, {getattr(p, field) for p in train})

    def test_this_very_split(self):
        # Models are trained by it: a change makes their figures wrong.
        self.assertEqual([str(p) for p in cells.paths_of("held-out")[:3]],
                         ["10 Mbit/s, 10 ms, 0.2 BDP, 0 %", "10 Mbit/s, 10 ms, 4 BDP, 0.5 %", "10 Mbit/s, 30 ms, 1 BDP, 0.5 %"])

    def test_seeds_of_losses(self):
        seeds = {guest.seed_of(cells.Run(s, p, "one", "reno")) for s in range(1, 6) for p in cells.all_paths()}
        self.assertEqual(len(seeds), 5 * 54)
        self.assertEqual(guest.seed_of(cells.Run(1, PATH, "four", "bbr")), guest.seed_of(cells.Run(1, PATH, "one", "reno")))

    def test_flows_of_a_policy_run_in_its_cgroup(self):
        class Policies:
            def cgroup(self, name):
                return "/cg/" + name
        run = cells.Run(1, PATH, "mixed", "policy:aimd")
        self.assertEqual(guest.flow_arguments(run, Policies()), ["--flows", "2,,/cg/aimd", "--flows", "2,cubic"])
        run = cells.Run(1, PATH, "four", "bbr")
        self.assertEqual(guest.flow_arguments(run, Policies()), ["--flows", "4,bbr"])

    def test_entries_are_the_runs(self):
        for path in cells.SMOKE:
            run = cells.Run(3, path, "four", "policy:x")
            self.assertEqual(guest.run_of(json.loads(json.dumps(guest.entry_of(run)))), run)


class TablesTest(unittest.TestCase):
    def table(self, *results):
        return tables.aggregate(results)

    def test_means_and_ratios(self):
        full = PATH.capacity()
        own = PATH.packet_ms()
        row = self.table(result("cubic", full, 50 + own), result("bbr", full * 0.9, 34 + own), result("bbr", full, 36 + own, seed=2),
                         result("x", full * 0.5, 80 + own))[(PATH, "one")]
        self.assertAlmostEqual(row["bbr"]["utilisation"], 0.95)
        self.assertAlmostEqual(row["bbr"]["low"], 0.9)
        self.assertEqual((row["bbr"]["seeds"], row["x"]["seeds"]), (2, 1))
        self.assertAlmostEqual(row["bbr"]["queue"], 5)
        self.assertAlmostEqual(row["bbr"]["of_cubic_queue"], 0.25)
        self.assertAlmostEqual(row["x"]["of_best"], 0.5)
        self.assertAlmostEqual(row["x"]["of_cubic_queue"], 2.5)

    def test_misses(self):
        good = {"of_best": 0.95, "of_cubic_queue": 0.5, "jain": 0.95, "share": 1.5}
        for pattern in cells.PATTERNS:
            self.assertEqual(tables.misses(pattern, good), [])
        for pattern, change, said in (("one", {"of_best": 0.94}, "utilisation 0.94 of the best"), ("one", {"of_cubic_queue": 0.51}, "0.51 of cubic's"),
                                      ("four", {"jain": 0.949}, "Jain 0.949"), ("mixed", {"share": 0.69}, "share 0.69"), ("mixed", {"share": 1.51}, "1.51")):
            found = tables.misses(pattern, {**good, **change})
            self.assertEqual(len(found), 1)
            self.assertIn(said, found[0])

    def test_doubts(self):
        fine, busy, late = result("x", 8, 40), result("x", 8, 40), result("x", 8, 40)
        busy["idle"] = 0.05
        late["network"] = {"late_over_5ms": 3}
        self.assertEqual(tables.doubts([fine]), [])
        self.assertEqual([line.split()[0] for line in tables.doubts([fine, busy, late])], ["1", "In"])
        acts, bare = result("policy:x", 8, 40, flows=((0, 8),)), result("policy:cubic", 8, 40, flows=((0, 8),))
        self.assertEqual(tables.doubts([acts]), [])
        self.assertIn("1 runs of a policy", tables.doubts([acts, bare])[0])

    def test_a_policy_that_cannot_be_attached_fails_each_of_its_runs(self):
        with tempfile.TemporaryDirectory() as folder:
            guest.hierarchy, before = (lambda: folder), guest.hierarchy
            try:
                policies = guest.Policies("test -d {cgroup} && exit 3", "")
                for _ in range(2):
                    with self.assertRaisesRegex(guest.Failed, "ended with 3"):
                        policies.cgroup("x")
                self.assertEqual(os.listdir(folder), [])
                policies = guest.Policies("test -d {cgroup}", "test -d {cgroup}")
                self.assertEqual(policies.cgroup("x"), policies.cgroup("x"))
                self.assertEqual(len(os.listdir(folder)), 1)
                policies.close()
                self.assertEqual(os.listdir(folder), [])
            finally:
                guest.hierarchy = before

    def test_share_against_cubic(self):
        row = self.table(result("x", 8.0, 40, pattern="mixed", flows=((0, 1), (0, 1), (1, 3), (1, 3))))[(PATH, "mixed")]
        self.assertAlmostEqual(row["x"]["share"], 0.5)

    def test_report_names_what_is_worse(self):
        full = PATH.capacity()
        text = tables.report([result("cubic", full, 50), result("x", full * 0.5, 32), result("x", full, 40, pattern="four", jain=0.8)], ["x"])
        self.assertIn("## Where x misses a goal: 2 of 2 cells", text)
        self.assertIn("10 Mbit/s, 30 ms, 1 BDP, 0 %; one: utilisation 0.50 of the best", text)
        self.assertIn("four: Jain 0.800", text)


class GridTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = os.path.join(folder.name, "out.jsonl")

    def run_grid(self, *arguments):
        out, said = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(said):
            status = grid.main(["--out", self.out, *arguments])
        return status, out.getvalue(), said.getvalue()

    def test_what_is_there_is_not_run_again(self):
        status, _, said = self.run_grid("--estimate", "--seeds", "2", "--subset", "smoke")
        self.assertEqual(status, 0)
        self.assertIn("72 runs in 2 VMs", said)
        path = cells.SMOKE[0]
        stale = {**result("bbr", 5, 40, path=path), "window": 1}               # of another window: does not count
        failed = {**guest.entry_of(cells.Run(1, path, "one", "cubic")), "error": "x"}
        with open(self.out, "w", encoding="utf-8") as f:
            f.write(json.dumps(result("reno", 5, 40, path=path)) + "\n" + json.dumps(stale) + "\n" + json.dumps(failed) + "\n" + '{"seed": 1, "pa')
        self.assertEqual(list(grid.read_results(self.out)), [cells.Run(1, path, "one", "reno")])
        self.assertIn("1 runs are there; 71 runs in 2 VMs", self.run_grid("--estimate", "--seeds", "2", "--subset", "smoke")[2])
        writer = grid.Results(self.out, 1)
        with redirect_stderr(io.StringIO()):
            writer.add(json.dumps(result("bbr", 5, 40, path=path)))
        self.assertEqual(len(grid.read_results(self.out)), 2)                  # not swallowed by the line that was cut short

    def test_report(self):
        with open(self.out, "w", encoding="utf-8") as f:
            f.write(json.dumps(result("reno", 5, 40, path=cells.SMOKE[0])) + "\n")
        status, out, _ = self.run_grid("--report", "--seeds", "1")
        self.assertEqual(status, 0)
        self.assertIn("smoke: 1 of 36 runs", out)
        self.assertIn("| 10 Mbit/s, 10 ms, 1 BDP, 0 % | reno | 1 |", out)

    def test_refusals(self):
        for arguments in (("--patterns", "five"), ("--seeds", "0"), ("--controls", ""), ("--controls", "policy:x"), ("--path", "50,30,1"),
                          ("--path", "51,30,1,0")):
            with self.assertRaises(SystemExit), redirect_stderr(io.StringIO()):
                grid.main(["--out", self.out, *arguments])


if __name__ == "__main__":
    unittest.main()
