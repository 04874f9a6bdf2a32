"""A link that is pasted on a terminal arrives complete, keys edit it, and the terminal is left as it was."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import signer
from tests.signer.cli.command import ENVIRONMENT, KEYS

# With a token of its size, the link has more than 6,000 bytes.
LONG = KEYS._replace(security_token="CAIS" + "tokenEXAMPLE" * 490)
ENDPOINT = signer.Endpoint.public("cn-hangzhou")
PROMPT = "press Ctrl-D:"
SECONDS = 60


class Terminal:
    """A command on a terminal, in a process group of its own, which a signal may stop."""

    def __init__(self, *arguments: str) -> None:
        self.screen, self.terminal = pty.openpty()
        self.before = self.mode
        self.shown = ""
        environment = {**ENVIRONMENT, "OSS_SESSION_TOKEN": LONG.security_token or ""}
        files = [(os.POSIX_SPAWN_DUP2, self.terminal, descriptor) for descriptor in range(3)]
        command = [sys.executable, *arguments]
        self.pid = os.posix_spawn(command[0], command, environment, file_actions=files, setpgroup=0)

    @property
    def mode(self) -> list[Any]:
        return termios.tcgetattr(self.terminal)

    def wait_for(self, string: str) -> None:
        while string not in self.shown:
            assert select.select([self.screen], [], [], SECONDS)[0], self.shown
            self.shown += os.read(self.screen, 1 << 16).decode(errors="replace").replace("\r\n", "\n")
        self.shown = self.shown.partition(string)[2]

    def paste(self, string: str) -> None:
        assert os.write(self.screen, string.encode()) == len(string.encode())

    def signal(self, number: int) -> int:
        """The state after the signal, for `os.WIFSTOPPED` and its like."""
        os.kill(self.pid, number)
        return self._state()

    def _state(self) -> int:
        """Of the command once it has ended or is stopped."""
        end = time.monotonic() + SECONDS
        while (ended := os.waitpid(self.pid, os.WUNTRACED | os.WNOHANG))[0] == 0:
            assert time.monotonic() < end, self.shown
            if select.select([self.screen], [], [], 0.05)[0]:  # its last lines may wait for who reads them
                self.shown += os.read(self.screen, 1 << 16).decode(errors="replace").replace("\r\n", "\n")
        return ended[1]

    def end(self) -> int:
        return os.waitstatus_to_exitcode(self._state())


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    terminal = Terminal(*getattr(request, "param", ("-m", "signer", "verify", "-")))
    try:
        yield terminal
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(terminal.pid, signal.SIGKILL)
            os.waitpid(terminal.pid, 0)
        os.close(terminal.screen)
        os.close(terminal.terminal)


@pytest.fixture
def link() -> str:
    """Made for each test, which may begin long after its module was imported."""
    return signer.presign("GET", "examplebucket", "a.txt", credentials=LONG, endpoint=ENDPOINT).url


def test_a_link_longer_than_a_line_of_the_terminal_arrives_complete(terminal: Terminal, link: str) -> None:
    terminal.wait_for(PROMPT)
    assert terminal.mode[3] & (termios.ISIG | termios.ECHO) == termios.ISIG | termios.ECHO
    terminal.paste(link + "\x04")
    terminal.wait_for("The link is valid.")
    assert len(link) > 6_000
    assert terminal.end() == 0
    assert terminal.mode == terminal.before


def test_keys_edit_what_is_typed_and_marks_of_a_paste_are_removed(terminal: Terminal, link: str) -> None:
    terminal.wait_for(PROMPT)
    # No Backspace reaches the line before.
    terminal.paste("\n\b\x7fxé\x7f\x7f\x7fhttps://example.com/\x15two words\x17\x17")
    terminal.paste(f"\x1b[200~{link}报\x1b[201~\x7f\x04")
    terminal.wait_for("The link is valid.")
    assert terminal.end() == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_the_terminal_as_it_was(number: int, status: int, terminal: Terminal) -> None:
    terminal.wait_for(PROMPT)
    assert not terminal.mode[3] & termios.ICANON
    assert os.waitstatus_to_exitcode(terminal.signal(number)) == status
    assert terminal.mode == terminal.before


def test_a_command_that_is_stopped_lends_the_terminal_and_goes_on(terminal: Terminal, link: str) -> None:
    terminal.wait_for(PROMPT)
    terminal.paste(link[:100] + "x\x7f")
    terminal.wait_for("\b \b")  # all of it was read
    assert os.WIFSTOPPED(terminal.signal(signal.SIGTSTP))
    assert terminal.mode == terminal.before
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.wait_for(PROMPT)
    assert not terminal.mode[3] & termios.ICANON
    terminal.wait_for(link[:100])
    terminal.paste(link[100:] + "\x04")
    terminal.wait_for("The link is valid.")
    assert terminal.end() == 0
    assert terminal.mode == terminal.before


@pytest.mark.parametrize(
    "terminal",
    [("-c", "import sys; sys.modules['termios'] = None; from signer.__main__ import main; main()", "explain", "-")],
    indirect=True,
)
def test_where_the_terminal_cannot_be_told_the_prompt_says_what_to_do(terminal: Terminal) -> None:
    terminal.wait_for("longer than 1,000 characters: fc-presign explain - < file")


@pytest.mark.parametrize("terminal", [("-m", "signer", "verify", "-", "--cdn-key", "-")], indirect=True)
def test_the_key_of_a_cdn_is_asked_for_before_the_link_and_not_shown(terminal: Terminal) -> None:
    key = "aliyuncdnexp1234"
    link = signer.presign_cdn("https://static.example.com/a.mp4", kind="A", key=key, valid_for=1800).url
    terminal.wait_for("Key of the CDN: ")
    assert not terminal.mode[3] & termios.ECHO
    terminal.paste(f"{key}\n")
    terminal.wait_for(PROMPT)
    terminal.paste(f"{link}\x04")
    terminal.wait_for("The link is valid.")
    assert terminal.end() == 0
