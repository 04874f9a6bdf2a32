"""Programs and tests as strangers write them, against the wheel in environments of their own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import tomli

from tests.emulator import environments

pytestmark = pytest.mark.ci

FOLDER = Path(__file__).parent
RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"
OTHERS = sorted({"3.10", "3.11", "3.12", "3.13"} - {RUNNING})
PROGRAMS = FOLDER / "programs"


@pytest.mark.parametrize(
    "version", [RUNNING, *(pytest.param(version, marks=pytest.mark.long) for version in OTHERS)]
)
def test_fifty_tests_need_the_wheel_its_fixtures_and_the_sdks(
    version: str, wheel: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "venv"
    # The asynchronous client imports aiohttp, which the SDK does not require.
    packages = ("oss2", "alibabacloud-oss-v2", "aiohttp", "pytest")
    environments.create(
        environment,
        environments.interpreter(version),
        f"fc-presign[oss] @ {wheel.as_uri()}",
        *packages,
    )
    output = environments.run_tests(environment, FOLDER / "stranger", tmp_path)
    passed = re.search(r"^(\d+) passed in ", output, re.MULTILINE)
    assert passed, output
    assert int(passed[1]) >= 50


def test_the_tests_import_nothing_of_this_project() -> None:
    files = [*FOLDER.glob("stranger/*.py"), *PROGRAMS.glob("*.py")]
    assert len(files) > 10
    assert [path for path in files if re.search("fc_presign|signer", path.read_text("utf-8"))] == []


def test_the_lock_has_what_is_required_with_hashes_and_no_address() -> None:
    """`make lock` writes it, of the requirements of the programs and of the extra."""
    lock = environments.LOCK.read_text("utf-8")
    lines = (PROGRAMS / "requirements.txt").read_text("utf-8").splitlines()
    extra = tomli.loads((environments.ROOT / "pyproject.toml").read_text("utf-8"))
    lines += extra["project"]["optional-dependencies"]["oss"]
    names = {re.split("[<>=]", line)[0] for line in lines if not line.startswith("#")}
    pinned = dict(re.findall(r"(?m)^([a-z0-9-]+)==\S+ \\\n +(--hash=sha256:)", lock))
    assert names <= pinned.keys()
    assert len(pinned) == len(re.findall(r"(?m)^[a-z]", lock))
    assert "://" not in lock


@pytest.mark.parametrize("program", sorted(path.name for path in PROGRAMS.glob("test_*.py")))
def test_a_program(program: str, programs: Path, tmp_path: Path) -> None:
    output = environments.run_tests(programs, PROGRAMS / program, tmp_path)
    assert re.search(r"^\d+ passed in ", output, re.MULTILINE), output
