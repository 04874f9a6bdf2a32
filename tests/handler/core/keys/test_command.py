"""`python -m handler.commands keys`: every command, what it prints where it cannot or of odd names, and backups."""

from __future__ import annotations

import io
import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from handler.commands.keys import main
from handler.core.cloud.oss import REFUSED, StoreError
from handler.core.keys import parse
from handler.core.keys.file_store import FileStore
from signer import CdnKey
from tests.handler.core.keys.command import ADD, WEBHOOK, KeysCli, Result, Terminal
from tests.handler.keys_fixtures import (
    ENDED,
    READER,
    SECRET,
    SHARER,
    api,
    base64url,
    document,
    hash_of,
    issuer,
)


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
def test_retire_removes_a_share_key_and_replaces_the_one_that_signs(
    retired: str, left: str, in_file: KeysCli
) -> None:
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
        "old",
        "new",
        "reader: GET on /reports/; never expires",
        "ended: GET",
        "expired 2026-03-01T06:51:11Z",
        "https://id.example.com: HS256, audience links",
        "the methods of the token on the paths of the token; shares of at most 12 hours",
        "team: webhook",
        existing.place,
    ):
        assert fact in result.out
    for secret in (
        base64url(b"o" * 32),
        base64url(b"n" * 32),
        base64url(SECRET),
        hash_of(READER),
        "hooks.example",
    ):
        assert secret not in result.out


INVALID = json.dumps(document(share=[{"id": "a", "secret": "c2hvcnQ"}])).encode()


@pytest.mark.parametrize("command", [ADD, ("show",)])
@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "restore FILE. If there never was one, create it with init."), (INVALID, "share 1")],
    ids=["none", "invalid"],
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
        "keys.json",
        "file:",
        "https://example.com/keys.json",
        "s3://bucket/key",
        "oss:/a/b",
        "oss://B/keys.json",
        "oss://examplebucket",
        "oss://examplebucket/.links/",
    ],
)
def test_an_invalid_place_exits_with_2(keys: str, in_file: KeysCli) -> None:
    result = in_file.run("show", keys=keys)
    assert (result.status, result.out) == (2, "")
    assert ("Invalid bucket name 'B'" if "//B/" in keys else "oss://bucket") in result.err


def test_options_may_stand_before_the_command_or_after_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"file:{tmp_path / 'keys.json'}"
    assert main(["init", "--keys", place]) == 0
    assert main(["--keys", place, "show"]) == 0
    assert main(["show", "--keys", place]) == 0
    assert capsys.readouterr().err == ""


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
def test_a_new_api_key_that_cannot_be_printed_is_not_added(
    in_file: KeysCli, redirection: str
) -> None:
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


@pytest.mark.parametrize(
    ("command", "undo"), [(ADD, "revoke-api-key ci"), (WEBHOOK, "remove-sink ops")]
)
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
    with patch("handler.commands.keys_secrets.write_lines", side_effect=KeyboardInterrupt):
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
    escapes = (
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x9b31m",
        "\r\n  admin: GET on /",
        "\u202e",
        "\u2066",
        "\u200b",
    )
    for escape in escapes:
        sinks = {
            f"team{escape}x": {"kind": f"webhook{escape}", "url": "https://hooks.example.com/a"}
        }
        in_file.write(
            json.dumps(
                document(sinks=sinks, jwt=[issuer(iss="https://id.example.com/\u202e")])
            ).encode()
        )
        result = in_file.run("show")
        assert (result.status, {escape, "\u202e"} & {*result.out}, escape in result.out) == (
            0,
            set(),
            False,
        )
        assert all(line.isprintable() for line in result.out.splitlines())
        assert [
            line
            for line in result.out.splitlines()
            if line.startswith("  team") and "webhook" in line
        ]
    in_file.write(
        json.dumps(document(jwt=[issuer(iss="https://id.example.com/\u202e", leeway=-1)])).encode()
    )
    result = in_file.run("show")
    assert (result.status, "\u202e" in result.err) == (1, False)


def test_a_misspelt_command_is_answered_with_the_names_of_all_commands(in_file: KeysCli) -> None:
    # Which argparse quotes until Python 3.12.7.
    choices = in_file.run("revoke").err.replace("'", "")
    assert "revoke-api-key, add-issuer" in choices


KEY = "aliyuncdnexp1234"


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (
            {"type": "C", "key": KEY},
            "type must be A, the only type of URL signing that is supported.",
        ),
        (
            {"type": ["A"], "key": KEY},
            "type must be A, the only type of URL signing that is supported.",
        ),
        ({"type": "A"}, "Invalid key of a CDN: key must be 6 to 128 letters and digits."),
        (
            {"type": "A", "key": "short"},
            "Invalid key of a CDN: key must be 6 to 128 letters and digits.",
        ),
        (
            {"type": "A", "key": KEY, "rand": "0"},
            "unknown member (known: type, key, valid_for, parameter).",
        ),
    ],
)
def test_an_invalid_entry_is_named_and_takes_nothing_else_with_it(
    in_file: KeysCli, tmp_path: Path, entry: dict[str, object], fault: str
) -> None:
    saved = tmp_path / "saved.json"
    entries = {"other": {"type": "A", "key": KEY}, "static": entry}
    saved.write_text(json.dumps({**document(), "cdn": entries}))
    keys = parse(saved.read_bytes())
    assert (keys.cdn, keys.cdn_faults) == (
        {"other": CdnKey(KEY)},
        {"static": f"keys document: cdn static: {fault}"},
    )
    assert keys.api == parse(json.dumps(document())).api
    assert KEY not in repr(keys)
    assert in_file.run("restore", str(saved), "--yes").status == 0
    shown = in_file.run("show").out
    assert f"  static: cannot be used (keys document: cdn static: {fault.rstrip('.')})\n" in shown
    assert "  other: links are valid for 1800 s after the time in them\n" in shown


def restore(cli: KeysCli, file: Path, answer: Callable[[], str]) -> Result:
    with (
        patch.object(sys, "stdin", Terminal()) as terminal,
        patch.object(terminal, "readline", answer),
    ):
        return cli.run("restore", str(file))


def test_a_restored_backup_brings_back_what_was_removed_and_says_so(
    existing: KeysCli, tmp_path: Path
) -> None:
    static, another = (
        {"static": {"type": "A", "key": key}} for key in ("keyEXAMPLE1", "keyEXAMPLE2")
    )
    existing.write(json.dumps(document(cdn=static)).encode())
    copy, saved = tmp_path / "copy.json", existing.read()
    assert existing.run("backup", str(copy))[:2] == (0, "")
    assert (copy.read_bytes(), stat.S_IMODE(copy.stat().st_mode)) == (saved, 0o600)
    unchanged = existing.run("restore", str(copy))
    assert (unchanged.status, unchanged.err, "nothing changes" in unchanged.out) == (0, "", True)
    assert "File exists" in existing.run("backup", str(copy)).err
    share, (_, sharer, _), (issuer,) = (document()[member] for member in ("share", "api", "jwt"))
    other = document(
        api=[api("reader", "fcp_other"), {**sharer, "paths": ["/"]}],
        share=share[1:],
        jwt=[],
        sinks={},
        cdn=another,
    )
    existing.write(json.dumps(other).encode())
    assert existing.run("restore", str(copy)).status == 2
    assert restore(existing, copy, lambda: "\n")[0] == 1
    with existing.held(b""):
        assert existing.run("restore", str(copy), "--yes").status == 1
    assert existing.document == other
    status, out, err = restore(existing, copy, lambda: "y\n")
    assert (status, err, existing.read()) == (0, "Restore it? [y/N] ", saved)
    again = "Works again, although it was revoked, retired or removed:"
    assert [line.strip() for line in out.splitlines()[1:-1]] == [
        f"{again} share key old",
        f"{again} API key reader ({hash_of(READER)[:8]}…)",
        f"Comes back, but has ended: API key ended ({hash_of(ENDED)[:8]}…)",
        f"{again} issuer {issuer['iss']}",
        f"{again} sink team",
        f"{again} CDN static",
        f"Goes: API key reader ({hash_of('fcp_other')[:8]}…)",
        "Goes: CDN static",
        f"Changes: API key sharer ({hash_of(SHARER)[:8]}…) (paths)",
    ]
    assert not any(secret in out for secret in ("EXAMPLE", issuer["secret"], share[0]["secret"]))


@pytest.mark.parametrize("current", [None, b"{"])
def test_a_document_that_is_gone_or_invalid_is_restored(
    current: bytes | None, cli: KeysCli, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps(document()))
    if current:
        cli.write(current)
    result = cli.run("restore", str(copy), "--yes")
    assert (result.status, "Comes: API key sharer" in result.out, cli.document) == (
        0,
        True,
        document(),
    )


def test_a_change_while_it_asks_is_not_undone(in_file: KeysCli, tmp_path: Path) -> None:
    changed = json.dumps(document(jwt=[])).encode()
    (tmp_path / "copy").write_text(json.dumps(document(api=[])))
    result = restore(in_file, tmp_path / "copy", lambda: in_file.write(changed) or "y\n")
    assert (result.status, in_file.read()) == (1, changed)
    assert "Another writer changed the document." in result.err


def test_what_is_no_keys_document_is_refused(in_file: KeysCli, tmp_path: Path) -> None:
    before = in_file.read()
    for content in ("", "{", '{"version": 2}'):
        if content:
            (tmp_path / "copy").write_text(content)
        result = in_file.run("restore", str(tmp_path / "copy"), "--yes")
        assert (result.status, result.out, "copy: " in result.err, in_file.read()) == (
            2,
            "",
            True,
            before,
        )


def test_standard_output_must_be_a_pipe(in_file: KeysCli, tmp_path: Path) -> None:
    copy, terminals = tmp_path / "copy", pty.openpty()
    saved = run(in_file, "", "backup", "-").stdout
    for target in (os.ttyname(terminals[1]), copy):
        assert run(in_file, f">'{target}'", "backup", "-").returncode == 2
    assert copy.read_text() == ""
    for terminal in terminals:
        os.close(terminal)
    in_file.run("revoke-api-key", "reader")
    copy.write_text(saved)
    assert run(in_file, f"<'{copy}'", "restore", "-", "--yes").returncode == 0
    assert in_file.document == document()
