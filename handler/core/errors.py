"""The errors of this package: the base class, and each public code of the HTTP service (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

# Older versions of Python have others.
_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}


class ErrorEntry(NamedTuple):
    """One public error code: its HTTP status, what it means, what to do, and the headers that go with it."""

    status: int
    meaning: str
    action: str
    headers: Mapping[str, str] = {}


_INVALID_TOKEN = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
_NEW_LINK = "Ask the sender for a new link."

# The only place for each public code; docs/errors.md is generated from it.
ERRORS: Mapping[str, ErrorEntry] = {
    "bad_event": ErrorEntry(
        400, "The event is not an HTTP request.", "Call this function through its HTTP trigger."
    ),
    "bad_path": ErrorEntry(
        400,
        "Invalid path.",
        "In a URL, percent-encode the object's key once, as UTF-8. In JSON, do not encode it.",
    ),
    "bad_body": ErrorEntry(400, "Invalid request body.", "Correct what the message names."),
    "bad_expires": ErrorEntry(
        400, 'Invalid "expires".', "Use a duration such as 90, 15m, 2h or 1d."
    ),
    "bad_query": ErrorEntry(
        400, "Invalid query parameter.", "Correct or remove the parameter that the message names."
    ),
    "bad_format": ErrorEntry(
        400,
        'Invalid "format".',
        "Use json or redirect, at the page of a share qr, or in a shared folder urls.",
    ),
    "bad_download": ErrorEntry(
        400,
        'Invalid "download".',
        "Use a file name of 1 to 255 bytes without a slash, a backslash or a control character.",
    ),
    "bad_nonce": ErrorEntry(
        400,
        "Invalid nonce.",
        "In a browser, open the link again and use its button. In a program, send 16 to 64 letters, digits, - or _.",
    ),
    "bad_content_type": ErrorEntry(
        400, "Invalid content type.", "Use a media type such as text/plain; charset=utf-8."
    ),
    "bad_content_md5": ErrorEntry(
        400, "Invalid Content-MD5.", "Use the MD5 of the body in base64 (24 characters)."
    ),
    "not_signable": ErrorEntry(
        400, "A parameter or header is not allowed here.", "Remove what the message names."
    ),
    "method_not_enabled": ErrorEntry(
        400, "The method is not enabled for this mount.", "Use a method that the message lists."
    ),
    "link_too_long": ErrorEntry(
        400,
        "The link is too long for a redirect.",
        "Request it with format=json, or use shorter parameters.",
    ),
    "size_required": ErrorEntry(
        400, '"size" (bytes) is required for uploads.', "Add it to the request."
    ),
    "too_large": ErrorEntry(400, "The upload exceeds the maximum size.", "Send a smaller file."),
    "wrong_type": ErrorEntry(
        400, "This type of file is not accepted.", "Send a type that the message allows."
    ),
    "prefix_overlaps": ErrorEntry(
        400, "Another mount covers objects below this path.", "Use a more specific path."
    ),
    "https_required": ErrorEntry(
        400, "A key is accepted over https only.", "Use https:// in lfs.url, and replace the key."
    ),
    "unauthorized": ErrorEntry(
        401,
        "An API key or token is required.",
        "Send it in the Authorization header, after the word Bearer and a space.",
        {"WWW-Authenticate": "Bearer"},
    ),
    "malformed_credential": ErrorEntry(
        401,
        "The API key or token is malformed.",
        "Send it exactly as you received it.",
        _INVALID_TOKEN,
    ),
    "unknown_credential": ErrorEntry(
        401,
        "The API key or token is not valid for this service.",
        "Check that it is complete and was issued for this service. A new key works after a minute.",
        _INVALID_TOKEN,
    ),
    "authorization_expired": ErrorEntry(
        401, "The API key or token has expired.", "Request a new one.", _INVALID_TOKEN
    ),
    "share_not_allowed": ErrorEntry(
        403,
        "The API key or token is not allowed to share this path.",
        "Use one that has the method SHARE for it.",
        {"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
    ),
    "admin_required": ErrorEntry(
        403,
        "The API key or token is not allowed to list the shares of others.",
        "Use one that has the method ADMIN, or leave out all.",
        {"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
    ),
    "upload_not_allowed": ErrorEntry(
        403,
        "The API key or token may not push here.",
        "Use one that has the methods GET and PUT for this path.",
        {"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
    ),
    "wrong_password": ErrorEntry(
        403,
        "The code of this link is missing or wrong.",
        'Ask its sender for the code, and send it as "password".',
    ),
    "not_found": ErrorEntry(404, "Not found.", "Check the address."),
    "not_listed": ErrorEntry(
        404,
        "This mount does not list folders.",
        "Ask for an object, or ask the operator to set list in links.toml.",
    ),
    "no_such_object": ErrorEntry(
        404,
        "The object does not exist.",
        'Check "path", which JSON does not percent-encode, or send "allow_missing": true to upload the object later.',
    ),
    "share_invalid": ErrorEntry(
        404, "This link is incomplete, was changed, or ended long ago.", "Copy the full link again."
    ),
    "method_not_allowed": ErrorEntry(
        405, "The method is not allowed here.", "Use one that the Allow header lists."
    ),
    "not_shareable": ErrorEntry(
        409,
        "Shares are not enabled for this mount.",
        "Ask the operator to set max_share in links.toml.",
    ),
    "public_url_required": ErrorEntry(
        409,
        "This requires a custom domain: browsers download the pages of the default domain instead of showing them.",
        "Ask the operator to set public_url in links.toml.",
    ),
    "folder_not_limited": ErrorEntry(
        409,
        '"max_uses" is not possible for a folder: each of its files is opened at its own address.',
        'Leave it out, protect the folder with "password": true, or share the files one by one.',
    ),
    "share_not_limited": ErrorEntry(
        409,
        '"max_uses" can only be raised for a share of a file that has a maximum of downloads.',
        "Leave it out, or create a new share.",
    ),
    "folder_too_large": ErrorEntry(
        409,
        "This folder has too many files and folders for one list.",
        'Read it page by page with format=json, or choose a part of it with "begins".',
    ),
    "download_not_signed": ErrorEntry(
        409,
        '"download" is not possible here: a CDN checks the links of this mount, and it signs no file name.',
        'Leave out "download", or ask the operator for a mount without cdn.',
    ),
    "app_package_domain": ErrorEntry(
        409,
        "OSS does not serve app packages (.apk, .ipa) from its own domains.",
        "Ask the operator to set a custom domain as endpoint, or app_packages if the bucket is older than 2023-08-15.",
    ),
    "state_required": ErrorEntry(
        409, "This requires a state prefix.", "Ask the operator to set state in links.toml."
    ),
    "object_exists": ErrorEntry(
        409, "An object exists at this path and is not overwritten.", "Use another path."
    ),
    "parts_missing": ErrorEntry(
        409,
        "Parts of the upload are missing.",
        'Send those that "parts" lists, then complete the upload again.',
    ),
    "object_archived": ErrorEntry(
        409, "This file is in cold storage.", "Ask its owner to restore it first."
    ),
    "lfs_hash_unknown": ErrorEntry(
        409, "This store names objects by SHA-256.", "Use a repository with that hash."
    ),
    "share_expired": ErrorEntry(410, "This link has expired.", _NEW_LINK),
    "share_owner_removed": ErrorEntry(
        410, "This link was withdrawn: its sender no longer has access.", _NEW_LINK
    ),
    "share_revoked": ErrorEntry(410, "This link was withdrawn by its sender.", _NEW_LINK),
    "share_not_enabled": ErrorEntry(
        410, "This link was withdrawn: shares of this kind are no longer enabled.", _NEW_LINK
    ),
    "share_used_up": ErrorEntry(
        410, "The download limit of this link has been reached.", _NEW_LINK
    ),
    "share_full": ErrorEntry(410, "The upload limit of this link has been reached.", _NEW_LINK),
    "body_too_large": ErrorEntry(
        413, "The request body exceeds 1 MB.", "Split it into several requests."
    ),
    "too_many_links": ErrorEntry(
        413, "The request asks for too many links.", "Split it into several requests."
    ),
    "not_json": ErrorEntry(
        415, "The request body must be JSON.", "Send it with Content-Type: application/json."
    ),
    "bad_lfs_request": ErrorEntry(
        422, "Invalid request of Git LFS.", "Correct what the message names."
    ),
    "lfs_not_enabled": ErrorEntry(
        422,
        "This mount does not store objects of Git LFS.",
        "Ask the operator for a mount with the methods GET and PUT, and overwrite = false, in links.toml.",
    ),
    "lfs_object_differs": ErrorEntry(
        422,
        "Another object is stored under this hash.",
        "Ask the operator to delete it, and push again.",
    ),
    "bad_configuration": ErrorEntry(
        500,
        "The service is misconfigured.",
        "Ask the operator to look at the log of the instance's start.",
    ),
    "internal_error": ErrorEntry(
        500, "An internal error occurred.", "Report the request ID to the operator."
    ),
    "no_credentials": ErrorEntry(
        503,
        "The function has no credentials.",
        "Ask the operator to set role in s.yaml to a role that trusts fc.aliyuncs.com, and to deploy again.",
    ),
    "credentials_expiring": ErrorEntry(
        503,
        "The credentials of this instance expire in less than a minute.",
        "Try again in a minute.",
        {"Retry-After": "60"},
    ),
    "credentials_unavailable": ErrorEntry(
        503,
        "The temporary credentials of this mount cannot be renewed.",
        "Try again in a few seconds. If it lasts, ask the operator to run make doctor.",
        {"Retry-After": "5"},
    ),
    "keys_unavailable": ErrorEntry(
        503,
        "The keys document cannot be used.",
        "Ask the operator to check it with python -m handler.commands keys show.",
    ),
    "cdn_key_missing": ErrorEntry(
        503,
        "The keys document has no valid key for the CDN of this mount.",
        "Ask the operator to run python -m handler.commands keys add-cdn.",
    ),
    "no_share_key": ErrorEntry(
        503,
        "The keys document has no share key.",
        "Ask the operator to run python -m handler.commands keys rotate-share.",
    ),
    "algorithm_unavailable": ErrorEntry(
        503,
        "The token's algorithm requires the package cryptography.",
        "Ask the operator to add it to requirements.txt, and to deploy again.",
    ),
    "oss_unavailable": ErrorEntry(
        503, "OSS is temporarily unavailable.", "Try again.", {"Retry-After": "5"}
    ),
    "state_unavailable": ErrorEntry(
        503, "Share state is temporarily unavailable.", "Try again.", {"Retry-After": "5"}
    ),
    "state_bucket_versioned": ErrorEntry(
        503,
        "The state bucket has or had versioning, so the service cannot count uses reliably.",
        "Ask the operator to set state in links.toml to a bucket that never had versioning.",
    ),
    "unknown_sink": ErrorEntry(
        503,
        "A notice in links.toml names a sink that does not exist.",
        "Add the sink to the keys document.",
    ),
}


class HandlerError(Exception):
    """The base class of this package's errors: `code` is for programs, `sentence` for people."""

    code = "handler_error"

    def __init__(self, sentence: str, *, code: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        if code is not None:
            self.code = code

    def reported(self) -> HandlerError:
        """The error that callers and logs see, by a code that is documented."""
        return self


class CredentialsRefused(HandlerError):
    """OSS or STS refused credentials that may be a client's: the request is tried with those of the environment."""


class Problem(HandlerError):
    """An error response of the HTTP service, by a code of `ERRORS`.

    `sentence` replaces the code's meaning and action where more can be said; `headers` are added to the code's own,
    `members` to the problem document.
    `cause` is for the audit line alone: what OSS answered, without values of the request. `back` is for the page alone:
    the address of a list and the code of its share, which a button sends.
    """

    def __init__(
        self,
        code: str,
        sentence: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        cause: str = "",
    ) -> None:
        entry = ERRORS[code]
        super().__init__(sentence or f"{entry.meaning} {entry.action}", code=code)
        self.status = entry.status
        self.headers = {**entry.headers, **(headers or {})}
        self.cause = cause
        self.members: dict[str, object] = {}
        self.back: tuple[str, str] | None = None

    def document(self, request_id: str) -> dict[str, object]:
        """The problem document. `type` is about:blank, so `title` is the phrase of the status (RFC 9457 §4.2.1)."""
        from http import HTTPStatus  # links need none

        return {
            "type": "about:blank",
            "title": _PHRASES.get(self.status) or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.sentence,
            "code": self.code,
            "request_id": request_id,
            **self.members,
        }

    def json(self, request_id: str) -> str:
        return json.dumps(self.document(request_id)) + "\n"


def bad_body(reason: str) -> Problem:
    """The 400 `bad_body`; `reason` begins with the member in quotes, and has no full stop."""
    return Problem("bad_body", f"Invalid request body: {reason}.")


def method_not_allowed(allowed: tuple[str, ...], upload_route: str = "") -> Problem:
    """The 405 of an existing path, with its Allow header; `upload_route` is where an upload begins instead."""
    methods = ", ".join(allowed)
    sentence = f"The method is not allowed here (allowed: {methods})."
    if upload_route:
        sentence += f" To upload a file, use {upload_route}."
    return Problem("method_not_allowed", sentence, {"Allow": methods})


def malformed_credential(reason: str) -> Problem:
    """The 401 of a string that cannot be a key or token; `reason` says what it must be, and has no full stop."""
    return Problem("malformed_credential", f"{reason}.")
