"""The runtimes that a package can be built for, and where each one's locked requirements stand.

Source: the Function Compute pages on built-in and custom runtimes (Debian release, Python version, path).
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import DeployError

# Wheels that run on Debian 10 (glibc 2.28) and on everything newer. pip takes each tag only as it is written.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


@dataclass(frozen=True)
class Runtime:
    """A runtime of Function Compute by its name in `s.yaml`; `python` is the version it runs, such as 3.10."""

    name: str
    python: str
    custom: bool = False

    @property
    def requirements(self) -> str:
        """The file that says what ships with the function; a custom runtime brings its own server."""
        return "deploy/requirements/custom.txt" if self.custom else "requirements.txt"

    @property
    def lock(self) -> str:
        """The file that pins every byte of it."""
        return f"deploy/requirements/{'custom-' if self.custom else ''}{self.python}.lock"


RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        Runtime("python3.10", "3.10"),
        Runtime("python3.12", "3.12"),
        Runtime("custom.debian10", "3.10", custom=True),
        Runtime("custom.debian11", "3.12", custom=True),
    )
}


def runtime_named(name: str) -> Runtime:
    """The runtime of that name. Raises `DeployError`."""
    if name not in RUNTIMES:
        raise DeployError(f"No package can be built for the runtime {name}: choose one of {', '.join(RUNTIMES)}.")
    return RUNTIMES[name]
