"""JSON Web Tokens (RFC 7519): each issuer of the keys document with the one algorithm that its entry names.

PyJWT verifies signature, issuer and audience; times are held against the invocation's own clock.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from ..context import Caller
from ..errors import Problem, malformed_credential
from ..keys import METHODS, Issuer, Keys
from ..keys.fields import bad_path, base64url
from ..paths import covers
from ..times import has_expired

MAX_SUBJECT = 120  # characters of an id
LATEST = 2**53  # what JSON's numbers hold exactly

_CHECKS = {
    "require": ["iss", "aud", "exp"],
    "verify_signature": True,
    "verify_iss": True,
    "verify_aud": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


def identify(token: str, keys: Keys, now: float) -> Caller:
    """The caller that a token stands for.

    Raises a 401 `Problem` for one that is malformed, unknown or has ended, a 503 where its algorithm is not installed.
    """
    header, claimed = _segments(token)
    issuer = next((issuer for issuer in keys.jwt if issuer.iss == claimed.get("iss")), None)
    if issuer is None or header.get("alg") != issuer.alg or "crit" in header or "b64" in header:
        raise Problem("unknown_credential")
    claims = _verified(token, header, issuer)
    ends_at = _moment(claims, "exp")
    starts_at = _moment(claims, "nbf")
    if ends_at is None:
        raise malformed_credential("The token has no exp")
    if has_expired(ends_at + issuer.leeway, now):
        raise Problem("ended_credential")
    if starts_at is not None and now + issuer.leeway < starts_at:
        raise Problem("unknown_credential")
    return Caller(
        f"jwt:{issuer.iss}:{_subject(claims)}",
        "jwt",
        f"jwt:{issuer.iss}",
        _paths(claims, issuer),
        _methods(claims, issuer),
        ends_at + issuer.leeway,
    )


def _segments(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, not yet verified. Raises a 401 `Problem` for what is no JWS of three parts."""
    parts = token.split(".")
    decoded = [_decode(part) for part in parts]
    if len(parts) != 3 or None in decoded:
        raise _no_token()
    return _object(decoded[0]), _object(decoded[1])


def _decode(part: str) -> bytes | None:
    """The bytes of one part (RFC 7515 §2): without padding, and in the only spelling that they have."""
    found = base64url(part)
    return found if found is not None and urlsafe_b64encode(found).rstrip(b"=") == part.encode() else None


def _object(text: bytes | None) -> dict[str, Any]:
    try:
        document = json.loads(text or b"")
    except (ValueError, RecursionError):
        raise _no_token() from None
    if not isinstance(document, dict):
        raise _no_token()
    return document


def _no_token() -> Problem:
    return malformed_credential("The bearer token is no JWT, and no key that begins with fcp_")


def _verified(token: str, header: dict[str, Any], issuer: Issuer) -> dict[str, Any]:
    """The claims, once the signature holds, and issuer and audience are those of the entry."""
    import jwt

    key: Any = issuer.secret or _public_key(header, issuer)
    options: Any = _CHECKS
    try:
        return jwt.decode(token, key, algorithms=[issuer.alg], options=options, audience=issuer.aud, issuer=issuer.iss)
    except jwt.PyJWTError:
        raise Problem("unknown_credential") from None


def _public_key(header: dict[str, Any], issuer: Issuer) -> object:
    """The key that the token names, or the only one where it names none."""
    from jwt import PyJWK, PyJWTError
    from jwt.algorithms import has_crypto

    if not has_crypto:
        raise Problem(
            "algorithm_unavailable",
            f"{issuer.alg} needs the package cryptography: its operators can add it to requirements.txt and deploy.",
        )
    named = header.get("kid")
    fitting = [key for key in issuer.jwks if named is None or key.get("kid", named) == named]
    if len(fitting) != 1:
        raise Problem("unknown_credential")
    try:
        key: object = PyJWK(dict(fitting[0]), issuer.alg).key
    except (PyJWTError, ValueError):
        raise Problem(
            "keys_unavailable", "A public key of this issuer cannot be used: its operators can mend the document."
        ) from None
    return key


def _moment(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value <= LATEST:
        raise malformed_credential(f"The token's {name} is no number of seconds since 1970")
    return float(value)


def _subject(claims: dict[str, Any]) -> str:
    """The subject as an id holds it: short, printable, without a colon."""
    subject = claims.get("sub", "")
    try:
        written = quote(subject, safe="@|+=,/ ") if isinstance(subject, str) else None
    except UnicodeEncodeError:
        written = None
    if written is None:
        raise malformed_credential("The token's sub is no text")
    if len(written) > MAX_SUBJECT:
        return f"{written[:MAX_SUBJECT]}~{sha256(written.encode()).hexdigest()[:16]}"
    return written


def _paths(claims: dict[str, Any], issuer: Issuer) -> tuple[str, ...]:
    """What both the entry and the token allow; where one says nothing, what the other does."""
    claimed = _texts(claims, "paths")
    if claimed is not None and any(bad_path(path) for path in claimed):
        raise malformed_credential("The token's paths are no paths of this service")
    if claimed is None or issuer.paths is None:
        return _either(claimed, issuer.paths, "paths")
    narrow = [path for path in claimed if any(covers(allowed, path) for allowed in issuer.paths)]
    narrow += [path for path in issuer.paths if any(covers(wide, path) for wide in claimed)]
    return tuple(dict.fromkeys(narrow))


def _methods(claims: dict[str, Any], issuer: Issuer) -> tuple[str, ...]:
    claimed = _texts(claims, "methods")
    if claimed is None or issuer.methods is None:
        return tuple(method for method in _either(claimed, issuer.methods, "methods") if method in METHODS)
    return tuple(method for method in issuer.methods if method in claimed)


def _either(claimed: tuple[str, ...] | None, allowed: tuple[str, ...] | None, name: str) -> tuple[str, ...]:
    found = claimed if claimed is not None else allowed
    if found is None:
        raise malformed_credential(f"The token names no {name}, and its issuer's entry neither")
    return found


def _texts(claims: dict[str, Any], name: str) -> tuple[str, ...] | None:
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise malformed_credential(f"The token's {name} are no list of texts")
    return tuple(value)
