"""The requests of the command line, and why one failed: a client's own message contains the URL, a secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ..errors import SignerError
from ..redaction import redact

if TYPE_CHECKING:
    import requests

MAX_ANSWER = 16 << 20  # bytes
_BLOCK = 1 << 16  # bytes


class AnswerRefused(SignerError):
    """An answer is compressed or too long to be read; the message says whose it is."""

    code = "answer_refused"


class Answer(NamedTuple):
    """What a server answered, with its whole body."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Raises `ValueError` and `RecursionError`."""
        return json.loads(self.body)


def send(
    method: str,
    url: str,
    timeout: tuple[float, float],
    *,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, object] | None = None,
    content: Iterable[bytes] | bytes | None = None,
    session: requests.Session | None = None,
) -> Answer:
    """The answer, also if it is a redirect.

    `timeout` is in seconds, to connect and to read; a `body` is sent as JSON, `content` as it is. Raises `OSError`, and
    `AnswerRefused` for one that is compressed or has more than 16 MB.
    """
    import requests

    # Its warnings, as of a malformed header, contain the URL.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    session = session or requests.Session()
    # A proxy does not reach this machine.
    proxies = (
        {"http": "", "https": ""}
        if urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
        else None
    )
    response = session.request(
        method,
        url,
        query,
        content,
        json=body,
        headers={**(headers or {}), "Accept-Encoding": "identity"},
        auth=_keep_headers,
        timeout=timeout,
        allow_redirects=False,
        proxies=proxies,
        stream=True,
    )
    with response:
        return Answer(response.status_code, _read_body(response))


def _read_body(response: requests.Response) -> bytes:
    host = urlsplit(response.url).netloc
    coding = response.headers.get("Content-Encoding", "identity")
    # Little that is compressed can be more than the memory holds.
    if coding.lower() != "identity":
        raise AnswerRefused(
            f"{host} compressed its answer ({coding}), which was not accepted. Turn that off in the gateway or proxy "
            "in front of it."
        )
    body = bytearray()
    for piece in response.iter_content(_BLOCK):
        body += piece
        if len(body) > MAX_ANSWER:
            raise AnswerRefused(f"{host} answered with more than {MAX_ANSWER >> 20} MB.")
    return bytes(body)


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Without it, requests replaces the header Authorization with what ~/.netrc has for the host."""
    return request


def describe_refusal(answer: Answer, hint: str = "") -> str:
    """What OSS answered instead of doing what was asked; `hint` says what an AccessDenied means."""
    from ..diagnosis.server_error import read_error

    try:
        error = read_error(answer.body.decode(errors="replace"))
    except SignerError:
        return f"status {answer.status}"
    return redact(f"{error.code}, {error.message.rstrip('.')}") + (
        hint if error.code == "AccessDenied" else ""
    )


def failure_reason(error: BaseException) -> str:
    """`Connection refused` and the like: the deepest cause that the system names, else the class of the error."""
    reason = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            reason = cause.strerror
        elif isinstance(cause, ConnectionError):  # of http.client, before a response
            reason = "connection closed"
        elif "Timeout" in type(cause).__name__:
            reason = "no response in time"
        cause = cause.__cause__ or cause.__context__
    return reason
