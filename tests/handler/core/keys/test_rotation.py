"""The rotation of an API key: the old key works for a while, and what belongs to it stays."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from handler.commands import keys_job, keys_secrets
from handler.commands.keys_lock import NotConfirmed, Write, locked
from handler.core.cloud import oss
from handler.core.cloud.oss import StoreError
from handler.core.context import Clock
from handler.core.keys import InvalidKeys, owner_tag, parse
from handler.core.keys.file_store import FileStore
from handler.core.shares.record import index_of
from signer.times import parse_rfc3339, rfc3339
from tests.handler.client import NOW, ask
from tests.handler.core.keys.command import ADD, KeysCli, Result, Terminal, keys_cli
from tests.handler.keys_fixtures import READER, SHARER, api, config_with, document, hash_of
from tests.local_oss import PLACE

ROTATE = ("rotate-api-key", "reader")
OWNER = "AbCdEfGhIjKlMnOpQrStUv"
HOUR = 3600


def clock_at(now: float) -> Clock:
    return Clock(lambda: now, time.monotonic, time.sleep)


def entry(cli: KeysCli, name: str = "reader") -> Any:
    return next(each for each in cli.document["api"] if each["id"] == name)


@pytest.fixture
def rotated(in_file: KeysCli) -> tuple[KeysCli, str]:
    """A document after a rotation at `NOW`, with the new key."""
    result = in_file.run(*ROTATE, clock=clock_at(NOW))
    assert result.status == 0, result.err
    return in_file, result.out.strip()


def test_the_new_key_is_shown_once_and_the_old_one_works_for_an_hour(
    rotated: tuple[KeysCli, str],
) -> None:
    cli, key = rotated
    assert re.fullmatch(r"fcp_[A-Za-z0-9_-]{43}", key)
    before = document()["api"][0]
    assert entry(cli) == {
        **before,
        "sha256": hash_of(key),
        "owner": f"api:reader:{hash_of(READER)}",
        "earlier": {"sha256": hash_of(READER), "expires_at": rfc3339(NOW + HOUR)},
    }
    assert cli.document["api"][1:] == document()["api"][1:]


def test_it_says_until_when_and_which_version_must_run(in_file: KeysCli) -> None:
    result = in_file.run(*ROTATE, "--overlap", "7d", clock=clock_at(NOW))
    assert f"The earlier key works until {rfc3339(NOW + 7 * 86_400)}" in result.err
    assert "Both functions must run this version" in result.err


def test_it_says_when_the_new_key_ends_which_may_be_when_the_old_one_did(in_file: KeysCli) -> None:
    end = rfc3339(NOW + 600)
    in_file.write(json.dumps(document(api=[api("reader", READER, expires_at=end)])).encode())
    result = in_file.run(*ROTATE, clock=clock_at(NOW))
    assert (
        f"The earlier key works until {end}; the new one within a minute, until {end}."
        in result.err
    )


def test_the_key_goes_to_a_file_where_one_is_named(in_file: KeysCli, tmp_path: Path) -> None:
    file = tmp_path / "reader.key"
    result = in_file.run(*ROTATE, "--output", str(file), "--expires", "90d", clock=clock_at(NOW))
    assert (result.status, result.out) == (0, "")
    key = file.read_text().strip()
    assert entry(in_file)["sha256"] == hash_of(key)
    assert entry(in_file)["expires_at"] == rfc3339(NOW + 90 * 86_400)
    assert key not in result.err


def test_a_key_that_cannot_be_shown_changes_nothing(in_file: KeysCli, tmp_path: Path) -> None:
    before = in_file.read()
    result = in_file.run(*ROTATE, "--output", str(tmp_path / "none" / "reader.key"))
    assert result.status == 1
    assert "The API key was not rotated." in result.err
    assert in_file.read() == before


def test_the_owner_stays_over_every_rotation(in_file: KeysCli) -> None:
    assert in_file.run(*ADD).status == 0
    owner = entry(in_file, "ci")["owner"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", owner)
    tags = parse(in_file.read() or b"").owner_tags
    now = time.time()
    for number in range(3):
        at = clock_at(now + number * 2 * HOUR)
        assert in_file.run("rotate-api-key", "ci", clock=at).status == 0
        assert in_file.run(*ROTATE, clock=at).status == 0
    assert entry(in_file, "ci")["owner"] == owner
    assert parse(in_file.read() or b"").owner_tags == tags
    assert owner_tag(f"api:reader:{hash_of(READER)}") in tags


@pytest.mark.parametrize(
    ("expires_in", "overlap", "left"),
    [(None, "7d", 7 * 86_400), (600, "1h", 600), (86_400, "15m", 900)],
)
def test_the_old_key_never_lives_beyond_its_own_end(
    expires_in: int | None, overlap: str, left: int, in_file: KeysCli
) -> None:
    end = None if expires_in is None else rfc3339(NOW + expires_in)
    in_file.write(json.dumps(document(api=[api("reader", READER, expires_at=end)])).encode())
    assert in_file.run(*ROTATE, "--overlap", overlap, clock=clock_at(NOW)).status == 0
    assert parse_rfc3339(entry(in_file)["earlier"]["expires_at"]) == int(NOW) + left
    assert entry(in_file)["expires_at"] == end


def test_now_ends_the_overlap_and_makes_no_key(rotated: tuple[KeysCli, str]) -> None:
    cli, key = rotated
    result = cli.run(*ROTATE, "--now", clock=clock_at(NOW + 60))
    assert result.status == 0
    assert f"Ended the earlier key of reader in {cli.place}." in result.out
    assert entry(cli)["sha256"] == hash_of(key)
    assert "earlier" not in entry(cli)
    again = cli.run(*ROTATE, "--now", clock=clock_at(NOW + 60))
    assert "API key reader has no earlier key that works." in again.err


REFUSED: dict[str, tuple[tuple[str, ...], Callable[[KeysCli], None], int, str]] = {
    "an overlap that running functions could miss": (
        (*ROTATE, "--overlap", "14m"),
        lambda cli: None,
        2,
        "expected at least 15m",
    ),
    "a key with the end of an overlap": (
        (*ROTATE, "--now", "--expires", "90d"),
        lambda cli: None,
        2,
        "--now makes no key",
    ),
    "a key that has ended": (("rotate-api-key", "ended"), lambda cli: None, 1, "Add a new one"),
    "a name that is not there": (
        ("rotate-api-key", "nobody"),
        lambda cli: None,
        1,
        "There is no API key nobody",
    ),
    "a second rotation in the overlap": (
        ROTATE,
        lambda cli: cli.run(*ROTATE, clock=clock_at(NOW)) and None,
        1,
        "its earlier key works until",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_refuses(what: str, in_file: KeysCli) -> None:
    arguments, before, status, sentence = REFUSED[what]
    before(in_file)
    stored = in_file.read()
    result = in_file.run(*arguments, clock=clock_at(NOW + 60))
    assert (result.status, result.out) == (status, "")
    assert sentence in result.err
    assert in_file.read() == stored


def test_a_rotation_that_nobody_saw_the_end_of_is_run_again(in_file: KeysCli) -> None:
    """Only the key that nobody has ends: the earlier one keeps its hour."""
    with patch.object(keys_secrets, "_show", side_effect=KeyboardInterrupt):
        assert in_file.run(*ROTATE, clock=clock_at(NOW)).status == 130
    assert "; nobody may have the new one" in in_file.run("show", clock=clock_at(NOW)).out
    lost = entry(in_file)["sha256"]
    again = in_file.run(*ROTATE, "--overlap", "7d", clock=clock_at(NOW + 600))
    assert (again.status, entry(in_file)["sha256"]) == (0, hash_of(again.out.strip()))
    assert lost not in json.dumps(in_file.document)
    end = rfc3339(NOW + HOUR)
    assert entry(in_file)["earlier"] == {"sha256": hash_of(READER), "expires_at": end}
    assert f"The earlier key works until {end};" in again.err
    assert in_file.run(*ROTATE, clock=clock_at(NOW + 700)).status == 1


@pytest.mark.parametrize("has_file", [False, True])
def test_a_key_that_may_be_in_force_is_shown_or_stays_in_its_file(
    has_file: bool, in_file: KeysCli, tmp_path: Path
) -> None:
    file = tmp_path / "reader.key"
    replace = FileStore.replace

    def written_and_not_confirmed(store: FileStore, content: bytes) -> None:
        assert file.exists() is has_file
        replace(store, content)
        raise NotConfirmed("The change was not confirmed.")

    with patch.object(FileStore, "replace", written_and_not_confirmed):
        result = in_file.run(*ROTATE, *(("--output", str(file)) if has_file else ()))
    key = file.read_text() if has_file else result.out
    assert result.status == 1
    assert entry(in_file)["sha256"] == hash_of(key.strip())
    place = f"saved in {file}" if has_file else "printed"
    assert f"not confirmed. The key that was {place} may be in force." in result.err


def test_a_file_of_a_key_that_is_not_in_force_goes(in_file: KeysCli, tmp_path: Path) -> None:
    file = tmp_path / "reader.key"
    failure = StoreError("write", 0, oss.REFUSED, "Permission denied")
    with patch.object(FileStore, "replace", side_effect=failure):
        assert in_file.run(*ROTATE, "--output", str(file)).status == 1
    assert not file.exists()


@pytest.mark.parametrize(("after", "is_shown"), [(HOUR - 1, True), (HOUR, False)])
def test_show_says_until_when_the_earlier_key_works(
    rotated: tuple[KeysCli, str], after: int, is_shown: bool
) -> None:
    cli, _ = rotated
    out = cli.run("show", clock=clock_at(NOW + after)).out
    assert (f"the key before a rotation works until {rfc3339(NOW + HOUR)}" in out) == is_shown


def test_after_the_overlap_a_key_is_rotated_again(rotated: tuple[KeysCli, str]) -> None:
    cli, key = rotated
    assert cli.run(*ROTATE, clock=clock_at(NOW + HOUR)).status == 0
    assert entry(cli)["earlier"]["sha256"] == hash_of(key)


def test_restore_names_each_hash_that_works_again(
    rotated: tuple[KeysCli, str], tmp_path: Path
) -> None:
    cli, key = rotated
    copy = tmp_path / "keys-backup.json"
    assert cli.run("backup", str(copy)).status == 0
    cli.write(json.dumps(document(api=[])).encode())
    out = cli.run("restore", str(copy), "--yes", clock=clock_at(NOW)).out
    again = "Works again, although it was revoked, retired or removed:"
    assert f"{again} API key reader ({hash_of(key)[:8]}…)" in out
    assert f"{again} earlier API key reader ({hash_of(READER)[:8]}…)" in out


def test_restore_calls_nothing_working_that_has_ended(
    rotated: tuple[KeysCli, str], tmp_path: Path
) -> None:
    cli, key = rotated
    copy = tmp_path / "keys-backup.json"
    assert cli.run("backup", str(copy)).status == 0
    cli.write(json.dumps(document(api=[])).encode())
    out = cli.run("restore", str(copy), "--yes", clock=clock_at(NOW + HOUR)).out
    again = "Works again, although it was revoked, retired or removed:"
    assert f"{again} API key reader ({hash_of(key)[:8]}…)" in out
    ended = "Comes back, but has ended:"
    assert f"{ended} earlier API key reader ({hash_of(READER)[:8]}…)" in out
    assert f"{ended} API key ended" in out


def test_another_writer_right_after_a_rotation_takes_nothing_from_what_it_says(
    in_file: KeysCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def then_revoked(*arguments: Any, **options: Any) -> Iterator[Write]:
        with locked(*arguments, **options) as write:
            yield write
        in_file.write(json.dumps(document(api=[])).encode())

    monkeypatch.setattr(keys_job, "locked", then_revoked)
    result = in_file.run(*ROTATE, clock=clock_at(NOW))
    assert (result.status, result.out[:4]) == (0, "fcp_")
    assert f"The earlier key works until {rfc3339(NOW + HOUR)}" in result.err


@pytest.mark.parametrize(
    ("key", "after", "status"),
    [
        (SHARER, 0, 200),
        (READER, 0, 200),
        (READER, HOUR - 1, 200),
        (READER, HOUR, 401),
        (SHARER, HOUR, 200),
    ],
)
def test_both_keys_work_during_the_overlap_and_the_new_one_after_it(
    key: str, after: int, status: int, tmp_path: Path
) -> None:
    earlier = {"sha256": hash_of(READER), "expires_at": rfc3339(NOW + HOUR)}
    rotated = api("reader", SHARER, owner=OWNER, earlier=earlier)
    config = config_with(document(api=[rotated]), tmp_path)
    headers = {"Authorization": f"Bearer {key}"}
    answered = ask("/reports/q3.pdf", headers=headers, config=config, now=NOW + after)
    assert answered.status == status
    if status == 401:
        assert answered.code == "authorization_expired"
    elif key == READER:  # its links end with it
        end = parse_rfc3339(answered.json["expires_at"])
        assert end is not None
        assert end <= NOW + HOUR


LINKS = f"""
region = "cn-hangzhou"
state = "oss://{PLACE.bucket}/.links/state/"
[[mount]]
path = "/reports/"
target = "oss://{PLACE.bucket}/reports/"
"""


@pytest.fixture
def sharing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[KeysCli]:
    """A document in OSS, beside a state with three shares of the key reader."""
    (tmp_path / "links.toml").write_text(LINKS)
    folder = index_of(f"api:reader:{hash_of(READER)}", "api:reader")
    with keys_cli("oss", tmp_path, capsys) as cli:
        cli.write(json.dumps(document()).encode())
        assert cli.oss is not None
        for number in range(3):
            cli.oss.put(f".links/state/{folder}{number}-AAAAAAAAAAAA", b"")
        with patch.dict(os.environ, {"LINK_CONFIG": str(tmp_path / "links.toml")}):
            yield cli


def revoke(cli: KeysCli, answer: str, *options: str) -> Result:
    with patch.object(sys, "stdin", Terminal(answer)):
        return cli.run("revoke-api-key", "reader", *options)


def names(cli: KeysCli) -> list[str]:
    return [each["id"] for each in cli.document["api"]]


def test_on_a_terminal_a_revocation_says_what_ends_and_asks(sharing: KeysCli) -> None:
    refused = revoke(sharing, "\n")
    assert (refused.status, "reader" in names(sharing)) == (1, True)
    assert f"With the API key reader in {PLACE}, at most 3 shares end." in refused.err
    assert "Nothing was revoked." in refused.err
    assert revoke(sharing, "y\n").status == 0
    assert "reader" not in names(sharing)


def test_a_state_that_refuses_keeps_no_key_from_being_revoked(sharing: KeysCli) -> None:
    with patch.dict(os.environ, {"LINK_CONFIG": "/nothing/links.toml"}):
        result = revoke(sharing, "yes\n")
    assert "an unknown number of shares ends" in result.err
    assert (result.status, "reader" in names(sharing)) == (0, False)


def test_with_yes_or_without_a_terminal_a_key_is_revoked_at_once(in_file: KeysCli) -> None:
    result = revoke(in_file, "", "--yes")
    assert (result.status, result.err, names(in_file)) == (0, "", ["sharer", "ended"])
    assert in_file.run("revoke-api-key", "sharer").status == 0
    assert names(in_file) == ["ended"]


INVALID = {
    "two entries of one owner": [
        api("a", READER, owner=OWNER),
        api("b", SHARER, owner=OWNER),
    ],
    "an owner that another entry has without naming it": [
        api("a", READER),
        api("b", SHARER, owner=f"api:a:{hash_of(READER)}"),
    ],
    "an earlier hash of another entry": [
        api("a", READER, earlier={"sha256": hash_of(SHARER), "expires_at": rfc3339(NOW)}),
        api("b", SHARER),
    ],
    "an earlier hash of its own": [
        api("a", READER, earlier={"sha256": hash_of(READER), "expires_at": rfc3339(NOW)}),
    ],
    "an earlier key without an end": [
        api("a", READER, earlier={"sha256": hash_of(SHARER), "expires_at": None}),
    ],
    "an earlier key with a further member": [
        api("a", READER, earlier={"sha256": hash_of(SHARER), "expires_at": rfc3339(NOW), "x": 1}),
    ],
    "an owner of another form": [api("a", READER, owner="sales")],
}


@pytest.mark.parametrize("what", INVALID)
def test_a_document_is_refused_with(what: str) -> None:
    with pytest.raises(InvalidKeys):
        parse(json.dumps(document(api=INVALID[what])))
