"""`python -m handler.commands keys`: every command, with a file and with OSS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from handler.commands.keys import main
from handler.core.keys import parse
from tests.handler.core.keys.command import ADD, KeysCli
from tests.handler.keys_fixtures import READER, SECRET, base64url, document, hash_of, issuer


def test_init_creates_a_valid_document_with_one_share_key(cli: KeysCli) -> None:
    result = cli.run("init")
    assert (result.status, result.err) == (0, "")
    keys = parse(cli.read() or b"")
    assert (len(keys.share), keys.api, keys.jwt, keys.sinks) == (1, (), (), {})
    assert len(keys.share[0].secret) == 32
    assert keys.share[0].id in result.out
    assert cli.document["share"][0]["secret"] not in result.out
    assert cli.locks() == []


@pytest.mark.parametrize("content", [json.dumps(document()).encode(), b""])
def test_init_overwrites_nothing(content: bytes, cli: KeysCli) -> None:
    cli.write(content)
    result = cli.run("init")
    assert (result.status, result.out) == (1, "")
    assert "A keys document exists at" in result.err
    assert cli.read() == content
    assert cli.locks() == []


def test_rotate_share_adds_a_key_that_signs_and_keeps_the_others(existing: KeysCli) -> None:
    before = existing.document["share"]
    assert existing.run("rotate-share").status == 0
    result = existing.run("rotate-share")
    assert result.status == 0
    after = existing.document["share"]
    assert after[:-2] == before
    assert len({key[member] for key in after for member in ("id", "secret")}) == 8
    assert after[-1]["id"] in result.out
    assert after[-1]["secret"] not in result.out
    assert {**existing.document, "share": before} == document()
    assert len(parse(existing.read() or b"").share[-1].secret) == 32


@pytest.mark.parametrize(("retired", "left"), [("old", "new"), ("new", "old")])
def test_retire_removes_a_share_key_and_replaces_the_one_that_signs(retired: str, left: str, in_file: KeysCli) -> None:
    result = in_file.run("rotate-share", "--retire", retired)
    assert (result.status, retired in result.out) == (0, True)
    after = in_file.read()
    ids = [key["id"] for key in in_file.document["share"]]
    assert ids == ([left] if retired == "old" else [left, ids[-1]])
    assert {**in_file.document, "share": document()["share"]} == document()
    again = in_file.run("rotate-share", "--retire", retired)
    assert (again.status, again.out, in_file.read()) == (1, "", after)
    assert f"There is no share key {retired} (existing: {', '.join(ids)})." in again.err


def test_show_prints_everything_but_secrets(existing: KeysCli) -> None:
    entry = issuer(iss="https://other.example.com", paths=None, methods=None, max_share="12h")
    existing.write(json.dumps(document(jwt=[issuer(), entry])).encode())
    result = existing.run("show")
    assert (result.status, result.err) == (0, "")
    for fact in (
        *("old", "new", "reader: GET on /reports/; never expires", "ended: GET", "expired 2026-03-01T06:51:11Z"),
        "https://id.example.com: HS256, audience links",
        "the methods of the token on the paths of the token; shares of at most 12 hours",
        "team: webhook",
        existing.place,
    ):
        assert fact in result.out
    for secret in (base64url(b"o" * 32), base64url(b"n" * 32), base64url(SECRET), hash_of(READER), "hooks.example"):
        assert secret not in result.out


INVALID = json.dumps(document(share=[{"id": "a", "secret": "c2hvcnQ"}])).encode()


@pytest.mark.parametrize("command", [ADD, ("show",)])
@pytest.mark.parametrize(
    ("content", "says"), [(None, "python -m handler.commands keys init"), (INVALID, "share 1")], ids=["none", "invalid"]
)
def test_a_missing_or_invalid_document_is_reported_and_not_changed(
    command: tuple[str, ...], content: bytes | None, says: str, cli: KeysCli
) -> None:
    if content is not None:
        cli.write(content)
    result = cli.run(*command)
    assert (result.status, result.out, cli.read(), cli.locks()) == (1, "", content, [])
    assert says in result.err
    assert "c2hvcnQ" not in result.err


@pytest.mark.parametrize(
    "keys",
    [
        *("keys.json", "file:", "https://example.com/keys.json", "s3://bucket/key", "oss:/a/b"),
        *("oss://B/keys.json", "oss://examplebucket", "oss://examplebucket/.links/"),
    ],
)
def test_an_invalid_place_exits_with_2(keys: str, in_file: KeysCli) -> None:
    result = in_file.run("show", keys=keys)
    assert (result.status, result.out) == (2, "")
    assert ("Invalid bucket name 'B'" if "//B/" in keys else "oss://bucket") in result.err


def test_options_may_stand_before_the_command_or_after_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = f"file:{tmp_path / 'keys.json'}"
    assert main(["init", "--keys", place]) == 0
    assert main(["--keys", place, "show"]) == 0
    assert main(["show", "--keys", place]) == 0
    assert capsys.readouterr().err == ""
