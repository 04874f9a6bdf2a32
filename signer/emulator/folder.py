"""The folder of a running OSS: locked, and with its buckets."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import EmulatorError
from .oss import create_buckets
from .oss.storage import lock

_LOCK = ".lock"


@contextmanager
def storage_folder(root: Path | None, option: str) -> Iterator[Path]:
    """The folder, which nobody else uses until the end of the block; without `root` a new one, removed at the end.

    Raises `EmulatorError`, which names `option`.
    """
    if root is None:
        with tempfile.TemporaryDirectory(prefix="oss-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        file = (root / _LOCK).open("ab")
    except OSError as error:
        raise _unusable(root, error, option) from None
    with file:
        try:
            lock(file, wait=False)
        except BlockingIOError:
            raise EmulatorError(
                f"Another stack uses {root}. Stop it, or name another folder with {option}.",
                code="folder_in_use",
            ) from None
        except OSError:  # a file system without locks
            pass
        yield root.resolve()


def add_buckets(folder: Path, names: Sequence[str], option: str, pages: str = "") -> None:
    """Creates those that are missing; `pages` is the origin of those that upload. Raises as `storage_folder`."""
    try:
        create_buckets(folder, names, pages=pages)
    except ValueError as error:
        raise EmulatorError(str(error), code="invalid_bucket") from None
    except OSError as error:
        raise _unusable(folder, error, option) from None


def _unusable(folder: Path, error: OSError, option: str) -> EmulatorError:
    return EmulatorError(
        f"Objects cannot be stored in {folder} ({error.strerror}). Name another folder with {option}.",
        code="folder_unusable",
    )
