"""One deployment as the doctor examines it: its functions, links.toml, and how to reach OSS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path

from handler.core.cloud.http_client import Connections
from handler.core.cloud.oss import error_code
from handler.core.config import Config, InvalidConfig, Location, Mount
from signer import Credentials, Endpoint, MissingCredentials, presign
from signer.link import check_credentials

from ..errors import DeployError
from ..model import ConfiguredFunction, Project, configure

# An object to test links with. It need not exist: OSS answers 404 only to requests that are allowed.
CANARY = "fc-presign-canary.txt"
TIMEOUT = (5, 20)  # seconds to connect, and between two bytes
LIFE = 60  # seconds
# What lead the doctor to OSS, STS and a CDN on this machine.
LOCAL_ENDPOINTS = ("LINK_OSS_ENDPOINT", "LINK_STS_ENDPOINT", "LINK_CDN_ENDPOINT")
MAX_BODY = 1 << 20  # bytes; a bucket may have 1,000 lifecycle rules


@dataclass(frozen=True)
class ProbeResponse:
    """`status` is 0 if the server could not be reached; `code` then says why, and else is OSS's or the service's own.

    `headers` have lower-case names.
    """

    host: str
    status: int
    code: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def answer(self) -> str:
        """Status and code, for a sentence."""
        return f"{self.status} {self.code}".rstrip()


@dataclass(frozen=True)
class Deployment:
    """At least one of `functions` has an HTTP trigger. `unreachable` are the responses of hosts that never answered.

    `own_domain` is a domain of the bucket with the keys document, "" without one. `template` is the s.yaml for `s`.
    """

    root: Path
    functions: tuple[ConfiguredFunction, ...]
    credentials: Credentials | None
    own_domain: str = ""
    template: str = "s.yaml"
    connections: Connections = field(default_factory=Connections)
    unreachable: dict[str, ProbeResponse] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)

    @property
    def web(self) -> ConfiguredFunction:
        return next(configured for configured in self.functions if configured.function.http)

    @property
    def events(self) -> ConfiguredFunction | None:
        return next(
            (configured for configured in self.functions if not configured.function.http), None
        )

    @property
    def config(self) -> Config:
        """links.toml as the HTTP function reads it."""
        return self.web.config

    @property
    def is_local(self) -> bool:
        """Whether OSS is the one of `LINK_OSS_ENDPOINT`: only there the bucket is in the path."""
        return self.config.own_endpoint.addressing == "path"

    @property
    def signer(self) -> Credentials:
        """The credentials. Probes that sign run only with them."""
        assert self.credentials is not None  # noqa: S101 - for mypy
        return self.credentials

    @property
    def buckets(self) -> tuple[str, ...]:
        """The buckets of the mounts and of the state."""
        mounts = [mount.target.bucket for mount in self.config.mounts]
        return tuple(
            dict.fromkeys([*mounts, *([self.config.state.bucket] if self.config.state else [])])
        )

    def region_of(self, bucket: str) -> str:
        """That of the bucket's mount, which may name its own."""
        regions = (mount.region for mount in self.config.mounts if mount.target.bucket == bucket)
        return next(regions, self.config.region)

    def bucket_endpoint(self, bucket: str) -> Endpoint:
        """How this machine reaches a bucket: over the internet, or in the local OSS."""
        return (
            self.config.own_endpoint if self.is_local else Endpoint.public(self.region_of(bucket))
        )

    def object_endpoint(self, bucket: str) -> Endpoint:
        """How this machine reaches the service's own objects, which OSS may not serve at its public endpoints."""
        document = self.config.keys_document
        if self.own_domain and isinstance(document, Location) and bucket == document.bucket:
            return Endpoint.custom_domain(self.own_domain, self.region_of(bucket))
        return self.bucket_endpoint(bucket)

    def log_of(self, configured: ConfiguredFunction) -> str:
        """What to read, with the command."""
        template = "" if self.template == "s.yaml" else f" -t {self.template}"
        environment = f" --env {configured.environment_name}" if configured.environment_name else ""
        return f"read the log of the function with s {configured.function.resource} logs{template}{environment}"

    def get_bucket(self, bucket: str, subresource: str) -> ProbeResponse:
        """A signed `GET ?subresource` of a bucket."""
        return self._get(self.bucket_endpoint(bucket), bucket, None, {subresource: ""})

    def get_object(self, location: Location) -> ProbeResponse:
        return self._get(self.object_endpoint(location.bucket), *location)

    def _get(
        self,
        endpoint: Endpoint,
        bucket: str,
        key: str | None,
        query: Mapping[str, str] | None = None,
    ) -> ProbeResponse:
        link = presign(
            "GET",
            bucket,
            key,
            credentials=self.signer,
            endpoint=endpoint,
            expires_in=LIFE,
            query=query,
        )
        return self.request("GET", link.url)

    def link_to(self, mount: Mount, key: str, credentials: Credentials) -> str:
        """A link to an object of the mount's bucket, through the endpoint of its links unless a CDN is there."""
        bucket = mount.target.bucket
        endpoint = self.bucket_endpoint(bucket) if mount.cdn else mount.endpoint
        return presign(
            "GET", bucket, key, credentials=credentials, endpoint=endpoint, expires_in=LIFE
        ).url

    def get_link(self, mount: Mount, key: str, credentials: Credentials) -> ProbeResponse:
        return self.request("GET", self.link_to(mount, key, credentials))

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> ProbeResponse:
        """A host that did not answer the first request is not asked again: each try takes seconds."""
        host = _host(url)
        if host in self.unreachable:
            return self.unreachable[host]
        try:
            response = self.connections.send(
                method, url, headers or {}, body, timeout=TIMEOUT, max_body=MAX_BODY
            )
        except (
            OSError,
            HTTPException,
            ValueError,
        ) as error:  # ValueError: the service's link is not a URL
            failed = ProbeResponse(host, 0, type(error).__name__)
            # OSS may also close a connection over what it refuses.
            return failed if host in self.reached else self.unreachable.setdefault(host, failed)
        self.reached.add(host)
        return ProbeResponse(
            host=host,
            status=response.status,
            code=error_code(*response),
            headers=response.headers,
            body=response.body,
        )

    def is_unreachable(self, url: str) -> bool:
        """Whether the URL's host did not answer earlier."""
        return _host(url) in self.unreachable


def open_deployment(
    project: Project,
    functions: Sequence[ConfiguredFunction],
    environ: Mapping[str, str],
    own_domain: str = "",
) -> Deployment:
    """Raises `DeployError` if there is nothing to examine, and `InvalidCredentials`."""
    local = {name: environ[name] for name in LOCAL_ENDPOINTS if environ.get(name)}
    try:
        opened = tuple(
            configure(
                project.root,
                replace(each.function, environment={**each.function.environment, **local}),
                each.environment_name,
                each.log_days,
            )
            for each in functions
        )
        credentials = Credentials.from_environment(environ)
        check_credentials(credentials)
    except InvalidConfig as error:
        raise DeployError(error.sentence) from None
    except MissingCredentials:
        credentials = None
    if not any(configured.function.http for configured in opened):
        raise DeployError(f"{project.config.name} has no function with an http trigger: add one.")
    template = project.config.resolve().relative_to(project.root).as_posix()
    return Deployment(
        root=project.root,
        functions=opened,
        credentials=credentials,
        own_domain=own_domain,
        template=template,
    )


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]
