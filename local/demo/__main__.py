"""`python -m local.demo`, which `make demo` runs."""

from __future__ import annotations

import sys

from signer.emulator.interrupts import run

if __name__ == "__main__":
    sys.exit(run("local.demo.story", "python -m local.demo", "make demo"))
