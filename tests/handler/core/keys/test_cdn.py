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
from signer import CdnKey
from tests.handler.core.keys.command import KeysCli, Result
from tests.handler.keys_fixtures import document

KEY = "aliyuncdnexp1234"


def add(cli: KeysCli, *arguments: str, key: str = KEY) -> Result:
    """Adds the CDN static with a key from standard input."""
    with patch.object(sys, "stdin", io.StringIO(f"{key}\n")):
        return cli.run("add-cdn", "static", "--key", "-", *arguments)


def test_a_key_from_standard_input_is_stored_and_never_shown(existing: KeysCli) -> None:
    result = add(existing, "--valid-for", "600", "--parameter", "k")
    assert (result.status, result.out) == (0, "Added the CDN static.\n")
    entry = {"type": "A", "key": KEY, "valid_for": 600, "parameter": "k"}
    assert existing.document["cdn"] == {"static": entry}
    assert parse(json.dumps(existing.document)).cdn == {"static": CdnKey(KEY, 600, "k")}
    shown = existing.run("show")
    assert "static: links are valid for 600 s after the time in them" in shown.out
    assert KEY not in result.out + result.err + shown.out + shown.err


def test_without_a_key_a_new_one_is_made_and_printed_once(existing: KeysCli) -> None:
    result = existing.run("add-cdn", "static")
    key = result.out.removesuffix("\n")
    assert (result.status, len(key), key.isalnum()) == (0, 32, True)
    assert "Save this key now." in result.err
    assert existing.document["cdn"] == {"static": {"type": "A", "key": key}}
    assert existing.run("add-cdn", "other").out != result.out


def test_a_new_key_is_written_to_a_file_of_its_owner(existing: KeysCli, tmp_path: Path) -> None:
    output = tmp_path / "key"
    result = existing.run("add-cdn", "static", "--output", str(output))
    assert (result.status, result.out) == (0, "")
    assert existing.document["cdn"]["static"]["key"] == output.read_text().strip()
    assert stat.S_IMODE(output.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ((), "short"),
        ((), "with-hyphen"),
        (("--valid-for", "0"), KEY),
        (("--parameter", "auth key"), KEY),
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
    result = existing.run("add-cdn", "static", "--key", KEY)
    assert (result.status, existing.document) == (2, document())
    assert KEY not in result.out + result.err


def test_a_name_is_added_once_and_removed_again(existing: KeysCli) -> None:
    assert add(existing).status == 0
    again = add(existing)
    assert "CDN static already exists. Use another name, or remove that CDN first." in again.err
    removed = existing.run("remove-cdn", "static")
    assert "Removed the CDN static." in removed.out
    assert existing.document["cdn"] == {}
    assert "There is no CDN static (existing: none)." in existing.run("remove-cdn", "static").err


def test_a_restore_says_which_keys_of_cdns_change(existing: KeysCli, tmp_path: Path) -> None:
    backup = tmp_path / "backup.json"
    add(existing)
    existing.run("backup", str(backup))
    existing.run("remove-cdn", "static")
    add(existing, key="anotherkey1234567")
    restored = existing.run("restore", str(backup), "--yes")
    assert "Works again, although it was revoked, retired or removed: CDN static" in restored.out + restored.err
    assert "Goes: CDN static" in restored.out + restored.err
    assert KEY not in restored.out + restored.err


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"type": "C", "key": KEY}, "type must be A, the only type of URL signing that is supported."),
        ({"type": "F", "key": KEY, "sign": "s"}, "type must be A, the only type of URL signing that is supported."),
        ({"type": ["A"], "key": KEY}, "type must be A, the only type of URL signing that is supported."),
        ({"key": KEY}, "type must be A, the only type of URL signing that is supported."),
        ({"type": "A"}, "Invalid key of a CDN: key must be 6 to 128 letters and digits."),
        ({"type": "A", "key": "short"}, "Invalid key of a CDN: key must be 6 to 128 letters and digits."),
        ({"type": "A", "key": KEY, "rand": "0"}, "unknown member (known: type, key, valid_for, parameter)."),
    ],
)
def test_an_invalid_entry_is_named_and_takes_nothing_else_with_it(
    existing: KeysCli, tmp_path: Path, entry: dict[str, object], fault: str
) -> None:
    saved = tmp_path / "saved.json"
    entries = {"other": {"type": "A", "key": KEY}, "static": entry}
    saved.write_text(json.dumps({**document(), "cdn": entries}))
    keys = parse(saved.read_bytes())
    assert (keys.cdn, keys.cdn_faults) == ({"other": CdnKey(KEY)}, {"static": f"keys document: cdn static: {fault}"})
    assert keys.api == parse(json.dumps(document())).api
    assert KEY not in repr(keys)
    assert existing.run("restore", str(saved), "--yes").status == 0
    shown = existing.run("show").out
    assert f"  static: cannot be used (keys document: cdn static: {fault.rstrip('.')})\n" in shown
    assert "  other: links are valid for 1800 s after the time in them\n" in shown


def test_cdn_must_be_an_object() -> None:
    with pytest.raises(Exception, match="keys document: cdn must be an object"):
        parse('{"version": 1, "cdn": []}')
