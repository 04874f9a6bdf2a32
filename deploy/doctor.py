"""`python -m deploy.doctor [s.yaml] [--env NAME] [--url https://…] [--uploads]`: finds what is wrong.

Without `--url` it examines what will be deployed: tools, files, role, OSS. With the address of the service it also
follows links as a visitor does. With `--uploads` it also uploads small objects, which it deletes again. It uses the
credentials in the environment, and the API key in `LINK_API_KEY` for mounts that require one.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .environments import read_environments, require
from .errors import DeployError
from .probes import earlier_layout, lifecycle, machine, oss, service
from .probes import uploads as upload_probes
from .probes.deployment import open_deployment
from .probes.findings import Finding, fault


def findings(config: Path, environment: str | None, url: str | None, *, uploads: bool = False) -> Iterator[Finding]:
    """Each finding as soon as it is known."""
    try:
        if environment:
            require(read_environments(config), environment)
        deployment = open_deployment(config, environment, os.environ)
    except DeployError as error:
        yield fault("s.yaml", str(error))
        return
    yield from machine.tools(deployment)
    yield from machine.files(deployment, config, environment)
    yield from machine.role(deployment)
    yield from machine.domain(deployment)
    yield from earlier_layout.files(deployment)
    yield from earlier_layout.functions_and_roles(deployment, config)
    yield from oss.credentials(deployment)
    yield from oss.state(deployment)
    yield from lifecycle.waiting_notices(deployment)
    yield from oss.mounts(deployment)
    if uploads:
        yield from upload_probes.uploads(deployment)
    if url:
        yield from service.health(deployment, url)
        yield from service.control_path(deployment, url)
        yield from service.canaries(deployment, url, os.environ)
        yield from service.notices(deployment, config.resolve(), environment)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.doctor", description="Find what is wrong with a deployment."
    )
    parser.add_argument("config", nargs="?", type=Path, default=Path("s.yaml"), help="the s.yaml to deploy")
    parser.add_argument("--env", help="an environment of env.yaml")
    parser.add_argument("--url", help="the address of the deployed service")
    parser.add_argument(
        "--uploads", action="store_true", help="upload a few objects to mounts with PUT or POST, and delete them"
    )
    options = parser.parse_args(arguments)
    url = options.url.rstrip("/") if options.url else None
    has_fault = False
    for finding in findings(options.config, options.env, url, uploads=options.uploads):
        print(finding, flush=True)
        has_fault = has_fault or finding.level == "fault"
    return 1 if has_fault else 0


if __name__ == "__main__":
    sys.exit(main())
