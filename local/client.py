"""Presigned requests to a local OSS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO

import requests

from signer import Endpoint, presign

from .stack import OssAlone, Stack

TIMEOUT = 600  # seconds, for a file of several GB


def request(
    oss: Stack | OssAlone,
    method: str,
    bucket: str,
    key: str,
    data: bytes | IO[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> requests.Response:
    """Whatever OSS answers. Proxies of the environment are ignored, which could not reach this machine.

    Raises `SignerError` for a key that no link can carry, and `requests.RequestException`.
    """
    endpoint = Endpoint.path_style(oss.oss_url, oss.region)
    link = presign(method, bucket, key, credentials=oss.credentials, endpoint=endpoint, headers=headers)
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, link.url, data=data, headers=headers, timeout=TIMEOUT)
