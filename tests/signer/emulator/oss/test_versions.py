"""A bucket with versions."""

from __future__ import annotations

import pytest

from tests.local_oss import BUCKET, LocalOss


@pytest.fixture
def versioned(cloud: LocalOss) -> LocalOss:
    cloud.put("object", b"before")
    cloud.set_versioning()
    return cloud


def version_of(cloud: LocalOss, body: bytes) -> str:
    return cloud.put("object", body).headers["x-oss-version-id"]


def test_unknown_and_invalid_versions_are_refused(versioned: LocalOss) -> None:
    absent = versioned.get("object", versionId="0" * 32)
    assert (absent.status, absent.code) == (404, "NoSuchVersion")
    for invalid in ("../../bucket.json", "x", ""):
        refused = versioned.get("object", versionId=invalid)
        assert (refused.status, refused.code) == (400, "InvalidArgument")
        with pytest.raises(ValueError, match="version ID"):  # nor does it ever become a path
            versioned.bucket().open("object", invalid)
    removed = versioned.call("DELETE", "object", {"versionId": "0" * 32})
    assert (removed.status, removed.headers["x-oss-version-id"]) == (204, "0" * 32)


def test_a_delete_marker_hides_an_object_until_it_is_removed(versioned: LocalOss) -> None:
    first = version_of(versioned, b"first")
    deleted = versioned.call("DELETE", "object")
    marker = deleted.headers["x-oss-version-id"]
    assert (deleted.status, deleted.headers["x-oss-delete-marker"]) == (204, "true")
    gone = versioned.get("object")
    assert (gone.status, gone.code, gone.headers["x-oss-delete-marker"]) == (
        404,
        "NoSuchKey",
        "true",
    )
    of_marker = versioned.get("object", versionId=marker)
    assert (of_marker.status, of_marker.code) == (405, "MethodNotAllowed")
    assert versioned.get("object", versionId=first).body == b"first"
    assert versioned.call("GET").texts("Key") == []
    removed = versioned.call("DELETE", "object", {"versionId": marker})
    assert (removed.headers["x-oss-version-id"], removed.headers["x-oss-delete-marker"]) == (
        marker,
        "true",
    )
    assert versioned.get("object").body == b"first"


def test_suspended_versioning_overwrites_only_the_null_version(versioned: LocalOss) -> None:
    first = version_of(versioned, b"first")
    versioned.set_versioning("Suspended")
    assert version_of(versioned, b"suspended") == "null"
    assert version_of(versioned, b"again") == "null"
    assert versioned.get("object").body == b"again"
    assert versioned.get("object", versionId=first).body == b"first"
    assert versioned.call("DELETE", "object").headers["x-oss-version-id"] == "null"
    assert versioned.get("object").status == 404
    assert versioned.get("object", versionId=first).body == b"first"


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_overwriting_cannot_be_forbidden_once_there_are_versions(
    cloud: LocalOss, status: str
) -> None:
    cloud.put("object")
    cloud.set_versioning(status)
    cloud.put("object", b"second", {"x-oss-forbid-overwrite": "true"})
    assert cloud.get("object").body == b"second"


def test_the_versioning_status_is_reported_and_an_invalid_one_refused(cloud: LocalOss) -> None:
    assert cloud.call("GET", query={"versioning": ""}).texts("Status") == []
    cloud.set_versioning()
    assert cloud.call("GET", query={"versioning": ""}).text("Status") == "Enabled"
    for invalid in (
        b"",
        b"<a>",
        b"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>",
    ):
        assert cloud.call("PUT", query={"versioning": ""}, body=invalid).code == "MalformedXML"


def test_copies_and_multipart_uploads_get_versions_too(versioned: LocalOss) -> None:
    first = version_of(versioned, b"first")
    version_of(versioned, b"second")
    copied = versioned.call(
        "PUT", "copy", headers={"x-oss-copy-source": f"/{BUCKET}/object?versionId={first}"}
    )
    assert copied.headers["x-oss-copy-source-version-id"] == first
    marker = versioned.call("DELETE", "object").headers["x-oss-version-id"]
    deleted = versioned.call(
        "PUT", "other", headers={"x-oss-copy-source": f"/{BUCKET}/object?versionId={marker}"}
    )
    assert (deleted.status, deleted.code, deleted.text("EC")) == (
        400,
        "InvalidArgument",
        "0016-00000307",
    )
    hidden = versioned.call("PUT", "other", headers={"x-oss-copy-source": f"/{BUCKET}/object"})
    assert (hidden.status, hidden.code) == (404, "NoSuchKey")
    assert versioned.get("copy", versionId=copied.headers["x-oss-version-id"]).body == b"first"
    upload = versioned.call("POST", "copy", {"uploads": ""}).text("UploadId")
    versioned.call("PUT", "copy", {"uploadId": upload, "partNumber": "1"}, body=b"in parts")
    response = versioned.call("POST", "copy", {"uploadId": upload}, {"x-oss-complete-all": "yes"})
    assert versioned.get("copy", versionId=response.headers["x-oss-version-id"]).body == b"in parts"


def test_a_bucket_with_a_version_left_is_not_removed(versioned: LocalOss) -> None:
    marker = versioned.call("DELETE", "object").headers["x-oss-version-id"]
    refused = versioned.call("DELETE")
    assert (refused.status, refused.code) == (409, "BucketNotEmpty")
    for version in (marker, "null"):
        versioned.call("DELETE", "object", {"versionId": version})
    assert versioned.call("DELETE").status == 204
    assert versioned.call("GET").code == "NoSuchBucket"
