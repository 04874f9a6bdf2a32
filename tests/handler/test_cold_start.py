"""A new process that answers a redirect loads little: each module costs a visitor's first click."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

from tests.handler.client import EVENTS, KEYS, LINKS, event

ROOT = Path(__file__).parents[2]

# What costs milliseconds, and no redirect needs.
HEAVY = """
flask werkzeug jinja2 click requests urllib3 itsdangerous jwt segno yaml oss2 alibabacloud_oss_v2
logging email secrets pathlib _strptime inspect dataclasses
asyncio http.client http.server ssl socket subprocess tempfile random uuid zoneinfo argparse unittest
concurrent multiprocessing xml html.entities typing_extensions
"""

BARE = "import sys, json; print(json.dumps(sorted(sys.modules)))"
ANSWER = """
import sys
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
answer = handler.on_http({event!r}, Context)
print(json.dumps([answer["statusCode"], sorted(sys.modules)]))
"""


def run(code: str) -> str:
    """What a Python of this version prints that looks at no site-packages and at no environment."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@lru_cache(maxsize=1)
def bare() -> frozenset[str]:
    """The modules of an interpreter that has done nothing, and those of this test's own code."""
    return frozenset(json.loads(run(BARE))) | {"handler", "signer"}


def code_folders() -> list[str]:
    """Where the code is, and on Python 3.10 tomli."""
    if sys.version_info >= (3, 11):
        return [str(ROOT)]
    found = importlib.util.find_spec("tomli")
    assert found is not None
    assert found.origin is not None
    return [str(ROOT), str(Path(found.origin).parents[1])]


def loaded(raw: bytes, links_toml: Path, *, initialize: bool = True) -> tuple[int, set[str]]:
    """The status of an answer in a new process, and what was loaded for it."""
    links_toml.write_text(LINKS)
    code = ANSWER.format(
        path=code_folders(), environ={"LINK_CONFIG": str(links_toml)}, initialize=initialize, keys=KEYS[:3], event=raw
    )
    status, modules = json.loads(run(code))
    return status, set(modules) - bare()


def heavy(modules: set[str]) -> list[str]:
    return sorted(name for name in HEAVY.split() if any(m == name or m.startswith(f"{name}.") for m in modules))


REDIRECTS = {
    "the recorded event": (EVENTS / "http-get.json").read_bytes(),
    "a plain path": json.dumps(event()).encode(),
    "a head": json.dumps(event(method="HEAD")).encode(),
    "a download": json.dumps(event(query={"download": "报告.txt", "expires": "10m"})).encode(),
    "a body": json.dumps(event(body="YQ==", isBase64Encoded=True)).encode(),
}


@pytest.mark.parametrize("name", REDIRECTS)
def test_a_redirect_loads_the_standard_library_alone_and_little_of_it(name: str, tmp_path: Path) -> None:
    status, modules = loaded(REDIRECTS[name], tmp_path / "links.toml")
    assert status == 302
    assert heavy(modules) == []
    ours = {module for module in modules if module.partition(".")[0] in ("handler", "signer")}
    assert "handler.links" in ours
    foreign = {module.partition(".")[0] for module in modules - ours}
    assert foreign - set(sys.stdlib_module_names) <= {"tomli"}


def test_json_and_problems_load_no_more(tmp_path: Path) -> None:
    for raw, expected in (
        (json.dumps(event(headers={"Accept": "application/json"})).encode(), 200),
        (json.dumps(event("/nothing")).encode(), 404),
        (json.dumps(event("/exampledir/%ff")).encode(), 400),
        (json.dumps(event("/-/health")).encode(), 200),
    ):
        status, modules = loaded(raw, tmp_path / "links.toml")
        assert status == expected
        assert heavy(modules) == []


def test_the_first_request_needs_no_initializer(tmp_path: Path) -> None:
    status, modules = loaded(REDIRECTS["a plain path"], tmp_path / "links.toml", initialize=False)
    assert status == 302
    assert heavy(modules) == []


def test_the_list_of_what_is_heavy_would_be_noticed() -> None:
    modules = json.loads(
        run("import sys, json, dataclasses, logging, email.message; print(json.dumps(sorted(sys.modules)))")
    )
    assert {"dataclasses", "email", "inspect", "logging"} <= set(heavy(set(modules) - bare()))


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


def test_an_entry_point_that_is_not_there_is_none() -> None:
    import handler

    assert not hasattr(handler, "on_anything")
    assert callable(handler.on_http)
    assert callable(handler.on_initialize)
