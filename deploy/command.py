"""How the commands of this package end, and how they start others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from signer.common.printing import show

from .errors import DeployError


def run(name: str, main: Callable[[], int], *, unread: int = 1) -> int:
    """The status of a command: that of `main`, or 1 and one sentence for a `DeployError` or what cannot be written.

    130 after Ctrl-C. `unread` is the status, without a sentence, if the reader of the output has read enough.
    """
    try:
        status = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        show(f"{name}: Interrupted.", file=sys.stderr)
        return 130
    except DeployError as error:
        show(*f"{name}: {error}".split("\n"), file=sys.stderr)
        return 1
    except OSError as error:
        # Python would write what is left again at its exit, and fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # such as `| head`
            return unread
        show(
            f"{name}: {error.filename or 'The output'} cannot be written ({reason(error)}).",
            file=sys.stderr,
        )
        return 1
    return status


def output_of(
    command: Sequence[str],
    timeout: float,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """What a program prints that gets no input. Raises `OSError`, and `TimeoutExpired` after `timeout` seconds."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd,
        env=env,
    )


def reason(error: OSError) -> str:
    """Such as `No space left on device`; of many files that could not be copied, that of the first one."""
    if error.strerror is None and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][2]).partition("] ")[2].partition(": ")[0]
    return error.strerror or type(error).__name__
