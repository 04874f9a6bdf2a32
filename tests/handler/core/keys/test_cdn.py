"""`python -m handler.commands keys` adds and removes the keys of CDNs, and shows none but one that it made, once."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from handler.core.keys import parse
from handler.core.keys.cdn import read_cdn_key
from signer import CdnKey
from tests.handler.core.keys.command import KeysCli, Result
from tests.handler.keys_fixtures import document

KEY = "aliyuncdnexp1234"


def add(cli: KeysCli, *arguments: str, key: str = KEY) -> Result:
    """Adds the CDN static with a key from standard input."""
    with patch.object(sys, "stdin", io.StringIO(f"{key}\n")):
        return cli.run("add-cdn", "static", "--key", "-", *arguments)


def test_a_key_from_standard_input_is_stored_and_never_shown(existing: KeysCli) -> None:
    result = add(existing, "--type", "A", "--valid-for", "600", "--parameter", "k")
    assert (result.status, result.out) == (0, "Added the CDN static.\n")
    entry = {"type": "A", "key": KEY, "valid_for": 600, "parameter": "k"}
    assert existing.document["cdn"] == {"static": entry}
    assert read_cdn_key("static", entry) == CdnKey("A", KEY, 600, "k")
    shown = existing.run("show")
    assert "static: type A, links are valid for 600 s after the time in them" in shown.out
    assert KEY not in result.out + result.err + shown.out + shown.err


def test_without_a_key_a_new_one_is_made_and_printed_once(existing: KeysCli) -> None:
    result = existing.run("add-cdn", "static", "--type", "F", "--sign", "s", "--time", "t", "--format", "decimal")
    key = result.out.removesuffix("\n")
    assert (result.status, len(key), key.isalnum()) == (0, 32, True)
    assert "Save this key now." in result.err
    entry = {"type": "F", "key": key, "sign": "s", "time": "t", "format": "decimal"}
    assert existing.document["cdn"] == {"static": entry}
    assert existing.run("add-cdn", "other", "--type", "F").out != result.out


def test_a_new_key_is_written_to_a_file_of_its_owner(existing: KeysCli, tmp_path: Path) -> None:
    output = tmp_path / "key"
    result = existing.run("add-cdn", "static", "--type", "C", "--output", str(output))
    assert (result.status, result.out) == (0, "")
    assert existing.document["cdn"]["static"]["key"] == output.read_text().strip()
    assert stat.S_IMODE(output.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("--type", "A"), "short"),
        (("--type", "A"), "with-hyphen"),
        (("--type", "A", "--valid-for", "0"), KEY),
        (("--type", "A", "--parameter", "auth key"), KEY),
        (("--type", "E"), KEY),
    ],
)
def test_what_a_cdn_cannot_have_is_refused_without_a_change(
    existing: KeysCli, arguments: tuple[str, ...], key: str
) -> None:
    result = add(existing, *arguments, key=key)
    assert (result.status, result.out) == (2, "")
    assert key not in result.err
    assert existing.document == document()


def test_a_key_is_no_argument_which_other_users_of_the_machine_see(existing: KeysCli) -> None:
    result = existing.run("add-cdn", "static", "--type", "A", "--key", KEY)
    assert (result.status, existing.document) == (2, document())
    assert KEY not in result.out + result.err


def test_a_name_is_added_once_and_removed_again(existing: KeysCli) -> None:
    assert add(existing, "--type", "A").status == 0
    again = add(existing, "--type", "B")
    assert "CDN static already exists. Use another name, or remove that CDN first." in again.err
    removed = existing.run("remove-cdn", "static")
    assert "Removed the CDN static." in removed.out
    assert existing.document["cdn"] == {}
    assert "There is no CDN static (existing: none)." in existing.run("remove-cdn", "static").err


def test_a_restore_says_which_keys_of_cdns_change(existing: KeysCli, tmp_path: Path) -> None:
    backup = tmp_path / "backup.json"
    add(existing, "--type", "A")
    existing.run("backup", str(backup))
    existing.run("remove-cdn", "static")
    add(existing, "--type", "A", key="anotherkey1234567")
    restored = existing.run("restore", str(backup), "--yes")
    assert "Works again, although it was revoked, retired or removed: CDN static" in restored.out + restored.err
    assert "Goes: CDN static" in restored.out + restored.err
    assert KEY not in restored.out + restored.err


def test_show_says_what_is_wrong_with_an_entry(existing: KeysCli, tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps({**document(), "cdn": {"static": {"type": "E", "key": KEY}}}))
    assert existing.run("restore", str(saved), "--yes").status == 0
    shown = existing.run("show").out
    assert "static: cannot be used (keys document: cdn static: Invalid key of a CDN: kind must be" in shown


def test_cdn_must_be_an_object() -> None:
    with pytest.raises(Exception, match="keys document: cdn must be an object"):
        parse('{"version": 1, "cdn": []}')
