"""All objects under a prefix, a page at a time. For the command line: this is the one room that uses the network.

Sources: the OSS pages "ListObjectsV2" and "Include a V4 signature in the Authorization header".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

from .. import v4
from ..credentials import Credentials
from ..endpoint import Endpoint
from ..errors import SignerError
from ..link import check_credentials, seconds
from ..names import check_bucket
from ..redaction import redact

if TYPE_CHECKING:
    import requests

PAGE = 1000
TIMEOUT = (10, 60)  # seconds, to connect and to read
_ATTEMPTS = 4


class ListingFailed(SignerError):
    """OSS did not list; the sentence says what it answered."""

    code = "listing_failed"


class Listed(NamedTuple):
    """An object of a list; `size` in bytes."""

    key: str
    size: int


def objects(
    bucket: str,
    prefix: str,
    *,
    credentials: Credentials,
    endpoint: Endpoint,
    start_after: str = "",
    session: requests.Session | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Listed]:
    """Every object whose key begins with `prefix`, in order, behind the key `start_after`.

    Holds a page of 1,000 in memory. A page that fails for OSS's or the network's sake is asked for again, four
    times in all. Raises `ListingFailed`.
    """
    check_bucket(bucket)
    check_credentials(credentials)
    if session is None:
        import requests

        session = requests.Session()
    query = {"list-type": "2", "max-keys": str(PAGE), "encoding-type": "url"}
    if prefix:
        query["prefix"] = prefix
    if start_after:
        query["start-after"] = start_after
    while True:
        page = _page(session, bucket, query, credentials, endpoint, pause)
        for entry in page.iter("Contents"):
            yield Listed(unquote(entry.findtext("Key", "")), int(entry.findtext("Size", "0")))
        following = page.findtext("NextContinuationToken")
        if page.findtext("IsTruncated") != "true" or not following:
            return
        query = {**query, "continuation-token": following}
        query.pop("start-after", None)


def signed_headers(
    bucket: str,
    query: dict[str, str],
    credentials: Credentials,
    endpoint: Endpoint,
    now: float | None = None,
) -> dict[str, str]:
    """The headers of a GET of a bucket, signed in its Authorization header."""
    issued_at = v4.timestamp(seconds(now))
    scope = v4.scope(issued_at[:8], endpoint.region, endpoint.product)
    headers = {"x-oss-content-sha256": v4.UNSIGNED_PAYLOAD, "x-oss-date": issued_at}
    if credentials.security_token:
        headers["x-oss-security-token"] = credentials.security_token
    request = v4.canonical_request(
        "GET",
        v4.canonical_path(bucket, ""),
        v4.canonical_query(v4.canonical_parameter(name, value) for name, value in query.items()),
        v4.canonical_headers(headers),
        "",
    )
    key = v4.signing_key(credentials.access_key_secret, issued_at[:8], endpoint.region, endpoint.product)
    signature = v4.signature(key, v4.string_to_sign(issued_at, scope, request))
    credential = f"{credentials.access_key_id}/{scope}"
    return {**headers, "Authorization": f"{v4.ALGORITHM} Credential={credential},Signature={signature}"}


def _page(
    session: requests.Session,
    bucket: str,
    query: dict[str, str],
    credentials: Credentials,
    endpoint: Endpoint,
    pause: Callable[[float], None],
) -> ElementTree.Element:
    import requests

    url = endpoint.url(bucket, "") + "?" + v4.canonical_query(v4.canonical_parameter(*pair) for pair in query.items())
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            headers = signed_headers(bucket, query, credentials, endpoint)
            answer = session.get(url, headers=headers, timeout=TIMEOUT, allow_redirects=False)
            if answer.status_code == 200:
                return ElementTree.fromstring(answer.content)
            failure = _words(answer)
            if answer.status_code < 500:
                break
        except (requests.RequestException, ElementTree.ParseError) as error:
            failure = type(error).__name__
        if attempt < _ATTEMPTS:
            pause(0.5 * 2**attempt)
    raise ListingFailed(f"OSS does not list oss://{bucket}/{query.get('prefix', '')}: {failure}.")


def _words(answer: requests.Response) -> str:
    from ..diagnosis.oss_error import read_error

    try:
        error = read_error(answer.text)
    except SignerError:
        return f"status {answer.status_code}"
    hint = " (the key needs oss:ListObjects)" if error.code == "AccessDenied" else ""
    return redact(f"{error.code}, {error.message.rstrip('.')}") + hint
