"""The official SDKs, asked for the same link at the same second.

Both read the clock themselves, so theirs is stopped; nothing else of theirs is touched.
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
import oss2
from alibabacloud_oss_v2 import presigner
from alibabacloud_oss_v2.signer import SignerV4, v4
from alibabacloud_oss_v2.types import HttpRequest, SigningContext
from oss2.auth import ProviderAuthV4
from oss2.credentials import StaticCredentialsProvider
from oss2.http import Request

from signer import Credentials
from tests.signer.signing import Asked


def query_pairs(url: str) -> list[tuple[str, str]]:
    """Every pair of a URL's query, decoded, sorted."""
    parts = [part.partition("=") for part in urlsplit(url).query.split("&")]
    return sorted((unquote(name, errors="strict"), unquote(value, errors="strict")) for name, _, value in parts)


def signature(url: str) -> str:
    """The signature in a URL."""
    return dict(query_pairs(url))["x-oss-signature"]


def _own(credentials: Credentials) -> oss.credentials.Credentials:
    return oss.credentials.Credentials(*credentials[:3])


def _headers(asked: Asked) -> dict[str, str]:
    """What the request will carry. The SDKs sign a Host only where it is among the headers."""
    return {**asked.headers, "host": asked.host} if "host" in asked.signed_headers else dict(asked.headers)


def _context(asked: Asked) -> SigningContext:
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in asked.query.items())
    url = f"https://{asked.host}/{quote(asked.key, safe='/')}"
    return SigningContext(
        product=asked.product,
        region=asked.region,
        bucket=asked.bucket,
        key=asked.key,
        request=HttpRequest(asked.method, f"{url}?{query}" if query else url, headers=_headers(asked)),
        credentials=_own(asked.credentials),
        signing_time=asked.moment,
        additional_headers=set(asked.signed_headers),
    )


def url_of_v2(asked: Asked) -> str:
    """The presigned URL of alibabacloud-oss-v2's signer."""
    context = _context(asked)
    context.auth_method_query = True
    context.expiration_time = asked.moment + clock.timedelta(seconds=asked.expires_in)
    SignerV4().sign(context)
    assert context.request is not None
    return str(context.request.url)


def signed_headers_of_v2(asked: Asked) -> Mapping[str, str]:
    """The headers, Authorization among them, with which alibabacloud-oss-v2 would send the request itself."""
    context = _context(asked)
    SignerV4().sign(context)
    assert context.request is not None
    return dict(context.request.headers)


@contextmanager
def _stopped_oss2(asked: Asked) -> Iterator[Request]:
    now = SimpleNamespace(utcnow=lambda: asked.moment.replace(tzinfo=None))
    with patch("oss2.auth.datetime", now):
        yield Request(
            asked.method,
            f"https://{asked.host}/{quote(asked.key, safe='/')}",
            params=dict(asked.query),
            headers=_headers(asked),
            region=asked.region,
            product=asked.product,
        )


def _provider(asked: Asked) -> ProviderAuthV4:
    return ProviderAuthV4(StaticCredentialsProvider(*asked.credentials[:2], asked.credentials.security_token or ""))


def url_of_oss2(asked: Asked) -> str:
    """The presigned URL of oss2's V4 signer."""
    with _stopped_oss2(asked) as request:
        url = _provider(asked)._sign_url(request, asked.bucket, asked.key, asked.expires_in, set(asked.signed_headers))
    assert isinstance(url, str)
    return url


def signed_headers_of_oss2(asked: Asked) -> Mapping[str, str]:
    """The headers, Authorization among them, with which oss2 would send the request itself."""
    with _stopped_oss2(asked) as request:
        _provider(asked)._sign_request(request, asked.bucket, asked.key, set(asked.signed_headers))
    return {name: value for name, value in request.headers.items() if value is not None}


def client_of_oss2(credentials: Credentials, bucket: str) -> oss2.Bucket:
    """oss2's client of a bucket in cn-hangzhou, as its users make it."""
    auth = oss2.StsAuth(*credentials[:3], auth_version=oss2.AUTH_VERSION_4)
    return oss2.Bucket(auth, "https://oss-cn-hangzhou.aliyuncs.com", bucket, region="cn-hangzhou")


def client_of_v2(credentials: Credentials) -> oss.Client:
    """alibabacloud-oss-v2's client in cn-hangzhou, as its users make it."""
    config = oss.config.load_default()
    config.region = "cn-hangzhou"
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(*credentials[:3])
    return oss.Client(config)


@contextmanager
def clock_of_v2_stopped_at(moment: clock.datetime) -> Iterator[None]:
    """alibabacloud-oss-v2 reads the clock once for the expiry and once for the signature; here they agree."""

    class Stopped(clock.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment.astimezone(tz)

    stopped = SimpleNamespace(datetime=Stopped, timezone=clock.timezone, timedelta=clock.timedelta)
    with patch.object(presigner, "datetime", stopped), patch.object(v4, "datetime", stopped):
        yield
