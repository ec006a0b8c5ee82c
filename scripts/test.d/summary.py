#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""summary.py JUNIT: the reasons of skips and the names of failures of a ctest run, then `N passed, N failed, N skipped`.

Status 1 when a test failed or none ran."""
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter


def reason(case):
    """Why a test was skipped: its own words after `rmt-skip:`, else its last line, else what ctest says."""
    out = case.findtext("system-out") or ""
    said = re.findall(r"rmt-skip: *(.+)", out)
    if said:
        return said[-1].strip()
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    if lines:
        return lines[-1]
    skipped = case.find("skipped")
    return (skipped.get("message") if skipped is not None else None) or "no reason given"


def main(path):
    try:
        cases = list(ElementTree.parse(path).iter("testcase"))
    except (OSError, ElementTree.ParseError) as e:
        print(f"summary: no results in {path}: {e}", file=sys.stderr)
        print("0 passed, 0 failed, 0 skipped")
        return 1
    counts, skips, failures = Counter(), Counter(), []
    for case in cases:
        if case.find("failure") is not None or case.get("status") == "fail":
            counts["failed"] += 1
            failures.append(case.get("name"))
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            counts["skipped"] += 1
            skips[reason(case)] += 1
        else:
            counts["passed"] += 1
    for text, n in sorted(skips.items()):
        print(f"skipped ({n}): {text}")
    for name in failures:
        print(f"failed: {name}")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 0 if counts["passed"] and not counts["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
