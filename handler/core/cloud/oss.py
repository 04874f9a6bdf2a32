"""The function's own requests to OSS, each through a presigned URL, at the internal endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from signer import Credentials, Endpoint, InvalidKey, InvalidQuery, presign

from ..config import Location, Mount, Target
from ..context import Access, Invocation, RoleCredentials
from ..errors import CredentialsRefused, HandlerError, Problem
from ..links import invalid_key
from ..paths import MAX_BYTES as MAX_KEY
from .credentials import mount_credentials

if TYPE_CHECKING:
    from signer.common.listing import ListedPage

    from .http_client import Connections

TIMEOUT = (3.0, 10.0)  # seconds to connect, and to wait for more bytes
MAX_BODY = 4 * 1024 * 1024  # bytes; the documents and records read here are far smaller
EXPIRES_IN = 60  # seconds
PAGE_TIMEOUT = 2.0  # seconds, for a list in all, and for a browser to learn whether it gets a page

# Causes, the first of which says why in brackets.
CANNOT_BE_REACHED = "OSS cannot be reached"
NO_ANSWER = "OSS did not answer in time"
_WHY = {
    "ConnectionRefusedError": "the connection was refused",
    "gaierror": "its name was not found",
}
# Codes of `StoreError`
MISSING = "missing"
REFUSED = "refused"
UNREACHABLE = "unreachable"
WRONG_CLOCK = "wrong_clock"
VERSIONED = "versioned"

oss_unavailable = partial(Problem, "oss_unavailable")

_REASONS = {"AccessDenied": "a missing permission", "NoSuchBucket": "no such bucket"}
_ARCHIVES = frozenset({"Archive", "ColdArchive", "DeepColdArchive"})

Result = TypeVar("Result")


class OssUnavailable(HandlerError):
    """OSS could not be reached, or did not answer in time: the sentence is the cause."""

    code = "oss_unavailable"

    def reported(self) -> Problem:
        return Problem("oss_unavailable", cause=self.sentence)


class StoreError(HandlerError):
    """An operation on an object of the service itself failed.

    `operation` is OSS's name for it, and `status` that of the answer, 0 without one. `code` is missing, refused,
    unreachable, wrong_clock or versioned. `reason` is OSS's code, and what it means.
    """

    def __init__(self, operation: str, status: int, code: str, reason: str) -> None:
        answer = f"{status or ''} {reason}".strip()
        super().__init__(f"{operation}: {answer}" if operation else answer, code=code)
        self.operation = operation
        self.status = status
        self.reason = reason

    def reported(self) -> Problem:
        if self.code == VERSIONED:
            return Problem("state_bucket_versioned")
        return Problem("state_unavailable", cause=self.sentence)


class OssResponse(NamedTuple):
    """A response of OSS: `headers` have lower-case names, `code` is that of an error, otherwise ""."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    code: str

    def __repr__(self) -> str:
        # The body may be the keys document.
        headers = sorted(self.headers)
        return f"OssResponse({self.status}, headers={headers!r}, body=<{len(self.body)} bytes>, code={self.code!r})"

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def time(self, name: str) -> float | None:
        """Unix seconds of a header with a time: `date` (by the clock of OSS) or `last-modified`; None without it."""
        return _seconds(self.headers.get(name, ""))


@lru_cache(maxsize=8)  # the answers of one second have the same
def _seconds(date: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, ArithmeticError):
        return None


class OssClient(NamedTuple):
    """OSS at one endpoint, with the credentials of one invocation and the open connections of the process."""

    credentials: Credentials
    endpoint: Endpoint
    connections: Connections
    may_be_forged: bool = False  # the credentials

    def head(self, location: Location, query: Mapping[str, str] | None = None) -> OssResponse:
        return self.request("HEAD", location, query=query)

    def get(self, location: Location, *, etag: str | None = None) -> OssResponse:
        """A small object; 304 if it still has the `etag`."""
        return self.request("GET", location, headers={"If-None-Match": etag} if etag else None)

    def put(
        self,
        location: Location,
        body: bytes,
        *,
        content_type: str,
        retry: bool = True,
        issued_at: float | None = None,
    ) -> OssResponse:
        headers = {"Content-Type": content_type}
        return self.request(
            "PUT", location, headers=headers, body=body, retry=retry, issued_at=issued_at
        )

    def claim(self, location: Location, body: bytes, *, content_type: str) -> OssResponse:
        """Writes an object, or 409 FileAlreadyExists if it exists.

        Never retried: after a lost response, only reading the object shows who wrote it.
        """
        headers = {"Content-Type": content_type, "x-oss-forbid-overwrite": "true"}
        return self.request("PUT", location, headers=headers, body=body, retry=False)

    def delete(self, location: Location, *, retry: bool = True) -> OssResponse:
        """Deletes an object; 204 even if it did not exist."""
        return self.request("DELETE", location, retry=retry)

    def request(
        self,
        method: str,
        location: Location,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        retry: bool = True,
        issued_at: float | None = None,
    ) -> OssResponse:
        """One signed request, with `retry` sent again once after a connection error. Raises `OssUnavailable`.

        A DELETE without `retry` opens its connection, which cannot be stale: sent again, it could delete what another
        one created since. A location with an empty key is the bucket itself. `headers` are sent, and signed where OSS
        signs them. OSS accepts the request until `EXPIRES_IN` seconds after `issued_at` (Unix seconds, None: now).
        Raises `CredentialsRefused` where credentials that may be forged are refused.
        """
        from http.client import HTTPException

        link = presign(
            method,
            location.bucket,
            location.key or None,
            credentials=self.credentials,
            endpoint=self.endpoint,
            expires_in=EXPIRES_IN,
            query=query,
            headers=headers,
            now=issued_at,
        )
        sent = {**(headers or {}), **link.headers, "Accept-Encoding": "identity"}
        is_new = method == "DELETE" and not retry
        for last in (False, True) if retry else (True,):
            try:
                response = self.connections.send(
                    method,
                    link.url,
                    sent,
                    body,
                    timeout=TIMEOUT,
                    max_body=MAX_BODY + 1,
                    is_new=is_new,
                )
            except TimeoutError:
                raise OssUnavailable(NO_ANSWER) from None
            except (OSError, HTTPException) as error:
                kind = type(error).__name__
                if last:
                    break
            else:
                if len(response.body) > MAX_BODY:
                    raise OssUnavailable(
                        f"{location} exceeds {MAX_BODY} bytes: the service did not write this object."
                    )
                if self.may_be_forged and response.status in (400, 403):
                    raise CredentialsRefused(
                        "OSS refused the credentials in the headers of the request."
                    )
                return OssResponse(*response, code=error_code(*response))
        raise OssUnavailable(f"{CANNOT_BE_REACHED} ({_WHY.get(kind, kind)})")


def client_for(invocation: Invocation) -> OssClient:
    """OSS for the service's own documents. Raises the 503 `no_credentials`."""
    return _client(invocation, invocation.credentials(), invocation.config.own_endpoint)


def mount_client(invocation: Invocation, mount: Mount) -> OssClient:
    """OSS for the objects of a mount, with its own credentials."""
    return _client(invocation, mount_credentials(invocation, mount), mount.own_endpoint)


def head_object(target: Target, query: Mapping[str, str], invocation: Invocation) -> OssResponse:
    """The headers of an object that can be downloaded. Raises what `stat_object` and `check_readable` raise."""
    response = stat_object(target, query, invocation)
    check_readable(response, target.mount)
    return response


def stat_object(target: Target, query: Mapping[str, str], invocation: Invocation) -> OssResponse:
    """The headers of an object, which may be in cold storage; of the query, only `versionId` is used.

    Raises the 404 `not_found`, with a cause where OSS does not say that the object or version is gone, the 503
    `oss_unavailable`, and the 400 `bad_path` or `bad_query` for what cannot be signed.
    """
    version = {name: value for name, value in query.items() if name == "versionId"}
    try:
        response = mount_client(invocation, target.mount).head(target.location, version)
    except InvalidKey:
        raise invalid_key() from None
    except InvalidQuery as error:
        raise Problem("bad_query", str(error)) from None
    is_gone = response.status == 404 and response.code in ("NoSuchKey", "NoSuchVersion")
    if is_gone or (not response.ok and response.headers.get("x-oss-delete-marker") == "true"):
        raise Problem("not_found")
    if not response.ok:
        cause = refusal("HeadObject", response, invocation.now).sentence
        # OSS answers 400 for an invalid version. A response to HEAD has no body, and may have no code.
        if (response.status == 404 and not response.code) or (version and response.status == 400):
            raise Problem("not_found", cause=cause)
        raise Problem("oss_unavailable", cause=cause)
    return response


def check_readable(response: OssResponse, mount: Mount) -> None:
    """Raises the 409 `object_archived` for an object that must be restored first, by its headers."""
    storage_class = response.headers.get("x-oss-storage-class")
    is_served = storage_class == "Archive" and mount.archive_direct_read
    archived = storage_class in _ARCHIVES and not is_served
    if archived and 'ongoing-request="false"' not in response.headers.get("x-oss-restore", ""):
        raise Problem("object_archived")


def list_folder(
    access: Access, invocation: Invocation, begins: str, limit: int, after: str
) -> ListedPage:
    """At most `limit` folders and objects directly below a prefix whose names begin with `begins`, for one request.

    `after` is the token of the page before, "" for the first one. Raises the 400 `bad_query` if OSS knows no such
    token, `bad_path` for a prefix that is too long, and the 503 `oss_unavailable`. Source: the page "ListObjectsV2".
    """
    from signer.common.listing import listing_query, read_page

    mount = access.target.mount
    key = access.target.key
    if len((key + begins).encode(errors="replace")) > MAX_KEY:
        raise invalid_key()
    more = {"delimiter": "/", "max-keys": str(limit)}
    if after:
        more["continuation-token"] = after
    elif key:
        more["start-after"] = key  # the object that marks the folder itself
    client = _client(invocation, access.credentials, mount.own_endpoint)
    try:
        bucket = Location(mount.target.bucket, "")
        response = client.request("GET", bucket, query=listing_query(key + begins, **more))
    except InvalidQuery:
        raise Problem(
            "bad_query", 'Invalid "begins" or "after": control characters are not allowed.'
        ) from None
    if response.status == 400 and after:
        raise Problem("bad_query", 'Invalid "after": it must be the "next" of the page before.')
    try:
        page = read_page(response.body) if response.ok else None
    except ValueError:
        page = None
    if (
        page is None
        or len(page.objects) + len(page.prefixes) > limit
        or (page.token and page.token == after)
    ):
        raise Problem(
            "oss_unavailable", cause=refusal("ListObjects", response, invocation.now).sentence
        )
    return page


def head_for_page(target: Target, query: Mapping[str, str], invocation: Invocation) -> OssResponse:
    """What `head_object` returns and raises, except that a missing object is the 404 `no_such_object`."""
    try:
        return head_object(target, query, invocation)
    except Problem as problem:
        if problem.code == "not_found":
            raise Problem(
                "no_such_object", "The file is not available. Ask the sender of the link for it."
            ) from None
        raise


def check_for_page(target: Target, query: Mapping[str, str], invocation: Invocation) -> None:
    """Raises the 404 `no_such_object` and the 409 `object_archived`, of which a browser would see OSS's XML.

    Nothing else keeps it from its link, nor does an OSS that says nothing within `PAGE_TIMEOUT`.
    """
    try:
        in_time(lambda: head_for_page(target, query, invocation), oss_unavailable)
    except HandlerError as error:
        if isinstance(error, CredentialsRefused) or error.code in (
            "no_such_object",
            "object_archived",
        ):
            raise


def in_time(call: Callable[[], Result], unavailable: Callable[..., Problem]) -> Result:
    """What a call that asks OSS returns or raises. Raises `unavailable` with its cause after `PAGE_TIMEOUT`."""
    from .http_client import within

    try:
        # The connections outlive the call, so they are not those of its bound: the client's own timeouts end them.
        return within(PAGE_TIMEOUT, lambda bound: call())
    except TimeoutError:
        raise unavailable(cause=NO_ANSWER) from None
    except RuntimeError as error:  # no further thread can be started
        raise unavailable(cause=str(error)) from None


def is_outage(cause: str | None) -> bool:
    """Whether a cause is that OSS answers nobody, and so no other request either."""
    return cause is not None and cause.startswith((CANNOT_BE_REACHED, NO_ANSWER))


def refusal(operation: str, response: OssResponse, now: float) -> StoreError:
    """What OSS answered instead of carrying out an operation, by our clock at `now` (Unix seconds)."""
    code = REFUSED
    if response.status >= 500:
        code = UNREACHABLE
    elif response.status == 404:
        code = MISSING
    reason = _REASONS.get(response.code, "")
    behind = (response.time("date") or now) - now
    # A request that is signed too early has expired, which OSS calls AccessDenied too.
    if (response.status == 403 and behind >= EXPIRES_IN) or response.code == "RequestTimeTooSkewed":
        code = WRONG_CLOCK
        reason = f"our clock is {abs(round(behind))} s {'behind' if behind > 0 else 'ahead of'} that of OSS"
    return StoreError(
        operation, response.status, code, f"{response.code} ({reason})" if reason else response.code
    )


def _client(invocation: Invocation, credentials: RoleCredentials, endpoint: Endpoint) -> OssClient:
    from .http_client import Connections

    connections = invocation.instance.memory(Connections)
    return OssClient(credentials.credentials, endpoint, connections, credentials.may_be_forged)


def error_code(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """The `Code` of an error, from the body or, for HEAD, from its header."""
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
