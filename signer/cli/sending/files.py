"""Which files a command sends, under which names, and what it leaves out."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple
from unicodedata import category

from ...names import MAX_KEY_BYTES
from ..service import ServiceFailed
from .transfer import open_file

MAX_FILES = 1000  # of one share, as of the service

_REWRITTEN = re.compile(r"//|/\.\.?/")  # by HTTP clients


class LocalFile(NamedTuple):
    """A file to send: where it is, and its name, which begins with those of its folders, separated by "/"."""

    path: str
    name: str


def select_files(
    arguments: Sequence[str], *, hidden: bool
) -> tuple[list[LocalFile], Mapping[str, list[str]]]:
    """The files that were named and those below the folders that were, and what is left out, by its reason.

    A file that was named is not looked at: it may be missing. Raises `ServiceFailed` for more than 1,000, and `OSError`
    for a folder that cannot be read.
    """
    files: list[LocalFile] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    for argument in arguments:
        paths: Iterable[str] = [argument]
        if os.path.isdir(argument):
            paths = islice(_files_below(argument, left_out, hidden=hidden), MAX_FILES + 1)
        above = os.path.dirname(os.path.abspath(argument))
        for path in paths:
            name = os.path.relpath(os.path.abspath(path), above).replace(os.sep, "/")
            files.append(LocalFile(path, name))
    if len(files) > MAX_FILES:
        raise ServiceFailed(
            f"These are more than {MAX_FILES} files, the maximum. Make one archive of them, or upload them with "
            "ossutil cp -r, then use share --path."
        )
    return files, left_out


def _files_below(top: str, left_out: dict[str, list[str]], *, hidden: bool) -> Iterator[str]:
    folders = [top]
    for folder in folders:  # which grows
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        if not listed:
            left_out["empty folders"].append(folder)
        for entry in listed:
            if entry.name.startswith(".") and not hidden:
                left_out["hidden (--hidden sends them)"].append(entry.path)
            elif entry.is_symlink():
                left_out["symbolic links"].append(entry.path)
            elif entry.is_dir():
                folders.append(entry.path)
            elif entry.is_file():
                yield entry.path
            else:
                left_out["pipes, sockets and devices"].append(entry.path)


def measure_files(files: Sequence[LocalFile], folder: str, max_size: int) -> dict[str, int]:
    """The bytes of each file, by its name below `folder`, a path of the service.

    Raises `ServiceFailed` for a file that cannot be read or has more than `max_size` bytes, for two of one name, and
    for a name that no link can have.
    """
    sizes: dict[str, int] = {}
    for path, name in files:
        try:
            if name in sizes:
                raise ServiceFailed("Another file has the same name. Rename one, or use --each.")
            if not _is_possible(folder + name):
                raise ServiceFailed(
                    f"No link can have this name. With its folders it must be valid UTF-8 of at most {MAX_KEY_BYTES} "
                    "bytes, without control characters. Rename it."
                )
            with open_file(path, max_size) as file:
                sizes[name] = os.fstat(file.fileno()).st_size
        except ServiceFailed as error:
            raise ServiceFailed(f"{path}: {error}") from None
    return sizes


def _is_possible(path: str) -> bool:
    """Whether a path of the service can be that of an object."""
    is_encodable = all(category(letter) not in ("Cc", "Cs") for letter in path)
    size = len(path[1:].encode(errors="replace"))
    return is_encodable and size <= MAX_KEY_BYTES and not _REWRITTEN.search(path)
