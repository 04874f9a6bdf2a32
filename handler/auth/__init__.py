"""Who asks: the holder of an API key, the bearer of a JWT, or nobody who says so."""

from __future__ import annotations

import re
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple

from .. import links
from ..config import Mount
from ..context import Caller, ExpiryLimit, Invocation
from ..errors import Problem, malformed_credential
from ..keys import Keys, cache
from ..paths import check_path
from ..request import Request
from ..times import has_expired

MAX_CREDENTIAL = 8192  # characters; more headers than that do not arrive

# RFC 6750 §2.1. What a trigger joins of two headers has a comma in it and is neither.
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE | re.ASCII)
_API_KEY = re.compile(r"fcp_[A-Za-z0-9_-]{20,200}")


class AuthorizedObject(NamedTuple):
    """The object of a mount that a caller may get links to, and the limits that the caller brings."""

    mount: Mount
    path: str
    key: str
    limits: tuple[ExpiryLimit, ...]


def identify(request: Request, invocation: Invocation) -> Caller | None:
    """Who asks, None where the request does not say.

    Raises a 401 `Problem` for a credential that is malformed, unknown or has ended, a 503 where the keys are not there.
    """
    credential = read_credential(request)
    if credential is None:
        return None
    config, now = invocation.config, invocation.now
    if config.keys is None and all(mount.access == "anonymous" for mount in config.mounts):
        raise Problem("unknown_credential")
    keys = cache.current_keys(invocation)
    if credential.startswith("fcp_"):
        return _api_caller(keys, credential, now)
    from .jwt import identify as identify_token

    return identify_token(credential, keys, now)


def authorize(invocation: Invocation, path: str, method: str, *, prefix: bool = False) -> AuthorizedObject:
    """The object at a decoded path, where `method` is allowed to the caller.

    With `prefix`, a path that ends in "/" may be the mount's own. Raises the 404 `not_found` for what does not exist
    for this caller, 401 `unauthorized` where a key is required, 400 `not_offered` for what the mount does not enable.
    """
    path = check_path(path)
    config, caller = invocation.config, invocation.caller
    mount = config.mount(path)
    if mount is not None and prefix and path == mount.path:
        key = mount.target.key
    else:
        mount, key = links.find_mount(config, path)
    if mount.access != "anonymous":
        if caller is None:
            raise Problem("unauthorized")
        if not caller.allows(path, method):
            raise Problem("not_found")
    if method not in mount.methods:
        enabled = ", ".join(mount.methods)
        raise Problem("not_offered", f"{method} is not enabled for this mount (enabled: {enabled}).")
    return AuthorizedObject(mount, path, key, caller.limits(invocation.now) if caller is not None else ())


def read_credential(request: Request) -> str | None:
    """The API key or token that a request carries, None where it carries none. Raises a 401 `Problem`."""
    authorization, api_key = request.headers.get("authorization"), request.headers.get("x-api-key")
    if authorization is None and api_key is None:
        return None
    bearer = None
    if authorization is not None:
        found = _BEARER.fullmatch(authorization) if len(authorization) <= MAX_CREDENTIAL else None
        if not found:
            raise malformed_credential(
                "Authorization is not Bearer and one key or token: send Bearer, a space and the key"
            )
        bearer = found[1]
        if bearer.startswith("fcp_") and not _API_KEY.fullmatch(bearer):
            raise malformed_credential(
                "The key in Authorization is not whole: send it as it was given, beginning with fcp_"
            )
    if api_key is not None:
        if not _API_KEY.fullmatch(api_key):
            raise malformed_credential("X-Api-Key is not one key: send it as it was given, beginning with fcp_")
        if bearer is not None and not compare_digest(bearer.encode(), api_key.encode()):
            raise malformed_credential("Authorization and X-Api-Key are not the same: send one of them")
    return bearer or api_key


def _api_caller(keys: Keys, credential: str, now: float) -> Caller:
    digest = sha256(credential.encode()).hexdigest()
    found = None
    # All are looked at, so that the time tells neither which one it was nor how much of it was right.
    for key in keys.api:
        if compare_digest(key.sha256, digest):
            found = key
    if found is None:
        raise Problem("unknown_credential")
    if found.expires_at is not None and has_expired(found.expires_at, now):
        raise Problem("ended_credential")
    return Caller(f"api:{found.id}", "api", found.owner, found.paths, found.methods, found.expires_at)
