"""Objects: written, read completely and in part, under conditions, copied, deleted."""

from __future__ import annotations

import base64
import hashlib
import http.client
import socket
from urllib.parse import unquote

import crcmod

from signer.emulator.oss import CreatedObject
from tests.local_oss import BUCKET, LocalOss, etag_of
from tests.signer.emulator.oss.test_listing import digest

CRC64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)
TEXT = b"0123456789abcdefghij"


def test_an_object_is_returned_as_it_was_put_with_its_checksums(cloud: LocalOss) -> None:
    body = bytes(range(256)) * 1000
    put = cloud.put(
        "exampledir/exampleobject.txt",
        body,
        {"Content-Type": "text/plain", "x-oss-meta-owner": "someone"},
    )
    got = cloud.get("exampledir/exampleobject.txt")
    assert got.status == 200
    assert got.body == body
    for response in (put, got):
        assert response.headers["etag"] == etag_of(body)
        assert response.headers["x-oss-hash-crc64ecma"] == str(CRC64(body))
        assert len(response.headers["x-oss-request-id"]) == 24
    assert got.headers["content-type"] == "text/plain"
    assert got.headers["x-oss-meta-owner"] == "someone"
    assert got.headers["x-oss-object-type"] == "Normal"
    assert got.headers["x-oss-storage-class"] == "Standard"
    assert got.headers["last-modified"] == "Mon, 24 Nov 2025 16:00:00 GMT"


def test_a_range_is_answered_cut_ignored_or_refused(cloud: LocalOss) -> None:
    cloud.put("object", TEXT)
    standard = {"x-oss-range-behavior": "standard"}
    for range_, expected, content_range in (
        ("bytes=0-0", b"0", "bytes 0-0/20"),
        ("bytes=15-", b"fghij", "bytes 15-19/20"),
        ("bytes=-3", b"hij", "bytes 17-19/20"),
        ("bytes=0-19", TEXT, "bytes 0-19/20"),
    ):
        got = cloud.get("object", {"Range": range_})
        assert (got.status, got.body, got.headers["content-range"]) == (
            206,
            expected,
            content_range,
        )
        assert got.headers["content-length"] == str(len(expected))
    after = ("bytes=10-40", "bytes=-40", "bytes=20-", "bytes=-0")
    for ignored in (*after, "bytes=9-5", "characters=0-3", "bytes=", "bytes=x-3"):
        got = cloud.get("object", {"Range": ignored})
        assert (got.status, got.body) == (200, TEXT), ignored
    for range_, expected in (("bytes=10-40", TEXT[10:]), ("bytes=-40", TEXT)):
        got = cloud.get("object", {"Range": range_, **standard})
        assert (got.status, got.body) == (206, expected)
    for empty in ("bytes=20-", "bytes=-0", "bytes=0-1,3-4"):
        got = cloud.get("object", {"Range": empty, **standard})
        assert (got.status, got.code, got.headers["content-range"]) == (
            416,
            "InvalidRange",
            "bytes */20",
        )
    assert cloud.get("object", {"Range": "bytes=0-1,3-4"}).status == 416


def test_if_range_returns_the_complete_object_after_a_change(cloud: LocalOss) -> None:
    cloud.put("object", TEXT)
    headers = {"Range": "bytes=0-0", "If-Range": etag_of(TEXT)}
    assert cloud.get("object", headers).status == 206
    cloud.put("object", TEXT[1:])
    assert cloud.get("object", headers).status == 200


BEFORE, AT, AFTER = (
    f"Mon, 24 Nov 2025 {time} GMT" for time in ("15:59:59", "16:00:00", "16:00:01")
)


def test_conditions_are_checked(cloud: LocalOss) -> None:
    cloud.put("object", TEXT)
    conditions: list[tuple[dict[str, str], int]] = [
        ({"If-Match": etag_of(TEXT)}, 200),
        ({"If-Match": '"0000"'}, 412),
        ({"If-None-Match": etag_of(TEXT)}, 304),
        ({"If-None-Match": '"0000", "1111"'}, 200),
        ({"If-None-Match": "*"}, 304),
        ({"If-Modified-Since": BEFORE}, 200),
        ({"If-Modified-Since": AT}, 304),
        ({"If-Unmodified-Since": AT}, 200),
        ({"If-Unmodified-Since": BEFORE}, 412),
        ({"If-None-Match": '"0000"', "If-Modified-Since": AFTER}, 200),
        ({"If-Match": etag_of(TEXT), "If-Unmodified-Since": BEFORE}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
    ]
    for headers, status in conditions:
        got = cloud.get("object", headers)
        assert got.status == status, headers
        assert status != 304 or (got.body, got.headers["etag"]) == (b"", etag_of(TEXT))


def test_the_query_overrides_headers_of_the_response(cloud: LocalOss) -> None:
    cloud.put("object", TEXT, {"Content-Type": "text/plain"})
    overrides = {
        "response-content-type": "application/pdf",
        "response-content-disposition": "attachment; filename*=UTF-8''%E4%B8%AD.pdf",
        "response-cache-control": "no-cache",
        "response-content-language": "zh",
        "response-expires": "Mon, 24 Nov 2025 17:00:00 GMT",
        "response-content-encoding": "identity",
    }
    got = cloud.send("GET", cloud.link("GET", "object", query=overrides))
    assert got.status == 200
    for name, value in overrides.items():
        assert got.headers[name.removeprefix("response-")] == value


def test_an_override_cannot_inject_another_header_into_the_response(cloud: LocalOss) -> None:
    cloud.put("object")
    got = cloud.call("GET", "object", {"response-content-type": "text/html\r\nSet-Cookie: a=b"})
    assert (got.status, got.code) == (400, "InvalidArgument")


def test_a_put_with_a_condition_is_refused_with_a_400(cloud: LocalOss) -> None:
    cloud.put("object", TEXT)
    values = (BEFORE, AT, etag_of(TEXT), "*")
    for name, value in zip(
        ("If-Modified-Since", "If-Unmodified-Since", "If-Match", "If-None-Match"),
        values,
        strict=True,
    ):
        refused = cloud.call("PUT", "object", headers={name: value}, body=b"second")
        assert (refused.status, refused.code, refused.text("EC")) == (
            400,
            "NotImplemented",
            "0017-00000245",
        )
        assert refused.texts("Header") == [name]
    assert cloud.get("object").body == TEXT


def test_content_md5_is_checked_and_a_wrong_one_stores_nothing(cloud: LocalOss) -> None:
    right = base64.b64encode(hashlib.md5(TEXT).digest()).decode()
    assert cloud.call("PUT", "object", headers={"Content-MD5": right}, body=TEXT).status == 200
    for wrong in (base64.b64encode(b"0" * 16).decode(), "nonsense", "not base64"):
        refused = cloud.call("PUT", "other", headers={"Content-MD5": wrong}, body=TEXT)
        assert (refused.status, refused.code) == (400, "InvalidDigest")
    assert cloud.get("other").status == 404


def test_a_put_requires_a_content_length(cloud: LocalOss) -> None:
    link = cloud.link("PUT", "object")
    host, _, port = cloud.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(
            f"PUT {link} HTTP/1.1\r\nHost: {cloud.host}\r\nConnection: close\r\n\r\n".encode()
        )
        assert b"411" in wire.recv(4096).split(b"\r\n")[0]


def test_an_archived_object_cannot_be_read(cloud: LocalOss) -> None:
    for storage_class in ("Archive", "ColdArchive", "DeepColdArchive"):
        cloud.put("object", TEXT, {"x-oss-storage-class": storage_class})
        refused = cloud.get("object")
        assert (refused.status, refused.code) == (403, "InvalidObjectState")
        assert cloud.call("HEAD", "object").headers["x-oss-storage-class"] == storage_class


def test_the_traffic_limit_has_bounds_and_is_in_the_query_or_in_a_header(cloud: LocalOss) -> None:
    cloud.put("object")
    for limit, ec in [
        ("819200", ""),
        ("838860800", ""),
        *((each, "0004-00000502") for each in ("819199", "838860801", "x")),
    ]:
        by_link = cloud.send(
            "GET", cloud.link("GET", "object", query={"x-oss-traffic-limit": limit})
        )
        by_header = cloud.call("PUT", "object", headers={"x-oss-traffic-limit": limit}, body=b"")
        for response in (by_link, by_header):
            assert (response.status, response.headers.get("x-oss-ec", "")) == (
                400 if ec else 200,
                ec,
            )
    limits = {"x-oss-traffic-limit": "819200"}
    refused = cloud.call("PUT", "object", limits, limits, b"")
    assert (refused.status, refused.code, refused.text("EC")) == (
        400,
        "InvalidArgument",
        "0004-00000501",
    )


def test_a_copy_takes_the_headers_of_its_source_or_its_own(cloud: LocalOss) -> None:
    cloud.put("from here/ü", TEXT, {"Content-Type": "text/plain", "x-oss-meta-owner": "someone"})
    source = {"x-oss-copy-source": f"/{BUCKET}/from%20here/%C3%BC"}
    copied = cloud.call("PUT", "copy", headers=source)
    assert (copied.status, copied.text("ETag")) == (200, etag_of(TEXT))
    assert cloud.get("copy").headers["x-oss-meta-owner"] == "someone"
    replaced = {**source, "x-oss-metadata-directive": "REPLACE", "Content-Type": "text/html"}
    assert cloud.call("PUT", "copy", headers=replaced).status == 200
    got = cloud.get("copy")
    assert (got.body, got.headers["content-type"]) == (TEXT, "text/html")
    assert "x-oss-meta-owner" not in got.headers
    key = {"x-oss-meta-client-side-encryption-key": "a"}
    cloud.put("source", TEXT, {"Content-Type": "text/plain", "x-oss-meta-owner": "someone", **key})
    del replaced["Content-Type"]
    cloud.call("PUT", "copy", headers={**replaced, "x-oss-copy-source": f"/{BUCKET}/source"})
    headers = cloud.get("copy").headers
    assert (headers["content-type"], key.items() <= headers.items()) == ("text/plain", True)
    assert "x-oss-meta-owner" not in headers


def test_a_copy_onto_itself_replaces_the_metadata_whatever_the_directive_says(
    cloud: LocalOss,
) -> None:
    source = {"x-oss-copy-source": f"/{BUCKET}/object"}
    for directive in ({}, {"x-oss-metadata-directive": "COPY"}):
        cloud.put("object", headers={"Content-Type": "text/plain", "x-oss-meta-a": "1"})
        headers = {**source, **directive, "Content-Type": "text/html", "x-oss-meta-b": "2"}
        assert cloud.call("PUT", "object", headers=headers).status == 200
        got = cloud.get("object").headers
        assert (got["content-type"], got.get("x-oss-meta-a"), got["x-oss-meta-b"]) == (
            "text/html",
            None,
            "2",
        )
    cloud.set_versioning()
    assert cloud.call("PUT", "object", headers={**source, "x-oss-meta-c": "3"}).status == 200
    got = cloud.get("object").headers
    assert (got["x-oss-meta-b"], got.get("x-oss-meta-c")) == ("2", None)


def test_keys_with_control_characters_are_deleted_however_their_document_writes_them(
    cloud: LocalOss,
) -> None:
    keys = [f"a{chr(code)}b" for code in range(1, 32)]
    for form in ("&#{};", "&#0{};", "&#x{:x};", "&#x{:02X};"):
        for key in keys:
            cloud.put(key)
        written = "".join(
            f"<Object><Key>a{form.format(ord(key[1]))}b</Key></Object>" for key in keys
        )
        body = f"<Delete>{written}</Delete>".encode()
        deleted = cloud.call(
            "POST",
            query={"delete": "", "encoding-type": "url"},
            headers={"Content-MD5": digest(body)},
            body=body,
        )
        assert [unquote(key) for key in deleted.texts("Key")] == keys
        assert cloud.keys() == []


def test_a_copy_checks_the_conditions_on_its_source(cloud: LocalOss) -> None:
    cloud.put("source", TEXT)
    source = {"x-oss-copy-source": f"/{BUCKET}/source"}
    missing = cloud.call("PUT", "copy", headers={"x-oss-copy-source": f"/{BUCKET}/nothing"})
    assert (missing.status, missing.code) == (404, "NoSuchKey")
    changed = cloud.call("PUT", "copy", headers={**source, "x-oss-copy-source-if-match": '"0000"'})
    assert (changed.status, changed.code) == (412, "PreconditionFailed")
    same = cloud.call(
        "PUT", "copy", headers={**source, "x-oss-copy-source-if-none-match": etag_of(TEXT)}
    )
    assert same.status == 304
    for directive in ("x-oss-metadata-directive", "x-oss-tagging-directive"):
        refused = cloud.call("PUT", "copy", headers={**source, directive: "MERGE"})
        assert (refused.status, refused.text("ArgumentName")) == (400, directive)
    assert cloud.get("copy").status == 404
    unknown = cloud.call("PUT", "copy", headers={"x-oss-copy-source": f"/{BUCKET}/source?part=1"})
    assert (unknown.status, unknown.text("EC")) == (400, "0016-00000304")
    unnamed = cloud.call(
        "PUT", "copy", headers={"x-oss-copy-source": f"/{BUCKET}/source?versionId="}
    )
    assert (unnamed.status, unnamed.text("EC")) == (400, "0016-00000305")
    cloud.put("taken")
    taken = cloud.call("PUT", "taken", headers={**source, "x-oss-forbid-overwrite": "true"})
    assert (taken.status, taken.code) == (409, "FileAlreadyExists")


def test_the_listener_is_called_for_every_object_written_and_for_no_refused_one(
    cloud: LocalOss,
) -> None:
    cloud.put("object", TEXT)
    cloud.call("PUT", "object", headers={"x-oss-forbid-overwrite": "true"}, body=b"second")
    cloud.call("PUT", "copy", headers={"x-oss-copy-source": f"/{BUCKET}/object"})
    etag = etag_of(TEXT).strip('"')
    assert cloud.created == [
        CreatedObject(BUCKET, "object", 20, etag, "ObjectCreated:PutObject"),
        CreatedObject(BUCKET, "copy", 20, etag, "ObjectCreated:CopyObject"),
    ]


def test_any_valid_key_has_its_own_file_below_the_root(cloud: LocalOss) -> None:
    keys = [
        "a",
        "a/b",
        "b",
        "a/",
        "a+b",
        "a/../b",
        "../../escape",
        ".",
        "..",
        "a//b",
        "folder/",
        "a b+c%20d",
        "中文/ü",
        "Case",
        "case",
        "a" * 1023,
        "A" * 1023,
        "é" * 511,
        "line\nbreak",
        "%2e%2e",
        "a=",
        "a+",
        "~tilde",
        "back\\slash",
        "q?#&",
    ]
    outside = {
        path for path in cloud.root.parent.rglob("*") if cloud.root not in (path, *path.parents)
    }
    for key in keys:
        cloud.put(key, key.encode())
    assert [cloud.get(key).body for key in keys] == [key.encode() for key in keys]
    assert {
        path for path in cloud.root.parent.rglob("*") if cloud.root not in (path, *path.parents)
    } == outside
    listed = cloud.call("GET", query={"list-type": "2", "encoding-type": "url"})
    assert sorted(keys) == sorted(unquote(name) for name in listed.texts("Key"))


def test_a_key_that_oss_does_not_accept_is_refused(cloud: LocalOss) -> None:
    for key in ("/leading", "\\leading", "x" * 1024, "nul\x00"):
        refused = cloud.call("PUT", key, body=b"")
        assert (refused.status, refused.code) == (400, "InvalidObjectName")
    other = cloud.send("GET", f"/{BUCKET}/%ff")
    assert (other.status, other.code) == (400, "InvalidArgument")
    assert other.text("Message") == "The characters encoding must be utf-8."


def test_the_reason_phrases_are_those_of_oss_and_the_connection_is_kept(cloud: LocalOss) -> None:
    cloud.put("object", TEXT)
    requests: list[tuple[str, dict[str, str], int, str]] = [
        ("GET", {}, 200, "OK"),
        ("GET", {"Range": "bytes=0-1"}, 206, "Partial Content"),
        ("GET", {"If-None-Match": "*"}, 304, "Not Modified"),
        ("PUT", {"If-Match": "*"}, 400, "Bad Request"),
        ("PUT", {"x-oss-forbid-overwrite": "true"}, 409, "Conflict"),
        ("GET", {"If-Match": '"0"'}, 412, "Precondition Failed"),
        (
            "GET",
            {"Range": "bytes=99-", "x-oss-range-behavior": "standard"},
            416,
            "Requested Range Not Satisfiable",
        ),
        ("PUT", {"x-oss-callback": "e30="}, 501, "Not Implemented"),
        ("DELETE", {}, 204, "No Content"),
    ]
    connection = http.client.HTTPConnection(cloud.host, timeout=10)
    try:
        for method, headers, status, reason in requests:
            target, signed = cloud.signed(method, "object", headers=headers)
            connection.request(
                method, target, TEXT if method == "PUT" and status == 409 else None, signed
            )
            response = connection.getresponse()
            response.read()
            assert (response.status, response.reason) == (status, reason)
            assert response.getheader("Connection") == "keep-alive"
    finally:
        connection.close()
