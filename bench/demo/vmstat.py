# SPDX-License-Identifier: MIT
"""The kernel's own counters of swapping. Global: nothing else may swap while the demo measures."""
NAMES = ("pswpin", "pswpout", "swap_ra", "swap_ra_hit", "pgmajfault")


def parse(text):
    values = dict.fromkeys(NAMES, 0)
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name in values:
            values[name] = int(value)
    return values


def read():
    with open("/proc/vmstat") as f:
        return parse(f.read())


def difference(after, before):
    return {name: after[name] - before[name] for name in NAMES}
