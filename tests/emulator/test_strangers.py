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
# With urls.py beside it: the status of each path, and where it redirects to.
VISITS = """
import sys
import django
from django.conf import settings
settings.configure(ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"])
django.setup()
from django.test import Client
for path in sys.argv[1:]:
    response = Client().get(path)
    print(response.status_code, response.headers.get("Location", ""))
"""


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


def test_the_django_view_of_the_library_s_page_redirects_to_a_link(
    programs: Path, tmp_path: Path
) -> None:
    page = (environments.ROOT / "docs/library.md").read_text("utf-8")
    examples = re.findall(r"```python\n((?:import fc_presign|from django).*?)```", page, re.DOTALL)
    (tmp_path / "urls.py").write_text("".join(examples))
    (tmp_path / "visits.py").write_text(VISITS)
    key = {"OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE", "OSS_ACCESS_KEY_SECRET": "secretEXAMPLE"}
    paths = ("/files/a/b.txt", "/files/a//b", "/files/a/../b")
    output = environments.run(programs, tmp_path, "python", "visits.py", *paths, variables=key)
    redirect, *missing = output.splitlines()[-3:]
    location = "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/public/a/b.txt?x-oss-credential="
    assert redirect.startswith(f"302 {location}")
    assert missing == ["404 ", "404 "]
