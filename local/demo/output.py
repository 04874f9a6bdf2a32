"""What a demonstration prints: each step with its request, addresses without secrets, and whether it held."""

from __future__ import annotations

import sys

import requests

import signer

from ..errors import LocalError

TIMEOUT = 30  # seconds


class DemoError(LocalError):
    """Something did not go as it should."""


def step(what: str, method: str, url: str) -> None:
    """Announces a request, its URL without secrets."""
    title = f"\033[1m{what}\033[0m" if sys.stdout.isatty() else what
    say(f"{title}\n  {method} {signer.redact(url)}")


def say(text: str) -> None:
    """Prints at once, so that a person sees how far it is."""
    print(text, flush=True)


def code(answer: requests.Response) -> str:
    """The `Code` of OSS's error body."""
    return answer.text.partition("<Code>")[2].partition("</Code>")[0]


def expect(holds: bool, what: str, answer: requests.Response) -> None:
    """Raises `DemoError` unless it holds."""
    if not holds:
        raise DemoError(f"{what} failed with status {answer.status_code}: {signer.redact(answer.text[:300])}")
