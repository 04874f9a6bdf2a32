"""Lists the objects under a prefix, a page at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ..common.listing import ListedObject, ListedPage, listing_query, read_page
from ..credentials import Credentials
from ..endpoint import Endpoint
from ..errors import SignerError
from ..link import presign
from .network import AnswerRefused, describe_refusal, failure_reason, send

TIMEOUT = (10, 60)  # seconds, to connect and to read
MAX_PAGES = 10_000  # of 1,000 objects
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
                answer = send("GET", link.url, TIMEOUT, session=session)
                if answer.status == 200:
                    return read_page(answer.body)
                failure = describe_refusal(answer, " (listing requires oss:ListObjects)")
                if answer.status < 500:
                    break
            except AnswerRefused as error:
                raise ListingFailed(str(error)) from None
            except (OSError, ValueError) as error:
                failure = failure_reason(error)
            if attempt < _ATTEMPTS:
                if report is not None:
                    report(f"{host}: {failure}. Trying again ({attempt + 1} of {_ATTEMPTS})...")
                pause(0.5 * 2**attempt)
        raise ListingFailed(f"Cannot list oss://{bucket}/{prefix} at {host}: {failure}.")

    for _ in range(MAX_PAGES):
        page = request_page()
        yield from page.objects
        if not page.token:
            return
        query["continuation-token"] = page.token
    raise ListingFailed(
        f"oss://{bucket}/{prefix} has more than {MAX_PAGES} pages of 1,000 objects. Use a longer prefix."
    )
