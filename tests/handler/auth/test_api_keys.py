"""Who asks: API keys, in either header, on every kind of path."""

from __future__ import annotations

import hmac
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

import pytest

from handler import auth
from handler.config import Config
from handler.context import Caller
from handler.keys import Keys, parse
from tests.handler.client import NOW, Answered, ask, event
from tests.handler.keys_fixtures import ENDED, LINKS, READER, SHARER, STRANGER, api, document, issuer, policy_with

PATHS = [
    "/reports/q3.pdf",
    "/public/a.txt",
    "/nothing/here.txt",
    "/",
    "/public/",
    "/-/health",
    "/-/nothing",
    "/-/shares",
]


@pytest.fixture
def under(tmp_path: Path) -> Config:
    return policy_with(document(), tmp_path)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


BAD: dict[str, tuple[str, Mapping[str, str]]] = {
    "an unknown key": ("unknown_credential", bearer(STRANGER)),
    "an unknown key in X-Api-Key": ("unknown_credential", {"X-Api-Key": STRANGER}),
    "a key with one character changed": ("unknown_credential", bearer(READER[:-1] + "1")),
    "a key in other letters": ("unknown_credential", bearer("fcp_" + READER[4:].upper())),
    "a key cut off": ("unknown_credential", bearer(READER[:-1])),
    "a key with one more character": ("unknown_credential", bearer(READER + "0")),
    "a key that has ended": ("ended_credential", bearer(ENDED)),
    "an ended key in X-Api-Key": ("ended_credential", {"X-Api-Key": ENDED}),
    "a key that is much too short": ("malformed_credential", bearer("fcp_")),
    "a key with a space": ("malformed_credential", bearer("fcp_reader EXAMPLE_00000000000000000000000000")),
    "a key with a line break": ("malformed_credential", {"X-Api-Key": READER + "\n"}),
    "a key with a character that is not ASCII": ("malformed_credential", {"X-Api-Key": READER + "é"}),
    "a hash in place of the key": ("malformed_credential", {"X-Api-Key": str(document()["api"][0]["sha256"])}),
    "a huge key": ("malformed_credential", bearer("fcp_" + "A" * 20_000)),
    "Basic": ("malformed_credential", {"Authorization": "Basic cmVhZGVyOkVYQU1QTEU="}),
    "Basic with the key": ("malformed_credential", {"Authorization": f"Basic {READER}"}),
    "no scheme": ("malformed_credential", {"Authorization": READER}),
    "a scheme alone": ("malformed_credential", {"Authorization": "Bearer"}),
    "a scheme and a space": ("malformed_credential", {"Authorization": "Bearer "}),
    "an empty Authorization": ("malformed_credential", {"Authorization": ""}),
    "an empty X-Api-Key": ("malformed_credential", {"X-Api-Key": ""}),
    "two words": ("malformed_credential", bearer(f"{READER} {READER}")),
    "Authorization twice, as a trigger joins it": ("malformed_credential", bearer(f"{READER},Bearer {READER}")),
    "Authorization twice, joined with a space": ("malformed_credential", bearer(f"{READER}, Bearer {READER}")),
    "X-Api-Key twice": ("malformed_credential", {"X-Api-Key": f"{READER},{READER}"}),
    "X-Api-Key with a scheme": ("malformed_credential", {"X-Api-Key": f"Bearer {READER}"}),
    "a token in X-Api-Key": ("malformed_credential", {"X-Api-Key": "e30.e30.AAAA"}),
    "a bearer that is no JWT": ("malformed_credential", bearer("opaque-EXAMPLE")),
    "two good keys that differ": ("malformed_credential", {**bearer(READER), "X-Api-Key": SHARER}),
    "a good and a bad key": ("malformed_credential", {**bearer(READER), "X-Api-Key": STRANGER}),
    "a good key and Basic": ("malformed_credential", {"Authorization": "Basic eDp5", "X-Api-Key": READER}),
    "a good key and an empty header": ("malformed_credential", {"Authorization": "", "X-Api-Key": READER}),
}


@pytest.mark.parametrize(("code", "headers"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("path", PATHS)
def test_a_bad_credential_is_a_401_everywhere(path: str, code: str, headers: dict[str, str], under: Config) -> None:
    answered = ask(path, headers=headers, under=under)
    assert (answered.status, answered.code) == (401, code)
    assert answered.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert "Location" not in answered.headers
    assert (answered.line["code"], answered.line["status"], answered.line["caller"]) == (code, 401, None)
    for key in (READER, SHARER, ENDED, STRANGER):
        assert key not in answered.body + answered.printed


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_a_bad_credential_is_a_401_whatever_the_method(method: str, under: Config) -> None:
    assert ask("/public/a.txt", method, headers=bearer(STRANGER), under=under).status == 401


def test_no_credential_on_an_authenticated_mount_is_a_401_that_says_what_to_send(under: Config) -> None:
    answered = ask("/reports/q3.pdf", under=under)
    assert (answered.status, answered.code) == (401, "unauthorized")
    assert answered.headers["WWW-Authenticate"] == "Bearer"


def test_no_credential_elsewhere_is_answered_as_ever(under: Config) -> None:
    assert ask("/public/a.txt", under=under).status == 302
    assert ask("/nothing/here.txt", under=under).status == 404


@pytest.mark.parametrize(
    "headers",
    [
        bearer(READER),
        {"X-Api-Key": READER},
        {"Authorization": f"bearer {READER}"},
        {"Authorization": f"BEARER  {READER}"},
        {**bearer(READER), "X-Api-Key": READER},
    ],
)
def test_a_good_key_is_answered_with_json_and_the_audit_line_names_it(headers: dict[str, str], under: Config) -> None:
    answered = ask("/reports/q3.pdf", headers=headers, under=under)
    assert answered.status == 200
    assert answered.headers["Content-Type"] == "application/json"
    assert answered.key == "reports/q3.pdf"
    assert answered.signs("GET")
    assert answered.line["caller"] == "api:reader"
    assert READER not in answered.body + answered.printed


def test_a_key_is_redirected_only_where_it_says_so(under: Config) -> None:
    def status(query: dict[str, str], accept: str = "*/*") -> int:
        return ask("/reports/q3.pdf", query=query, headers={**bearer(READER), "Accept": accept}, under=under).status

    assert status({"format": "redirect"}) == 302
    assert status({"format": "json"}) == 200
    assert status({}, "text/html") == 200
    assert status({"format": "redirect"}, "application/json") == 302
    assert ask("/public/a.txt", headers=bearer(READER), under=under).status == 200


def answer_of(answered: Answered) -> tuple[int, dict[str, str], dict[str, object]]:
    body = {name: value for name, value in answered.json.items() if name != "request_id"}
    return answered.status, answered.headers, body


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/plans/secret.pdf", "GET"),
        ("/plans/secret.pdf", "HEAD"),
        ("/plans/secret.pdf", "POST"),
        ("/reports/q3.pdf", "HEAD"),
        ("/reports", "GET"),
        ("/reports/", "GET"),
    ],
)
def test_what_a_key_does_not_reach_is_as_if_it_were_not_there(path: str, method: str, under: Config) -> None:
    refused = ask(path, method, headers=bearer(READER), under=under)
    absent = ask("/nothing/here.txt", method, headers=bearer(READER), under=under)
    assert refused.status == 404
    if method != "HEAD":
        assert answer_of(refused) == answer_of(absent)
    line, other = refused.line, absent.line
    for name in ("path", "milliseconds"):
        del line[name], other[name]
    assert line == other
    assert line["caller"] == "api:reader"


def test_a_key_for_one_path_opens_that_path_alone(tmp_path: Path) -> None:
    under = policy_with(document(api=[api("one", READER, paths=["/reports/q3.pdf"])]), tmp_path)
    for path, status in (
        ("/reports/q3.pdf", 200),
        ("/reports/q3.pdf.bak", 404),
        ("/reports/q3.pdf/x", 404),
        ("/reports/q3", 404),
        ("/reports/%71%33.pdf", 200),
        ("/reports/Q3.pdf", 404),
    ):
        assert ask(path, headers=bearer(READER), under=under).status == status, path


def test_a_prefix_opens_nothing_that_only_begins_like_it(tmp_path: Path) -> None:
    under = policy_with(document(api=[api("year", READER, paths=["/reports/2026/"])]), tmp_path)
    assert ask("/reports/2026/q3.pdf", headers=bearer(READER), under=under).status == 200
    assert ask("/reports/2026-secret/q3.pdf", headers=bearer(READER), under=under).status == 404
    assert ask("/reports/2026%2Fq3.pdf", headers=bearer(READER), under=under).status == 200
    assert ask("/reports/2026%252Fq3.pdf", headers=bearer(READER), under=under).status == 404


@pytest.mark.parametrize(("left", "expires_in"), [(600, 600), (1, 1), (0.5, 1)])
def test_a_link_ends_on_the_second_with_its_key(left: float, expires_in: int, under: Config) -> None:
    answered = ask("/reports/q3.pdf", headers=bearer(SHARER), under=under, now=1772347871 - left)
    assert (answered.status, answered.expires_in, answered.json["clamped_by"]) == (200, expires_in, "caller")
    assert answered.json["expires_at"] == "2026-03-01T06:51:11Z"


@pytest.mark.parametrize("since", [0, 0.5, 1, 86_400])
def test_a_key_that_has_ended_opens_nothing(since: float, under: Config) -> None:
    answered = ask("/reports/q3.pdf", headers=bearer(SHARER), under=under, now=1772347871 + since)
    assert (answered.status, answered.code) == (401, "ended_credential")


def test_a_link_is_as_long_as_the_mount_says_where_the_key_does_not_end(under: Config) -> None:
    answered = ask("/reports/q3.pdf", headers=bearer(READER), under=under)
    assert (answered.expires_in, answered.json["clamped_by"]) == (900, None)


def test_a_key_on_an_anonymous_mount_gets_no_link_that_outlives_it(under: Config) -> None:
    answered = ask("/public/a.txt", headers=bearer(SHARER), under=under, now=1772347871 - 60)
    assert (answered.expires_in, answered.line["caller"]) == (60, "api:sharer")


def test_every_key_is_compared_and_each_in_constant_time(under: Config) -> None:
    with patch.object(auth, "compare_digest", wraps=hmac.compare_digest) as compared:
        assert ask("/reports/q3.pdf", headers=bearer(READER), under=under).status == 200
        assert ask("/reports/q3.pdf", headers=bearer(STRANGER), under=under).status == 401
    assert compared.call_count == 2 * len(document()["api"])


def test_a_redirect_without_a_credential_reads_no_keys_and_imports_nothing_for_them(tmp_path: Path) -> None:
    (tmp_path / "links.toml").write_text(LINKS)
    program = (
        "import sys, json, handler\n"
        "answer = handler.on_http(sys.stdin.buffer.read(), None)\n"
        "print(json.dumps([answer['statusCode'], sorted(name for name in sys.modules)]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(event("/public/a.txt")).encode(),
        capture_output=True,
        cwd=Path(__file__).parents[3],
        env={
            "LINK_CONFIG": str(tmp_path / "links.toml"),
            "OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE",
            "OSS_ACCESS_KEY_SECRET": "secretEXAMPLE",
        },
        check=True,
        timeout=60,
    )
    status, modules = json.loads(ran.stdout.splitlines()[-1])
    assert status == 302
    assert {"handler.auth", "handler.keys", "handler.oss", "jwt", "requests"}.isdisjoint(modules)
    assert "handler.endpoints.objects" in modules


def test_a_caller_reaches_what_path_and_method_allow_together() -> None:
    caller = Caller("api:x", "api", "api:x:00", ("/reports/", "/plans/q3.pdf"), ("GET", "SHARE"), None)
    assert caller.allows("/reports/a/b.pdf", "GET")
    assert caller.allows("/plans/q3.pdf", "SHARE")
    assert not caller.allows("/plans/q3.pdf", "PUT")
    assert not caller.allows("/plans/q4.pdf", "GET")
    assert not caller.allows("/reportsa", "GET")
    assert caller.limits(NOW) == ()


def test_the_path_slash_is_every_path() -> None:
    assert Caller("api:x", "api", "m", ("/",), ("GET",), None).allows("/any/where", "GET")


def keys(**changes: object) -> Keys:
    return parse(json.dumps(document(**changes)))


def test_a_maker_is_there_as_long_as_his_very_key_is() -> None:
    before = keys(api=[api("ci", READER), api("other", SHARER)])
    assert len(before.owners()) == 3
    assert keys(api=[api("other", SHARER)]).owners() < before.owners()
    assert keys(api=[api("ci", READER, methods=["SHARE"]), api("other", SHARER)]).owners() == before.owners()
    assert not keys(api=[api("ci", STRANGER), api("other", SHARER)]).owners() >= before.owners()


def test_an_issuer_is_a_maker_as_long_as_it_is_listed() -> None:
    assert keys(api=[]).owners() == {"jwt:https://id.example.com"}
    assert keys(api=[], jwt=[issuer(iss="https://id.example.com:8443")]).owners() == {"jwt:https://id.example.com:8443"}
    assert keys(api=[], jwt=[]).owners() == frozenset()


def test_a_callers_maker_is_among_the_makers(under: Config) -> None:
    found = auth._api_caller(keys(), READER, NOW)
    assert found.owner in keys().owners()
