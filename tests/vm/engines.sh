# SPDX-License-Identifier: MIT
# The engines of models, of every class that the tests have: this kernel's verifier takes them, within the instructions that are promised, and
# whatever bytes their maps hold they end and answer as the same code does natively.
# vm: -f build/tests/models -m 3000
set -eu
build/tests/models/test_model_engine "the kernel verifies an inference*,whatever bytes*"
build/tests/models/test_net_engine "nets: the kernel verifies*,nets: whatever bytes*"
