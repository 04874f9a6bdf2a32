"""An object to try a link with, so that the first address a person copies from the banner works."""

from __future__ import annotations

from contextlib import suppress
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from signer import Endpoint, presign

from .stack import Stack

NAME = "exampleobject.txt"
CONTENT = b"A private object, opened by a link that dies in minutes.\n"


def put(stack: Stack) -> str | None:
    """Puts the sample under the first anonymous mount with GET, and gives the address of its link.

    What is stored there already stays. None where there is no such mount.
    """
    mount = next((mount for mount in stack.mounts if mount.access == "anonymous" and "GET" in mount.methods), None)
    if mount is None:
        return None
    link = presign(
        "PUT",
        mount.target.bucket,
        mount.target.key + NAME,
        credentials=stack.credentials,
        endpoint=Endpoint.path_style(stack.oss_url, stack.region),
        headers={"Content-Type": "text/plain; charset=utf-8", "x-oss-forbid-overwrite": "true"},
    )
    request = Request(link.url, CONTENT, dict(link.headers), method="PUT")
    # A 409 says that it is there; without the sample the address is right all the same.
    with suppress(HTTPError):
        build_opener(ProxyHandler({})).open(request, timeout=10).close()
    return stack.http_url + mount.path + NAME
