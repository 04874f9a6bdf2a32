"""Every row of the OSS page "Download an object using a presigned URL"."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from signer import Credentials, Endpoint, Link, verify
from tests.signer.sdks import query_pairs, signature, url_of_v2
from tests.signer.signing import BUCKET, HANGZHOU, KEY, KEYS, NOW, TEMPORARY, TOKEN, LinkRequest, sign

VERSION = "CAEQNhiBgMDJgZCA0BYiIDc4MGZjZGI2OTBjOTRmNTE5NmU5NmFhZjhjYmY0****"


def query_of(link: Link) -> dict[str, str]:
    return dict(query_pairs(link.url))


def sdk_signature(
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    expires_in: int = 900,
    credentials: Credentials = KEYS,
    key: str = KEY,
) -> str:
    link_request = LinkRequest(
        "GET", BUCKET, key, credentials, "cn-hangzhou", "oss", expires_in, query or {}, headers or {}, (), NOW
    )
    return signature(url_of_v2(link_request))


@pytest.mark.parametrize("expires_in", [600, 604_800], ids=["600 seconds", "seven days"])
def test_a_download_link_is_valid_for(expires_in: int) -> None:
    link = sign(expires_in=expires_in)

    assert link.method == "GET"
    assert query_of(link)["x-oss-expires"] == str(expires_in) == str(link.expires_in)
    assert link.expires_at.timestamp() == NOW + expires_in
    assert signature(link.url) == sdk_signature(expires_in=expires_in)
    last = NOW + expires_in - 1
    assert verify("GET", link.url, credentials=KEYS, now=last).ok
    assert verify("GET", link.url, credentials=KEYS, now=last + 1).fault == "expired"


def test_a_link_to_a_version_names_it_in_the_query_of_a_get() -> None:
    link = sign(query={"versionId": VERSION})

    assert link.method == "GET"
    assert query_of(link)["versionId"] == VERSION
    assert link.headers == {}
    assert signature(link.url) == sdk_signature({"versionId": VERSION})
    assert verify("GET", link.url, credentials=KEYS, now=NOW).ok


def test_signed_request_headers_come_back_for_the_caller_to_send() -> None:
    link = sign(headers={"Content-Type": "text/plain"})

    assert link.headers == {"Content-Type": "text/plain"}
    assert signature(link.url) == sdk_signature(headers={"Content-Type": "text/plain"})
    assert verify("GET", link.url, credentials=KEYS, headers=link.headers, now=NOW).ok
    assert verify("GET", link.url, credentials=KEYS, now=NOW).fault == "signature_mismatch"


@pytest.mark.parametrize(
    "query",
    [
        {"x-oss-traffic-limit": "819200"},
        {"x-oss-ac-source-ip": "203.0.113.0"},
        {"x-oss-ac-source-ip": "203.0.113.0", "x-oss-ac-subnet-mask": "32"},
        {"x-oss-ac-vpc-id": "vpc-t4nlw426y44rd3iq4EXAMPLE"},
        {"x-oss-ac-vpc-id": "vpc-t4nlw426y44rd3iq4EXAMPLE", "x-oss-ac-forward-allow": "true"},
        {"response-content-disposition": 'attachment; filename="报告.pdf"'},
    ],
    ids=lambda query: " and ".join(query),
)
def test_a_parameter_is_signed_in_the_query_and_not_as_a_header(query: dict[str, str]) -> None:
    link = sign(query=query)

    assert {name: query_of(link)[name] for name in query} == query
    assert link.headers == {}
    assert signature(link.url) == sdk_signature(query)
    assert verify("GET", link.url, credentials=KEYS, now=NOW).ok


def test_a_custom_domain_changes_the_url_and_not_the_signature() -> None:
    link = sign(endpoint=Endpoint.custom_domain("https://static.example.com", "cn-hangzhou"))

    assert link.url.startswith(f"https://static.example.com/{KEY}?")
    assert signature(link.url) == signature(sign().url) == sdk_signature()
    assert verify("GET", link.url, credentials=KEYS, bucket=BUCKET, now=NOW).ok


def test_the_internal_endpoint_differs_from_the_public_one_only_in_the_host() -> None:
    public, internal = sign(), sign(endpoint=Endpoint.internal("cn-hangzhou"))

    assert urlsplit(public.url).netloc == "examplebucket.oss-cn-hangzhou.aliyuncs.com"
    assert urlsplit(internal.url).netloc == "examplebucket.oss-cn-hangzhou-internal.aliyuncs.com"
    assert public.url.replace("oss-cn-hangzhou.", "oss-cn-hangzhou-internal.") == internal.url
    assert verify("GET", internal.url, credentials=KEYS, now=NOW).ok


def test_slashes_of_the_key_are_kept() -> None:
    link = sign(key="a/b/c d+e.txt")

    assert urlsplit(link.url).path == "/a/b/c%20d%2Be.txt"
    assert signature(link.url) == sdk_signature(key="a/b/c d+e.txt")


def test_credentials_come_from_the_environment() -> None:
    credentials = Credentials.from_environment({"OSS_ACCESS_KEY_ID": KEYS[0], "OSS_ACCESS_KEY_SECRET": KEYS[1]})

    assert sign(credentials=credentials) == sign(credentials=KEYS)


def test_credentials_from_sts_put_their_token_into_the_signed_query() -> None:
    link = sign(credentials=TEMPORARY)

    assert query_of(link)["x-oss-security-token"] == TOKEN
    assert query_of(link)["x-oss-credential"] == "STS.EXAMPLE/20260301/cn-hangzhou/oss/aliyun_v4_request"
    assert signature(link.url) == sdk_signature(credentials=TEMPORARY)
    assert verify("GET", link.url, credentials=TEMPORARY, now=NOW).ok


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
def test_each_method_has_a_signature_of_its_own(method: str) -> None:
    link = sign(method)

    assert link.method == method
    for other in ("GET", "HEAD", "PUT", "POST", "DELETE"):
        assert verify(other, link.url, credentials=KEYS, now=NOW).ok is (other == method)


def test_a_multipart_upload_is_signed_part_by_part() -> None:
    initiate = sign("POST", query={"uploads": ""})
    part = sign("PUT", query={"partNumber": "1", "uploadId": "0004B9894A22EXAMPLE"})

    assert "?uploads&x-oss-" in initiate.url
    assert "?partNumber=1&uploadId=0004B9894A22EXAMPLE&x-oss-" in part.url
    assert verify("POST", initiate.url, credentials=KEYS, now=NOW).ok
    assert verify("PUT", part.url, credentials=KEYS, now=NOW).ok


def test_a_signed_host_binds_a_link_to_its_endpoint() -> None:
    link = sign(endpoint=HANGZHOU, signed_headers=["host"])
    elsewhere = link.url.replace("oss-cn-hangzhou.", "oss-cn-hangzhou-internal.")

    assert query_of(link)["x-oss-additional-headers"] == "host"
    assert link.headers == {}
    assert verify("GET", link.url, credentials=KEYS, now=NOW).ok
    assert verify("GET", elsewhere, credentials=KEYS, now=NOW).fault == "signature_mismatch"
