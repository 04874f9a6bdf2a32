"""What the keys document holds, read strictly.

```json
{"version": 1, "share": [{"id", "secret"}],
 "api": [{"id", "sha256", "paths", "methods", "expires_at", "max_share", "owner", "earlier": {"sha256", "expires_at"}}],
 "jwt": [{"id", "iss", "aud", "alg", "secret" | "jwks", "paths", "methods", "leeway", "max_share"}],
 "sinks": {"name": {"kind"}},
 "cdn": {"name": {"type", "key", "valid_for"}}}
```

`python -m handler.commands keys` creates and changes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ..config.reader import IDENTIFIER, IDENTIFIER_FORM, TableReader
from . import fields
from .fields import InvalidKeys

if TYPE_CHECKING:
    from signer import CdnKey

VERSION = 1
METHODS = ("GET", "PUT", "POST", "SHARE", "LIST", "ADMIN")
ALGORITHMS = ("HS256", "RS256", "ES256")
MAX_LEEWAY = 60  # seconds
MIN_MODULUS = 256  # bytes; RFC 7518 §3.3 requires 2048 bits

_SHA256 = re.compile(r"[0-9a-f]{64}")
# What add-api-key makes, and what a rotation writes for an entry without an owner.
_OWNER = re.compile(r"[A-Za-z0-9_-]{22}|api:[^:]{1,64}:[0-9a-f]{64}")
_JWK = ("kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y")
# RFC 7518 §6.2.2 and §6.3.2, and the symmetric k.
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class ShareKey(NamedTuple):
    """What signs the ids of uploads and makes the secrets of shares in notices; `secret` has at least 32 bytes."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"ShareKey(id={self.id!r}, secret='***')"


class EarlierKey(NamedTuple):
    """The key before the last rotation, which works until `expires_at` (Unix seconds).

    The rotation may have ended before anybody had the new key, which is then `unseen`.
    """

    sha256: str
    expires_at: float
    unseen: bool = False


class ApiKey(NamedTuple):
    """An API key: `sha256` (hexadecimal) is of the full key with its fcp_; `expires_at` is in Unix seconds.

    `max_share` is the maximum lifetime of its shares in seconds, None where only the mount limits it. `owner` is that
    of its shares: random, so that a rotation keeps it, and a new key of the same name does not own the old one's.
    """

    id: str
    sha256: str
    paths: tuple[str, ...]
    methods: tuple[str, ...]
    expires_at: float | None
    max_share: int | None = None
    owner: str = ""
    earlier: EarlierKey | None = None

    def accepted(self) -> list[tuple[str, float | None]]:
        """The hashes that this entry accepts, each with its end (Unix seconds), None for a key that never expires."""
        hashes = [(self.sha256, self.expires_at)]
        if self.earlier is not None:
            hashes.append((self.earlier.sha256, self.earlier.expires_at))
        return hashes


class Issuer(NamedTuple):
    """An issuer of tokens, with its audience and its one algorithm.

    For HS256 there is a `secret` and no `jwks` (public keys as in RFC 7517), otherwise the reverse. `paths` and
    `methods` are None where each token must name them. `leeway` is in seconds, `max_share` as for an API key. `id` is
    the random id of this entry, None for an entry without one.
    """

    iss: str
    aud: str
    alg: str
    secret: bytes
    jwks: tuple[Mapping[str, Any], ...]
    paths: tuple[str, ...] | None
    methods: tuple[str, ...] | None
    leeway: int
    max_share: int | None = None
    id: str | None = None

    @property
    def owner(self) -> str:
        """The owner of its shares. With the id, so that a new entry of the same issuer does not own the old one's.

        Without an id, the secret or the public keys tell the entries apart.
        """
        if self.id is not None:
            return f"jwt:{self.iss}:id:{self.id}"
        keys = self.secret + json.dumps(self.jwks, sort_keys=True).encode()
        return f"jwt:{self.iss}:keys:{sha256(keys).hexdigest()}"

    def __repr__(self) -> str:
        return f"Issuer(iss={self.iss!r}, alg={self.alg!r}, secret='***')"


class Keys(NamedTuple):
    """The keys document. Share keys are oldest first: the newest signs, all verify.

    `owner_tags` are those of `owners`, made once, since an opened share has the tag of its owner. `cdn_faults` are the
    invalid entries of CDNs, with what is wrong: each stops its own mounts alone.
    """

    share: tuple[ShareKey, ...]
    api: tuple[ApiKey, ...]
    jwt: tuple[Issuer, ...]
    sinks: Mapping[str, Mapping[str, object]]
    owner_tags: frozenset[str] = frozenset()
    cdn: Mapping[str, CdnKey] = {}
    cdn_faults: Mapping[str, str] = {}

    def owners(self) -> frozenset[str]:
        """Every owner that a share may have: each API key and each issuer of the document."""
        return frozenset([*(key.owner for key in self.api), *(issuer.owner for issuer in self.jwt)])

    def __repr__(self) -> str:
        # The address of a sink is a secret, too.
        names = f"sinks={sorted(self.sinks)!r}, cdn={sorted([*self.cdn, *self.cdn_faults])!r}"
        return f"Keys(share={self.share!r}, api={self.api!r}, jwt={self.jwt!r}, {names})"


def parse(document: bytes | str) -> Keys:
    """The keys of a document. Raises `InvalidKeys`."""
    top = fields.read_object(
        "keys document", load_json(document), ("version", "share", "api", "jwt", "sinks", "cdn")
    )
    version = top.required("version")
    if type(version) is not int or version != VERSION:
        top.refuse("version", f"must be {VERSION}, the only one that this release supports")
    share = tuple(
        ShareKey(
            fields.read_match(reader, "id", IDENTIFIER, IDENTIFIER_FORM),
            fields.read_secret(reader, "secret"),
        )
        for reader in top.tables("share", ("id", "secret"))
    )
    api = tuple(_read_api_key(reader) for reader in top.tables("api", ApiKey._fields))
    jwt = tuple(_read_issuer(reader) for reader in top.tables("jwt", Issuer._fields))
    _check_unique("share", share, "id", "secret")
    _check_unique("api", api, "id", "owner")
    _check_hashes(api)
    _check_unique("jwt", jwt, "iss", "id")
    keys = Keys(share, api, jwt, _read_sinks(top))
    if "cdn" in top.table:
        from .cdn import read_cdn_keys  # few documents have one

        cdn, faults = read_cdn_keys(top)
        keys = keys._replace(cdn=cdn, cdn_faults=faults)
    return keys._replace(owner_tags=frozenset(map(owner_tag, keys.owners())))


def owner_tag(owner: str) -> str:
    """What the record of a share says of its owner."""
    return sha256(owner.encode()).hexdigest()[:32]


def load_json(document: bytes | str) -> Any:
    """The JSON of a document; no object may have the same member twice. Raises `InvalidKeys`."""
    try:
        string = document.decode("utf-8-sig") if isinstance(document, bytes) else document
        loaded = json.loads(string, object_pairs_hook=_unique_members, parse_constant=_no_constant)
        if "\\u" in string:
            json.dumps(
                loaded, ensure_ascii=False
            ).encode()  # JSON can escape half of a character, which UTF-8 cannot
        return loaded
    except UnicodeError:
        raise InvalidKeys("keys document: it must be UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InvalidKeys(
            f"keys document: invalid JSON (line {error.lineno}, column {error.colno})."
        ) from None
    except (ValueError, RecursionError):
        raise InvalidKeys("keys document: invalid JSON.") from None


def _read_api_key(reader: TableReader) -> ApiKey:
    name = fields.read_match(reader, "id", IDENTIFIER, IDENTIFIER_FORM)
    reader.where += f" ({name})"
    hashed = _read_hash(reader)
    return ApiKey(
        id=name,
        sha256=hashed,
        paths=fields.read_paths(reader),
        methods=_read_methods(reader),
        expires_at=fields.read_time(reader, "expires_at"),
        max_share=fields.read_max_share(reader),
        owner=_read_owner(reader) if "owner" in reader.table else hash_owner(name, hashed),
        earlier=_read_earlier(reader) if "earlier" in reader.table else None,
    )


def hash_owner(name: str, hashed: str) -> str:
    """The owner of the shares of an entry that names none. The first rotation writes it down."""
    return f"api:{name}:{hashed}"


def _read_hash(reader: TableReader) -> str:
    expected = "the SHA-256 of the key: 64 lower-case hexadecimal digits"
    return fields.read_match(reader, "sha256", _SHA256, expected)


def _read_owner(reader: TableReader) -> str:
    return fields.read_match(reader, "owner", _OWNER, "22 characters (A-Z, a-z, 0-9, - and _)")


def _read_earlier(reader: TableReader) -> EarlierKey:
    """A rotation replaced this key: it always has an end."""
    where = f"{reader.where}: earlier"
    earlier = fields.read_object(where, reader.table["earlier"], EarlierKey._fields)
    expires_at = fields.read_time(earlier, "expires_at")
    if expires_at is None:
        earlier.refuse("expires_at", "must be a time such as 2027-01-31T00:00:00Z")
    return EarlierKey(_read_hash(earlier), expires_at, earlier.boolean("unseen"))


def _check_hashes(api: Sequence[ApiKey]) -> None:
    """No hash, also none of an earlier key, may stand for two keys."""
    hashes = [hashed for key in api for hashed, _ in key.accepted()]
    if len(set(hashes)) != len(hashes):
        raise InvalidKeys("keys document: two entries of api have the same sha256. Remove one.")


def _read_methods(reader: TableReader) -> tuple[str, ...]:
    """What an entry allows. HEAD comes with GET and is ignored."""
    listed = reader.strings("methods", choices=(*METHODS, "HEAD"), required=True)
    return tuple(method for method in listed if method != "HEAD")


def _read_issuer(reader: TableReader) -> Issuer:
    iss = fields.read_string(reader, "iss")
    reader.where += f" ({iss})"
    alg = reader.choice("alg", ALGORITHMS, required=True)
    required, forbidden = ("secret", "jwks") if alg == "HS256" else ("jwks", "secret")
    if forbidden in reader.table:
        reader.refuse(forbidden, f"is not allowed with {alg}, which requires {required}: remove it")
    return Issuer(
        iss=iss,
        aud=fields.read_string(reader, "aud"),
        alg=alg,
        secret=fields.read_secret(reader, "secret") if required == "secret" else b"",
        jwks=_read_jwks(reader, alg) if required == "jwks" else (),
        paths=fields.read_paths(reader) if "paths" in reader.table else None,
        methods=_read_methods(reader) if "methods" in reader.table else None,
        leeway=reader.integer("leeway", 0, 0, MAX_LEEWAY),
        max_share=fields.read_max_share(reader),
        id=fields.read_match(reader, "id", IDENTIFIER, IDENTIFIER_FORM)
        if "id" in reader.table
        else None,
    )


def _read_jwks(reader: TableReader, alg: str) -> tuple[Mapping[str, Any], ...]:
    document = reader.required("jwks")
    if not isinstance(document, dict):
        reader.refuse(
            "jwks",
            'must be an object {"keys": […]} with the public keys: addresses are never fetched',
        )
    keys = _read_known(f"{reader.where}: jwks", document, ("keys",)).items("keys")
    if not keys:
        reader.refuse("jwks", "must have at least one key")
    jwks = tuple(
        _read_jwk(f"{reader.where}: jwks, key {number}", key, alg)
        for number, key in enumerate(keys, 1)
    )
    key_ids = [key.get("kid") for key in jwks]
    if len(jwks) > 1 and (None in key_ids or len(set(key_ids)) != len(key_ids)):
        reader.refuse("jwks", "must have a different kid for each key")
    return jwks


def _read_jwk(where: str, value: object, alg: str) -> Mapping[str, Any]:
    if isinstance(value, dict) and not _PRIVATE.isdisjoint(value):
        raise InvalidKeys(
            f"{where} is a private key. Use the public key only, and replace this key pair."
        )
    key = _read_known(where, value, _JWK)
    key.choice("kty", ("RSA",) if alg == "RS256" else ("EC",), required=True)
    if "kid" in key.table:
        fields.read_string(key, "kid")
    key.choice("alg", (alg,))
    key.choice("use", ("sig",))
    if "key_ops" in key.table and "verify" not in key.items("key_ops"):
        key.refuse("key_ops", "must contain verify")
    if alg == "RS256":
        fields.read_number_size(key, "e", 1, 8)
        if fields.read_number_size(key, "n", 1, 2048) < MIN_MODULUS:
            key.refuse("n", "must have at least 2048 bits")
    else:
        key.choice("crv", ("P-256",), required=True)
        fields.read_number_size(key, "x", 32, 32)
        fields.read_number_size(key, "y", 32, 32)
    return key.table


def _read_known(where: str, value: object, known: tuple[str, ...]) -> TableReader:
    """Ignores all other members, as RFC 7517 §4 and §5 require."""
    if isinstance(value, dict):
        value = {name: value[name] for name in known if name in value}
    return fields.read_object(where, value, known)


def _read_sinks(top: TableReader) -> Mapping[str, Mapping[str, object]]:
    """Each sink has a kind; the other members are checked by its own module."""
    sinks = top.table.get("sinks", {})
    if not isinstance(sinks, dict):
        top.refuse("sinks", "must be an object")
    for number, sink in enumerate(sinks.values(), 1):
        if not isinstance(sink, dict) or not isinstance(sink.get("kind"), str) or not sink["kind"]:
            top.refuse(f"sinks, entry {number},", "must be an object with a kind")
    return sinks


def _check_unique(name: str, entries: Sequence[object], *members: str) -> None:
    for member in members:
        values = [value for entry in entries if (value := getattr(entry, member)) is not None]
        if len(set(values)) != len(values):
            raise InvalidKeys(
                f"keys document: two entries of {name} have the same {member}. Remove one."
            )


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidKeys("keys document: an object has the same member twice. Remove one.")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
