"""The official Python SDKs with the local OSS."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import alibabacloud_oss_v2 as oss_v2
import oss2
import oss2.models
import pytest
import requests

from tests.handler.client import KEYS
from tests.local_oss import BUCKET, REGION, LocalOss, etag_of

LARGE = bytes((index * 7 + index // 251) % 256 for index in range(450_000))
KEY = "exampledir/a b+ü%2F中.bin"


# --- oss2 ---------------------------------------------------------------------------------------------------------


with_v1 = pytest.mark.parametrize(
    "bucket", [oss2.ProviderAuthV4, oss2.ProviderAuth], indirect=True, ids=["V4", "V1"]
)


@pytest.fixture
def bucket(live_cloud: LocalOss, request: pytest.FixtureRequest) -> Any:
    provider = oss2.credentials.StaticCredentialsProvider(*KEYS[:3])
    auth = getattr(request, "param", oss2.ProviderAuthV4)(provider)
    return oss2.Bucket(auth, live_cloud.url, BUCKET, region=REGION)


@with_v1
def test_oss2_puts_gets_heads_and_deletes(bucket: Any) -> None:
    put = bucket.put_object(
        KEY, LARGE, headers={"x-oss-meta-owner": "someone", "Content-Type": "text/plain"}
    )
    assert f'"{put.etag}"' == etag_of(LARGE)
    got = bucket.get_object(KEY)
    assert got.read() == LARGE
    assert got.client_crc == got.server_crc == put.crc
    head = bucket.head_object(KEY)
    assert (head.content_length, head.content_type, head.headers["x-oss-meta-owner"]) == (
        len(LARGE),
        "text/plain",
        "someone",
    )
    assert bucket.get_object_meta(KEY).content_length == len(LARGE)
    assert bucket.get_object(KEY, byte_range=(10, 19)).read() == LARGE[10:20]
    assert bucket.object_exists(KEY)
    for _ in range(2):
        assert bucket.delete_object(KEY).status == 204
    assert not bucket.object_exists(KEY)
    with pytest.raises(oss2.exceptions.NoSuchKey):
        bucket.get_object(KEY)


def test_oss2_decompresses_what_it_accepts_compressed(bucket: Any) -> None:
    document = json.dumps(list(range(2000)))
    bucket.put_object("list.json", document, headers={"Content-Type": "application/json"})
    got = bucket.get_object("list.json", headers={"Accept-Encoding": "gzip"})
    assert (got.headers["content-encoding"], got.etag) == ("gzip", None)
    assert got.read() == document.encode()
    assert bucket.get_object("list.json").headers["etag"] == etag_of(document.encode())


def test_oss2_streams_in_chunks_and_from_files(bucket: Any, tmp_path: Path) -> None:
    bucket.put_object("stream", iter([LARGE[:100], LARGE[100:]]))
    (tmp_path / "file").write_bytes(LARGE)
    bucket.put_object_from_file("file", str(tmp_path / "file"))
    bucket.get_object_to_file("stream", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == LARGE
    assert bucket.get_object("file").read() == LARGE


def test_oss2_lists_and_copies(bucket: Any) -> None:
    keys = ["a b", "b/1", "b/2", "ü"]
    for key in keys:
        bucket.put_object(key, key)
    assert [item.key for item in oss2.ObjectIterator(bucket, max_keys=2)] == keys
    assert [item.key for item in oss2.ObjectIteratorV2(bucket, max_keys=1)] == keys
    folded = list(oss2.ObjectIteratorV2(bucket, delimiter="/"))
    assert [item.key for item in folded if item.is_prefix()] == ["b/"]
    assert [item.key for item in oss2.ObjectIteratorV2(bucket, prefix="a b")] == ["a b"]
    assert bucket.list_objects_v2(prefix="ü").object_list[0].size == 2
    bucket.copy_object(BUCKET, "ü", "copy")
    assert bucket.get_object("copy").read() == "ü".encode()


def test_oss2_deletes_many_objects_at_once(bucket: Any) -> None:
    for key in ("a/b+ü\x0c", "kept"):
        bucket.put_object(key, b"content")
    assert bucket.batch_delete_objects(["a/b+ü\x0c", "missing"]).deleted_keys == [
        "a/b+ü\x0c",
        "missing",
    ]
    assert [item.key for item in oss2.ObjectIterator(bucket)] == ["kept"]
    bucket.put_bucket_versioning(oss2.models.BucketVersioningConfig("Enabled"))
    (marked,) = bucket.batch_delete_objects(["kept"]).delete_versions
    assert marked.delete_marker
    versions = oss2.models.BatchDeleteObjectVersionList()
    versions.append(oss2.models.BatchDeleteObjectVersion("kept", marked.delete_marker_versionid))
    (removed,) = bucket.delete_object_versions(versions).delete_versions
    assert (removed.versionid, removed.delete_marker) == (marked.delete_marker_versionid, True)
    assert bucket.get_object("kept").read() == b"content"


@with_v1
def test_oss2_lists_uploads(bucket: Any) -> None:
    keys = ["a b", "b/1", "b/2", "ü", "ü"]
    ids = {bucket.init_multipart_upload(key).upload_id for key in keys}
    listed = list(oss2.MultipartUploadIterator(bucket, max_uploads=2))
    assert ([upload.key for upload in listed], {upload.upload_id for upload in listed}) == (
        keys,
        ids,
    )
    folded = list(oss2.MultipartUploadIterator(bucket, delimiter="/", max_uploads=1))
    assert sorted(upload.key for upload in folded) == ["a b", "b/", "ü", "ü"]
    assert [upload.key for upload in oss2.MultipartUploadIterator(bucket, prefix="b/2")] == ["b/2"]
    by_id = list(oss2.ObjectUploadIterator(bucket, "ü"))
    assert bucket.list_multipart_uploads(prefix="a").next_key_marker == "a b"
    assert {upload.upload_id for upload in by_id} == {
        each.upload_id for each in listed if each.key == "ü"
    }


def test_oss2_reads_the_acl_of_an_object(bucket: Any) -> None:
    for acl in ("default", "private"):
        bucket.put_object("object", b"content", headers={"x-oss-object-acl": acl})
        assert bucket.get_object_acl("object").acl == acl
        assert "x-oss-object-acl" not in bucket.get_object("object").headers
    bucket.copy_object(BUCKET, "object", "copy")
    assert bucket.get_object_acl("copy").acl == "default"


@with_v1
def test_oss2_uploads_in_parts_and_resumes(bucket: Any, tmp_path: Path) -> None:
    upload = bucket.init_multipart_upload(KEY).upload_id
    parts = []
    for number in (1, 2):
        piece = LARGE[(number - 1) * 200_000 : number * 200_000 if number == 1 else None]
        result = bucket.upload_part(KEY, upload, number, piece)
        parts.append(
            oss2.models.PartInfo(number, result.etag, size=len(piece), part_crc=result.crc)
        )
    assert [part.part_number for part in oss2.PartIterator(bucket, KEY, upload)] == [1, 2]
    result = bucket.complete_multipart_upload(KEY, upload, parts)
    assert result.crc == bucket.head_object(KEY).server_crc
    assert bucket.get_object(KEY).read() == LARGE

    (tmp_path / "file").write_bytes(LARGE)
    store = oss2.ResumableStore(root=str(tmp_path / "state"))
    sizes = {"multipart_threshold": 100_000, "part_size": 150_000, "num_threads": 2}
    oss2.resumable_upload(bucket, "resumed", str(tmp_path / "file"), store=store, **sizes)
    assert bucket.get_object("resumed").read() == LARGE
    aborted = bucket.init_multipart_upload("aborted").upload_id
    bucket.abort_multipart_upload("aborted", aborted)
    with pytest.raises(oss2.exceptions.NoSuchUpload):
        bucket.upload_part("aborted", aborted, 1, b"late")


def test_oss2_keeps_versions(bucket: Any) -> None:
    bucket.put_bucket_versioning(oss2.models.BucketVersioningConfig("Enabled"))
    assert bucket.get_bucket_versioning().status == "Enabled"
    first = bucket.put_object("object", b"first").versionid
    second = bucket.put_object("object", b"second").versionid
    marker = bucket.delete_object("object").versionid
    assert bucket.get_object("object", params={"versionId": first}).read() == b"first"
    assert bucket.get_object("object", params={"versionId": second}).read() == b"second"
    bucket.delete_object("object", params={"versionId": marker})
    assert bucket.get_object("object").read() == b"second"


def test_oss2_receives_errors_with_their_codes(bucket: Any) -> None:
    bucket.put_object("object", LARGE)
    headers = {"x-oss-forbid-overwrite": "true"}
    with pytest.raises(oss2.exceptions.ServerError) as refused:
        bucket.put_object("object", b"second", headers=headers)
    assert (refused.value.status, refused.value.code) == (409, "FileAlreadyExists")
    with pytest.raises(oss2.exceptions.NotModified):
        bucket.get_object("object", headers={"If-None-Match": etag_of(LARGE)})


@with_v1
def test_oss2_manages_buckets_and_rules(bucket: Any, live_cloud: LocalOss) -> None:
    second = oss2.Bucket(bucket.auth, live_cloud.url, "second-bucket", region=REGION)
    for _ in range(2):  # for its owner, the second time changes nothing
        second.create_bucket(input=oss2.models.BucketCreateConfig(oss2.BUCKET_STORAGE_CLASS_IA))
    second.put_object("object", b"content")
    assert second.head_object("object").headers["x-oss-storage-class"] == "IA"
    second.delete_object("object")
    info = second.get_bucket_info()
    assert (info.name, info.storage_class, info.acl.grant) == ("second-bucket", "IA", "private")
    assert (info.location, info.versioning_status) == (f"oss-{REGION}", None)
    assert 0 <= time.time() - oss2.iso8601_to_unixtime(info.creation_date) < 60
    assert second.get_bucket_location().location == f"oss-{REGION}"
    rule = oss2.models.CorsRule(["https://app.example.com"], ["GET"], ["*"], ["ETag"], 60)
    second.put_bucket_cors(oss2.models.BucketCors([rule]))
    assert second.get_bucket_cors().rules[0].allowed_origins == ["https://app.example.com"]
    second.delete_bucket_cors()
    with pytest.raises(oss2.exceptions.NoSuchCors):
        second.get_bucket_cors()
    with pytest.raises(oss2.exceptions.NoSuchLifecycle):
        second.get_bucket_lifecycle()
    for days in (7, 30):
        expiration = oss2.models.LifecycleExpiration(days=days)
        rule = oss2.models.LifecycleRule(
            f"after-{days}", "a/", status="Enabled", expiration=expiration
        )
        second.put_bucket_lifecycle(oss2.models.BucketLifecycle([rule]))
        (kept,) = second.get_bucket_lifecycle().rules
        assert (kept.id, kept.prefix, kept.expiration.days) == (f"after-{days}", "a/", days)
    second.delete_bucket_lifecycle()
    with pytest.raises(oss2.exceptions.NoSuchLifecycle):
        second.get_bucket_lifecycle()
    assert (second.get_bucket_acl().acl, info.resource_group_id[:3], info.comment) == (
        "private",
        "rg-",
        "",
    )
    second.delete_bucket()
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        second.get_object("object")


def test_oss2_lists_buckets_and_their_tags(bucket: Any, live_cloud: LocalOss) -> None:
    service = oss2.Service(bucket.auth, live_cloud.url, region=REGION)
    bucket.put_bucket_tagging(tagging(team="a b", stage=""))
    assert bucket.get_bucket_tagging().tag_set.tagging_rule == {"team": "a b", "stage": ""}
    oss2.Bucket(bucket.auth, live_cloud.url, "second-bucket", region=REGION).create_bucket()
    (first, second) = oss2.BucketIterator(service, max_keys=1)
    assert (first.name, first.region, first.storage_class, second.name) == (
        BUCKET,
        REGION,
        "Standard",
        "second-bucket",
    )
    for group, count in ((bucket.get_bucket_info().resource_group_id, 2), ("rg-other", 0)):
        found = service.list_buckets(headers={"x-oss-resource-group-id": group})
        assert len(found.buckets) == count
    for value, names in (("a b", [BUCKET]), ("other", [])):
        found = service.list_buckets(params={"tag-key": "team", "tag-value": value})
        assert [each.name for each in found.buckets] == names
    bucket.delete_bucket_tagging(params={"tagging": "team"})
    assert bucket.get_bucket_tagging().tag_set.tagging_rule == {"stage": ""}
    bucket.delete_bucket_tagging()
    assert bucket.get_bucket_tagging().tag_set.tagging_rule == {}
    for key, value in (("Aliyun-a", ""), ("", ""), ("k" * 65, ""), ("a", "v" * 129)):
        with pytest.raises(oss2.exceptions.ServerError, match="InvalidTag"):
            bucket.put_bucket_tagging(tagging(**{key: value}))


def tagging(**tags: str) -> Any:
    """Tags that the SDK itself does not check."""
    rules = oss2.models.Tagging()
    rules.tag_set.tagging_rule.update(tags)
    return rules


def test_oss2_tags_objects_and_their_copies(bucket: Any) -> None:
    def tags(key: str, **params: str) -> dict[str, str]:
        found: dict[str, str] = bucket.get_object_tagging(key, params=params).tag_set.tagging_rule
        return found

    bucket.put_object("object", b"content", headers={"x-oss-tagging": "team=a%20b&%E4%B8%AD=%2B"})
    before = bucket.head_object("object")
    assert (tags("object"), before.headers["x-oss-tagging-count"]) == (
        {"team": "a b", "中": "+"},
        "2",
    )
    bucket.copy_object(BUCKET, "object", "copy")
    replaced = {"x-oss-tagging-directive": "Replace", "x-oss-tagging": "a=1"}
    bucket.copy_object(BUCKET, "object", "other", headers=replaced)
    assert (tags("copy"), tags("other")) == (tags("object"), {"a": "1"})
    upload = bucket.init_multipart_upload("parts", headers={"x-oss-tagging": "a"}).upload_id
    part = bucket.upload_part("parts", upload, 1, b"part")
    bucket.complete_multipart_upload("parts", upload, [oss2.models.PartInfo(1, part.etag)])
    assert tags("parts") == {"a": ""}
    bucket.put_object_tagging("object", tagging(stage="2"))
    after = bucket.get_object("object")
    assert (tags("object"), after.read(), after.last_modified) == (
        {"stage": "2"},
        b"content",
        before.last_modified,
    )
    bucket.put_bucket_versioning(oss2.models.BucketVersioningConfig("Enabled"))
    version = bucket.put_object("object", b"second").versionid
    assert (tags("object"), tags("object", versionId="null")) == ({}, {"stage": "2"})
    bucket.put_object_tagging("object", tagging(a="1"), params={"versionId": version})
    bucket.delete_object_tagging("object", params={"versionId": "null"})
    assert (tags("object"), tags("object", versionId="null")) == ({"a": "1"}, {})
    many = {f"key{number}": "" for number in range(11)}
    for invalid in (many, {"a%": ""}, {"a": "%"}, {"": "a"}, {"k" * 129: ""}, {"a": "v" * 257}):
        with pytest.raises(oss2.exceptions.ServerError, match="InvalidTag"):
            bucket.put_object_tagging("object", tagging(**invalid))
    for header in ("a=1&a=2", "a=b=c", "=1"):
        with pytest.raises(oss2.exceptions.ServerError, match="InvalidTag"):
            bucket.put_object("object", b"", headers={"x-oss-tagging": header})


@with_v1
def test_oss2_lists_versions(bucket: Any) -> None:
    bucket.put_object("b/1", b"before")
    bucket.put_bucket_versioning(oss2.models.BucketVersioningConfig("Enabled"))
    written = [bucket.put_object("b/1", b"after").versionid, bucket.put_object("ü", b"").versionid]
    marker = bucket.delete_object("b/1").versionid
    expected = [
        ("b/1", marker, True),
        ("b/1", written[0], False),
        ("b/1", "null", False),
        ("ü", written[1], True),
    ]
    listed, page = [], bucket.list_object_versions(max_keys=1)
    listed += [*page.versions, *page.delete_marker]
    while page.is_truncated:
        at = {"key_marker": page.next_key_marker, "versionid_marker": page.next_versionid_marker}
        page = bucket.list_object_versions(max_keys=1, **at)
        listed += [*page.versions, *page.delete_marker]
    assert [(each.key, each.versionid, each.is_latest) for each in listed] == expected
    folded = bucket.list_object_versions(delimiter="/", max_keys=1)
    assert (folded.common_prefix, folded.next_key_marker) == (["b/"], "b/")
    assert [
        each.key for each in bucket.list_object_versions(delimiter="/", key_marker="b/").versions
    ] == ["ü"]
    assert [each.key for each in bucket.list_object_versions(key_marker="b/1").versions] == ["ü"]
    bucket.delete_object("b/1", params={"versionId": written[0]})
    rest = bucket.list_object_versions(key_marker="b/1", versionid_marker=written[0])
    assert [each.versionid for each in rest.versions] == ["null", written[1]]


def test_oss2_copies_parts(bucket: Any) -> None:
    bucket.put_object("source", LARGE, headers={"x-oss-meta-a": "b"})
    upload = bucket.init_multipart_upload("copy").upload_id
    parts = []
    for number, byte_range in enumerate([(0, 199_999), (200_000, len(LARGE) - 1)], 1):
        part = bucket.upload_part_copy(BUCKET, "source", byte_range, "copy", upload, number)
        assert part.resp.headers["Content-Range"] == "bytes {}-{}/{}".format(
            *byte_range, len(LARGE)
        )
        parts.append(oss2.models.PartInfo(number, part.etag))
    bucket.complete_multipart_upload("copy", upload, parts)
    assert bucket.get_object("copy").read() == LARGE
    upload = bucket.init_multipart_upload("copy").upload_id
    for headers in ({}, {"x-oss-copy-source-range": "bytes=a"}):
        whole = bucket.upload_part_copy(BUCKET, "source", None, "copy", upload, 1, headers=headers)
        assert (f'"{whole.etag}"', whole.resp.headers.get("Content-Range")) == (
            etag_of(LARGE),
            None,
        )
    with pytest.raises(oss2.exceptions.NoSuchKey):
        bucket.upload_part_copy(BUCKET, "missing", None, "copy", upload, 1)
    only = {"x-oss-copy-source-if-match": '"0"'}
    with pytest.raises(oss2.exceptions.PreconditionFailed):
        bucket.upload_part_copy(BUCKET, "source", None, "copy", upload, 1, headers=only)
    with pytest.raises(oss2.exceptions.NoSuchUpload):
        bucket.upload_part_copy(BUCKET, "source", None, "copy", "0" * 32, 1)


@with_v1
@pytest.mark.parametrize("slash_safe", [False, True])
def test_links_that_oss2_signs_work_with_its_escapes(bucket: Any, slash_safe: bool) -> None:
    put = bucket.sign_url(
        "PUT", KEY, 60, headers={"Content-Type": "text/plain"}, slash_safe=slash_safe
    )
    assert (
        requests.put(
            put, data=LARGE, headers={"Content-Type": "text/plain"}, timeout=20
        ).status_code
        == 200
    )
    get = bucket.sign_url(
        "GET", KEY, 60, params={"response-content-type": "text/html"}, slash_safe=slash_safe
    )
    got = requests.get(get, timeout=20)
    assert (got.content, got.headers["content-type"]) == (LARGE, "text/html")
    assert requests.put(put, data=b"", timeout=20).status_code == 403


# --- alibabacloud-oss-v2 ------------------------------------------------------------------------------------------


@pytest.fixture
def client(live_cloud: LocalOss) -> Any:
    config = oss_v2.config.load_default()
    config.credentials_provider = oss_v2.credentials.StaticCredentialsProvider(*KEYS[:3])
    config.region = REGION
    config.endpoint = live_cloud.url
    config.retry_max_attempts = 1
    return oss_v2.Client(config)


def stored(client: Any, key: str) -> bytes:
    body: bytes = client.get_object(oss_v2.GetObjectRequest(bucket=BUCKET, key=key)).body.read()
    return body


def test_v2_puts_gets_heads_and_deletes(client: Any) -> None:
    request = oss_v2.PutObjectRequest(
        bucket=BUCKET, key=KEY, body=LARGE, metadata={"owner": "someone"}, content_type="text/plain"
    )
    assert client.put_object(request).etag == etag_of(LARGE)
    assert stored(client, KEY) == LARGE
    head = client.head_object(oss_v2.HeadObjectRequest(bucket=BUCKET, key=KEY))
    assert (head.content_length, head.content_type, head.metadata["owner"]) == (
        len(LARGE),
        "text/plain",
        "someone",
    )
    part = client.get_object(
        oss_v2.GetObjectRequest(bucket=BUCKET, key=KEY, range_header="bytes=10-19")
    )
    assert (part.status_code, part.body.read()) == (206, LARGE[10:20])
    assert client.is_object_exist(BUCKET, KEY)
    client.delete_object(oss_v2.DeleteObjectRequest(bucket=BUCKET, key=KEY))
    assert not client.is_object_exist(BUCKET, KEY)
    assert client.is_bucket_exist(BUCKET)
    assert not client.is_bucket_exist("otherbucket")


def test_v2_reads_the_error_of_a_head_from_its_header(client: Any) -> None:
    with pytest.raises(oss_v2.exceptions.OperationError) as refused:
        client.head_object(oss_v2.HeadObjectRequest(bucket=BUCKET, key="nothing"))
    error = refused.value.unwrap()
    assert (error.status_code, error.code, error.ec) == (404, "NoSuchKey", "0026-00000001")


def test_v2_uploads_and_downloads_in_several_parts(client: Any, tmp_path: Path) -> None:
    uploader = oss_v2.Uploader(client, part_size=110_000, parallel_num=3)
    result = uploader.upload_from(
        oss_v2.PutObjectRequest(bucket=BUCKET, key=KEY), io.BytesIO(LARGE)
    )
    assert result.etag.endswith('-5"')
    assert stored(client, KEY) == LARGE
    downloader = oss_v2.Downloader(client, part_size=110_000, parallel_num=3)
    downloader.download_file(
        oss_v2.GetObjectRequest(bucket=BUCKET, key=KEY), str(tmp_path / "back")
    )
    assert (tmp_path / "back").read_bytes() == LARGE


def test_v2_lists_buckets_versions_and_tags_and_copies_in_parts(client: Any) -> None:
    client.put_object(oss_v2.PutObjectRequest(bucket=BUCKET, key=KEY, body=LARGE, tagging="a=1"))
    pages = client.list_buckets_paginator(limit=1).iter_page(oss_v2.ListBucketsRequest())
    assert [each.name for page in pages for each in page.buckets] == [BUCKET]
    assert client.get_bucket_acl(oss_v2.GetBucketAclRequest(bucket=BUCKET)).acl == "private"
    versions = client.list_object_versions(oss_v2.ListObjectVersionsRequest(bucket=BUCKET))
    assert [(each.key, each.version_id, each.is_latest) for each in versions.version] == [
        (KEY, "null", True)
    ]
    got = client.get_object_tagging(oss_v2.GetObjectTaggingRequest(bucket=BUCKET, key=KEY))
    assert [(tag.key, tag.value) for tag in got.tag_set.tags] == [("a", "1")]
    client.put_bucket_tags(
        oss_v2.PutBucketTagsRequest(bucket=BUCKET, tagging=oss_v2.Tagging(got.tag_set))
    )
    (tag,) = client.get_bucket_tags(oss_v2.GetBucketTagsRequest(bucket=BUCKET)).tagging.tag_set.tags
    assert (tag.key, tag.value) == ("a", "1")
    copier = oss_v2.Copier(client, part_size=110_000, multipart_copy_threshold=110_000)
    result = copier.copy(
        oss_v2.CopyObjectRequest(bucket=BUCKET, key="copy", source_key=KEY),
        disable_shallow_copy=True,
    )
    assert (result.etag[-3:], stored(client, "copy")) == ('-5"', LARGE)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_links_that_v2_signs_work(client: Any, method: str) -> None:
    client.put_object(oss_v2.PutObjectRequest(bucket=BUCKET, key=KEY, body=LARGE))
    request = {"GET": oss_v2.GetObjectRequest, "PUT": oss_v2.PutObjectRequest}[method](
        bucket=BUCKET, key=KEY
    )
    signed = client.presign(request)
    response = requests.request(
        method, signed.url, headers=dict(signed.signed_headers), data=b"new", timeout=20
    )
    assert response.status_code == 200
    assert stored(client, KEY) == (LARGE if method == "GET" else b"new")
