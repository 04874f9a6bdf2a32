"""`python -m local`: Function Compute and OSS on your own machine."""

from __future__ import annotations

import sys

from signer.emulator.interrupts import run

if __name__ == "__main__":
    name = "invoke" if sys.argv[1:2] == ["invoke"] else "run"
    sys.exit(
        run(
            "local.invoke" if name == "invoke" else "local.command",
            "python -m local",
            f"make {name}",
        )
    )
