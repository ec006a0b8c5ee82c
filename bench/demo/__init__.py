# SPDX-License-Identifier: MIT
"""The demonstration: workloads under each policy, interleaved, in a memory cgroup and on a swapfile of its own.

Standard library only. Whatever a run changes on the host goes through undo.Journal, so that it is taken back on every
exit, and by the next run when this one was killed."""
