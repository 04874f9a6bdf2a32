"""Requests that are signed in their Authorization header, and the codes (EC) with which OSS refuses them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from email.utils import formatdate
from itertools import product

import pytest

from signer import Credentials
from tests.handler.client import KEYS
from tests.local_oss import BUCKET, LocalOss, OssResponse

KEY = "exampledir/exampleobject.txt"
STRANGER = Credentials("LTAI5tSTRANGER", "secret-stranger")


@pytest.fixture
def filled(cloud: LocalOss) -> LocalOss:
    cloud.put(KEY, b"content")
    return cloud


def refusal(response: OssResponse) -> tuple[int, str, str]:
    """Status, Code and EC; the EC is in the document and in a header."""
    assert response.text("EC") == response.headers.get("x-oss-ec", "")
    return response.status, response.code, response.text("EC")


@pytest.mark.parametrize(
    ("part", "value", "ec"),
    [("region", "cn-beijing", "0002-00000226"), ("product", "s3", "0002-00000227")],
)
def test_a_scope_of_another_region_or_product_is_refused_before_the_access_key(
    filled: LocalOss, part: str, value: str, ec: str
) -> None:
    target, headers = filled.signed("GET", KEY, **{part: value})  # type: ignore[arg-type]
    stranger = headers["authorization"].replace(KEYS.access_key_id, STRANGER.access_key_id)
    for authorization in (headers["authorization"], stranger):
        refused = filled.send("GET", target, {**headers, "authorization": authorization})
        assert refusal(refused) == (400, "InvalidArgument", ec)
        assert refused.text("Message") == f"Invalid signing {part} in Authorization header."


def test_the_payload_hash_must_be_unsigned_payload(filled: LocalOss) -> None:
    for value in ("0" * 64, "unsigned-payload", ""):
        target, headers = filled.signed("PUT", KEY, headers={"x-oss-content-sha256": value})
        refused = filled.send("PUT", target, headers, b"forged")
        assert refusal(refused) == (400, "InvalidArgument", "0002-00000214")
        assert refused.text("ArgumentName") == "x-oss-content-sha256"
    assert filled.get(KEY).body == b"content"


@pytest.mark.parametrize("bucket", ["missing-bucket", "Invalid_Bucket"])
def test_a_missing_bucket_is_reported_before_an_unknown_key(cloud: LocalOss, bucket: str) -> None:
    known = cloud.call("GET", KEY, bucket=bucket)
    target, headers = cloud.signed("GET", KEY, bucket=bucket)
    headers["authorization"] = headers["authorization"].replace(
        KEYS.access_key_id, STRANGER.access_key_id
    )
    unknown = cloud.send("GET", target, headers)
    assert refusal(known) == refusal(unknown) == (404, "NoSuchBucket", "0015-00000101")
    assert refusal(cloud.send("GET", f"/{bucket}/{KEY}")) == (404, "NoSuchBucket", "0015-00000101")
    link = cloud.link("GET", KEY, credentials=STRANGER)
    assert cloud.send("GET", link).code == "InvalidAccessKeyId"
    assert cloud.send("GET", link.replace(BUCKET, bucket)).code == "NoSuchBucket"


def test_an_unknown_key_is_reported_before_a_bucket_is_created_or_buckets_are_listed(
    cloud: LocalOss,
) -> None:
    for method, bucket, query in (
        ("PUT", "missing-bucket", ""),
        ("GET", "", ""),
        ("PUT", "missing-bucket", "versioning"),
    ):
        target, headers = cloud.signed(method, bucket=bucket, query={query: ""} if query else {})
        headers["authorization"] = headers["authorization"].replace(
            KEYS.access_key_id, STRANGER.access_key_id
        )
        unknown = (403, "InvalidAccessKeyId", "0002-00000902")
        expected = (404, "NoSuchBucket", "0015-00000101") if query else unknown
        assert refusal(cloud.send(method, target, headers)) == expected
    assert cloud.call("GET", bucket="missing-bucket").code == "NoSuchBucket"


def test_an_authorization_of_another_kind_is_refused(filled: LocalOss) -> None:
    for authorization in ("Bearer eyJhbGciOiJub25lIn0", "OSSxxx a:b", "token"):
        refused = filled.send("GET", f"/{BUCKET}/{KEY}", {"Authorization": authorization})
        assert refusal(refused) == (400, "InvalidArgument", "0002-00000061")
        assert refused.text("Message") == "Authorization header is invalid."
        assert authorization.encode() not in refused.body


def test_a_signature_of_another_version_is_a_501(filled: LocalOss) -> None:
    for query, headers in (
        ("", {"Authorization": "OSS2 AccessKeyId:STS.EXAMPLE,Signature:x"}),
        ("", {"Authorization": "AWS4-HMAC-SHA256 Credential=x,SignedHeaders=host,Signature=x"}),
        ("?x-oss-access-key-id=STS.EXAMPLE&x-oss-expires=9999999999&Signature=x", {}),
        ("?AWSAccessKeyId=STS.EXAMPLE&Expires=9999999999&Signature=x", {}),
    ):
        refused = filled.send("GET", f"/{BUCKET}/{KEY}{query}", headers)
        assert (refused.status, refused.code) == (501, "NotImplemented")
        assert b"STS.EXAMPLE" not in refused.body


def test_a_bucket_in_the_path_is_refused_under_a_host_of_oss(filled: LocalOss) -> None:
    for host in (
        "oss-cn-hangzhou-internal.aliyuncs.com:80",
        "OSS-accelerate.aliyuncs.com",
        "cn-hangzhou.oss.aliyuncs.com",
    ):
        refused = filled.send("GET", filled.link("GET", KEY), {"Host": host})
        assert refusal(refused) == (403, "SecondLevelDomainForbidden", "0003-00001401")
        assert refused.text("Message") == "Please use virtual hosted style to access."
        assert refusal(filled.send("GET", f"/{BUCKET}/{KEY}", {"Host": host})) == refusal(refused)


def test_a_request_without_a_bucket_is_not_refused_for_its_host(cloud: LocalOss) -> None:
    target, headers = cloud.signed("GET", bucket="")
    response = cloud.send("GET", target, {**headers, "Host": "oss-cn-hangzhou.aliyuncs.com"})
    assert response.status in (200, 501)


def raw(cloud: LocalOss, request: str) -> bytes:
    """The complete response to exactly these bytes."""
    host, _, port = cloud.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def by_link(cloud: LocalOss) -> tuple[str, dict[str, str]]:
    return cloud.link(
        "PUT", KEY, headers={"Content-Length": "3"}, signed_headers=["content-length"]
    ), {}


def by_header(cloud: LocalOss) -> tuple[str, dict[str, str]]:
    return cloud.signed("PUT", KEY)


@pytest.mark.parametrize("sign", [by_link, by_header])
def test_a_length_that_is_signed_and_a_transfer_encoding_together_are_refused(
    filled: LocalOss, sign: Callable[[LocalOss], tuple[str, dict[str, str]]]
) -> None:
    for encoding, length_first in product(
        ("gzip, chunked", "identity", "chunked", "Chunked"), (True, False)
    ):
        # As ali-oss sends a stream of known length.
        is_taken = sign is by_header and encoding.lower() == "chunked"
        target, signed = sign(filled)
        pair = [("Content-Length", "3"), ("Transfer-Encoding", encoding)]
        headers = [
            ("Host", filled.host),
            *signed.items(),
            *(pair if length_first else reversed(pair)),
        ]
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        answer = raw(filled, f"PUT {target} HTTP/1.1\r\n{head}\r\n8\r\n12345678\r\n0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 " if is_taken else b"HTTP/1.1 400 ")
        assert (b"<Code>InvalidArgument</Code>" in answer) is not is_taken
        assert answer.count(b"HTTP/1.1 ") == 1
        assert filled.get(KEY).body == (b"12345678" if is_taken else b"content")
        filled.put(KEY)


def test_a_malformed_credential_has_an_ec_of_its_place(filled: LocalOss) -> None:
    link = filled.link("GET", KEY).replace("%2Foss%2Faliyun_v4_request", "%2Fabc")
    in_link = filled.send("GET", link)
    assert refusal(in_link) == (400, "AuthorizationQueryParametersError", "0002-00000224")
    target, headers = filled.signed("GET", KEY)
    malformed = {
        **headers,
        "authorization": headers["authorization"].replace("/oss/aliyun_v4_request", "/abc"),
    }
    assert refusal(filled.send("GET", target, malformed)) == (
        400,
        "InvalidArgument",
        "0002-00000213",
    )
    cut = {**headers, "authorization": headers["authorization"].partition(",")[0]}
    assert refusal(filled.send("GET", target, cut)) == (400, "InvalidArgument", "")


@pytest.mark.parametrize(
    "target", [f"/{BUCKET}/exampledir/exampleobject.txt", f"/{BUCKET}/?list-type=2", "/"]
)
def test_an_answer_has_one_date_which_is_that_of_the_clock_of_oss(
    cloud: LocalOss, target: str
) -> None:
    cloud.clock.moved += 3600
    assert cloud.send("GET", target).headers["date"] == formatdate(cloud.clock.now(), usegmt=True)
