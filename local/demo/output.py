"""What the demonstration prints: each step with its request and result, without secrets."""

from __future__ import annotations

import sys
from typing import Any

import requests

import signer
from handler.commands.printing import show

from ..errors import LocalError

TIMEOUT = 30  # seconds


class DemoError(LocalError):
    """A step did not have the expected result."""


def send(method: str, url: str, status: int, title: str = "", **options: Any) -> requests.Response:
    """Sends a request, which is announced if it has a title. Raises `DemoError` for another status."""
    if title:
        print(f"\033[1m{title}\033[0m" if sys.stdout.isatty() else title, flush=True)
        say(f"  {method} {signer.redact(url)}")
    response = requests.request(method, url, timeout=TIMEOUT, **{"allow_redirects": False, **options})
    expect(response.status_code == status, f"{method} {signer.redact(url)}", response)
    return response


def say(lines: str) -> None:
    """Prints at once, so that progress is visible."""
    show(*lines.split("\n"))


def error_code(response: requests.Response) -> str:
    """The `Code` of OSS's XML error."""
    return response.text.partition("<Code>")[2].partition("</Code>")[0]


def expect(condition: bool, what: str, response: requests.Response) -> None:
    """Raises `DemoError` unless the condition holds."""
    if not condition:
        raise DemoError(f"{what} failed with status {response.status_code}: {signer.redact(response.text[:300])}")
