"""`python -m local`, started as by a person or a program."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import pytest
import requests

from local import command, lfs_mount, samples
from local.demo import story
from local.errors import LocalError
from local.stack import Stack
from signer import Credentials, Endpoint, presign
from tests.e2e.system import leaks
from tests.local.fc.test_runtime import read_within
from tests.local.programs import Program, started
from tests.local.test_stack import FUNCTIONS, WEB, config

ROOT = Path(__file__).parents[2]


def project(folder: Path) -> None:
    """A copy of the project for a program that runs in it."""
    for name in ("handler", "signer"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("s.yaml", "links.toml"):
        (folder / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")


def test_json_is_one_line_with_working_addresses_and_everything_that_a_program_needs(
    log: IO[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with started("--json", errors=log) as program:
        line = json.loads(program.wait_for("{"))
        assert list(line["samples"]) == ["object", "folder", "lfs_url", "sender_page", "api_key"]
        assert all(line["samples"].values())
        names = (
            "http oss sts cdn bucket region access_key_id access_key_secret security_token samples"
        )
        assert list(line) == names.split()
        assert (line["bucket"], line["region"], line["cdn"]) == ("examplebucket", "cn-hangzhou", {})
        assert requests.get(line["http"] + "/-/health", timeout=20).status_code == 200
        assert requests.get(line["oss"] + "/examplebucket/x", timeout=20).status_code == 403
        for name in ("http", "oss"):  # on the loopback only
            address = urlsplit(line[name])
            assert address.hostname == "127.0.0.1"
            with pytest.raises(ConnectionRefusedError), socket.socket() as other:
                other.connect(("127.0.0.2", address.port or 0))
        credentials = Credentials(
            line["access_key_id"], line["access_key_secret"], line["security_token"]
        )
        endpoint = Endpoint.path_style(line["oss"], line["region"])
        upload = presign(
            "PUT", line["bucket"], "exampledir/报告.txt", credentials=credentials, endpoint=endpoint
        )
        assert requests.put(upload.url, data=b"private", timeout=20).status_code == 200
        path = f"{line['http']}/exampledir/%E6%8A%A5%E5%91%8A.txt"
        link = requests.get(path, allow_redirects=False, timeout=20).headers["Location"]
        assert leaks(link, credentials) == ["signature"]
        assert requests.get(link, timeout=20).content == b"private"
        # A client uses a link as a name, which has "//".
        name = f"{path}/{quote(link, safe='')}"
        assert requests.get(name, headers={"Referer": link}, timeout=20).status_code == 400
        program.process.send_signal(signal.SIGTERM)
        assert program.end() == 0
    assert len(program.lines) == 1
    for address in map(urlsplit, (line["http"], line["oss"], line["sts"])):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.hostname or "", address.port or 0), timeout=20)
    assert list(tmp_path.iterdir()) == []
    log.seek(0)
    lines = log.read().decode()
    assert leaks(lines, credentials) == []
    audit = [entry for entry in map(json.loads, lines.splitlines()) if entry.get("event") != "oss"]
    assert [entry["path"][:12] for entry in audit] == [
        "/-/shares",
        "/-/health",
        *["/exampledir/"] * 2,
    ]


def test_json_has_null_for_the_samples_that_the_configuration_does_not_allow(
    tmp_path: Path,
) -> None:
    with Stack.start(config(tmp_path, f"handler: shown.event_of, {WEB}"), warm=False) as stack:
        assert set(
            json.loads(command._as_json(stack, samples.prepare(stack)))["samples"].values()
        ) == {None}


def lfs_batch(url: str, key: str) -> int:
    """The status of an upload without objects."""
    body = {"operation": "upload", "objects": []}
    return requests.post(
        f"{url}/objects/batch", json=body, auth=("anybody", key), timeout=20
    ).status_code


CDN = """
[[mount]]
path = "/v/"
target = "oss://examplebucket/v/"
access = "anonymous"
endpoint = "https://static.example.com"
cdn = "static"
"""


def save(path: Path, text: str) -> None:
    """Replaces a file at once, as editors do: a program that watches it sees no half of it."""
    written = path.with_suffix(".new")
    written.write_text(text)
    written.replace(path)


def test_a_person_sees_addresses_that_work_and_what_changes_and_no_secret_of_oss(
    tmp_path: Path,
) -> None:
    project(tmp_path)
    links, root = tmp_path / "links.toml", tmp_path / "a b"
    whole = links.read_text() + CDN
    links.write_text(re.sub("max_share +=.*", "", whole))
    folder = root / "examplebucket/exampledir"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("at the start")
    (root / "other").mkdir()
    html = {"Accept": "text/html"}
    with started("--root", str(root), folder=tmp_path, quick=True) as program:
        shell = program.wait_for("for your shell").split("for your shell")[1].strip()
        program.wait_for("API key")
        banner = program.output
        assert program.lines[0].startswith(
            "Function Compute and OSS are running on this machine (127.0.0.1), for develop"
        )
        assert "STS." not in banner
        rows = dict(re.findall(r"^  (\S+(?: \S+)*)  +(\S.*)$", banner, re.MULTILINE))
        assert list(rows)[-5:] == ["object", "folder", "lfs.url", "sender page", "API key"]
        assert rows["lfs.url"] == f"{program.http}/-/lfs/lfs/repository"
        assert lfs_batch(rows["lfs.url"], rows["API key"]) == 200
        assert rows["files"].endswith("/examplebucket/outbox/")
        assert Path(rows["files"].removeprefix("put files into ")).is_dir()
        assert requests.get(rows["object"], timeout=20).text.startswith("A private object")
        assert requests.get(rows["sender page"], headers=html, timeout=20).status_code == 200
        assert rows["API key"].startswith("fcp_")
        shown = subprocess.run(
            ["sh", "-c", f"{shell} && echo $SERVICE"], capture_output=True, text=True, timeout=60
        )
        assert shown.stdout == f"{program.http}\n"
        # A CDN of links.toml, without its key yet.
        assert requests.get(rows["CDN static"], timeout=20).status_code == 503
        page = requests.get(program.http, headers=html, timeout=20).text
        assert f"<h2>CDN static · {rows['CDN static']}</h2>" in page
        # Plain files.
        program.wait_for("other is not a bucket of links.toml")
        program.wait_for("a.txt was uploaded")
        (folder / "b.txt").write_text("while it runs")
        program.wait_for("b.txt was uploaded")
        for name, content in (("a.txt", "at the start"), ("b.txt", "while it runs")):
            assert requests.get(f"{program.http}/exampledir/{name}", timeout=20).text == content
        with pytest.raises(LocalError, match=r"Another stack uses .*/a b"):
            Stack.start(ROOT / "s.yaml", root=root)
        # Another links.toml.
        assert (
            rows["folder"]
            == 'none: add list = true and max_share = "30d" to a mount with GET and PUT in links.toml'
        )
        save(links, whole + "[[mounts]]\n")
        assert "unknown key 'mounts' (did you mean 'mount'?)" in program.wait_for(
            "links.toml changed"
        )
        save(links, whole)
        program.wait_for("links.toml changed and was read again.")
        address = program.wait_for("folder").split()[-1]
        assert requests.get(address, headers=html, timeout=20).status_code == 200
        # Whoever changes the comment decides: the mount is what links.toml says.
        save(links, whole.replace('# path      = "/lfs/"', '# path      = "/files/"'))
        program.wait_for("links.toml changed and was read again.")
        assert program.wait_for("lfs.url").split()[1] == "none:"
        assert lfs_batch(rows["lfs.url"], rows["API key"]) == 404
        program.process.send_signal(signal.SIGINT)
        assert program.end() == 0
    assert "Traceback" not in program.output


def test_the_copy_of_a_links_toml_with_the_mount_for_git_lfs_follows_it(tmp_path: Path) -> None:
    source = tmp_path / "links.toml"
    shutil.copy(ROOT / "s.yaml", tmp_path)
    for name in ("handler", "signer"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "links.toml", source)
    with lfs_mount.copied(tmp_path / "s.yaml") as copy:
        assert copy is not None
        assert copy.source == source
        shipped = copy.path.read_text("utf-8")
        lines = source.read_text("utf-8").splitlines()
        changed = [line for line in lines if line not in shipped.splitlines()]
        assert [line[:2] for line in changed] == ["# "] * 7
        source.write_text('keys = "file:keys.json"\nstate = "file:/srv/state"\n')
        copy.refresh()
        assert (
            copy.path.read_text("utf-8")
            == f'keys = "file:{tmp_path}/keys.json"\nstate = "file:/srv/state"\n'
        )
        source.unlink()
        copy.refresh()
        assert not copy.path.exists()
    with lfs_mount.copied(tmp_path / "s.yaml") as copy:
        assert copy is None


def test_the_folder_of_a_stack_that_was_killed_is_free(tmp_path: Path) -> None:
    with hanging(tmp_path, "--root", str(tmp_path / "samples")) as (program, held):
        program.process.kill()
        assert read_within(held) == b"", "its functions and what they started end with it"
    Stack.start(ROOT / "s.yaml", root=tmp_path / "samples", warm=False).close()


@pytest.mark.parametrize(
    "name", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_a_signal_stops_everything_cleanly_even_during_an_invocation(
    tmp_path: Path, name: signal.Signals
) -> None:
    with hanging(tmp_path) as (program, held):
        program.process.send_signal(name)
        assert program.end() == 0
        assert "Traceback" not in program.output
        assert read_within(held) == b""


def test_a_port_in_use_is_reported_on_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    with socket.create_server(("127.0.0.1", 0)) as taken, patch.object(command, "exit_on_signals"):
        number = str(taken.getsockname()[1])
        for option in ("--http-port", "--oss-port"):
            assert command.main(["--http-port", "0", "--oss-port", "0", option, number]) == 2
            out, error = capfd.readouterr()
            assert out == ""
            assert re.fullmatch(
                rf"python -m local: Port {number} is not available .*{option}.*\n", error
            )


MISTAKES = {
    "a key of links.toml": (
        "links.toml",
        "access",
        "acess",
        "unknown key 'acess' (did you mean 'access'?)",
    ),
    "the syntax of s.yaml": ("s.yaml", "resources:", "resources: [", "is not valid YAML"),
    "the handler of events": (
        "s.yaml",
        "handler.on_event",
        "handler.on_evnt",
        "Did you mean handler.on_event?",
    ),
    "an initializer": (
        "s.yaml",
        "handler.on_initialize",
        "handler.on_init",
        "Handler 'handler.on_init' not found",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    name, right, wrong, sentence = MISTAKES[mistake]
    project(tmp_path)
    content = (tmp_path / name).read_text("utf-8")
    assert right in content
    (tmp_path / name).write_text(content.replace(right, wrong), "utf-8")
    monkeypatch.chdir(tmp_path)
    with patch.object(command, "exit_on_signals"):
        assert command.main(["--http-port", "0", "--oss-port", "0"]) == 2
    out, error = capfd.readouterr()
    [line] = (out + error).splitlines()
    assert sentence in line


@pytest.mark.parametrize(
    ("main", "arguments", "sentence"),
    [
        (story.main, ["--foo"], "unrecognized arguments: --foo"),
        (command.main, ["--http-port", "65536"], "must be a port number from 0 to 65535"),
    ],
)
def test_invalid_arguments_are_refused(
    main: Callable[[list[str]], int],
    arguments: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    out, error = capsys.readouterr()
    assert out == ""
    assert sentence in error


# Ctrl-C

BLOCKING = """
import os
with open(os.environ["FIFO"], "w") as fifo:
    fifo.write("x")
while True:
    os.read(os.open(os.environ["FIFO"] + "2", os.O_RDONLY), 1)
"""


def blocking_project(folder: Path) -> None:
    """A function whose start says so in `fifo`, and does not end."""
    for name in ("fifo", "fifo2"):
        os.mkfifo(folder / name)
    (folder / "blocking.py").write_text(BLOCKING)
    environment = f"environmentVariables: {{FIFO: {folder / 'fifo'}}}"
    path = config(folder, f"handler: blocking.on_http, {environment}, {WEB}")
    path.write_text(path.read_text().replace(f"code: {FUNCTIONS}, role: reader", "code: ."))


def test_ctrl_c_during_the_imports_leaves_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("fifo", "fifo2"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "werkzeug.py").write_text(BLOCKING)
    monkeypatch.setenv("FIFO", str(tmp_path / "fifo"))
    with started(folder=tmp_path, ports=False) as program:
        assert (tmp_path / "fifo").read_text() == "x"
        program.process.send_signal(signal.SIGINT)
        assert program.end() == -signal.SIGINT
    assert program.output == ""


@pytest.mark.parametrize(
    ("arguments", "status"), [((), 0), (("invoke", "f0", "--event", "event"), 130)]
)
def test_ctrl_c_while_a_function_starts_leaves_no_traceback(
    arguments: tuple[str, ...], status: int, tmp_path: Path
) -> None:
    blocking_project(tmp_path)
    (tmp_path / "event").write_text("{}")
    with started(*arguments, folder=tmp_path, ports=not arguments) as program:
        assert (tmp_path / "fifo").read_text() == "x"
        program.process.send_signal(signal.SIGINT)
        assert program.end() == status
    assert program.output == ""


def test_a_signal_during_the_demonstration_leaves_no_traceback() -> None:
    with started(module="local.demo", ports=False) as program:
        program.wait_for("$ curl")
        program.process.send_signal(signal.SIGTERM)
        assert program.end() == 130
    assert "Traceback" not in program.output


@contextmanager
def hanging(folder: Path, *arguments: str) -> Iterator[tuple[Program, int]]:
    """A stack during an invocation, and a FIFO that ends once the function and its child have ended."""
    os.mkfifo(folder / "held")
    held = os.open(folder / "held", os.O_RDONLY | os.O_NONBLOCK)
    handler = "handler: faults.hanging_with_a_child_over_http, timeout: 600"
    s_yaml = config(folder, f"{handler}, environmentVariables: {{FIFO: {folder / 'held'}}}, {WEB}")
    try:
        with started("--json", "--config", str(s_yaml), *arguments) as program:
            address = urlsplit(json.loads(program.wait_for("{"))["http"])
            with socket.create_connection(
                (address.hostname or "", address.port or 0), timeout=20
            ) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert read_within(held) == b"x"
                yield program, held
    finally:
        os.close(held)
