"""`python -m deploy.doctor [s.yaml] [--env NAME] [--access NAME] [--url https://…]`: finds what is wrong.

Without `--url` it examines what will be deployed: files, roles, queue and logs, OSS, the keys document, and with
`[assume_role]` a session of each mount. With the address of the service it also follows links as a visitor does. It
uses the credentials in the environment, the aliyun CLI, and the API key in `LINK_API_KEY` for mounts that require one.
It ends with 0 if it found no fault, and could examine everything or was told that it need not.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from signer import InvalidCredentials, InvalidEndpoint
from signer.common.printing import Parser, show
from signer.endpoint import parse_origin

from . import check
from .command import run
from .errors import DeployError
from .model import Project
from .probes import (
    account,
    aliyun,
    keys,
    lifecycle,
    oss,
    overwriting,
    personal_data,
    service,
    sessions,
)
from .probes.deployment import LOCAL_ENDPOINTS, Deployment, open_deployment
from .probes.findings import Finding, fault, ok, unknown, warning
from .s_preview import render

NOT_CHECKED = "Roles and their policies, the failure queue, the log project and its logstores were not checked"


class Options(NamedTuple):
    """`alias` is what `s` gets with -a to invoke a function, None for access in s.yaml."""

    config: Path
    environment: str | None
    alias: str | None
    url: str | None
    endpoint: str = ""


def findings(options: Options) -> Iterator[Finding]:
    """Each finding as soon as it is known; what several probes find, once."""
    try:
        project = Project.load(options.config, render, options.environment)
        report = check.report(project)
        faults = [*report.faults, *report.placeholders]
        functions = [
            configured
            for configured in report.functions
            if configured.environment_name == options.environment
        ]
        if len(functions) < len(project.environments[0].resources):
            yield from (fault("s.yaml", sentence) for sentence in faults)
            return
        deployment = open_deployment(project, functions, os.environ, options.endpoint)
    except (DeployError, InvalidCredentials) as error:
        yield fault("s.yaml" if isinstance(error, DeployError) else "credentials", str(error))
        return
    for variable, name in zip(LOCAL_ENDPOINTS, ("OSS", "STS", "CDN"), strict=True):
        if local := os.environ.get(variable):
            yield warning(
                name.lower(), f"{variable} is {local}, so this is about a local {name}: unset it."
            )
    seen: set[Finding] = set()
    for finding in chain(
        _before(deployment, faults), _after(deployment, options) if options.url else ()
    ):
        if finding not in seen:
            seen.add(finding)
            yield finding


def _before(deployment: Deployment, faults: Sequence[str]) -> Iterator[Finding]:
    """What a deployment needs."""
    yield from (fault("s.yaml", sentence) for sentence in faults)
    if not faults:
        yield ok("s.yaml", "s.yaml and links.toml are valid.")
    yield from service.domain(deployment)
    yield from _account(deployment)
    yield from oss.credentials(deployment)
    yield from oss.state(deployment)
    yield from lifecycle.bucket_rules(deployment)
    yield from lifecycle.files(deployment)
    yield from overwriting.bucket_rules(deployment)
    yield from keys.document_and_sinks(deployment)
    yield from oss.mounts(deployment)
    yield from sessions.sessions(deployment)
    yield from personal_data.records(deployment)


def _account(deployment: Deployment) -> Iterator[Finding]:
    """What the aliyun CLI shows, or one finding if it shows nothing."""
    if not aliyun.is_installed():
        yield unknown(
            "account", f"{NOT_CHECKED}: install the aliyun CLI, or compare the console with s.yaml."
        )
        return
    try:
        yield from account.roles(deployment)
        yield from account.queues(deployment)
        yield from account.logs(deployment)
        yield from account.domains(deployment)
        yield from account.alarms(deployment)
    except aliyun.Unusable as error:
        yield unknown("account", f"{NOT_CHECKED}: {error}")


def _after(deployment: Deployment, options: Options) -> Iterator[Finding]:
    """What the deployed service does."""
    url = options.url or ""
    findings = list(service.health(deployment, url))
    yield from findings
    if any(finding.subject == "service" and finding.level == "fault" for finding in findings):
        return
    if url != deployment.config.public_url:
        yield from service.public_address(deployment)
    yield from service.control_path(deployment, url)
    yield from service.credentials_headers(deployment, url)
    yield from service.canaries(deployment, url, os.environ)
    yield from service.notices(
        deployment, options.config.resolve(), options.environment, options.alias
    )


def _address(value: str) -> str:
    """A URL without its last slash. Raises `ArgumentTypeError`."""
    try:
        parse_origin(value)
    except InvalidEndpoint as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return value.removesuffix("/")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m deploy.doctor", description="Find what is wrong with a deployment."
    )
    parser.add_argument(
        "config", nargs="?", type=Path, default=Path("s.yaml"), help="the s.yaml to deploy"
    )
    parser.add_argument("--env", help="an environment of env.yaml")
    parser.add_argument(
        "--access",
        metavar="NAME",
        help="the key of s, as in s deploy -a NAME (default: that of s.yaml)",
    )
    parser.add_argument("--url", type=_address, help="the address of the deployed service")
    parser.add_argument(
        "--endpoint",
        type=_address,
        metavar="URL",
        help="a domain that is bound to the bucket of the keys document",
    )
    parser.add_argument(
        "--allow-unknown", action="store_true", help="do not fail over what could not be examined"
    )
    parsed = parser.parse_args(arguments)
    failing = {"fault"} if parsed.allow_unknown else {"fault", "unknown"}
    levels = set[str]()
    options = Options(
        config=parsed.config,
        environment=parsed.env,
        alias=parsed.access,
        url=parsed.url,
        endpoint=parsed.endpoint or "",
    )
    for finding in findings(options):
        levels.add(finding.level)
        show(str(finding))
    return 1 if levels & failing else 0


if __name__ == "__main__":
    sys.exit(run("make doctor", main))
