"""Deployments for the doctor to examine: good ones on the local stack, ill ones on servers that answer as told."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from deploy.probes.deployment import Deployment
from deploy.probes.findings import Finding
from handler.config import load
from local.stack import Stack
from signer import Credentials
from tests.deploy.project_copy import BUILT, ROOT, ProjectCopy

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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
KEYS = Credentials("STS.EXAMPLE", "secretEXAMPLE", "CAIS+token/EXAMPLE==")
XML = "<Error><Code>{}</Code></Error>"
Reply = tuple[int, Mapping[str, str], str]


@contextmanager
def deployed_here(folder: Path) -> Iterator[Stack]:
    """The functions of `s.yaml` with the policy above, deployed on this laptop."""
    copy = ProjectCopy.of(folder, BUILT)
    text = LINKS.replace("oss://examplebucket/", "oss://${LINK_BUCKET}/")
    (folder / "links.toml").write_text(text, encoding="utf-8")
    with (folder / "log").open("w") as log, Stack.start(copy.config, log=log) as running:
        yield running


def deployed(oss: str, credentials: Credentials | None, links: str = LINKS, **web: object) -> Deployment:
    """What the doctor examines, with OSS at an address of this machine."""
    policy = load.read(tomllib.loads(links), {"LINK_OSS_ENDPOINT": oss})
    session = requests.Session()
    session.trust_env = False
    props = {"runtime": "python3.10", "role": "links-http", **web}
    return Deployment(ROOT, props, None, policy, credentials, session)


@contextmanager
def answering(reply: Callable[[str, str], Reply]) -> Iterator[str]:
    """A server that answers each method and path as it is told, and its address."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            status, headers, body = reply(self.command, self.path)
            self.send_response_only(status)
            for name, value in headers.items():
                for part in value.split("\n"):
                    self.send_header(name, part)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body.encode())

        do_GET = do_HEAD = do_OPTIONS = answer

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def levels(found: Iterator[Finding]) -> list[tuple[str, str]]:
    return [(finding.level, finding.subject) for finding in found]


def faults(found: Iterator[Finding]) -> list[str]:
    return [finding.sentence for finding in found if finding.level == "fault"]
