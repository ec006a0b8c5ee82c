# SPDX-License-Identifier: MIT
"""scripts/test.d/summary.py: the closing line of scripts/test and .ci/run."""
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(__file__), "../../scripts/test.d/summary.py")
PASSED = '<testcase name="a" status="run"><system-out>fine</system-out></testcase>'
FAILED = '<testcase name="b" status="fail"><failure message="x"/><system-out>bad</system-out></testcase>'
SKIPPED = ('<testcase name="c" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/>'
           '<system-out>hello\nrmt-skip: no swap here\nmore</system-out></testcase>')
SKIPPED_77 = ('<testcase name="d" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>'
              '<system-out>vm: no kernel 7 could be had\n</system-out></testcase>')
DISABLED = '<testcase name="e" status="disabled"/>'


class SummaryScriptTest(unittest.TestCase):
    def run_on(self, *cases, text=None):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as f:
            f.write(text if text is not None else f"<testsuite>{''.join(cases)}</testsuite>")
            f.flush()
            done = subprocess.run([sys.executable, "-B", SCRIPT, f.name], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines()

    def test_counts(self):
        status, lines = self.run_on(PASSED, PASSED, SKIPPED, SKIPPED, SKIPPED_77, DISABLED)
        self.assertEqual((status, lines[-1]), (0, "2 passed, 0 failed, 4 skipped"))

    def test_skips_have_their_reasons(self):
        _, lines = self.run_on(PASSED, SKIPPED, SKIPPED, SKIPPED_77, DISABLED)
        self.assertIn("skipped (2): no swap here", lines)
        self.assertIn("skipped (1): vm: no kernel 7 could be had", lines)
        self.assertIn("skipped (1): no reason given", lines)

    def test_a_failure_fails_and_is_named(self):
        status, lines = self.run_on(PASSED, FAILED)
        self.assertEqual((status, lines), (1, ["failed: b", "1 passed, 1 failed, 0 skipped"]))

    def test_nothing_ran(self):
        for cases in ((), (SKIPPED,)):
            status, lines = self.run_on(*cases)
            self.assertEqual(status, 1)
            self.assertEqual(lines[-1], f"0 passed, 0 failed, {len(cases)} skipped")

    def test_no_results(self):
        status, lines = self.run_on(text="<testsuite>")
        self.assertEqual((status, lines), (1, ["0 passed, 0 failed, 0 skipped"]))


if __name__ == "__main__":
    unittest.main()
