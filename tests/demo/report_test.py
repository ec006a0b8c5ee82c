# SPDX-License-Identifier: MIT
"""bench/demo: from figures to medians, table and picture; the arguments of the command."""
import contextlib
import io
import unittest
import xml.etree.ElementTree as ElementTree

from demo import main, measure, summary, svg, table
from demo.variants import VARIANTS


def figures(workload, policy, rep, seconds, **more):
    base = {"workload": workload, "policy": policy, "rep": rep, "ok": True, "error": "", "seconds": seconds,
            "total_seconds": 2 * seconds, "stall_seconds": 1.0, "majflt": 100, "misses": 100, "slow_touches": 0,
            "agent_cpu_seconds": None, "hits": 0, "prefetch_read": 0, "prefetch_used": 0, "checksum": "aa"}
    return {**base, **more}


RUNS = [
    figures("stride", "linux", 0, 4.0), figures("stride", "linux", 1, 6.0), figures("stride", "linux", 2, 5.0),
    figures("stride", "learned", 0, 2.0, hits=900, prefetch_read=1000, prefetch_used=950),
    figures("stride", "learned", 1, 2.0, hits=900, prefetch_read=1000, prefetch_used=900),
    {"workload": "stride", "policy": "learned", "rep": 2, "ok": False, "error": "killed"},
]


class SummaryTest(unittest.TestCase):
    def setUp(self):
        self.rows = summary.summarise(RUNS, ["stride"], ["linux", "learned"], "linux")["stride"]

    def test_speedups_are_of_the_same_repetition(self):
        self.assertEqual(self.rows["learned"]["speedup"], summary.Range(2.5, 2.0, 3.0))
        self.assertEqual(self.rows["linux"]["speedup"], summary.Range(1.0, 1.0, 1.0))

    def test_failed_runs_are_counted_and_left_out(self):
        self.assertEqual((self.rows["learned"]["runs"], self.rows["learned"]["failed"]), (2, 1))

    def test_coverage_and_accuracy(self):
        self.assertEqual(self.rows["learned"]["coverage"], summary.Range(0.9, 0.9, 0.9))
        self.assertEqual(self.rows["learned"]["accuracy"].high, 0.95)

    def test_accuracy_of_nothing_is_nothing(self):
        self.assertIsNone(self.rows["linux"]["accuracy"])
        self.assertEqual(self.rows["linux"]["coverage"].median, 0)

    def test_no_run_succeeded(self):
        rows = summary.summarise(RUNS[-1:], ["stride"], ["learned"], "linux")["stride"]
        self.assertEqual(rows["learned"]["runs"], 0)
        self.assertIsNone(rows["learned"]["seconds"])
        self.assertIn("failed", table.render({"stride": rows}, {"stride": "a"}, {"learned": "b"}))

    def test_a_checksum_that_differs_is_a_problem(self):
        self.assertEqual(summary.checksum_problems(RUNS), [])
        bad = RUNS + [figures("stride", "leap", 0, 3.0, checksum="bb")]
        self.assertEqual(len(summary.checksum_problems(bad)), 1)

    def test_figures_of_the_kernel_and_of_a_policy(self):
        kernel = {"swap_ra": 80, "swap_ra_hit": 60, "pswpin": 100, "pswpout": 0, "pgmajfault": 40}
        self.assertEqual(measure.prefetching(None, kernel, 40),
                         {"hits": 60, "misses": 40, "prefetch_read": 80, "prefetch_used": 60})
        stats = {"hit": 9, "major": 1, "read": 10, "used": 8}
        self.assertEqual(measure.prefetching(stats, kernel, 40),
                         {"hits": 9, "misses": 1, "prefetch_read": 10, "prefetch_used": 8})


class PictureTest(unittest.TestCase):
    def render(self, runs, policies):
        summed = summary.summarise(runs, ["stride"], policies, "linux")
        return svg.render(summed, {"stride": "a <strided> scan"}, VARIANTS, "title & more", ["a note " * 60])

    def test_is_well_formed_and_complete(self):
        root = ElementTree.fromstring(self.render(RUNS, ["linux", "learned"]))
        texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
        for expected in ("title & more", "a <strided> scan", "2.50x", "1.00x", "0.90", VARIANTS["learned"].title):
            self.assertIn(expected, texts)

    def test_stays_inside_its_width(self):
        root = ElementTree.fromstring(self.render(RUNS, ["linux", "learned"]))
        width = float(root.get("width"))
        for r in root.iter("{http://www.w3.org/2000/svg}rect"):
            self.assertLessEqual(float(r.get("x", 0)) + float(r.get("width")), width)
        for t in root.iter("{http://www.w3.org/2000/svg}text"):
            if t.get("text-anchor") == "start":
                self.assertLess(float(t.get("x")) + len(t.text) * float(t.get("font-size")) * 0.5, width)

    def test_when_nothing_succeeded(self):
        ElementTree.fromstring(self.render(RUNS[-1:], ["linux", "learned"]))


class ArgumentsTest(unittest.TestCase):
    def status(self, *argv):
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit) as ended:
            main.parse_arguments(list(argv))
        return ended.exception.code, said.getvalue()

    def test_what_cannot_be(self):
        for argv in (["--reps", "0"], ["--passes", "1"], ["--footprint", "many"], ["--workloads", "strid"], ["--policies", ""],
                     ["extra"]):
            code, said = self.status(*argv)
            self.assertEqual(code, 2, argv)
            self.assertIn(argv[-1] or "expected", said)

    def test_swap_is_four_times_what_is_filled(self):
        args = main.parse_arguments(["--workloads", "stride,resize", "--footprint", "64"])
        self.assertEqual(main.swap_bytes(args), 4 * 2 * 64 << 20)

    def test_the_first_changes_with_each_repetition(self):
        self.assertEqual([main.rotated(["a", "b", "c"], i)[0] for i in range(4)], ["a", "b", "c", "a"])


if __name__ == "__main__":
    unittest.main()
