# SPDX-License-Identifier: MIT
# What the tests of the memory domain need is there: BTF, cgroup v2 with the memory controller, a disk to swap on, and a
# workload that is limited swaps there.
set -eu
[ -s /sys/kernel/btf/vmlinux ] || { echo "no BTF"; exit 1; }
grep -qw memory /sys/fs/cgroup/cgroup.controllers || { echo "no memory controller"; exit 1; }
mkswap /dev/nullb0 > /dev/null
swapon /dev/nullb0
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/limited
echo 16M > /sys/fs/cgroup/limited/memory.max
before=$(sed -n 's/^pswpin //p' /proc/vmstat)
sh -c 'echo 0 > /sys/fs/cgroup/limited/cgroup.procs; exec build/bench/rmt-workload stride --mb 32 --passes 2 --work 1'
after=$(sed -n 's/^pswpin //p' /proc/vmstat)
rmdir /sys/fs/cgroup/limited
swapoff /dev/nullb0
[ $((after - before)) -gt 4000 ] || { echo "only $((after - before)) pages were swapped in"; exit 1; }
