"""Authentication by an API key or a JWT, and the authorization of a caller for an object."""

from __future__ import annotations

import re
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING

from ..config import Target
from ..context import Access, Caller, ExpiryLimit, Invocation, has_expired
from ..errors import Problem, malformed_credential
from ..request import Request

if TYPE_CHECKING:
    from ..keys import Keys

MAX_CREDENTIAL = 8192  # characters; the platform accepts no longer headers

# RFC 6750 §2.1. A trigger joins two headers with a comma, which does not match.
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE | re.ASCII)
_API_KEY = re.compile(r"fcp_[A-Za-z0-9_-]{20,200}")


def identify(request: Request, invocation: Invocation) -> Caller | None:
    """The caller, None for a request without a credential.

    Raises a 401 `Problem` for a credential that is malformed, unknown or expired, a 503 if the keys are unavailable.
    """
    authorization = request.headers.get("authorization")
    if authorization is None:
        return None
    match = _BEARER.fullmatch(authorization) if len(authorization) <= MAX_CREDENTIAL else None
    if not match:
        raise malformed_credential(
            "Authorization must be Bearer, a space, and one API key or token"
        )
    credential = match[1]
    if credential.startswith("fcp_") and not _API_KEY.fullmatch(credential):
        raise malformed_credential(
            "The API key in Authorization is incomplete. Send it exactly as you received it"
        )
    config = invocation.config
    now = invocation.now
    if config.keys_document is None and config.mounts.all_anonymous:
        raise Problem("unknown_credential")
    from ..keys import current  # no anonymous request needs them

    keys = current.current_keys(invocation)
    if credential.startswith("fcp_"):
        return _api_caller(keys, credential, now)
    from .jwt import identify as identify_token

    return identify_token(credential, keys, now)


def identify_caller(request: Request, invocation: Invocation) -> Invocation:
    """The invocation with its caller, whom the audit line then names. Raises what `identify` raises."""
    caller = identify(request, invocation)
    invocation.audit_fields["caller"] = caller.id if caller else None
    return invocation._replace(caller=caller)


def authorize(
    invocation: Invocation,
    target: Target,
    method: str,
    limits: tuple[ExpiryLimit, ...] | None = None,
) -> Access:
    """The access of the caller to a target by a method; with the `limits` of a share or notice, that of anybody.

    Raises the 404 `not_found` for a path that the caller may not see, 401 `unauthorized` if a credential is required,
    400 `method_not_enabled` if the mount does not enable `method`, and what `mount_credentials` raises.
    """
    mount = target.mount
    caller = invocation.caller
    if limits is None:
        if mount.access != "anonymous":
            if caller is None:
                raise Problem("unauthorized")
            if not caller.allows(target.path, method):
                raise Problem("not_found")
        limits = caller.limits(invocation.now) if caller is not None else ()
    if method not in mount.methods and not (method == "LIST" and mount.lists):
        enabled = ", ".join(mount.methods)
        raise Problem(
            "method_not_enabled", f"{method} is not enabled for this mount (enabled: {enabled})."
        )
    if mount.cdn is not None and method != "LIST":
        from ..keys.current import current_keys

        key = current_keys(invocation).cdn.get(mount.cdn)
        if key is None:
            raise Problem("cdn_key_missing")
        return Access(target, invocation.credentials(), limits, key)
    if invocation.config.assume_role is None:
        return Access(target, invocation.credentials(), limits)
    from ..cloud.credentials import mount_credentials  # few need it

    return Access(target, mount_credentials(invocation, mount), limits)


def may_list(invocation: Invocation, target: Target) -> bool:
    """Whether the caller may list a folder."""
    caller = invocation.caller
    mount = target.mount
    is_allowed = mount.access == "anonymous" or (
        caller is not None and caller.allows(target.path, "LIST")
    )
    return mount.lists and is_allowed


def _api_caller(keys: Keys, credential: str, now: float) -> Caller:
    digest = sha256(credential.encode()).hexdigest()
    match = None
    expires_at = None
    # All keys are compared, so that the time reveals neither which one matched nor how much of it.
    for key in keys.api:
        for hashed, end in key.accepted():
            if compare_digest(hashed, digest):
                match = key
                expires_at = end
    if match is None:
        raise Problem("unknown_credential")
    if expires_at is not None and has_expired(expires_at, now):
        raise Problem("authorization_expired")
    caller_id = f"api:{match.id}"
    return Caller(
        id=caller_id,
        owner=match.owner,
        paths=match.paths,
        methods=match.methods,
        expires_at=expires_at,
        max_share=match.max_share,
    )
