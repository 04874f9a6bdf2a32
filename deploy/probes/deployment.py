"""One deployment as the doctor sees it: what was rendered, what its functions may link, and how to reach OSS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from handler.config import Mount, Policy
from local.fc import s_yaml
from signer import Credentials, Endpoint, SignerError, presign

from ..check import functions
from ..checks import links_toml
from ..checks.functions import is_web
from ..errors import DeployError
from ..s_preview import render

# An object to try links with. It need not be there: OSS answers 404 only to who may ask.
CANARY = "fc-presign-canary.txt"
TIMEOUT = (5, 20)  # seconds to connect, and between two bytes
LIFE = 60  # seconds


@dataclass(frozen=True)
class Answer:
    """What a server said; `status` is 0 where it could not be reached, and `code` then says why.

    `code` is OSS's or the service's own; `headers` by lower-case name, each with all its values.
    """

    status: int
    code: str
    headers: Mapping[str, tuple[str, ...]]
    body: bytes

    def header(self, name: str) -> str:
        """The first value, "" where there is none."""
        return (self.headers.get(name) or ("",))[0]


@dataclass(frozen=True)
class Deployment:
    """`web` are the properties of the function that answers HTTP, `events` name and properties of the other, if any."""

    root: Path
    web: Mapping[str, Any]
    events: tuple[str, Mapping[str, Any]] | None
    policy: Policy
    credentials: Credentials | None
    session: requests.Session

    @property
    def endpoint(self) -> Endpoint:
        """Where a laptop reaches OSS: by the internet, or the local one that `LINK_OSS_ENDPOINT` names."""
        return self.policy.oss_endpoint or Endpoint.public(self.policy.region)

    def endpoint_of(self, mount: Mount) -> Endpoint:
        """Where the links of a mount lead."""
        return self.policy.oss_endpoint or mount.endpoint

    @property
    def buckets(self) -> tuple[str, ...]:
        """Every bucket that a mount or the state names."""
        named = [mount.target.bucket for mount in self.policy.mounts]
        return tuple(dict.fromkeys([*named, *([self.policy.state.bucket] if self.policy.state else [])]))

    def ask_bucket(self, bucket: str, what: str) -> Answer:
        """`GET ?what` of a bucket, signed."""
        assert self.credentials is not None
        link = presign(
            "GET",
            bucket,
            None,
            credentials=self.credentials,
            endpoint=self.endpoint,
            expires_in=LIFE,
            query={what: ""},
        )
        return self.ask("GET", link.url)

    def ask_object(self, mount: Mount, method: str = "GET") -> Answer:
        """The canary of a mount through the endpoint of its links, signed by who deploys."""
        assert self.credentials is not None
        key = mount.target.key + CANARY
        endpoint = self.endpoint_of(mount)
        link = presign(
            method, mount.target.bucket, key, credentials=self.credentials, endpoint=endpoint, expires_in=LIFE
        )
        return self.ask(method, link.url)

    def ask(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """One request, redirects not followed."""
        try:
            with self.session.request(
                method, url, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as reply:
                body = reply.raw.read(65536, decode_content=True)
                names = {name.lower() for name in reply.raw.headers}
                found = {name: tuple(reply.raw.headers.getlist(name)) for name in names}
                return Answer(reply.status_code, _code(reply, body), found, body)
        except requests.RequestException as error:
            return Answer(0, type(error).__name__, {}, b"")


def open_deployment(config: Path, environment: str | None, environ: Mapping[str, str]) -> Deployment:
    """Raises `DeployError` where there is nothing to look at."""
    resources = functions(render(config, environment))
    web = next((entry["props"] for entry in resources.values() if is_web(entry["props"])), None)
    if web is None:
        raise DeployError(f"{config.name} has no function with an http trigger: nothing would answer.")
    others = ((name, entry["props"]) for name, entry in resources.items() if not is_web(entry["props"]))
    root = s_yaml.project_folder(config)
    local = {name: environ[name] for name in ("LINK_OSS_ENDPOINT",) if environ.get(name)}
    read = links_toml.read(root, {"environmentVariables": {**(web.get("environmentVariables") or {}), **local}})
    if read.policy is None:
        raise DeployError(read.sentence)
    try:
        credentials = Credentials.from_environment(environ)
    except SignerError:
        credentials = None
    session = requests.Session()
    # A .netrc would send credentials of its own.
    session.trust_env = False
    return Deployment(root, web, next(others, None), read.policy, credentials, session)


def _code(reply: requests.Response, body: bytes) -> str:
    if reply.status_code < 300:
        return ""
    if "json" in reply.headers.get("Content-Type", ""):
        try:
            return str(json.loads(body).get("code", ""))
        except (ValueError, AttributeError):
            return ""
    return body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode("ascii", "replace")
