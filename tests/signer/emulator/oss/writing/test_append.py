"""AppendObject: by requests, by the official SDKs, by several writers at once."""

from __future__ import annotations

import base64
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import alibabacloud_oss_v2 as oss_v2
import crcmod
import oss2
import pytest

from signer.emulator.oss.storage import Appending, PositionNotLength
from tests.local_oss import BUCKET, LocalOss, OssResponse

CRC64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)
Headers = dict[str, str]
KEY = "logs/a b+ü.log"
BLOCK = 5 << 20  # bytes, of a write of ossfs


def append(
    cloud: LocalOss, position: int | str, body: bytes = b"line\n", headers: Headers | None = None
) -> OssResponse:
    return cloud.call("POST", KEY, {"append": "", "position": str(position)}, headers, body)


def test_an_object_grows_and_every_answer_has_the_next_position(cloud: LocalOss) -> None:
    first = append(cloud, 0, b"one", {"Content-Type": "text/plain", "x-oss-meta-owner": "someone"})
    cloud.clock.moved += 60
    second = append(cloud, 3, b"four")
    head = cloud.call("HEAD", KEY)
    got = cloud.get(KEY)
    assert (got.body, got.headers["content-type"]) == (b"onefour", "text/plain")
    assert got.headers["last-modified"] == "Mon, 24 Nov 2025 16:01:00 GMT"
    for response, body in ((first, b"one"), (second, b"onefour"), (head, b"onefour")):
        assert response.status == 200
        assert response.headers["x-oss-next-append-position"] == str(len(body))
        assert response.headers["x-oss-hash-crc64ecma"] == str(CRC64(body))
    assert first.headers["etag"] != second.headers["etag"] == head.headers["etag"]
    assert second.headers["etag"].endswith('00000000"')
    assert "content-md5" not in got.headers
    assert (got.headers["x-oss-object-type"], got.headers["x-oss-meta-owner"]) == (
        "Appendable",
        "someone",
    )
    listed = cloud.call("GET")
    assert (listed.texts("Type"), listed.texts("Size")) == (["Appendable"], ["7"])
    assert [created.event_name for created in cloud.created] == ["ObjectCreated:AppendObject"] * 2


def test_a_position_that_is_not_the_length_is_refused_with_the_next_one(cloud: LocalOss) -> None:
    assert append(cloud, 3).headers["x-oss-next-append-position"] == "0"
    append(cloud, 0)
    for position in (0, 4, 6):
        refused = append(cloud, position)
        assert (refused.status, refused.code, refused.text("EC")) == (
            409,
            "PositionNotEqualToLength",
            "0026-00000016",
        )
        assert refused.headers["x-oss-next-append-position"] == "5"
    for invalid in ("-1", "x", ""):
        refused = append(cloud, invalid)
        assert (refused.status, refused.code, refused.text("EC")) == (
            400,
            "InvalidArgument",
            "0016-00000502",
        )
    missing = cloud.call("POST", KEY, {"append": ""}, body=b"line\n")
    assert (missing.status, missing.text("EC")) == (400, "0016-00000501")
    assert cloud.get(KEY).body == b"line\n"


def test_only_an_appendable_object_is_appended_to(cloud: LocalOss) -> None:
    cloud.put(KEY, b"")
    refused = append(cloud, 0)
    assert (refused.status, refused.code, refused.text("EC")) == (
        409,
        "ObjectNotAppendable",
        "0026-00000017",
    )
    cloud.call("DELETE", KEY)
    assert append(cloud, 0).status == 200
    cloud.put(KEY, b"line\n")
    assert append(cloud, 5).code == "ObjectNotAppendable"
    assert cloud.get(KEY).headers["x-oss-object-type"] == "Normal"


def test_the_md5_is_that_of_the_new_bytes_and_a_wrong_one_appends_nothing(cloud: LocalOss) -> None:
    append(cloud, 0)
    for body in (b"line\nmore\n", b"more\n"):
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        assert append(cloud, 5, b"more\n", {"Content-MD5": digest}).status == (
            200 if body == b"more\n" else 400
        )
    assert cloud.get(KEY).body == b"line\nmore\n"


def test_what_an_append_would_drop_or_no_page_tells_is_a_501(cloud: LocalOss) -> None:
    refused = append(cloud, 0, headers={"x-oss-forbid-overwrite": "true"})
    assert refused.text("Header") == "AppendObject with x-oss-forbid-overwrite"
    kms = {"x-oss-server-side-encryption": "KMS", "x-oss-server-side-encryption-key-id": "a"}
    for headers in (kms, {"x-oss-storage-class": "Archive"}, {"x-oss-object-acl": "public-read"}):
        assert append(cloud, 0, headers=headers).status == 501
    assert cloud.get(KEY).status == 404
    kept = {"x-oss-meta-a": "1", "x-oss-tagging": "a=1", "x-oss-object-acl": "private"}
    append(cloud, 0, headers=kept)
    for header in kept:
        other = append(cloud, 5, headers={header: "default" if "acl" in header else "b=2"})
        assert (other.status, other.text("Header")) == (
            501,
            f"AppendObject with another {header} than that of the first append",
        )
    assert append(cloud, 5, headers={"x-oss-storage-class": "IA"}).status == 501
    assert append(cloud, 5, headers={**kept, "Content-Type": "text/css"}).status == 200
    assert cloud.get(KEY).headers["content-type"] == "application/octet-stream"
    cloud.set_versioning()
    assert append(cloud, 10).text("Header") == "AppendObject with versioning of the bucket"


def test_copies_of_an_appendable_object_are_a_501_that_says_why(cloud: LocalOss) -> None:
    append(cloud, 0)
    source = {"x-oss-copy-source": f"/{BUCKET}/logs/a%20b%2B%C3%BC.log"}
    upload = cloud.call("POST", "copy", {"uploads": ""}).text("UploadId")
    why = "an appendable source, as no page says what OSS answers"
    for key, query, name in (
        ("copy", {}, "CopyObject"),
        (KEY, {}, "CopyObject"),
        ("copy", {"partNumber": "1", "uploadId": upload}, "UploadPartCopy"),
    ):
        refused = cloud.call("PUT", key, query, source)
        assert (refused.status, refused.text("Header")) == (501, f"{name} with {why}")
    assert cloud.get("copy").status == 404


def test_tags_and_appends_keep_each_other(cloud: LocalOss) -> None:
    append(cloud, 0)
    tagging = b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
    assert cloud.call("PUT", KEY, {"tagging": ""}, body=tagging).status == 200
    assert append(cloud, 5).status == 200
    assert cloud.call("GET", KEY, {"tagging": ""}).texts("Value") == ["1"]
    assert cloud.call("PUT", KEY, {"acl": ""}, {"x-oss-object-acl": "private"}).status == 200
    assert cloud.get(KEY).headers["x-oss-hash-crc64ecma"] == str(CRC64(b"line\nline\n"))
    assert append(cloud, 10).status == 200


def test_of_three_writers_at_one_position_one_succeeds(cloud: LocalOss) -> None:
    writers = 3
    barrier = Barrier(writers)
    written = b""

    def write(number: int) -> tuple[int, OssResponse]:
        barrier.wait(20)
        return number, append(cloud, len(written), b"%d" % number * 1000)

    with ThreadPoolExecutor(writers) as pool:
        for _ in range(30):
            answers = list(pool.map(write, range(writers)))
            winners = [number for number, answer in answers if answer.status == 200]
            losers = {answer.code for _, answer in answers if answer.status != 200}
            assert (len(winners), losers) == (1, {"PositionNotEqualToLength"})
            written += b"%d" % winners[0] * 1000
    assert cloud.get(KEY).body == written


def test_an_append_hashes_the_new_bytes_alone(
    cloud: LocalOss, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []
    xz = "signer.emulator.oss.storage.draft.crc64.xz"

    def count(block: bytes, initial: int) -> int:
        hashed.append(len(block))
        return initial

    monkeypatch.setattr(xz, count)
    append(cloud, 0, b"a" * 1000)
    append(cloud, 1000, b"b")
    assert hashed == [1000, 1]


def test_an_object_that_was_replaced_while_a_body_arrived_is_not_appended_to(
    cloud: LocalOss,
) -> None:
    """The replacement has the same length, and other bytes."""
    append(cloud, 0, b"old")
    bucket = cloud.bucket()
    with bucket.draft() as draft:
        appending = Appending(bucket, draft, KEY, 3)
        cloud.call("DELETE", KEY)
        append(cloud, 0, b"new")
        draft.write([b"more"])
        with pytest.raises(PositionNotLength):
            appending.commit(0, {}, "Standard")
    assert cloud.get(KEY).body == b"new"


def test_a_reader_is_not_disturbed_by_an_append(cloud: LocalOss) -> None:
    append(cloud, 0, b"old")
    opened = cloud.bucket().open(KEY)
    assert opened is not None
    append(cloud, 3, b"new")
    assert b"".join(opened.blocks()) == b"old"


# --- oss2 and alibabacloud-oss-v2 ---------------------------------------------------------------------------------


def test_oss2_appends_and_compares_the_checksum_over_all(bucket: Any) -> None:
    first = bucket.append_object(KEY, 0, b"one", init_crc=0)
    second = bucket.append_object(KEY, first.next_position, b"two", init_crc=first.crc)
    assert (second.next_position, second.crc) == (6, CRC64(b"onetwo"))
    with pytest.raises(oss2.exceptions.PositionNotEqualToLength) as caught:
        bucket.append_object(KEY, 3, b"two")
    assert caught.value.next_position == 6
    head = bucket.head_object(KEY)
    assert (head.object_type, head.content_length) == ("Appendable", 6)
    bucket.put_object("normal", b"")
    with pytest.raises(oss2.exceptions.ObjectNotAppendable):
        bucket.append_object("normal", 0, b"one")


def test_writes_whose_position_is_counted_twice_fail_as_in_oss(bucket: Any) -> None:
    """As ossfs does above 5 MB: it adds what it has written to a position that has it already."""
    position = bucket.append_object(KEY, 0, bytes(BLOCK)).next_position
    with pytest.raises(oss2.exceptions.PositionNotEqualToLength) as caught:
        bucket.append_object(KEY, position + BLOCK, bytes(BLOCK))
    assert caught.value.next_position == BLOCK
    assert bucket.head_object(KEY).content_length == BLOCK


def test_v2_appends_by_a_request_and_as_a_file(client: Any) -> None:
    request = oss_v2.AppendObjectRequest(BUCKET, KEY, position=0, body=b"one", acl="private")
    assert client.append_object(request).next_position == 3
    acl = client.get_object_acl(oss_v2.GetObjectAclRequest(BUCKET, KEY)).acl
    assert acl == "private"
    with client.append_file(BUCKET, KEY) as file:
        file.write(b"two")
        file.write_from(io.BytesIO(b"three"))
    got = client.get_object(oss_v2.GetObjectRequest(BUCKET, KEY))
    assert got.body.content == b"onetwothree"
    created = oss_v2.AppendObjectRequest(BUCKET, "other", content_type="text/plain")
    with client.append_file(BUCKET, "other", create_parameter=created) as file:
        file.flush()
        file.write(b"one")
    head = client.head_object(oss_v2.HeadObjectRequest(BUCKET, "other"))
    assert (head.object_type, head.content_type, head.next_append_position) == (
        "Appendable",
        "text/plain",
        3,
    )
