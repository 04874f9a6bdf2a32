"""The package is built without Docker, is the same for the same input, and contains what a function needs only."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from deploy import build, runtimes
from deploy.checks import secrets
from deploy.command import output_of
from deploy.errors import DeployError
from deploy.package import archive, contents, interpreters, vendor
from handler.commands import keys_edit
from tests.deploy.project_copy import BUILT, ROOT, ProjectCopy, install
from tests.handler.client import KEYS, event, variables
from tests.local_oss import local_oss

pytestmark = pytest.mark.ci

# What a function reads when it runs with no OSS.
LINKS = """
region = "${LINK_REGION}"
keys   = "file:keys.json"
state  = "oss://${LINK_BUCKET}/.links/state/"

[[mount]]
path      = "/exampledir/"
target    = "oss://${LINK_BUCKET}/exampledir/"
access    = "anonymous"
max_share = "7d"
"""
# As the platform does: the code folder first, the handler by its dotted name, an event in bytes.
INVOKE = """
import copy, json, os, sys
sys.path[:0] = [sys.argv[1]]
import handler
class Context:
    request_id = "1-65f0c1d2-0a1b2c3d-0a1b2c3d4e5f"
def request(method, path, headers={}, body="", **query):
    event = copy.deepcopy(json.loads(sys.argv[2])) | {"rawPath": path, "body": body, "queryParameters": query}
    event["headers"] |= headers
    event["requestContext"]["http"] |= {"method": method, "path": path}
    return handler.on_http(json.dumps(event).encode(), Context())
handler.on_initialize(Context())
redirect = request("GET", "/exampledir/exampleobject.txt")
caller = {"Authorization": "Bearer " + sys.argv[3], "Content-Type": "application/json"}
share = request("POST", "/-/shares", caller, '{"path": "/exampledir/exampleobject.txt"}')
secret = json.loads(share["body"])["url"].partition("?share=")[2]
opened = request("GET", "/-/s/exampleobject.txt", {"Accept": "application/json"}, share=secret)
page = request("GET", "/elsewhere.txt", {"Accept": "text/html"})
event = handler.on_event(b'{"path": "/exampledir/exampleobject.txt"}', Context())
import certifi, jinja2, jwt, segno
outside = [m.__file__ for m in list(sys.modules.values()) if "site-packages" in (getattr(m, "__file__", "") or "")]
compiled = [name for name in ("handler.http", "signer.v4", "jinja2") if ".cpython-" not in sys.modules[name].__cached__]
print(json.dumps({"redirect": redirect, "opened": opened, "page": page, "event": event, "outside": outside,
                  "python": sys.version_info[:2], "uncompiled": compiled}))
"""
# Imports every module of ours that is in the package, with nothing else on the path.
IMPORT_ALL = """
import sys
from importlib import import_module
from pathlib import Path
root = Path(sys.argv[1])
sys.path[:0] = [str(root)]
for path in sorted(path for package in ("handler", "signer") for path in (root / package).rglob("*.py")):
    parts = path.relative_to(root).with_suffix("").parts
    import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    print(path.relative_to(root).as_posix())
"""
SERVER = {"uvicorn", "httptools", "click"}
ENVIRONMENT = {
    "LINK_REGION": "cn-hangzhou",
    "LINK_BUCKET": "examplebucket",
    **variables(KEYS),
}


def project(folder: Path, runtime: str = "python3.10") -> ProjectCopy:
    folder.mkdir()
    copy = ProjectCopy.of(folder, BUILT)
    if runtime != "python3.10":
        copy.edit("runtime: python3.10", f"runtime: {runtime}", everywhere=True)
    return copy


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def built(copy: ProjectCopy) -> build.Package:
    return build.build(build.plan(copy.config))


@pytest.fixture(scope="module", autouse=True)
def searched_once() -> Iterator[None]:
    """The packages differ in few files: the same content is searched for secrets once, and a Python started once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "secret_in", cache(secrets.secret_in))
        patch.setattr(interpreters, "_starts", cache(interpreters._starts))
        yield


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], build.Package]:
    """One build for each runtime, which tests must not change."""
    return cache(
        lambda runtime: built(project(tmp_path_factory.mktemp("built") / "project", runtime))
    )


@pytest.fixture
def package(packages: Callable[[str], build.Package]) -> build.Package:
    return packages("python3.10")


@pytest.fixture
def custom_package(packages: Callable[[str], build.Package]) -> build.Package:
    return packages("custom.debian10")


in_built_in_runtimes = pytest.mark.parametrize(
    "runtime", ["python3.10", pytest.param("python3.12", marks=pytest.mark.long)]
)


@pytest.fixture
def installed(package: build.Package, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip installs for Python 3.10 is copied from the build above."""
    left_out = shutil.ignore_patterns(*contents.OURS, "links.toml", "__pycache__")
    monkeypatch.setattr(
        vendor,
        "install",
        lambda lock, runtime, folder: shutil.copytree(package.code, folder, ignore=left_out),
    )


def run_isolated(
    interpreter: Path, program: str, *arguments: object, folder: Path, **variables: str
) -> str:
    """What a program prints in an interpreter without site-packages."""
    done = output_of(
        [str(interpreter), "-I", "-S", "-c", program, *map(str, arguments)],
        60,
        cwd=folder,
        env={**ENVIRONMENT, **variables},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def interpreter_of(runtime: str) -> Path:
    python = runtimes.RUNTIMES[runtime].python
    interpreter = interpreters.find(python)
    if interpreter is None:
        pytest.skip(f"Python {python} is not installed")
    return interpreter


def top_level(package: build.Package) -> set[str]:
    return {path.parts[0] for path in contents.files(package.code)}


def test_the_same_input_gives_the_same_bytes_in_another_folder(
    package: build.Package, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "another folder"
    shutil.copytree(package.code.parent.parent, elsewhere, ignore=shutil.ignore_patterns("build"))
    mask = os.umask(0o077)
    try:
        assert build.main([str(elsewhere / "s.yaml")]) == 0
    finally:
        os.umask(mask)
    assert capsys.readouterr().out.startswith("Built for python3.10")
    again = elsewhere / "build/code"
    assert sha256(elsewhere / "build/code.zip") == package.sha256 == sha256(package.zip)
    assert contents.files(again) == contents.files(package.code)
    assert [sha256(again / p) for p in contents.files(again)] == [
        sha256(package.code / p) for p in contents.files(package.code)
    ]
    assert {path.stat().st_mtime for path in package.code.rglob("*")} == {archive.SECONDS}


@in_built_in_runtimes
def test_unpacked_alone_it_serves_a_redirect_a_share_and_an_event_in_its_own_runtime(
    runtime: str, packages: Callable[[str], build.Package], tmp_path: Path
) -> None:
    interpreter = interpreter_of(runtime)
    folder = tmp_path / "empty"
    with zipfile.ZipFile(packages(runtime).zip) as file:
        file.extractall(folder)
    document, key = keys_edit.add_api_key(keys_edit.new(), "ci", ["/exampledir/"], ["SHARE"], None)
    (folder / "keys.json").write_bytes(keys_edit.serialize(document))
    (folder / "links.toml").write_text(LINKS, encoding="utf-8")
    with local_oss(tmp_path / "oss") as oss:
        oss.put("exampledir/exampleobject.txt", b"abc")
        output = run_isolated(
            interpreter,
            INVOKE,
            folder,
            json.dumps(event(body="", isBase64Encoded=False)),
            key,
            folder=tmp_path,
            LINK_OSS_ENDPOINT=oss.url,
        )
    result = json.loads(output.splitlines()[-1])
    address = f"{oss.url}/examplebucket/exampledir/exampleobject.txt?"
    assert result["redirect"]["statusCode"] == 302
    assert result["redirect"]["headers"]["Location"].startswith(address)
    assert (result["opened"]["statusCode"], result["page"]["statusCode"]) == (200, 404)
    assert json.loads(result["opened"]["body"])["url"].startswith(address)
    assert "<html" in result["page"]["body"]
    assert (result["event"]["items"], result["event"]["reasons"]) == (1, {"no_notice": 1})
    assert result["outside"] == []
    assert result["python"] == [int(part) for part in runtimes.RUNTIMES[runtime].python.split(".")]
    assert result["uncompiled"] == []


def test_it_contains_only_our_packages_links_toml_and_the_locked_requirements(
    package: build.Package,
) -> None:
    names = top_level(package)
    assert {
        "handler",
        "signer",
        "links.toml",
        "jinja2",
        "itsdangerous",
        "markupsafe",
        "certifi",
        "tomli",
    } <= names
    assert names.isdisjoint(
        {
            "local",
            "deploy",
            "tests",
            "docs",
            "bin",
            "share",
            "s.yaml",
            "Makefile",
            "requirements.txt",
        }
    )
    assert package.size == package.zip.stat().st_size <= contents.MAX_ZIP
    with zipfile.ZipFile(package.zip) as file:
        entries = file.infolist()
    assert [entry.filename for entry in entries] == [
        path.as_posix() for path in contents.files(package.code)
    ]
    assert {(entry.date_time, entry.external_attr >> 16) for entry in entries} == {
        (archive.DATE, 0o100644)
    }


def test_a_built_in_runtime_gets_no_web_server(
    package: build.Package, custom_package: build.Package
) -> None:
    """uvicorn, what only it needs, and our module for it; everything else is the same."""
    assert top_level(custom_package) >= SERVER
    assert not any(name.startswith(tuple(SERVER)) for name in top_level(package))
    ours, custom = (
        {
            path
            for path in contents.files(each.code)
            if path.parts[0] in contents.OURS and path.suffix == ".py"
        }
        for each in (package, custom_package)
    )
    assert custom - ours == {Path("handler/asgi.py")}
    assert ours < custom


def test_no_function_gets_a_command_line_or_the_diagnosis(custom_package: build.Package) -> None:
    paths = {path.as_posix() for path in contents.files(custom_package.code)}
    assert {"signer/link.py", "handler/core/keys/current.py"} <= paths
    ours = {path for path in paths if path.startswith(contents.OURS)}
    assert [path for path in ours if "__main__" in path or path.startswith(contents.COMMANDS)] == []
    assert all((ROOT / left_out).exists() for left_out in contents.COMMANDS)


@pytest.mark.parametrize(
    "runtime",
    ["python3.10", "custom.debian10", pytest.param("custom.debian11", marks=pytest.mark.long)],
)
def test_every_module_of_ours_can_be_imported_from_the_package_alone(
    runtime: str, packages: Callable[[str], build.Package], tmp_path: Path
) -> None:
    code = packages(runtime).code
    imported = run_isolated(interpreter_of(runtime), IMPORT_ALL, code, folder=tmp_path).splitlines()
    ours = [
        path.as_posix()
        for path in contents.files(code)
        if path.parts[0] in contents.OURS and path.suffix == ".py"
    ]
    assert sorted(imported) == sorted(ours)
    assert len(imported) > 50


@in_built_in_runtimes
def test_every_module_is_compiled_for_its_place_in_the_cloud(
    runtime: str, packages: Callable[[str], build.Package]
) -> None:
    python, package = interpreter_of(runtime), packages(runtime)
    modules = [path for path in contents.files(package.code) if path.suffix == ".py"]
    compiled = [path for path in contents.files(package.code) if path.suffix == ".pyc"]
    assert len(modules) == len(compiled) > 100
    assert package.interpreter == python
    for path in compiled:
        data = (package.code / path).read_bytes()
        # PEP 552: it names its source by a hash, which is never checked.
        assert data[4:8] == b"\x01\x00\x00\x00"
        assert str(package.code).encode() not in data
    tag = runtimes.RUNTIMES[runtime].python.replace(".", "")
    app = package.code / f"handler/web/__pycache__/app.cpython-{tag}.pyc"
    assert f"{archive.CODE_FOLDER}/handler/web/app.py".encode() in app.read_bytes()


def test_without_an_interpreter_it_has_no_bytecode_and_the_report_says_what_that_costs(
    installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreters, "find", lambda version: None)
    copy = project(tmp_path / "project")
    planned = build.plan(copy.config)
    package = build.build(planned)
    assert not [path for path in contents.files(package.code) if path.suffix == ".pyc"]
    report = build.report(planned, package)
    assert "No bytecode: Python 3.10 was not found on this machine." in report
    assert "2.6 times as long" in report


def test_a_shim_that_does_not_start_is_skipped(tmp_path: Path) -> None:
    for folder, script in (("shims", "exit 127"), ("wrong", "echo 3.8 cpython")):
        install(tmp_path / folder / "python3.99", script)
        assert (
            interpreters.find("3.99", {"PATH": str(tmp_path / folder), "HOME": str(tmp_path)})
            is None
        )
    python = tmp_path / ".pyenv/versions/3.99.1/bin/python3"
    install(python, "echo 3.99 cpython")
    environ = {"PATH": str(tmp_path / "shims"), "HOME": str(tmp_path)}
    assert interpreters.find("3.99", environ) == python


def test_a_locked_package_that_nothing_requires_stops_the_build(
    custom_package: build.Package,
) -> None:
    requirements = ["certifi", "httptools", "itsdangerous", "jinja2", "PyJWT", "tomli", "uvicorn"]
    with pytest.raises(DeployError, match="segno is locked, but not required by anything"):
        contents.check_package(custom_package.code, requirements)


def test_a_fault_leaves_the_previous_build_in_place(installed: None, tmp_path: Path) -> None:
    copy = project(tmp_path / "project")
    before = copy.folder / "build/code/before"
    before.parent.mkdir(parents=True)
    before.touch()
    (copy.folder / "handler/test_links.py").write_text("")
    with pytest.raises(DeployError, match=r"handler/test_links\.py is a test"):
        build.main([str(copy.config)])
    assert list(copy.folder.glob("build/**/*")) == [before.parent, before]


LINE = "LINK_REGION: "


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("python3.10", "nodejs20", "runtime nodejs20 is not supported: choose one of"),
        ("./build/code", "./", "code must be a folder below build/"),
        (
            LINE,
            f"LINK_CONFIG: ../other.toml\n        {LINE}",
            "LINK_CONFIG must be a .toml file beside links.toml",
        ),
        (
            LINE,
            f"LINK_CONFIG: absent.toml\n        {LINE}",
            "project/absent.toml not found. Create it",
        ),
    ],
)
def test_an_s_yaml_that_cannot_be_built_is_refused(
    old: str, new: str, sentence: str, tmp_path: Path
) -> None:
    copy = ProjectCopy.of(tmp_path / "project")
    shutil.copy(ROOT / "links.toml", tmp_path / "other.toml")
    with pytest.raises(DeployError, match=re.escape(sentence)):
        build.plan(copy.edit(old, new, everywhere=True))


def test_functions_of_two_packages_cannot_be_built(tmp_path: Path) -> None:
    copy = project(tmp_path / "project")
    with pytest.raises(DeployError, match=r"s\.yaml: code must be the same in all functions"):
        build.plan(copy.edit("./build/code", "./build/other"))


def test_make_build_prints_the_size_and_the_contents(package: build.Package) -> None:
    planned = build.plan(package.code.parent.parent / "s.yaml")
    lines = build.report(planned, package).splitlines()
    assert lines[0].startswith("Built for python3.10 (Python 3.10): ")
    assert re.fullmatch(r"  \d\.\d MB zipped, sha256 [0-9a-f]{64}", lines[1])
    assert {line.split()[-1] for line in lines[2:]} >= {
        "handler",
        "signer",
        "jinja2",
        "links.toml",
        "*.dist-info",
    }


PIP_OUTPUTS = {
    "no such version": (
        "ERROR: Ignored the following yanked versions: 2.32.0, 2.32.1\n"
        "ERROR: Could not find a version that satisfies the requirement requests==2.99.0 (from versions: 2.31.0)\n"
        "ERROR: No matching distribution found for requests==2.99.0\n",
        "Could not find a version that satisfies the requirement requests==2.99.0 (from versions: 2.31.0)",
    ),
    "no network": (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'\n"
        "ERROR: Could not find a version that satisfies the requirement tomli==2.0.1 (from versions: none)\n"
        "\n[notice] To update, run: pip install --upgrade pip\n",
        "Could not find a version that satisfies the requirement tomli==2.0.1 (from versions: none)",
    ),
    "no error line": (
        "/usr/bin/python3: No module named pip\n",
        "/usr/bin/python3: No module named pip",
    ),
    "nothing": ("", "no output"),
}


@pytest.mark.parametrize("case", PIP_OUTPUTS)
def test_the_reason_is_the_first_error_of_pip(case: str) -> None:
    output, reason = PIP_OUTPUTS[case]
    assert vendor.reason(output) == reason


def test_a_failure_of_pip_reaches_the_reader_without_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    lock = tmp_path / "3.10.lock"
    lock.write_text(f"tomli==2.0.1 --hash=sha256:{'0' * 64}\n", encoding="utf-8")
    with pytest.raises(DeployError) as error:
        vendor.install(lock, runtimes.RUNTIMES["python3.10"], tmp_path / "out")
    assert str(error.value) == (
        "pip cannot install 3.10.lock: Could not find a version that satisfies the requirement tomli==2.0.1 "
        "(from versions: none)"
    )
