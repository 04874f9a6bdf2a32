"""Who asks: the holder of an API key, the bearer of a JWT, or nobody who says so."""

from __future__ import annotations

import re
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple

from ..errors import Problem
from ..keys import ApiKey, Keys, cache
from ..links import Bound
from ..request import Invocation, Request

MAX_CREDENTIAL = 8192  # characters; more headers than that do not arrive

# RFC 6750 §2.1. What a trigger joins of two headers has a comma in it and is neither.
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE | re.ASCII)
_API_KEY = re.compile(r"fcp_[A-Za-z0-9_-]{20,200}")


class Caller(NamedTuple):
    """A known caller. `id` is for the audit line, `kind` is "api" or "jwt", `maker` is who stands behind his shares.

    `paths` and `methods` are those of his key or token; `ends_at` is when it ends (Unix seconds), None for never.
    """

    id: str
    kind: str
    maker: str
    paths: tuple[str, ...]
    methods: tuple[str, ...]
    ends_at: float | None

    def reaches(self, path: str, method: str) -> bool:
        """Whether he may have a link of `method`, or for SHARE make a share, to what is at a decoded path."""
        return method in self.methods and any(covers(allowed, path) for allowed in self.paths)

    def bounds(self, now: float) -> tuple[Bound, ...]:
        """What his own end leaves of a link's life; nothing where he has none."""
        return () if self.ends_at is None else (Bound("caller", int(self.ends_at) - int(now)),)


def identify(request: Request, invocation: Invocation) -> Caller | None:
    """Who asks, None where the request does not say.

    Raises a 401 `Problem` for a credential that is malformed, unknown or has ended, a 503 where the keys are not there.
    """
    credential = read_credential(request)
    if credential is None:
        return None
    policy, now = invocation.policy, invocation.now
    if policy.keys is None and all(mount.access == "anonymous" for mount in policy.mounts):
        raise unknown()
    keys = cache.current(policy, invocation.context, now)
    if credential.startswith("fcp_"):
        return _api_caller(keys, credential, now)
    from .jwt import identify as identify_token

    return identify_token(credential, keys, now)


def read_credential(request: Request) -> str | None:
    """The API key or token that a request carries, None where it carries none. Raises a 401 `Problem`."""
    authorization, api_key = request.headers.get("authorization"), request.headers.get("x-api-key")
    if authorization is None and api_key is None:
        return None
    bearer = None
    if authorization is not None:
        found = _BEARER.fullmatch(authorization) if len(authorization) <= MAX_CREDENTIAL else None
        if not found:
            raise malformed("Authorization is not Bearer and one key or token: send Bearer, a space and the key")
        bearer = found[1]
        if bearer.startswith("fcp_") and not _API_KEY.fullmatch(bearer):
            raise malformed("The key in Authorization is not whole: send it as it was given, beginning with fcp_")
    if api_key is not None:
        if not _API_KEY.fullmatch(api_key):
            raise malformed("X-Api-Key is not one key: send it as it was given, beginning with fcp_")
        if bearer is not None and not compare_digest(bearer.encode(), api_key.encode()):
            raise malformed("Authorization and X-Api-Key are not the same: send one of them")
    return bearer or api_key


def makers(keys: Keys) -> frozenset[str]:
    """Who may stand behind a share: every API key, and every issuer, of the keys document."""
    return frozenset([*(_maker(key) for key in keys.api), *(f"jwt:{issuer.iss}" for issuer in keys.jwt)])


def covers(allowed: str, path: str) -> bool:
    """Whether `path` is the one path that `allowed` is, or begins with the prefix that it is."""
    return path == allowed or (allowed.endswith("/") and path.startswith(allowed))


def has_ended(ends_at: float, now: float) -> bool:
    """Whether not even a whole second is left, the least that a link can live."""
    return int(ends_at) <= int(now)


def malformed(sentence: str) -> Problem:
    """What is no credential at all."""
    return _refused("malformed_credential", f"{sentence}.")


def unknown() -> Problem:
    """One answer for every credential that is not, or not yet, one of ours."""
    return _refused(
        "unknown_credential", "This key or token is not known here: check that it is whole and meant for us."
    )


def ended() -> Problem:
    """A credential that was good once."""
    return _refused("ended_credential", "This key or token has ended: ask for a new one.")


def _api_caller(keys: Keys, credential: str, now: float) -> Caller:
    digest = sha256(credential.encode()).hexdigest()
    found = None
    # All are looked at, so that the time tells neither which one it was nor how much of it was right.
    for key in keys.api:
        if compare_digest(key.sha256, digest):
            found = key
    if found is None:
        raise unknown()
    if found.expires_at is not None and has_ended(found.expires_at, now):
        raise ended()
    return Caller(f"api:{found.id}", "api", _maker(found), found.paths, found.methods, found.expires_at)


def _maker(key: ApiKey) -> str:
    # With its hash: a key that is made anew under an old name does not bring back what the old one shared.
    return f"api:{key.id}:{key.sha256}"


def _refused(code: str, sentence: str) -> Problem:
    return Problem(401, code, sentence, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
