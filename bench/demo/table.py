# SPDX-License-Identifier: MIT
"""The summary as text for a terminal."""
COLUMNS = ("", "time s", "speedup", "stall s", "major faults", "coverage", "accuracy", ">1 ms")


def _range(r, digits):
    if r is None:
        return "-"
    return f"{r.median:.{digits}f} ({r.low:.{digits}f}..{r.high:.{digits}f})"


def _median(r, digits):
    return "-" if r is None else f"{r.median:.{digits}f}"


def _speedup(r):
    return "-" if r is None else f"{r.median:.2f}x ({r.low:.2f}..{r.high:.2f})"


def row_cells(title, row):
    if not row["runs"]:
        return [title, "failed"] + ["-"] * (len(COLUMNS) - 2)
    return [title, _range(row["seconds"], 2), _speedup(row["speedup"]), _median(row["stall_seconds"], 2), _median(row["majflt"], 0),
            _median(row["coverage"], 2), _median(row["accuracy"], 2), _median(row["slow_touches"], 0)]


def render(summary, workload_titles, policy_titles):
    lines = []
    for w, rows in summary.items():
        cells = [list(COLUMNS)] + [row_cells(policy_titles[p], row) for p, row in rows.items()]
        cells[0][0] = workload_titles[w]
        width = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
        for n, line in enumerate(cells):
            text = "  ".join(c.ljust(width[i]) if i == 0 else c.rjust(width[i]) for i, c in enumerate(line))
            lines.append(text.rstrip())
            if n == 0:
                lines.append("-" * len(text))
        failed = [f"{policy_titles[p]}: {row['failed']} run(s) failed" for p, row in rows.items() if row["failed"]]
        lines += failed + [""]
    return "\n".join(lines)
