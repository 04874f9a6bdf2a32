"""git and git-lfs push to this service and pull from it, with keys that Git's own credential helper has stored."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest

from tests.e2e.system import ROOT, Requires, System, run_system
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.handler.keys_fixtures import api
from tests.system import keys

pytestmark = pytest.mark.ci

PUSHER = "fcp_pusher_EXAMPLE_0000000000000000000000000000"
PULLER = "fcp_puller_EXAMPLE_0000000000000000000000000000"
BLIND = "fcp_blind_EXAMPLE_00000000000000000000000000000"
ENDED = "fcp_ended_EXAMPLE_00000000000000000000000000000"
WRONG = "fcp_wrong_EXAMPLE_00000000000000000000000000000"
LINKS = """
region = "cn-hangzhou"
keys = "file:keys.json"

[[mount]]
path = "/lfs/"
target = "oss://examplebucket/lfs/"
methods = ["GET", "PUT"]
max_size = "100MB"
overwrite = false
expires = "5m"

[[mount]]
path = "/open/"
target = "oss://examplebucket/open/"
access = "anonymous"
"""
MEGABYTE = 1024 * 1024


class Service(NamedTuple):
    """A running system, and the proxy through which all links and requests for its OSS go."""

    system: System
    proxy: FaultProxy

    @property
    def url(self) -> str:
        return self.system.stack.http_url

    def read(self, path: str, content: bytes) -> bytes:
        """What is stored under the hash of a content."""
        return self.system.oss.get(key_of(path, content)).body

    def lines(self) -> list[dict[str, object]]:
        """The audit lines of requests for /-/lfs/."""
        lines = (self.system.folder / "log").read_text(encoding="utf-8").splitlines()
        documents = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in documents if str(line.get("path", "")).startswith("/-/lfs/")]


@pytest.fixture(scope="module", params=["s.yaml", "deploy/custom-runtime/s.yaml"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The functions of a configuration that is shipped, with a mount for Git LFS."""
    folder = tmp_path_factory.mktemp("lfs")
    paths = ["/lfs/"]
    callers = [
        api("pusher", PUSHER, paths=paths, methods=["GET", "PUT"]),
        api("puller", PULLER, paths=paths, methods=["GET"]),
        api("blind", BLIND, paths=paths, methods=["PUT"]),
        api("ended", ENDED, paths=paths, expires_at="2020-01-01T00:00:00Z"),
    ]
    (folder / "keys.json").write_text(json.dumps(keys(api=callers)))
    (folder / "links.toml").write_text(LINKS)
    with fault_proxy("http://127.0.0.1:1") as proxy:
        environment = {
            "LINK_CONFIG": str(folder / "links.toml"),
            "LINK_OSS_ENDPOINT": proxy.url,
        }
        with run_system(folder, environment, ROOT / request.param) as system:
            proxy.forward_to(system.stack.oss_url)
            yield Service(system, proxy)


class Done(NamedTuple):
    """What a command printed, and its status."""

    status: int
    output: str


class Clone:
    """A repository of one person, whose home has nothing of this machine."""

    def __init__(self, folder: Path, key: str, url: str, path: str) -> None:
        self.folder = folder / "clone"
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.credentials = self.home / "credentials"
        self._url = url
        self.lfs_url = f"{url}/-/lfs/{quote(path)}"
        host = url.removeprefix("http://")
        if key:
            self.credentials.write_text(f"http://anybody:{key}@{host}\n")
        self.git("config", "--global", "credential.helper", f"store --file={self.credentials}")
        self.git("config", "--global", "user.name", "Example")
        self.git("config", "--global", "user.email", "example@example.com")
        self.git("config", "--global", "lfs.url", self.lfs_url)
        self.git("config", "--global", "lfs.transfer.maxretries", "1")
        assert self.git("lfs", "install", "--skip-repo").status == 0

    def git(self, *arguments: str, cwd: Path | None = None, **variables: str) -> Done:
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GIT_") and name not in ("SSH_ASKPASS", "DISPLAY")
        }
        environment = {
            **own,
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "NO_PROXY": "127.0.0.1",
            **variables,
        }
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or (self.folder if self.folder.exists() else self.home),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Done(done.returncode, done.stdout + done.stderr)

    def start(self, origin: Path) -> None:
        """A new repository that tracks *.bin, and its origin, which is only a folder."""
        assert self.git("init", "--bare", "--initial-branch=main", str(origin)).status == 0
        assert self.git("init", "--initial-branch=main", str(self.folder)).status == 0
        self.git("remote", "add", "origin", str(origin))
        self.git("lfs", "track", "*.bin")

    def commit(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
        self.git("add", "--all")
        assert self.git("commit", "-m", "More").status == 0

    def push(self) -> Done:
        return self.git("push", "origin", "main")

    def clone(self, origin: Path) -> Done:
        return self.git("clone", str(origin), str(self.folder), cwd=self.home)


def key_of(path: str, content: bytes) -> str:
    oid = sha256(content).hexdigest()
    return f"{path}/{oid[:2]}/{oid[2:4]}/{oid}"


@pytest.fixture(autouse=True)
def git(requires: Requires) -> None:
    requires("git")
    requires("git-lfs")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The path of this test's own objects: a folder below the mount."""
    return f"lfs/{tmp_path.name}"


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return tmp_path / "origin.git"


@pytest.fixture
def pushed(service: Service, tmp_path: Path, path: str, origin: Path) -> Clone:
    """A repository with one file, which is pushed."""
    clone = Clone(tmp_path / "one", PUSHER, service.url, path)
    clone.start(origin)
    clone.commit({"a.bin": b"a model, in short"})
    done = clone.push()
    assert done.status == 0, done
    return clone


def test_what_is_pushed_is_pulled_by_another_key_and_pushed_no_second_time(
    service: Service, pushed: Clone, tmp_path: Path, path: str, origin: Path
) -> None:
    assert service.read(path, b"a model, in short") == b"a model, in short"
    again = pushed.git("lfs", "push", "--all", "origin")
    assert again.status == 0
    assert service.lines()[-1]["links"] == 0
    other = Clone(tmp_path / "two", PULLER, service.url, path)
    done = other.clone(origin)
    assert done.status == 0, done
    assert (other.folder / "a.bin").read_bytes() == b"a model, in short"
    for name in ("one", "two"):
        assert "fcp_" in (tmp_path / name / "home/credentials").read_text()  # nothing deleted it


def test_an_anonymous_mount_serves_without_a_key(
    service: Service, pushed: Clone, tmp_path: Path, path: str, origin: Path
) -> None:
    path = path.replace("lfs/", "open/", 1)
    service.system.put(key_of(path, b"a model, in short"), b"a model, in short")
    other = Clone(tmp_path / "two", "", service.url, path)
    done = other.clone(origin)
    assert done.status == 0, done
    assert (other.folder / "a.bin").read_bytes() == b"a model, in short"


def test_a_key_without_get_pulls_nothing_and_stays_stored(
    service: Service, pushed: Clone, tmp_path: Path, path: str, origin: Path
) -> None:
    other = Clone(tmp_path / "two", BLIND, service.url, path)
    done = other.clone(origin)
    assert done.status != 0
    assert "Not found" in done.output
    assert BLIND in other.credentials.read_text()


@pytest.mark.parametrize("key", [WRONG, ENDED])
def test_a_wrong_or_expired_key_is_one_request_and_an_end(
    service: Service, pushed: Clone, tmp_path: Path, path: str, origin: Path, key: str
) -> None:
    before = len(service.lines())
    other = Clone(tmp_path / "two", key, service.url, path)
    done = other.clone(origin)
    assert done.status != 0
    assert key not in done.output
    batches = [line for line in service.lines()[before:] if line["status"] == 401]
    assert 1 <= len(batches) <= 2  # the first without a key, as git-lfs begins


@pytest.mark.parametrize("key", ["fcp_short", ENDED, ""])
def test_a_program_whose_header_is_refused_ends(
    service: Service, pushed: Clone, tmp_path: Path, path: str, origin: Path, key: str
) -> None:
    """As the page sets it for continuous integration: a helper that repeats a key is asked without end."""
    clone = Clone(tmp_path / "two", "", service.url, path)
    variables = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{service.url}/-/lfs/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Bearer {key}",
    }
    before = len(service.lines())
    done = clone.git("clone", str(origin), str(clone.folder), cwd=clone.home, **variables)
    assert done.status != 0
    lines = service.lines()[before:]
    assert [line["status"] for line in lines] == [401, 401]


def test_a_key_for_downloads_may_not_push(
    service: Service, pushed: Clone, tmp_path: Path, path: str, origin: Path
) -> None:
    other = Clone(tmp_path / "two", PULLER, service.url, path)
    assert other.clone(origin).status == 0
    other.commit({"b.bin": b"another"})
    done = other.push()
    assert done.status != 0
    assert "may not push here" in done.output
    assert PULLER in other.credentials.read_text()


def test_a_missing_object_and_one_of_another_size_are_named_without_a_link(
    service: Service, pushed: Clone, tmp_path: Path, path: str, origin: Path
) -> None:
    key = key_of(path, b"a model, in short")
    for number, content in enumerate((None, b"other")):
        service.system.bucket_client().delete_object(key)
        if content is not None:
            service.system.put(key, content)
        other = Clone(tmp_path / f"reader-{number}", PULLER, service.url, path)
        done = other.clone(origin)
        assert done.status != 0
        expected = "never pushed" if content is None else "Another object is stored"
        assert expected in done.output
        assert "x-oss-signature" not in done.output


def test_locks_are_refused_the_same_before_and_after_a_key_is_stored(
    service: Service, pushed: Clone
) -> None:
    stored = pushed.credentials.read_text()
    for text in ("", stored):
        pushed.credentials.write_text(text)
        done = pushed.git("lfs", "locks")
        assert done.status != 0
        assert pushed.credentials.read_text() == text
    pushed.commit({"b.bin": b"more"})
    done = pushed.push()
    assert done.status == 0, done
    assert pushed.credentials.read_text() == stored


def test_a_path_with_spaces_and_chinese_works(
    service: Service, tmp_path: Path, path: str, origin: Path
) -> None:
    path = f"{path}/模型 仓库 1+1"
    clone = Clone(tmp_path / "one", PUSHER, service.url, path)
    clone.start(origin)
    clone.commit({"a.bin": b"chinese"})
    done = clone.push()
    assert done.status == 0, done
    assert service.read(path, b"chinese") == b"chinese"
    other = Clone(tmp_path / "two", PULLER, service.url, path)
    assert other.clone(origin).status == 0
    assert (other.folder / "a.bin").read_bytes() == b"chinese"


def test_a_thousand_small_objects(
    service: Service, tmp_path: Path, path: str, origin: Path
) -> None:
    clone = Clone(tmp_path / "one", PUSHER, service.url, path)
    clone.start(origin)
    files = {f"{number:04}.bin": b"%04d" % number for number in range(1000)}
    clone.commit(files)
    done = clone.push()
    assert done.status == 0, done
    other = Clone(tmp_path / "two", PULLER, service.url, path)
    done = other.clone(origin)
    assert done.status == 0, done
    assert {name: (other.folder / name).read_bytes() for name in files} == files


def test_seventy_megabytes_whose_connection_is_cut_arrive_at_the_next_try(
    service: Service, tmp_path: Path, path: str, origin: Path
) -> None:
    content = os.urandom(MEGABYTE) * 70
    clone = Clone(tmp_path / "one", PUSHER, service.url, path)
    clone.start(origin)
    clone.commit({"a.bin": content})
    service.proxy.arm("reset", 1)  # after the HEAD
    done = clone.push()
    assert service.proxy.happened["reset"] == 1
    service.proxy.disarm()
    if done.status:
        done = clone.push()
    assert done.status == 0, done
    assert service.read(path, content) == content
    other = Clone(tmp_path / "two", PULLER, service.url, path)
    service.proxy.arm("half of the body", 1)
    done = other.clone(origin)
    assert service.proxy.happened["half of the body"] == 1
    service.proxy.disarm()
    if done.status:
        done = other.git("lfs", "pull")
    assert done.status == 0, done
    other.git("reset", "--hard")
    assert (other.folder / "a.bin").read_bytes() == content


def test_two_people_who_push_the_same_object_at_once_both_succeed(
    service: Service, tmp_path: Path, path: str
) -> None:
    content = os.urandom(MEGABYTE)
    clones = []
    for name in ("one", "two"):
        clone = Clone(tmp_path / name, PUSHER, service.url, path)
        clone.start(tmp_path / f"{name}.git")
        clone.commit({"a.bin": content})
        clones.append(clone)
    first, second = clones
    pushed: list[Done] = []
    # The second should send it when nobody had, and sends it when the first has: OSS answers 409.
    service.proxy.arm("slow", 1, act=lambda: pushed.append(first.push()))
    done = second.push()
    service.proxy.disarm()
    assert [each.status for each in pushed] == [0], pushed
    assert done.status == 0, done
    assert service.read(path, content) == content
