"""Authorization: links and signed requests unchanged, and with each part of them changed in turn."""

from __future__ import annotations

import errno
import os
import re
from typing import NoReturn
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from signer import Endpoint
from signer.emulator.oss.storage import Bucket
from tests.handler.client import KEYS
from tests.local_oss import BUCKET, NOW, REGION, LocalOss

KEY = "exampledir/exampleobject.txt"
PARAMETER = "AuthorizationQueryParametersError"
CREDENTIAL = "STS.EXAMPLE/20251124/cn-hangzhou/oss/aliyun_v4_request"


@pytest.fixture
def filled(cloud: LocalOss) -> LocalOss:
    cloud.put(KEY, b"content")
    cloud.put("other", b"other")
    return cloud


def change(link: str, **parts: str | None) -> str:
    """The link with these parameters (underscores for hyphens) replaced, or left out if None."""
    split = urlsplit(link)
    query = dict(parse_qsl(split.query, keep_blank_values=True))
    for name, value in parts.items():
        name = name.replace("_", "-")
        if value is None:
            del query[name]
        else:
            query[name] = value
    return (
        split.path
        + "?"
        + "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items()
        )
    )


def test_a_link_opens_the_object_until_it_expires(filled: LocalOss) -> None:
    link = filled.link("GET", KEY, expires_in=600)
    assert filled.send("GET", link).body == b"content"
    filled.clock.set(NOW + 600)
    expired = filled.send("GET", link)
    assert (expired.status, expired.code, expired.text("Message")) == (
        403,
        "AccessDenied",
        "Request has expired.",
    )
    assert expired.text("Expires") == "2025-11-24T16:10:00.000Z"
    assert expired.text("ServerTime") == "2025-11-24T16:10:00.000Z"


@pytest.mark.parametrize(
    ("key", "content_type"),
    [("a.apk", ""), ("A.IPA", "application/zip"), ("a", "application/vnd.android.package-archive")],
)
def test_an_app_package_is_refused_to_links_on_the_internet(
    cloud: LocalOss, key: str, content_type: str
) -> None:
    cloud.put(key, headers={"Content-Type": content_type} if content_type else {})
    refused = cloud.send("GET", cloud.link("GET", key))
    assert (refused.status, refused.code) == (400, "ApkDownloadForbidden")
    assert "use CNAME" in refused.text("Message")
    for endpoint, status in (
        (Endpoint.public(REGION), 400),
        (Endpoint.accelerate(REGION), 400),
        (Endpoint.internal(REGION), 200),
    ):
        target = cloud.link("GET", key, endpoint=endpoint).partition(".com")[2]
        assert cloud.send("GET", target, {"Host": endpoint.host(BUCKET)}).status == status
    assert cloud.send("HEAD", cloud.link("HEAD", key)).status == cloud.get(key).status == 200
    assert cloud.send("GET", cloud.link("GET", "none.apk")).code == "NoSuchKey"


# One for each kind of fault; tests/signer/test_verification.py has all faults of each kind.
def test_a_link_with_one_parameter_changed_is_refused(filled: LocalOss) -> None:
    rows: list[tuple[dict[str, str | None], int, str, str]] = [
        ({"x_oss_signature": "0" * 64}, 403, "SignatureDoesNotMatch", "0002-00000040"),
        ({"x_oss_signature": None}, 400, PARAMETER, "0002-00000219"),
        ({"x_oss_signature_version": "OSS2"}, 400, PARAMETER, ""),
        (
            {"x_oss_credential": CREDENTIAL.replace("STS.", "LTAI")},
            403,
            "InvalidAccessKeyId",
            "0002-00000902",
        ),
        (
            {"x_oss_credential": CREDENTIAL.replace("hangzhou", "beijing")},
            400,
            PARAMETER,
            "0002-00000228",
        ),
        (
            {"x_oss_credential": CREDENTIAL.replace("/oss/", "/s3/")},
            400,
            "InvalidArgument",
            "0002-00000227",
        ),
        ({"x_oss_expires": "604801"}, 400, PARAMETER, "0002-00000232"),
        ({"x_oss_expires": "soon"}, 400, PARAMETER, "0002-00000215"),
        ({"x_oss_security_token": "another"}, 403, "InvalidSecurityToken", "0002-00000006"),
        ({"x_oss_security_token": None}, 403, "InvalidAccessKeyId", "0002-00000002"),
        ({"x_oss_additional_headers": ""}, 400, PARAMETER, "0002-00000076"),
        ({"x_oss_additional_headers": "x-nothing"}, 400, PARAMETER, "0002-00000076"),
    ]
    for parts, status, code, ec in rows:
        link = filled.link("GET", KEY)
        refused = filled.send("GET", change(link, **parts))
        assert (refused.status, refused.code, refused.text("EC")) == (status, code, ec)
        assert refused.headers.get("x-oss-ec", "") == ec
        assert filled.send("GET", change(link)).status == 200


def test_a_mismatch_shows_what_the_server_signed(filled: LocalOss) -> None:
    refused = filled.send("GET", change(filled.link("GET", KEY), x_oss_signature="0" * 64))
    assert refused.text("OSSAccessKeyId") == KEYS.access_key_id
    assert refused.text("SignatureProvided") == "0" * 64
    canonical, string = refused.text("CanonicalRequest"), refused.text("StringToSign")
    assert canonical.split("\n")[:2] == ["GET", f"/{BUCKET}/{KEY}"]
    assert string.split("\n")[:3] == [
        "OSS4-HMAC-SHA256",
        "20251124T160000Z",
        "20251124/cn-hangzhou/oss/aliyun_v4_request",
    ]
    assert bytes.fromhex(refused.text("CanonicalRequestBytes")).decode() == canonical
    assert bytes.fromhex(refused.text("StringToSignBytes")).decode() == string


def test_the_path_is_decoded_once_however_it_was_encoded(filled: LocalOss) -> None:
    link = filled.link("GET", KEY)
    assert filled.send("GET", link.replace(KEY, KEY.replace("/", "%2F"))).body == b"content"
    assert (
        filled.send("GET", link.replace(KEY, "%65xampledir/exampleobject.txt")).body == b"content"
    )
    for other in (KEY.replace("/", "%252F"), KEY.replace("/", "//"), f"x/../{KEY}"):
        assert filled.send("GET", link.replace(KEY, other)).code == "SignatureDoesNotMatch"


def test_an_unsigned_request_is_refused(filled: LocalOss) -> None:
    message = "You have no right to access this object because of bucket acl."
    for target in (f"/{BUCKET}/{KEY}", f"/{BUCKET}/", "/", f"/{BUCKET}/{KEY}?acl"):
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"):
            refused = filled.send(method, target)
            assert refused.status == 403
            shown = method == "HEAD" or [
                refused.code,
                *map(refused.text, ("Message", "AccessDeniedDetail")),
            ]
            assert shown in (True, ["AccessDenied", message, ""])


def test_a_link_can_be_restricted_to_ip_addresses_and_to_a_vpc_that_nobody_here_is_in(
    filled: LocalOss,
) -> None:
    rows: list[tuple[dict[str, str], dict[str, str], int]] = [
        ({"x-oss-ac-source-ip": "127.0.0.1"}, {}, 200),
        ({"x-oss-ac-source-ip": "127.0.0.9"}, {}, 403),
        ({"x-oss-ac-source-ip": "127.0.0.9", "x-oss-ac-subnet-mask": "24"}, {}, 200),
        ({"x-oss-ac-source-ip": "10.0.0.0", "x-oss-ac-subnet-mask": "8"}, {}, 403),
        (
            {"x-oss-ac-source-ip": "10.0.0.0", "x-oss-ac-subnet-mask": "8"},
            {"X-Forwarded-For": "10.1.2.3"},
            403,
        ),
        (
            {
                "x-oss-ac-source-ip": "10.0.0.0",
                "x-oss-ac-subnet-mask": "8",
                "x-oss-ac-forward-allow": "true",
            },
            {"X-Forwarded-For": "10.1.2.3, 192.0.2.1"},
            200,
        ),
        ({"x-oss-ac-vpc-id": "vpc-example"}, {}, 403),
        ({"x-oss-ac-vpc-id": "vpc-example", "x-oss-ac-source-ip": "127.0.0.1"}, {}, 403),
        ({"x-oss-ac-source-ip": "here"}, {}, 400),
    ]
    for query, headers, status in rows:
        response = filled.send("GET", filled.link("GET", KEY, query=query), headers)
        assert response.status == status
        if status == 403:  # the address and the VPC are part of what OSS signs
            ec = "0002-00000603" if "x-oss-ac-vpc-id" in query else "0002-00000225"
            assert (response.code, response.text("EC")) == ("SignatureDoesNotMatch", ec)


def test_no_part_of_a_link_is_printed(filled: LocalOss, capfd: pytest.CaptureFixture[str]) -> None:
    filled.send("GET", filled.link("GET", KEY))
    filled.send("GET", change(filled.link("GET", KEY), x_oss_expires="601"))
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_request_that_the_disk_refuses_names_the_reason_and_no_link(
    filled: LocalOss, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Bucket) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Bucket, "draft", full)
    assert filled.send("PUT", filled.link("PUT", KEY), body=b"content").code == "InternalError"
    assert re.fullmatch(
        r"oss: request \w+ failed with OSError \(No space left on device\) at \w+\.py:\d+\n",
        capfd.readouterr().err,
    )
