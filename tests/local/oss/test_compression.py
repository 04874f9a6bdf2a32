"""Objects that OSS compresses on the way: the types and sizes that its documentation lists."""

from __future__ import annotations

import gzip

import pytest

from tests.local.oss.cloud import Cloud, OssResponse, etag_of

KIB = b"0123456789abcdef" * 64
DOCUMENTED = [
    *("text/cache-manifest", "text/xml", "text/css", "text/html", "text/plain", "application/javascript"),
    *("application/x-javascript", "application/rss+xml", "application/json", "text/json"),
]


def get(cloud: Cloud, content_type: str, body: bytes = KIB, *, accept: str = "gzip", **more: str) -> OssResponse:
    cloud.put("object", body, {"Content-Type": content_type, **more})
    return cloud.get("object", {"Accept-Encoding": accept})


@pytest.mark.parametrize("content_type", [*DOCUMENTED, "text/plain; charset=utf-8", "Text/HTML"])
def test_a_kibibyte_of_a_documented_type_is_compressed_for_a_client_that_accepts_it(
    cloud: Cloud, content_type: str
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
def test_everything_else_is_sent_as_it_is(cloud: Cloud, content_type: str, body: bytes, accept: str) -> None:
    got = get(cloud, content_type, body, accept=accept)
    assert (got.status, got.body) == (200, body)
    assert got.headers["etag"] == etag_of(body)
    assert got.headers["content-length"] == str(len(body))
    assert "content-encoding" not in got.headers


def test_what_is_encoded_already_is_not_compressed_again(cloud: Cloud) -> None:
    body = gzip.compress(KIB * 200)
    got = get(cloud, "text/plain", body + b"\0" * 1024, **{"Content-Encoding": "gzip"})
    assert got.body == body + b"\0" * 1024


def test_the_type_of_the_response_decides(cloud: Cloud) -> None:
    cloud.put("object", KIB, {"Content-Type": "image/png"})
    query = {"response-content-type": "text/plain"}
    got = cloud.send("GET", cloud.link("GET", "object", query=query), {"Accept-Encoding": "gzip"})
    assert got.headers["content-encoding"] == "gzip"


def test_head_has_the_headers_of_the_compressed_response(cloud: Cloud) -> None:
    got = get(cloud, "application/json")
    head = cloud.call("HEAD", "object", headers={"Accept-Encoding": "gzip, deflate"})
    assert (head.status, head.body, head.headers["content-encoding"]) == (200, b"", "gzip")
    assert not {"etag", "content-length", "accept-ranges"} & head.headers.keys()
    assert head.headers.keys() == got.headers.keys() - {"transfer-encoding"}


def test_a_range_is_one_of_the_objects_own_bytes(cloud: Cloud) -> None:
    cloud.put("object", KIB, {"Content-Type": "text/plain"})
    got = cloud.get("object", {"Accept-Encoding": "gzip", "Range": "bytes=3-5"})
    assert (got.status, got.body, got.headers["etag"]) == (206, b"345", etag_of(KIB))


def test_a_condition_still_knows_the_etag(cloud: Cloud) -> None:
    cloud.put("object", KIB, {"Content-Type": "text/plain"})
    got = cloud.get("object", {"Accept-Encoding": "gzip", "If-None-Match": etag_of(KIB)})
    assert got.status == 304
