#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""vmlinuz2elf.py VMLINUZ VMLINUX: the ELF kernel inside a bzImage, which QEMU boots directly and faster.

The boot protocol (2.08 and newer; Documentation/arch/x86/boot.rst) says where the compressed kernel is: nothing is guessed."""
import struct
import subprocess
import sys

DECOMPRESS = {b"\x28\xb5\x2f\xfd": ["zstd", "-dc"], b"\xfd7zX": ["xz", "-dc"], b"\x1f\x8b": ["gzip", "-dc"],
              b"\x02\x21\x4c\x18": ["lz4", "-dc"], b"BZh": ["bzip2", "-dc"]}


def main(source, target):
    with open(source, "rb") as f:
        image = f.read()
    if image[0x202:0x206] != b"HdrS":
        sys.exit(f"vm: {source} is not a bzImage")
    sectors = image[0x1F1] or 4
    offset, length = struct.unpack("<II", image[0x248:0x250])
    start = (sectors + 1) * 512 + offset
    payload = image[start:start + length]
    command = next((c for magic, c in DECOMPRESS.items() if payload.startswith(magic)), None)
    if command is None:
        sys.exit(f"vm: {source} is compressed in a way that is not known here ({payload[:4]!r})")
    # The payload ends with its uncompressed size, which is no part of the stream: a status other than 0 is normal.
    elf = subprocess.run(command, input=payload, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
    if elf[:4] != b"\x7fELF":
        sys.exit(f"vm: {command[0]} did not give an ELF file from {source}")
    with open(target, "wb") as f:
        f.write(elf)


main(*sys.argv[1:])
