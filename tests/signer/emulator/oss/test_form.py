"""Form uploads: what a policy allows and what it refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from signer import v4
from signer.emulator.oss import CreatedObject
from tests.handler.client import KEYS
from tests.local_oss import BUCKET, NOW, REGION, LocalOss, OssResponse, etag_of

BOUNDARY = "----boundary-of-the-tests"
DATE = "20251124T160000Z"
SIGNED = {
    "x-oss-signature-version": "OSS4-HMAC-SHA256",
    "x-oss-credential": f"{KEYS.access_key_id}/20251124/{REGION}/oss/aliyun_v4_request",
    "x-oss-date": DATE,
    "x-oss-security-token": KEYS.security_token or "",
}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3


def policy_of(
    *conditions: Any, expiration: str = "2025-11-24T16:10:00.000Z", signed: bool = True
) -> str:
    """The Base64 of a policy, with the conditions that every policy requires unless `signed` is False."""
    required = [{name: value} for name, value in SIGNED.items()] if signed else []
    document = {"expiration": expiration, "conditions": [*required, *conditions]}
    return base64.b64encode(json.dumps(document).encode()).decode()


def fields_of(policy: str, /, **fields: str | None) -> dict[str, str]:
    """A signed form; underscores stand for hyphens, None leaves a field out, `key` is `user/photo.png`."""
    signature = v4.signature(v4.signing_key(KEYS.access_key_secret, DATE[:8], REGION), policy)
    form: dict[str, str | None] = {
        "key": "user/photo.png",
        "policy": policy,
        **SIGNED,
        "x-oss-signature": signature,
    }
    form |= {
        name if name.startswith("success") else name.replace("_", "-"): value
        for name, value in fields.items()
    }
    return {name: value for name, value in form.items() if value is not None}


def body_of(
    fields: Mapping[str, str],
    content: bytes = PNG,
    name: str = 'name="file"; filename="photo.png"',
    kind: str = "image/png",
) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    ]
    typed = f"Content-Type: {kind}\r\n" if kind else ""
    parts.append(f"--{BOUNDARY}\r\nContent-Disposition: form-data; {name}\r\n{typed}\r\n".encode())
    return b"".join([*parts, content, f"\r\n--{BOUNDARY}--\r\n".encode()])


def post(
    cloud: LocalOss, fields: Mapping[str, str], content: bytes = PNG, **file: str
) -> OssResponse:
    return send(cloud, body_of(fields, content, **file))


def send(
    cloud: LocalOss, body: bytes | Iterator[bytes], target: str = f"/{BUCKET}", **headers: str
) -> OssResponse:
    return cloud.send(
        "POST",
        target,
        {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}", **headers},
        body,
    )


def test_a_form_that_is_signed_with_v1_is_a_501(cloud: LocalOss) -> None:
    refused = post(
        cloud,
        {"key": "a", "OSSAccessKeyId": KEYS.access_key_id, "policy": "e30=", "Signature": "c2ln"},
    )
    assert (refused.status, refused.text("Header")) == (501, "PostObject with a signature of V1")


def test_a_form_that_meets_its_policy_stores_the_file(cloud: LocalOss) -> None:
    policy = policy_of(
        {"bucket": BUCKET},
        ["starts-with", "$key", "user/"],
        ["content-length-range", 1, 10_000],
        ["in", "$content-type", ["image/png", "image/jpeg"]],
        ["not-in", "$cache-control", ["no-cache"]],
        ["eq", "$x-oss-meta-owner", "someone"],
    )
    response = post(
        cloud, fields_of(policy, x_oss_meta_owner="someone", Content_Disposition="attachment")
    )
    assert (response.status, response.body) == (204, b"")
    assert response.headers["etag"] == etag_of(PNG)
    got = cloud.get("user/photo.png")
    assert got.body == PNG
    assert got.headers["content-type"] == "image/png"
    assert got.headers["x-oss-meta-owner"] == "someone"
    assert got.headers["content-disposition"] == "attachment"
    assert cloud.created == [
        CreatedObject(
            BUCKET, "user/photo.png", len(PNG), etag_of(PNG).strip('"'), "ObjectCreated:PostObject"
        )
    ]


def test_a_large_file_is_stored_completely(cloud: LocalOss) -> None:
    content = (b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r" + bytes(1000)) * 3000
    assert post(cloud, fields_of(policy_of()), content).status == 204
    assert cloud.get("user/photo.png").body == content


def test_the_form_chooses_its_status(cloud: LocalOss) -> None:
    for status, expected in (("200", 200), ("204", 204), ("299", 204), ("201", 201)):
        response = post(cloud, fields_of(policy_of(), success_action_status=status))
        assert response.status == expected
    elements = {element.tag: element.text for element in response.xml}
    location = f"{cloud.url}/{BUCKET}/user/photo.png"
    assert elements == {
        "Bucket": BUCKET,
        "Location": location,
        "Key": "user/photo.png",
        "ETag": etag_of(PNG),
    }


def test_the_form_can_redirect(cloud: LocalOss) -> None:
    response = post(
        cloud, fields_of(policy_of(), success_action_redirect="https://app.example.com/done?a=b")
    )
    assert response.status == 303
    target = urlsplit(response.headers["location"])
    assert target.netloc == "app.example.com"
    assert parse_qs(target.query) == {
        "a": ["b"],
        "bucket": [BUCKET],
        "key": ["user/photo.png"],
        "etag": [etag_of(PNG)],
    }


def test_the_file_name_can_be_part_of_the_key_and_is_checked_against_the_policy(
    cloud: LocalOss,
) -> None:
    fields = fields_of(policy_of(["starts-with", "$key", "user/"]), key="user/${filename}")
    assert post(cloud, fields, name='name="file"; filename="größe 中.png"').status == 204
    assert cloud.get("user/größe 中.png").body == PNG
    exact = fields_of(policy_of(["eq", "$key", "user/photo.png"]), key="user/${filename}")
    assert post(cloud, exact, name='name="file"; filename="other.png"').status == 403


def test_a_form_that_does_not_meet_a_condition_is_refused(cloud: LocalOss) -> None:
    rows: list[tuple[Any, dict[str, str]]] = [
        (["starts-with", "$key", "other/"], {}),
        (["eq", "$key", "user/other.png"], {}),
        ({"key": "user/other.png"}, {}),
        ({"bucket": "otherbucket"}, {}),
        (["in", "$content-type", ["image/jpeg"]], {}),
        (["not-in", "$content-type", ["image/png"]], {}),
        (["in", "$content-type", ["image/png"]], {"x_oss_content_type": "text/html"}),
        (["eq", "$success_action_status", "201"], {"success_action_status": "200"}),
        (["eq", "$success_action_status", "201"], {}),
        (["eq", "$x-oss-forbid-overwrite", "true"], {}),
        ({"x-oss-meta-owner": "someone"}, {"x_oss_meta_owner": "somebody"}),
    ]
    for condition, fields in rows:
        refused = post(cloud, fields_of(policy_of(condition), **fields))
        assert (refused.status, refused.code) == (403, "AccessDenied")
        assert refused.text("Message").startswith(
            "Invalid according to Policy: Policy Condition failed: "
        )
        assert cloud.get("user/photo.png").status == 404


def test_the_size_of_the_file_is_limited(cloud: LocalOss) -> None:
    for size, code in ((9, "EntityTooSmall"), (21, "EntityTooLarge"), (10, ""), (20, "")):
        response = post(cloud, fields_of(policy_of(["content-length-range", 10, 20])), b"x" * size)
        assert (response.status, response.body and response.code) == (
            (400, code) if code else (204, b"")
        )
        assert cloud.get("user/photo.png").status == (404 if code else 200)


def test_a_policy_expires(cloud: LocalOss) -> None:
    fields = fields_of(policy_of())
    cloud.clock.set(NOW + 599.9)
    assert post(cloud, fields).status == 204
    cloud.clock.set(NOW + 600)
    refused = post(cloud, fields)
    assert (refused.status, refused.text("Message")) == (
        403,
        "Invalid according to Policy: Policy expired.",
    )


def test_a_form_expires_after_a_week_at_the_latest(cloud: LocalOss) -> None:
    fields = fields_of(policy_of(expiration="2026-11-24T16:00:00Z"))
    cloud.clock.set(NOW + 604_799)
    assert post(cloud, fields).status == 204
    cloud.clock.set(NOW + 604_800)
    assert post(cloud, fields).code == "AccessDenied"
    cloud.clock.set(NOW - 901)
    assert post(cloud, fields).code == "RequestTimeTooSkewed"


def test_the_policy_must_contain_the_parameters_of_its_signature(cloud: LocalOss) -> None:
    for name in SIGNED:
        conditions = [{other: value} for other, value in SIGNED.items() if other != name]
        for loose in ([], [["starts-with", f"${name}", ""]]):
            refused = post(cloud, fields_of(policy_of(*conditions, *loose, signed=False)))
            assert (refused.status, refused.code) == (403, "AccessDenied")
            assert name in refused.text("Message")


def test_a_form_with_one_field_changed_is_refused(cloud: LocalOss) -> None:
    rows: list[tuple[dict[str, str | None], int, str]] = [
        ({"x_oss_signature": "0" * 64}, 403, "SignatureDoesNotMatch"),
        ({"x_oss_signature": None}, 400, "InvalidArgument"),
        ({"policy": None}, 400, "InvalidArgument"),
        ({"policy": policy_of(["eq", "$key", "x"])}, 403, "SignatureDoesNotMatch"),
        ({"policy": None, "x_oss_signature": None}, 403, "AccessDenied"),
        (
            {"x_oss_signature_version": None, "OSSAccessKeyId": "STS.EXAMPLE"},
            400,
            "InvalidArgument",
        ),
        (
            {"x_oss_credential": "LTAI5tEXAMPLE/20251124/cn-hangzhou/oss/aliyun_v4_request"},
            403,
            "InvalidAccessKeyId",
        ),
        (
            {"x_oss_credential": "STS.EXAMPLE/20251123/cn-hangzhou/oss/aliyun_v4_request"},
            400,
            "InvalidArgument",
        ),
        ({"x_oss_credential": "STS.EXAMPLE"}, 400, "InvalidArgument"),
        ({"x_oss_date": "20251124T160001Z"}, 403, "AccessDenied"),
        ({"x_oss_date": "20251124"}, 400, "InvalidArgument"),
        ({"x_oss_security_token": "another"}, 403, "InvalidSecurityToken"),
        ({"x_oss_security_token": None}, 403, "InvalidAccessKeyId"),
        ({"key": None}, 400, "InvalidArgument"),
        ({"key": "/leading"}, 400, "InvalidObjectName"),
        ({"callback": "e30="}, 501, "NotImplemented"),
        ({"x_oss_storage_class": "Attic"}, 400, "InvalidArgument"),
        ({"Content_Disposition": "a\r\nSet-Cookie: b"}, 400, "InvalidArgument"),
        ({"Content_MD5": base64.b64encode(b"0" * 16).decode()}, 400, "InvalidDigest"),
    ]
    for fields, status, code in rows:
        refused = post(cloud, fields_of(policy_of(), **fields))
        assert (refused.status, refused.code) == (status, code)
        assert cloud.created == []


@pytest.mark.parametrize(
    ("scope", "ec"), [("cn-beijing/oss", "0002-00000715"), (f"{REGION}/s3", "0002-00000716")]
)
def test_the_region_and_the_product_of_a_form_have_their_own_codes(
    cloud: LocalOss, scope: str, ec: str
) -> None:
    credential = f"STS.EXAMPLE/20251124/{scope}/aliyun_v4_request"
    refused = post(cloud, fields_of(policy_of(), x_oss_credential=credential))
    assert (refused.status, refused.code, refused.text("EC")) == (400, "InvalidArgument", ec)


def test_a_mismatch_of_a_form_shows_what_the_server_signed(cloud: LocalOss) -> None:
    refused = post(cloud, fields_of(policy_of(), x_oss_signature="0" * 64))
    assert (refused.text("StringToSign"), refused.text("SignatureProvided")) == (
        policy_of(),
        "0" * 64,
    )


def encoded(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


def test_an_invalid_policy_is_refused(cloud: LocalOss) -> None:
    rows: list[tuple[str, str]] = [
        *((policy, "") for policy in ("nonsense!", base64.b64encode(b"{").decode(), encoded([]))),
        (encoded({"conditions": []}), "0006-00000208"),
        (encoded({"expiration": "2025-11-24T16:10:00.000Z"}), "0006-00000207"),
        (policy_of(expiration="tomorrow"), ""),
        (policy_of(123), "0006-00000222"),
        (policy_of(["$key"]), "0006-00000216"),
        *(
            (policy_of(each), "")
            for each in (["like", "$key", "x"], ["eq", "key", "x"], {"key": "a", "bucket": "b"})
        ),
        (policy_of({"key": 1}), "0006-00000224"),
        (policy_of(["not-in", "$cache-control", "no-cache"]), "0006-00000224"),
        *(
            (policy_of(["content-length-range", *s]), "0006-00000221")
            for s in ((10, "test"), (10, 9), (True, 9))
        ),
    ]
    for policy, ec in rows:
        refused = post(cloud, fields_of(policy))
        assert (refused.status, refused.code) == (400, "InvalidPolicyDocument")
        assert refused.headers.get("x-oss-ec", "") == ec


def test_fields_after_the_file_are_ignored_and_the_file_needs_no_name(cloud: LocalOss) -> None:
    fields = fields_of(policy_of())
    late = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="x-oss-meta-late"\r\n\r\nx\r\n--{BOUNDARY}--\r\n'
    body = (
        body_of(fields, name='name="file"', kind="").removesuffix(f"--{BOUNDARY}--\r\n".encode())
        + late.encode()
    )
    assert send(cloud, body).status == 204
    got = cloud.get("user/photo.png")
    assert got.body == PNG
    assert "x-oss-meta-late" not in got.headers
    assert got.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda body: body[:-10], "MalformedPOSTRequest"),
        (lambda body: body[:50], "MalformedPOSTRequest"),
        (lambda body: b"", "MalformedPOSTRequest"),
        (lambda body: body.replace(b'name="file"', b'name="document"'), "InvalidArgument"),
        (lambda body: body.replace(b'name="x-oss-date"', b'name="KEY"'), "InvalidArgument"),
        (lambda body: body.replace(b"user/", b"\xff"), "MalformedPOSTRequest"),
        (lambda body: body.replace(b"user/", b"u" * 200_000), "FieldItemTooLong"),
    ],
)
def test_a_malformed_form_stores_nothing(cloud: LocalOss, change: Any, code: str) -> None:
    refused = send(cloud, change(body_of(fields_of(policy_of()))))
    assert (refused.status, refused.code) == (400, code)
    assert cloud.call("GET").texts("Key") == []


def test_a_form_with_a_field_twice_stores_nothing(cloud: LocalOss) -> None:
    again = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="KEY"\r\n\r\nother.png\r\n'
    refused = send(cloud, again.encode() + body_of(fields_of(policy_of())))
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    assert "key" in refused.text("Message")
    assert cloud.keys() == []


def test_a_form_requires_a_bucket_and_a_boundary(cloud: LocalOss) -> None:
    body = body_of(fields_of(policy_of()))
    assert send(cloud, body, "/otherbucket/").code == "NoSuchBucket"
    assert send(cloud, body, f"/{BUCKET}/user/photo.png").code == "AccessDenied"
    assert (
        send(cloud, body, **{"Content-Type": "multipart/form-data"}).code == "MalformedPOSTRequest"
    )
