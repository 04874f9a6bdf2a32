"""The fixtures for pytest, in projects that know nothing of this one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from signer import emulator
from signer.emulator import RunningOss
from tests.signer.emulator.running import call

ROOT = Path(__file__).parents[3]
# To load these takes three times as long as all else.
WITHOUT_OTHERS = ("-p", "no:schemathesis", "-p", "no:hypothesispytest")
LOADED = """
import json, sys
before = {*sys.modules}
import signer
library = {*sys.modules}
import signer.emulator.pytest_plugin
print(json.dumps([sorted({*sys.modules} - library), sorted(library - before)]))
"""


def pytest_of(
    folder: Path,
    source: str,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    without_packages: bool = False,
) -> tuple[int, str]:
    """Status and output of pytest in a project with these tests, with the plugin of this clone."""
    folder.mkdir(exist_ok=True)
    (folder / "test_it.py").write_text(source, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    code = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
    if without_packages:
        code = f"import sys; sys.modules.update(dict.fromkeys(['werkzeug', 'fastcrc'])); {code}"
    command = [sys.executable, "-c", code, "-q", "-p", "signer.emulator.pytest_plugin"]
    # The folders of runs that others killed are not for this one to remove.
    command += ["-p", "no:cacheprovider", "-p", "no:fc_presign", "--basetemp=temp"]
    done = subprocess.run(
        [*command, *WITHOUT_OTHERS, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **(variables or {})},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def test_each_test_has_a_bucket_of_its_own(aliyun_oss: RunningOss) -> None:
    assert call(aliyun_oss, "PUT", "a.txt", b"figures").status == 200
    assert b"a.txt" in call(aliyun_oss, "GET", None, query={"list-type": "2"}).body


def test_which_is_empty(aliyun_oss: RunningOss, aliyun_oss_server: RunningOss) -> None:
    assert b"a.txt" not in call(aliyun_oss, "GET", None, query={"list-type": "2"}).body
    assert aliyun_oss.bucket != aliyun_oss_server.bucket == "examplebucket"
    assert (aliyun_oss.url, aliyun_oss.region) == (aliyun_oss_server.url, "cn-hangzhou")


def test_buckets_of_a_test_go_with_it(tmp_path: Path) -> None:
    source = """
names = []
def test_one(aliyun_oss, aliyun_oss_server):
    names.extend([aliyun_oss.bucket, aliyun_oss.create_bucket("another")])
    root = aliyun_oss_server._alone.root
    assert all((root / name).is_dir() for name in names)

def test_two(aliyun_oss_server):
    root = aliyun_oss_server._alone.root
    assert not any((root / name).exists() for name in names)
"""
    assert "2 passed" in pytest_of(tmp_path, source)[1]


def test_the_variables_that_sdks_read_and_none_of_the_shell_until_the_end(tmp_path: Path) -> None:
    source = """
import os, pytest
FOREIGN = ("OSS_", "ALIBABA_CLOUD_", "ALICLOUD_", "ALIYUN_")
before = dict(os.environ)

def test_environment(aliyun_oss_environment, aliyun_oss):
    assert aliyun_oss_environment is aliyun_oss
    ours = {name: value for name, value in os.environ.items() if name.startswith(FOREIGN)}
    expected = aliyun_oss.environment
    assert ours == {name: value for name, value in expected.items() if name.startswith("OSS_")}
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "127.0.0.1,localhost,example.com"

def test_without(aliyun_oss):
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "127.0.0.1,localhost,example.com"
    assert os.environ["OSS_SESSION_TOKEN"] == "CAISEXAMPLE"

def test_back():
    def own(environment):
        return {name: value for name, value in environment.items() if name != "PYTEST_CURRENT_TEST"}
    assert own(os.environ) == own(before)
"""
    names = ("OSS_SESSION_TOKEN", "OSS_X", "ALIBABA_CLOUD_X", "ALICLOUD_X", "ALIYUN_X")
    foreign = {**dict.fromkeys(names, "CAISEXAMPLE"), "NO_PROXY": "example.com"}
    status, output = pytest_of(tmp_path, source, variables=foreign)
    assert (status, "3 passed" in output) == (0, True), output


def test_a_fault_that_was_not_used_fails_its_test_in_one_sentence(tmp_path: Path) -> None:
    source = """
import pytest
def test_unused(aliyun_oss):
    aliyun_oss.fail("GetObject", "a.txt")

@pytest.fixture
def own(aliyun_oss):
    return aliyun_oss

def test_unused_too(own):
    own.delay("PutObject", seconds=1, times=3)

def test_another_reason(aliyun_oss):
    aliyun_oss.fail("GetObject")
    assert 1 == 2

def test_allowed(aliyun_oss):
    aliyun_oss.fail("GetObject", unused="allow")
"""
    status, output = pytest_of(tmp_path, source, "-rA")
    assert status == 1
    assert "3 failed, 1 passed" in output
    assert (
        "FAILED test_it.py::test_unused - Failed: fail('GetObject', 'a.txt') was not used: 1 more"
        in output
    )
    assert "test_unused_too - Failed: delay('PutObject', None) was not used: 3 more" in output
    assert "test_another_reason - assert 1 == 2" in output
    assert "was not used" not in output.partition("test_another_reason")[2].partition("1 == 2")[0]
    assert "ERROR" not in output


@pytest.mark.ci
def test_workers_of_xdist_do_not_meet(tmp_path: Path) -> None:
    source = """
import pytest
@pytest.mark.parametrize("number", range(6))
def test_put(aliyun_oss, number):
    print(f"{aliyun_oss.url} {aliyun_oss.bucket}", end=" ")
    aliyun_oss.fail("GetObject", unused="allow")
"""
    status, output = pytest_of(tmp_path, source, "-n", "2", "-rP")
    assert status == 0, output
    urls = {word for word in output.split() if word.startswith("http://127.0.0.1:")}
    buckets = [word for word in output.split() if word.startswith("bucket-")]
    assert (len(urls), len({*buckets})) == (2, 6)


def test_without_the_extra_the_fixtures_fail_in_one_sentence(tmp_path: Path) -> None:
    source = "def test_it(aliyun_oss): pass\ndef test_other(): pass\n"
    status, output = pytest_of(tmp_path, source, without_packages=True)
    assert status == 1
    assert "1 passed, 1 error" in output
    assert "Failed: The OSS for tests requires " in output
    assert "install fc-presign[oss]." in output
    assert "Traceback" not in output
    assert "During handling" not in output
    assert "skipped" not in output


def test_the_plugin_loads_what_the_library_loads_and_nothing_more_until_a_fixture_is_used(
    tmp_path: Path,
) -> None:
    source = """
import sys
def ours():
    return {name for name in sys.modules if name.startswith("signer.emulator")}
def test_before():
    assert ours() == {"signer.emulator", "signer.emulator.pytest_plugin"}
    assert not {"werkzeug", "fastcrc", "click", "requests"} & {*sys.modules}
def test_after(aliyun_oss):
    assert "signer.emulator.running" in ours()
    assert "werkzeug" in sys.modules
"""
    status, output = pytest_of(tmp_path, source, variables={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    assert status == 0, output
    code = f"import pytest, typing\n{LOADED}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    plugin, _ = json.loads(done.stdout)
    assert plugin == ["signer.emulator", "signer.emulator.pytest_plugin"]


def test_the_projects_own_pytest_never_loads_the_entry_point(tmp_path: Path) -> None:
    """With a distribution on its path that has one, such as an old wheel or a new egg-info."""
    info = tmp_path / "fc_presign-0.0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fc-presign\nVersion: 0.0.1\n")
    (info / "entry_points.txt").write_text("[pytest11]\nfc_presign = old_plugin\n")
    (tmp_path / "old_plugin.py").write_text("raise SystemExit('An old plugin was loaded.')\n")
    test = "tests/signer/emulator/test_pytest_plugin.py::test_which_is_empty"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(*arguments: str) -> str:
        options = ["-q", "-p", "no:cacheprovider", "--trace-config", *arguments]
        command = [sys.executable, "-m", "pytest", *options]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
        )
        return done.stdout + done.stderr

    # Of distributions with one entry point, pytest loads one: the old one, or what is installed, or what an egg-info
    # in the clone names, which an old wheel may not have.
    loaded = r"An old plugin was loaded\.|fc_presign\.emulator"
    own = run(test)
    assert "1 passed" in own
    assert not re.search(loaded, own)
    assert re.search(loaded, run("-o", "addopts=", test))


def test_the_names_of_the_package() -> None:
    assert emulator.__all__ == ["EmulatorError", "RunningOss", "run"]
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        emulator.other  # noqa: B018
