# SPDX-License-Identifier: MIT
"""scripts/demo: see `--help`."""
import sys

from .main import main

sys.exit(main(sys.argv[1:]))
