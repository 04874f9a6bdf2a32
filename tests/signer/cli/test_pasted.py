"""A link that is pasted on a terminal arrives complete, keys edit it, and the terminal is left as it was."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

import signer
from tests.signer.cli.command import ENVIRONMENT, KEYS
from tests.signer.signing import sign

# A token of this size makes the link longer than any terminal takes in a line.
LONG = KEYS._replace(security_token="CAIS" + "tokenEXAMPLE" * 740)
PROMPT = "then press Enter and Ctrl-D:\n"
MATCHES = "signature  matches with the given secret"
SECONDS = 60


@pytest.fixture(scope="module")
def link() -> str:
    url = sign(key="a.txt", credentials=LONG, expires_in=43_200, now=None).url
    assert len(url) > 9_000
    return url


class Terminal:
    """A command on a terminal; its standard output may be a file."""

    def __init__(
        self, *arguments: str, output: IO[bytes] | None = None, kind: str = "dumb"
    ) -> None:
        self.screen, self.terminal = pty.openpty()
        self.before = self.mode
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, *(arguments or ("-m", "signer", "explain", "-"))],
            stdin=self.terminal,
            stdout=output or self.terminal,
            stderr=self.terminal,
            env={**ENVIRONMENT, "OSS_SESSION_TOKEN": LONG.security_token or "", "TERM": kind},
        )

    @property
    def mode(self) -> list[Any]:
        return termios.tcgetattr(self.terminal)

    def wait_for(self, string: str) -> str:
        """What is shown before it."""
        self._until(lambda: string in self.shown)
        before, _, self.shown = self.shown.partition(string)
        return before

    def paste(self, data: bytes) -> None:
        while data:
            # What it shows is read meanwhile: a terminal holds little of either.
            assert select.select([], [self.screen], [], SECONDS)[1], self.shown
            data = data[os.write(self.screen, data[:1000]) :]
            self._read(0)

    def end(self) -> int:
        self._until(lambda: self.process.poll() is not None)
        assert self.mode == self.before
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.wait(SECONDS)
        os.close(self.screen)
        os.close(self.terminal)

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.shown
            self._read(0.05)

    def _read(self, seconds: float) -> None:
        if select.select([self.screen], [], [], seconds)[0]:
            self.shown += (
                os.read(self.screen, 1 << 16).decode(errors="replace").replace("\r\n", "\n")
            )


Start = Callable[..., Terminal]


@pytest.fixture
def start() -> Iterator[Start]:
    terminals: list[Terminal] = []

    def run(*arguments: str, **options: Any) -> Terminal:
        terminals.append(Terminal(*arguments, **options))
        return terminals[-1]

    yield run
    for terminal in terminals:
        terminal.close()


def test_a_link_longer_than_a_line_of_the_terminal_arrives_complete(
    start: Start, link: str
) -> None:
    terminal = start(kind="xterm")
    terminal.wait_for(PROMPT)
    terminal.paste(f"\x1b[200~{link}\x1b[201~\n\x04".encode())  # as xterm marks what is pasted
    terminal.wait_for(MATCHES)
    assert terminal.end() == 0


def test_keys_edit_what_is_typed_and_the_answer_of_oss_may_follow(start: Start, link: str) -> None:
    terminal = start()
    terminal.wait_for(PROMPT)
    terminal.paste(b"what is not UTF-8: \xff\ntwo words\x17\x17https://example.com/\x15")
    terminal.paste(
        f"{link}xx\x7f\x08\n\n<Error>\n  <Code>InvalidObjectState</Code>\n</Error>\n\x04".encode()
    )
    terminal.wait_for(MATCHES)
    terminal.wait_for("[archived, certain]")
    assert terminal.end() == 1


def test_a_redirected_output_has_the_result_alone(start: Start, link: str, tmp_path: Path) -> None:
    with (tmp_path / "result").open("wb") as output:
        terminal = start(output=output)
        terminal.wait_for(PROMPT)
        terminal.paste(f"{link}\n\x04".encode())
        assert terminal.end() == 0
    result = (tmp_path / "result").read_text()
    assert (result.startswith("Read: a link (line 1)\n"), MATCHES in result) == (True, True)


def test_who_pastes_without_enter_is_reminded_once_how_to_end(start: Start, link: str) -> None:
    reminder = "Press Enter, then Ctrl-D.\n"
    quick = "import sys; from signer.cli import terminal; terminal.TICK = 0.001"
    block = f"{quick}; from signer.__main__ import main; sys.exit(main())"
    terminal = start("-c", block, "explain", "-")
    terminal.wait_for(PROMPT)
    terminal.paste(link.encode())
    terminal.wait_for(reminder)
    terminal.paste(b"\n" * 500)  # which takes longer than until the next reminder
    terminal.paste(b"\x04")
    assert reminder not in terminal.wait_for(MATCHES)
    assert terminal.end() == 0


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)],
)
def test_a_signal_leaves_the_terminal_as_it_was(
    start: Start, link: str, number: int, status: int
) -> None:
    terminal = start()
    terminal.wait_for(PROMPT)
    terminal.paste(link.encode())
    assert not terminal.mode[3] & termios.ICANON
    terminal.process.send_signal(number)
    assert terminal.end() == status


def test_without_readline_the_prompt_says_what_to_do_and_a_line_is_read(start: Start) -> None:
    block = "import sys; sys.modules['readline'] = None; from signer.__main__ import main; sys.exit(main())"
    terminal = start("-c", block, "explain", "-")
    terminal.wait_for(f"(longer than 1,000 characters: fc-presign explain - < file), {PROMPT}")
    terminal.paste(
        b"https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a?x-oss-signature=1&amp;a\n\x04"
    )
    terminal.wait_for("[html_escaped, certain]")
    assert terminal.end() == 1


def test_the_key_of_a_cdn_is_asked_for_before_the_link_and_not_shown(start: Start) -> None:
    key = "aliyuncdnexp1234"
    link = signer.presign_cdn(
        "https://static.example.com/a.mp4", signer.CdnKey(key), expires_in=600
    ).url
    terminal = start("-m", "signer", "explain", "-", "--cdn-key", "-")
    terminal.wait_for("Key of the CDN: ")
    assert not terminal.mode[3] & termios.ECHO
    terminal.paste(f"{key}\n".encode())
    terminal.wait_for(PROMPT)
    terminal.paste(f"{link}\n\x04".encode())
    terminal.wait_for(MATCHES)
    assert terminal.end() == 0
