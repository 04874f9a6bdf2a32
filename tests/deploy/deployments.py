"""Deployments for the doctor: good ones on the local stack, bad ones on servers and an aliyun CLI of a test."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.model import ConfiguredFunction, read_environments
from deploy.probes.deployment import Deployment
from deploy.probes.findings import Finding
from handler.core.config import Config
from local.fc import s_yaml
from local.fc.functions import function_of
from local.stack import Stack
from signer import Credentials
from signer.emulator.ram import ACCOUNT
from tests.deploy.project_copy import BUILT, ROOT, ProjectCopy, install
from tests.handler.client import make_config
from tests.http_server import Handler, http_server

LINKS = """
region     = "cn-hangzhou"
public_url = "https://links.example.com"
keys       = "oss://examplebucket/.links/keys.json"
state      = "oss://examplebucket/.links/state/"

[[mount]]
path   = "/exampledir/"
target = "oss://examplebucket/exampledir/"
access = "anonymous"

[[mount]]
path     = "/in/"
target   = "oss://examplebucket/in/"
methods  = ["PUT", "POST"]
max_size = "10MB"

[[mount]]
path   = "/outbox/"
target = "oss://examplebucket/outbox/"

[[sink]]
name   = "manifest"
target = "oss://examplebucket/.links/notices/"

[[notice]]
on    = "created"
mount = "/outbox/"
to    = ["manifest"]
"""
XML = "<Error><Code>{}</Code></Error>"
ServerResponse = tuple[int, Mapping[str, str], str]


@contextmanager
def deployed_here(folder: Path) -> Iterator[Stack]:
    """The functions of `s.yaml` with LINKS, deployed on the local stack."""
    copy = ProjectCopy.of(folder, BUILT)
    links = LINKS.replace("oss://examplebucket/", "oss://${LINK_BUCKET}/")
    (folder / "links.toml").write_text(links, encoding="utf-8")
    with (folder / "log").open("w") as log, Stack.start(copy.config, log=log) as running:
        yield running


def overlaid(value: Any, overlay: Any) -> Any:
    if isinstance(value, dict) and isinstance(overlay, dict):
        return {**value, **{name: overlaid(value.get(name), overlay[name]) for name in overlay}}
    return overlay


def rendered_here(config: Path, environment: str | None = None) -> dict[str, Any]:
    """As s renders it, in less time; it leaves the account open."""
    source: Any = s_yaml.read_yaml(config)
    known = read_environments(config, source)
    overlays = known[environment].get("overlays", {}).get("resources", {}) if environment else {}
    for name in overlays.keys() & source["resources"].keys():
        source["resources"][name]["props"] = overlaid(
            source["resources"][name]["props"], overlays[name]
        )
    text = json.dumps(s_yaml.render(source, {})).replace(ACCOUNT, "${config('AccountID')}")
    rendered: dict[str, Any] = json.loads(text)
    return rendered


HTTP, EVENTS = (
    resource["props"] for resource in rendered_here(ROOT / "s.yaml", "dev")["resources"].values()
)


def configured(props: Mapping[str, Any], config: Config) -> ConfiguredFunction:
    """A function that reads a links.toml."""
    function = function_of("links_events" if props is EVENTS else "links_http", props, ROOT)
    return ConfiguredFunction(
        function=function,
        environment_name=None,
        file="links.toml",
        config=config,
        variables=frozenset(),
    )


def deployed(
    oss_url: str,
    credentials: Credentials | None,
    links: str = LINKS,
    sts_url: str = "",
    *functions: Mapping[str, Any],
) -> Deployment:
    """A deployment with OSS and STS at addresses of this machine: the HTTP function, or those in `functions`."""
    config = make_config(links, {"LINK_OSS_ENDPOINT": oss_url, "LINK_STS_ENDPOINT": sts_url})
    return Deployment(
        ROOT, tuple(configured(props, config) for props in functions or (HTTP,)), credentials
    )


def install_aliyun(folder: Path, answers: Mapping[str, object]) -> None:
    """An aliyun CLI that answers commands with JSON, or fails with a code or words; those it does not know, too."""
    cases = "".join(
        f"  {shlex.quote(command)}) {_shell(answer)} ;;\n" for command, answer in answers.items()
    )
    install(folder / "aliyun", f'case "$*" in\n{cases}  *) {_shell("NoPermission")} ;;\nesac')


def _shell(answer: object) -> str:
    if isinstance(answer, str):
        error = (
            f"ERROR: {answer}"
            if " " in answer
            else f"ERROR: SDK.ServerError ErrorCode: {answer} RequestId: 1"
        )
        return f"echo {shlex.quote(error)} >&2; exit 1"
    return f"printf %s {shlex.quote(json.dumps(answer))}"


@contextmanager
def serving(respond: Callable[[str, str], ServerResponse]) -> Iterator[str]:
    """The address of a server; `respond` gets the method and the path. A header value with "\\n" is sent twice."""

    class Answers(Handler):
        def answer(self) -> None:
            status, headers, body = respond(self.command, self.path)
            self.send_response_only(status)
            for name, value in headers.items():
                for part in value.split("\n"):
                    self.send_header(name, part)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_GET = do_HEAD = do_OPTIONS = do_POST = answer

    with http_server(Answers) as address:
        yield address


def readable(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, none of which has anything that would be printed as REDACTED."""
    listed = list(findings)
    for finding in listed:
        assert str(finding).endswith(finding.sentence)
    return listed


def levels(findings: Iterator[Finding]) -> list[tuple[str, str]]:
    return [(finding.level, finding.subject) for finding in readable(findings)]


def faults(findings: Iterator[Finding]) -> list[str]:
    return [finding.sentence for finding in readable(findings) if finding.level == "fault"]
