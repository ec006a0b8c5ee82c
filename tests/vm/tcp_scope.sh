# SPDX-License-Identifier: MIT
# vm: -t 800
# build: tests/kernel/kernel_tcp_scope
# build: tests/kernel/tcp_scope_1.o
# build: tests/kernel/tcp_scope_2.o
# build: tests/kernel/tcp_scope_missing.o
# build: tests/kernel/tcp_scope_other.o
# The tests of scope and loader on this kernel: who is governed, replacement under traffic, the loader killed at every step.
RMT_SCOPE_OBJECTS=build/tests/kernel/tcp_scope_ exec build/tests/kernel/kernel_tcp_scope
