"""`make demo`: a private object travels, and everything on its way is shown."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import requests

import signer

from .errors import LocalError
from .stack import Stack

CONTENT = b"Quarterly figures: the same bytes on both ends.\n" * 40
KEY = "exampledir/reports/2026 q3 报告.txt"
PATH = "/exampledir/reports/2026%20q3%20%E6%8A%A5%E5%91%8A.txt"
TIMEOUT = 30  # seconds


class DemoError(LocalError):
    """Something did not go as it should."""


def main() -> int:
    """Runs the demonstration; the exit status is 0 if every step held."""
    try:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as log, Stack.start(Path("s.yaml"), log=log) as stack:
            for act in ACTS:
                act(stack)
            show_log(log.fileno())
    except (LocalError, requests.RequestException) as error:
        print(f"make demo: {signer.redact(str(error))}", file=sys.stderr)
        return 1
    say("\nEvery step held.")
    return 0


def redirect_act(stack: Stack) -> None:
    """Upload by a presigned PUT, download through the 302, byte for byte."""
    say(f"The functions of s.yaml answer at {stack.http_url}, a private OSS bucket at {stack.oss_url}.\n")
    endpoint = signer.Endpoint.path_style(stack.oss_url, stack.region)
    upload = signer.presign(
        "PUT",
        stack.bucket,
        KEY,
        credentials=stack.credentials,
        endpoint=endpoint,
        expires_in=60,
        headers={"Content-Type": "text/plain; charset=utf-8"},
    )
    step("A program uploads with a presigned PUT", "PUT", upload.url)
    answer = requests.put(upload.url, data=CONTENT, headers=upload.headers, timeout=TIMEOUT)
    expect(answer.status_code == 200, "the upload", answer)
    say(f"  {answer.status_code}, {len(CONTENT)} bytes stored\n")

    bare = f"{stack.oss_url}/{stack.bucket}{PATH}"
    step("The object is private: without a signature there is nothing to see", "GET", bare)
    answer = requests.get(bare, timeout=TIMEOUT)
    expect(answer.status_code == 403, "the refusal", answer)
    say(f"  {answer.status_code} {code(answer)}\n")

    step("A person opens the link", "GET", stack.http_url + PATH)
    answer = requests.get(stack.http_url + PATH, allow_redirects=False, timeout=TIMEOUT)
    expect(answer.status_code == 302, "the redirect", answer)
    location = answer.headers["Location"]
    say(f"  {answer.status_code}, Location: {signer.redact(location)}")
    answer = requests.get(location, timeout=TIMEOUT)
    expect(answer.status_code == 200 and answer.content == CONTENT, "the download", answer)
    say(f"  {answer.status_code}, {len(answer.content)} bytes, the same as were stored\n")

    step("A program asks for JSON", "GET", stack.http_url + PATH + "?format=json&expires=2h")
    answer = requests.get(stack.http_url + PATH, params={"format": "json", "expires": "2h"}, timeout=TIMEOUT)
    expect(answer.status_code == 200, "the JSON", answer)
    shown = answer.json()
    shown["url"] = signer.redact(shown["url"])
    say("  " + json.dumps(shown, indent=2).replace("\n", "\n  ") + "\n")

    forged = location.replace("q3", "q4")
    step("Somebody changes the link", "GET", forged)
    answer = requests.get(forged, timeout=TIMEOUT)
    expect(answer.status_code == 403, "the refusal of a forgery", answer)
    say(f"  {answer.status_code} {code(answer)}")
    answer = requests.head(location, timeout=TIMEOUT)
    expect(answer.status_code == 403, "the refusal of another method", answer)
    say(f"  HEAD on the link for GET: {answer.status_code}\n")


ACTS: tuple[Callable[[Stack], None], ...] = (redirect_act,)


def show_log(descriptor: int) -> None:
    """One line of what the functions logged."""
    with open(descriptor, encoding="utf-8", closefd=False) as log:
        log.seek(0)
        lines = [line for line in log if line.startswith('{"request_id"')]
    if not lines:
        raise DemoError("The function wrote no audit line.")
    say("What the function's log says of the first visitor:")
    say("  " + lines[0].strip())


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


if __name__ == "__main__":
    sys.exit(main())
