# SPDX-License-Identifier: MIT
"""scripts/net on this kernel with the path emulator: rate, delay and seeded loss are those that were asked for, and nothing is left."""
import json
import os
import signal
import subprocess
import sys
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NET = os.path.join(ROOT, "scripts", "net")
FLOW = os.path.join(os.environ["RMT_BUILD"], "bench", "net", "flow")
# Sends datagrams to b, in an order and number that nothing changes.
SENDER = ("import socket, sys, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
          "for i in range(int(sys.argv[1])): s.sendto(bytes(100), ('10.99.0.2', 9)); i % 50 or time.sleep(0.005)\n")


def why_not():
    if os.geteuid():
        return "network namespaces need root"
    if not os.path.exists("/dev/net/tun"):
        return "no /dev/net/tun"
    return None if os.path.exists(FLOW) else f"{FLOW} is not built"


def net(*arguments, status=0):
    done = subprocess.run([NET, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == status, f"net {arguments}: {done.returncode}, {done.stderr}"
    return done.stdout.strip() if status == 0 else done.stderr.strip()


def left(name):
    """What a network of this name has here."""
    found = [n for n in os.listdir("/run/netns") if n.startswith(f"rmtnet-{name}-")] if os.path.exists("/run/netns") else []
    if os.path.exists(f"/run/rmt-net/{name}"):
        found.append("state")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
                words = f.read().split("\0")
        except OSError:
            continue
        if words[0].endswith("pathemu") and f"rmtnet-{name}-a" in words:
            found.append(f"pathemu {pid}")
    return found


class NetLiveTest(unittest.TestCase):
    def setUp(self):
        self.names = [f"test-{os.getpid()}-{i}" for i in range(2)]

    def tearDown(self):
        for name in self.names:
            if left(name):
                subprocess.run([NET, "down", "--name", name], check=False)

    def up(self, name, *arguments):
        self.assertEqual(net("up", "--path", "pathemu", "--name", name, *arguments), name)

    def settled(self, name):
        """The counts when everything that came has gone."""
        for _ in range(1000):
            counts = json.loads(net("stats", "--name", name))
            if counts["sent"] + counts["lost"] + counts["dropped"] == counts["seen"]:
                return counts
            time.sleep(0.01)
        self.fail(f"packets stay in the path: {counts}")

    def down(self, name):
        net("down", "--name", name)
        self.assertEqual(left(name), [])

    def flow(self, name, address, *arguments):
        server = subprocess.Popen([NET, "exec", "b", "--name", name, "--", FLOW, "server"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.assertEqual(server.stdout.readline(), "ready 5001\n")
        return json.loads(net("exec", "a", "--name", name, "--", FLOW, "client", address, *arguments))

    def test_rate_and_delay_bound_every_flow(self):
        for address in ("10.99.0.2", "fd99::2"):
            self.up(self.names[0], "--rate", "20", "--rtt", "40", "--buffer", "1")
            figures = self.flow(self.names[0], address, "--flows", "2,cubic", "--short", "10000,100,reno", "--warm-up", "1", "--seconds", "2")
            # An emulator that was late catches up, so a quarter more is possible in a window; without a rate it would be thousands.
            self.assertLess(figures["mbit"], 20 * 1.25)
            self.assertGreater(figures["mbit"], 0)
            self.assertGreaterEqual(min(f["rtt_min_ms"] for f in figures["flows"]), 40)
            self.assertEqual([f["control"] for f in figures["flows"]], ["cubic", "cubic"])
            self.assertGreaterEqual(figures["short"][0]["mean_ms"], 2 * 40)     # connect, send and hear that it was read
            counts = json.loads(net("stats", "--name", self.names[0]))
            self.assertEqual(counts["lost"], 0)
            self.assertGreater(counts["sent"], 100)
            self.down(self.names[0])

    def test_the_seed_alone_says_what_is_lost(self):
        lost = []
        for seed in ("5", "5", "6"):
            self.up(self.names[0], "--rate", "1000", "--rtt", "2", "--buffer", "100", "--loss", "3", "--seed", seed)
            net("exec", "a", "--name", self.names[0], "--", sys.executable, "-c", SENDER, "4000")
            counts = self.settled(self.names[0])
            self.assertEqual((counts["seen"], counts["dropped"]), (4000, 0))
            self.assertTrue(70 < counts["lost"] < 170, counts)                 # 120, and more than four standard deviations around it
            lost.append(counts["lost"])
            self.down(self.names[0])
        self.assertEqual(lost[0], lost[1])
        self.assertNotEqual(lost[1], lost[2])

    def test_the_buffer_drops_what_does_not_fit(self):
        self.up(self.names[0], "--rate", "1", "--rtt", "2")                    # two packets of buffer, and more than that at once
        net("exec", "a", "--name", self.names[0], "--", sys.executable, "-c", SENDER, "1000")
        counts = self.settled(self.names[0])
        self.assertEqual((counts["seen"], counts["lost"]), (1000, 0))
        self.assertGreater(counts["dropped"], 100)
        self.down(self.names[0])

    def test_two_networks_at_once(self):
        for name in self.names:
            self.up(name, "--rate", "10", "--rtt", "2")
        said = net("up", "--path", "pathemu", "--name", self.names[0], "--rate", "10", "--rtt", "2", status=8)
        self.assertIn("is up already", said)
        net("exec", "a", "--name", self.names[0], "--", sys.executable, "-c", SENDER, "10")
        self.assertEqual(self.settled(self.names[0])["seen"], 10)
        self.assertEqual(self.settled(self.names[1])["seen"], 0)
        self.down(self.names[0])
        self.assertIn(f"rmtnet-{self.names[1]}-a", left(self.names[1]))
        self.down(self.names[1])

    def test_signals_leave_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen([NET, "run", "--path", "pathemu", "--name", self.names[0], "--rate", "10", "--rtt", "2", "--", "sleep", "1000"])
            while not any("pathemu" in x for x in left(self.names[0])) and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(number)
            self.assertEqual(process.wait(60), 128 + number)
            self.assertEqual(left(self.names[0]), [])

    def test_bad_requests(self):
        for arguments, status, said in (
                (("up", "--rtt", "10"), 2, "--rate and --rtt are needed"),
                (("up", "--rate", "fast", "--rtt", "10"), 2, "--rate 'fast' is not a number"),
                (("up", "--rate", "0", "--rtt", "10"), 2, "above 0"),
                (("up", "--rate", "10", "--rtt", "10", "--loss", "101"), 2, "at most 100"),
                (("up", "--rate", "10", "--rtt", "10", "--name", "a/b"), 2, "the name 'a/b'"),
                (("up", "--rate", "10", "--rtt", "10", "--ip", "6"), 2, "expected 4 or 46"),
                (("up", "--rate", "10", "--rtt", "10", "--path", "wire"), 2, "expected netem or pathemu"),
                (("exec", "c", "--", "true"), 2, "expected a (the sender) or b (the receiver)"),
                (("down", "--name", f"none-{os.getpid()}"), 7, "no test network")):
            with self.subTest(arguments):
                self.assertIn(said, net(*arguments, status=status))


if __name__ == "__main__":
    if why_not():
        print("rmt-skip: " + why_not())
        sys.exit(0)
    unittest.main()
