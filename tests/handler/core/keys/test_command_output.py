"""What `python -m handler.commands keys` prints where it cannot, and of names that terminals would obey."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from handler.core.cloud.oss import REFUSED, StoreError
from handler.core.keys import parse
from handler.core.keys.file_store import FileStore
from signer import CdnKey
from tests.handler.core.keys.command import ADD, WEBHOOK, KeysCli
from tests.handler.keys_fixtures import document, issuer

ROOT = Path(__file__).parents[4]
FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")


def run(cli: KeysCli, redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a shell that redirects its output."""
    program = ("-m", "handler.commands", "keys", "--keys", cli.place)
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, *program, *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.defpath}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


@FULL
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_a_new_api_key_that_cannot_be_printed_is_not_added(in_file: KeysCli, redirection: str) -> None:
    before = in_file.read()
    result = run(in_file, redirection, *ADD)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "The API key was not added." in result.stderr
    assert "fcp_" not in result.stderr
    assert in_file.read() == before
    assert in_file.locks() == []
    assert in_file.run(*ADD).status == 0


class FullDisk(io.StringIO):
    """An output that fails when it is flushed."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("command", "undo"), [(ADD, "revoke-api-key ci"), (WEBHOOK, "remove-sink ops")])
def test_what_can_neither_be_printed_nor_removed_is_named(
    command: tuple[str, ...], undo: str, in_file: KeysCli
) -> None:
    replace, documents = FileStore.replace, []

    def replace_once(store: FileStore, content: bytes) -> None:
        documents.append(content)
        if len(documents) > 1:
            raise StoreError("write", 0, REFUSED, "Permission denied")
        replace(store, content)

    with patch.object(FileStore, "replace", replace_once), patch.object(sys, "stdout", FullDisk()):
        result = in_file.run(*command)
    assert result.status == 1
    assert undo in result.err
    assert len(documents) == 2
    assert in_file.read() == documents[0]


def test_a_key_is_printed_only_when_it_works(in_file: KeysCli) -> None:
    def fail(store: FileStore, content: bytes) -> None:
        raise StoreError("write", 0, REFUSED, "Permission denied")

    with patch.object(FileStore, "replace", fail):
        result = in_file.run(*ADD)
    assert (result.status, result.out) == (1, "")


def test_a_key_is_removed_again_if_its_printing_is_interrupted(in_file: KeysCli) -> None:
    before = in_file.document
    with patch("handler.commands.keys.write_lines", side_effect=KeyboardInterrupt):
        result = in_file.run(*ADD)
    assert (result.status, result.err) == (130, "python -m handler.commands keys: Interrupted.\n")
    assert in_file.document == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show",), "cannot be written (No space left on device)"),
        (("revoke-api-key", "reader"), "The API key was revoked."),
        (("rotate-share",), "The share keys were changed."),
        (("init", "--keys", "file:{folder}/another.json"), "The keys document was created."),
    ],
)
def test_every_other_command_says_what_it_did_and_exits_with_1(
    in_file: KeysCli, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    with patch.object(sys, "stdout", FullDisk()):
        result = in_file.run(*(argument.format(folder=tmp_path) for argument in arguments))
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert sentence in result.err


@FULL
@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_a_standard_error_that_fails_takes_no_key_away(in_file: KeysCli, redirection: str) -> None:
    result = run(in_file, redirection, *ADD)
    assert result.returncode == 0
    assert result.stdout.startswith("fcp_")
    assert len(result.stdout.splitlines()) == 1
    assert in_file.document["api"][-1]["id"] == "ci"


def test_show_prints_no_terminal_escape(in_file: KeysCli) -> None:
    escapes = ("\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\r\n  admin: GET on /", "\u202e", "\u2066", "\u200b")
    for escape in escapes:
        sinks = {f"team{escape}x": {"kind": f"webhook{escape}", "url": "https://hooks.example.com/a"}}
        in_file.write(json.dumps(document(sinks=sinks, jwt=[issuer(iss="https://id.example.com/\u202e")])).encode())
        result = in_file.run("show")
        assert (result.status, {escape, "\u202e"} & {*result.out}, escape in result.out) == (0, set(), False)
        assert all(line.isprintable() for line in result.out.splitlines())
        assert [line for line in result.out.splitlines() if line.startswith("  team") and "webhook" in line]
    in_file.write(json.dumps(document(jwt=[issuer(iss="https://id.example.com/\u202e", leeway=-1)])).encode())
    result = in_file.run("show")
    assert (result.status, "\u202e" in result.err) == (1, False)


def test_a_misspelt_command_is_answered_with_the_names_of_all_commands(in_file: KeysCli) -> None:
    choices = in_file.run("revoke").err.replace("'", "")  # which argparse quotes until Python 3.12.7
    assert "revoke-api-key, add-issuer" in choices


KEY = "aliyuncdnexp1234"


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"type": "C", "key": KEY}, "type must be A, the only type of URL signing that is supported."),
        ({"type": ["A"], "key": KEY}, "type must be A, the only type of URL signing that is supported."),
        ({"type": "A"}, "Invalid key of a CDN: key must be 6 to 128 letters and digits."),
        ({"type": "A", "key": "short"}, "Invalid key of a CDN: key must be 6 to 128 letters and digits."),
        ({"type": "A", "key": KEY, "rand": "0"}, "unknown member (known: type, key, valid_for, parameter)."),
    ],
)
def test_an_invalid_entry_is_named_and_takes_nothing_else_with_it(
    in_file: KeysCli, tmp_path: Path, entry: dict[str, object], fault: str
) -> None:
    saved = tmp_path / "saved.json"
    entries = {"other": {"type": "A", "key": KEY}, "static": entry}
    saved.write_text(json.dumps({**document(), "cdn": entries}))
    keys = parse(saved.read_bytes())
    assert (keys.cdn, keys.cdn_faults) == ({"other": CdnKey(KEY)}, {"static": f"keys document: cdn static: {fault}"})
    assert keys.api == parse(json.dumps(document())).api
    assert KEY not in repr(keys)
    assert in_file.run("restore", str(saved), "--yes").status == 0
    shown = in_file.run("show").out
    assert f"  static: cannot be used (keys document: cdn static: {fault.rstrip('.')})\n" in shown
    assert "  other: links are valid for 1800 s after the time in them\n" in shown
