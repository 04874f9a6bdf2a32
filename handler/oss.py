"""The function's own few calls to OSS, each through a presigned URL of the signer, by the internal endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from signer import Credentials, Endpoint, presign, redact

from .config import Location, Policy
from .errors import HandlerError

if TYPE_CHECKING:
    from requests import Session

TIMEOUT = (3.0, 10.0)  # seconds to connect, and between two bytes
MAX_BODY = 4 * 1024 * 1024  # bytes; the documents and records read here are far smaller
LIFE = 60  # seconds


class OssUnavailable(HandlerError):
    """OSS could not be asked, or did not answer in time; `sent` says that the request may have arrived."""

    code = "oss_unavailable"

    def __init__(self, sentence: str, *, sent: bool) -> None:
        super().__init__(sentence)
        self.sent = sent


class Reply(NamedTuple):
    """What OSS answered: `headers` with lower-case names, `code` of its error, "" where it gave none."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    code: str

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300


class Store(NamedTuple):
    """OSS as one invocation reaches it: its credentials, the endpoint, and the HTTP session that is kept alive."""

    credentials: Credentials
    endpoint: Endpoint
    session: Session

    def head(self, place: Location, query: Mapping[str, str] | None = None) -> Reply:
        """The headers of an object."""
        return self.ask("HEAD", place, query=query)

    def get(self, place: Location, *, etag: str | None = None) -> Reply:
        """A whole small object; 304 where it still has the `etag` given."""
        return self.ask("GET", place, unsigned={"If-None-Match": etag} if etag else None)

    def put(
        self, place: Location, body: bytes, *, content_type: str, forbid_overwrite: bool = False, retry: bool = True
    ) -> Reply:
        """Writes an object. With `forbid_overwrite`, 409 FileAlreadyExists where there is one.

        A claim is never retried here: after a lost answer only a look at the object tells whose it is.
        """
        headers = {"Content-Type": content_type}
        if forbid_overwrite:
            headers["x-oss-forbid-overwrite"] = "true"
        return self.ask("PUT", place, headers=headers, body=body, retry=retry and not forbid_overwrite)

    def delete(self, place: Location) -> Reply:
        """Removes an object; 204 also where there was none."""
        return self.ask("DELETE", place)

    def ask(
        self,
        method: str,
        place: Location,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        unsigned: Mapping[str, str] | None = None,
        body: bytes | None = None,
        retry: bool = True,
    ) -> Reply:
        """One signed request, tried once more on a connection fault if it may be. Raises `OssUnavailable`.

        `headers` that OSS signs are signed, `unsigned` ones are only sent.
        """
        from requests import RequestException
        from requests.exceptions import ConnectionError as ConnectFault

        link = presign(
            method,
            place.bucket,
            place.key,
            credentials=self.credentials,
            endpoint=self.endpoint,
            expires_in=LIFE,
            query=query,
            headers=headers,
        )
        sent = {**link.headers, **(unsigned or {}), "Accept-Encoding": "identity"}
        for last in (False, True) if retry else (True,):
            try:
                with self.session.request(
                    method, link.url, headers=sent, data=body, timeout=TIMEOUT, allow_redirects=False, stream=True
                ) as answer:
                    content = answer.raw.read(MAX_BODY + 1)
                    if len(content) > MAX_BODY:
                        raise OssUnavailable(f"{place} is larger than {MAX_BODY} bytes: it is none of ours.", sent=True)
                    if method != "HEAD" and answer.status_code != 304 and len(content) < _length(answer.headers):
                        raise ConnectFault("The answer was cut short.")
                    found = {name.lower(): value for name, value in answer.headers.items()}
                    return Reply(answer.status_code, found, content, _code(answer.status_code, found, content))
            except ConnectFault:
                if last:
                    break
            except RequestException as error:
                raise OssUnavailable(_sentence(error), sent=True) from None
            except Exception as error:  # urllib3's own faults while the body is read
                if not type(error).__module__.startswith("urllib3"):
                    raise
                if last:
                    break
        raise OssUnavailable("OSS cannot be reached: look at the endpoint and the network.", sent=True)


def store(policy: Policy, credentials: Credentials) -> Store:
    """OSS for one invocation: the internal endpoint, or the local one that the policy names."""
    return store_at(policy.oss_endpoint or Endpoint.internal(policy.region), credentials)


def store_at(endpoint: Endpoint, credentials: Credentials) -> Store:
    """OSS at an endpoint of one's choice."""
    return Store(credentials, endpoint, _session())


_sessions: list[Session] = []


def _session() -> Session:
    """The session of this process, so that connections live on between invocations."""
    if not _sessions:
        import requests

        session = requests.Session()
        # Proxies and .netrc of the environment have no say in where credentials go.
        session.trust_env = False
        _sessions.append(session)
    return _sessions[0]


def _length(headers: Mapping[str, str]) -> int:
    """How long a body says that it is; urllib3 does not mind one that is shorter, if it is read in one piece."""
    length = headers.get("Content-Length", "")
    return int(length) if length.isdigit() else 0


def _code(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """The `Code` of an error, from the body or, for HEAD, from the header that carries it."""
    if status < 300:
        return ""
    text = body
    if not text and "x-oss-err" in headers:
        from base64 import b64decode

        try:
            text = b64decode(headers["x-oss-err"])
        except ValueError:
            return ""
    code = text.partition(b"<Code>")[2].partition(b"</Code>")[0].decode("ascii", "replace")
    return code if code.isalnum() else ""


def _sentence(error: Exception) -> str:
    return redact(f"OSS did not answer as it should ({type(error).__name__}): try again.")
