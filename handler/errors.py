"""Every answer that is an error: RFC 9457 problem details."""

from __future__ import annotations

import json

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class HandlerError(Exception):
    """The base of what this package raises: `code` for programs, a sentence for people."""

    code = "handler_error"

    def __init__(self, sentence: str, *, code: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        if code is not None:
            self.code = code


class Problem(HandlerError):
    """A refusal that the caller is told: `status` (HTTP), `code`, the sentence, and headers of its own."""

    def __init__(self, status: int, code: str, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence, code=code)
        self.status = status
        self.headers = headers or {}

    def document(self, request_id: str) -> dict[str, object]:
        """The members of the problem document. `type` is about:blank, so `title` is the status's own phrase."""
        return {
            "type": "about:blank",
            "title": TITLES[self.status],
            "status": self.status,
            "detail": self.sentence,
            "code": self.code,
            "request_id": request_id,
        }

    def json(self, request_id: str) -> str:
        """The problem as application/problem+json."""
        return json.dumps(self.document(request_id))


def not_found() -> Problem:
    """The one answer for everything that does not exist for this caller, so that none can be told from another."""
    return Problem(404, "not_found", "There is nothing at this address.")
