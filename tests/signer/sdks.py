"""The links of the official SDKs for the same request at the same second.

Both read the clock themselves, so it is patched to a fixed time; nothing else is.
"""

from __future__ import annotations

import datetime as clock
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, unquote, urlsplit

import alibabacloud_oss_v2 as oss
from alibabacloud_oss_v2 import presigner
from alibabacloud_oss_v2.signer import SignerV4, v4
from alibabacloud_oss_v2.types import HttpRequest, SigningContext
from oss2.auth import ProviderAuth, ProviderAuthV4
from oss2.credentials import StaticCredentialsProvider
from oss2.http import Request

from signer import Credentials
from tests.signer.signing import LinkRequest


def query_pairs(url: str) -> list[tuple[str, str]]:
    """The decoded pairs of a URL's query, sorted."""
    parts = [part.partition("=") for part in urlsplit(url).query.split("&")]
    return sorted(
        (unquote(name, errors="strict"), unquote(value, errors="strict"))
        for name, _, value in parts
    )


def _convert(credentials: Credentials) -> oss.credentials.Credentials:
    return oss.credentials.Credentials(*credentials[:3])


def _headers(link_request: LinkRequest) -> dict[str, str]:
    # The SDKs sign a Host only if it is among the headers.
    return (
        {**link_request.headers, "host": link_request.host}
        if "host" in link_request.signed_headers
        else dict(link_request.headers)
    )


def _context(link_request: LinkRequest) -> SigningContext:
    query = "&".join(
        f"{quote(name, safe='')}={quote(value, safe='')}"
        for name, value in link_request.query.items()
    )
    url = f"https://{link_request.host}/{quote(link_request.key, safe='/')}"
    return SigningContext(
        product=link_request.product,
        region=link_request.region,
        bucket=link_request.bucket,
        key=link_request.key,
        request=HttpRequest(
            link_request.method, f"{url}?{query}" if query else url, headers=_headers(link_request)
        ),
        credentials=_convert(link_request.credentials),
        signing_time=link_request.signed_at,
        additional_headers=set(link_request.signed_headers),
    )


def url_of_v2(link_request: LinkRequest) -> str:
    """The presigned URL of alibabacloud-oss-v2's signer."""
    context = _context(link_request)
    context.auth_method_query = True
    context.expiration_time = link_request.signed_at + clock.timedelta(
        seconds=link_request.expires_in
    )
    SignerV4().sign(context)
    assert context.request is not None
    return str(context.request.url)


def signed_headers_of_v2(link_request: LinkRequest) -> Mapping[str, str]:
    """The headers, Authorization among them, with which alibabacloud-oss-v2 would send the request itself."""
    context = _context(link_request)
    SignerV4().sign(context)
    assert context.request is not None
    return dict(context.request.headers)


def v1_url_of_oss2(link_request: LinkRequest) -> str:
    """The presigned URL of oss2's V1 signer, which is its default."""
    seconds = SimpleNamespace(time=lambda: link_request.now)
    with _oss2_request(link_request) as request, patch("oss2.auth.time", seconds):
        signer = ProviderAuth(_provider(link_request))
        return str(
            signer._sign_url(
                request, link_request.bucket, link_request.key, link_request.expires_in
            )
        )


@contextmanager
def _oss2_request(link_request: LinkRequest) -> Iterator[Request]:
    now = SimpleNamespace(utcnow=lambda: link_request.signed_at.replace(tzinfo=None))
    with patch("oss2.auth.datetime", now):
        yield Request(
            link_request.method,
            f"https://{link_request.host}/{quote(link_request.key, safe='/')}",
            params=dict(link_request.query),
            headers=_headers(link_request),
            region=link_request.region,
            product=link_request.product,
        )


def _provider(link_request: LinkRequest) -> StaticCredentialsProvider:
    return StaticCredentialsProvider(
        *link_request.credentials[:2], link_request.credentials.security_token or ""
    )


def url_of_oss2(link_request: LinkRequest) -> str:
    """The presigned URL of oss2's V4 signer."""
    with _oss2_request(link_request) as request:
        signer = ProviderAuthV4(_provider(link_request))
        names = set(link_request.signed_headers)
        return str(
            signer._sign_url(
                request, link_request.bucket, link_request.key, link_request.expires_in, names
            )
        )


def signed_headers_of_oss2(link_request: LinkRequest) -> Mapping[str, str]:
    """The headers, Authorization among them, with which oss2 would send the request itself."""
    with _oss2_request(link_request) as request:
        signer = ProviderAuthV4(_provider(link_request))
        signer._sign_request(
            request, link_request.bucket, link_request.key, set(link_request.signed_headers)
        )
    return {name: value for name, value in request.headers.items() if value is not None}


def client_of_v2(credentials: Credentials) -> oss.Client:
    config = oss.config.load_default()
    config.region = "cn-hangzhou"
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(*credentials[:3])
    return oss.Client(config)


@contextmanager
def clock_of_v2_stopped_at(when: clock.datetime) -> Iterator[None]:
    """alibabacloud-oss-v2 reads the clock once for the expiry and once for the signature; here both are the same."""

    class Stopped(clock.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return when.astimezone(tz)

    stopped = SimpleNamespace(datetime=Stopped, timezone=clock.timezone, timedelta=clock.timedelta)
    with patch.object(presigner, "datetime", stopped), patch.object(v4, "datetime", stopped):
        yield
