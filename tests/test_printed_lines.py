"""One rule for every line that a command prints: nothing that a terminal obeys, and nothing that people cannot see."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import pytest

from deploy import build, check, doctor, policies
from deploy import command as deploy_command
from deploy.probes.findings import fault
from handler.commands import keys, notices
from local import command, invoke
from local.demo import story
from local.errors import LocalError
from local.fc.runtime import UNHANDLED, Outcome, Runtime, write_line
from local.stack import Stack
from signer.common.display import printable
from tools import reference, template

HOSTILE = "\x1b[2J\x9b31m\u202efdp\u2028\u200b\u2066"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028\u202e\u2066]")


def test_what_a_terminal_obeys_or_nobody_sees_is_an_escape_of_json() -> None:
    directed = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    listed = "\u061c\u200b\u200e\u2028\u2029\ufeff\u00ad\ud800\udc9b\U000e0041"
    for letter in map(chr, range(sys.maxunicode + 1)):
        if (
            letter in listed
            or unicodedata.category(letter) == "Cc"
            or unicodedata.bidirectional(letter) in directed
        ):
            assert re.fullmatch(r"(\\u[0-9a-f]{4})+", printable(letter))
            assert json.loads(f'"{printable(letter)}"') == letter
            document = json.dumps({"key": f'é\\"{letter}'}, ensure_ascii=False)
            assert json.loads(printable(document)) == json.loads(document)


# A full-width space, macOS's in names of screenshots, Persian, a family, private use, and a letter of the future.
@pytest.mark.parametrize(
    "name",
    [
        "报告\u3000一",
        "9.41\u202fAM\xa0a",
        "\u0645\u06cc\u200c\u062e",
        "👨\u200d👩",
        "\uf8ff",
        "\U0003fff0",
    ],
)
def test_names_of_people_s_files_stay(name: str) -> None:
    assert printable(f"\x07{name}") == f"\\u0007{name}"


@pytest.fixture
def printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[], str]:
    """What was printed since the last call, without anything unsafe."""
    for module in (command, story):
        monkeypatch.setattr(module, "exit_on_signals", lambda *_: None)

    def read() -> str:
        lines = "".join(capfd.readouterr())
        assert not UNSAFE.search(lines), lines
        return lines

    return read


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        *[
            (main, [f"--nope{HOSTILE}"])
            for main in (check.main, policies.main, doctor.main, template.main)
        ],
        *[
            (main, [f"--nope{HOSTILE}"])
            for main in (reference.main, build.main, keys.main, notices.main)
        ],
        (command.main, [f"a{HOSTILE}"]),
        (invoke.main, ["a", "--event", "-", f"a{HOSTILE}"]),
        *[
            (main, [f"/nonexistent{HOSTILE}/s.yaml"])
            for main in (check.main, policies.main, doctor.main, build.main)
        ],
        (command.main, ["--config", f"/nonexistent{HOSTILE}"]),
        (invoke.main, [f"a{HOSTILE}", "--event", "-"]),
        (invoke.main, ["links-http-dev", "--event", f"/nonexistent{HOSTILE}"]),
    ],
)
def test_errors_show_no_control_of_an_argument(
    main: Callable[[list[str]], int], arguments: list[str], printed: Callable[[], str]
) -> None:
    with suppress(SystemExit):  # argparse's, which is 2
        assert deploy_command.run("make", lambda: main(arguments)) in (1, 2)
    assert printed()


def test_results_and_failures_of_deploy_are_safe_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: Callable[[], str]
) -> None:
    monkeypatch.setattr(
        doctor, "findings", lambda options: [fault("oss", f"AccessDenied: {HOSTILE}\nok      oss")]
    )
    assert doctor.main([]) == 1
    monkeypatch.setattr(check, "check", lambda *_: check.Report([], warnings=[f"w{HOSTILE}"]))
    assert check.main([f"a{HOSTILE}"]) == 0
    (tmp_path / HOSTILE / "file").mkdir(parents=True)
    assert (
        deploy_command.run("make template", lambda: template.main([str(tmp_path / HOSTILE)])) == 1
    )
    monkeypatch.setattr(template, "assemble", lambda *_, **__: None)
    assert template.main([f"a{HOSTILE}"]) == 0
    monkeypatch.setattr("os.dup2", lambda *_: None)
    assert deploy_command.run("make build", lambda: os.listdir(f"/nonexistent{HOSTILE}") == []) == 1
    assert printed().count("\n") == 6


def test_a_script_is_safe_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(policies, "check", lambda *_: check.Report([]))
    monkeypatch.setattr(policies, "policies", lambda *_: {})
    monkeypatch.setattr("deploy.account_script.script", lambda _: f"echo a{HOSTILE}\nexit")
    for is_terminal, name in ((False, HOSTILE), (True, printable(HOSTILE))):
        monkeypatch.setattr(sys.stdout, "isatty", lambda answer=is_terminal: answer)
        assert policies.main(["--commands"]) == 0
        printed = capsys.readouterr()
        assert printed.out == f"echo a{name}\nexit\n"
        assert ("write it to a file" in printed.err) is is_terminal


def test_results_and_failures_of_local_are_safe_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: Callable[[], str]
) -> None:
    (tmp_path / "event.json").write_text("{}")
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", "LTAI5tEXAMPLE")
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "secretEXAMPLE")
    error = json.dumps({"errorMessage": HOSTILE, "errorType": HOSTILE}).encode()
    for outcome in (Outcome("1", HOSTILE.encode(), None), Outcome("1", error, UNHANDLED)):
        monkeypatch.setattr(Runtime, "invoke", lambda *_, outcome=outcome: outcome)
        invoke.main(["links-http-dev", "--event", str(tmp_path / "event.json")])
    write_line(None, HOSTILE)
    monkeypatch.setattr(Stack, "start", Mock(side_effect=LocalError(HOSTILE)))
    assert story.main([]) == 1
    assert printed().count("\\u202e") == 5
