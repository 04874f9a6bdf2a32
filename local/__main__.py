"""`python -m local`: Function Compute and OSS on your own machine."""

from __future__ import annotations

import sys

from .interrupts import run

if __name__ == "__main__":
    sys.exit(run("local.command", "python -m local", "make invoke" if sys.argv[1:2] == ["invoke"] else "make run"))
