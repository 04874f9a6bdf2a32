"""A file that is written entirely or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def replace_file(path: Path, content: str, mode: int | None = None) -> None:
    """Writes a file of UTF-8, or leaves the previous one as it was. Raises `OSError` with the file's name.

    The default mode is that of the previous file, otherwise 644. A symbolic link is replaced, not followed.
    """
    try:
        if mode is None:
            mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644
        descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".incomplete", dir=path.parent)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(draft, mode)
            os.replace(draft, path)
        except BaseException:
            os.unlink(draft)
            raise
    except OSError as error:
        error.filename = os.fspath(path)
        raise
