"""What must hold for every response, whatever was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from handler.core.errors import ERRORS, HandlerError
from tests.handler.client import KEYS, Answered
from tests.handler.keys_fixtures import READER, SHARER, base64url

Run = Callable[[bytes], object]  # raises only if the code under test breaks its word

# Nothing of these is ever printed, whatever the request: they are of the service and not of the request.
SECRETS = (
    KEYS.access_key_secret,
    KEYS.security_token or "",
    base64url(b"n" * 32),
    base64url(b"o" * 32),
)
# These are of callers, and a log must not have them either.
API_KEYS = (READER, SHARER)
# Of the service, but never the fault of a request.
NEVER = frozenset({"internal_error", "bad_configuration"})


def check_response(response: Answered) -> None:
    """A documented status and code, an audit line (after warnings and those of a list) that says so, and no secret."""
    *others, line = [json.loads(line) for line in response.printed.splitlines()]
    assert response.printed.endswith("\n")
    links = [each for each in others if "warning" not in each or "request_id" in each]
    assert len(links) == (line["links"] if line["path"] == "/-/sign" and "links" in line else 0), (
        others
    )
    assert all(each["request_id"] == line["request_id"] and each["expires_in"] for each in links), (
        links
    )
    assert line["status"] == response.status, (line, response.status)
    check_no_fault(line)
    check_no_secret(response.printed, (*SECRETS, *API_KEYS))
    for name, value in response.headers.items():
        assert not set("\r\n\0") & set(name + value), (name, value)
        value.encode("latin-1")
    if response.status < 400:
        return
    check_no_secret(response.body, SECRETS)
    media_type = response.headers["Content-Type"].partition(";")[0]
    if media_type == "text/html":
        code = line["code"]
    else:
        assert media_type == "application/problem+json", media_type
        code = json.loads(response.body)["code"] if response.body else line["code"]
    assert line["code"] == code, (line["code"], code)
    assert code in ERRORS, code
    assert code not in NEVER, code
    assert ERRORS[code].status == response.status, (code, response.status)


def check_no_fault(line: Mapping[str, Any]) -> None:
    """An audit line without an unexpected error, of which the last frame is in the message."""
    if "fault" in line:
        frames = line["fault"]["frames"]
        raise AssertionError(
            f"{line['fault']['error']} at {frames[-1] if frames else '?'}: {frames}"
        )


def check_refused(error: HandlerError, *codes: str) -> None:
    assert error.code in codes, error.code


def check_sentence(error: HandlerError, beginning: str) -> None:
    """A sentence that begins with the place of the fault."""
    assert re.match(beginning, error.sentence), error.sentence


def check_no_secret(printed: str, secrets: Iterable[str]) -> None:
    for secret in secrets:
        assert secret not in printed, f"a secret of {len(secret)} characters is shown"
