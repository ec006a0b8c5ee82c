# SPDX-License-Identifier: MIT
"""bench/demo: finding the memory controller, judging a place for swap, reading vmstat. From texts of other hosts."""
import os
import tempfile
import unittest

from demo import memcg, swapfile, vmstat

ROOT_EXT4 = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"


class FileCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()

    def tearDown(self):
        self.folder.cleanup()

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        return path


class HierarchyTest(FileCase):
    def unified(self, controllers):
        return os.path.dirname(self.file("unified/cgroup.controllers", controllers + "\n"))

    def test_version_1_wins_in_a_hybrid(self):
        mounts = self.file("mounts", f"cgroup2 {self.unified('hugetlb')} cgroup2 rw 0 0\n"
                           "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n")
        self.assertEqual(memcg.find_hierarchy(mounts), memcg.Hierarchy(1, "/sys/fs/cgroup/memory"))

    def test_version_2(self):
        unified = self.unified("cpuset cpu io memory pids")
        mounts = self.file("mounts", f"cgroup2 {unified} cgroup2 rw 0 0\n")
        self.assertEqual(memcg.find_hierarchy(mounts), memcg.Hierarchy(2, unified))

    def test_no_memory_controller(self):
        mounts = self.file("mounts", f"cgroup2 {self.unified('cpu memory_x')} cgroup2 rw 0 0\n"
                           "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,memoryish 0 0\n")
        with self.assertRaisesRegex(memcg.NoMemcg, "no memory controller"):
            memcg.find_hierarchy(mounts)

    def test_nothing_mounted(self):
        with self.assertRaisesRegex(memcg.NoMemcg, "no cgroup hierarchy"):
            memcg.find_hierarchy(self.file("mounts", "proc /proc proc rw 0 0\n"))


class SwapPlaceTest(FileCase):
    def check(self, mountinfo, need=0):
        return swapfile.check_directory(self.folder.name, need, self.file("mountinfo", mountinfo))

    def mount(self, kind, source="none"):
        return f"23 22 0:50 / {os.path.realpath(self.folder.name)} rw - {kind} {source} rw\n"

    def test_a_disk_is_fine(self):
        self.assertEqual(self.check(ROOT_EXT4), "ext4")

    def test_memory_is_refused(self):
        for kind in ("tmpfs", "ramfs"):
            with self.assertRaisesRegex(swapfile.NoSwap, "in memory"):
                self.check(ROOT_EXT4 + self.mount(kind))

    def test_what_cannot_hold_a_swapfile_is_refused(self):
        for kind in ("overlay", "9p", "fuse.sshfs", "nfs4", "virtiofs"):
            with self.assertRaisesRegex(swapfile.NoSwap, "cannot hold a swapfile"):
                self.check(ROOT_EXT4 + self.mount(kind))

    def test_a_disk_in_memory_is_refused(self):
        with self.assertRaisesRegex(swapfile.NoSwap, "a disk in memory"):
            self.check(ROOT_EXT4 + self.mount("ext4", "/dev/zram0"))

    def test_the_mount_on_top_counts(self):
        self.assertEqual(self.check(ROOT_EXT4 + self.mount("tmpfs") + self.mount("xfs", "/dev/sda1")), "xfs")

    def test_a_name_that_only_begins_alike_does_not_count(self):
        other = f"23 22 0:50 / {os.path.realpath(self.folder.name)[:-1]} rw - tmpfs none rw\n"
        self.assertEqual(self.check(ROOT_EXT4 + other), "ext4")

    def test_too_little_room(self):
        with self.assertRaisesRegex(swapfile.NoSwap, "MB free"):
            self.check(ROOT_EXT4, 1 << 60)

    def test_no_such_folder(self):
        with self.assertRaisesRegex(swapfile.NoSwap, "not a directory"):
            swapfile.check_directory(os.path.join(self.folder.name, "absent"), 0)


class VmstatTest(unittest.TestCase):
    def test_difference(self):
        before = vmstat.parse("nr_free_pages 5\npswpin 10\npswpout 1\nswap_ra 7\nswap_ra_hit 2\npgmajfault 3\n")
        after = vmstat.parse("pswpin 25\npswpout 1\nswap_ra 9\nswap_ra_hit 2\npgmajfault 8\n")
        self.assertEqual(vmstat.difference(after, before),
                         {"pswpin": 15, "pswpout": 0, "swap_ra": 2, "swap_ra_hit": 0, "pgmajfault": 5})


if __name__ == "__main__":
    unittest.main()
