"""One deployment as the doctor examines it: rendered properties, links.toml, and how to reach OSS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from handler.config import Config, Mount
from handler.oss import new_session
from local.fc import s_yaml
from signer import Credentials, Endpoint, MissingCredentials, SignerError, presign
from signer.link import check_credentials

from ..checks import links_toml
from ..checks.functions import functions_in, is_web
from ..errors import DeployError
from ..s_preview import render

# An object to test links with. It need not exist: OSS answers 404 only to requests that are allowed.
CANARY = "fc-presign-canary.txt"
TIMEOUT = (5, 20)  # seconds to connect, and between two bytes
LIFE = 60  # seconds
MAX_BODY = 1 << 20  # bytes; a bucket may have 1,000 lifecycle rules


@dataclass(frozen=True)
class ProbeResponse:
    """`status` is 0 if the server could not be reached; `code` then says why, and else is OSS's or the service's own.

    `headers` are by lower-case name, each with all its values.
    """

    status: int
    code: str
    headers: Mapping[str, tuple[str, ...]]
    body: bytes

    def header(self, name: str) -> str:
        """The first value, "" without that header."""
        return (self.headers.get(name) or ("",))[0]


@dataclass(frozen=True)
class Deployment:
    """`web` are the properties of the HTTP function; `events` name and properties of the event function, if any.

    `links` is links.toml as the HTTP function reads it.
    """

    root: Path
    web: Mapping[str, Any]
    events: tuple[str, Mapping[str, Any]] | None
    links: Config
    credentials: Credentials | None
    session: requests.Session

    @property
    def endpoint(self) -> Endpoint:
        """How this machine reaches OSS: over the internet, or the local OSS in `LINK_OSS_ENDPOINT`."""
        return self.links.oss_endpoint or Endpoint.public(self.links.region)

    def link_endpoint(self, mount: Mount) -> Endpoint:
        return self.links.oss_endpoint or mount.endpoint

    @property
    def buckets(self) -> tuple[str, ...]:
        """The buckets of the mounts and of the state."""
        mounts = [mount.target.bucket for mount in self.links.mounts]
        return tuple(dict.fromkeys([*mounts, *([self.links.state.bucket] if self.links.state else [])]))

    def get_bucket(self, bucket: str, subresource: str) -> ProbeResponse:
        """A signed `GET ?subresource` of a bucket."""
        assert self.credentials is not None
        link = presign(
            "GET",
            bucket,
            None,
            credentials=self.credentials,
            endpoint=self.endpoint,
            expires_in=LIFE,
            query={subresource: ""},
        )
        return self.request("GET", link.url)

    def get_canary(self, mount: Mount) -> ProbeResponse:
        """The canary through the endpoint of the mount's links, signed with the deployer's credentials."""
        assert self.credentials is not None
        link = presign(
            "GET",
            mount.target.bucket,
            mount.target.key + CANARY,
            credentials=self.credentials,
            endpoint=self.link_endpoint(mount),
            expires_in=LIFE,
        )
        return self.request("GET", link.url)

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> ProbeResponse:
        """Sends exactly these headers and this body, and does not follow redirects."""
        try:
            prepared = self.session.prepare_request(requests.Request(method, url, headers, data=body))
            prepared.headers.update(headers or {})
            with self.session.send(prepared, timeout=TIMEOUT, allow_redirects=False, stream=True) as response:
                body = response.raw.read(MAX_BODY, decode_content=True)
                names = {name.lower() for name in response.raw.headers}
                values = {name: tuple(response.raw.headers.getlist(name)) for name in names}
                return ProbeResponse(response.status_code, _error_code(response, body), values, body)
        except requests.RequestException as error:
            return ProbeResponse(0, type(error).__name__, {}, b"")


def open_deployment(config: Path, environment: str | None, environ: Mapping[str, str]) -> Deployment:
    """Raises `DeployError` if there is nothing to examine."""
    resources = functions_in(render(config, environment))
    web = next((resource["props"] for resource in resources.values() if is_web(resource["props"])), None)
    if web is None:
        raise DeployError(f"{config.name} has no function with an http trigger: add one.")
    others = ((name, resource["props"]) for name, resource in resources.items() if not is_web(resource["props"]))
    root = s_yaml.project_folder(config)
    local = {name: environ[name] for name in ("LINK_OSS_ENDPOINT",) if environ.get(name)}
    variables = {**(web.get("environmentVariables") or {}), **local}
    links = links_toml.read_or_fail(root, {"environmentVariables": variables})
    try:
        credentials = Credentials.from_environment(environ)
        check_credentials(credentials)
    except MissingCredentials:
        credentials = None
    except SignerError as error:
        raise DeployError(str(error)) from None
    return Deployment(root, web, next(others, None), links, credentials, new_session())


def _error_code(response: requests.Response, body: bytes) -> str:
    if response.status_code < 300:
        return ""
    if "json" in response.headers.get("Content-Type", ""):
        try:
            return str(json.loads(body).get("code", ""))
        except (ValueError, AttributeError):
            return ""
    return body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode("ascii", "replace")
