"""Requests to this machine, past the proxies of the environment, which could not reach it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import IO

from handler.core.cloud.http_client import Connections, HttpResponse
from signer import Endpoint, presign

from .stack import OssAlone, Stack

TIMEOUT = 600.0, 600.0  # seconds, for a file of several GB
MAX_BODY = 1 << 30  # bytes


def send(
    method: str,
    url: str,
    data: bytes | IO[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """The response, also if it is a redirect. Raises `OSError` and `HTTPException`."""
    with closing(Connections()) as connections:
        return connections.send(
            method, url, headers or {}, data, timeout=TIMEOUT, max_body=MAX_BODY
        )


def request(
    oss: Stack | OssAlone,
    method: str,
    bucket: str,
    key: str | None,
    data: bytes | IO[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Whatever OSS answers to a presigned request. Raises as `send`, and `SignerError` for an invalid key."""
    endpoint = Endpoint.path_style(oss.oss_url, oss.region)
    link = presign(
        method,
        bucket,
        key,
        credentials=oss.credentials,
        endpoint=endpoint,
        headers=headers,
        query=query,
    )
    return send(method, link.url, data, headers)
