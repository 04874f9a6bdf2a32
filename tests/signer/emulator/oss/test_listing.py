"""Lists of objects, and the bucket itself."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from signer.emulator.oss.storage import Bucket, Buckets
from tests.local_oss import BUCKET, LocalOss, etag_of

KEYS = ["a", "a b+c", "b/1", "b/2", "b/c/3", "b0", "Z", "中文/é"]


def digest(body: bytes) -> str:
    """The Content-MD5 of a body."""
    return base64.b64encode(hashlib.md5(body).digest()).decode()


@pytest.fixture
def filled(cloud: LocalOss) -> LocalOss:
    for key in KEYS:
        cloud.put(key, key.encode())
    return cloud


def paged(cloud: LocalOss, version: str, **query: str) -> tuple[list[str], list[str]]:
    """Keys and common prefixes of all pages."""
    params = {name.replace("_", "-"): value for name, value in query.items()}
    keys: list[str] = []
    prefixes: list[str] = []
    while True:
        page = cloud.call("GET", query=params | ({"list-type": "2"} if version == "2" else {}))
        assert page.status == 200, page.body
        assert len(page.texts("Key")) + len(list(page.xml.iter("CommonPrefixes"))) <= int(
            params.get("max-keys", "100")
        )
        keys += page.texts("Key")
        prefixes += [element.findtext("Prefix", "") for element in page.xml.iter("CommonPrefixes")]
        if page.text("IsTruncated") == "false":
            return keys, prefixes
        if version == "2":
            params["continuation-token"] = page.text("NextContinuationToken")
        else:
            params["marker"] = page.text("NextMarker")


def test_a_delimiter_groups_keys_into_common_prefixes(filled: LocalOss) -> None:
    top, below = (["Z", "a", "a b+c", "b0"], ["b/", "中文/"]), (["b/1", "b/2"], ["b/c/"])
    for version, max_keys in (("1", "1"), ("1", "100"), ("2", "1"), ("2", "2"), ("2", "100")):
        assert paged(filled, version, max_keys=max_keys, delimiter="/") == top
        assert paged(filled, version, max_keys=max_keys, delimiter="/", prefix="b/") == below


def test_an_entry_has_what_clients_need(filled: LocalOss) -> None:
    listed = filled.call("GET", query={"list-type": "2", "prefix": "b/1", "fetch-owner": "true"})
    (entry,) = listed.xml.iter("Contents")
    assert {element.tag: element.text for element in entry if len(element) == 0} == {
        "Key": "b/1",
        "LastModified": "2025-11-24T16:00:00.000Z",
        "ETag": etag_of(b"b/1"),
        "Type": "Normal",
        "Size": "3",
        "StorageClass": "Standard",
    }
    assert entry.find("Owner") is not None
    assert listed.text("KeyCount") == "1"


def test_invalid_list_parameters_are_refused(filled: LocalOss) -> None:
    invalid = [
        *(("max-keys", value) for value in ("0", "1001", "x")),
        ("encoding-type", "gzip"),
        ("continuation-token", "%"),
    ]
    for name, value in invalid:
        refused = filled.call("GET", query={"list-type": "2", name: value})
        assert (refused.status, refused.code) == (400, "InvalidArgument")


def test_an_invalid_bucket_name_is_refused(cloud: LocalOss) -> None:
    for name in ("ab", "Bucket", "-bucket", "bucket_", "..", "a" * 64):
        refused = cloud.call("PUT", bucket=name)
        assert (refused.status, refused.code) == (400, "InvalidBucketName")


ENABLED = "<Status>Enabled</Status>"
IA, ARCHIVE = ("<StorageClass>IA</StorageClass>", "<StorageClass>Archive</StorageClass>")
EXPIRES = "<Expiration><Days>30</Days></Expiration>"
MOVES = "<Transition><Days>{}</Days>{}</Transition>"


@pytest.mark.parametrize(
    ("rule", "code", "ec"),
    [
        (EXPIRES, "", ""),
        (MOVES.format(5, IA) + MOVES.format(9, ARCHIVE) + EXPIRES, "", ""),
        (
            EXPIRES.replace(
                "<Days>30</Days>", "<ExpiredObjectDeleteMarker>True</ExpiredObjectDeleteMarker>"
            ),
            "",
            "",
        ),
        (EXPIRES + "<AbortMultipartUpload><Days>99</Days></AbortMultipartUpload>", "", ""),
        (EXPIRES + "<Tag><Key>a b</Key><Value>ü+-=._:/</Value></Tag>", "", ""),
        ("", "MalformedXML", "0014-00000026"),
        (EXPIRES + "<Status>On</Status>", "MalformedXML", "0014-00000024"),
        ("<Expiration/>", "MalformedXML", "0014-00000060"),
        (EXPIRES.replace("30", "0"), "MalformedXML", ""),
        (
            EXPIRES.replace("<Days>30</Days>", "<CreatedBeforeDate>2026-01-01</CreatedBeforeDate>"),
            "MalformedXML",
            "",
        ),
        (
            EXPIRES.replace("<Days>", "<Date>2026-01-01T00:00:00.000Z</Date><Days>"),
            "MalformedXML",
            "0014-00000050",
        ),
        (MOVES.format(5, ""), "MalformedXML", "0014-00000045"),
        (MOVES.format(5, IA.replace("IA", "Standard")), "InvalidArgument", "0014-00000044"),
        (MOVES.format(30, IA) + EXPIRES, "InvalidArgument", ""),
        (MOVES.format(9, IA) + MOVES.format(5, ARCHIVE), "InvalidArgument", ""),
        (EXPIRES + "<Tag><Key>%</Key><Value/></Tag>", "InvalidArgument", ""),
        (
            f"<ID>a</ID>{EXPIRES}</Rule><Rule><ID>a</ID>{ENABLED}{EXPIRES}",
            "MalformedXML",
            "0014-00000020",
        ),
        (
            MOVES.format(5, IA)
            + EXPIRES.replace(
                "<Days>30</Days>", "<CreatedBeforeDate>2026-01-01T00:00:00.000Z</CreatedBeforeDate>"
            ),
            "InvalidRequest",
            "",
        ),
    ],
)
def test_lifecycle_rules_are_checked_and_shown_as_oss_shows_them(
    cloud: LocalOss, rule: str, code: str, ec: str
) -> None:
    status = "" if "On" in rule else ENABLED
    document = f"<LifecycleConfiguration><Rule><Prefix>True/</Prefix>{status}{rule}</Rule></LifecycleConfiguration>"
    response = cloud.call("PUT", query={"lifecycle": ""}, body=document.encode())
    assert (response.status, response.body and response.code) == (
        (400, code) if code else (200, b"")
    )
    shown = cloud.call("GET", query={"lifecycle": ""})
    if code:
        assert (response.text("EC"), shown.code) == (ec, "NoSuchLifecycle")
    else:
        assert (len(shown.text("ID")), shown.text("Prefix")) == (32, "True/")
        assert shown.text("ExpiredObjectDeleteMarker") in ("", "true")


ABORTS = "<AbortMultipartUpload><Days>7</Days></AbortMultipartUpload>"


@pytest.mark.parametrize(
    ("rules", "headers", "ec"),
    [
        ([("a/", EXPIRES), ("b/", EXPIRES)], {}, ""),
        ([("a/", EXPIRES), ("a/", ABORTS)], {}, "0014-00000085"),
        ([("a/b/", EXPIRES), ("a/", EXPIRES)], {}, "0014-00000084"),
        ([("", ABORTS), ("a/", ABORTS)], {}, "0014-00000084"),
        ([("a/", EXPIRES), ("a/b/", ABORTS)], {}, ""),
        (
            [("a/", EXPIRES), ("a/b/", EXPIRES)],
            {"x-oss-allow-same-action-overlap": "true"},
            "",
        ),
        (
            [("a/", EXPIRES), ("a/", EXPIRES)],
            {"x-oss-allow-same-action-overlap": "true"},
            "",
        ),
        (
            [("a/", EXPIRES), ("a/", EXPIRES)],
            {"x-oss-allow-same-action-overlap": "false"},
            "0014-00000085",
        ),
    ],
)
def test_rules_of_one_prefix_or_of_overlapping_ones_are_refused(
    cloud: LocalOss, rules: list[tuple[str, str]], headers: dict[str, str], ec: str
) -> None:
    listed = "".join(
        f"<Rule><Prefix>{prefix}</Prefix>{ENABLED}{action}</Rule>" for prefix, action in rules
    )
    document = f"<LifecycleConfiguration>{listed}</LifecycleConfiguration>".encode()
    response = cloud.call("PUT", query={"lifecycle": ""}, headers=headers, body=document)
    assert response.status == (400 if ec else 200)
    if ec:
        assert response.text("EC") == ec


@pytest.mark.parametrize(
    ("action", "name"), [(EXPIRES, "Expiration"), (ABORTS, "AbortMultipartUpload")]
)
def test_the_refusal_of_an_overlap_names_the_action_as_oss_does(
    cloud: LocalOss, action: str, name: str
) -> None:
    """Source: the live test of oss2 for rules that overlap."""
    listed = "".join(
        f"<Rule><Prefix>{prefix}</Prefix>{ENABLED}{action}</Rule>" for prefix in ("a/", "a/2")
    )
    document = f"<LifecycleConfiguration>{listed}</LifecycleConfiguration>".encode()
    response = cloud.call("PUT", query={"lifecycle": ""}, body=document)
    assert response.text("Message") == f"Overlap for same action type {name}"


def test_an_invalid_list_of_keys_deletes_nothing(cloud: LocalOss) -> None:
    rows: list[tuple[str, str]] = [
        ("<Object><Key>kept</Key></Object>" * 1001, "0016-00000609"),
        (
            "<Object><Key>kept</Key></Object><Object><VersionId>null</VersionId></Object>",
            "0016-00000613",
        ),
        ("<Object><Key>kept</Key></Object><Object><Key></Key></Object>", "0016-00000611"),
        ("<Quiet>true</Quiet>", "0016-00000615"),
        ("<Object>", ""),
    ]
    for body, ec in rows:
        cloud.put("kept")
        document = f"<Delete>{body}</Delete>".encode()
        refused = cloud.call(
            "POST", "", {"delete": ""}, {"Content-MD5": digest(document)}, document
        )
        assert (refused.status, refused.code, refused.text("EC")) == (400, "MalformedXML", ec)
        assert cloud.get("kept").status == 200


def test_a_list_of_keys_requires_its_digest_and_may_be_quiet(cloud: LocalOss) -> None:
    cloud.put("a")
    cloud.put("b\x01\x1f")
    objects = b"<Object><Key>a</Key></Object><Object><Key>b&#01;&#31;</Key></Object>"
    document = b"<Delete><Quiet>true</Quiet>" + objects + b"</Delete>"
    missing = cloud.call("POST", "", {"delete": ""}, body=document)
    assert (missing.status, missing.text("EC")) == (400, "0016-00000606")
    assert (
        cloud.call("POST", "", {"delete": ""}, {"Content-MD5": digest(b"")}, document).code
        == "InvalidDigest"
    )
    assert cloud.get("a").status == 200
    deleted = cloud.call("POST", "", {"delete": ""}, {"Content-MD5": digest(document)}, document)
    assert (deleted.status, deleted.body, cloud.call("GET").texts("Key")) == (200, b"", [])


def test_what_limits_a_list_has_the_length_of_a_key_at_most(cloud: LocalOss) -> None:
    versions, limits = {"versions": ""}, ("prefix", "delimiter")
    for name, query in (
        ("marker", {}),
        *((name, each) for name in limits for each in ({}, versions)),
    ):
        assert cloud.call("GET", "", {**query, name: "é" * 511}).status == 200
        refused = cloud.call("GET", "", {**query, name: "é" * 512})
        assert (refused.status, refused.code, refused.text("ArgumentName")) == (
            400,
            "InvalidArgument",
            name,
        )


def test_buckets_are_listed_in_pages_whose_marks_are_only_in_those_that_end_early(
    cloud: LocalOss,
) -> None:
    for name in ("a-bucket", "b-bucket"):
        cloud.call("PUT", bucket=name)
    every = cloud.call("GET", bucket="")
    assert (every.texts("Name"), every.texts("IsTruncated")) == (
        ["a-bucket", "b-bucket", BUCKET],
        [],
    )
    page = cloud.call("GET", "", {"max-keys": "1", "marker": "a-bucket"}, bucket="")
    assert (page.texts("Name"), page.text("IsTruncated"), page.text("NextMarker")) == (
        ["b-bucket"],
        "true",
        "b-bucket",
    )
    assert cloud.call("GET", "", {"prefix": "ex"}, bucket="").texts("Name") == [BUCKET]
    for method in ("PUT", "POST", "DELETE"):
        assert cloud.call(method, bucket="").status == 405


def test_a_bucket_that_is_deleted_during_the_list_is_left_out(
    cloud: LocalOss, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    buckets = Buckets.all

    def with_a_gone_one(self: Buckets) -> list[Bucket]:
        return [*buckets(self), Bucket(tmp_path / "gone")]

    monkeypatch.setattr(Buckets, "all", with_a_gone_one)
    listed = cloud.call("GET", bucket="")
    assert (listed.status, listed.body.count(b"<Name>")) == (200, 1)
