"""Objects that OSS compresses on the way: the types and sizes that its documentation lists."""

from __future__ import annotations

import gzip

import pytest

from tests.local_oss import LocalOss, OssResponse, etag_of

KIB = b"0123456789abcdef" * 64
DOCUMENTED = [
    *("text/cache-manifest", "text/xml", "text/css", "text/html", "text/plain", "application/javascript"),
    *("application/x-javascript", "application/rss+xml", "application/json", "text/json"),
]


def get(cloud: LocalOss, content_type: str, body: bytes = KIB, *, accept: str = "gzip", **more: str) -> OssResponse:
    cloud.put("object", body, {"Content-Type": content_type, **more})
    return cloud.get("object", {"Accept-Encoding": accept})


@pytest.mark.parametrize("content_type", [*DOCUMENTED, "text/plain; charset=utf-8", "Text/HTML"])
def test_a_kibibyte_of_a_documented_type_is_compressed_for_a_client_that_accepts_it(
    cloud: LocalOss, content_type: str
) -> None:
    got = get(cloud, content_type)
    assert (got.status, gzip.decompress(got.body)) == (200, KIB)
    assert (got.headers["content-encoding"], got.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert not {"etag", "content-length", "accept-ranges"} & got.headers.keys()
    assert {"content-md5", "last-modified", "x-oss-hash-crc64ecma"} <= got.headers.keys()


@pytest.mark.parametrize(
    ("content_type", "body", "accept"),
    [
        ("text/plain", KIB[:-1], "gzip"),
        ("image/png", KIB, "gzip"),
        ("application/octet-stream", KIB, "gzip"),
        ("text/markdown", KIB, "gzip"),
        ("text/plain", KIB, ""),
        ("text/plain", KIB, "identity"),
        ("text/plain", KIB, "br, deflate"),
        ("text/plain", KIB, "gzip;q=0, br"),
    ],
)
def test_everything_else_is_sent_as_it_is(cloud: LocalOss, content_type: str, body: bytes, accept: str) -> None:
    got = get(cloud, content_type, body, accept=accept)
    assert (got.status, got.body) == (200, body)
    assert got.headers["etag"] == etag_of(body)
    assert got.headers["content-length"] == str(len(body))
    assert "content-encoding" not in got.headers
