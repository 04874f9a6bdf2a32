"""Files for one folder of a service, which are shared once all are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..service import Service, ServiceFailed
from .destination import Place, list_sizes
from .files import MAX_FILES, LocalFile, measure_files
from .transfer import Progress, open_file, send_file


class Bundle(NamedTuple):
    """What is still to be sent to a folder, its bytes, and how many files the folder has then."""

    folder: str
    missing: list[LocalFile]
    size: int
    total: int


def plan_bundle(
    service: Service, files: Sequence[LocalFile], folder: str, place: Place, *, into: bool
) -> Bundle:
    """What to send to a new folder, or with `into` to one that has files. Raises `ServiceFailed` for what cannot be."""
    if into and folder == place.path:
        raise ServiceFailed(
            f"--into shares all of a folder, and {folder} has what everybody sends: use --to with a folder below it."
        )
    sizes = measure_files(files, folder, place.max_size)
    present = list_sizes(service, folder) if into else {}
    missing = [file for file in files if file.name not in present]
    for path, name in files:
        if present.get(name, sizes[name]) != sizes[name]:
            raise ServiceFailed(
                f"{path}: {folder}{name} has another size, and nothing is replaced. Rename the file, or begin again "
                "without --into."
            )
    total = len(present) + len(missing)
    if total > MAX_FILES:
        raise ServiceFailed(f"{folder} would have more than {MAX_FILES} files, the maximum.")
    size = sum(sizes[file.name] for file in missing)
    return Bundle(folder=folder, missing=missing, size=size, total=total)


def send_bundle(service: Service, bundle: Bundle) -> None:
    """Sends one file after the other. Raises `ServiceFailed` with the name of the first that fails."""
    progress = Progress(bundle.size)
    try:
        for path, name in bundle.missing:
            with open_file(path) as file:
                send_file(service, file, bundle.folder + name, progress)
    except (ServiceFailed, ValueError) as error:
        raise ServiceFailed(f"{path}: {error}") from None
    finally:
        progress.clear()
