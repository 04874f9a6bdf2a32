"""Sends a file directly to OSS, through a link of a service."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import BinaryIO
from urllib.parse import urlsplit

import click

from ...endpoint import is_loopback, parse_origin
from ...errors import InvalidEndpoint
from ...sizes import MAX_PUT, format_size
from .. import options
from ..network import AnswerRefused, describe_refusal, failure_reason, send
from ..service import Service, ServiceFailed

# Seconds without progress after which a transfer ends: to connect or send, and to read.
IDLE = (60, 60)
PROGRESS_AFTER = 2.0
PROGRESS_EVERY = 0.5  # seconds
BLOCK = 1 << 16  # bytes


class Progress:
    """What a terminal shows, after two seconds, of how many of `total` bytes were sent."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._sent = 0
        self._shows_at = time.monotonic() + PROGRESS_AFTER
        self._line = ""

    def add(self, size: int) -> None:
        self._sent += size
        now = time.monotonic()
        if now >= self._shows_at and sys.stderr.isatty():
            self._shows_at = now + PROGRESS_EVERY
            percent = self._sent * 100 // (self._total or 1)
            self._line = f"{percent:3} % of {format_size(self._total)}"
            click.echo(f"\r{self._line}", err=True, nl=False)

    def clear(self) -> None:
        if self._line:
            click.echo(f"\r{' ' * len(self._line)}\r", err=True, nl=False)


class Content:
    """What is in an open file, for requests, which streams what can be iterated, and takes `len` for its length."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file = file
        self._opened = self._version(file)
        self.len = self._left = self._opened[0]  # bytes
        self._progress = progress

    def __iter__(self) -> Iterator[bytes]:
        return iter(partial(self.read, BLOCK), b"")

    def read(self, size: int) -> bytes:
        """Raises `ServiceFailed` if the file changed: before its end is sent, so that OSS stores nothing."""
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        is_other = self._file.read(1) if not self._left else not piece
        if is_other or self._version(self._file) != self._opened:
            raise ServiceFailed(
                "The file changed while it was sent. Try again when it is complete."
            )
        self._progress.add(len(piece))
        return piece

    @staticmethod
    def _version(file: BinaryIO) -> tuple[int, int]:
        status = os.fstat(file.fileno())
        return status.st_size, status.st_mtime_ns


def open_file(file: str, max_size: int = MAX_PUT) -> BinaryIO:
    """Raises `ServiceFailed` unless it is a file of at most `max_size` bytes."""
    try:
        status = os.stat(file)
        if not stat.S_ISREG(status.st_mode):
            raise ServiceFailed("This is neither a file nor a folder, and cannot be sent.")
        if status.st_size > max_size:
            limit = f"It has {format_size(status.st_size)}, and one upload at most {format_size(max_size)}."
            raise ServiceFailed(
                f"{limit} Upload it with ossutil cp, then use {options.NAME} share --path."
            )
        return open(file, "rb")
    except OSError as error:
        raise ServiceFailed(f"{error.strerror}.") from None


def check_target(service_url: str, url: str, headers: Iterable[str]) -> None:
    """Raises `ServiceFailed` unless a link that the service answered with is that of an upload to OSS.

    Else a service chose what is sent to an address in the network of this machine. Those of clouds, which have
    credentials, answer without TLS. Only a service on this machine has an OSS there.
    """
    try:
        scheme, host = parse_origin("/".join(url.split("/", 3)[:3]))
    except InvalidEndpoint:
        scheme = host = ""
    is_here = is_loopback(host) and is_loopback(urlsplit(service_url).netloc)
    if scheme != "https" and not is_here:
        raise ServiceFailed(f"{service_url} answered with a link that is not https.")
    other = [name for name in headers if not name.lower().startswith(("content-", "x-oss-"))]
    if other:
        raise ServiceFailed(
            f"{service_url} answered with a header that no upload has: {', '.join(other)}."
        )


def send_file(service: Service, file: BinaryIO, path: str, progress: Progress) -> None:
    """Stores a file at a path of the service, where nothing is replaced. Raises `ServiceFailed`."""
    content = Content(file, progress)
    item = {"path": path, "method": "PUT", "size": content.len}
    links = service.ask("POST", "/-/sign", body={"links": [item]}).get("links")
    link = links[0] if isinstance(links, list) and links and isinstance(links[0], dict) else {}
    url = link.get("url")
    headers = link.get("headers")
    if not isinstance(url, str) or not isinstance(headers, dict):
        raise service.refusal(link.get("error"))
    check_target(service.url, url, headers)
    try:
        # Without a length, it would be sent in chunks, which the link does not allow.
        body = content if content.len else content.read(BLOCK)
        answer = send("PUT", url, IDLE, headers=headers, content=body)
    except (OSError, ValueError) as error:
        raise ServiceFailed(
            f"Sending it to {urlsplit(url).hostname} failed: {failure_reason(error)}."
        ) from None
    except AnswerRefused as error:
        raise ServiceFailed(str(error)) from None
    if answer.status != 200:
        raise ServiceFailed(f"OSS refused it: {describe_refusal(answer)}.")
