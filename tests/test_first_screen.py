"""The first screen of the README on a machine with git, make, sh and one Python: the commands of its four lines."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from tests.deploy.project_copy import ROOT, install
from tests.handler.upload_fixtures import TIMEOUT, submit_form

README = (ROOT / "README.md").read_text("utf-8")
# What make and git need themselves, beside what the README asks for.
PROGRAMS = (
    "git",
    "make",
    "sh",
    "sed",
    "ls",
    "rm",
    "mkdir",
    "touch",
    "test",
    "dirname",
    "cat",
    "env",
)
SECONDS = 300
ACTIVATE = ". .venv-cli/bin/activate"

pytestmark = pytest.mark.ci


def block(beginning: str) -> str:
    (found,) = re.findall(rf"(?ms)^```sh\n({re.escape(beginning)}.*?)^```$", README)
    return str(found)


def command(program: str) -> str:
    """The first command of the README that begins so, in an example or a table."""
    return str(re.findall(rf"(?m)^(?:\$ |- \*\*.*`)({program}[^`\n]*)", README)[0])


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs of a bare machine in `bin`, and a clone with the command, as the README makes it."""
    folder = tmp_path_factory.mktemp("machine")
    (folder / "bin").mkdir()
    for name in PROGRAMS:
        path = shutil.which(name)
        assert path, name
        (folder / "bin" / name).symlink_to(path)
    install(folder / "bin/python3", f'exec "{sys.executable}" "$@"')
    clone = block("git clone").splitlines()[0].replace("ADDRESS", f"'{ROOT}'")
    run(folder, folder, f"{clone}\n{block('python3 -m venv')}")
    return folder


def environment(folder: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "HOME" or name.startswith("PIP_")
    }
    return {
        **kept,
        "PATH": str(folder / "bin"),
        "HTTP_PROXY": "http://127.0.0.1:9",
        "LC_ALL": "C.UTF-8",
    }


def run(folder: Path, where: Path, script: str, given: str = "") -> str:
    """What a script prints, and on its standard error."""
    process = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=where,
        env=environment(folder),
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    assert process.returncode in (0, 1), process.stdout
    return process.stdout


class FirstTerminal(NamedTuple):
    """A command that runs until the test ends: what it prints from now on, and the script of its variables."""

    lines: Iterator[str]
    source: str
    machine: Path

    def second(self, script: str) -> str:
        """What a script prints in another terminal."""
        return run(
            self.machine, self.machine / "fc-presign", f"{ACTIVATE}\n{self.source}\n{script}"
        )


@pytest.fixture
def first_terminal(machine: Path) -> Iterator[Callable[[str], FirstTerminal]]:
    """Starts a command, and waits until it says that it runs."""
    started: list[subprocess.Popen[str]] = []

    def start(target: str) -> FirstTerminal:
        with socket.socket() as one, socket.socket() as other:
            ports = []
            for free in (one, other):
                free.bind(("127.0.0.1", 0))
                ports.append(free.getsockname()[1])
        arguments = "PORT={} OSS_PORT={}" if target == "make run" else "--port {} --root data"
        process = subprocess.Popen(
            ["sh", "-c", f"{ACTIVATE} && exec {target} {arguments.format(*ports)}"],
            cwd=machine / "fc-presign",
            env=environment(machine),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        source = next(
            found[1] for line in process.stdout if (found := re.search(r"(\. \S+/env\.sh)$", line))
        )
        next(line for line in process.stdout if re.search("API key|SESSION_TOKEN=", line))
        return FirstTerminal(process.stdout, source, machine)

    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)


def test_a_link_that_fails(machine: Path) -> None:
    (pasted,) = re.findall(r"(?ms)^```text\n(.*?)^```$", README)
    (shown,) = re.findall(r"(?ms)^\$ make explain\n(.*?) …$", README)
    assert shown in run(machine, machine / "fc-presign", command("make explain"), pasted)


def test_a_folder_with_a_code(
    machine: Path, first_terminal: Callable[[str], FirstTerminal]
) -> None:
    photos = machine / "fc-presign/photos"
    photos.mkdir()
    (photos / "a.jpg").write_text("A picture\n")
    printed = first_terminal("make run").second(command("fc-presign share photos"))
    assert re.search(r"(?m)^http://127\.0\.0\.1:\d+/-/s/\S*\?share=\S{22} \w{4}-\w{4}$", printed)


def test_an_upload_page_and_its_notice(
    machine: Path, first_terminal: Callable[[str], FirstTerminal]
) -> None:
    terminal = first_terminal("make run")
    printed = terminal.second(command("fc-presign receive"))
    address, note, listing, _ = printed.split("\n")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/-/s/\?share=\S{22}", address)
    assert re.fullmatch(r"\S{12}: /in/, until \S+Z\.", note)
    assert listing.startswith("Files arrive in /received/")
    file = {"name": "a.txt", "size": 5, "type": "text/plain"}
    form = requests.post(address, json=file, timeout=TIMEOUT).json()
    assert submit_form(form, b"three").status == 200
    next(line for line in terminal.lines if '"event":"oss"' in line and '"notices":1' in line)
    printed = terminal.second(listing.rpartition(": ")[2])
    assert printed.endswith("1-a.txt\n")


def test_tests_without_an_account(
    machine: Path, first_terminal: Callable[[str], FirstTerminal]
) -> None:
    key = machine / "fc-presign/data/examplebucket/reports/q3.pdf"
    key.parent.mkdir(parents=True)
    key.write_text("The figures\n")
    fetch = "import sys, urllib.request; print(urllib.request.urlopen(sys.stdin.read().strip()).read().decode())"
    printed = first_terminal(command("fc-presign oss")).second(
        f'{command("fc-presign sign")} | no_proxy="*" python -c "{fetch}"',
    )
    assert "The figures\n" in printed
