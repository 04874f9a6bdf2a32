"""`python -m signer`: links on the command line."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line; the exit status is 0, 1 (something is wrong with a link) or 2 (it could not be done)."""
    try:
        import click  # noqa: F401
    except ImportError:
        print("The command line needs click: pip install 'fc-presign[cli]'.", file=sys.stderr)
        return 2
    from .cli import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
