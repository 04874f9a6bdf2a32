"""What the demonstration prints: each step with its request and result, without secrets."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

import signer
from handler.commands.printing import show

from ..errors import LocalError

TIMEOUT = 30  # seconds


@dataclass
class Story:
    """Prints each step in two lines, what was done and what came back; if `verbose`, every request and result."""

    verbose: bool
    _request: str = ""

    def send(self, method: str, url: str, status: int, title: str = "", **options: Any) -> requests.Response:
        """Sends a request; one with a title begins a step. Raises `LocalError` for another status."""
        if title:
            print(f"\033[1m{title}\033[0m" if sys.stdout.isatty() else title, flush=True)
            self._request = f"{method} {unquote(urlsplit(url).path)}"
            self.detail(f"{method} {signer.redact(url)}")
        response = requests.request(method, url, timeout=TIMEOUT, **{"allow_redirects": False, **options})
        expect(response.status_code == status, f"{method} {signer.redact(url)}", response)
        return response

    def detail(self, line: str) -> None:
        if self.verbose:
            show(*f"  {line}".split("\n"))

    def result(self, line: str) -> None:
        """Ends a step."""
        if self.verbose:
            show(f"  {line}", "")
        else:
            show(f"  {self._request} → {line}")


def error_code(response: requests.Response) -> str:
    """The `Code` of OSS's XML error."""
    return response.text.partition("<Code>")[2].partition("</Code>")[0]


def expect(condition: bool, what: str, response: requests.Response) -> None:
    """Raises `LocalError` unless the condition holds."""
    if not condition:
        raise LocalError(f"{what} failed with status {response.status_code}: {signer.redact(response.text[:300])}")
