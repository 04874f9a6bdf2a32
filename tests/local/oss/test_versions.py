"""A bucket with versions."""

from __future__ import annotations

import pytest

from tests.local.oss.cloud import BUCKET, Cloud


@pytest.fixture
def versioned(cloud: Cloud) -> Cloud:
    cloud.put("object", b"before")
    cloud.set_versioning()
    return cloud


def version_of(cloud: Cloud, body: bytes) -> str:
    return cloud.put("object", body).headers["x-oss-version-id"]


def test_every_version_can_be_read_and_the_last_is_current(versioned: Cloud) -> None:
    first, second = version_of(versioned, b"first"), version_of(versioned, b"second")
    assert versioned.get("object").body == b"second"
    assert versioned.get("object").headers["x-oss-version-id"] == second
    assert versioned.get("object", versionId=first).body == b"first"
    assert versioned.get("object", versionId="null").body == b"before"
    assert versioned.call("HEAD", "object", {"versionId": first}).headers["content-length"] == "5"


def test_a_link_opens_the_version_that_it_names(versioned: Cloud) -> None:
    first = version_of(versioned, b"first")
    version_of(versioned, b"second")
    link = versioned.link("GET", "object", query={"versionId": first})
    assert versioned.send("GET", link).body == b"first"
    assert versioned.send("GET", link.replace(first, "null")).code == "SignatureDoesNotMatch"


def test_unknown_and_invalid_versions_are_refused(versioned: Cloud) -> None:
    absent = versioned.get("object", versionId="0" * 32)
    assert (absent.status, absent.code) == (404, "NoSuchVersion")
    for invalid in ("../../bucket.json", "x", ""):
        refused = versioned.get("object", versionId=invalid)
        assert (refused.status, refused.code) == (400, "InvalidArgument")


def test_a_delete_marker_hides_an_object_until_it_is_removed(versioned: Cloud) -> None:
    first = version_of(versioned, b"first")
    deleted = versioned.call("DELETE", "object")
    marker = deleted.headers["x-oss-version-id"]
    assert (deleted.status, deleted.headers["x-oss-delete-marker"]) == (204, "true")
    gone = versioned.get("object")
    assert (gone.status, gone.code, gone.headers["x-oss-delete-marker"]) == (404, "NoSuchKey", "true")
    of_marker = versioned.get("object", versionId=marker)
    assert (of_marker.status, of_marker.code) == (405, "MethodNotAllowed")
    assert versioned.get("object", versionId=first).body == b"first"
    assert versioned.call("GET").texts("Key") == []
    removed = versioned.call("DELETE", "object", {"versionId": marker})
    assert (removed.headers["x-oss-version-id"], removed.headers["x-oss-delete-marker"]) == (marker, "true")
    assert versioned.get("object").body == b"first"


def test_after_a_version_is_removed_the_previous_one_is_current(versioned: Cloud) -> None:
    first, second = version_of(versioned, b"first"), version_of(versioned, b"second")
    assert versioned.call("DELETE", "object", {"versionId": second}).status == 204
    assert versioned.get("object").headers["x-oss-version-id"] == first
    assert versioned.call("DELETE", "object", {"versionId": first}).status == 204
    assert versioned.get("object").body == b"before"
    assert versioned.call("DELETE", "object", {"versionId": "null"}).status == 204
    assert versioned.get("object").code == "NoSuchKey"


def test_suspended_versioning_overwrites_only_the_null_version(versioned: Cloud) -> None:
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
def test_overwriting_cannot_be_forbidden_once_there_are_versions(cloud: Cloud, status: str) -> None:
    cloud.put("object")
    cloud.set_versioning(status)
    cloud.put("object", b"second", {"x-oss-forbid-overwrite": "true"})
    assert cloud.get("object").body == b"second"


def test_the_versioning_status_is_reported_and_an_invalid_one_refused(cloud: Cloud) -> None:
    assert cloud.call("GET", query={"versioning": ""}).texts("Status") == []
    cloud.set_versioning()
    assert cloud.call("GET", query={"versioning": ""}).text("Status") == "Enabled"
    assert cloud.call("GET", query={"bucketInfo": ""}).text("Versioning") == "Enabled"
    for invalid in (b"", b"<a>", b"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>"):
        assert cloud.call("PUT", query={"versioning": ""}, body=invalid).code == "MalformedXML"


def test_versions_and_markers_are_listed_newest_first_over_pages(versioned: Cloud) -> None:
    ids = ["null", version_of(versioned, b"first"), version_of(versioned, b"second")]
    ids.append(versioned.call("DELETE", "object").headers["x-oss-version-id"])
    versioned.put("another/deep")
    versioned.put("another/one")
    complete = versioned.call("GET", query={"versions": "", "delimiter": "/"})
    assert complete.texts("VersionId") == ids[::-1]
    assert complete.texts("IsLatest") == ["true", "false", "false", "false"]
    assert [element.findtext("VersionId") for element in complete.xml.iter("DeleteMarker")] == ids[3:]
    assert [element.findtext("Prefix") for element in complete.xml.iter("CommonPrefixes")] == ["another/"]

    listed: list[str] = []
    query = {"versions": "", "prefix": "object", "max-keys": "1", "encoding-type": "url"}
    while True:
        page = versioned.call("GET", query=query)
        listed += page.texts("VersionId")
        if page.text("IsTruncated") == "false":
            break
        query |= {"key-marker": page.text("NextKeyMarker"), "version-id-marker": page.text("NextVersionIdMarker")}
    assert listed == ids[::-1]


def test_many_deletions_at_once_add_markers_and_remove_versions(versioned: Cloud) -> None:
    first = version_of(versioned, b"first")
    body = (
        f"<Delete><Object><Key>object</Key></Object><Object><Key>object</Key><VersionId>{first}</VersionId></Object></Delete>"
    ).encode()
    response = versioned.call("POST", query={"delete": ""}, body=body)
    assert response.texts("DeleteMarker") == ["true"]
    assert response.texts("VersionId") == [first]
    assert versioned.get("object").status == 404
    assert versioned.get("object", versionId=first).code == "NoSuchVersion"


def test_copies_and_multipart_uploads_get_versions_too(versioned: Cloud) -> None:
    first = version_of(versioned, b"first")
    version_of(versioned, b"second")
    copied = versioned.call("PUT", "copy", headers={"x-oss-copy-source": f"/{BUCKET}/object?versionId={first}"})
    assert copied.headers["x-oss-copy-source-version-id"] == first
    assert versioned.get("copy", versionId=copied.headers["x-oss-version-id"]).body == b"first"
    upload = versioned.call("POST", "copy", {"uploads": ""}).text("UploadId")
    versioned.call("PUT", "copy", {"uploadId": upload, "partNumber": "1"}, body=b"in parts")
    response = versioned.call("POST", "copy", {"uploadId": upload}, {"x-oss-complete-all": "yes"})
    assert versioned.get("copy", versionId=response.headers["x-oss-version-id"]).body == b"in parts"


def test_a_bucket_with_a_version_left_is_not_removed(versioned: Cloud) -> None:
    marker = versioned.call("DELETE", "object").headers["x-oss-version-id"]
    refused = versioned.call("DELETE")
    assert (refused.status, refused.code) == (409, "BucketNotEmpty")
    for version in (marker, "null"):
        versioned.call("DELETE", "object", {"versionId": version})
    assert versioned.call("DELETE").status == 204
    assert versioned.call("GET").code == "NoSuchBucket"
