"""JSON Web Tokens (RFC 7519) of the issuers in the keys document, each with the one algorithm of its entry.

PyJWT verifies signature, issuer and audience, as is its default; times are compared with the invocation's own clock.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from ..config.reader import covered_path_fault
from ..context import Caller, has_expired
from ..errors import Problem, malformed_credential
from ..keys import Issuer, Keys
from ..keys.fields import base64url
from ..paths import covers

MAX_SUBJECT = 120  # characters
# What a token may name if its issuer's entry names none. It does not grow with the methods of the keys document:
# whoever wrote an entry without methods did not know of those that came later.
CLAIMABLE = ("GET", "PUT", "POST", "SHARE")
MAX_TIMESTAMP = 2**53  # Unix seconds; larger integers are not exact in JSON

_CHECKS = {
    "require": ["iss", "aud", "exp"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


def identify(token: str, keys: Keys, now: float) -> Caller:
    """The caller of a token.

    Raises a 401 `Problem` for a token that is malformed, unknown or expired, a 503 if its algorithm is not installed.
    """
    header, unverified = _segments(token)
    issuer = next((issuer for issuer in keys.jwt if issuer.iss == unverified.get("iss")), None)
    if issuer is None or header.get("alg") != issuer.alg or "crit" in header or "b64" in header:
        raise Problem("unknown_credential")
    claims = _verify(token, header, issuer)
    expires_at = _timestamp("exp", claims["exp"])  # PyJWT requires it
    not_before = 0.0 if claims.get("nbf") is None else _timestamp("nbf", claims["nbf"])
    if has_expired(expires_at + issuer.leeway, now):
        raise Problem("authorization_expired")
    if now + issuer.leeway < not_before:
        raise Problem("unknown_credential")
    return Caller(
        id=f"jwt:{issuer.iss}:{_subject(claims)}",
        owner=issuer.owner,
        paths=_paths(claims, issuer),
        methods=_methods(claims, issuer),
        expires_at=expires_at + issuer.leeway,
        max_share=issuer.max_share,
    )


def _segments(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, not yet verified. Raises a 401 `Problem` unless it is a JWS of three parts."""
    parts = token.split(".")
    decoded = [_decode(part) for part in parts]
    if len(parts) != 3 or None in decoded:
        raise _invalid_token()
    return _object(decoded[0]), _object(decoded[1])


def _decode(part: str) -> bytes | None:
    """The bytes of one part (RFC 7515 §2): without padding, and in the one encoding that has no excess bits."""
    content = base64url(part)
    return (
        content
        if content is not None and urlsafe_b64encode(content).rstrip(b"=") == part.encode()
        else None
    )


def _object(part: bytes | None) -> dict[str, Any]:
    try:
        document = json.loads(part or b"")
    except (ValueError, RecursionError):
        raise _invalid_token() from None
    if not isinstance(document, dict):
        raise _invalid_token()
    return document


def _invalid_token() -> Problem:
    return malformed_credential(
        "The bearer token must be a JWT, or an API key that begins with fcp_"
    )


def _verify(token: str, header: dict[str, Any], issuer: Issuer) -> dict[str, Any]:
    """The claims, after the signature, the issuer and the audience were verified."""
    import jwt

    key: Any = issuer.secret or _public_key(header, issuer)
    options: Any = _CHECKS
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[issuer.alg],
            options=options,
            audience=issuer.aud,
            issuer=issuer.iss,
        )
    except jwt.PyJWTError:
        raise Problem("unknown_credential") from None


def _public_key(header: dict[str, Any], issuer: Issuer) -> object:
    """The key that the token names, or the only one where it names none."""
    from jwt import PyJWK, PyJWTError
    from jwt.algorithms import has_crypto

    if not has_crypto:
        raise Problem(
            "algorithm_unavailable",
            f"{issuer.alg} requires the package cryptography. The operator can add it to requirements.txt and deploy.",
        )
    key_id = header.get("kid")
    matches = [key for key in issuer.jwks if key_id is None or key.get("kid", key_id) == key_id]
    if len(matches) != 1:
        raise Problem("unknown_credential")
    try:
        key: object = PyJWK(dict(matches[0]), issuer.alg).key
    except (PyJWTError, ValueError):
        raise Problem(
            "keys_unavailable",
            "A public key of this issuer is invalid. The operator can fix the keys document.",
        ) from None
    return key


def _timestamp(name: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= MAX_TIMESTAMP:
        raise malformed_credential(f"The token's {name} must be a number of seconds since 1970")
    return float(value)


def _subject(claims: dict[str, Any]) -> str:
    """The subject for an id: short, printable, without a colon."""
    subject = claims.get("sub", "")
    try:
        quoted = quote(subject, safe="@|+=,/ ") if isinstance(subject, str) else None
    except UnicodeEncodeError:
        quoted = None
    if quoted is None:
        raise malformed_credential("The token's sub must be a string")
    if len(quoted) > MAX_SUBJECT:
        return f"{quoted[:MAX_SUBJECT]}~{sha256(quoted.encode()).hexdigest()[:16]}"
    return quoted


def _paths(claims: dict[str, Any], issuer: Issuer) -> tuple[str, ...]:
    """The paths that both the entry and the token allow; if one of them names none, those of the other."""
    claimed = _strings(claims, "paths")
    if claimed is not None and any(covered_path_fault(path) for path in claimed):
        raise malformed_credential("The token's paths must be valid paths of this service")
    if claimed is None or issuer.paths is None:
        return _either(claimed, issuer.paths, "paths")
    allowed = [path for path in claimed if any(covers(wider, path) for wider in issuer.paths)]
    allowed += [path for path in issuer.paths if any(covers(wider, path) for wider in claimed)]
    return tuple(dict.fromkeys(allowed))


def _methods(claims: dict[str, Any], issuer: Issuer) -> tuple[str, ...]:
    allowed = CLAIMABLE if issuer.methods is None else issuer.methods
    named = _either(_strings(claims, "methods"), issuer.methods, "methods")
    return tuple(method for method in named if method in allowed)


def _either(
    claimed: tuple[str, ...] | None, allowed: tuple[str, ...] | None, name: str
) -> tuple[str, ...]:
    values = claimed if claimed is not None else allowed
    if values is None:
        raise malformed_credential(
            f"The token requires {name}, because the entry of its issuer does not name any"
        )
    return values


def _strings(claims: dict[str, Any], name: str) -> tuple[str, ...] | None:
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise malformed_credential(f"The token's {name} must be a list of strings")
    return tuple(value)
