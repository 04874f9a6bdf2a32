"""Requests to this machine, past the proxies of the environment, which could not reach it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection
from typing import IO, NamedTuple, Protocol
from urllib.parse import urlsplit

from ..credentials import Credentials
from ..endpoint import Endpoint
from ..link import presign

TIMEOUT = 600.0  # seconds, for a file of several GB


class Served(Protocol):
    """A running OSS."""

    @property
    def oss_url(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def credentials(self) -> Credentials: ...


class Address(NamedTuple):
    """Where an OSS is served, and who asks it."""

    oss_url: str
    region: str
    credentials: Credentials


class HttpResponse(NamedTuple):
    """`headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def send(
    method: str,
    url: str,
    data: bytes | IO[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """The response, also if it is a redirect. Raises `OSError` and `HTTPException`."""
    address = urlsplit(url)
    target = address._replace(scheme="", netloc="").geturl() or "/"
    sent = dict(headers or {})
    if data and not isinstance(data, bytes):
        sent["Content-Length"] = str(os.fstat(data.fileno()).st_size)
    with closing(HTTPConnection(address.netloc, timeout=TIMEOUT)) as connection:
        connection.request(method, target, data or None, sent)
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return HttpResponse(response.status, names, response.read())


def request(
    oss: Served,
    method: str,
    bucket: str,
    key: str | None,
    data: bytes | IO[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Whatever OSS answers to a presigned request. Raises as `send`, and `SignerError` for an invalid key."""
    link = presign(
        method,
        bucket,
        key,
        credentials=oss.credentials,
        endpoint=Endpoint.path_style(oss.oss_url, oss.region),
        headers=headers,
        query=query,
    )
    return send(method, link.url, data, headers)
