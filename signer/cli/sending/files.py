"""Which files a command sends, under which names, and what it leaves out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from unicodedata import category

from ...names import MAX_KEY_BYTES
from ...sizes import format_size
from ..service import ServiceFailed
from .transfer import open_file

MAX_FILES = 1000  # of one share, as of the service
MAX_NAMED = 10  # of what is left out

HIDDEN = "hidden"
LINKS = "symbolic links"
EMPTY = "empty folders"
OTHER = "neither files nor folders"


class LocalFile(NamedTuple):
    """A file to send: where it is, and its name, which begins with those of its folders, separated by "/"."""

    path: str
    name: str


class Selection(NamedTuple):
    """What is sent, and what is left out, by its reason."""

    files: list[LocalFile]
    left_out: dict[str, list[str]]

    def notes(self) -> Iterator[str]:
        """A sentence for each reason for which something is left out."""
        for reason, paths in self.left_out.items():
            more = f" and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else ""
            advice = " To send them, use --hidden." if reason == HIDDEN else ""
            names = ", ".join(paths[:MAX_NAMED])
            yield f"Left out, {reason}: {len(paths)} ({names}{more}).{advice}"


def select_files(arguments: Sequence[str], *, hidden: bool) -> Selection:
    """The files that were named, and those below the folders that were. Raises `ServiceFailed` for more than 1,000.

    A file that was named is not looked at: it may be missing. Raises `OSError` for a folder that cannot be read.
    """
    selection = Selection([], {})
    for argument in arguments:
        if not os.path.isdir(argument):
            selection.files.append(LocalFile(argument, os.path.basename(argument)))
            continue
        above = os.path.dirname(os.path.abspath(argument))
        for path in _files_below(argument, selection.left_out, hidden=hidden):
            name = os.path.relpath(path, above).replace(os.sep, "/")
            selection.files.append(LocalFile(path, name))
            if len(selection.files) > MAX_FILES:
                break
    if len(selection.files) > MAX_FILES:
        raise ServiceFailed(
            f"These are more than {MAX_FILES} files, the maximum. Make one archive of them, or upload them with "
            "ossutil cp -r, then use share --path."
        )
    return selection


def _files_below(top: str, left_out: dict[str, list[str]], *, hidden: bool) -> Iterator[str]:
    folders = [top]
    for folder in folders:  # which grows
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        if not listed:
            left_out.setdefault(EMPTY, []).append(folder)
        for entry in listed:
            reason = _reason(entry, hidden=hidden)
            if reason is not None:
                left_out.setdefault(reason, []).append(entry.path)
            elif entry.is_dir():
                folders.append(entry.path)
            else:
                yield entry.path


def _reason(entry: os.DirEntry[str], *, hidden: bool) -> str | None:
    """Why something in a folder is left out, None for what is sent."""
    if entry.name.startswith(".") and not hidden:
        return HIDDEN
    if entry.is_symlink():
        return LINKS
    return None if entry.is_dir() or entry.is_file() else OTHER


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
            fault = _name_fault(folder + name)
            if fault is not None:
                raise ServiceFailed(f"No link can have this name: it {fault}. Rename it.")
            with open_file(path) as file:
                size = os.fstat(file.fileno()).st_size
            if size > max_size:
                limit = format_size(max_size)
                raise ServiceFailed(f"It has {format_size(size)}, and {folder} takes {limit}.")
        except ServiceFailed as error:
            raise ServiceFailed(f"{path}: {error}") from None
        sizes[name] = size
    return sizes


def _name_fault(path: str) -> str | None:
    """Why a path of the service cannot be that of an object, as what follows "it"; None where it can."""
    try:
        size = len(path[1:].encode())
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    if size > MAX_KEY_BYTES:
        return f"has {size} bytes with its folders, more than {MAX_KEY_BYTES}"
    if "//" in path or not {".", ".."}.isdisjoint(path.split("/")):
        return "has a part that is empty, . or .."
    if any(category(letter) == "Cc" for letter in path):
        return "has a control character"
    return None
