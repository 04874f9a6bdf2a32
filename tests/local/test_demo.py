"""`make demo`: its steps, and that its lines get the same when they are typed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from shlex import quote
from typing import IO, Any

import pytest

from local import samples
from local.demo import story
from local.errors import LocalError
from local.fc.s_yaml import read_yaml
from local.stack import Stack
from signer import redact
from signer.emulator.variables import SCRIPT, write_script
from tests.local.programs import ROOT
from tools import secret_search

# Runs a program whose secrets are recorded in a file.
RECORDED = """
import runpy, sys
from pathlib import Path
from tools import secret_search
secret_search.record(Path(sys.argv.pop(1)))
runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""
# The commands of a step, and its result.
STEP = re.compile(r"^# .*\n((?:\$ .*\n|    .*\n)+)  (\S.*)\n", re.MULTILINE)


def without_what_varies(output: str) -> str:
    """Ports, ids and durations differ in each run of the demonstration."""
    for pattern, replacement in (
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r'("request_id":")[\w-]+', r"\1ID"),
        (r'("milliseconds":)[\d.]+', r"\1DURATION"),
    ):
        output = re.sub(pattern, replacement, output)
    return output.strip()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a demonstration prints on a machine that reaches others through a proxy, which does not answer."""
    secrets = tmp_path_factory.mktemp("demo") / "secrets"
    names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    process = subprocess.run(
        [sys.executable, "-c", RECORDED, str(secrets), "local.demo"],
        cwd=ROOT,
        env={**os.environ, **dict.fromkeys(names, "http://127.0.0.1:9")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    made = secrets.read_text().split()
    assert len(made) > 3
    # First, and as a value: what another assertion shows would have the secret.
    findings = secret_search.search(process.stdout + process.stderr, made)
    assert findings == []
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout


def test_every_step_gets_what_it_expects(output: str) -> None:
    for part in (
        "302 200 The figures",
        "403 <Code>SignatureDoesNotMatch",
        '"clamped_by": "mount"',
        "was withdrawn",
    ):
        assert part in output
    log, end = output.splitlines()[-2:]
    assert ('"status":302' in log, end.partition(".")[0]) == (True, "Every step succeeded")


def test_the_printed_lines_get_the_same_in_a_shell(
    output: str, tmp_path: Path, log: IO[bytes]
) -> None:
    """Beside what `make run` starts, with its `samples/env.sh`."""
    curl, jq = shutil.which("curl"), shutil.which("jq")
    if curl is None or jq is None:
        pytest.skip("curl and jq are required")
    for name, command in {
        "curl": f"{curl} -sS -w '%{{stderr}}%{{num_redirects}} %{{http_code}}\\n'",
        "fc-presign": f"env PYTHONPATH={quote(str(ROOT))} {quote(sys.executable)} -m signer",
    }.items():
        (tmp_path / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (tmp_path / name).chmod(0o755)
    entries: Any = read_yaml(Path(story.__file__).with_name("steps.yaml"))
    with Stack.start(ROOT / "s.yaml", root=tmp_path / "samples", log=log) as stack:
        write_script(stack.root, samples.variables(stack, samples.prepare(stack).api_key.value))
        state = quote(str(stack.root / SCRIPT))
        for step, (lines, result) in zip(
            (story.Step(**entry) for entry in entries), STEP.findall(output), strict=True
        ):
            stack.dispatcher.wait(20)
            commands = re.sub(r"(?m)^\$ ", "", lines)
            process = subprocess.run(
                ["sh", "-c", f". {state}\nset -a\n{commands}export -p > {state}"],
                cwd=ROOT,
                env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "no_proxy": "*"},
                capture_output=True,
                text=True,
                timeout=60,
            )
            redirects, status = map(int, process.stderr.splitlines()[-1].split())
            assert (redirects, status) == (len(step.status) - 1, step.status[-1]), commands
            shown = re.search(step.shows, process.stdout)
            same = redact(
                f"{' '.join(map(str, step.status))} {shown[0] if shown else None}".rstrip()
            )
            assert without_what_varies(same) == without_what_varies(result)
        with pytest.raises(LocalError, match=r"404.* was expected, not .200. "):
            story.Step("Wrong", "$SERVICE/-/health", [404]).send(stack, {"SERVICE": stack.http_url})


def test_a_step_that_gets_something_else_fails_the_demonstration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(story, "exit_on_signals", lambda: None)
    right = {"why": "Right", "address": "$SERVICE/-/health", "status": [200]}
    wrong = {"why": "Wrong", "shows": "figures"}
    monkeypatch.setattr(story, "read_yaml", lambda _: [right, right | wrong])
    assert story.main([]) == 1
    printed = capsys.readouterr()
    assert printed.out.endswith('# Wrong\n$ curl "$SERVICE/-/health"\n')
    assert re.fullmatch(r"make demo: .* was expected, not \[200\] .*\n", printed.err)
