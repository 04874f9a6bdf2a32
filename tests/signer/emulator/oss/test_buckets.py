"""What a bucket counts, and ACLs: those that let nobody in are stored, all others are a 501."""

from __future__ import annotations

from typing import Any

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest

from tests.handler.client import KEYS
from tests.local_oss import BUCKET, REGION, LocalOss

PART = 100 << 10


def stat(cloud: LocalOss) -> dict[str, int]:
    answer = cloud.call("GET", query={"stat": ""})
    assert answer.status == 200
    return {element.tag: int(element.text or "") for element in answer.xml if element.text != "0"}


def test_the_counts_are_those_of_objects_versions_and_parts(cloud: LocalOss) -> None:
    now = {"LastModifiedTime": int(cloud.clock.now())}
    assert stat(cloud) == now
    cloud.put("a", b"12345")
    cloud.put("b", b"123", {"x-oss-storage-class": "IA"})
    cloud.put("c", bytes(PART), {"x-oss-storage-class": "Archive"})
    upload = cloud.call("POST", "d", {"uploads": ""}).text("UploadId")
    cloud.call("PUT", "d", {"partNumber": "1", "uploadId": upload}, body=bytes(PART))
    counted = {
        "Storage": 8 + PART,
        "ObjectCount": 3,
        "MultipartUploadCount": 1,
        "MultipartPartCount": 1,
        "MultipartPartStorage": PART,
        "StandardStorage": 5,
        "StandardObjectCount": 1,
        "InfrequentAccessStorage": 64 << 10,
        "InfrequentAccessRealStorage": 3,
        "InfrequentAccessObjectCount": 1,
        "ArchiveStorage": PART,
        "ArchiveRealStorage": PART,
        "ArchiveObjectCount": 1,
    }
    assert stat(cloud) == {**now, **counted}
    cloud.set_versioning()
    cloud.put("a", b"1")
    cloud.call("DELETE", "a")
    more = {"StandardStorage": 6, "StandardObjectCount": 2, "DeleteMarkerCount": 1}
    assert stat(cloud) == {
        **now,
        **counted,
        **more,
        "Storage": 9 + PART,
        "ObjectCount": 4,
    }


@pytest.mark.parametrize(
    ("key", "header", "private"),
    [("object", "x-oss-object-acl", ["default", "private"]), ("", "x-oss-acl", ["private"])],
)
def test_an_acl_that_lets_others_in_is_a_501_that_says_why(
    cloud: LocalOss, key: str, header: str, private: list[str]
) -> None:
    cloud.put("object")
    name = "PutObjectAcl" if key else "PutBucketAcl"
    for acl in private:
        assert cloud.call("PUT", key, {"acl": ""}, {header: acl}).status == 200
        assert cloud.call("GET", key, {"acl": ""}).text("Grant") == acl
    for acl in ("public-read", "public-read-write"):
        refused = cloud.call("PUT", key, {"acl": ""}, {header: acl})
        why = f"{name} with {header}: {acl}, as every request must be signed"
        assert (refused.status, refused.text("Header")) == (501, why)
    for acl in ("everyone", *([] if key else ["default"])):
        assert cloud.call("PUT", key, {"acl": ""}, {header: acl}).code == "InvalidArgument"
    missing = cloud.call("PUT", key, {"acl": ""})
    assert (missing.status, missing.text("Header")) == (501, f"{name} with no {header}")
    assert cloud.call("GET", key, {"acl": ""}).text("Grant") == "private"
    assert cloud.get("object").body == b"content"


def test_the_acl_of_a_missing_bucket_creates_it_and_of_a_missing_object_does_not(
    cloud: LocalOss,
) -> None:
    private = {"x-oss-acl": "private"}
    assert cloud.call("PUT", "", {"acl": ""}, private, bucket="new-bucket").status == 200
    assert cloud.call("GET", "", {"acl": ""}, bucket="new-bucket").text("Grant") == "private"
    assert cloud.call("PUT", "", {"acl": ""}, private, bucket="no").code == "InvalidBucketName"
    missing = cloud.call("PUT", "object", {"acl": ""}, {"x-oss-object-acl": "private"})
    assert missing.code == "NoSuchKey"


def test_an_acl_is_that_of_a_version_and_keeps_the_tags(cloud: LocalOss) -> None:
    cloud.set_versioning()
    put = cloud.put("object", headers={"x-oss-tagging": "a=1", "x-oss-meta-a": "b"})
    cloud.put("object")
    version = {"versionId": put.headers["x-oss-version-id"]}
    query = {"acl": "", **version}
    answer = cloud.call("PUT", "object", query, {"x-oss-object-acl": "private"})
    assert (answer.status, answer.headers["x-oss-version-id"]) == (200, version["versionId"])
    assert cloud.call("GET", "object", query).text("Grant") == "private"
    assert cloud.call("GET", "object", {"acl": ""}).text("Grant") == "default"
    assert cloud.call("GET", "object", {"tagging": "", **version}).text("Value") == "1"
    assert cloud.call("GET", "object", version).headers["x-oss-meta-a"] == "b"


def test_oss2_and_v2_set_acls_and_count(live_cloud: LocalOss) -> None:
    provider: Any = oss2.credentials.StaticCredentialsProvider(*KEYS[:3])
    bucket = oss2.Bucket(oss2.ProviderAuthV4(provider), live_cloud.url, BUCKET, region=REGION)
    bucket.put_object("object", b"content")
    bucket.put_object_acl("object", oss2.OBJECT_ACL_PRIVATE)
    bucket.put_bucket_acl(oss2.BUCKET_ACL_PRIVATE)
    assert bucket.get_object_acl("object").acl == "private"
    with pytest.raises(oss2.exceptions.ServerError, match="as every request must be signed"):
        bucket.put_object_acl("object", oss2.OBJECT_ACL_PUBLIC_READ)
    counted = bucket.get_bucket_stat()
    assert (counted.object_count, counted.storage_size_in_bytes, counted.standard_storage) == (
        1,
        7,
        7,
    )
    config = oss_v2.config.load_default()
    config.credentials_provider = oss_v2.credentials.StaticCredentialsProvider(*KEYS[:3])
    config.region = REGION
    config.endpoint = live_cloud.url
    client = oss_v2.Client(config)
    client.put_object_acl(oss_v2.PutObjectAclRequest(BUCKET, "object", acl="default"))
    client.put_bucket_acl(oss_v2.PutBucketAclRequest(BUCKET, acl="private"))
    assert bucket.get_object_acl("object").acl == "default"
    stat_of_v2 = client.get_bucket_stat(oss_v2.GetBucketStatRequest(BUCKET))
    assert (stat_of_v2.object_count, stat_of_v2.storage) == (1, 7)
