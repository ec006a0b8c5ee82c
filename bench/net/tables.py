# SPDX-License-Identifier: MIT
"""From the results of a grid to its tables, the goals, and the cells where a control misses them."""
import cells

GOALS = {"utilisation": 0.95,   # of the best kernel control on the same cell
         "queue": 0.5,          # of cubic's mean queueing delay, at most
         "jain": 0.95,
         "share": (0.7, 1.5)}   # of a fair half, against cubic


def mean(values):
    return sum(values) / len(values)


def figures_of(result):
    """What the tables show of one run."""
    path, f = cells.Path(*result["path"]), result["figures"]
    short = f["short"][0] if f["short"] else None
    row = {"utilisation": f["mbit"] / path.capacity(), "rtt": f["rtt_ms"], "p95": f["rtt_p95_ms"],
           "queue": max(0.0, f["rtt_ms"] - path.rtt - path.packet_ms()), "retransmits": f["retransmits"],
           "retransmit_share": f["retransmits"] / max(1.0, f["mbit"] * f["seconds"] * 1e6 / 8 / cells.PAYLOAD)}
    if result["pattern"] == "four":
        row["jain"] = f["jain"]
    if result["pattern"] == "mixed":
        ours = sum(x["mbit"] for x in f["flows"] if x["group"] == 0)
        row["share"] = 2 * ours / f["mbit"] if f["mbit"] else 0
        row["jain"] = f["jain"]
    if short:
        row["short"], row["short_p95"], row["unfinished"] = short["mean_ms"], short["p95_ms"], short["unfinished"]
    return row


def aggregate(results):
    """(path, pattern) -> control -> figure -> mean over the seeds; with "seeds" and the spread of the utilisation."""
    runs = {}
    for r in results:
        runs.setdefault((cells.Path(*r["path"]), r["pattern"]), {}).setdefault(r["control"], []).append(figures_of(r))
    table = {}
    for key, controls in runs.items():
        table[key] = {}
        for control, rows in controls.items():
            row = {name: mean([r[name] for r in rows]) for name in rows[0]}
            row["seeds"] = len(rows)
            row["low"], row["high"] = min(r["utilisation"] for r in rows), max(r["utilisation"] for r in rows)
            table[key][control] = row
        compare(table[key])
    return table


def compare(row):
    """Adds to each control what the kernel's do: of_best, of_cubic_queue. Where none of them ran there is nothing to add."""
    kernel = [row[c]["utilisation"] for c in cells.KERNEL_CONTROLS if c in row]
    for figures in row.values():
        if kernel:
            figures["of_best"] = figures["utilisation"] / max(kernel) if max(kernel) else 0.0
        if "cubic" in row:
            figures["of_cubic_queue"] = figures["queue"] / row["cubic"]["queue"] if row["cubic"]["queue"] else float("inf")


def misses(pattern, f):
    """The goals that a control misses on a cell, in words."""
    low, high = GOALS["share"]
    found = []
    if pattern != "mixed":
        if f.get("of_best", 1) < GOALS["utilisation"]:
            found.append(f"utilisation {f['of_best']:.2f} of the best")
        if f.get("of_cubic_queue", 0) > GOALS["queue"]:
            found.append(f"queueing delay {f['of_cubic_queue']:.2f} of cubic's")
    if pattern == "four" and f["jain"] < GOALS["jain"]:
        found.append(f"Jain {f['jain']:.3f}")
    if pattern == "mixed" and not low <= f["share"] <= high:
        found.append(f"share {f['share']:.2f} of fair")
    return found


COLUMNS = (("of capacity", "utilisation", ".3f"), ("of best", "of_best", ".2f"), ("RTT ms", "rtt", ".1f"), ("p95", "p95", ".1f"),
           ("queue ms", "queue", ".1f"), ("of cubic's", "of_cubic_queue", ".2f"), ("retr.", "retransmits", ".0f"),
           ("retr. %", "retransmit_share", ".2%"), ("Jain", "jain", ".3f"), ("share of fair", "share", ".2f"),
           ("short ms", "short", ".0f"), ("p95", "short_p95", ".0f"))


def markdown(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(r) + " |" for r in rows]


def pattern_table(table, pattern, order):
    keys = sorted(k for k in table if k[1] == pattern)
    if not keys:
        return []
    columns = [c for c in COLUMNS if any(c[1] in f for k in keys for f in table[k].values())]
    rows = []
    for key in keys:
        for control in sorted(table[key], key=order.index):
            f = table[key][control]
            cells_ = [format(f[name], form).replace("%", "") if name in f else "" for _, name, form in columns]
            cells_[0] += f" ({f['low']:.3f}..{f['high']:.3f})" if f["seeds"] > 1 else ""
            rows.append([str(key[0]), control, str(f["seeds"]), *cells_])
    return markdown(["path", "control", "seeds", *(c[0] for c in columns)], rows)


TITLES = {"one": "One flow, and short transfers beside it", "four": "Four flows", "mixed": "Two flows and two of cubic"}


def summary(table, controls):
    """Of each control: on how many cells each goal is met."""
    head = ["control", "utilisation >= 0.95 of best", "queue <= 0.5 of cubic's", "Jain >= 0.95", "share 0.7..1.5"]
    rows = []
    for control in controls:
        counts = {"utilisation": [0, 0], "queueing": [0, 0], "Jain": [0, 0], "share": [0, 0]}
        for (_, pattern), row in table.items():
            if control not in row:
                continue
            missed = [m.split()[0] for m in misses(pattern, row[control])]
            asked = {"one": ("utilisation", "queueing"), "four": ("utilisation", "queueing", "Jain"), "mixed": ("share",)}[pattern]
            for goal in asked:
                counts[goal][1] += 1
                counts[goal][0] += goal not in missed
        rows.append([control, *(f"{met} of {of}" for met, of in counts.values())])
    return markdown(head, rows)


def doubts(results):
    """What makes figures worth less, in words: the machine and not the path was the limit, or the emulator was late."""
    busy = [r for r in results if r["idle"] < 0.1 and "late_over_5ms" not in r["network"]]
    late = [r for r in results if r["network"].get("late_over_5ms")]
    bare = [r for r in results if r["control"].startswith("policy:") and any(f["group"] == 0 and f["control"] in cells.KERNEL_CONTROLS
                                                                             for f in r["figures"]["flows"])]
    lines = [f"In {len(bare)} runs of a policy its flows ran under a control of the kernel's: it was not attached, or did not act."] if bare else []
    lines += [f"{len(busy)} runs had less than a tenth of the CPU idle: there the CPU was the limit."] if busy else []
    return lines + ([f"In {len(late)} of {len(results)} runs packets were more than 5 ms late: those are no figures to trust."] if late else [])


def report(results, judged):
    """The whole text. `judged`: the controls whose misses are listed one by one."""
    order = list(dict.fromkeys([*cells.KERNEL_CONTROLS, *(r["control"] for r in results)]))
    table = aggregate(results)
    lines = []
    for pattern in cells.PATTERNS:
        part = pattern_table(table, pattern, order)
        if part:
            lines += [f"## {TITLES[pattern]}", "", *part, ""]
    present = [c for c in order if any(c in row for row in table.values())]
    lines += ["## Goals", "", *summary(table, present), ""]
    for control in judged:
        listed = [f"- {key[0]}; {key[1]}: {', '.join(found)}" for key in sorted(table) if control in table[key]
                  for found in [misses(key[1], table[key][control])] if found]
        lines += [f"## Where {control} misses a goal: {len(listed)} of {sum(control in row for row in table.values())} cells", "", *listed, ""]
    return "\n".join(lines)
