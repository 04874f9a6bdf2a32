"""One run of everything, and what every run of the tests has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import live.__main__ as command
from live import answers, side
from local.oss import rights
from local.ram import evaluate
from local.sts import operations
from tests.live.deviations import DEVIATIONS
from tests.live.online import KEY, ROLE, Online, online

EVERYTHING = ("--yes", "--sts", "--kms", "--role-arn", ROLE)


class Complete(NamedTuple):
    """A run of everything: its folder, OSS with the changes of `DEVIATIONS`, what it used, compared and saw."""

    folder: Path
    oss: Online
    status: int
    actions: set[str]
    denied: list[tuple[str, str]]
    results: list[answers.Result]
    sides: list[side.Side]

    @property
    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    @property
    def recording(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "recorded-local/cn-hongkong.json").read_text("utf-8"))
        return document


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of the tests, and nothing of the machine's."""
    for name in ("CI", "LIVE_IN_CI", "LIVE_OSS_ENDPOINT", "LIVE_STS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", KEY.access_key_id)
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", KEY.access_key_secret)
    monkeypatch.delenv("OSS_SESSION_TOKEN", raising=False)
    monkeypatch.setattr(command, "exit_on_signals", lambda: None)
    monkeypatch.setattr(command.signal, "signal", lambda *handler: None)
    monkeypatch.setattr(side, "PAUSES", (0.0,))
    monkeypatch.setattr(side, "CLEANUP_PAUSES", (0.0, 0.0))


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
    folder = tmp_path_factory.mktemp("live")
    actions: set[str] = set()
    denied: list[tuple[str, str]] = []
    compared: list[answers.Result] = []
    sides: list[side.Side] = []

    def decide(layers: Any, action: str, resource: str, context: Any = None) -> Any:
        decision = evaluate(layers, action, resource, context)
        if layers and len(layers) == 1 and len(layers[0][0].statements) > 2:  # those of the user, not of a session
            actions.add(action)
            denied.extend([] if decision.allowed else [(action, resource)])
        return decision

    def compare(*options: Any) -> answers.Result:
        compared.append(COMPARE(*options))
        return compared[-1]

    def make_side(*options: Any) -> side.Side:
        sides.append(MAKE_SIDE(*options))
        return sides[-1]

    with pytest.MonkeyPatch.context() as patch, online(tmp_path_factory.mktemp("oss")) as service:
        service.changes = {deviation.case: deviation.change for deviation in DEVIATIONS}
        patch.setenv("OSS_ACCESS_KEY_ID", KEY.access_key_id)
        patch.setenv("OSS_ACCESS_KEY_SECRET", KEY.access_key_secret)
        patch.delenv("CI", raising=False)
        patch.setattr(command, "exit_on_signals", lambda: None)
        patch.setattr(command.signal, "signal", lambda *handler: None)
        for module in (rights, operations):
            patch.setattr(module, "evaluate", decide)
        patch.setattr(answers, "compare", compare)
        patch.setattr(side, "make_side", make_side)
        patch.setattr(side, "PAUSES", (0.0,))
        status = run(service, folder, *EVERYTHING)
        yield Complete(folder, service, status, actions, denied, compared, sides)


COMPARE, MAKE_SIDE = answers.compare, side.make_side
