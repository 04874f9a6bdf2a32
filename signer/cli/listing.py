"""Lists the objects under a prefix, a page at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ..credentials import Credentials
from ..endpoint import Endpoint
from ..errors import SignerError
from ..link import presign
from ..listing import ListedObject, ListedPage, listing_query, read_page
from .network import describe_refusal, failure_reason, send

TIMEOUT = (10, 60)  # seconds, to connect and to read
_ATTEMPTS = 4


class ListingFailed(SignerError):
    """OSS did not return a list; the message says what it returned."""

    code = "listing_failed"


def objects(
    bucket: str,
    prefix: str,
    *,
    credentials: Credentials,
    endpoint: Endpoint,
    pause: Callable[[float], None] = time.sleep,
    report: Callable[[str], object] | None = None,
) -> Iterator[ListedObject]:
    """Every object whose key begins with `prefix`, in order of keys.

    Holds a page of 1,000 in memory. A page that the network or a server error prevents is requested four times in all;
    `report` is called with a sentence before each further attempt. Raises `ListingFailed`.
    """
    import requests

    query = listing_query(prefix)
    host = endpoint.host(bucket)
    session = requests.Session()

    def request_page() -> ListedPage:
        for attempt in range(1, _ATTEMPTS + 1):
            link = presign(
                "GET", bucket, None, credentials=credentials, endpoint=endpoint, query=query
            )
            try:
                response = send("GET", link.url, TIMEOUT, session=session)
                if response.status_code == 200:
                    return read_page(response.content)
                failure = describe_refusal(response, " (listing requires oss:ListObjects)")
                if response.status_code < 500:
                    break
            except (OSError, ValueError) as error:
                failure = failure_reason(error)
            if attempt < _ATTEMPTS:
                if report is not None:
                    report(f"{host}: {failure}. Trying again ({attempt + 1} of {_ATTEMPTS})...")
                pause(0.5 * 2**attempt)
        raise ListingFailed(f"Cannot list oss://{bucket}/{prefix} at {host}: {failure}.")

    while True:
        page = request_page()
        yield from page.objects
        if not page.token:
            return
        query["continuation-token"] = page.token
