"""Lists the objects under a prefix, a page at a time.

Source: the OSS page "ListObjectsV2".
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

from ..credentials import Credentials
from ..endpoint import Endpoint
from ..errors import SignerError
from ..link import presign
from ..redaction import redact
from .network import failure_reason

if TYPE_CHECKING:
    import requests

PAGE = 1000
TIMEOUT = (10, 60)  # seconds, to connect and to read
_ATTEMPTS = 4


class ListingFailed(SignerError):
    """OSS did not return a list; the message says what it returned."""

    code = "listing_failed"


class ListedObject(NamedTuple):
    """An object of a list; `size` in bytes."""

    key: str
    size: int


def objects(
    bucket: str,
    prefix: str,
    *,
    credentials: Credentials,
    endpoint: Endpoint,
    session: requests.Session | None = None,
    pause: Callable[[float], None] = time.sleep,
    report: Callable[[str], object] | None = None,
) -> Iterator[ListedObject]:
    """Every object whose key begins with `prefix`, in order of keys.

    Holds a page of 1,000 in memory. A page that the network or a server error prevents is requested four times in all;
    `report` is called with a sentence before each further attempt. Raises `ListingFailed`.
    """
    if session is None:
        import requests

        # Its warnings, as of a malformed header, contain the URL.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        session = requests.Session()
    query = {"list-type": "2", "max-keys": str(PAGE), "encoding-type": "url"}
    if prefix:
        query["prefix"] = prefix
    while True:
        page = _page(session, bucket, query, credentials, endpoint, pause, report)
        for entry in page.iter("Contents"):
            yield ListedObject(unquote(entry.findtext("Key", "")), int(entry.findtext("Size", "0")))
        token = page.findtext("NextContinuationToken")
        if page.findtext("IsTruncated") != "true" or not token:
            return
        query["continuation-token"] = token


def _page(
    session: requests.Session,
    bucket: str,
    query: dict[str, str],
    credentials: Credentials,
    endpoint: Endpoint,
    pause: Callable[[float], None],
    report: Callable[[str], object] | None,
) -> ElementTree.Element:
    import requests

    host = endpoint.host(bucket)
    for attempt in range(1, _ATTEMPTS + 1):
        link = presign("GET", bucket, None, credentials=credentials, endpoint=endpoint, query=query)
        try:
            response = session.get(link.url, timeout=TIMEOUT, allow_redirects=False)
            if response.status_code == 200:
                return ElementTree.fromstring(response.content)  # noqa: S314 - OSS's answer about the user's own bucket
            failure = _describe(response)
            if response.status_code < 500:
                break
        except (requests.RequestException, ElementTree.ParseError) as error:
            failure = failure_reason(error)
        if attempt < _ATTEMPTS:
            if report is not None:
                report(f"{host}: {failure}. Trying again ({attempt + 1} of {_ATTEMPTS})...")
            pause(0.5 * 2**attempt)
    raise ListingFailed(f"Cannot list oss://{bucket}/{query.get('prefix', '')} at {host}: {failure}.")


def _describe(response: requests.Response) -> str:
    from ..diagnosis.oss_error import read_error

    try:
        error = read_error(response.text)
    except SignerError:
        return f"status {response.status_code}"
    hint = " (listing requires oss:ListObjects)" if error.code == "AccessDenied" else ""
    return redact(f"{error.code}, {error.message.rstrip('.')}") + hint
