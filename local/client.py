"""Requests to this machine, past the proxies of the environment, which could not reach it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import requests

from signer import Endpoint, presign

from .stack import OssAlone, Stack

TIMEOUT = 600  # seconds, for a file of several GB


def send(method: str, url: str, **options: Any) -> requests.Response:
    """Raises `requests.RequestException`."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=TIMEOUT, **options)


def request(
    oss: Stack | OssAlone,
    method: str,
    bucket: str,
    key: str | None,
    data: bytes | IO[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> requests.Response:
    """Whatever OSS answers to a presigned request.

    Raises `SignerError` for a key that no link can carry, and `requests.RequestException`.
    """
    endpoint = Endpoint.path_style(oss.oss_url, oss.region)
    link = presign(method, bucket, key, credentials=oss.credentials, endpoint=endpoint, headers=headers, query=query)
    return send(method, link.url, data=data, headers=headers)
