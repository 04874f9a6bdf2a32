"""API keys, on every kind of path."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from unittest.mock import patch

import pytest

from handler.core.auth import access
from handler.core.config import Config
from handler.core.context import Caller
from handler.core.keys import Keys, parse
from tests.handler.client import NOW, Answered, ask, event, invoke
from tests.handler.keys_fixtures import (
    ENDED,
    READER,
    SECRET,
    SHARER,
    STRANGER,
    api,
    base64url,
    config_with,
    document,
    issuer,
)

PATHS = [
    "/reports/q3.pdf",
    "/public/a.txt",
    "/nothing/here.txt",
    "/public/",
    "/-/health",
    "/-/nothing",
    "/-/shares",
]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_with(document(), tmp_path)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


UNKNOWN = {
    "an unknown key": bearer(STRANGER),
    "a key with one character changed": bearer(READER[:-1] + "1"),
    "a key cut off": bearer(READER[:-1]),
}
EXPIRED = {"an expired key": bearer(ENDED)}
MALFORMED = {
    "a key that is much too short": bearer("fcp_"),
    "a key with a line break": bearer(READER + "\n"),
    "a key with a character that is not ASCII": bearer(READER + "é"),
    "a hash in place of the key": bearer(str(document()["api"][0]["sha256"])),
    "a huge key": bearer("fcp_" + "A" * 20_000),
    "Basic with the key": {"Authorization": f"Basic {READER}"},
    "no scheme": {"Authorization": READER},
    "an empty Authorization": {"Authorization": ""},
    "Authorization twice, as a trigger joins it": bearer(f"{READER},Bearer {READER}"),
    "Authorization twice, joined with a space": bearer(f"{READER}, Bearer {READER}"),
    "a bearer that is not a JWT": bearer("opaque-EXAMPLE"),
}
BAD = [
    pytest.param(code, headers, id=name)
    for code, cases in (
        ("unknown_credential", UNKNOWN),
        ("authorization_expired", EXPIRED),
        ("malformed_credential", MALFORMED),
    )
    for name, headers in cases.items()
]


@pytest.mark.parametrize(("code", "headers"), BAD)
def test_a_bad_credential_is_a_401_everywhere(
    code: str, headers: dict[str, str], config: Config
) -> None:
    for path in PATHS:
        answered = ask(path, headers=headers, config=config)
        assert (answered.status, answered.code) == (401, code)
        assert answered.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
        assert "Location" not in answered.headers
        assert (answered.line["code"], answered.line["status"], answered.line["caller"]) == (
            code,
            401,
            None,
        )
        for key in (READER, SHARER, ENDED, STRANGER):
            assert key not in answered.body + answered.printed


def test_the_refusal_of_an_unknown_key_says_that_a_new_one_needs_a_minute(config: Config) -> None:
    answered = ask("/reports/q3.pdf", headers=bearer(STRANGER), config=config)
    assert answered.json["detail"] == (
        "The API key or token is not valid for this service. "
        "Check that it is complete and was issued for this service. A new key works after a minute."
    )


def test_a_bad_credential_is_a_401_whatever_the_method(config: Config) -> None:
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        assert ask("/public/a.txt", method, headers=bearer(STRANGER), config=config).status == 401


def test_no_credential_on_an_authenticated_mount_is_a_401_with_the_scheme_to_use(
    config: Config,
) -> None:
    answered = ask("/reports/q3.pdf", config=config)
    assert (answered.status, answered.code) == (401, "unauthorized")
    assert answered.headers["WWW-Authenticate"] == "Bearer"
    assert ask("/public/a.txt", config=config).status == 302
    assert ask("/nothing/here.txt", config=config).status == 404


def test_a_key_in_another_header_is_none_and_the_answer_says_where_to_send_it(
    config: Config,
) -> None:
    answered = ask("/reports/q3.pdf", headers={"X-Api-Key": READER}, config=config)
    assert (answered.status, answered.code) == (401, "unauthorized")
    assert "Send it in the Authorization header" in answered.json["detail"]
    assert ask("/public/a.txt", headers={"X-Api-Key": "no key"}, config=config).status == 302


@pytest.mark.parametrize("headers", [bearer(READER), {"Authorization": f"BEARER  {READER}"}])
def test_a_valid_key_is_answered_with_json_and_named_in_the_audit_line(
    headers: dict[str, str], config: Config
) -> None:
    answered = ask("/reports/q3.pdf", headers=headers, config=config)
    assert answered.status == 200
    assert answered.headers["Content-Type"] == "application/json"
    assert answered.key == "reports/q3.pdf"
    assert answered.signs("GET")
    assert answered.line["caller"] == "api:reader"
    assert READER not in answered.body + answered.printed


def test_a_request_with_a_key_is_redirected_only_with_format_redirect(config: Config) -> None:
    def status(query: dict[str, str], accept: str = "*/*") -> int:
        return ask(
            "/reports/q3.pdf",
            query=query,
            headers={**bearer(READER), "Accept": accept},
            config=config,
        ).status

    assert status({"format": "redirect"}) == 302
    assert status({"format": "json"}) == 200
    assert status({}, "text/html") == 200
    assert status({"format": "redirect"}, "application/json") == 302
    assert ask("/public/a.txt", headers=bearer(READER), config=config).status == 200


def test_a_key_for_get_may_send_head_and_head_in_an_entry_is_ignored(tmp_path: Path) -> None:
    entries = [api("get", READER, methods=["GET"]), api("head", SHARER, methods=["HEAD", "PUT"])]
    config = config_with(document(api=entries), tmp_path)
    body = json.dumps({"links": [{"path": "/reports/q3.pdf", "method": "HEAD"}]})
    for key, status, signed in ((READER, 302, "url"), (SHARER, 404, "error")):
        response = ask(
            "/reports/q3.pdf", "HEAD", {"format": "redirect"}, bearer(key), config=config
        )
        assert response.status == status
        assert status == 404 or response.signs("HEAD")
        headers = {**bearer(key), "Content-Type": "application/json"}
        request = event("/-/sign", "POST", headers=headers, body=body, isBase64Encoded=False)
        (link,) = invoke(json.dumps(request), config=config).json["links"]
        assert signed in link


def answer_of(answered: Answered) -> tuple[int, dict[str, str], dict[str, object]]:
    body = {name: value for name, value in answered.json.items() if name != "request_id"}
    return answered.status, answered.headers, body


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/plans/secret.pdf", "GET"),
        ("/plans/secret.pdf", "POST"),
        ("/plans/secret.pdf", "HEAD"),
        ("/plans/", "GET"),
    ],
)
def test_a_path_that_a_key_does_not_allow_is_like_a_missing_path(
    path: str, method: str, config: Config
) -> None:
    not_allowed = ask(path, method, headers=bearer(READER), config=config)
    absent = ask("/nothing/here.txt", method, headers=bearer(READER), config=config)
    assert not_allowed.status == 404
    if method != "HEAD":
        assert answer_of(not_allowed) == answer_of(absent)
    line, other = not_allowed.line, absent.line
    for name in ("path", "milliseconds"):
        del line[name], other[name]
    assert line == other
    assert line["caller"] == "api:reader"


def test_the_decoded_path_decides_and_a_prefix_allows_no_path_that_only_begins_like_it(
    tmp_path: Path,
) -> None:
    config = config_with(
        document(api=[api("one", READER, paths=["/reports/q3.pdf", "/reports/2026/"])]), tmp_path
    )
    for path in (
        "/reports/q3.pdf",
        "/reports/%71%33.pdf",
        "/reports/2026/q3.pdf",
        "/reports/2026%2Fq3.pdf",
    ):
        assert ask(path, headers=bearer(READER), config=config).status == 200, path
    for path in (
        "/reports/q3.pdf/x",
        "/reports/q3",
        "/reports/2026-secret/q3.pdf",
        "/reports/2026%252Fq3.pdf",
    ):
        assert ask(path, headers=bearer(READER), config=config).status == 404, path


@pytest.mark.parametrize(("left", "expires_in"), [(600, 600), (1, 1), (0.5, 1)])
def test_a_link_expires_in_the_same_second_as_its_key(
    left: float, expires_in: int, config: Config
) -> None:
    for path in ("/reports/q3.pdf", "/public/a.txt"):
        answered = ask(path, headers=bearer(SHARER), config=config, now=1772347871 - left)
        assert (answered.status, answered.expires_in, answered.json["clamped_by"]) == (
            200,
            expires_in,
            "caller",
        )
        assert answered.json["expires_at"] == "2026-03-01T06:51:11Z"
        for since in (0, 0.5, 86_400):
            ended = ask(path, headers=bearer(SHARER), config=config, now=1772347871 + since)
            assert (ended.status, ended.code) == (401, "authorization_expired")


def test_every_key_is_compared_in_constant_time(config: Config) -> None:
    with patch.object(access, "compare_digest", wraps=hmac.compare_digest) as compared:
        assert ask("/reports/q3.pdf", headers=bearer(READER), config=config).status == 200
        assert ask("/reports/q3.pdf", headers=bearer(STRANGER), config=config).status == 401
    assert compared.call_count == 2 * len(document()["api"])


def test_a_caller_needs_both_the_path_and_the_method() -> None:
    caller = Caller("api:x", "api:x:00", ("/reports/", "/plans/q3.pdf"), ("GET", "SHARE"), None)
    assert caller.allows("/reports/a/b.pdf", "GET")
    assert caller.allows("/plans/q3.pdf", "SHARE")
    assert not caller.allows("/plans/q3.pdf", "PUT")
    assert not caller.allows("/plans/q4.pdf", "GET")
    assert caller.limits(NOW) == ()


def keys(**changes: object) -> Keys:
    return parse(json.dumps(document(**changes)))


def test_an_api_key_is_an_owner_as_long_as_that_very_key_is_listed() -> None:
    before = keys(api=[api("ci", READER), api("other", SHARER)])
    assert len(before.owners()) == 3
    assert keys(api=[api("other", SHARER)]).owners() < before.owners()
    assert (
        keys(api=[api("ci", READER, methods=["SHARE"]), api("other", SHARER)]).owners()
        == before.owners()
    )
    assert not keys(api=[api("ci", STRANGER), api("other", SHARER)]).owners() >= before.owners()


def owner(**changes: object) -> str:
    """The owner that an issuer's entry is."""
    (only,) = keys(api=[], jwt=[issuer(**changes)]).owners()
    return only


def test_an_issuer_is_an_owner_as_long_as_that_very_entry_is_listed() -> None:
    assert keys(api=[], jwt=[]).owners() == frozenset()
    one = owner(id="one")
    assert owner(id="one", secret=base64url(b"another secret, of thirty-two bytes")) == one
    assert owner(id="one", paths=["/plans/"], methods=["SHARE"], leeway=5, max_share="1d") == one
    others = {
        one,
        owner(id="two"),
        owner(id="one", iss="https://id.example.com:8443"),
        owner(iss="https://id.example.com:id:one"),
        owner(),
    }
    assert len(others) == 5


def test_without_an_id_the_secret_or_the_public_keys_identify_the_entry() -> None:
    one = owner()
    assert owner(paths=["/plans/"], methods=["SHARE"], leeway=5, aud="another") == one
    assert owner(secret=base64url(b"another secret, of thirty-two bytes")) != one
    public = {"kty": "EC", "crv": "P-256", "x": base64url(b"x" * 32), "y": base64url(b"y" * 32)}
    other = {**public, "x": base64url(b"z" * 32)}
    es256 = [owner(alg="ES256", secret=None, jwks={"keys": [each]}) for each in (public, other)]
    assert len({one, *es256}) == 3
    assert (
        owner(alg="ES256", secret=None, jwks={"keys": [dict(reversed(public.items()))]}) == es256[0]
    )
    assert base64url(SECRET) not in one
