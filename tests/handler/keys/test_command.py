"""`python -m handler.keys`: every command, against a file and against OSS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from handler.keys import parse
from handler.keys.__main__ import main
from tests.handler.keys.command import ADD, Desk, opened
from tests.handler.keys_fixtures import READER, SECRET, base64url, document, hash_of, issuer


@pytest.fixture(params=["file", "oss"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with opened(request.param, tmp_path, capsys) as found:
        yield found


@pytest.fixture
def made(desk: Desk) -> Desk:
    desk.write(json.dumps(document()).encode())
    return desk


def test_init_makes_a_good_document_with_one_share_key(desk: Desk) -> None:
    ran = desk.run("init")
    assert (ran.status, ran.err) == (0, "")
    keys = parse(desk.read() or b"")
    assert (len(keys.share), keys.api, keys.jwt, keys.sinks) == (1, (), (), {})
    assert len(keys.share[0].secret) == 32
    assert keys.share[0].id in ran.out
    assert desk.document["share"][0]["secret"] not in ran.out
    assert desk.read(".lock") is None


def test_two_documents_have_nothing_in_common(desk: Desk, tmp_path: Path) -> None:
    assert desk.run("init").status == 0
    assert desk.run("init", keys=f"file:{tmp_path / 'another.json'}").status == 0
    one, two = desk.document["share"][0], json.loads((tmp_path / "another.json").read_bytes())["share"][0]
    assert one["secret"] != two["secret"]
    assert one["id"] != two["id"]


@pytest.mark.parametrize("there", [json.dumps(document()).encode(), b"", b"{"])
def test_init_overwrites_nothing(there: bytes, desk: Desk) -> None:
    desk.write(there)
    ran = desk.run("init")
    assert (ran.status, ran.out) == (1, "")
    assert "left as it is" in ran.err
    assert desk.read() == there
    assert desk.read(".lock") is None


def test_add_api_key_prints_the_key_alone_and_keeps_its_hash(made: Desk) -> None:
    ran = made.run(*ADD, "--path", "/plans/q3.pdf", "--method", "SHARE")
    assert ran.status == 0
    key = ran.out.removesuffix("\n")
    assert key.startswith("fcp_")
    assert len(key) == 47
    assert key.isprintable()
    assert " " not in key
    entry = made.document["api"][-1]
    assert entry == {
        "id": "ci",
        "sha256": sha256(key.encode()).hexdigest(),
        "paths": ["/reports/", "/plans/q3.pdf"],
        "methods": ["GET", "SHARE"],
        "expires_at": None,
    }
    assert key.encode() not in (made.read() or b"")
    assert key not in ran.err
    assert key not in made.run("show").out


def test_an_api_key_may_end(made: Desk) -> None:
    with patch("handler.keys.__main__.time", SimpleNamespace(time=lambda: 1_772_347_271.9)):
        assert made.run(*ADD, "--expires", "90d").status == 0
    assert made.document["api"][-1]["expires_at"] == "2026-05-30T06:41:11Z"


def test_a_path_or_method_that_is_said_twice_is_kept_once(made: Desk) -> None:
    assert made.run(*ADD, "--path", "/reports/", "--method", "GET").status == 0
    assert (made.document["api"][-1]["paths"], made.document["api"][-1]["methods"]) == (["/reports/"], ["GET"])


def test_a_name_is_given_once(made: Desk) -> None:
    assert made.run(*ADD).status == 0
    before = made.read()
    ran = made.run(*ADD)
    assert (ran.status, ran.out) == (1, "")
    assert "choose another name" in ran.err
    assert made.read() == before


def test_revoke_api_key_removes_that_key_alone(made: Desk) -> None:
    ran = made.run("revoke-api-key", "reader")
    assert ran.status == 0
    assert [entry["id"] for entry in made.document["api"]] == ["sharer", "ended"]
    again = made.run("revoke-api-key", "reader")
    assert again.status == 1
    assert "sharer" in again.err


def test_rotate_share_adds_a_key_that_signs_and_keeps_the_others(made: Desk) -> None:
    before = made.document["share"]
    ran = made.run("rotate-share")
    assert ran.status == 0
    after = made.document["share"]
    assert after[:-1] == before
    assert after[-1]["id"] in ran.out
    assert after[-1]["secret"] not in ran.out
    assert len(parse(made.read() or b"").share[-1].secret) == 32


def test_retire_removes_an_old_share_key(made: Desk) -> None:
    ran = made.run("rotate-share", "--retire", "old")
    assert ran.status == 0
    assert [key["id"] for key in made.document["share"]] == ["new"]
    assert "old" in ran.out


def test_retiring_the_key_that_signs_puts_a_new_one_in_its_place(made: Desk) -> None:
    assert made.run("rotate-share", "--retire", "new").status == 0
    ids = [key["id"] for key in made.document["share"]]
    assert ids[0] == "old"
    assert len(ids) == 2
    assert "new" not in ids


def test_retiring_the_only_key_leaves_one_that_signs(desk: Desk) -> None:
    desk.run("init")
    only = desk.document["share"][0]["id"]
    assert desk.run("rotate-share", "--retire", only).status == 0
    assert [key["id"] for key in desk.document["share"]] not in ([], [only])


def test_retiring_an_unknown_key_names_those_that_are_there(made: Desk) -> None:
    before = made.read()
    ran = made.run("rotate-share", "--retire", "gone")
    assert (ran.status, ran.out) == (1, "")
    assert "old, new" in ran.err
    assert made.read() == before


def test_show_tells_everything_but_secrets(made: Desk) -> None:
    entry = issuer(iss="https://other.example.com", paths=None, methods=None)
    made.write(json.dumps(document(jwt=[issuer(), entry])).encode())
    ran = made.run("show")
    assert (ran.status, ran.err) == (0, "")
    for fact in ("old", "new", "reader: GET on /reports/; never ends", "ended: GET", "2026-03-01T06:51:11Z"):
        assert fact in ran.out
    for fact in ("https://id.example.com: HS256 for links", "what its tokens say", "team: webhook", made.place):
        assert fact in ran.out
    for secret in (base64url(b"o" * 32), base64url(b"n" * 32), base64url(SECRET), hash_of(READER), "hooks.example"):
        assert secret not in ran.out


def test_every_change_leaves_the_rest_as_it_was(made: Desk) -> None:
    sinks = {"team": {"kind": "dingtalk", "secret": "SECEXAMPLE", "extra": {"deep": [1, None, "ü"]}}}
    made.write(json.dumps(document(sinks=sinks, jwt=[issuer(leeway=5)])).encode())
    for arguments in (ADD, ("rotate-share",), ("rotate-share", "--retire", "old"), ("revoke-api-key", "ended")):
        assert made.run(*arguments).status == 0
    assert made.document["sinks"] == sinks
    assert made.document["jwt"] == [issuer(leeway=5)]
    assert made.document["api"][0] == document()["api"][0]


@pytest.mark.parametrize("command", [ADD, ("revoke-api-key", "ci"), ("rotate-share",), ("show",)])
def test_without_a_document_the_sentence_says_how_to_make_one(command: tuple[str, ...], desk: Desk) -> None:
    ran = desk.run(*command)
    assert (ran.status, ran.out) == (1, "")
    assert "python -m handler.keys init" in ran.err
    assert desk.read() is None
    assert desk.read(".lock") is None


@pytest.mark.parametrize("command", [ADD, ("revoke-api-key", "reader"), ("rotate-share",), ("show",)])
def test_a_broken_document_is_told_and_left_as_it_is(command: tuple[str, ...], desk: Desk) -> None:
    broken = json.dumps(document(share=[{"id": "a", "secret": "c2hvcnQ"}])).encode()
    desk.write(broken)
    ran = desk.run(*command)
    assert (ran.status, ran.out) == (1, "")
    assert "share 1" in ran.err
    assert "c2hvcnQ" not in ran.err
    assert desk.read() == broken


MISUSES = [
    (),
    ("list",),
    ("init", "now"),
    ("add-api-key",),
    ("add-api-key", "ci"),
    ("add-api-key", "ci", "--path", "/reports/"),
    ("add-api-key", "ci", "--method", "GET"),
    ("add-api-key", "a b", *ADD[2:]),
    ("add-api-key", "", *ADD[2:]),
    ("add-api-key", "-x", *ADD[2:]),
    ("add-api-key", "n" * 65, *ADD[2:]),
    ("add-api-key", "ci", "--path", "reports/", "--method", "GET"),
    ("add-api-key", "ci", "--path", "/reports/../", "--method", "GET"),
    ("add-api-key", "ci", "--path", "/-/shares", "--method", "GET"),
    ("add-api-key", "ci", "--path", "", "--method", "GET"),
    ("add-api-key", "ci", "--path", "/reports/", "--method", "get"),
    ("add-api-key", "ci", "--path", "/reports/", "--method", "DELETE"),
    (*ADD, "--expires", "0"),
    (*ADD, "--expires", "soon"),
    (*ADD, "--expires", "-1d"),
    (*ADD, "--expires", "999999999d"),
    ("revoke-api-key",),
    ("rotate-share", "old"),
    ("rotate-share", "--retire"),
]


@pytest.mark.parametrize("arguments", MISUSES)
def test_what_is_not_understood_is_a_2_and_changes_nothing(arguments: tuple[str, ...], made: Desk) -> None:
    before = made.read()
    ran = made.run(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err
    assert made.read() == before


@pytest.mark.parametrize("keys", ["keys.json", "file:", "https://example.com/keys.json", "s3://bucket/key", "oss:/a/b"])
def test_a_place_that_is_none_is_a_2(keys: str, desk: Desk) -> None:
    ran = desk.run("show", keys=keys)
    assert (ran.status, ran.out) == (2, "")
    assert "oss://bucket" in ran.err


@pytest.mark.parametrize("keys", ["oss://B/keys.json", "oss://examplebucket", "oss://examplebucket/.links/"])
def test_a_place_in_oss_that_holds_no_object_is_refused(keys: str, desk: Desk) -> None:
    ran = desk.run("show", keys=keys)
    assert (ran.status, ran.out) == (1, "")


def test_options_may_stand_before_the_command_or_after_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = f"file:{tmp_path / 'keys.json'}"
    assert main(["init", "--keys", place]) == 0
    assert main(["--keys", place, "show"]) == 0
    assert main(["show", "--keys", place]) == 0
    assert capsys.readouterr().err == ""
