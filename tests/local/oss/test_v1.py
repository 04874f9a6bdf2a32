"""Requests signed with V1, in the Authorization header and in a link: they pass, and nothing that was altered does."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import quote

import pytest

from signer import Credentials, v1
from tests.local.oss.cloud import BUCKET, KEYS, NOW, REGION, Cloud, OssResponse
from tests.local.oss.test_signed_requests import refusal
from tests.signer.sdks import v1_url_of_oss2
from tests.signer.signing import LinkRequest

KEY = "exampledir/a b+ü%2F中.txt"
OLD = formatdate(NOW - 901, usegmt=True)
HOST = {"Host": f"{BUCKET}.oss-{REGION}.aliyuncs.com"}
HEADERS = {"content-type": "text/plain", "content-md5": "CQU1D3gGTVlNNHQdyJEtCg==", "x-oss-meta-author": "a b"}
TOKEN = "x-oss-security-token"
MISMATCH = (403, "SignatureDoesNotMatch", "0002-00000040")
UNKNOWN = (403, "InvalidAccessKeyId", "0002-00000902")
NO_TOKEN = (403, "InvalidAccessKeyId", "0002-00000002")
WRONG_TOKEN = (403, "InvalidSecurityToken", "0002-00000006")
SKEWED = (403, "RequestTimeTooSkewed", "0002-00000504")
Sent = tuple[str, str, dict[str, str]]


def by_header(
    method: str,
    key: str = KEY,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    credentials: Credentials = KEYS,
    times: Mapping[str, str] | None = None,
) -> Sent:
    """A request as it is sent; `times` are Date and x-oss-date, of which the second counts."""
    times = times or {"date": formatdate(NOW, usegmt=True)}
    token = {TOKEN: credentials.security_token} if credentials.security_token else {}
    sent = {**(headers or {}), **token, **times}
    resource = v1.canonicalized_resource(BUCKET, key, (query or {}).items())
    string = v1.string_to_sign(method, sent, times.get("x-oss-date", times.get("date", "")), resource)
    signature = v1.signature(credentials.access_key_secret, string)
    parameters = "&".join(f"{name}={quote(value, safe='')}" for name, value in (query or {}).items())
    target = quote(f"/{BUCKET}/{key}", safe="/") + (f"?{parameters}" if parameters else "")
    return method, target, {**sent, "authorization": f"OSS {credentials.access_key_id}:{signature}"}


def by_link(
    method: str,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    credentials: Credentials = KEYS,
) -> Sent:
    """A link that oss2 signs for ten minutes, as it is sent."""
    request = LinkRequest(method, BUCKET, KEY, credentials, REGION, "oss", 600, query or {}, headers or {}, (), NOW)
    url = v1_url_of_oss2(request)
    return method, url[url.index("/", 8) :], {**HOST, **(headers or {})}


def send(cloud: Cloud, sent: Sent, body: bytes | None = None) -> OssResponse:
    return cloud.send(*sent, body if body is not None else b"forged" if sent[0] == "PUT" else None)


def alter(sent: Sent, old: str = "", new: str = "", method: str = "", **headers: str | None) -> Sent:
    """Another method, target, or headers (None: without one)."""
    assert old in sent[1]
    changed = {**sent[2], **{name.replace("_", "-"): value for name, value in headers.items()}}
    target = sent[1].replace(old, new, 1) if old else sent[1]
    return method or sent[0], target, {name: value for name, value in changed.items() if value is not None}


@pytest.fixture
def filled(cloud: Cloud) -> Cloud:
    cloud.put(KEY, b"content")
    return cloud


@pytest.mark.parametrize("sign", [by_link, by_header])
def test_a_request_signed_with_v1_passes(filled: Cloud, sign: type) -> None:
    got = send(filled, sign("GET", query={"response-content-type": "text/a+b", "x-oss-traffic-limit": "819200"}))
    assert (got.body, got.headers["content-type"]) == (b"content", "text/a+b")
    assert send(filled, sign("PUT", headers=HEADERS), b"text").code == "InvalidDigest"
    assert (
        send(filled, sign("PUT", headers={**HEADERS, "content-md5": "HLJR7A1WjeapKbUgxK7Y0Q=="}), b"text").status == 200
    )
    assert filled.get(KEY).headers["x-oss-meta-author"] == "a b"


@pytest.mark.parametrize(
    "times",
    [
        {"x-oss-date": "20251124T160000Z"},
        {"x-oss-date": formatdate(NOW + 900, usegmt=True), "date": OLD},
        {"date": formatdate(NOW - 900, usegmt=True)},
    ],
)
def test_a_date_or_an_x_oss_date_is_the_time(filled: Cloud, times: dict[str, str]) -> None:
    assert send(filled, by_header("GET", times=times)).body == b"content"


PUT = by_header("PUT", query={"x-oss-traffic-limit": "819200"}, headers=HEADERS)
AUTHORIZATION = PUT[2]["authorization"]
STRANGER = Credentials("LTAI5tSTRANGER", KEYS.access_key_secret, KEYS.security_token)
ALTERED_HEADERS: dict[str, tuple[Sent, tuple[int, str, str]]] = {
    "the method": (alter(PUT, method="DELETE"), MISMATCH),
    "the object": (alter(PUT, "exampledir", "otherdir"), MISMATCH),
    "a sub-resource": (alter(PUT, "819200", "819201"), MISMATCH),
    "a sub-resource, removed": (alter(PUT, "?x-oss-traffic-limit=819200"), MISMATCH),
    "a sub-resource, added": (alter(PUT, "?", "?uploadId=0&"), MISMATCH),
    "a sub-resource, repeated": (alter(PUT, "?", "?x-oss-traffic-limit=819200&"), MISMATCH),
    "a content type": (alter(PUT, content_type="text/html"), MISMATCH),
    "a content MD5": (alter(PUT, content_md5=None), MISMATCH),
    "a header of OSS": (alter(PUT, x_oss_meta_author="b"), MISMATCH),
    "a header of OSS, removed": (alter(PUT, x_oss_meta_author=None), MISMATCH),
    "a header of OSS, added": (alter(PUT, x_oss_copy_source=f"/{BUCKET}/other"), MISMATCH),
    "the date": (alter(PUT, date=formatdate(NOW + 1, usegmt=True)), MISMATCH),
    "the date, twice": (alter(PUT, x_oss_date=formatdate(NOW, usegmt=True)), MISMATCH),
    "the date, removed": (alter(PUT, date=None), (403, "AccessDenied", "0002-00000503")),
    "the date, malformed": (alter(PUT, date="now"), (403, "AccessDenied", "0002-00000502")),
    "an old date": (by_header("PUT", times={"date": OLD}), SKEWED),
    "a date to come": (by_header("PUT", times={"date": formatdate(NOW + 901, usegmt=True)}), SKEWED),
    "the token": (alter(PUT, x_oss_security_token="CAISOTHER"), WRONG_TOKEN),
    "the token, removed": (alter(PUT, x_oss_security_token=None), NO_TOKEN),
    "the token, in the query": (
        alter(PUT, "?", f"?security-token={quote(KEYS.security_token or '')}&", x_oss_security_token=None), NO_TOKEN,
    ),
    "the secret": (by_header("PUT", credentials=KEYS._replace(access_key_secret="other")), MISMATCH),
    "the access key": (by_header("PUT", credentials=STRANGER), UNKNOWN),
    "the signature": (alter(PUT, authorization=AUTHORIZATION[:-2] + "A="), MISMATCH),
    "the colon": (alter(PUT, authorization="OSS STS.EXAMPLE"), (400, "InvalidArgument", "0002-00000062")),
    "no access key": (alter(PUT, authorization="OSS  :c2ln"), (400, "InvalidArgument", "0002-00000063")),
    "no signature": (alter(PUT, authorization="OSS STS.EXAMPLE:"), (400, "InvalidArgument", "0002-00000065")),
    "the scheme": (alter(PUT, authorization=AUTHORIZATION.lower()), (400, "InvalidArgument", "0002-00000061")),
    "a signature in the query too": (alter(PUT, "?", "?Signature=a&"), (400, "InvalidArgument", "0002-00000039")),
}  # fmt: skip

LINK = by_link("PUT", {"response-content-type": "a/b"}, HEADERS)
ALTERED_LINKS: dict[str, tuple[Sent, tuple[int, str, str]]] = {
    "the method": (alter(LINK, method="DELETE"), MISMATCH),
    "the object": (alter(LINK, "exampledir", "otherdir"), MISMATCH),
    "the bucket": (alter(LINK, Host=HOST["Host"].replace(BUCKET, "otherbucket")), MISMATCH),
    "a sub-resource": (alter(LINK, "a%2Fb", "text%2Fhtml"), MISMATCH),
    "a sub-resource, added": (alter(LINK, "?", "?uploadId=0&"), MISMATCH),
    "a content type": (alter(LINK, content_type="text/html"), MISMATCH),
    "a header of OSS, added": (alter(LINK, x_oss_copy_source=f"/{BUCKET}/other"), MISMATCH),
    "the expiry": (alter(LINK, str(NOW + 600), str(NOW + 601)), MISMATCH),
    "the expiry, removed": (alter(LINK, "Expires=", "Ended="), (403, "AccessDenied", "0002-00000067")),
    "the expiry, empty": (alter(LINK, str(NOW + 600)), (403, "AccessDenied", "0002-00000068")),
    "the expiry, malformed": (alter(LINK, str(NOW + 600), "abc"), (403, "AccessDenied", "0002-00000070")),
    "the access key": (alter(LINK, "STS.EXAMPLE", "LTAI5tSTRANGER"), UNKNOWN),
    "the access key, removed": (alter(LINK, "OSSAccessKeyId", "Id"), (403, "AccessDenied", "0002-00000071")),
    "the access key, empty": (alter(LINK, "STS.EXAMPLE"), (403, "AccessDenied", "0002-00000072")),
    "the signature": (alter(LINK, "&Signature=", "&Signature=a"), MISMATCH),
    "the signature, removed": (alter(LINK, "&Signature=", "&Sign="), (403, "AccessDenied", "0002-00000074")),
    "the token": (alter(LINK, "security-token=CAIS", "security-token=CAISO"), WRONG_TOKEN),
    "the token, removed": (alter(LINK, "security-token", "token"), NO_TOKEN),
    "the token, in a header": (alter(LINK, "security-token", "x", x_oss_security_token=KEYS.security_token), NO_TOKEN),
}  # fmt: skip


@pytest.mark.parametrize("altered", [ALTERED_HEADERS, ALTERED_LINKS], ids=["header", "link"])
def test_an_altered_request_is_refused_and_changes_nothing(
    filled: Cloud, altered: Mapping[str, tuple[Sent, tuple[int, str, str]]]
) -> None:
    filled.call("PUT", bucket="otherbucket")
    for what, (sent, expected) in altered.items():
        refused = send(filled, sent)
        assert (what, *refusal(refused)) == (what, *expected)
        assert KEYS.access_key_secret.encode() not in refused.body
    assert filled.get(KEY).body == b"content"
    assert filled.call("GET").texts("Key") == [KEY]


def test_an_expired_link_is_refused(filled: Cloud) -> None:
    filled.clock.time = NOW + 599
    assert send(filled, by_link("GET")).status == 200
    filled.clock.time = NOW + 600
    assert refusal(send(filled, by_link("GET"))) == (403, "AccessDenied", "0002-00000069")


def test_a_mismatch_shows_what_was_signed(filled: Cloud) -> None:
    refused = send(filled, alter(PUT, method="DELETE"))
    assert refused.text("StringToSign").startswith("DELETE\nCQU1D3gGTVlNNHQdyJEtCg==\ntext/plain\n")
    assert refused.text("StringToSign").endswith(f"/{BUCKET}/{KEY}?x-oss-traffic-limit=819200")
    assert refused.texts("CanonicalRequest") == []
