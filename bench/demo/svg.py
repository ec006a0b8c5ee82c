# SPDX-License-Identifier: MIT
"""The summary as a picture: one column per workload; speedup above, coverage and accuracy below. Whiskers: min and max."""
import textwrap
from html import escape

LEFT, TOP, PANEL, GAP, ROW = 170, 92, 262, 34, 30
INK, SOFT, GRID = "#1f2933", "#5f6c7b", "#dfe4ea"


class Drawing:
    def __init__(self, width, height):
        self.width, self.height, self.parts = width, height, []

    def rect(self, x, y, w, h, fill, extra=""):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(w, 0):.1f}" height="{h:.1f}" fill="{fill}" {extra}/>')

    def line(self, x1, y1, x2, y2, color, width=1.0, dash=""):
        more = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" '
                          f'stroke-width="{width}"{more}/>')

    def text(self, x, y, text, size=12, color=INK, anchor="start", weight="normal"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{color}" text-anchor="{anchor}" '
                          f'font-weight="{weight}">{escape(text)}</text>')

    def render(self):
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
                f'height="{self.height}" font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif">\n'
                f'<rect width="{self.width}" height="{self.height}" fill="#ffffff"/>\n')
        return head + "\n".join(self.parts) + "\n</svg>\n"


def nice_step(top):
    """Distance of grid lines: about four of them up to `top`."""
    for step in (0.25, 0.5, 1, 2, 5, 10, 20, 50):
        if top / step <= 5:
            return step
    return top / 4


def _grid(d, x, y, height, scale, top, step, form):
    value = 0.0
    while value <= top + 1e-9:
        at = x + value * scale
        d.line(at, y, at, y + height, GRID)
        d.text(at, y + height + 14, form.format(value), 10, SOFT, "middle")
        value += step


def _whisker(d, x, y, scale, r):
    if r.high > r.low:
        d.line(x + r.low * scale, y, x + r.high * scale, y, INK, 1.2)
        for v in (r.low, r.high):
            d.line(x + v * scale, y - 3, x + v * scale, y + 3, INK, 1.2)


def _speedups(d, x, y, rows, colors, top):
    scale = (PANEL - 44) / top
    _grid(d, x, y, ROW * len(rows), scale, top, nice_step(top), "{:g}x")
    for i, (name, row) in enumerate(rows.items()):
        at = y + i * ROW
        r = row["speedup"]
        if r is None:
            d.text(x + 4, at + 19, "no run succeeded" if not row["runs"] else "nothing to compare with", 11, SOFT)
            continue
        d.rect(x, at + 6, r.median * scale, ROW - 12, colors[name], 'rx="2"')
        _whisker(d, x, at + ROW / 2, scale, r)
        d.text(x + max(r.median, r.high) * scale + 5, at + 19, f"{r.median:.2f}x", 12, INK, weight="600")
    d.line(x + scale, y, x + scale, y + ROW * len(rows), INK, 1, "3 3")


def _shares(d, x, y, rows, colors):
    scale = PANEL - 44
    _grid(d, x, y, ROW * len(rows), scale, 1.0, 0.25, "{:.2f}")
    for i, (name, row) in enumerate(rows.items()):
        at = y + i * ROW
        for offset, key, fill in ((5, "coverage", colors[name]), (16, "accuracy", "#ffffff")):
            r = row[key]
            if r is None:
                continue
            extra = "" if key == "coverage" else f'stroke="{colors[name]}" stroke-width="1.4"'
            d.rect(x, at + offset, min(r.median, 1.0) * scale, 9, fill, extra)
            d.text(x + min(r.median, 1.0) * scale + 5, at + offset + 8.5, f"{r.median:.2f}", 9, SOFT)


def render(summary, workload_titles, variants, title, notes):
    """variants: {policy: object with title and color}; notes: lines below the picture."""
    policies = list(next(iter(summary.values())))
    colors = {p: variants[p].color for p in policies}
    height = ROW * len(policies)
    second = TOP + height + 70
    width = max(LEFT + len(summary) * (PANEL + GAP), 640)
    notes = [line for note in notes for line in textwrap.wrap(note, int((width - 40) / 5.9))]  # 11 px letters
    d = Drawing(width, second + height + 46 + 16 * len(notes))
    d.text(20, 30, title, 18, INK, weight="600")
    d.text(20, 50, "speedup of completion time over Linux readahead, longer is better", 12, SOFT)
    d.text(20, second - 22, "coverage (filled) and accuracy (outlined)", 12, SOFT)
    best = max((row["speedup"].high for rows in summary.values() for row in rows.values() if row["speedup"]), default=1.0)
    top = max(1.25, best * 1.05)
    for i, p in enumerate(policies):
        for y in (TOP, second):
            d.text(LEFT - 12, y + i * ROW + 19, variants[p].title, 12, INK, "end")
    for i, (w, rows) in enumerate(summary.items()):
        x = LEFT + i * (PANEL + GAP)
        d.text(x, TOP - 12, workload_titles[w], 13, INK, weight="600")
        _speedups(d, x, TOP, rows, colors, top)
        _shares(d, x, second, rows, colors)
    for i, note in enumerate(notes):
        d.text(20, second + height + 42 + 16 * i, note, 11, SOFT)
    return d.render()
