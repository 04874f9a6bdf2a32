"""`python -m local`: Function Compute and OSS on your own machine."""

from __future__ import annotations

import sys

from .interrupts import run

if __name__ == "__main__":
    name = sys.argv[1] if sys.argv[1:2] in (["invoke"], ["oss"]) else "run"
    sys.exit(
        run(
            "local.invoke" if name == "invoke" else "local.command",
            "python -m local",
            f"make {name}",
        )
    )
