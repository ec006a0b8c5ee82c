# SPDX-License-Identifier: MIT
"""rmt-workload computes what it says; the runner understands every way in which a workload can end."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

from demo import undo, workloads

BINARY = os.path.join(os.environ["RMT_BUILD"], "bench/rmt-workload")
MASK = (1 << 64) - 1


def xorshift(seed):
    s = seed
    while True:
        s ^= (s << 13) & MASK
        s ^= s >> 7
        s ^= (s << 17) & MASK
        yield s


def lines_of(*args):
    done = subprocess.run([BINARY, *args], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


class ArithmeticTest(unittest.TestCase):
    def test_scan_hashes_every_page(self):
        random, pages, total = xorshift(1), 256, 0
        for _ in range(pages):
            h = 0xCBF29CE484222325
            for _ in range(512):
                h = ((h ^ next(random)) * 0x100000001B3) & MASK
            total = (total + h) & MASK
        for pattern in ("seq", "stride"):
            last = lines_of(pattern, "--mb", "1", "--passes", "1", "--work", "1")[-1]
            self.assertEqual(last["checksum"], f"{total:016x}", pattern)
            self.assertEqual(last["all"]["accesses"], pages)

    def test_convolution(self):
        """One filter over 4 rows of 32 pages, against the definition: output (y, x) is the filter around input (y - 1, x - 1)."""
        rows, columns = 4, 32
        random = xorshift(1)
        image = [[0.0, 0.0] + [(next(random) >> 40) / 16777216.0 for _ in range(1024 * columns)] for _ in range(rows)]
        random = xorshift(4)
        weights = [((next(random) >> 20) % 17 - 8) * 0.125 for _ in range(9)]
        total = 0.0
        for y in range(2, rows):
            above, middle, row = image[y - 2], image[y - 1], image[y]
            for x in range(1024 * columns):
                near = above[x:x + 3] + middle[x:x + 3] + row[x:x + 3]
                total += max(0.0, sum(w * v for w, v in zip(weights, near)))
        last = lines_of("conv", "--mb", "1", "--row-pages", str(columns), "--passes", "1", "--work", "1")[-1]
        self.assertEqual(last["all"]["accesses"], 2 * rows * columns)
        measured = struct.unpack("<d", int(last["checksum"], 16).to_bytes(8, "little"))[0]
        self.assertAlmostEqual(measured / total, 1.0, places=5)

    def test_resize_reads_two_rows_of_each_output_row(self):
        lines = lines_of("resize", "--mb", "4", "--passes", "2", "--width", "64", "--height", "64", "--scale", "4")
        frames = (4 << 8) // (3 * 16 * 2)
        self.assertEqual(lines[0]["pages"], frames * 3 * 64)
        self.assertEqual(lines[1]["accesses"], frames * 3 * 16 * 2)
        self.assertEqual(lines[1]["checksum"], lines[2]["checksum"])

    def test_a_file_gives_what_memory_gives(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "data")
            for pattern in ("stride", "conv", "resize", "chase"):
                memory = lines_of(pattern, "--mb", "8", "--passes", "2")[-1]["checksum"]
                self.assertEqual(lines_of(pattern, "--mb", "8", "--passes", "2", "--file", path)[-1]["checksum"], memory)

    def test_the_orders_visit_what_they_should(self):
        chase, seq = (lines_of(p, "--mb", "2", "--passes", "1")[-1]["all"]["accesses"] for p in ("chase", "seq"))
        self.assertEqual(chase, seq)

    def test_what_cannot_be(self):
        for args in ([], ["nothing"], ["stride", "--mb", "0"], ["stride", "--passes", "0"], ["conv", "--mb", "1", "--row-pages", "100"],
                     ["resize", "--scale", "1"], ["resize", "--mb", "1"], ["stride", "--stride", "0"]):
            done = subprocess.run([BINARY, *args], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, args)
            self.assertTrue(done.stderr, args)
        done = subprocess.run([BINARY, "stride", "--mb", "1", "--file", "/nonexistent/x"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nonexistent/x", done.stderr)

    def test_a_closed_stdout_is_a_failure(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([BINARY, "seq", "--mb", "1", "--passes", "1"], stdout=full, stderr=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, 1)


class RunTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.journal = undo.Journal(os.path.join(self.folder.name, "journal"))

    def tearDown(self):
        self.journal.undo()
        self.folder.cleanup()

    def run_program(self, program, **kwargs):
        return workloads.run(self.journal, [sys.executable, "-c", program], None, **kwargs)

    def test_good(self):
        seen = []
        out = self.run_program('print(\'{"ready": 1}\'); print(\'{"done": 2}\')', on_line=seen.append)
        self.assertEqual((out.error, out.status, seen), ("", 0, [{"ready": 1}, {"done": 2}]))

    def test_bad_ends(self):
        for program, expected in (
                ("import sys; sys.stderr.write('no room'); sys.exit(3)", "status 3: no room"),
                ("import os; print('{\"done\": 1}', flush=True); os.kill(os.getpid(), 9)", "signal 9"),
                ("print('{\"pass\": 0}')", "closing line"),
                ("pass", "closing line"),
                ("print('hello'); print('{\"done\": 1}')", "not JSON")):
            self.assertIn(expected, self.run_program(program).error, program)

    def test_one_that_never_ends_is_ended(self):
        out = self.run_program("import time; print('{}', flush=True); time.sleep(600)", timeout=1.0)
        self.assertIn("took longer than 1 s", out.error)
        self.assertEqual(self.journal._entries, [])


if __name__ == "__main__":
    unittest.main()
