"""Bytecode and a zip file that are the same, byte for byte, wherever they are made from the same sources."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

from ..errors import DeployError
from .contents import files

# The earliest time that a zip file can hold.
DATE = (1980, 1, 1, 0, 0, 0)
SECONDS = 315532800
FILE_MODE = 0o644
FOLDER_MODE = 0o755
# Function Compute puts the code here; tracebacks name it.
CODE_FOLDER = "/code"
NO_BYTECODE = "each new instance compiles what it imports: the modules of the pages then take 2.6 times as long to load"


def compile_all(folder: Path, interpreter: Path) -> None:
    """Compiles every module of the folder with the runtime's own interpreter. Raises `DeployError`.

    Each .pyc names its source by a hash that is never checked: modification times do not survive a deployment.
    """
    command = [
        str(interpreter),
        "-s",
        "-S",
        "-m",
        "compileall",
        "-q",
        "-j",
        "1",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        str(folder),
        "-p",
        CODE_FOLDER,
        str(folder),
    ]
    # Sets are stored in hash order, so the seed is fixed. `-I` would ignore it.
    environment = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=folder.parent
    )
    if done.returncode:
        raise DeployError(
            f"A module cannot be compiled: {(done.stdout + done.stderr).strip()[:500]}"
        )


def normalize(folder: Path) -> None:
    """Gives every file and folder the same time and mode, so that any zip tool makes the same archive of it."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
        os.utime(path, (SECONDS, SECONDS))
    folder.chmod(FOLDER_MODE)


def write_zip(folder: Path, target: Path) -> int:
    """Returns the size in bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in files(folder):
            entry = zipfile.ZipInfo(path.as_posix(), DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (0o100000 | FILE_MODE) << 16
            archive.writestr(entry, (folder / path).read_bytes(), compresslevel=9)
    return target.stat().st_size
