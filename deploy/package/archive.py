"""A folder as a zip that depends on nothing but its files."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from .contents import files

# The earliest time that a zip can hold.
DATE = (1980, 1, 1, 0, 0, 0)
SECONDS = 315532800
FILE_MODE, FOLDER_MODE = 0o644, 0o755


def settle(folder: Path) -> None:
    """Gives every file and folder the one date and mode, so that whoever zips it later gets the same, too."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
        os.utime(path, (SECONDS, SECONDS))
    folder.chmod(FOLDER_MODE)


def write(folder: Path, target: Path) -> int:
    """Zips the folder; the size in bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in files(folder):
            entry = zipfile.ZipInfo(path.as_posix(), DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (0o100000 | FILE_MODE) << 16
            archive.writestr(entry, (folder / path).read_bytes(), compresslevel=9)
    return target.stat().st_size
