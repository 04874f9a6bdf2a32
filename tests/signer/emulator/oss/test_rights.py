"""Rights on the local OSS: what a principal's policies do not allow is OSS's 403."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from signer import Credentials
from signer.emulator.oss import operations
from signer.emulator.ram import Principal, Principals
from signer.form import post_form
from tests.handler.client import KEYS
from tests.local_oss import BUCKET, FakeClock, LocalOss, OssResponse
from tests.signer.emulator.conftest import SharedListener
from tests.signer.emulator.oss.test_listing import digest

SESSION_KEYS = Credentials("STS.SESSION", "secret-SESSION", "CAIS+session/EXAMPLE==")
SESSION = "acs:ram::1000000000000001:assumed-role/links-signer/fc-presign-files-0a1b2c"
OTHER_BUCKET = "otherbucket"
KEY = "exampledir/object.txt"
ARN = f"acs:oss:*:*:{BUCKET}"

Document = dict[str, Any]


def allow(
    *actions: str, on: str = f"{ARN}/exampledir/*", effect: str = "Allow", **prefix: str
) -> Document:
    """A statement; `prefix=…` limits a list."""
    condition = {"Condition": {"StringLike": {"oss:Prefix": prefix["prefix"]}}} if prefix else {}
    return {"Effect": effect, "Action": list(actions), "Resource": [on], **condition}


def policy(*statements: Document) -> Document:
    return {"Version": "1", "Statement": list(statements)}


class Rights:
    """A local OSS with the account's key and one session, whose policies a test sets."""

    def __init__(self, cloud: LocalOss, principals: Principals) -> None:
        self.account = cloud
        self.session = replace(cloud, credentials=SESSION_KEYS)
        self._principals = principals

    def of(self, *layers: Document, expires_at: float | None = None) -> Principal:
        """Gives the session these policies: the role's, then those of the session."""
        principal = Principal.of(SESSION_KEYS, SESSION, expires_at, [[layer] for layer in layers])
        self._principals.add(principal)
        return principal


@pytest.fixture
def rights(shared: SharedListener, tmp_path: Path) -> Rights:
    principals = Principals.of_account([KEYS])
    cloud = shared.oss(tmp_path, FakeClock(time.time()), principals, OTHER_BUCKET)
    cloud.put(KEY)
    cloud.put("otherdir/object.txt")
    return Rights(cloud, principals)


def denial(response: OssResponse) -> tuple[int, str, str, str]:
    """Status, EC, action and type of denial."""
    assert response.code == "AccessDenied"
    return (
        response.status,
        response.text("EC"),
        response.text("AuthAction"),
        response.text("NoPermissionType"),
    )


# --- every operation ----------------------------------------------------------------------------------------------

TABLE = [
    (level, subresource, method, operation)
    for level, table in (
        ("", operations.SERVICE),
        ("bucket", operations.BUCKET),
        ("object", operations.OBJECT),
    )
    for subresource, methods in table.items()
    for method, operation in methods.items()
]
# The actions on the OSS page "RAM Policy" of what the local OSS offers.
DOCUMENTED = {
    "oss:ListBuckets",
    "oss:PutBucket",
    "oss:DeleteBucket",
    "oss:ListObjects",
    "oss:GetBucketLocation",
    "oss:DeleteBucketLifecycle",
    "oss:GetBucketAcl",
    "oss:ListObjectVersions",
    *(
        f"oss:{verb}{level}Tagging"
        for verb in ("Get", "Put", "Delete")
        for level in ("Bucket", "Object")
    ),
    *(
        f"oss:{verb}Bucket{name}"
        for verb in ("Get", "Put")
        for name in ("Versioning", "Cors", "Lifecycle")
    ),
    "oss:DeleteBucketCors",
    "oss:GetObject",
    "oss:PutObject",
    "oss:DeleteObject",
    "oss:ListParts",
    "oss:AbortMultipartUpload",
    "oss:ListMultipartUploads",
    "oss:GetBucketInfo",
    "oss:GetObjectAcl",
    "oss:GetBucketStat",
    "oss:PutBucketAcl",
    "oss:PutObjectAcl",
}


def test_every_action_is_one_of_oss() -> None:
    assert {operation.action for *_, operation in TABLE} == DOCUMENTED


def deletion_of(*keys: str) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a DeleteMultipleObjects."""
    body = (
        f"<Delete>{''.join(f'<Object><Key>{key}</Key></Object>' for key in keys)}</Delete>".encode()
    )
    return body, {"Content-MD5": digest(body)}


@pytest.mark.parametrize(
    ("level", "subresource", "method", "operation"),
    TABLE,
    ids=[f"{m} {lv} {s}" for lv, s, m, _ in TABLE],
)
def test_every_operation_requires_its_action(
    rights: Rights, level: str, subresource: str, method: str, operation: operations.Operation
) -> None:
    key = KEY if level == "object" else ""
    bucket = BUCKET if level else ""
    resource = f"{ARN}/{KEY}" if key else ARN if level else "acs:oss:*:*:*"
    rights.of(policy(allow("oss:*", on=f"acs:oss:*:*:{OTHER_BUCKET}"), allow("ram:*", on="*")))
    body, headers = deletion_of(KEY) if subresource == "delete" else (b"", {})
    resource = f"{ARN}/{KEY}" if subresource == "delete" else resource
    query = {subresource: ""} if subresource else {}
    refused = rights.session.call(method, key, query, headers, body, bucket=bucket)
    if method == "HEAD":
        refused = replace(refused, body=base64.b64decode(refused.headers["x-oss-err"]))
    assert denial(refused) == (403, "0003-00000202", operation.action, "ImplicitDeny")
    assert rights.account.get(KEY).body == b"content"
    rights.of(policy(allow(operation.action, on=resource)))
    permitted = rights.session.call(method, key, query, headers, body, bucket=bucket)
    assert permitted.status != 403


@pytest.mark.parametrize(
    ("method", "key", "query", "headers", "missing"),
    [
        ("GET", KEY, {"versionId": "null"}, {}, "oss:GetObjectVersion"),
        ("DELETE", KEY, {"versionId": "null"}, {}, "oss:DeleteObjectVersion"),
        ("GET", KEY, {"tagging": "", "versionId": "null"}, {}, "oss:GetObjectVersionTagging"),
        ("PUT", KEY, {}, {"x-oss-tagging": "a=1"}, "oss:PutObjectTagging"),
        ("PUT", KEY, {}, {"x-oss-copy-source": f"/{BUCKET}/otherdir/object.txt"}, "oss:GetObject"),
        (
            "PUT",
            KEY,
            {},
            {"x-oss-copy-source": f"/{BUCKET}/{KEY}?versionId=null"},
            "oss:GetObjectVersion",
        ),
        ("PUT", "otherdir/copy", {}, {"x-oss-copy-source": f"/{BUCKET}/{KEY}"}, "oss:PutObject"),
        (
            "PUT",
            KEY,
            {"acl": "", "versionId": "null"},
            {"x-oss-object-acl": "private"},
            "oss:PutObjectVersionAcl",
        ),
        ("GET", KEY, {"acl": "", "versionId": "null"}, {}, "oss:GetObjectVersionAcl"),
        (
            "PUT",
            KEY,
            {"symlink": ""},
            {"x-oss-symlink-target": "a", "x-oss-tagging": "a=1"},
            "oss:PutObjectTagging",
        ),
        ("GET", "exampledir/link", {}, {}, "oss:GetObject"),
        ("HEAD", "exampledir/link", {}, {}, "oss:GetObject"),
    ],
)
def test_versions_copies_and_links_require_more(
    rights: Rights,
    method: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    missing: str,
) -> None:
    target = {"x-oss-symlink-target": "otherdir%2Fobject.txt"}
    assert rights.account.call("PUT", "exampledir/link", {"symlink": ""}, target).status == 200
    objects = ("oss:GetObject", "oss:PutObject", "oss:DeleteObject", "oss:GetObjectTagging")
    usual = allow(*objects, "oss:PutObjectAcl", "oss:GetObjectAcl")
    rights.of(policy(usual))
    refused = rights.session.call(method, key, query, headers)
    if method == "HEAD":
        refused = replace(refused, body=base64.b64decode(refused.headers["x-oss-err"]))
    assert denial(refused)[1:3] == ("0003-00000202", missing)
    rights.of(policy(usual, allow(missing, on=f"{ARN}/*")))
    assert rights.session.call(method, key, query, headers).status in (200, 204)


def test_a_deletion_requires_the_right_to_each_key_or_deletes_nothing(rights: Rights) -> None:
    rights.of(policy(allow("oss:DeleteObject")))
    body, headers = deletion_of(KEY, "otherdir/object.txt")
    refused = rights.session.call("POST", "", {"delete": ""}, headers, body)
    assert denial(refused) == (403, "0003-00000202", "oss:DeleteObject", "ImplicitDeny")
    assert rights.account.call("GET").texts("Key") == [KEY, "otherdir/object.txt"]
    versioned = body.replace(
        b"<Key>otherdir/object.txt", b"<VersionId>null</VersionId><Key>" + KEY.encode()
    )
    headers = {"Content-MD5": digest(versioned)}
    assert (
        denial(rights.session.call("POST", "", {"delete": ""}, headers, versioned))[2]
        == "oss:DeleteObjectVersion"
    )
    body, headers = deletion_of(KEY)
    assert rights.session.call("POST", "", {"delete": ""}, headers, body).texts("Key") == [KEY]
    assert rights.account.call("GET").texts("Key") == ["otherdir/object.txt"]


def test_a_list_requires_an_allowed_prefix(rights: Rights) -> None:
    rights.of(policy(allow("oss:ListObjects", on=ARN, prefix="exampledir/*")))
    for version in ({}, {"list-type": "2"}):
        listed = rights.session.call("GET", "", {**version, "prefix": "exampledir/"})
        assert listed.texts("Key") == [KEY]
        for prefix in ({}, {"prefix": "exampledir"}, {"prefix": "otherdir/"}):
            assert (
                denial(rights.session.call("GET", "", {**version, **prefix}))[2]
                == "oss:ListObjects"
            )


# --- who is refused, and how ------------------------------------------------------------------------------------------


def test_each_kind_of_denial_has_its_code(rights: Rights) -> None:
    reads = policy(allow("oss:GetObject", on=f"{ARN}/*"))
    narrow = policy(allow("oss:GetObject", "oss:PutObject"))
    rights.of(reads, narrow)
    assert rights.session.get(KEY).body == b"content"
    implicit = denial(rights.session.call("PUT", KEY, body=b""))
    assert implicit == (403, "0003-00000202", "oss:PutObject", "ImplicitDeny")
    outside = rights.session.get("otherdir/object.txt")
    assert denial(outside) == (403, "0003-00000301", "oss:GetObject", "ImplicitDeny")
    assert {
        name: outside.text(name) for name in ("Message", "PolicyType", "AuthPrincipalType")
    } == {
        "Message": "Access denied by authorizer's policy.",
        "PolicyType": "SessionPolicy",
        "AuthPrincipalType": "AssumedRoleUser",
    }
    assert outside.text("AuthPrincipalDisplayName") == "links-signer:fc-presign-files-0a1b2c"
    assert outside.text("AuthPrincipalOwnerId") == "1000000000000001"
    assert outside.text("EncodedDiagnosticMessage")
    rights.of(
        policy(*reads["Statement"], allow("oss:GetObject", on=f"{ARN}/{KEY}", effect="Deny")),
        narrow,
    )
    denied = rights.session.get(KEY)
    assert denial(denied) == (403, "0003-00000201", "oss:GetObject", "ExplicitDeny")
    assert denied.text("PolicyType") == "AccountLevelIdentityBasedPolicy"
    assert denied.headers["x-oss-ec"] == "0003-00000201"


def test_a_link_has_the_rights_of_its_signer(rights: Rights) -> None:
    rights.of(policy(allow("oss:GetObject")))
    link = rights.account.link("GET", KEY, credentials=SESSION_KEYS)
    assert rights.account.send("GET", link).body == b"content"
    for method, key in (("GET", "otherdir/object.txt"), ("PUT", KEY)):
        refused = rights.account.send(
            method, rights.account.link(method, key, credentials=SESSION_KEYS), body=b""
        )
        assert denial(refused)[:2] == (403, "0003-00000202")
    rights.of(policy(allow("oss:GetObject", effect="Deny")))
    assert denial(rights.account.send("GET", link))[1] == "0003-00000201"


def test_a_form_requires_the_right_to_put(rights: Rights) -> None:
    def post(key: str, **more: str) -> requests.Response:
        form = post_form(
            BUCKET,
            key,
            credentials=SESSION_KEYS,
            endpoint=rights.account.endpoint,
            max_size=100,
            overwrite=True,
            now=rights.account.clock.now(),
        )
        return requests.post(
            form.url, data={**form.fields, **more}, files={"file": b"posted"}, timeout=20
        )

    rights.of(policy(allow("oss:PutObject")))
    assert post(KEY).status_code == 200
    assert rights.account.get(KEY).body == b"posted"
    tagged = {"x-oss-tagging": "a=1"}
    assert "<AuthAction>oss:PutObjectTagging</AuthAction>" in post(KEY, **tagged).text
    rights.of(policy(allow("oss:PutObject", "oss:PutObjectTagging")))
    assert post(KEY, **tagged).status_code == 200
    refused = post("otherdir/object.txt")
    assert (refused.status_code, refused.headers["x-oss-ec"]) == (403, "0003-00000202")
    rights.of(policy(allow("oss:PutObject")), expires_at=rights.account.clock.now())
    assert "<Code>SecurityTokenExpired</Code>" in post(KEY).text


def test_a_session_ends_by_the_clock_of_oss(rights: Rights) -> None:
    rights.of(policy(allow("oss:GetObject")), expires_at=rights.account.clock.now() + 900)
    rights.account.clock.moved += 898
    assert rights.session.get(KEY).status == 200
    rights.account.clock.moved += 2
    assert (rights.session.get(KEY).status, rights.session.get(KEY).code) == (
        403,
        "SecurityTokenExpired",
    )


def test_a_missing_object_is_a_404_and_a_missing_bucket_too(rights: Rights) -> None:
    rights.of(policy(allow("oss:GetObject")))
    assert rights.session.get("exampledir/nothing").code == "NoSuchKey"
    assert denial(rights.session.get("otherdir/nothing"))[0] == 403
    assert rights.session.call("GET", KEY, bucket="missing-bucket").code == "NoSuchBucket"
    created = rights.session.call("PUT", bucket="missing-bucket")
    assert denial(created)[2] == "oss:PutBucket"
