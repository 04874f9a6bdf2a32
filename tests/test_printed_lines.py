"""One rule for every line that a command prints: nothing that a terminal obeys, and nothing that people cannot see."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy import build, check, doctor, policies, reference, template
from deploy import command as deploy_command
from deploy.probes.findings import fault
from handler.commands import keys, notices
from local import command, invoke
from local.demo import output, steps
from local.errors import LocalError
from local.fc.runtime import UNHANDLED, Outcome, Runtime, write_line
from local.stack import Stack
from signer.display import printable

HOSTILE = "\x1b[2J\x9b31m\u202efdp\u2028\u200b\u2066"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028\u202e\u2066]")


@pytest.mark.parametrize(
    "letter", [*"\0\t\n\x1b\x7f\x85\x9b\u061c\u200b\u2028\u2029\u2066\ufeff\u00ad\ud800\udc9b\U000e0041"], ids=ascii
)
def test_what_a_terminal_obeys_or_nobody_sees_is_an_escape_of_json(letter: str) -> None:
    assert printable(f"a{letter}b") == f"a{''.join(re.findall(r'.u....', printable(letter)))}b"
    assert printable(letter).isascii()
    assert json.loads(f'"{printable(letter)}"') == letter
    document = json.dumps({"key": f'é\\"{letter}'}, ensure_ascii=False)
    assert json.loads(printable(document)) == json.loads(document)


# A full-width space, macOS's in names of screenshots, Persian, a family, private use, and a letter of the future.
@pytest.mark.parametrize(
    "name", ["报告\u3000一", "9.41\u202fAM\xa0a", "\u0645\u06cc\u200c\u062e", "👨\u200d👩", "\uf8ff", "\U0003fff0"]
)
def test_names_of_people_s_files_stay(name: str) -> None:
    assert printable(f"\x07{name}") == f"\\u0007{name}"


def test_no_control_character_or_mark_of_direction_is_forgotten() -> None:
    directed = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        if unicodedata.category(letter) == "Cc" or unicodedata.bidirectional(letter) in directed:
            assert printable(letter) == f"\\u{code:04x}"


@pytest.fixture(autouse=True)
def handlers_of_signals_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (command, steps):
        monkeypatch.setattr(module, "exit_on_signals", lambda *_: None)


def existing(folder: Path) -> str:
    folder = folder / HOSTILE
    folder.mkdir()
    (folder / "file").touch()
    return str(folder)


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        *[(main, [f"--nope{HOSTILE}"]) for main in (check.main, policies.main, doctor.main, template.main)],
        *[(main, [f"--nope{HOSTILE}"]) for main in (reference.main, build.main, keys.main, notices.main)],
        (command.main, [f"a{HOSTILE}"]),
        (invoke.main, ["a", "--event", "-", f"a{HOSTILE}"]),
        *[(main, [f"/nonexistent{HOSTILE}/s.yaml"]) for main in (check.main, policies.main, doctor.main, build.main)],
        (template.main, [existing]),
        (command.main, ["--config", f"/nonexistent{HOSTILE}"]),
        (invoke.main, [f"a{HOSTILE}", "--event", "-"]),
        (invoke.main, ["links-http-dev", "--event", f"/nonexistent{HOSTILE}"]),
    ],
)
def test_errors_show_no_control_of_an_argument(
    main: Callable[[list[str]], int], arguments: list[Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main([each(tmp_path) if callable(each) else each for each in arguments])
    except SystemExit as end:
        status = int(end.code or 0)
    printed = "".join(capfd.readouterr())
    assert status in (1, 2)
    assert printed
    assert not UNSAFE.search(printed), printed


def test_a_finding_of_the_doctor_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "findings", lambda options: [fault("oss", f"AccessDenied: {HOSTILE}\nok      oss")])
    assert doctor.main([]) == 1
    printed = capfd.readouterr().out
    assert printed.count("\n") == 1
    assert not UNSAFE.search(printed)


def test_results_and_failures_of_deploy_show_no_control(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise OSError(5, "broken", f"a{HOSTILE}")

    monkeypatch.setattr(check, "check", lambda *_: check.Report([], warnings=[f"w{HOSTILE}"]))
    assert check.main([f"a{HOSTILE}"]) == 0
    monkeypatch.setattr(template, "assemble", lambda *_, **__: None)
    assert template.main([f"a{HOSTILE}"]) == 0
    monkeypatch.setattr("os.dup2", lambda *_: None)
    assert deploy_command.run("make build", fail) == 1
    printed = "".join(capfd.readouterr())
    assert printed.count("\n") == 4
    assert not UNSAFE.search(printed)


def test_results_and_failures_of_local_show_no_control(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LocalError(HOSTILE)

    (tmp_path / "event.json").write_text("{}")
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", "LTAI5tEXAMPLE")
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "secretEXAMPLE")
    error = json.dumps({"errorMessage": HOSTILE, "errorType": HOSTILE}).encode()
    for outcome in (Outcome("1", HOSTILE.encode(), None), Outcome("1", error, UNHANDLED)):
        monkeypatch.setattr(Runtime, "invoke", lambda *_, outcome=outcome: outcome)
        invoke.main(["links-http-dev", "--event", str(tmp_path / "event.json")])
    write_line(None, HOSTILE)
    output.say(HOSTILE)
    monkeypatch.setattr(Stack, "start", fail)
    assert steps.main() == 1
    printed = "".join(capfd.readouterr())
    assert printed.count("\\u202e") == 6
    assert not UNSAFE.search(printed)
