"""What a command of this package prints when it fails before it runs."""

from __future__ import annotations

import os.path
import sys
from types import TracebackType


def report(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """An exception hook: names the target of make which installs a missing package, and says that Ctrl-C came."""
    command = os.path.basename(sys.argv[0]).removesuffix(".py")
    if isinstance(error, KeyboardInterrupt):
        print(f"python -m deploy.{command}: Interrupted.", file=sys.stderr)
    elif isinstance(error, ModuleNotFoundError):
        print(
            f"python -m deploy.{command}: the Python package {error.name} is not installed. "
            f"Run make {command}, which installs it and runs this command.",
            file=sys.stderr,
        )
    else:
        sys.__excepthook__(kind, error, traceback)
