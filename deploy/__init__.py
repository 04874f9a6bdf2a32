"""Commands that take a clone to production: build, check, policies, doctor. Never deployed themselves."""

from __future__ import annotations

import os.path
import sys
from types import TracebackType


def _report(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """An exception hook: it names the target of make which installs a missing package, and says that Ctrl-C came."""
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


# The name is -m only until Python has found the command of this package that it was started with.
if sys.argv[:1] == ["-m"]:
    sys.excepthook = _report
