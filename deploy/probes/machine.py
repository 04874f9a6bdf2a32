"""What the doctor examines on this machine, before anything is deployed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

from ..errors import DeployError
from ..package import interpreters, vendor
from ..package.archive import NO_BYTECODE
from ..runtimes import RUNTIMES
from ..s_preview import s_command
from .deployment import Deployment
from .findings import Finding, fault, ok, warning


def tools(deployment: Deployment) -> Iterator[Finding]:
    """The programs that a deployment runs, and the locks of its requirements."""
    missing = []
    try:
        s_command()
    except DeployError as error:
        missing.append(str(error))
    if shutil.which("make") is None:
        missing.append("The command make was not found, and s deploy runs make build: install it.")
    yield from (fault("tools", sentence) for sentence in missing)
    runtime = RUNTIMES.get(deployment.web.runtime)
    if runtime is None:  # the check says so
        return
    python = runtime.python
    if interpreters.find(python) is None:
        yield warning("tools", f"Python {python} was not found, so {NO_BYTECODE}. Install it.")
    elif not missing:
        yield ok("tools", f"s, make and Python {python} are installed.")
    try:
        vendor.require_lock(deployment.root, runtime)
    except DeployError as error:
        yield fault("build", str(error))


def files(faults: Sequence[str]) -> Iterator[Finding]:
    """s.yaml and links.toml, which the check has read."""
    for sentence in faults:
        yield fault("s.yaml", sentence)
    if not faults:
        yield ok("s.yaml", "s.yaml and links.toml are valid.")


def domain(deployment: Deployment) -> Iterator[Finding]:
    """Whether browsers show objects and pages or download them."""
    if deployment.web.domain:
        yield ok("domain", f"The function has the domain {deployment.web.domain.name}.")
    elif deployment.config.public_url:
        yield ok("domain", f"links.toml has public_url = {deployment.config.public_url}.")
    else:
        yield warning(
            "domain",
            "Neither public_url in links.toml nor customDomain in s.yaml or env.yaml is set, so the function answers "
            "at fcapp.run, where browsers download pages instead of showing them: give it a domain.",
        )
