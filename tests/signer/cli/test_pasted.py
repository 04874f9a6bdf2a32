"""A link that is pasted on a terminal arrives complete, keys edit it, and the terminal is left as it was."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import signer
from tests.signer.cli.command import ENVIRONMENT, KEYS

# A token of this size makes the link longer than any terminal takes in a line.
LONG = KEYS._replace(security_token="CAIS" + "tokenEXAMPLE" * 740)
PROMPT = "then press Enter and Ctrl-D:\n"
MATCHES = "signature  matches with the given secret"
SECONDS = 60


@pytest.fixture(scope="module")
def link() -> str:
    endpoint = signer.Endpoint.public("cn-hangzhou")
    url = signer.presign("GET", "examplebucket", "a.txt", credentials=LONG, endpoint=endpoint, expires_in=43_200).url
    assert len(url) > 9_000
    return url


class Terminal:
    """A command on a terminal, with standard output in a file if `output` names one."""

    def __init__(self, *arguments: str, output: Path | None = None, **environment: str) -> None:
        self.screen, self.terminal = pty.openpty()
        self.before = self.mode
        self.shown = ""
        environment = {**ENVIRONMENT, "OSS_SESSION_TOKEN": LONG.security_token or "", **environment}
        files: list[Any] = [(os.POSIX_SPAWN_DUP2, self.terminal, descriptor) for descriptor in range(3)]
        if output:
            files.append((os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT, 0o600))
        command = [sys.executable, *(arguments or ("-m", "signer", "explain", "-"))]
        self.pid = os.posix_spawn(command[0], command, environment, file_actions=files, setpgroup=0)

    @property
    def mode(self) -> list[Any]:
        return termios.tcgetattr(self.terminal)

    def wait_for(self, string: str) -> None:
        self._until(lambda: string in self.shown)
        self.shown = self.shown.partition(string)[2]

    def paste(self, pasted: str | bytes) -> None:
        data = pasted if isinstance(pasted, bytes) else pasted.encode()
        while data:
            # What it shows is read meanwhile: a terminal holds little of either.
            assert select.select([], [self.screen], [], SECONDS)[1], self.shown
            data = data[os.write(self.screen, data[:1000]) :]
            self._read(0)

    def end(self) -> int:
        ended = (0, 0)

        def is_over() -> bool:
            nonlocal ended
            ended = os.waitpid(self.pid, os.WNOHANG)
            return ended[0] != 0

        self._until(is_over)
        return os.waitstatus_to_exitcode(ended[1])

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.shown
            self._read(0.05)

    def _read(self, seconds: float) -> None:
        if select.select([self.screen], [], [], seconds)[0]:
            self.shown += os.read(self.screen, 1 << 16).decode(errors="replace").replace("\r\n", "\n")


Start = Callable[..., Terminal]


@pytest.fixture
def start() -> Iterator[Start]:
    terminals: list[Terminal] = []

    def run(*arguments: str, output: Path | None = None, **environment: str) -> Terminal:
        terminals.append(Terminal(*arguments, output=output, **environment))
        return terminals[-1]

    yield run
    for terminal in terminals:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(terminal.pid, signal.SIGKILL)
            os.waitpid(terminal.pid, 0)
        os.close(terminal.screen)
        os.close(terminal.terminal)


@pytest.mark.parametrize("kind", ["dumb", "xterm"])
def test_a_link_longer_than_a_line_of_the_terminal_arrives_complete(start: Start, link: str, kind: str) -> None:
    terminal = start(TERM=kind)
    terminal.wait_for(PROMPT)
    assert not terminal.mode[3] & termios.ICANON
    marks = ("\x1b[200~", "\x1b[201~") if kind == "xterm" else ("", "")
    terminal.paste(f"{marks[0]}{link}{marks[1]}\n\x04")
    terminal.wait_for(MATCHES)
    assert terminal.end() == 0
    assert terminal.mode == terminal.before


def test_keys_edit_what_is_typed_and_the_answer_of_oss_may_follow(start: Start, link: str) -> None:
    terminal = start()
    terminal.wait_for(PROMPT)
    terminal.paste(b"what is not UTF-8: \xff\n")
    terminal.paste(f"two words\x17\x17https://example.com/\x15{link}xx\x7f\x08\n\n")
    terminal.paste("<Error>\n  <Code>InvalidObjectState</Code>\n</Error>\n\x04")
    terminal.wait_for(MATCHES)
    terminal.wait_for("[archived, certain]")
    assert terminal.end() == 1


def test_a_redirected_output_has_the_result_alone(start: Start, link: str, tmp_path: Path) -> None:
    terminal = start(output=tmp_path / "result")
    terminal.wait_for(PROMPT)
    terminal.paste(f"{link}\n\x04")
    assert terminal.end() == 0
    result = (tmp_path / "result").read_text()
    assert (result.startswith("OSS presigned URL"), MATCHES in result) == (True, True)
    assert terminal.mode == terminal.before


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)]
)
def test_a_signal_leaves_the_terminal_as_it_was(start: Start, link: str, number: int, status: int) -> None:
    terminal = start()
    terminal.wait_for(PROMPT)
    terminal.paste(link)
    assert not terminal.mode[3] & termios.ICANON
    os.kill(terminal.pid, number)
    assert terminal.end() == status
    assert terminal.mode == terminal.before


def test_without_readline_the_prompt_says_what_to_do_and_a_line_is_read(start: Start) -> None:
    block = "import sys; sys.modules['readline'] = None; from signer.__main__ import main; sys.exit(main())"
    terminal = start("-c", block, "explain", "-")
    terminal.wait_for("longer than 1,000 characters: fc-presign explain - < file")
    terminal.wait_for(PROMPT)
    terminal.paste("https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a?x-oss-signature=1&amp;a\n\x04")
    terminal.wait_for("[html_escaped, certain]")
    assert terminal.end() == 1


def test_the_key_of_a_cdn_is_asked_for_before_the_link_and_not_shown(start: Start) -> None:
    key = "aliyuncdnexp1234"
    link = signer.presign_cdn("https://static.example.com/a.mp4", signer.CdnKey(key), expires_in=600).url
    terminal = start("-m", "signer", "explain", "-", "--cdn-key", "-")
    terminal.wait_for("Key of the CDN: ")
    assert not terminal.mode[3] & termios.ECHO
    terminal.paste(f"{key}\n")
    terminal.wait_for(PROMPT)
    terminal.paste(f"{link}\n\x04")
    terminal.wait_for(MATCHES)
    assert terminal.end() == 0
