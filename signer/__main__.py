"""The program `fc-presign`; in a clone, `python -m signer`."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line. The exit status is 0, 1 (a link is not valid), 2 (the command failed) or 130 (Ctrl-C)."""
    try:
        import click  # noqa: F401
    except ImportError:
        print(
            "The command line requires click: install fc-presign[cli]. In a clone: pip install '.[cli]', or make sign.",
            file=sys.stderr,
        )
        return 2
    from .cli import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
