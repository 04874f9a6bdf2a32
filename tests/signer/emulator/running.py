"""Requests to an OSS that `emulator.run` or a fixture yields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signer import Credentials, Endpoint, presign
from signer.emulator import RunningOss
from signer.emulator.client import HttpResponse, send


def link(
    oss: RunningOss,
    method: str,
    key: str | None,
    *,
    bucket: str | None = None,
    credentials: Credentials | None = None,
    **options: Any,
) -> str:
    """A presigned URL, of the user's bucket unless another is named."""
    return presign(
        method,
        oss.bucket if bucket is None else bucket,
        key,
        credentials=credentials or oss.credentials,
        endpoint=Endpoint.path_style(oss.url, oss.region),
        **options,
    ).url


def call(
    oss: RunningOss,
    method: str,
    key: str | None,
    data: bytes | None = None,
    *,
    bucket: str | None = None,
    query: Mapping[str, str] | None = None,
) -> HttpResponse:
    """A request by a link of its own."""
    return send(method, link(oss, method, key, bucket=bucket, query=query), data)
