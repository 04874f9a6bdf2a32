"""`make demo`: its steps, and that its lines get the same when they are typed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

from local import samples
from local.demo import story
from local.fc.s_yaml import read_yaml
from local.stack import Stack
from signer import redact
from tests.local.programs import ROOT
from tools import demo_picture, secret_search
from tools.demo_picture import without_what_varies

# Runs a program whose secrets are recorded in a file.
RECORDED = """
import runpy, sys
from pathlib import Path
from tools import secret_search
secret_search.record(Path(sys.argv.pop(1)))
runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""
STEP = re.compile(r"^# .*\n((?:\$ .*\n|    .*\n)+)  (\S.*)\n", re.MULTILINE)
CURL = """#!/bin/sh
exec {curl} -sS -w '%{{stderr}}%{{num_redirects}} %{{http_code}}\\n' "$@"
"""
FC_PRESIGN = """#!/bin/sh
PYTHONPATH={root} exec {python} -m signer "$@"
"""


class Demo(NamedTuple):
    """A demonstration that has ended."""

    status: int
    output: str
    secrets: list[str]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One on a machine that reaches others through a proxy, which does not answer."""
    secrets = tmp_path_factory.mktemp("demo") / "secrets"
    proxies = {f"{name}_proxy": "http://127.0.0.1:9" for name in ("http", "https", "all")}
    process = subprocess.run(
        [sys.executable, "-c", RECORDED, str(secrets), "local.demo"],
        cwd=ROOT,
        env={**os.environ, **proxies, **{name.upper(): value for name, value in proxies.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return Demo(process.returncode, process.stdout, secrets.read_text().split())


def steps() -> list[story.Step]:
    entries: Any = read_yaml(Path(story.__file__).with_name("steps.yaml"))
    return [story.Step(**entry) for entry in entries]


def test_every_step_gets_what_it_expects_and_no_secret_is_printed(demo: Demo) -> None:
    assert len(demo.secrets) > 3
    # First, and as a value: what another assertion shows would have the secret.
    findings = secret_search.search(demo.output, demo.secrets)
    assert findings == []
    assert demo.status == 0, demo.output
    assert demo.output.splitlines()[-1].startswith("Every step succeeded.")
    results = [result for _, result in STEP.findall(demo.output)]
    assert [result[: result.find(" ")] if " " in result else result for result in results] == [
        str(step.status[0]) for step in steps()
    ]
    for part in ("302 200 The figures", "403 <Code>SignatureDoesNotMatch", '"clamped_by": "mount"', "was withdrawn"):
        assert part in demo.output
    assert '"status":302' in demo.output.splitlines()[-2]
    assert "\x1b" not in demo.output


def test_the_printed_lines_get_the_same_in_a_shell(demo: Demo, tmp_path: Path, log: IO[bytes]) -> None:
    """Beside what `make run` starts, with its `samples/env.sh`."""
    curl = shutil.which("curl") or pytest.skip("curl is required")
    _ = shutil.which("jq") or pytest.skip("jq is required")
    state, programs = tmp_path / "state", {"curl": CURL.format(curl=curl)}
    programs["fc-presign"] = FC_PRESIGN.format(root=ROOT, python=sys.executable)
    for name, script in programs.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    with Stack.start(ROOT / "s.yaml", root=tmp_path / "samples", log=log) as stack:
        made = samples.prepare(stack)
        state.write_text("\n".join(samples.write_script(stack.root, samples.variables(stack, made.api_key.value))))
        for step, (lines, result) in zip(steps(), STEP.findall(demo.output), strict=True):
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
            redirects, status = process.stderr.splitlines()[-1].split()
            assert (int(redirects), int(status)) == (len(step.status) - 1, step.status[-1]), (commands, process.stdout)
            shown = re.search(step.shows, process.stdout)
            assert shown, commands
            same = redact(f"{' '.join(map(str, step.status))} {shown[0]}".rstrip())
            assert without_what_varies(same) == without_what_varies(result)


def test_a_step_that_gets_something_else_fails_the_demonstration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(story, "exit_on_signals", lambda: None)
    for wrong in ({"status": [404]}, {"status": [200], "shows": "figures"}):
        entry = {"why": "A wrong step", "address": "$SERVICE/-/health", **wrong}
        monkeypatch.setattr(story, "read_yaml", lambda _, entry=entry: [entry])
        assert story.main([]) == 1
        printed = capsys.readouterr()
        assert printed.out.endswith('# A wrong step\n$ curl "$SERVICE/-/health"\n')
        assert re.fullmatch(r"make demo: .* was expected, not \[200\] .*\n", printed.err)


def test_the_picture_shows_the_demonstration(demo: Demo) -> None:
    shown = demo_picture.shown_text(demo_picture.PICTURE.read_text("utf-8"))
    assert without_what_varies(shown) == without_what_varies(demo.output), "run make docs"
