"""The entry of a JWT issuer: HS256 with a secret, or RS256 or ES256 with a literal JWKS; never both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .fields import Entry, InvalidKeys, base64url

ALGORITHMS = ("HS256", "RS256", "ES256")
MAX_LEEWAY = 60  # seconds
LEAST_MODULUS = 256  # bytes; RFC 7518 §3.3 asks for 2048 bits

_KNOWN = ("iss", "aud", "alg", "secret", "jwks", "paths", "methods", "leeway")
_JWK = ("kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y")
# RFC 7518 §6.2.2 and §6.3.2, and the symmetric k.
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class Issuer(NamedTuple):
    """Who may issue tokens, for which audience and by which one algorithm.

    `secret` is empty where `jwks` (public keys as in RFC 7517) is not, and the other way round. `paths` and `methods`
    are None where the entry leaves them to the tokens. `leeway` is in seconds.
    """

    iss: str
    aud: str
    alg: str
    secret: bytes
    jwks: tuple[Mapping[str, Any], ...]
    paths: tuple[str, ...] | None
    methods: tuple[str, ...] | None
    leeway: int

    def __repr__(self) -> str:
        return f"Issuer(iss={self.iss!r}, alg={self.alg!r}, secret='***')"


def read_issuer(number: int, value: object) -> Issuer:
    """The issuer of an entry. Raises `InvalidKeys`."""
    entry = Entry(f"jwt {number}", value, _KNOWN)
    iss = entry.text("iss")
    entry.where = f"jwt {number} ({iss})"
    alg = entry.choice("alg", ALGORITHMS)
    wanted, other = ("secret", "jwks") if alg == "HS256" else ("jwks", "secret")
    if other in entry.members:
        entry.refuse(other, f"is given, but {alg} goes with {wanted} alone: leave {other} out")
    return Issuer(
        iss=iss,
        aud=entry.text("aud"),
        alg=alg,
        secret=entry.secret("secret") if wanted == "secret" else b"",
        jwks=_read_jwks(entry, alg) if wanted == "jwks" else (),
        paths=entry.paths() if "paths" in entry.members else None,
        methods=entry.methods() if "methods" in entry.members else None,
        leeway=entry.whole("leeway", 0, 0, MAX_LEEWAY),
    )


def _read_jwks(entry: Entry, alg: str) -> tuple[Mapping[str, Any], ...]:
    document = entry.required("jwks")
    if not isinstance(document, dict):
        entry.refuse("jwks", 'is no literal set: write {"keys": […]}; no address is ever fetched')
    keys = _known(f"{entry.where}: jwks", document, ("keys",)).entries("keys")
    if not keys:
        entry.refuse("jwks", "has no keys")
    found = tuple(_read_jwk(f"{entry.where}: key {number} of jwks", key, alg) for number, key in enumerate(keys, 1))
    names = [key.get("kid") for key in found]
    if len(found) > 1 and (None in names or len(set(names)) != len(names)):
        entry.refuse("jwks", "has several keys, and not each a kid of its own to be chosen by")
    return found


def _read_jwk(where: str, value: object, alg: str) -> Mapping[str, Any]:
    if isinstance(value, dict) and not _PRIVATE.isdisjoint(value):
        raise InvalidKeys(f"{where} is a private key: write the public one alone, and replace this one.")
    key = _known(where, value, _JWK)
    key.choice("kty", ("RSA",) if alg == "RS256" else ("EC",))
    if "kid" in key.members:
        key.text("kid")
    if "alg" in key.members:
        key.choice("alg", (alg,))
    if "use" in key.members:
        key.choice("use", ("sig",))
    if "key_ops" in key.members and "verify" not in key.entries("key_ops"):
        key.refuse("key_ops", "does not hold verify")
    if alg == "RS256":
        _number(key, "e", 1, 8)
        if _number(key, "n", 1, 2048) < LEAST_MODULUS:
            key.refuse("n", "is shorter than 2048 bits")
    else:
        key.choice("crv", ("P-256",))
        _number(key, "x", 32, 32)
        _number(key, "y", 32, 32)
    return key.members


def _known(where: str, value: object, known: tuple[str, ...]) -> Entry:
    """An object of which all else is ignored, as RFC 7517 §4 and §5 ask."""
    if isinstance(value, dict):
        value = {name: value[name] for name in known if name in value}
    return Entry(where, value, known)


def _number(key: Entry, name: str, least: int, most: int) -> int:
    """The length of a number, in bytes."""
    value = key.required(name)
    found = base64url(value) if isinstance(value, str) else None
    if found is None or not least <= len(found) <= most:
        key.refuse(name, "is no base64url number of the right length")
    return len(found.lstrip(b"\0"))
