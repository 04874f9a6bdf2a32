"""The base of this package's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from signer.emulator import EmulatorError


class LocalError(EmulatorError):
    """Something that the person who started the stack can fix; the message says how."""


@contextmanager
def as_local_errors() -> Iterator[None]:
    """Raises what the emulator raises as `LocalError`."""
    try:
        yield
    except LocalError:
        raise
    except EmulatorError as error:
        raise LocalError(str(error), code=error.code) from None
