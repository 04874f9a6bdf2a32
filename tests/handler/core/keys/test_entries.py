"""`python -m handler.commands keys` adds and removes sinks and issuers, and keeps their secrets out of sight."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from handler.core.keys import parse
from handler.notices.sinks import KINDS, read_sink
from handler.notices.sinks.base import webhook_key
from tests.handler.core.keys.command import ADD, HS256, URL, WEBHOOK, KeysCli, Result, Terminal
from tests.handler.keys_fixtures import SECRET, base64url, document

JWKS = {
    "RS256": {"keys": [{"kty": "RSA", "kid": "1", "n": base64url(b"\xff" * 256), "e": "AQAB"}]},
    "ES256": {
        "keys": [{"kty": "EC", "kid": "1", "crv": "P-256", "x": base64url(b"x" * 32), "y": base64url(b"y" * 32)}]
    },
}


def run_with(cli: KeysCli, content: str, *arguments: str) -> Result:
    """Runs a command with this on its standard input."""
    with patch.object(sys, "stdin", io.StringIO(content)):
        return cli.run(*arguments)


def test_add_sink_makes_the_secret_of_a_webhook_and_prints_only_it(existing: KeysCli) -> None:
    result = existing.run(*WEBHOOK)
    assert result.status == 0
    secret = result.out.removesuffix("\n")
    assert len(webhook_key(secret) or b"") == 32
    assert "Save this secret now" in result.err
    assert existing.document["sinks"] == {
        **document()["sinks"],
        "ops": {"kind": "webhook", "url": URL, "secret": secret},
    }
    assert read_sink("ops", existing.document["sinks"]["ops"], KINDS).retry_for == 3 * 86_400
    shown = existing.run("show").out
    assert "ops: webhook" in shown
    assert secret not in result.err + shown
    assert "access_token" not in result.err + shown


def test_each_webhook_has_a_secret_of_its_own(existing: KeysCli) -> None:
    assert existing.run(*WEBHOOK).out != existing.run("add-sink", "other", *WEBHOOK[2:]).out


def test_the_address_and_the_secret_of_a_robot_are_read_from_standard_input(existing: KeysCli) -> None:
    arguments = ("add-sink", "team", "--kind", "dingtalk", "--url", "-", "--secret", "-", "--retry-for", "12h")
    assert existing.run("remove-sink", "team").status == 0
    result = run_with(existing, f"{URL}\r\n  SECEXAMPLE\n", *arguments)
    assert result.status == 0, result.err
    assert existing.document["sinks"]["team"] == {
        "kind": "dingtalk",
        "url": URL,
        "secret": "SECEXAMPLE",
        "retry_for": "12h",
    }
    assert "Added the sink team." in result.out
    assert "SECEXAMPLE" not in result.out + result.err
    assert "access_token" not in result.out + result.err


def test_a_sink_that_is_not_signed_has_no_secret(existing: KeysCli) -> None:
    assert run_with(existing, URL, "add-sink", "chat", "--kind", "slack", "--url", "-").status == 0
    assert existing.document["sinks"]["chat"] == {"kind": "slack", "url": URL}


def test_a_sink_of_a_laptop_may_be_on_the_laptop(existing: KeysCli) -> None:
    local = ("add-sink", "ops", "--kind", "webhook", "--url", "http://127.0.0.1:9100/")
    assert existing.run(*local).status == 2
    assert existing.run(*local, "--allow-loopback").status == 0
    assert existing.document["sinks"]["ops"]["allow_loopback"] is True


def test_the_prompt_for_an_address_on_a_terminal_does_not_show_it(existing: KeysCli) -> None:
    with patch.object(sys, "stdin", Terminal()), patch("getpass.getpass", return_value=URL) as prompt:
        assert existing.run("add-sink", "chat", "--kind", "slack", "--url", "-").status == 0
    prompt.assert_called_once_with("--url: ")
    assert existing.document["sinks"]["chat"]["url"] == URL


@pytest.mark.parametrize(
    ("other", "kind", "name", "left"),
    [(WEBHOOK, "sink", "team", "ops"), (HS256, "issuer", "https://id.example.com", "https://new.example.com")],
)
def test_only_what_is_named_is_removed(
    other: tuple[str, ...], kind: str, name: str, left: str, existing: KeysCli
) -> None:
    assert existing.run(*other).status == 0
    result, again = (existing.run(f"remove-{kind}", name) for _ in range(2))
    assert (result.status, result.err) == (0, "")
    assert f"Removed the {kind} {name}." in result.out
    assert again.status == 1
    assert f"There is no {kind} {name} (existing: {left})." in again.err


def test_add_issuer_makes_a_secret_and_prints_only_it(existing: KeysCli) -> None:
    result = existing.run(*HS256, "--path", "/reports/", "--method", "GET", "--method", "SHARE", "--max-share", "30d")
    assert result.status == 0, result.err
    secret = result.out.removesuffix("\n")
    entry = existing.document["jwt"][-1]
    assert len(entry.pop("id")) == 16
    assert entry == {
        "iss": "https://new.example.com",
        "aud": "links",
        "alg": "HS256",
        "secret": secret,
        "paths": ["/reports/"],
        "methods": ["GET", "SHARE"],
        "max_share": "30d",
    }
    assert len(parse(existing.read() or b"").jwt[-1].secret) == 32
    assert secret not in result.err + existing.run("show").out


def test_the_secret_of_an_issuer_is_read_from_standard_input(existing: KeysCli) -> None:
    result = run_with(existing, base64url(SECRET) + "\n", *HS256, "--secret", "-", "--leeway", "30")
    assert result.status == 0, result.err
    assert "Added the issuer https://new.example.com." in result.out
    assert base64url(SECRET) not in result.out + result.err
    issuer = parse(existing.read() or b"").jwt[-1]
    assert (issuer.secret, issuer.paths, issuer.methods, issuer.leeway) == (SECRET, None, None, 30)


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
@pytest.mark.parametrize("source", ["file", "stdin"])
def test_the_public_keys_of_an_issuer_come_from_a_file_or_standard_input(
    alg: str, source: str, existing: KeysCli, tmp_path: Path
) -> None:
    jwks = json.dumps(JWKS[alg], indent=2)
    (tmp_path / "jwks.json").write_text(jwks)
    arguments = ("add-issuer", "https://new.example.com", "--aud", "links", "--alg", alg, "--jwks")
    result = run_with(existing, jwks, *arguments, "-" if source == "stdin" else str(tmp_path / "jwks.json"))
    assert result.status == 0, result.err
    assert parse(existing.read() or b"").jwt[-1].alg == alg
    assert existing.document["jwt"][-1]["jwks"] == JWKS[alg]


def test_an_issuer_that_is_added_again_does_not_own_its_old_shares(existing: KeysCli) -> None:
    owners = []
    for _ in range(2):
        assert run_with(existing, base64url(SECRET), *HS256, "--secret", "-").status == 0
        owners.append(parse(existing.read() or b"").jwt[-1].owner)
        assert existing.run("remove-issuer", "https://new.example.com").status == 0
    assert owners[0] != owners[1]


SECRETS = (URL, "0000EXAMPLE", "SECEXAMPLE", "c2hvcnQ")
SINK = ("add-sink", "ops", "--kind")
REFUSALS = [
    (("add-sink",), "", "required"),
    ((*SINK, "email", "--url", URL), "", "invalid choice"),
    (("add-sink", "a b", *WEBHOOK[2:]), "", "invalid name"),
    ((*SINK, "webhook"), "", "--url"),
    ((*SINK, "webhook", "--url", "ftp://x/0000EXAMPLE"), "", "url must begin with https://"),
    ((*SINK, "webhook", "--url", "-"), "", "--url - requires a line on standard input"),
    ((*SINK, "webhook", "--url", "-", "--secret", "-"), URL, "--secret - requires a line on standard input"),
    ((*WEBHOOK, "--secret", "SECEXAMPLE"), "", "whsec_"),
    ((*SINK, "dingtalk", "--url", URL), "", "secret is required"),
    ((*SINK, "wecom", "--url", URL, "--secret", "SECEXAMPLE"), "", "secret is not allowed"),
    ((*SINK, "wecom", "--url", URL, "--output", "new.key"), "", "--output"),
    ((*WEBHOOK, "--retry-for", "59m"), "", "retry_for"),
    (("remove-sink",), "", "NAME"),
    (("add-issuer", "https://new.example.com"), "", "--aud"),
    (("add-issuer", "https://new.example.com", "--aud", "links", "--alg", "none"), "", "invalid choice"),
    ((*HS256, "--secret", "-"), "", "--secret - requires a line on standard input"),
    ((*HS256, "--secret", "-"), "c2hvcnQ", "secret has 5 bytes"),
    ((*HS256, "--jwks", "-"), "{}", "--jwks requires --alg RS256 or ES256"),
    ((*HS256[:-1], "RS256"), "", "--alg RS256 requires --jwks"),
    ((*HS256[:-1], "RS256", "--secret", "-", "--jwks", "-"), "", "--secret requires --alg HS256"),
    ((*HS256[:-1], "RS256", "--jwks", "-"), "{", "--jwks: standard input is not valid JSON"),
    ((*HS256[:-1], "RS256", "--jwks", "-"), "[]", "jwks must be an object"),
    ((*HS256[:-1], "RS256", "--jwks", "missing.json"), "", "--jwks: missing.json cannot be read"),
    ((*HS256[:-1], "ES256", "--jwks", "-"), '{"keys": [{"kty": "EC", "d": "c2hvcnQ"}]}', "is a private key"),
    ((*HS256, "--path", "reports/"), "", "invalid path"),
    ((*HS256, "--method", "DELETE"), "", "invalid choice"),
    ((*HS256, "--method", "GET", "--max-share", "30d"), "", "--max-share requires --method SHARE"),
    ((*HS256, "--max-share", "59s"), "", "invalid duration"),
    ((*HS256, "--leeway", "61"), "", "leeway must be an integer from 0 to 60"),
    ((*HS256, "--leeway", "soon"), "", "--leeway"),
    (("remove-issuer",), "", "ISS"),
    ((*WEBHOOK, "--secrte", "whsec_SECEXAMPLE"), "", "unrecognized arguments: --secrte\n"),
    ((*WEBHOOK, "--secrte=SECEXAMPLE", "-x", "-SECEXAMPLE"), "", "unrecognized arguments: --secrte -x\n"),
    ((*SINK, "dingtalk", "--url", "-", URL), "", "unrecognized arguments\n"),
    (("add-sink", "--ulr", URL, *WEBHOOK[1:]), "", "argument NAME: invalid name (expected"),
    (("--secrte", "SECEXAMPLE", *WEBHOOK), "", "argument COMMAND: invalid choice (choose from"),
    ((*HS256[:-1], "SECEXAMPLE (a b)"), "", "argument --alg: invalid choice (choose from"),
    ((*WEBHOOK, "--allow-loopback=whsec_SECEXAMPLE0000"), "", "argument --allow-loopback: ignored explicit argument"),
    ((*WEBHOOK, "--ke=SECEXAMPLE", "--k=SECEXAMPLE"), "", "ambiguous option: --k could match"),
    ((*HS256, "--leeway", "SECEXAMPLE"), "", "argument --leeway: invalid int value\n"),
]


@pytest.mark.parametrize(("arguments", "content", "sentence"), REFUSALS)
def test_what_is_invalid_exits_with_2_changes_nothing_and_shows_no_secret(
    arguments: tuple[str, ...], content: str, sentence: str, existing: KeysCli
) -> None:
    before = existing.read()
    result = run_with(existing, content, *arguments)
    assert (result.status, result.out) == (2, "")
    assert sentence in result.err
    assert not any(secret in result.err for secret in SECRETS)
    assert existing.read() == before
    assert existing.locks() == []


@pytest.mark.parametrize("command", [ADD, WEBHOOK, HS256], ids=lambda command: str(command[0]))
def test_output_writes_what_would_be_printed_to_a_file_that_only_its_owner_can_read(
    command: tuple[str, ...], existing: KeysCli, tmp_path: Path
) -> None:
    file = tmp_path / "new.key"
    result = existing.run(*command, "--output", str(file))
    assert (result.status, result.out) == (0, "")
    assert str(file) in result.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = file.read_text()
    assert secret.startswith({"add-api-key": "fcp_", "add-sink": "whsec_"}.get(command[0], ""))
    assert secret.endswith("\n")
    assert len(secret) > 40
    assert secret.strip() not in result.err


@pytest.mark.parametrize("command", [ADD, WEBHOOK, HS256], ids=lambda command: str(command[0]))
@pytest.mark.parametrize("problem", ["exists", "missing folder"])
def test_where_the_file_cannot_be_written_nothing_is_added(
    command: tuple[str, ...], problem: str, existing: KeysCli, tmp_path: Path
) -> None:
    before = existing.read()
    file = tmp_path / ("new.key" if problem == "exists" else "missing/new.key")
    if problem == "exists":
        file.write_text("an earlier key")
    result = existing.run(*command, "--output", str(file))
    assert (result.status, result.out) == (1, "")
    assert "new.key" in result.err
    assert "was not added" in result.err
    assert result.err.count("\n") == 1
    assert existing.read() == before
    assert existing.locks() == []
    if problem == "exists":
        assert file.read_text() == "an earlier key"
