"""Files that are written entirely or not at all."""

from __future__ import annotations

import os
import stat
from contextlib import suppress


def create_file(path: str, content: bytes) -> None:
    """Writes a new file with mode 600, to the disk before this returns. Raises `OSError` and `ValueError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(path)
        raise


def replace_file(path: str, content: bytes, mode: int | None = None) -> None:
    """Writes a file, or leaves the previous one as it was. Raises `OSError` with the file's name, and `ValueError`.

    The default mode is that of the previous file, otherwise 644. A symbolic link is replaced, not followed.
    """
    draft = draft_name(path)
    try:
        if mode is None:
            mode = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else 0o644
        create_file(draft, content)
        try:
            keep_draft(draft, path, mode)
        except BaseException:
            os.unlink(draft)
            raise
    except OSError as error:
        error.filename = path
        raise


def draft_name(path: str) -> str:
    """A name beside a file for what takes its place when it is complete: `{path}.1a2b3c4d.incomplete`."""
    return f"{path}.{os.urandom(4).hex()}.incomplete"


def keep_draft(draft: str, path: str, mode: int) -> None:
    """Puts a draft that is on the disk in the place of a file: a reader sees the old content or the new one."""
    os.chmod(draft, mode)
    os.replace(draft, path)
    # The rename survives a power failure, where the system can.
    with suppress(OSError):
        descriptor = os.open(os.path.dirname(path) or os.curdir, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
