"""What the doctor looks at on this machine, before anything is deployed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .. import check, locks
from ..errors import DeployError
from ..package import interpreters
from ..package.bytecode import COST
from ..runtimes import runtime_named
from ..s_preview import serverless_devs
from .deployment import Deployment
from .findings import Finding, fault, ok, unknown, warning

SECONDS = 30


def tools(deployment: Deployment) -> Iterator[Finding]:
    """What a deployment runs."""
    missing = [name for name in ("make",) if shutil.which(name) is None]
    try:
        serverless_devs()
    except DeployError as error:
        yield fault("tools", str(error))
        missing.append("s")
    if shutil.which("make") is None:
        yield fault("tools", "make is not here, and s deploy runs make build: install it.")
    runtime = runtime_named(str(deployment.web["runtime"]))
    if interpreters.find(runtime.python) is None:
        yield warning("tools", f"No Python {runtime.python} starts here, so {COST}: install it.")
    elif not missing:
        yield ok("tools", f"s, make and Python {runtime.python} are here.")


def files(deployment: Deployment, config: Path, environment: str | None) -> Iterator[Finding]:
    """s.yaml, links.toml and the locks."""
    sentences = check.check(config, environment)
    for sentence in sentences:
        yield fault("s.yaml", sentence)
    if not sentences:
        yield ok("s.yaml", f"{config.name} and what its functions may link are good.")
    try:
        locks.check(deployment.root, runtime_named(str(deployment.web["runtime"])))
    except DeployError as error:
        yield fault("build", str(error))


def role(deployment: Deployment) -> Iterator[Finding]:
    """That the function's role is there and trusts Function Compute; the aliyun CLI knows."""
    name = str(deployment.web.get("role") or "").rpartition("role/")[2]
    if not name:
        yield fault("role", "role is missing in s.yaml: name one, and make policies prints what it may do.")
        return
    if shutil.which("aliyun") is None:
        yield unknown("role", f"{name} was not looked at: install the aliyun CLI, or deploy and give me --url.")
        return
    done = subprocess.run(
        ["aliyun", "ram", "GetRole", "--RoleName", name],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=SECONDS,
        check=False,
    )
    try:
        trust = json.loads(json.loads(done.stdout)["Role"]["AssumeRolePolicyDocument"])
        trusted = {
            service
            for statement in trust["Statement"]
            if statement["Effect"] == "Allow"
            for service in statement["Principal"].get("Service", [])
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        if "EntityNotExist" in done.stdout + done.stderr:
            yield fault("role", f"There is no role {name}: run what python -m deploy.policies --commands prints.")
        else:
            yield unknown("role", f"aliyun ram GetRole --RoleName {name} does not answer: configure the aliyun CLI.")
        return
    if "fc.aliyuncs.com" in trusted:
        yield ok("role", f"{name} trusts Function Compute.")
    else:
        yield fault(
            "role", f"{name} does not trust fc.aliyuncs.com: run what python -m deploy.policies --commands prints."
        )


def domain(deployment: Deployment) -> Iterator[Finding]:
    """Whether browsers will show what is linked, or download it."""
    if deployment.web.get("customDomain"):
        yield ok("domain", f"The function answers at {deployment.web['customDomain']['domainName']}.")
    else:
        yield warning(
            "domain",
            "Without customDomain the function answers at fcapp.run, where browsers download pages rather than show "
            "them: see env.yaml.",
        )
