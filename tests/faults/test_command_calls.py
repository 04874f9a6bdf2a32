"""Whatever one call of OSS meets during a command, it says so in a sentence, and the same command works afterwards."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest

from deploy.probes import keys as keys_probes
from deploy.probes import lifecycle
from deploy.probes import oss as oss_probes
from handler.commands.keys import main as keys_main
from handler.commands.notices import main as notices_main
from handler.core.cloud import oss
from signer import cli
from signer.cli import listing
from tests.deploy.deployments import deployed
from tests.fault_proxy import FAULTS, FaultProxy, fault_proxy
from tests.handler.client import KEYS
from tests.handler.core.keys.command import ENVIRONMENT
from tests.handler.keys_fixtures import document
from tests.local_oss import PLACE, FakeClock, LocalOss, local_oss

SHORT = 0.2  # seconds that a command waits for an OSS that never answers, in these tests


class Operator(NamedTuple):
    """Somebody at a terminal, whose OSS is the proxy, and for whom no pause takes time."""

    oss: LocalOss
    faults: FaultProxy
    clock: FakeClock
    capsys: pytest.CaptureFixture[str]

    def run(self, command: Callable[[], int]) -> tuple[int, str, str]:
        self.capsys.readouterr()
        status = command()
        return status, *self.capsys.readouterr()


@pytest.fixture
def operator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Operator]:
    clock = FakeClock()
    with (
        clock.everywhere(),
        local_oss(tmp_path / "oss") as running,
        fault_proxy(running.url) as faults,
    ):
        environment = {**ENVIRONMENT, "LINK_OSS_ENDPOINT": faults.url}
        with patch.dict(os.environ, environment, clear=True):
            yield Operator(running, faults, clock, capsys)


def assert_sentence(err: str) -> None:
    assert "Traceback" not in err
    assert err.strip(), "it says nothing"
    for secret in (KEYS.access_key_secret, KEYS.security_token or "", "x-oss-signature", "fcp_"):
        assert secret not in err


def shorten(fault: str, context: pytest.MonkeyPatch) -> None:
    if fault.startswith("never"):
        context.setattr(oss, "TIMEOUT", (SHORT, SHORT))
        context.setattr(listing, "TIMEOUT", (SHORT, SHORT))


LINKS = """
region = "cn-hangzhou"
state = "oss://examplebucket/.links/state/"
[[mount]]
path = "/a/"
target = "oss://examplebucket/a/"
"""


def diagnose(operator: Operator) -> int:
    """Prints what the doctor finds; a fault is a finding like others."""
    deployment = deployed(operator.faults.url, KEYS)
    probes = (oss_probes.credentials, oss_probes.state, lifecycle.bucket_rules, oss_probes.mounts)
    found = [str(finding) for probe in probes for finding in probe(deployment)]
    found += map(str, keys_probes.document_and_sinks(deployment))
    print("\n".join(found), file=sys.stderr)
    return 0


def bulk(operator: Operator) -> int:
    """Signs what is below a prefix, into a file that is there already; whatever happens, it is complete."""
    output = Path(os.environ["LINK_CONFIG"]).with_name("links.jsonl")
    output.write_text("before\n")
    arguments = [
        "bulk",
        "oss://examplebucket/reports/",
        "--region",
        "cn-hangzhou",
        "--output",
        str(output),
    ]
    status = cli.run([*arguments, "--endpoint", operator.faults.url])
    keys = ["before\n"] if status else [f"reports/{number}.txt" for number in range(3)]
    lines = output.read_text().splitlines(keepends=True)
    assert [line if status else json.loads(line)["key"] for line in lines] == keys
    return status


COMMANDS: dict[str, Callable[[Operator], int]] = {
    "keys": lambda operator: keys_main(
        ["--keys", str(PLACE), "show"], clock=operator.clock.clock()
    ),
    "notices": lambda operator: notices_main(["list"]),
    "doctor": diagnose,
    "bulk": bulk,
}


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "fault"),
    # Each probe of the doctor waits for ten seconds, once.
    [
        (name, fault)
        for name, fault in product(COMMANDS, FAULTS)
        if name != "doctor" or not fault.startswith("never")
    ],
)
def test_a_command_that_only_reads(
    operator: Operator, name: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.oss.put_keys(document())
    for number in range(3):
        operator.oss.put(f"reports/{number}.txt")
    (tmp_path / "links.toml").write_text(LINKS)
    monkeypatch.setenv("LINK_CONFIG", str(tmp_path / "links.toml"))
    # The attribute `bulk` of the package is the command, not the module.
    objects = partial(listing.objects, pause=lambda seconds: None)
    monkeypatch.setattr(sys.modules["signer.cli.bulk"], "objects", objects)
    command = partial(COMMANDS[name], operator)
    usual = operator.run(command)
    assert usual[0] == 0
    count = len(operator.faults.calls)
    assert count
    for number in range(count):
        operator.faults.arm(fault, number, is_lasting=name != "doctor")
        with monkeypatch.context() as context:
            shorten(fault, context)
            status, _, err = operator.run(command)
        operator.faults.disarm()
        assert bool(status) is (fault != "slow" and name != "doctor"), f"call {number}"
        if status or name == "doctor":
            assert_sentence(err)
        assert operator.run(command) == usual
