"""`python -m deploy.doctor [s.yaml] [--env NAME] [--url https://…]`: what is wrong, a line each, and what to do.

Without `--url` it looks at what will be deployed: the tools, the files, the role, OSS. With the address of the
service it also follows links as a visitor would. Credentials are those of the environment; an API key for mounts
that want one is the variable `LINK_API_KEY`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .checks import environments
from .errors import DeployError
from .probes import machine, oss, service
from .probes.deployment import Deployment, open_deployment
from .probes.findings import Finding, fault


def findings(config: Path, environment: str | None, url: str | None) -> Iterator[Finding]:
    """Every finding, as it is found."""
    try:
        if environment:
            environments.chosen(environments.read(config, None), environment)
        deployment = open_deployment(config, environment, os.environ)
    except DeployError as error:
        yield fault("s.yaml", str(error))
        return
    yield from _before(deployment, config, environment)
    if url:
        yield from service.health(deployment, url)
        yield from service.canaries(deployment, url, os.environ)
        yield from service.notices(deployment, config.resolve(), environment)


def _before(deployment: Deployment, config: Path, environment: str | None) -> Iterator[Finding]:
    yield from machine.tools(deployment)
    yield from machine.files(deployment, config, environment)
    yield from machine.role(deployment)
    yield from machine.domain(deployment)
    yield from oss.credentials(deployment)
    yield from oss.state(deployment)
    yield from oss.mounts(deployment)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line a finding; the exit status is 1 where something will not work."""
    parser = argparse.ArgumentParser(prog="python -m deploy.doctor", description="Says what is wrong, and what to do.")
    parser.add_argument("config", nargs="?", type=Path, default=Path("s.yaml"), help="what is deployed")
    parser.add_argument("--env", help="an environment of env.yaml")
    parser.add_argument("--url", help="the address of the deployed service")
    options = parser.parse_args(arguments)
    broken = False
    for finding in findings(options.config, options.env, options.url.rstrip("/") if options.url else None):
        print(finding, flush=True)
        broken = broken or finding.level == "fault"
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
