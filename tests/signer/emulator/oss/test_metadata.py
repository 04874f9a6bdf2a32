"""What an upload sets, and what must be refused because it would not be kept."""

from __future__ import annotations

from itertools import product

import pytest

from tests.local_oss import BUCKET, LocalOss

AES = {"x-oss-server-side-encryption": "AES256"}
SM4 = {"x-oss-server-side-encryption": "SM4"}
KEY_ID = "x-oss-server-side-encryption-key-id"
KMS = {
    "x-oss-server-side-encryption": "KMS",
    KEY_ID: "9468da86-3509-4f8d-a61e-6eab1eac0000",
    "x-oss-server-side-data-encryption": "SM4",
}
# Documented for PutObject, CopyObject, InitiateMultipartUpload, or PostObject, and without effect here.
UNKEPT = {
    "x-oss-object-acl": "public-read",
    "x-oss-callback": "e30=",
    "x-oss-symlink-target": "other",
    "x-oss-server-side-encryption-context": "e30=",
    "x-oss-object-worm-mode": "COMPLIANCE",
    "x-oss-persistent-headers": "a:b",
    "x-oss-append-position": "1",
    "x-oss-anything-new": "1",
}


def encryption(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("x-oss-server-side-")}


@pytest.mark.parametrize("headers", [AES, SM4, KMS, {"x-oss-server-side-encryption": "KMS"}, {}])
def test_server_side_encryption_is_repeated_in_every_response_about_the_object(
    cloud: LocalOss, headers: dict[str, str]
) -> None:
    put = cloud.put("object", headers=headers)
    upload = cloud.call("POST", "parts", {"uploads": ""}, headers)
    query = {"uploadId": upload.text("UploadId")}
    part = cloud.call("PUT", "parts", {**query, "partNumber": "1"}, body=b"part")
    done = cloud.call("POST", "parts", query, {"x-oss-complete-all": "yes"})
    copied = cloud.call(
        "PUT", "copy", headers={**headers, "x-oss-copy-source": f"/{BUCKET}/object"}
    )
    responses = [put, upload, part, done, copied]
    for key in ("object", "parts", "copy"):
        responses += [cloud.get(key), cloud.call("HEAD", key)]
    assert [response.status for response in responses] == [200] * len(responses)
    for response in responses:
        sent = encryption(dict(response.headers))
        managed = (
            sent.pop(KEY_ID) if headers == {"x-oss-server-side-encryption": "KMS"} else "0" * 36
        )
        assert (sent, len(managed)) == (headers, 36)


def test_an_encryption_that_oss_does_not_know_stores_nothing(cloud: LocalOss) -> None:
    rows: list[tuple[dict[str, str], str, str]] = [
        (
            {"x-oss-server-side-encryption": "DES"},
            "InvalidEncryptionAlgorithmError",
            "0005-00000003",
        ),
        (
            {"x-oss-server-side-encryption": "aes256"},
            "InvalidEncryptionAlgorithmError",
            "0005-00000003",
        ),
        ({**AES, "x-oss-server-side-encryption-key-id": "9468da86"}, "InvalidArgument", ""),
        ({"x-oss-server-side-encryption-key-id": "9468da86"}, "InvalidArgument", ""),
        ({**KMS, "x-oss-server-side-data-encryption": "AES256"}, "InvalidArgument", ""),
    ]
    for headers, code, ec in rows:
        put = cloud.call("PUT", "object", headers=headers, body=b"content")
        begun = cloud.call("POST", "object", {"uploads": ""}, headers)
        for refused in (put, begun):
            assert (refused.status, refused.code) == (400, code)
            assert refused.headers.get("x-oss-ec", "") == ec
        assert cloud.get("object").status == 404


def test_only_uploads_may_name_an_encryption(cloud: LocalOss) -> None:
    cloud.put("object")
    upload = cloud.call("POST", "parts", {"uploads": ""}).text("UploadId")
    for method, key, query in (
        ("GET", "object", {}),
        ("PUT", "parts", {"uploadId": upload, "partNumber": "1"}),
        ("POST", "parts", {"uploadId": upload}),
    ):
        refused = cloud.call(method, key, query, AES, b"" if method != "GET" else None)
        assert (refused.status, refused.code, refused.text("EC")) == (
            400,
            "InvalidArgument",
            "0005-00000002",
        )


def test_a_header_that_is_not_kept_is_refused_and_not_dropped(cloud: LocalOss) -> None:
    cloud.put("source")
    upload = cloud.call("POST", "parts", {"uploads": ""}).text("UploadId")
    requests: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
        ("PUT", "object", {}, {}),
        ("PUT", "object", {}, {"x-oss-copy-source": f"/{BUCKET}/source"}),
        ("POST", "object", {"uploads": ""}, {}),
        ("PUT", "parts", {"uploadId": upload, "partNumber": "1"}, {}),
        ("POST", "parts", {"uploadId": upload}, {"x-oss-complete-all": "yes"}),
    ]
    for (method, key, query, headers), (name, value) in product(requests, UNKEPT.items()):
        refused = cloud.call(method, key, query, {**headers, name: value}, b"")
        assert (refused.status, refused.code) == (501, "NotImplemented"), (method, query)
        assert name in refused.text("Header")
    assert cloud.call("GET").texts("Key") == ["source"]


def test_a_bucket_with_settings_that_are_not_kept_is_not_created(cloud: LocalOss) -> None:
    rows: list[tuple[dict[str, str], str, int, str]] = [
        ({"x-oss-acl": "public-read"}, "", 501, "NotImplemented"),
        ({"x-oss-acl": "everyone"}, "", 400, "InvalidArgument"),
        ({"x-oss-resource-group-id": "rg-aekz"}, "", 501, "NotImplemented"),
        (AES, "", 501, "NotImplemented"),
        ({}, "<StorageClass>Glacier</StorageClass>", 400, "InvalidArgument"),
        ({}, "<DataRedundancyType>ZRS</DataRedundancyType>", 501, "NotImplemented"),
        ({}, "<StorageClass>", 400, "MalformedXML"),
    ]
    for headers, body, status, code in rows:
        document = (
            f"<CreateBucketConfiguration>{body}</CreateBucketConfiguration>".encode()
            if body
            else b""
        )
        refused = cloud.call("PUT", headers=headers, body=document, bucket="second-bucket")
        assert (refused.status, refused.code) == (status, code)
        assert cloud.call("GET", bucket="second-bucket").code == "NoSuchBucket"


def test_a_bucket_with_the_settings_that_hold_here_is_created(cloud: LocalOss) -> None:
    document = b"<CreateBucketConfiguration><StorageClass>Standard</StorageClass></CreateBucketConfiguration>"
    created = cloud.call(
        "PUT", headers={"x-oss-acl": "private"}, body=document, bucket="second-bucket"
    )
    assert created.status == 200
