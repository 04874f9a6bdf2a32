"""A new process loads nothing heavy for a redirect: it delays the first request. `make bench` bounds the time."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.handler.client import EVENTS, KEYS, LINKS, event

ROOT = Path(__file__).parents[2]
OURS = {"handler", "signer"}

# Modules that take milliseconds to load, and that no redirect needs.
HEAVY = """
flask uvicorn httptools jinja2 click requests urllib3 itsdangerous jwt segno yaml oss2 alibabacloud_oss_v2
logging email secrets pathlib _strptime inspect dataclasses
asyncio http.client http.server ssl socket subprocess tempfile random uuid zoneinfo argparse unittest
concurrent multiprocessing xml html.entities typing_extensions
"""

RESPOND = """
import sys
before = set(sys.modules)
sys.path[:0] = {path!r}
import json, os
os.environ.update({environ!r})
import handler
if {initialize!r}:
    handler.on_initialize(None)
class Credentials:
    access_key_id, access_key_secret, security_token = {keys!r}
class Context:
    request_id, credentials = "req-EXAMPLE", Credentials
statuses = [handler.on_http(event, Context)["statusCode"] for event in {events!r}]
print(json.dumps([statuses, sorted(set(sys.modules) - before)]))
"""


def run(code: str) -> str:
    """What this Python prints without site-packages and without the environment."""
    process = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()[-1]


def code_folders() -> list[str]:
    """The folders of our code and, on Python 3.10, of tomli."""
    if sys.version_info >= (3, 11):
        return [str(ROOT)]
    spec = importlib.util.find_spec("tomli")
    assert spec is not None
    assert spec.origin is not None
    return [str(ROOT), str(Path(spec.origin).parents[1])]


def loaded(links_toml: Path, *events: bytes, initialize: bool = True) -> tuple[list[int], set[str]]:
    """The statuses of the responses of a new process, and the modules that it loaded for them."""
    environ = {
        "LINK_CONFIG": str(links_toml),
        "LINK_REGION": "cn-hangzhou",
        "LINK_BUCKET": "examplebucket",
    }
    keys = KEYS[:3]
    code = RESPOND.format(
        path=code_folders(), environ=environ, initialize=initialize, keys=keys, events=events
    )
    statuses, modules = json.loads(run(code))
    return statuses, set(modules)


def heavy(modules: set[str]) -> list[str]:
    return sorted(
        name
        for name in HEAVY.split()
        if any(m == name or m.startswith(f"{name}.") for m in modules)
    )


PLAIN = json.dumps(event()).encode()
REDIRECTS = (
    (EVENTS / "http-get.json").read_bytes(),
    PLAIN,
    json.dumps(event(method="HEAD")).encode(),
    json.dumps(event(query={"download": "报告.txt", "expires": "10m"})).encode(),
    json.dumps(event(body="YQ==", isBase64Encoded=True)).encode(),
)


@pytest.fixture
def links_toml(tmp_path: Path) -> Path:
    """A configuration with several mounts, keys and state."""
    path = tmp_path / "links.toml"
    path.write_text(LINKS)
    return path


def test_redirects_load_a_small_part_of_the_standard_library_and_nothing_else(
    links_toml: Path,
) -> None:
    statuses, modules = loaded(links_toml, *REDIRECTS)
    assert statuses == [302] * len(REDIRECTS)
    assert heavy(modules) == []
    assert "handler.core.links" in modules
    # Without a credential, no keys are read.
    assert {"handler.core.keys", "handler.core.cloud", "signer.common.sts"}.isdisjoint(modules)
    foreign = {module.partition(".")[0] for module in modules} - OURS
    assert foreign - set(sys.stdlib_module_names) <= {"tomli"}


PROTECTED = """
region = "cn-hangzhou"
[[mount]]
path = "/exampledir/"
target = "oss://examplebucket/exampledir/"
access = "anonymous"
methods = ["GET", "PUT"]
max_size = "1MB"
endpoint = "https://static.example.com"
inline = ["image/png"]
"""


def test_a_mount_that_decides_what_browsers_show_loads_nothing_heavy(tmp_path: Path) -> None:
    path = tmp_path / "links.toml"
    path.write_text(PROTECTED)
    statuses, modules = loaded(path, PLAIN)
    assert statuses == [302]
    assert heavy(modules) == []
    assert "mimetypes" not in modules


def test_json_and_problems_and_a_first_request_without_initializer_load_nothing_heavy(
    links_toml: Path,
) -> None:
    events = (
        event(headers={"Accept": "application/json"}),
        *map(event, ("/nothing", "/exampledir/%ff", "/-/health")),
    )
    statuses, modules = loaded(
        links_toml, *(json.dumps(each).encode() for each in events), initialize=False
    )
    assert statuses == [200, 404, 400, 200]
    assert heavy(modules) == []


LOADER = """
import importlib.util, sys
sys.path[:0] = {path!r}
spec = importlib.util.spec_from_file_location(
    "handler", {root!r} + "/handler/__init__.py", submodule_search_locations=[{root!r} + "/handler"]
)
module = importlib.util.module_from_spec(spec)
if {registered!r}:
    sys.modules["handler"] = module
spec.loader.exec_module(module)
function = getattr(module, "on_http")
print(function(b"null", None)["statusCode"])
"""


@pytest.mark.parametrize("registered", [True, False])
def test_the_platforms_loader_finds_the_entry_point(registered: bool) -> None:
    assert run(LOADER.format(root=str(ROOT), path=code_folders(), registered=registered)) == "400"


def test_the_package_has_only_its_own_entry_points() -> None:
    import handler

    assert not hasattr(handler, "on_anything")
    assert callable(handler.on_http)
    assert callable(handler.on_initialize)
