"""What every run of the tests has, and one run of everything against an OSS that deviates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import live.__main__ as command
from live import answers, cases, side
from signer.emulator.oss import rights
from signer.emulator.ram import evaluate
from signer.emulator.sts import operations
from tests.live.deviations import DEVIATIONS
from tests.live.online import KEY, ROLE, Online, online

RENDER, CHECK = answers.render, answers.check
# Cases that leave something: objects, uploads, versions.
FEW = (
    "bucket/settings/",
    "content/put/",
    "content/parts/initiate",
    "content/read/if",
    "open/upload/",
    "versions/",
)


class Complete(NamedTuple):
    """A run of everything: `actions` is what RAM was asked for, and `secrets` what the files were searched for."""

    folder: Path
    oss: Online
    status: int
    printed: str
    results: list[answers.Result]
    secrets: set[str]
    actions: set[str]
    denied: set[str]

    @property
    def recording(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(
            (self.folder / "recorded-local/cn-hongkong.json").read_text("utf-8")
        )
        return document


def isolate(patch: pytest.MonkeyPatch) -> None:
    """The key of the tests, nothing else of the machine's, no pauses, and no handlers of signals."""
    for name in ("CI", "LIVE_IN_CI", "LIVE_OSS_ENDPOINT", "LIVE_STS_ENDPOINT", "OSS_SESSION_TOKEN"):
        patch.delenv(name, raising=False)
    patch.setenv("OSS_ACCESS_KEY_ID", KEY.access_key_id)
    patch.setenv("OSS_ACCESS_KEY_SECRET", KEY.access_key_secret)
    patch.setattr("live.__main__.exit_on_signals", lambda: None)
    patch.setattr("signal.signal", lambda number, handler: handler)
    patch.setattr(side, "PAUSES", (0.0,))
    patch.setattr(side, "CLEANUP_PAUSES", (0.0, 0.0))


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[cases.Case]:
    """Has a run send only a few cases."""
    chosen = [case for case in cases.load() if case.name.startswith(FEW)]
    monkeypatch.setattr(command, "load", lambda *parts: chosen)
    return chosen


def run(service: Online, folder: Path, *arguments: str) -> int:
    """The status of the command against a service."""
    with pytest.MonkeyPatch.context() as patch:
        for name, url in service.environment.items():
            patch.setenv(name, url)
        try:
            return command.main([*arguments, "--folder", str(folder)])
        except SystemExit as exit:
            return int(str(exit.code))


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Complete]:
    folder, printed = tmp_path_factory.mktemp("live"), StringIO()
    results = list[answers.Result]()
    secrets = set[str]()
    actions = set[str]()
    denied = set[str]()

    def decide(layers: Any, action: str, resource: str, context: Any = None) -> Any:
        decision = evaluate(layers, action, resource, context)
        # Those of the user, not of a session.
        if len(layers) == 1 and len(layers[0][0].statements) == 3:
            actions.add(action)
            denied.update([] if decision.allowed else [f"{action} {resource}"])
        return decision

    def render(compared: Any, title: str) -> str:
        results.extend(compared)
        return RENDER(compared, title)

    def check(text: str, hidden: Any) -> str:
        secrets.update(hidden)
        return CHECK(text, hidden)

    with pytest.MonkeyPatch.context() as patch, online(tmp_path_factory.mktemp("oss")) as service:
        isolate(patch)
        service.changes = {deviation.case: deviation.change for deviation in DEVIATIONS}
        patch.setattr(rights, "evaluate", decide)
        patch.setattr(operations, "evaluate", decide)
        patch.setattr(answers, "render", render)
        patch.setattr(answers, "check", check)
        with redirect_stdout(printed):
            status = run(service, folder, "--yes", "--sts", "--kms", "--role-arn", ROLE)
        yield Complete(
            folder, service, status, printed.getvalue(), results, secrets, actions, denied
        )
