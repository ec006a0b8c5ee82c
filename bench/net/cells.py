# SPDX-License-Identifier: MIT
"""The grid of paths, how it is split, which flows run on a path, and how long: fixed here, so that figures can be compared."""
import dataclasses
import itertools

RATES = (10, 50, 200)          # Mbit/s on the wire
RTTS = (10, 30, 100)           # ms
BUFFERS = (0.2, 1, 4)          # in products of rate and RTT
LOSSES = (0, 0.5)              # per cent of the packets
PATTERNS = ("one", "four", "mixed")
KERNEL_CONTROLS = ("reno", "cubic", "bbr")
HEADER, PAYLOAD = 66, 1448     # bytes of a full packet: Ethernet, IPv4 and TCP with timestamps; data


@dataclasses.dataclass(frozen=True, order=True)
class Path:
    rate: float
    rtt: float
    buffer: float
    loss: float

    def __str__(self):
        return f"{self.rate:g} Mbit/s, {self.rtt:g} ms, {self.buffer:g} BDP, {self.loss:g} %"

    def capacity(self):
        """Goodput in Mbit/s when the line is never idle."""
        return self.rate * PAYLOAD / (HEADER + PAYLOAD)

    def packet_ms(self):
        """A full packet's own time on the line, which is no queue."""
        return (HEADER + PAYLOAD) * 8 / (self.rate * 1000)


@dataclasses.dataclass(frozen=True, order=True)
class Run:
    seed: int
    path: Path
    pattern: str
    control: str


def all_paths():
    return [Path(*c) for c in itertools.product(RATES, RTTS, BUFFERS, LOSSES)]


def is_held_out(path):
    """A third of the grid, 18 paths: of each pair of rate and RTT one buffer without loss and another one with loss. So each value of each
    axis is seen in training, and no held-out combination is."""
    place = RATES.index(path.rate) + RTTS.index(path.rtt) + BUFFERS.index(path.buffer) + LOSSES.index(path.loss)
    return place % 3 == 0


SMOKE = (Path(10, 10, 1, 0), Path(10, 30, 0.2, 0.5), Path(50, 30, 1, 0), Path(50, 10, 1, 0.5))


def paths_of(subset):
    if subset == "smoke":
        return list(SMOKE)
    return [p for p in all_paths() if subset == "all" or is_held_out(p) == (subset == "held-out")]


def warm_up(path):
    """Seconds until what counts begins: slow start and the first losses are over."""
    return max(2.0, 30 * path.rtt / 1000)


def window(path):
    """Seconds that count. docs/testnet.md says how this was chosen."""
    return max(5.0, 100 * path.rtt / 1000)


def stagger_ms(path):
    """Between the starts of four flows."""
    return 3 * path.rtt


def short_transfers(path):
    """Bytes, ms between the starts, seconds: 20 packets, at most a tenth of the rate, after the window of a run of one flow."""
    size = 20 * PAYLOAD
    return size, max(200, round(size * 8 / (0.1 * path.rate * 1000))), max(4.0, 50 * path.rtt / 1000)


def cpu_seconds(run, scale=1.0):
    """What a run costs, roughly, where a CPU is emulated: packets, and the making of the network."""
    path, seconds = run.path, warm_up(run.path) + window(run.path)
    if run.pattern == "one":
        seconds += short_transfers(path)[2]
    carried = path.rate
    if path.loss and run.control in ("reno", "cubic") and run.pattern == "one":
        # Mathis et al. 1997: what a control that halves at each loss carries.
        carried = min(path.rate, 1.22 * PAYLOAD * 8 / 1000 / path.rtt / (path.loss / 100) ** 0.5)
    return scale * (2.5 + seconds * (0.1 + 0.035 * carried))
