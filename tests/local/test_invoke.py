"""`python -m local invoke`: one function, run once with an event."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from local.invoke import PASSED_ON, main
from local.stack import Stack
from tests.local.fc.test_async_invoke import ROOT, config, notes, put
from tests.local.test_stack import WEB
from tests.local.test_stack import config as stack_config

EVENTS = ROOT / "tests/data/events"
OURS = ("OSS_", "LINK_", "ALIBABA_")
KEYS = {"OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE", "OSS_ACCESS_KEY_SECRET": "EXAMPLE"}


Invoke = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Invoke:
    """Runs the command in this process, which takes less time."""

    def run(
        *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        with monkeypatch.context() as patched:
            patched.chdir(ROOT)
            for name in [name for name in os.environ if name.startswith(OURS)]:
                patched.delenv(name)
            for name, value in (environ or {}).items():
                patched.setenv(name, value)
            patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            status = main(arguments)
        return subprocess.CompletedProcess(arguments, status, *capfdbinary.readouterr())

    return run


@pytest.mark.parametrize("name", ["noted", "events"])
def test_a_function_is_found_by_its_name_and_its_resource(
    invoke: Invoke, tmp_path: Path, name: str
) -> None:
    result = invoke(name, "--event", "-", "--config", str(config(tmp_path)), stdin=b'{"n": 1}')
    assert (result.returncode, json.loads(result.stdout)["event"]) == (0, {"n": 1})
    assert len(notes(tmp_path)) == 1


def test_a_failed_invocation_is_exit_status_1_with_the_error(tmp_path: Path) -> None:
    arguments: list[str | Path] = [
        "noted",
        "--event",
        EVENTS / "timer.json",
        "--config",
        config(tmp_path, fails=1),
    ]
    result = subprocess.run(
        [sys.executable, "-m", "local", "invoke", *arguments],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, b"")
    assert b"noted failed: RuntimeError: not this time" in result.stderr
    assert notes(tmp_path)[0]["event"]["triggerName"] == "timer-trigger"


def test_the_projects_own_function_works_with_a_running_stack(
    invoke: Invoke, tmp_path: Path
) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"links": [{"path": "/outbox/nowhere.txt"}]}')
    with Stack.start(ROOT / "s.yaml", root=tmp_path / "oss") as stack:
        put(stack, "outbox/a.txt")
        assert stack.dispatcher.wait(30)
        environ = {
            "OSS_ACCESS_KEY_ID": stack.credentials.access_key_id,
            "OSS_ACCESS_KEY_SECRET": stack.credentials.access_key_secret,
            "OSS_SESSION_TOKEN": stack.credentials.security_token or "",
            "LINK_OSS_ENDPOINT": stack.oss_url,
            "LINK_STS_ENDPOINT": stack.sts_url,
        }
        result = invoke("links_events", "--event", str(event), environ=environ)
        assert result.returncode == 0, result.stderr
        counts = {"items": 1, "links": 0, "notices": 0, "skipped": 1, "repeated": 0, "queued": 0}
        assert json.loads(result.stdout) == {**counts, "reasons": {"no_notice": 1}}
        # The stack's own trigger has sent such an event before.
        record = json.loads((EVENTS / "oss-trigger.json").read_text())
        record["events"][0]["oss"]["object"]["key"] = "outbox/b.txt"
        event.write_text(json.dumps(record))
        first, second = (
            json.loads(invoke("links_events", "--event", str(event), environ=environ).stdout)
            for _ in range(2)
        )
        assert (first["notices"], second["notices"], second["repeated"]) == (1, 0, 1)


def test_the_addresses_of_a_running_stack_reach_the_function(
    invoke: Invoke, tmp_path: Path
) -> None:
    path = stack_config(tmp_path, f"handler: shown.environment, {WEB}")
    addresses = {
        name: f"http://127.0.0.1:1/{name}" for name in PASSED_ON if name != "LINK_STS_ENDPOINT"
    }
    assert "LINK_CDN_ENDPOINT" in addresses
    result = invoke("f0", "--event", "-", "--config", str(path), environ={**KEYS, **addresses})
    assert json.loads(result.stdout).items() >= addresses.items()


def test_a_local_sts_that_does_not_answer_is_exit_status_2(invoke: Invoke) -> None:
    environ = {**KEYS, "LINK_STS_ENDPOINT": "http://127.0.0.1:1"}
    result = invoke("links-events-dev", "--event", "-", environ=environ)
    assert result.returncode == 2
    assert result.stderr == (
        b"python -m local invoke: http://127.0.0.1:1: STS did not answer in time. Use the credentials of the running "
        b"stack: . samples/env.sh\n"
    )


def test_an_event_that_the_projects_own_function_does_not_know_is_exit_status_1(
    invoke: Invoke,
) -> None:
    result = invoke(
        "links-events-dev", "--event", str(EVENTS / "async-destination.json"), environ=KEYS
    )
    assert result.returncode == 1
    message = b'InvocationFailed: Unsupported event: an object with the members "timestamp", "requestContext"'
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["nothing", "--event", "-"],
            "Function 'nothing' not found (functions that run locally: links-http-dev, links-",
        ),
        (["links-events-dev", "--event", "no-such-file"], "Event file no-such-file cannot be read"),
        (
            ["links-events-dev", "--event", "-", "--config", "no-such.yaml"],
            "no-such.yaml does not exist",
        ),
        (["links-events-dev", "--event", "-"], "Credentials are required. Set OSS_ACCESS_KEY_ID"),
    ],
)
def test_what_cannot_be_invoked_is_reported_on_one_line_with_exit_status_2(
    invoke: Invoke, arguments: list[str], sentence: str
) -> None:
    result = invoke(*arguments)
    assert (result.returncode, result.stdout) == (2, b"")
    assert sentence in result.stderr.decode()
    assert result.stderr.count(b"\n") == 1
