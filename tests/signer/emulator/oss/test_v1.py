"""OSS's code for each fault of a V1 signature; tests/signer/test_v1.py tests what is a fault, and what SDKs sign."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate

import pytest

from signer import Credentials
from tests.handler.client import KEYS
from tests.local_oss import BUCKET, NOW, REGION, LocalOss
from tests.signer.emulator.oss.test_signed_requests import refusal
from tests.signer.sdks import v1_url_of_oss2
from tests.signer.signing import LinkRequest

KEY = "exampledir/a b+ü%2F中.txt"
TOKEN = "x-oss-security-token"
MISMATCH = (403, "SignatureDoesNotMatch", "0002-00000040")
UNKNOWN = (403, "InvalidAccessKeyId", "0002-00000902")
NO_TOKEN = (403, "InvalidAccessKeyId", "0002-00000002")
SKEWED = (403, "RequestTimeTooSkewed", "0002-00000504")
WRONG_TOKEN = (403, "InvalidSecurityToken", "0002-00000006")
Sent = tuple[str, str, dict[str, str]]


def by_link(
    method: str,
    headers: Mapping[str, str] = {},
    credentials: Credentials = KEYS,
    query: Mapping[str, str] = {},
) -> Sent:
    """A link that oss2 signs for ten minutes, as it is sent."""
    request = LinkRequest(
        method, BUCKET, KEY, credentials, REGION, "oss", 600, query, headers, (), NOW
    )
    url = v1_url_of_oss2(request)
    return method, url[url.index("/", 8) :], {"Host": request.host, **headers}


def alter(sent: Sent, old: str = "", new: str = "", **headers: str | None) -> Sent:
    """Another target, or other headers (None: without one)."""
    assert old in sent[1]
    changed = {**sent[2], **{name.replace("_", "-"): value for name, value in headers.items()}}
    return (
        sent[0],
        sent[1].replace(old, new, 1),
        {n: value for n, value in changed.items() if value is not None},
    )


@pytest.fixture
def filled(cloud: LocalOss) -> LocalOss:
    cloud.put(KEY, b"content")
    return cloud


def test_a_link_for_another_address_is_a_mismatch(filled: LocalOss) -> None:
    assert (
        filled.send(*by_link("GET", query={"x-oss-ac-source-ip": "127.0.0.1"})).body == b"content"
    )
    elsewhere = filled.send(*by_link("GET", query={"x-oss-ac-source-ip": "127.0.0.9"}))
    assert refusal(elsewhere) == (403, "SignatureDoesNotMatch", "0002-00000602")


LINK = by_link("DELETE")
SIGNED = (
    "DELETE",
    LINK[1].partition("?")[0],
    {
        "Host": LINK[2]["Host"],
        TOKEN: KEYS.security_token or "",
        "date": formatdate(NOW, usegmt=True),
        "authorization": f"OSS {KEYS.access_key_id}:c2ln",
    },
)
REFUSED: dict[str, tuple[Sent, tuple[int, str, str]]] = {
    "the object": (alter(LINK, "exampledir", "otherdir"), MISMATCH),
    "the expiry, removed": (
        alter(LINK, "Expires=", "Ended="),
        (403, "AccessDenied", "0002-00000067"),
    ),
    "the expiry, empty": (alter(LINK, str(NOW + 600)), (403, "AccessDenied", "0002-00000068")),
    "the expiry, malformed": (
        alter(LINK, str(NOW + 600), "abc"),
        (403, "AccessDenied", "0002-00000070"),
    ),
    "the access key": (alter(LINK, "STS.EXAMPLE", "LTAI5tSTRANGER"), UNKNOWN),
    "the access key, removed": (
        alter(LINK, "OSSAccessKeyId", "Id"),
        (403, "AccessDenied", "0002-00000071"),
    ),
    "the access key, empty": (alter(LINK, "STS.EXAMPLE"), (403, "AccessDenied", "0002-00000072")),
    "the signature, removed": (
        alter(LINK, "&Signature=", "&Sign="),
        (403, "AccessDenied", "0002-00000074"),
    ),
    "the token": (alter(LINK, "security-token=CAIS", "security-token=CAISO"), WRONG_TOKEN),
    "the token, in a header": (
        alter(LINK, "security-token", "x", x_oss_security_token=KEYS.security_token),
        NO_TOKEN,
    ),
    "in the header, the signature": (SIGNED, MISMATCH),
    "the date, removed": (alter(SIGNED, date=None), (403, "AccessDenied", "0002-00000503")),
    "the date, malformed": (alter(SIGNED, date="now"), (403, "AccessDenied", "0002-00000502")),
    "an old date": (alter(SIGNED, date=formatdate(NOW - 901, usegmt=True)), SKEWED),
    "the token of a header": (alter(SIGNED, x_oss_security_token="CAISOTHER"), WRONG_TOKEN),
    "the token of a header, removed": (alter(SIGNED, x_oss_security_token=None), NO_TOKEN),
    "the colon": (
        alter(SIGNED, authorization="OSS STS.EXAMPLE"),
        (400, "InvalidArgument", "0002-00000062"),
    ),
    "no access key": (
        alter(SIGNED, authorization="OSS  :c2ln"),
        (400, "InvalidArgument", "0002-00000063"),
    ),
    "no signature": (
        alter(SIGNED, authorization="OSS STS.EXAMPLE:"),
        (400, "InvalidArgument", "0002-00000065"),
    ),
    "the scheme": (
        alter(SIGNED, authorization="oss STS.EXAMPLE:c2ln"),
        (400, "InvalidArgument", "0002-00000061"),
    ),
    "both": (
        alter(LINK, authorization="OSS STS.EXAMPLE:c2ln"),
        (400, "InvalidArgument", "0002-00000039"),
    ),
}


def test_an_altered_request_is_refused_and_changes_nothing(filled: LocalOss) -> None:
    for what, (sent, expected) in REFUSED.items():
        assert (what, refusal(filled.send(*sent))) == (what, expected)
        assert filled.get(KEY).body == b"content"
