# SPDX-License-Identifier: MIT
"""A swapfile of our own on a disk.

Never on memory: a swap file in a tmpfs (or on a loop device over one) makes the kernel swap out the pages that are the swap
device, and the machine hangs for good."""
import ctypes
import errno
import os
import stat
import shutil
import subprocess

from .undo import PREFIX, active_swaps, say


class NoSwap(Exception):
    """No swapfile can be used here; the text says why."""


MEMORY_FILESYSTEMS = {"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"}
NO_SWAPFILE = {"overlay", "9p", "virtiofs", "fuse", "squashfs", "zfs", "nfs", "nfs4", "cifs"}
PRIORITY = 30000  # before any other swap of the host, so that all our pages go to one device


def filesystem_of(path, mountinfo="/proc/self/mountinfo"):
    """(type, source, major:minor) of the file system that holds `path`: the mount of the longest matching prefix, the last
    one where several are stacked."""
    real = os.path.realpath(path)
    best = None
    with open(mountinfo) as f:
        for line in f:
            left, _, right = line.partition(" - ")
            fields, (kind, source, *_) = left.split(), right.split()
            where = fields[4].replace("\\040", " ")
            inside = where == "/" or real == where or real.startswith(where + "/")
            if inside and (best is None or len(where) >= len(best[0])):
                best = (where, kind, source, fields[2])
    if best is None:
        raise NoSwap(f"cannot tell which file system holds {path}")
    return best[1:]


def check_directory(directory, need_bytes, mountinfo="/proc/self/mountinfo"):
    """The type of the file system when a swapfile may be put there; NoSwap with the reason when not."""
    if not os.path.isdir(directory):
        raise NoSwap(f"{directory} is not a directory; give another one in RMT_SWAP_DIR")
    kind, source, _ = filesystem_of(directory, mountinfo)
    if kind in MEMORY_FILESYSTEMS:
        raise NoSwap(f"{directory} is in memory ({kind}); swap on memory deadlocks the kernel; "
                     "give a directory on a disk in RMT_SWAP_DIR")
    if kind in NO_SWAPFILE or kind.startswith("fuse."):
        raise NoSwap(f"{directory} is on {kind}, which cannot hold a swapfile; give a directory on a disk in RMT_SWAP_DIR")
    if source.startswith("/dev/loop"):
        backing = f"/sys/block/{os.path.basename(source)}/loop/backing_file"
        if os.path.exists(backing):
            with open(backing) as f:
                below = os.path.dirname(f.read().strip())
            return check_directory(below, 0, mountinfo)
    if source.startswith(("/dev/ram", "/dev/zram")):
        raise NoSwap(f"{directory} is on {source}, a disk in memory; give a directory on a disk in RMT_SWAP_DIR")
    free = shutil.disk_usage(directory).free
    if free < need_bytes + (256 << 20):
        raise NoSwap(f"{directory} has {free >> 20} MB free; {need_bytes >> 20} MB and 256 MB to spare are needed; "
                     "give another directory in RMT_SWAP_DIR")
    return kind


def _run(command):
    env = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin", LC_ALL="C")
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env, check=False)


def _write_zeros(path, size):
    with open(path, "r+b") as f:
        block = bytes(1 << 20)
        for _ in range(size >> 20):
            f.write(block)
        f.flush()
        os.fsync(f.fileno())


def _turn_on(path):
    """The system call itself: BusyBox's swapon has no priority. 0, or the errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    prefer = 0x8000
    if libc.swapon(os.fsencode(path), prefer | PRIORITY) == 0:
        return 0
    return ctypes.get_errno()


def _enable(path, zeros=None):
    made = _run(["mkswap", path])
    if made.returncode != 0:
        raise NoSwap(f"mkswap {path} failed: {made.stderr.strip()}")
    error = _turn_on(path)
    if error == errno.EINVAL and zeros:
        _write_zeros(path, zeros)  # a file system that wants every block written first
        _run(["mkswap", path])
        error = _turn_on(path)
    if error:
        raise NoSwap(f"swapon {path} failed: {os.strerror(error)} (swap needs root, and is often forbidden in a container)")
    others = [s for s in active_swaps() if s != path]
    if others:
        say(f"other swap is on as well ({', '.join(others)}); a few pages may go there")
    return path


def make_swapfile(journal, directory, size):
    """Makes a swapfile of `size` bytes and turns it on; the journal turns it off and removes it."""
    kind = check_directory(directory, size)
    path = os.path.join(os.path.realpath(directory), f"{PREFIX}-swap-{os.getpid()}")
    journal.add("swap", path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if kind == "btrfs":
            _run(["chattr", "+C", path])  # btrfs swaps to files without copy-on-write only
        os.posix_fallocate(fd, 0, size)
    except OSError as e:
        if e.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise NoSwap(f"cannot allocate {size >> 20} MB in {directory}: {e.strerror}") from e
        os.ftruncate(fd, size)
    finally:
        os.close(fd)
    return _enable(path, zeros=size)


def use_device(journal, device):
    """Swap on a block device that was made for it (in a test VM); everything on it is lost."""
    if not os.path.exists(device) or not stat.S_ISBLK(os.stat(device).st_mode):
        raise NoSwap(f"{device} is not a block device")
    if device in active_swaps():
        raise NoSwap(f"{device} is in use as swap already")
    if os.path.basename(device).startswith(("loop", "ram")):
        raise NoSwap(f"{device} may be in memory that can be swapped out; that deadlocks the kernel")
    journal.add("swap-device", device)
    return _enable(device)


def device_of(path):
    """major, minor of the block device below a swapfile, or of a swap device."""
    st = os.stat(path)
    if stat.S_ISBLK(st.st_mode):
        return os.major(st.st_rdev), os.minor(st.st_rdev)
    return os.major(st.st_dev), os.minor(st.st_dev)


def is_rotational(path):
    """Whether the kernel takes the disk below for a turning one: it then reads ahead by slot cluster, never by VMA."""
    major, minor = device_of(path)
    base = f"/sys/dev/block/{major}:{minor}"
    for candidate in (f"{base}/queue/rotational", f"{base}/../queue/rotational"):
        if os.path.exists(candidate):
            with open(candidate) as f:
                return f.read().strip() == "1"
    return None
