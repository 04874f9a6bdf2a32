"""Signature version 3 of Alibaba Cloud's RPC APIs: the example of the specification, and the official SDK."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import pytest
from alibabacloud_tea_openapi.utils import Utils
from darabonba.request import DaraRequest

from signer import Credentials, InvalidCredentials, InvalidHeader, InvalidQuery, InvalidTime, acs3
from signer.signed_request import parse_query
from tests.signer.signing import KEYS, NOW, TEMPORARY, random_requests
from tests.signer.test_secrecy import FORMATTERS

HOST = "sts.cn-hangzhou.aliyuncs.com"
NONCE = "3156853299f313e23d1673dc12e1703d"
EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def call(
    params: Mapping[str, str], credentials: Credentials = KEYS, nonce: str = NONCE
) -> acs3.SignedCall:
    return acs3.sign_call(
        HOST, "AssumeRole", "2015-04-01", params, credentials=credentials, now=NOW, nonce=nonce
    )


# --- the example of the specification -------------------------------------------------------------------------

EXAMPLE_HEADERS = {
    "host": "ecs.cn-shanghai.aliyuncs.com",
    "x-acs-action": "RunInstances",
    "x-acs-content-sha256": EMPTY_HASH,
    "x-acs-date": "2023-10-26T10:22:32Z",
    "x-acs-signature-nonce": NONCE,
    "x-acs-version": "2014-05-26",
}
EXAMPLE_PARAMS = {
    "RegionId": "cn-shanghai",
    "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
}
EXAMPLE_SIGNATURE = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"


def test_a_signed_call_is_the_request_of_the_example() -> None:
    signed = acs3.sign_call(
        "ecs.cn-shanghai.aliyuncs.com",
        "RunInstances",
        "2014-05-26",
        EXAMPLE_PARAMS,
        credentials=Credentials("YourAccessKeyId", "YourAccessKeySecret"),
        now=1_698_315_752.9,
        nonce=NONCE,
    )

    query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai"
    names = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
    assert (signed.method, signed.url) == ("POST", f"https://ecs.cn-shanghai.aliyuncs.com/?{query}")
    assert signed.headers == {
        **EXAMPLE_HEADERS,
        "accept": "application/json",
        "Authorization": f"ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders={names},"
        f"Signature={EXAMPLE_SIGNATURE}",
    }


# --- the official SDK -----------------------------------------------------------------------------------------

ALPHABET = [
    *"abcXYZ019-._~ *+/=%&?#:;,@!$'()[]{}|\\\"<>\t\n\r\0",
    "é",
    "报",
    "🙂",
    "\u00a0",
    "\u2028",
    "%20",
    "%2F",
]


def authorization_of_sdk(
    signed: acs3.SignedCall, params: Mapping[str, str], credentials: Credentials
) -> str:
    request = DaraRequest()
    request.method = "POST"
    request.pathname = "/"
    request.query = dict(params)
    # The SDK signs every header that it gets; the specification names those that acs3.is_signed selects.
    request.headers = {
        name: value for name, value in signed.headers.items() if acs3.is_signed(name)
    }
    keys = (credentials.access_key_id, credentials.access_key_secret)
    return str(Utils.get_authorization(request, acs3.ALGORITHM, EMPTY_HASH, *keys))


def test_random_calls_are_those_that_alibabacloud_tea_openapi_signs() -> None:
    source = random.Random(15)

    def string(length: int) -> str:
        return "".join(source.choices(ALPHABET, k=source.randrange(length)))

    for _ in range(150):
        # The SDK does not encode names, which are letters, digits, "." and "-" in every API.
        names = [
            "".join(source.choices("ABCabc019.-_~", k=8))
            for _ in range(source.choice((0, 1, 4, 60)))
        ]
        params = {name: string(source.choice((1, 12, 200))) for name in names}
        token = source.choice((None, "", "CAIS+token/of+STS==" * 40))
        credentials = Credentials(f"LTAI{source.randrange(10**9)}", f"{source.random()}", token)
        signed = acs3.sign_call(
            source.choice((HOST, "127.0.0.1:9000")),
            source.choice(("AssumeRole", "GetCallerIdentity")),
            "2015-04-01",
            params,
            credentials=credentials,
            now=source.uniform(0, 4e9),
            nonce=f"{source.getrandbits(128):032x}",
        )

        assert signed.headers["Authorization"] == authorization_of_sdk(signed, params, credentials)


# --- laws -----------------------------------------------------------------------------------------------------


def test_the_query_decodes_to_the_parameters_and_is_its_own_canonical_form() -> None:
    for request in random_requests(50):
        query = urlsplit(call(request.query).url).query
        pairs = list(parse_query(query))
        assert dict(pairs) == request.query
        assert acs3.canonical_query(reversed(pairs)) == query


@pytest.mark.parametrize("credentials", [KEYS, TEMPORARY], ids=["permanent", "temporary"])
def test_an_authorization_header_is_read_as_it_was_written(credentials: Credentials) -> None:
    header = call({}, credentials).headers["Authorization"]
    authorization = acs3.Authorization.parse(header)

    assert authorization is not None
    assert str(authorization) == header
    assert authorization.access_key_id == credentials.access_key_id
    assert ("x-acs-security-token" in authorization.signed_headers) == (credentials is TEMPORARY)
    for other in (
        "",
        "ACS3-HMAC-SHA256",
        "ACS3-HMAC-SM3 Credential=a,SignedHeaders=host,Signature=b",
        "OSS a:b",
    ):
        assert acs3.Authorization.parse(other) is None


def test_a_call_may_be_sent_to_a_laptop() -> None:
    at = "127.0.0.1:9000"
    signed = acs3.sign_call(
        at, "A", "1", {"B": ""}, credentials=KEYS, now=NOW, nonce=NONCE, scheme="http"
    )

    assert (signed.url, signed.headers["host"]) == ("http://127.0.0.1:9000/?B=", "127.0.0.1:9000")


# --- refusals and secrecy -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sign", "error"),
    [
        (lambda: call({}, Credentials("", "secretEXAMPLE")), InvalidCredentials),
        (lambda: call({}, KEYS._replace(security_token="CAIS\nX: y")), InvalidCredentials),
        (lambda: call({}, nonce="a\r\nx: y"), InvalidHeader),
        (lambda: call({"Policy": "\ud800"}), InvalidQuery),
        (
            lambda: acs3.sign_call(HOST, "A", "1", {}, credentials=KEYS, now=-1, nonce=NONCE),
            InvalidTime,
        ),
    ],
    ids=["no key", "token", "nonce", "surrogate", "time"],
)
def test_what_cannot_be_sent_is_refused(sign: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        sign()


def test_a_signed_call_shows_neither_its_signature_nor_its_token() -> None:
    signed = call({"RoleSessionName": "alice"}, TEMPORARY)
    authorization = acs3.Authorization.parse(signed.headers["Authorization"])
    assert authorization is not None
    for to_string in FORMATTERS.values():
        assert "alice" in to_string(signed)
        for secret in (authorization.signature, TEMPORARY.security_token, *TEMPORARY[:2]):
            assert str(secret) not in to_string(signed) + repr(authorization)
