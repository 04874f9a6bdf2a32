"""A backup of the keys document, and its restoration."""

from __future__ import annotations

import json
import os
import pty
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.handler.core.keys.command import KeysCli, Result, Terminal
from tests.handler.core.keys.test_command_output import run
from tests.handler.keys_fixtures import api, document


def restore(cli: KeysCli, file: Path, answer: Callable[[], str]) -> Result:
    with patch.object(sys, "stdin", Terminal()) as terminal, patch.object(terminal, "readline", answer):
        return cli.run("restore", str(file))


def test_a_restored_backup_brings_back_what_was_removed_and_says_so(existing: KeysCli, tmp_path: Path) -> None:
    static, another = ({"static": {"type": "A", "key": key}} for key in ("keyEXAMPLE1", "keyEXAMPLE2"))
    existing.write(json.dumps(document(cdn=static)).encode())
    copy, saved = tmp_path / "copy.json", existing.read()
    assert existing.run("backup", str(copy))[:2] == (0, "")
    assert (copy.read_bytes(), stat.S_IMODE(copy.stat().st_mode)) == (saved, 0o600)
    unchanged = existing.run("restore", str(copy))
    assert (unchanged.status, unchanged.err, "nothing changes" in unchanged.out) == (0, "", True)
    assert "File exists" in existing.run("backup", str(copy)).err
    share, (_, sharer, _), (issuer,) = (document()[member] for member in ("share", "api", "jwt"))
    other = document(
        api=[api("reader", "fcp_other"), {**sharer, "paths": ["/"]}], share=share[1:], jwt=[], sinks={}, cdn=another
    )
    existing.write(json.dumps(other).encode())
    assert existing.run("restore", str(copy)).status == 2
    assert restore(existing, copy, lambda: "\n")[0] == 1
    with existing.held(b""):
        assert existing.run("restore", str(copy), "--yes").status == 1
    assert existing.document == other
    status, out, err = restore(existing, copy, lambda: "y\n")
    assert (status, err, existing.read()) == (0, "Restore it? [y/N] ", saved)
    back = ("share key old", "API key reader", "API key ended", f"issuer {issuer['iss']}", "sink team", "CDN static")
    assert [line.strip() for line in out.splitlines()[1:-1]] == [
        *(f"Works again, although it was revoked, retired or removed: {entry}" for entry in back),
        *("Goes: API key reader", "Goes: CDN static", "Changes: API key sharer (paths)"),
    ]
    assert not any(secret in out for secret in ("EXAMPLE", issuer["secret"], share[0]["secret"]))


@pytest.mark.parametrize("current", [None, b"{"])
def test_a_document_that_is_gone_or_invalid_is_restored(current: bytes | None, cli: KeysCli, tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps(document()))
    if current:
        cli.write(current)
    result = cli.run("restore", str(copy), "--yes")
    assert (result.status, "Comes: API key sharer" in result.out, cli.document) == (0, True, document())


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
        assert (result.status, result.out, "copy: " in result.err, in_file.read()) == (2, "", True, before)


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
