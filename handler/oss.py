"""The function's own few requests to OSS, each through a presigned URL, by the internal endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from signer import Credentials, Endpoint, presign, redact

from .config import Config, Location, Mount
from .context import Invocation
from .credentials import credentials_for
from .errors import HandlerError, Problem

if TYPE_CHECKING:
    from requests import Session

TIMEOUT = (3.0, 10.0)  # seconds to connect, and between two bytes
MAX_BODY = 4 * 1024 * 1024  # bytes; the documents and records read here are far smaller
EXPIRES_IN = 60  # seconds

_ARCHIVES = frozenset({"Archive", "ColdArchive", "DeepColdArchive"})


class OssUnavailable(HandlerError):
    """OSS could not be reached, or did not answer in time."""

    code = "oss_unavailable"


class OssResponse(NamedTuple):
    """What OSS answered: `headers` with lower-case names, `code` of its error, "" where it gave none."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    code: str

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class OssClient(NamedTuple):
    """OSS as one invocation reaches it: its credentials, the endpoint, and the HTTP session that is kept alive."""

    credentials: Credentials
    endpoint: Endpoint
    session: Session

    def head(self, location: Location, query: Mapping[str, str] | None = None) -> OssResponse:
        return self.request("HEAD", location, query=query)

    def get(self, location: Location, *, etag: str | None = None) -> OssResponse:
        """A small object; 304 where it still has the `etag`."""
        return self.request("GET", location, unsigned={"If-None-Match": etag} if etag else None)

    def put(
        self, location: Location, body: bytes, *, content_type: str, forbid_overwrite: bool = False, retry: bool = True
    ) -> OssResponse:
        """Writes an object. With `forbid_overwrite`, 409 FileAlreadyExists where there is one.

        A claim is never retried here: after a lost answer, only a look at the object shows who wrote it.
        """
        headers = {"Content-Type": content_type}
        if forbid_overwrite:
            headers["x-oss-forbid-overwrite"] = "true"
        return self.request("PUT", location, headers=headers, body=body, retry=retry and not forbid_overwrite)

    def delete(self, location: Location) -> OssResponse:
        """Removes an object; 204 also where there was none."""
        return self.request("DELETE", location)

    def request(
        self,
        method: str,
        location: Location,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        unsigned: Mapping[str, str] | None = None,
        body: bytes | None = None,
        retry: bool = True,
    ) -> OssResponse:
        """One signed request, with `retry` sent once more after a connection fault. Raises `OssUnavailable`.

        `headers` are signed where OSS signs them; `unsigned` ones are only sent.
        """
        from requests import RequestException
        from requests.exceptions import ConnectionError as ConnectionFault

        link = presign(
            method,
            location.bucket,
            location.key,
            credentials=self.credentials,
            endpoint=self.endpoint,
            expires_in=EXPIRES_IN,
            query=query,
            headers=headers,
        )
        sent = {**link.headers, **(unsigned or {}), "Accept-Encoding": "identity"}
        for last in (False, True) if retry else (True,):
            try:
                with self.session.request(
                    method, link.url, headers=sent, data=body, timeout=TIMEOUT, allow_redirects=False, stream=True
                ) as response:
                    content = response.raw.read(MAX_BODY + 1)
                    if len(content) > MAX_BODY:
                        raise OssUnavailable(
                            f"{location} exceeds {MAX_BODY} bytes: the service did not write this object."
                        )
                    length = _content_length(response.headers)
                    if method != "HEAD" and response.status_code != 304 and len(content) < length:
                        raise ConnectionFault("The answer was cut short.")
                    received = {name.lower(): value for name, value in response.headers.items()}
                    code = _error_code(response.status_code, received, content)
                    return OssResponse(response.status_code, received, content, code)
            except ConnectionFault:
                if last:
                    break
            except RequestException as error:
                raise OssUnavailable(redact(f"OSS did not answer ({type(error).__name__}). Try again.")) from None
            except Exception as error:  # urllib3's own faults while the body is read
                if not type(error).__module__.startswith("urllib3"):
                    raise
                if last:
                    break
        raise OssUnavailable("OSS cannot be reached. Check the endpoint and the network.")


def client_for(invocation: Invocation) -> OssClient:
    """OSS with the credentials of an invocation, at the internal endpoint or the configured local one.

    Raises the 503 `no_credentials`.
    """
    config = invocation.config
    return client_at(config_endpoint(config), credentials_for(invocation.context).credentials)


def config_endpoint(config: Config) -> Endpoint:
    return config.oss_endpoint or Endpoint.internal(config.region)


def client_at(endpoint: Endpoint, credentials: Credentials) -> OssClient:
    return OssClient(credentials, endpoint, _session())


def head_object(mount: Mount, key: str, query: Mapping[str, str], invocation: Invocation) -> OssResponse:
    """The headers of an object that can be downloaded.

    Raises the 404 `not_found` for a missing object, 409 `object_archived` for one that is not restored, and 503
    `oss_unavailable`.
    """
    version = {name: value for name, value in query.items() if name == "versionId"}
    try:
        response = client_for(invocation).head(Location(mount.target.bucket, key), version)
    except OssUnavailable:
        raise Problem("oss_unavailable") from None
    # A version of another form is a 400, and one that is a delete marker a 405.
    if response.status == 404 or (version and response.status in (400, 405)):
        raise Problem("not_found")
    if not response.ok:
        raise Problem("oss_unavailable")
    archived = response.headers.get("x-oss-storage-class") in _ARCHIVES
    if archived and 'ongoing-request="false"' not in response.headers.get("x-oss-restore", ""):
        raise Problem("object_archived")
    return response


_sessions: list[Session] = []


def _session() -> Session:
    """The session of this process, so that connections live on between invocations."""
    if not _sessions:
        import requests

        session = requests.Session()
        # Proxies and .netrc of the environment must not decide where credentials go.
        session.trust_env = False
        _sessions.append(session)
    return _sessions[0]


def _content_length(headers: Mapping[str, str]) -> int:
    """The length that a body should have; urllib3 accepts a shorter one if it is read in one piece."""
    length = headers.get("Content-Length", "")
    return int(length) if length.isdigit() else 0


def _error_code(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """The `Code` of an error, from the body or, for HEAD, from the header that carries it."""
    if status < 300:
        return ""
    document = body
    if not document and "x-oss-err" in headers:
        from base64 import b64decode

        try:
            document = b64decode(headers["x-oss-err"])
        except ValueError:
            return ""
    code = document.partition(b"<Code>")[2].partition(b"</Code>")[0].decode("ascii", "replace")
    return code if code.isalnum() else ""
