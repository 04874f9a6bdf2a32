"""The program `fc-presign`; in a clone, `python -m signer`."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line. The exit status is 0, 1 (a link is not valid), 2 (the command failed) or 130 (Ctrl-C)."""
    try:
        import click  # noqa: F401
    except ImportError:
        extra = "oss" if sys.argv[1:2] == ["oss"] else "cli"
        target = "oss" if extra == "oss" else "sign"
        print(
            f"The command line requires click: install fc-presign[{extra}]. "
            f"In a clone: pip install '.[{extra}]', or make {target}.",
            file=sys.stderr,
        )
        return 2
    from .cli import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
