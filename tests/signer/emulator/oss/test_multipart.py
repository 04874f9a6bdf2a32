"""Multipart uploads."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from signer.emulator.oss.storage import MultipartUpload, ObjectRecord, Uploads
from tests.local_oss import BUCKET, LocalOss, OssResponse, etag_of
from tests.signer.emulator.oss.test_objects import CRC64

KEY = "exampledir/large.bin"
FULL = bytes(range(256)) * 400  # 100 KiB, the minimum size of a part
TAIL = b"tail"


def initiate(cloud: LocalOss, headers: dict[str, str] | None = None) -> str:
    return cloud.call("POST", KEY, {"uploads": ""}, headers).text("UploadId")


def upload_part(cloud: LocalOss, upload: str, number: int, body: bytes = FULL) -> str:
    response = cloud.call("PUT", KEY, {"partNumber": str(number), "uploadId": upload}, body=body)
    assert response.status == 200, response.body
    return response.headers["etag"]


def complete(
    cloud: LocalOss, upload: str, parts: list[tuple[int, str]], **headers: str
) -> OssResponse:
    requested = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in parts
    )
    body = f"<CompleteMultipartUpload>{requested}</CompleteMultipartUpload>".encode()
    return cloud.call(
        "POST",
        KEY,
        {"uploadId": upload},
        {k.replace("_", "-"): v for k, v in headers.items()},
        body,
    )


def test_parts_in_any_order_become_one_object(cloud: LocalOss) -> None:
    upload = initiate(cloud, {"Content-Type": "application/pdf", "x-oss-meta-owner": "someone"})
    etags = {
        number: upload_part(cloud, upload, number, body)
        for number, body in ((3, TAIL), (1, FULL), (2, FULL[::-1]))
    }
    response = complete(cloud, upload, sorted(etags.items()))
    body = FULL + FULL[::-1] + TAIL
    digests = b"".join(
        hashlib.md5(piece).hexdigest().upper().encode() for piece in (FULL, FULL[::-1], TAIL)
    )
    assert response.status == 200
    assert response.text("ETag") == f'"{hashlib.md5(digests).hexdigest().upper()}-3"'
    assert response.headers["x-oss-hash-crc64ecma"] == str(CRC64(body))
    got = cloud.get(KEY)
    assert got.body == body
    assert got.headers["etag"] == response.text("ETag")
    assert got.headers["x-oss-object-type"] == "Multipart"
    assert got.headers["content-type"] == "application/pdf"
    assert got.headers["x-oss-meta-owner"] == "someone"
    assert (
        cloud.get(KEY, {"Range": f"bytes={len(FULL) - 1}-{len(FULL)}"}).body
        == FULL[-1:] + FULL[-1:]
    )
    assert [created.event_name for created in cloud.created] == [
        "ObjectCreated:CompleteMultipartUpload"
    ]


def test_parts_are_listed_and_can_be_sent_again(cloud: LocalOss) -> None:
    encryption = {"key": "a", "cek-alg": "AES"}
    upload = initiate(
        cloud,
        {f"x-oss-meta-client-side-encryption-{name}": each for name, each in encryption.items()},
    )
    for number in (1, 2, 5):
        upload_part(cloud, upload, number, b"old")
    upload_part(cloud, upload, 2, FULL)
    listed = cloud.call("GET", KEY, {"uploadId": upload})
    assert listed.texts("PartNumber") == ["1", "2", "5"]
    assert (listed.text("ClientEncryptionKey"), listed.text("ClientEncryptionCekAlg")) == (
        "a",
        "AES",
    )
    assert listed.texts("Size") == ["3", str(len(FULL)), "3"]
    assert listed.texts("ETag")[1] == etag_of(FULL)


@pytest.mark.parametrize(
    ("maximum", "marker", "numbers", "is_truncated", "next_marker"),
    [
        ("1", "1", ["2"], "true", "2"),
        ("2", "1", ["2", "5"], "false", "5"),
        ("1000", "0", ["1", "2", "5"], "false", "5"),
        ("", "", ["1", "2", "5"], "false", "5"),
        ("1", "10000", [], "false", "10000"),
    ],
)
def test_a_page_of_parts_begins_after_the_marker(
    cloud: LocalOss,
    maximum: str,
    marker: str,
    numbers: list[str],
    is_truncated: str,
    next_marker: str,
) -> None:
    upload = initiate(cloud)
    for number in (1, 2, 5):
        upload_part(cloud, upload, number, TAIL)
    query = {"uploadId": upload, "max-parts": maximum, "part-number-marker": marker}
    page = cloud.call("GET", KEY, query)
    assert page.texts("PartNumber") == numbers
    assert page.text("IsTruncated") == is_truncated
    assert page.text("NextPartNumberMarker") == next_marker
    assert page.text("MaxParts") == (maximum or "1000")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max-parts", "0"),
        ("max-parts", "1001"),
        ("max-parts", "one"),
        ("part-number-marker", "-1"),
        ("part-number-marker", "10001"),
    ],
)
def test_a_page_of_parts_that_oss_does_not_have_is_refused(
    cloud: LocalOss, name: str, value: str
) -> None:
    refused = cloud.call("GET", KEY, {"uploadId": initiate(cloud), name: value})
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    assert refused.text("ArgumentName") == name


def test_a_list_of_parts_that_does_not_match_is_refused(cloud: LocalOss) -> None:
    upload = initiate(cloud)
    full, tail = upload_part(cloud, upload, 1), upload_part(cloud, upload, 2, TAIL)
    for requested, code in (
        ([(1, full), (3, full)], "InvalidPart"),
        ([(1, tail), (2, tail)], "InvalidPart"),
        ([(2, tail), (1, full)], "InvalidPartOrder"),
        ([(1, full), (1, full)], "InvalidPartOrder"),
    ):
        refused = complete(cloud, upload, requested)
        assert (refused.status, refused.code) == (400, code)
    assert cloud.get(KEY).status == 404


def test_all_parts_but_the_last_have_a_minimum_size(cloud: LocalOss) -> None:
    upload = initiate(cloud)
    small, last = upload_part(cloud, upload, 1, FULL[1:]), upload_part(cloud, upload, 2, TAIL)
    refused = complete(cloud, upload, [(1, small), (2, last)])
    assert (refused.status, refused.code) == (400, "EntityTooSmall")


def test_part_numbers_are_1_to_10000(cloud: LocalOss) -> None:
    upload = initiate(cloud)
    for number in ("0", "10001", "-1", "one", ""):
        refused = cloud.call("PUT", KEY, {"partNumber": number, "uploadId": upload}, body=TAIL)
        assert (refused.status, refused.code) == (400, "InvalidArgument")


def test_a_completed_an_aborted_and_an_unknown_upload_are_not_found(cloud: LocalOss) -> None:
    finished = initiate(cloud)
    etag = upload_part(cloud, finished, 1)
    assert complete(cloud, finished, [(1, etag)]).status == 200
    aborted = initiate(cloud)
    assert cloud.call("DELETE", KEY, {"uploadId": aborted}).status == 204
    for upload in (finished, aborted, "0" * 32, "../../bucket.json", ""):
        for method, query in (
            ("PUT", {"partNumber": "1"}),
            ("GET", {}),
            ("DELETE", {}),
            ("POST", {}),
        ):
            refused = cloud.call(method, KEY, {**query, "uploadId": upload}, body=b"")
            ec = "0042-00000104" if method == "PUT" else "0042-00000002"
            assert (refused.status, refused.code, refused.headers["x-oss-ec"]) == (
                404,
                "NoSuchUpload",
                ec,
            )
    cloud.put("source")
    source = {"x-oss-copy-source": f"/{BUCKET}/source"}
    copied = cloud.call("PUT", KEY, {"partNumber": "1", "uploadId": aborted}, source)
    assert (copied.code, copied.headers["x-oss-ec"]) == ("NoSuchUpload", "0042-00000311")


def test_an_upload_belongs_to_its_key(cloud: LocalOss) -> None:
    upload = initiate(cloud)
    refused = cloud.call("PUT", "other", {"partNumber": "1", "uploadId": upload}, body=TAIL)
    assert (refused.status, refused.code) == (404, "NoSuchUpload")


def test_overwriting_can_be_forbidden_at_completion_too(cloud: LocalOss) -> None:
    upload = initiate(cloud)
    etag = upload_part(cloud, upload, 1)
    cloud.put(KEY, b"meanwhile")
    refused = complete(cloud, upload, [(1, etag)], x_oss_forbid_overwrite="true")
    assert (refused.status, refused.code) == (409, "FileAlreadyExists")
    assert cloud.get(KEY).body == b"meanwhile"
    begin = cloud.call("POST", KEY, {"uploads": ""}, {"x-oss-forbid-overwrite": "true"})
    assert (begin.status, begin.code) == (409, "FileAlreadyExists")
    assert complete(cloud, upload, [(1, etag)]).status == 200


def test_only_one_of_many_concurrent_completions_succeeds(cloud: LocalOss) -> None:
    upload = initiate(cloud)
    etag = upload_part(cloud, upload, 1)
    with ThreadPoolExecutor(8) as threads:
        statuses = list(
            threads.map(lambda _: complete(cloud, upload, [(1, etag)]).status, range(16))
        )
    assert sorted(statuses) == [200] + [404] * 15
    assert len(cloud.created) == 1
    assert cloud.get(KEY).body == FULL


def test_an_upload_that_ends_before_its_parts_are_read_is_not_found(
    cloud: LocalOss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty list of parts would say that nothing was sent."""
    upload = initiate(cloud)
    upload_part(cloud, upload, 1)
    parts = Uploads.parts

    def late(uploads: Uploads, found: MultipartUpload) -> dict[int, ObjectRecord]:
        uploads.abort(found)
        return parts(uploads, found)

    monkeypatch.setattr(Uploads, "parts", late)
    assert cloud.call("GET", KEY, {"uploadId": upload}).code == "NoSuchUpload"


def test_an_upload_that_ends_while_a_part_is_sent_is_not_found(cloud: LocalOss) -> None:
    upload = initiate(cloud)

    def blocks() -> Iterator[bytes]:
        yield FULL
        assert cloud.call("DELETE", KEY, {"uploadId": upload}).status == 204
        yield TAIL

    query = {"partNumber": "1", "uploadId": upload}
    refused = cloud.call("PUT", KEY, query, {"Transfer-Encoding": "chunked"}, blocks())
    assert (refused.status, refused.code) == (404, "NoSuchUpload")
    assert refused.headers["x-oss-ec"] == "0042-00000104"


@pytest.mark.parametrize(
    ("number", "complete_all", "code"),
    [("one", "no", "MalformedXML"), ("", "no", "MalformedXML"), ("1", "yes", "InvalidArgument")],
)
def test_a_list_of_parts_that_is_malformed_or_not_needed_is_refused(
    cloud: LocalOss, number: str, complete_all: str, code: str
) -> None:
    upload = initiate(cloud)
    etag = upload_part(cloud, upload, 1)
    part = f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
    headers = {"x-oss-complete-all": complete_all}
    refused = cloud.call("POST", KEY, {"uploadId": upload}, headers, body)
    assert (refused.status, refused.code) == (400, code)
    assert (
        cloud.call("POST", KEY, {"uploadId": upload}, {"x-oss-complete-all": "yes"}).status == 200
    )


def test_a_part_with_a_wrong_digest_is_not_stored(cloud: LocalOss) -> None:
    upload = initiate(cloud)
    digest = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    query = {"partNumber": "1", "uploadId": upload}
    refused = cloud.call("PUT", KEY, query, {"Content-MD5": digest}, FULL)
    assert (refused.status, refused.code) == (400, "InvalidDigest")
    assert cloud.call("GET", KEY, {"uploadId": upload}).texts("Part") == []


def test_a_bucket_with_an_unfinished_upload_is_not_removed(cloud: LocalOss) -> None:
    upload = initiate(cloud)
    assert cloud.call("DELETE").code == "BucketNotEmpty"
    assert cloud.call("DELETE", KEY, {"uploadId": upload}).status == 204
    assert cloud.call("DELETE").status == 204
