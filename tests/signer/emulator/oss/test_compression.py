"""Objects that OSS compresses on the way: the types and sizes that its documentation lists."""

from __future__ import annotations

import gzip

from tests.local_oss import LocalOss, OssResponse, etag_of

KIB = b"0123456789abcdef" * 64
DOCUMENTED = [
    "text/cache-manifest",
    "text/xml",
    "text/css",
    "text/html",
    "text/plain",
    "application/javascript",
    "application/x-javascript",
    "application/rss+xml",
    "application/json",
    "text/json",
]


def get(
    cloud: LocalOss, content_type: str, body: bytes = KIB, *, accept: str = "gzip"
) -> OssResponse:
    cloud.put("object", body, {"Content-Type": content_type})
    return cloud.get("object", {"Accept-Encoding": accept})


def test_a_kibibyte_of_a_documented_type_is_compressed_for_a_client_that_accepts_it(
    cloud: LocalOss,
) -> None:
    for content_type in (*DOCUMENTED, "text/plain; charset=utf-8", "Text/HTML"):
        got = get(cloud, content_type)
        assert (got.status, gzip.decompress(got.body)) == (200, KIB)
        assert (got.headers["content-encoding"], got.headers["vary"]) == ("gzip", "Accept-Encoding")
        assert not {"etag", "content-length", "accept-ranges"} & got.headers.keys()
        assert {"content-md5", "last-modified", "x-oss-hash-crc64ecma"} <= got.headers.keys()


def test_everything_else_is_sent_as_it_is(cloud: LocalOss) -> None:
    for content_type, body, accept in (
        ("text/plain", KIB[:-1], "gzip"),
        ("image/png", KIB, "gzip"),
        ("text/markdown", KIB, "gzip"),
        ("text/plain", KIB, ""),
        ("text/plain", KIB, "br, deflate"),
        ("text/plain", KIB, "gzip;q=0, br"),
    ):
        got = get(cloud, content_type, body, accept=accept)
        assert (got.status, got.body, got.headers["etag"]) == (200, body, etag_of(body))
        assert got.headers["content-length"] == str(len(body))
        assert "content-encoding" not in got.headers
