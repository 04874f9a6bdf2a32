"""What the local STS verifies of a request, and what it answers, request by request."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Response

from signer import acs3, v4
from signer.emulator.ram import ACCOUNT, Principal, Principals
from signer.emulator.sts import Role, StsError, create_app, temporary_credentials
from signer.emulator.sts.nonces import Nonces
from signer.emulator.sts.operations import read_policy
from signer.emulator.sts.signature_v1 import signature, string_to_sign
from signer.times import rfc3339
from tests.signer.emulator.conftest import Application
from tests.signer.emulator.sts.conftest import FUNCTION, OPERATOR, SIGNER, USER_KEYS

NOW = 1_764_000_000.0  # 2025-11-24T16:00:00Z
HOST = "localhost"


class Request(NamedTuple):
    method: str
    query: str
    headers: Mapping[str, str]
    body: str = ""
    path: str = "/"


def v3(params: Mapping[str, str] | None = None, nonce: str = "1", now: float = NOW) -> Request:
    keys, version = USER_KEYS, "2015-04-01"
    call = acs3.sign_call(
        HOST,
        "GetCallerIdentity",
        version,
        params or {},
        credentials=keys,
        now=now,
        nonce=nonce,
        scheme="http",
    )
    return Request(call.method, call.url.partition("?")[2], dict(call.headers))


def v1(method: str = "GET", *, in_form: bool = False, **changes: str) -> Request:
    """Parameters that are "" are left out."""
    params = {
        "AccessKeyId": USER_KEYS.access_key_id,
        "Action": "GetCallerIdentity",
        "Format": "JSON",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": "1",
        "SignatureVersion": "1.0",
        "Timestamp": rfc3339(NOW),
        "Version": "2015-04-01",
    }
    params = {name: value for name, value in {**params, **changes}.items() if value}
    if "Signature" not in changes:
        params["Signature"] = signature(USER_KEYS.access_key_secret, string_to_sign(method, params))
    encoded = urlencode(params)
    if in_form:
        return Request(method, "", {"Content-Type": "application/x-www-form-urlencoded"}, encoded)
    return Request(method, encoded, {})


@pytest.fixture
def app() -> Application:
    principals = Principals([Principal.of(USER_KEYS, OPERATOR)])
    return create_app(principals, dict, now=lambda: NOW)


def send(app: Application, request: Request) -> TestResponse:
    return Client(app).open(
        request.path,
        method=request.method,
        headers=dict(request.headers),
        data=request.body,
        environ_overrides={"RAW_URI": f"{request.path}?{request.query}"},
    )


def code(response: TestResponse) -> str:
    return str(json.loads(response.data).get("Code", "OK"))


# --- the older signature --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (v1(), "OK"),
        (v1("POST"), "OK"),
        (v1("POST", in_form=True), "OK"),
        (v1("POST")._replace(method="GET"), "SignatureDoesNotMatch"),
        (v1(Other="+ *~%/=报"), "OK"),
        (v1(Signature="AAAA"), "SignatureDoesNotMatch"),
        (v1(Signature="报"), "SignatureDoesNotMatch"),
        (v1(AccessKeyId=""), "MissingAccessKeyId"),
        (v1(SignatureMethod=""), "MissingSignatureMethod"),
        (v1(SignatureMethod="HMAC-MD5"), "InvalidSignatureMethod"),
        (v1(SignatureNonce=""), "MissingSignatureNonce"),
        (v1(Timestamp=""), "MissingTimestamp"),
        (v1(Timestamp="2025-11-24 16:00"), "InvalidTimeStamp.Format"),
        (v1(Timestamp="2025-11-25T00:00:00+08:00"), "InvalidTimeStamp.Format"),
        (v1(Timestamp=rfc3339(NOW - 900)), "OK"),
        (v1(Timestamp=rfc3339(NOW + 900)), "OK"),
        (v1(Timestamp=rfc3339(NOW - 901)), "InvalidTimeStamp.Expired"),
        (v1(Timestamp=rfc3339(NOW + 901)), "InvalidTimeStamp.Expired"),
        (v1(Action="GetToken"), "InvalidAction.NotFound"),
        (v1(Action=""), "MissingAction"),
        (v1(Version="2014-01-01"), "InvalidVersion"),
        (v1("PUT"), "UnsupportedHTTPMethod"),
        (v1()._replace(path="/api"), "InvalidAction.NotFound"),
    ],
)
def test_a_request_with_the_older_signature(
    request_: Request, expected: str, app: Application
) -> None:
    assert code(send(app, request_)) == expected


def statement(**changes: str) -> str:
    return json.dumps(
        {
            "Version": "1",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", **changes}],
        }
    )


def assume(app: Application, nonce: int, **params: str) -> TestResponse:
    params = {"Action": "AssumeRole", "RoleArn": SIGNER, "RoleSessionName": "alice", **params}
    return send(app, v1("GET", in_form=False, SignatureNonce=f"{nonce}", **params))


def test_a_parameter_that_is_not_valid_has_a_code_of_its_own() -> None:
    closed = f"acs:ram::{ACCOUNT}:role/closed"
    roles = {
        SIGNER: Role(SIGNER, frozenset({OPERATOR}), 43_200),
        closed: Role(closed, frozenset({SIGNER})),
    }
    app = create_app(
        Principals([Principal.of(USER_KEYS, OPERATOR)]), lambda: roles, now=lambda: NOW
    )
    for nonce, (name, value, status, expected) in enumerate(
        [
            ("RoleArn", "", 400, "MissingRoleArn"),
            ("RoleSessionName", "", 400, "MissingRoleSessionName"),
            ("RoleArn", f"{SIGNER}/alice", 400, "InvalidParameter.RoleArn"),
            ("RoleArn", f"acs:ram::{ACCOUNT}:role/other", 404, "EntityNotExist.Role"),
            ("RoleArn", closed, 403, "NoPermission"),
            *(
                ("RoleSessionName", name, 400, "InvalidParameter.RoleSessionName")
                for name in ("a", "a" * 65, "docs/x")
            ),
            ("DurationSeconds", "43201", 400, "InvalidParameter.DurationSeconds"),
            ("Policy", statement(Resource="x" * 2048), 400, "InvalidParameter.PolicySize"),
            ("Policy", "{", 400, "InvalidParameter.PolicyGrammar"),
            ("Policy", statement(Effect="Maybe"), 400, "InvalidParameter.PolicyGrammar"),
            ("Policy", statement(), 200, "OK"),
        ]
    ):
        answer = assume(app, nonce, **{name: value})
        assert (answer.status_code, code(answer)) == (status, expected), (name, value)


def test_a_root_account_may_not_assume_a_role_and_a_user_whose_own_policies_allow_it() -> None:
    principals = Principals()
    app = create_app(principals, lambda: {SIGNER: Role(SIGNER, frozenset({"*"}))}, now=lambda: NOW)
    own = [
        [json.loads(statement(Action="sts:AssumeRole", Resource=arn))]
        for arn in (f"{SIGNER}-other", SIGNER)
    ]
    root = f"acs:ram::{ACCOUNT}:root"
    for nonce, (arn, policies, expected) in enumerate(
        [
            (root, [], "NoPermission"),
            (OPERATOR, [own[0]], "NoPermission"),
            (OPERATOR, [own[1]], "OK"),
        ]
    ):
        principals.add(Principal.of(USER_KEYS, arn, documents=policies))
        answer = assume(app, nonce)
        assert code(answer) == expected
        assert ("root accounts" in answer.text) is (arn == root)


def test_parameters_must_be_utf_8(app: Application) -> None:
    assert b"InvalidParameter" in send(app, Request("GET", "Action=%FF", {})).data


# --- ACS3 -----------------------------------------------------------------------------------------------------


def changed(**headers: str) -> Request:
    """A signed request of which headers are changed, added, or removed (if "")."""
    request = v3({"A": "1"})
    new = {name.replace("_", "-"): value for name, value in headers.items()}
    return request._replace(
        headers={name: value for name, value in {**request.headers, **new}.items() if value}
    )


AUTHORIZATION = changed().headers["Authorization"]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (changed(), "OK"),
        (v3({"Other": "+ *~%/=报", "Empty": ""}), "OK"),
        (changed(user_agent="not signed"), "OK"),
        (changed()._replace(query="A=2"), "SignatureDoesNotMatch"),
        (changed()._replace(method="GET"), "SignatureDoesNotMatch"),
        (changed()._replace(body="A=2"), "IncompleteSignature"),
        (changed(x_acs_version="2014-01-01"), "InvalidVersion"),
        (changed(x_acs_signature_nonce="2"), "SignatureDoesNotMatch"),
        (changed(x_acs_date=rfc3339(NOW + 1)), "SignatureDoesNotMatch"),
        (changed(x_acs_date=rfc3339(NOW + 901)), "InvalidTimeStamp.Expired"),
        (changed(x_acs_date=""), "MissingTimestamp"),
        (changed(x_acs_signature_nonce=""), "MissingSignatureNonce"),
        (changed(x_acs_added="not signed"), "IncompleteSignature"),
        (
            changed(content_type="application/octet-stream"),
            "OK",
        ),  # aiohttp adds it to a POST without a body
        (changed(Authorization=AUTHORIZATION.replace("x-acs-action;", "")), "IncompleteSignature"),
        (
            changed(Authorization=AUTHORIZATION.replace("host;", "host;x-gone;")),
            "IncompleteSignature",
        ),
        (changed(Authorization=AUTHORIZATION[:-1]), "SignatureDoesNotMatch"),
        (changed(Authorization="ACS3-HMAC-SHA256"), "IncompleteSignature"),
    ],
)
def test_a_request_with_acs3(request_: Request, expected: str, app: Application) -> None:
    assert code(send(app, request_)) == expected


@pytest.mark.parametrize(("body", "expected"), [("a", "IncompleteSignature"), ("", "OK")])
def test_only_the_type_of_an_empty_body_may_be_left_unsigned(
    body: str, expected: str, app: Application
) -> None:
    sent = {name: value for name, value in v3().headers.items() if acs3.is_signed(name)}
    sent["x-acs-content-sha256"] = acs3.payload_hash(body.encode())
    names = v4.additional_headers(sent)
    parts = ("POST", "/", "", v4.canonical_headers(sent), names, sent["x-acs-content-sha256"])
    string = acs3.string_to_sign(acs3.canonical_request(*parts))
    signed = acs3.signature(USER_KEYS.access_key_secret, string)
    sent["Authorization"] = str(
        acs3.Authorization(USER_KEYS.access_key_id, tuple(sorted(sent)), signed)
    )
    sent |= {"content-type": "text/plain", "accept": "application/json"}
    assert code(send(app, Request("POST", "", sent, body))) == expected


@pytest.mark.parametrize("make", [v1, v3], ids=["older", "ACS3"])
def test_a_nonce_serves_once(make: Callable[[], Request], app: Application) -> None:
    assert [code(send(app, make())) for _ in range(2)] == ["OK", "SignatureNonceUsed"]


def test_a_request_that_is_refused_does_not_use_its_nonce(app: Application) -> None:
    assert [code(send(app, request)) for request in (v1(Signature="AAAA"), v1())] == [
        "SignatureDoesNotMatch",
        "OK",
    ]


def test_of_equal_requests_at_once_one_is_served(app: Application) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda request: code(send(app, request)), [v3()] * 16))

    assert sorted(codes) == ["OK", *["SignatureNonceUsed"] * 15]


def test_nonces_are_forgotten_once_their_time_is_refused_anyway() -> None:
    nonces = Nonces(life=10)

    assert [nonces.use("A", "1", now) for now in (0, 10, 11)] == [True, False, True]
    assert nonces.use("B", "1", 11)


# --- responses ------------------------------------------------------------------------------------------------


def test_the_response_is_xml_unless_json_is_requested(app: Application) -> None:
    success = send(app, v1(Format="XML"))
    failure = send(app, v1(Format="", Action="Get<&>"))

    assert (
        success.headers["Content-Type"]
        == failure.headers["Content-Type"]
        == "text/xml;charset=utf-8"
    )
    document = ElementTree.fromstring(success.data)
    assert (document.tag, document.findtext("AccountId")) == ("GetCallerIdentityResponse", ACCOUNT)
    document = ElementTree.fromstring(failure.data)
    assert [document.tag, *map(document.findtext, ("Code", "HostId"))] == [
        "Error",
        "InvalidAction.NotFound",
        HOST,
    ]
    assert failure.status_code == 404
    assert document.findtext("RequestId") == failure.headers["x-acs-request-id"]


def test_a_fault_of_the_local_sts_is_a_500_and_prints_no_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(action: str) -> None:
        raise ValueError(USER_KEYS.access_key_secret)

    response = send(create_app(Principals(), dict, before=fail), v1())
    printed = capsys.readouterr().err

    assert (response.status_code, code(response)) == (500, "InternalError")
    assert "ValueError" in printed
    assert USER_KEYS.access_key_secret not in printed


def test_a_test_can_answer_in_place_of_sts() -> None:
    def answer_half(action: str) -> Response:
        return Response(f'{{"Action": "{action}", "Cred')

    answer = send(create_app(Principals(), dict, before=answer_half), v1())
    assert answer.text == '{"Action": "GetCallerIdentity", "Cred'


# --- roles and sessions ---------------------------------------------------------------------------------------


def test_whom_a_role_trusts() -> None:
    for trusted, caller, trusts in (
        (FUNCTION, FUNCTION, True),
        (FUNCTION, f"acs:ram::{ACCOUNT}:assumed-role/links/fc-1", True),
        (FUNCTION, f"acs:ram::{ACCOUNT}:role/links/fc-1", True),
        (FUNCTION, f"acs:ram::{ACCOUNT}:assumed-role/links-other/fc-1", False),
        (FUNCTION, f"acs:ram::{ACCOUNT}:user/links", False),
        (FUNCTION, "acs:ram::1000000000000002:assumed-role/links/fc-1", False),
        (f"acs:ram::{ACCOUNT}:root", f"acs:ram::{ACCOUNT}:user/operator", True),
        (f"acs:ram::{ACCOUNT}:root", "acs:ram::1000000000000002:user/operator", False),
        ("*", "acs:ram::1000000000000002:user/operator", True),
    ):
        assert Role(SIGNER, frozenset({trusted})).trusts(caller) is trusts


def test_an_account_is_its_own_identity() -> None:
    principals = Principals([Principal.of(USER_KEYS, f"acs:ram::{ACCOUNT}:root")])
    identity = json.loads(send(create_app(principals, dict, now=lambda: NOW), v1()).data)

    assert (identity["IdentityType"], identity["AccountId"]) == ("Account", ACCOUNT)


def test_a_token_grows_with_the_policy_and_must_be_encoded() -> None:
    for size in (0, 1, 2, 2048):
        keys = temporary_credentials("x" * size, expires_at=NOW)
        token = keys.security_token or ""
        assert (keys.access_key_id[:4], token[:4]) == ("STS.", "CAIS")
        assert abs(len(token) - 600 - size * 4 / 3) < 10
        assert set("+/=") < set(token)
        assert base64.b64decode(token, validate=True)
    assert temporary_credentials() != temporary_credentials()


ALLOW = {"Effect": "Allow", "Action": ["oss:GetObject"], "Resource": "acs:oss:*:*:examplebucket/*"}


@given(st.text(max_size=20) | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_nothing_else_is_a_policy(string: str) -> None:
    with pytest.raises(StsError, match=r"InvalidParameter\.PolicyGrammar"):
        read_policy(string)


@pytest.mark.parametrize("character", ["x", "é", "季", "\U0001f4c4"])
def test_a_policy_has_at_most_2048_bytes(character: str) -> None:
    statement = {**ALLOW, "Resource": f"{ALLOW['Resource']}{character}"}
    policy = json.dumps({"Version": "1", "Statement": [statement]}, ensure_ascii=False)
    spaces = " " * (2048 - len(policy.encode()))
    assert read_policy(policy + spaces)
    with pytest.raises(StsError, match=r"InvalidParameter\.PolicySize"):
        read_policy(policy + spaces + " ")


def test_the_error_says_which_durations_are_allowed() -> None:
    for maximum, longest in ((3600, "1hr"), (5400, "1.5hr"), (43_200, "12hr")):
        roles = {SIGNER: Role(SIGNER, frozenset({"*"}), maximum)}
        app = create_app(
            Principals([Principal.of(USER_KEYS, OPERATOR)]), roles.copy, now=lambda: NOW
        )
        for nonce, duration in enumerate(("899", "43201", "1h", "-900", "9" * 400)):
            message = json.loads(assume(app, nonce, DurationSeconds=duration).data)["Message"]
            assert message == f"The Min/Max value of DurationSeconds is 15min/{longest}."
