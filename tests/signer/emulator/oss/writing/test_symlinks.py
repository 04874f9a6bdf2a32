"""PutSymlink and GetSymlink, and what is read through a link."""

from __future__ import annotations

from typing import Any

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest

from tests.local_oss import BUCKET, LocalOss, etag_of

TARGET = "exampledir/a b+ü.txt"
ENCODED = "exampledir%2Fa%20b%2B%C3%BC.txt"


@pytest.fixture
def linked(cloud: LocalOss) -> LocalOss:
    """With an object, and a link to it that is a minute younger."""
    cloud.put(TARGET, b"content", {"Content-Type": "text/css", "x-oss-meta-of": "target"})
    cloud.clock.moved += 60
    headers = {"Content-Type": "text/plain", "x-oss-meta-a": "1"}
    assert link(cloud, "link", ENCODED, **headers) == 200
    return cloud


def link(cloud: LocalOss, key: str, target: str, **headers: str) -> int:
    """The status of a PutSymlink."""
    headers = {**headers, "x-oss-symlink-target": target}
    return cloud.call("PUT", key, {"symlink": ""}, headers).status


def test_a_link_reads_as_its_target_with_metadata_of_its_own(linked: LocalOss) -> None:
    got = linked.get("link")
    head = linked.call("HEAD", "link")
    assert (got.status, got.body) == (200, b"content")
    for response in (got, head):
        assert {name: response.headers.get(name) for name in ("etag", "content-length")} == {
            "etag": etag_of(b"content"),
            "content-length": "7",
        }
        assert response.headers["last-modified"] == "Mon, 24 Nov 2025 16:01:00 GMT"
        assert response.headers["content-md5"] == linked.get(TARGET).headers["content-md5"]
        assert response.headers["x-oss-object-type"] == "Symlink"
        assert response.headers["content-type"] == "text/plain"
        assert response.headers["x-oss-meta-a"] == "1"
        assert not {"x-oss-symlink-target", "x-oss-meta-of"} & response.headers.keys()
    assert linked.get("link", {"Range": "bytes=1-2"}).body == b"on"
    assert linked.get("link", {"If-None-Match": etag_of(b"content")}).status == 304
    linked.clock.moved += 60
    linked.put(TARGET, b"changed")
    assert linked.get("link").body == b"changed"
    assert linked.get("link").headers["last-modified"] == "Mon, 24 Nov 2025 16:02:00 GMT"
    listed = linked.call("GET", query={"prefix": "link"})
    assert listed.texts("Type") == ["Symlink"]
    assert [created.event_name for created in linked.created][1] == "ObjectCreated:PutSymlink"


def test_get_symlink_says_where_it_points_and_only_of_a_link(linked: LocalOss) -> None:
    answer = linked.call("GET", "link", {"symlink": ""})
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["x-oss-symlink-target"] == ENCODED
    refused = linked.call("GET", TARGET, {"symlink": ""})
    assert (refused.status, refused.code, refused.text("EC")) == (
        400,
        "NotSymlink",
        "0043-00000101",
    )
    assert linked.call("GET", "missing", {"symlink": ""}).code == "NoSuchKey"


def test_a_target_that_is_gone_or_a_link_is_refused_when_it_is_read(linked: LocalOss) -> None:
    link(linked, "second", "link")
    refused = linked.get("second")
    assert (refused.status, refused.code) == (400, "InvalidTargetType")
    linked.call("DELETE", TARGET)
    gone = linked.get("link")
    assert (gone.status, gone.code, gone.text("EC")) == (
        404,
        "SymlinkTargetNotExist",
        "0026-00000012",
    )
    assert linked.call("HEAD", "link").status == 404
    assert linked.call("GET", "link", {"symlink": ""}).status == 200
    linked.put(TARGET, headers={"x-oss-storage-class": "Archive"})
    assert linked.get("link").code == "InvalidObjectState"


def test_a_link_requires_a_target_and_may_forbid_to_overwrite(cloud: LocalOss) -> None:
    missing = cloud.call("PUT", "link", {"symlink": ""})
    assert (missing.status, missing.text("EC")) == (400, "0043-00000001")
    assert link(cloud, "link", "/a") == 400
    assert link(cloud, "link", "a", **{"x-oss-forbid-overwrite": "true"}) == 200
    assert link(cloud, "link", "b", **{"x-oss-forbid-overwrite": "true"}) == 409
    refused = cloud.call("PUT", "link", headers={"x-oss-symlink-target": "a"}, body=b"")
    assert (refused.status, refused.text("Header")) == (501, "PutObject with x-oss-symlink-target")


def test_a_copy_of_a_link_is_a_link_and_a_part_is_a_501(linked: LocalOss) -> None:
    source = {"x-oss-copy-source": f"/{BUCKET}/link"}
    assert linked.call("PUT", "copy", headers=source).status == 200
    copied = linked.call("GET", "copy", {"symlink": ""})
    assert copied.headers["x-oss-symlink-target"] == ENCODED
    assert linked.get("copy").headers["x-oss-meta-a"] == "1"
    upload = linked.call("POST", "parts", {"uploads": ""}).text("UploadId")
    part = linked.call("PUT", "parts", {"partNumber": "1", "uploadId": upload}, source)
    assert (part.status, part.text("Header")[:24]) == (501, "UploadPartCopy with a sy")


def test_versions_of_a_link_point_to_the_current_version_of_their_targets(cloud: LocalOss) -> None:
    cloud.set_versioning()
    cloud.put("a", b"a")
    cloud.put("b", b"b")
    first = cloud.call("PUT", "link", {"symlink": ""}, {"x-oss-symlink-target": "a"})
    second = cloud.call("PUT", "link", {"symlink": ""}, {"x-oss-symlink-target": "b"})
    version = first.headers["x-oss-version-id"]
    assert version != second.headers["x-oss-version-id"]
    assert (cloud.get("link").body, cloud.get("link", versionId=version).body) == (b"b", b"a")
    assert cloud.get("link", versionId=version).headers["x-oss-version-id"] == version
    query = {"symlink": "", "versionId": version}
    assert cloud.call("GET", "link", query).headers["x-oss-symlink-target"] == "a"
    cloud.call("DELETE", "b")
    assert cloud.get("link").code == "SymlinkTargetNotExist"
    cloud.call("DELETE", "link")
    marker = cloud.call("GET", "link", {"symlink": ""})
    assert (marker.status, marker.headers["x-oss-delete-marker"]) == (404, "true")


def test_oss2_and_v2_put_and_get_links(bucket: Any, client: Any) -> None:
    bucket.put_object(TARGET, b"content")
    bucket.put_symlink(TARGET, "by oss2", headers={"x-oss-object-acl": "private"})
    assert bucket.get_symlink("by oss2").target_key == TARGET
    assert bucket.get_object("by oss2").read() == b"content"
    assert bucket.get_object_acl("by oss2").acl == "private"
    with pytest.raises(oss2.exceptions.NoSuchKey):
        bucket.get_symlink("missing")
    # It does not encode.
    client.put_symlink(oss_v2.PutSymlinkRequest(BUCKET, "by v2", target=ENCODED))
    target = client.get_symlink(oss_v2.GetSymlinkRequest(BUCKET, "by v2")).target
    assert bucket.head_object("by v2").etag == bucket.head_object(TARGET).etag
    assert target == ENCODED
