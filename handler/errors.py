"""Every error of this package, and every error that the HTTP service answers (RFC 9457 problem details)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

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
    503: "Service Unavailable",
}


class ErrorEntry(NamedTuple):
    """One public error code: its HTTP status, what it means, what to do, and the headers that go with it."""

    status: int
    meaning: str
    action: str
    headers: Mapping[str, str] = {}


_INVALID_TOKEN = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
_NEW_LINK = "Ask the sender for a new link."

# The one place for each public code; docs/errors.md is written from it.
ERRORS: Mapping[str, ErrorEntry] = {
    "bad_event": ErrorEntry(400, "The event is not an HTTP trigger's.", "Call this function through its HTTP trigger."),
    "bad_path": ErrorEntry(400, "Invalid path.", "Percent-encode the object's key once, as UTF-8."),
    "bad_body": ErrorEntry(400, "Invalid request body.", "Correct the member that the message names."),
    "bad_expires": ErrorEntry(400, 'Invalid "expires".', "Use a duration such as 90, 15m, 2h or 1d."),
    "bad_query": ErrorEntry(400, "Invalid query parameter.", "Correct or remove the parameter that the message names."),
    "bad_format": ErrorEntry(400, 'Invalid "format".', "Use json or redirect."),
    "bad_download": ErrorEntry(
        400,
        'Invalid "download".',
        "Use a file name of 1 to 255 bytes without a slash, a backslash or a control character.",
    ),
    "bad_nonce": ErrorEntry(400, "The form was not sent from this page.", "Open the link again."),
    "bad_content_type": ErrorEntry(400, "Invalid content type.", "Use a media type such as text/plain; charset=utf-8."),
    "bad_content_md5": ErrorEntry(
        400, "Invalid Content-MD5.", "Use the MD5 of the body in base64, which has 24 characters."
    ),
    "not_signable": ErrorEntry(400, "A parameter or header is not allowed on this mount.", "Remove it."),
    "not_offered": ErrorEntry(400, "The method is not enabled for this mount.", "Use a method that the message lists."),
    "link_too_long": ErrorEntry(
        400, "The link is too long for a redirect.", "Request it with format=json, or use a shorter name."
    ),
    "size_required": ErrorEntry(400, '"size" (bytes) is required for uploads.', "Add it to the request."),
    "too_large": ErrorEntry(400, "The upload exceeds the maximum size.", "Send a smaller file."),
    "wrong_type": ErrorEntry(400, "This type of file is not accepted.", "Send a file of the type that is listed."),
    "prefix_overlaps": ErrorEntry(400, "Another mount covers objects below this prefix.", "Use a narrower prefix."),
    "unauthorized": ErrorEntry(
        401,
        "An API key or token is required.",
        "Send it as Authorization: Bearer.",
        {"WWW-Authenticate": "Bearer"},
    ),
    "malformed_credential": ErrorEntry(
        401, "The API key or token is malformed.", "Send it exactly as you received it.", _INVALID_TOKEN
    ),
    "unknown_credential": ErrorEntry(
        401,
        "The API key or token is not valid for this service.",
        "Check that it is complete and was issued for this service.",
        _INVALID_TOKEN,
    ),
    "ended_credential": ErrorEntry(401, "The API key or token has expired.", "Request a new one.", _INVALID_TOKEN),
    "not_found": ErrorEntry(404, "Not found.", "Check the address."),
    "share_invalid": ErrorEntry(404, "Invalid link: it is incomplete or was modified.", "Copy the full link again."),
    "method_not_allowed": ErrorEntry(405, "The method is not allowed here.", "Use a method that Allow lists."),
    "not_shareable": ErrorEntry(
        409, "Shares are not enabled for this mount.", "Ask the operator to set max_share in links.toml."
    ),
    "public_url_required": ErrorEntry(
        409,
        "This requires the service's own domain: on the default domain, browsers download pages.",
        "Ask the operator to set public_url in links.toml.",
    ),
    "share_is_plain": ErrorEntry(
        409,
        "A plain share has no record of its own.",
        "To revoke it, retire the key that signed it, with everything else that this key signed.",
    ),
    "state_required": ErrorEntry(409, "This requires a state prefix.", "Ask the operator to set state in links.toml."),
    "object_exists": ErrorEntry(
        409, "An object exists at this path, and uploads do not overwrite.", "Use another path."
    ),
    "object_archived": ErrorEntry(409, "This file is in cold storage.", "Ask its owner to restore it first."),
    "share_ended": ErrorEntry(410, "This link has expired.", _NEW_LINK),
    "share_retired": ErrorEntry(410, "This link was withdrawn: the key that signed it was retired.", _NEW_LINK),
    "share_maker_gone": ErrorEntry(
        410, "This link was withdrawn: the key of the person who made it was revoked.", _NEW_LINK
    ),
    "share_revoked": ErrorEntry(410, "This link was withdrawn by its sender.", _NEW_LINK),
    "share_record_missing": ErrorEntry(410, "This link was withdrawn: its record was deleted.", _NEW_LINK),
    "share_not_offered": ErrorEntry(410, "Links of this kind are no longer offered.", _NEW_LINK),
    "share_used_up": ErrorEntry(410, "The download limit of this link has been reached.", _NEW_LINK),
    "share_full": ErrorEntry(410, "The upload limit of this link has been reached.", _NEW_LINK),
    "body_too_large": ErrorEntry(413, "The request body exceeds 1 MB.", "Split the request."),
    "too_many_links": ErrorEntry(413, "The request asks for too many links.", "Split it into several requests."),
    "not_json": ErrorEntry(415, "The request body must be JSON.", "Send it with Content-Type: application/json."),
    "bad_configuration": ErrorEntry(
        500, "The service is misconfigured.", "Tell the operator; the log of the function's start says what is wrong."
    ),
    "internal_error": ErrorEntry(
        500, "An internal error occurred.", "Tell the operator the request id of this answer."
    ),
    "no_credentials": ErrorEntry(
        503,
        "The function has no credentials.",
        "Set role in s.yaml to an execution role that trusts fc.aliyuncs.com, and deploy.",
    ),
    "credentials_ending": ErrorEntry(
        503,
        "The credentials of this instance expire in less than a minute.",
        "Try again in a minute.",
        {"Retry-After": "60"},
    ),
    "keys_unavailable": ErrorEntry(
        503, "The keys document cannot be used.", "Run python -m handler.keys show, and fix what it reports."
    ),
    "no_share_key": ErrorEntry(
        503, "The keys document has no share key.", "Add one with python -m handler.keys rotate-share."
    ),
    "algorithm_unavailable": ErrorEntry(
        503, "The token's algorithm requires the package cryptography.", "Add it to requirements.txt, and deploy."
    ),
    "oss_unavailable": ErrorEntry(503, "OSS is temporarily unavailable.", "Try again.", {"Retry-After": "5"}),
    "state_unavailable": ErrorEntry(503, "Share state is temporarily unavailable.", "Try again.", {"Retry-After": "5"}),
    "state_bucket_versioned": ErrorEntry(
        503,
        "The state bucket has or had versioning, with which a record can be claimed twice.",
        "Set state in links.toml to a bucket that never had versioning.",
    ),
    "unknown_sink": ErrorEntry(503, "A notice names a sink that does not exist.", "Add the sink to the keys document."),
}


class HandlerError(Exception):
    """The base of what this package raises: `code` for programs, `sentence` for people."""

    code = "handler_error"

    def __init__(self, sentence: str, *, code: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        if code is not None:
            self.code = code


class Problem(HandlerError):
    """An error that the HTTP service answers: a code of `ERRORS`.

    `sentence` says more than the code's own meaning and action; `headers` come on top of the code's own.
    """

    def __init__(self, code: str, sentence: str = "", headers: Mapping[str, str] | None = None) -> None:
        entry = ERRORS[code]
        super().__init__(sentence or f"{entry.meaning} {entry.action}", code=code)
        self.status = entry.status
        self.headers = {**entry.headers, **(headers or {})}

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


def bad_body(reason: str) -> Problem:
    """The 400 of a request body; the reason begins with the member in quotes."""
    return Problem("bad_body", f"Invalid request body: {reason}.")


def method_not_allowed(allowed: tuple[str, ...]) -> Problem:
    """The 405 of an existing address, with its Allow header."""
    methods = ", ".join(allowed)
    return Problem("method_not_allowed", f"The method is not allowed here (allowed: {methods}).", {"Allow": methods})


def malformed_credential(fault: str) -> Problem:
    """The 401 of a key or token that cannot be one; `fault` says what it must be."""
    return Problem("malformed_credential", f"{fault}.")
