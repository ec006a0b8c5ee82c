#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""modules.py TREE OUT NAME...: copies modules and what they need from an unpacked modules tree, decompressed.

The package has no modules.dep (depmod makes it at installation), so dependencies come from the modules themselves. File names
in OUT begin with a number: inserting in that order works. A name that is built in or absent is left out."""
import lzma
import os
import subprocess
import sys


def find_all(tree):
    found = {}
    for folder, _, names in os.walk(tree):
        for name in names:
            stem, dot, ending = name.partition(".ko")
            if dot and ending in ("", ".xz", ".zst", ".gz"):
                found[stem.replace("-", "_")] = os.path.join(folder, name)
    return found


def content(path):
    with open(path, "rb") as f:
        data = f.read()
    if path.endswith(".xz"):
        return lzma.decompress(data)
    if path.endswith((".zst", ".gz")):
        tool = "zstd" if path.endswith(".zst") else "gzip"
        return subprocess.run([tool, "-dc"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def needs(data):
    """`depends=` of section .modinfo, strings that end with a zero byte."""
    at = data.find(b"\0depends=")
    if at < 0:
        return []
    text = data[at + 9:data.index(b"\0", at + 9)].decode()
    return [n.replace("-", "_") for n in text.split(",") if n]


def main(tree, out, *names):
    found, order = find_all(tree), {}

    def add(name):
        if name in order or name not in found:
            return
        data = content(found[name])
        for needed in needs(data):
            add(needed)
        order[name] = data

    for name in names:
        add(name.replace("-", "_"))
    for number, (name, data) in enumerate(order.items()):
        with open(os.path.join(out, f"{number:02d}-{name}.ko"), "wb") as f:
            f.write(data)


main(*sys.argv[1:])
