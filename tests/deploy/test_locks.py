"""Each runtime has a lock that matches its requirements and pins every package by hash."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import build, locks, runtimes
from deploy.errors import DeployError
from tests.deploy.project_copy import BUILT, ROOT, ProjectCopy


@pytest.mark.parametrize("runtime", runtimes.RUNTIMES.values(), ids=str)
def test_a_lock_is_current_pinned_hashed_and_free_of_markers_and_addresses(runtime: runtimes.Runtime) -> None:
    pins = locks.read_current(ROOT, runtime)
    lock = (ROOT / runtime.lock).read_text(encoding="utf-8")
    assert not re.search(r"https?:|;|--index|--find|@ ", lock)
    assert {"jinja2", "certifi"} <= {pin.name for pin in pins}
    assert ("tomli" in {pin.name for pin in pins}) == (runtime.python == "3.10")
    assert ("uvicorn" in {pin.name for pin in pins}) == runtime.custom


def test_pip_audit_reads_every_package_of_every_lock() -> None:
    """As `make audit` calls it, without asking for vulnerabilities."""
    files = sorted((ROOT / "deploy/requirements").glob("*.lock"))
    assert len(files) == len(runtimes.RUNTIMES)
    command = [sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--require-hashes", "--dry-run"]
    for file in files:
        command += ["-r", str(file)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60)
    pins = {pin for file in files for pin in locks.read(file)}
    assert f"would have audited {len(pins)} packages" in process.stderr
    assert process.returncode == 0


def test_requirements_that_changed_since_the_lock_stop_the_build(tmp_path: Path) -> None:
    copy = ProjectCopy.of(tmp_path, BUILT)
    with (copy.folder / "requirements.txt").open("a") as file:
        file.write("boto3>=1\n")
    with pytest.raises(
        DeployError, match=r"deploy/requirements/3\.10\.lock does not match requirements\.txt: run make lock"
    ):
        build.build(build.plan(copy.config))


@pytest.mark.parametrize(
    "line", ["jinja2==3.0", "jinja2>=3 --hash=sha256:" + "0" * 64, 'tomli==2.0; python_version < "3.11"']
)
def test_a_line_of_a_lock_must_be_a_version_with_its_hashes(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text(line + "\n")
    with pytest.raises(DeployError, match="is not a pinned version with its hashes"):
        locks.read(tmp_path / "a.lock")


def test_a_lock_that_cannot_be_written_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = ProjectCopy.of(tmp_path, BUILT).folder
    runtime = runtimes.RUNTIMES["python3.10"]
    before = (root / runtime.lock).read_bytes()

    def uv(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        Path(command[command.index("--output-file") + 1]).write_text("jinja2==3.0.0 --hash=sha256:" + "0" * 64 + "\n")
        return subprocess.CompletedProcess(command, 0)

    def fail(*paths: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *paths)

    monkeypatch.setattr(locks, "find_spec", lambda name: True)
    monkeypatch.setattr("deploy.locks.subprocess.run", uv)
    monkeypatch.setattr("local.replace_file.os.fsync", fail)
    with pytest.raises(OSError, match="No space left on device") as error:
        locks.write(root, runtime, upgrade=False)
    assert error.value.filename == str(root / runtime.lock)
    assert (root / runtime.lock).read_bytes() == before
    monkeypatch.undo()
    assert not list((root / runtime.lock).parent.glob("*.incomplete"))
