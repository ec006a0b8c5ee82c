# SPDX-License-Identifier: MIT
"""bench/demo/undo.py: what a run changed is taken back, also by the next run."""
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from demo import undo

KILLED = """
import os, signal, subprocess, sys
from demo import undo, workloads
journal = undo.Journal(sys.argv[1])
journal.set_tunable(sys.argv[2], "5")
journal.add("file", sys.argv[3]); open(sys.argv[3], "w").close()
journal.add("cgroup", sys.argv[4]); os.mkdir(sys.argv[4])
child, _ = workloads.start(journal, ["sleep", "600"], death_signal=0, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


class JournalTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "journal")
        self.tunable = os.path.join(self.folder.name, "tunable")
        undo.write_text(self.tunable, "3\n")

    def tearDown(self):
        self.folder.cleanup()

    def inside(self, name):
        return os.path.join(self.folder.name, name)

    def test_takes_back_in_reverse_order(self):
        outer, inner = self.inside("outer"), self.inside("outer/inner")
        with undo.Journal(self.path) as journal:
            for folder in (outer, inner):
                journal.add("cgroup", folder)
                os.mkdir(folder)
        self.assertFalse(os.path.exists(outer))
        self.assertFalse(os.path.exists(self.path))

    def test_the_first_value_of_a_tunable_comes_back(self):
        with undo.Journal(self.path) as journal:
            for value in (0, 5, 0):
                journal.set_tunable(self.tunable, value)
            self.assertEqual(undo.read_text(self.tunable), "0")
        self.assertEqual(undo.read_text(self.tunable), "3")

    def test_takes_back_after_an_exception(self):
        with self.assertRaises(KeyError), undo.Journal(self.path) as journal:
            journal.set_tunable(self.tunable, 0)
            raise KeyError
        self.assertEqual(undo.read_text(self.tunable), "3")

    def test_goes_on_when_one_thing_cannot_be_taken_back(self):
        with undo.Journal(self.path) as journal:
            journal.set_tunable(self.tunable, 0)
            journal.add("tunable", {"path": self.inside("absent/file"), "old": "1"})
        self.assertEqual(undo.read_text(self.tunable), "3")

    def test_only_one_at_a_time(self):
        with undo.Journal(self.path):
            with self.assertRaises(undo.Busy):
                undo.Journal(self.path)

    def test_the_next_run_takes_back_what_a_killed_one_left(self):
        left, group = self.inside("left"), self.inside("group")
        killed = subprocess.run([sys.executable, "-B", "-c", KILLED, self.path, self.tunable, left, group],
                                capture_output=True, text=True, check=False)
        self.assertEqual(killed.returncode, -signal.SIGKILL, killed.stderr)
        child = int(killed.stdout)
        self.assertIsNotNone(undo.process_start(child))
        self.assertEqual(undo.read_text(self.tunable), "5")
        with undo.Journal(self.path):
            self.assertEqual(undo.read_text(self.tunable), "3")
            self.assertFalse(os.path.exists(left))
            self.assertFalse(os.path.exists(group))
            end = time.monotonic() + 10
            while is_running(child) and time.monotonic() < end:
                time.sleep(0.01)
            self.assertFalse(is_running(child))

    def test_a_damaged_journal_is_told_and_replaced(self):
        undo.write_text(self.path, "{ not json")
        with undo.Journal(self.path) as journal:
            journal.set_tunable(self.tunable, 0)
        self.assertEqual(undo.read_text(self.tunable), "3")

    def test_a_pid_that_was_given_to_another_process_is_left_alone(self):
        other = subprocess.Popen(["sleep", "600"])
        try:
            undo.stop_process(other.pid, undo.process_start(other.pid) - 1)
            self.assertIsNone(other.poll())
        finally:
            other.kill()
            other.wait()


def is_running(pid):
    try:
        return undo.read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    unittest.main()
